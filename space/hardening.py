"""What Gradio does otherwise than this app promises, put right in one place; `apply` before a page is built."""

import os
from pathlib import Path

import gradio as gr
from fastapi import HTTPException
from gradio import processing_utils, route_utils, state_holder, utils

from space.limits import LIMITS
from space.rates import Rate
from space.text import preferred_language, say

BUSY_SECONDS = 10  # what a refused program is told to wait
UNREAD = 4  # sessions whose answers are kept until somebody fetches them, for each place in the queue


def apply():
    """Nothing is fetched for visitors, kept of them in memory, or left on the disk where they break off."""
    processing_utils.async_ssrf_protected_download = fetch_nothing
    state_holder.SessionState._update_value_in_config = keep_no_value
    route_utils.GradioMultiPartParser.parse = leaving_nothing(route_utils.GradioMultiPartParser.parse)
    if "SPACE_ID" in os.environ:
        os.environ["FORWARDED_ALLOW_IPS"] = ""  # there we read X-Forwarded-For ourselves
    else:
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # uvicorn would believe any process of this machine


async def fetch_nothing(url, cache_dir):
    """In place of Gradio's download of an address in a request: visitors send pictures, we ask no other host."""
    raise gr.Error(say("en", "address_refused"), print_exception=False)


def keep_no_value(session, key, value):
    """In place of Gradio's copy of every input and output (pictures, too) for deep links, for an hour and more."""


def leaving_nothing(parse):
    """Gradio's parser of uploads removes its temporary files after a parser's error, not when a client breaks off."""

    async def parse_or_remove(parser):
        try:
            return await parse(parser)
        except BaseException:
            for file in parser._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise

    return parse_or_remove


def guard(queue, limits=LIMITS):
    """Let Gradio's `queue` refuse in the reader's language: that the app is busy, or that a session asks too often.

    As 429, since for Gradio's own 503 its page shows an English sentence of its own.
    """
    rate, push = Rate(limits.session_requests_per_minute), queue.push
    queue.pending_messages_per_session = unread = utils.LRUCache(UNREAD * limits.queue)

    async def push_or_refuse(body, request, username):
        for session in queue.pending_event_ids_session.keys() - unread.keys():
            del queue.pending_event_ids_session[session]  # nobody will ask for them again
        language = preferred_language(request.headers.get("accept-language"))
        if len(queue) >= limits.queue:
            raise HTTPException(429, say(language, "busy"), {"Retry-After": str(BUSY_SECONDS)})
        seconds = rate.wait(body.session_hash) if body.session_hash else 0
        if seconds:
            raise HTTPException(429, say(language, "too_often", seconds=seconds), {"Retry-After": str(seconds)})
        return await push(body=body, request=request, username=username)

    queue.push = push_or_refuse
