"""The page: its tabs, and the texts that depend on who reads them."""

import math
import os
import sys
from importlib.util import find_spec

import gradio as gr
from gradio.route_utils import get_root_url

from space import batch_tab, live_tab, photo_tab, video_tab
from space.about import about_html, foot_html, head_html
from space.analysis import Analyzer
from space.limits import LIMITS
from space.picture_input import language_of
from space.result_html import message_html
from space.text import languages, say

CACHE_SECONDS = (min(10, LIMITS.upload_seconds), LIMITS.upload_seconds)  # how often to look for uploads, how old


def prepare_mcp(environment=os.environ):
    """Where GRADIO_MCP_SERVER asks for the API as MCP tools: ends with a sentence where Gradio's extra is missing."""
    if environment.get("GRADIO_MCP_SERVER", "").lower() not in ("1", "true", "yes", "on"):
        return
    if find_spec("mcp") is None:
        sys.exit("app.py: GRADIO_MCP_SERVER needs Gradio's extra for MCP: pip install 'gradio[mcp]'")
    environment["GRADIO_MCP_SERVER"] = "true"  # the one word that Gradio itself understands


def build_page(analyzer: Analyzer):
    """(`gr.Blocks`, `gr.I18n`) of the whole app, not yet served."""
    prepare_mcp()
    i18n = gr.I18n(**languages())
    classes = len(analyzer.classifier.label_names)

    def greet(request: gr.Request):
        language = language_of(request)
        url = get_root_url(request.request, request.request.url.path, None)  # heeds X-Forwarded-Proto, for text alone
        messages = [
            say(language, "result_empty"),
            say(language, "video_empty", limit=f"{LIMITS.video_seconds:g}"),
            say(language, "batch_empty", limit=LIMITS.pictures, megabytes=f"{LIMITS.video_megabytes:g}"),
        ]
        return (
            head_html(analyzer, language),
            foot_html(language) + live_tab.consent_html(language, classes),
            live_tab.notice_html(language, classes),
            about_html(analyzer, language, url),
            *map(message_html, messages),
        )

    with gr.Blocks(
        title=say("en", "title"), analytics_enabled=False, delete_cache=CACHE_SECONDS, fill_width=False
    ) as page:
        head = gr.HTML(head_html(analyzer, "en"), elem_id="head", apply_default_css=False)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(i18n("tab_photo"), id="photo", elem_id="tab-photo"):
                hint = photo_tab.build(analyzer, i18n)
            with gr.Tab(i18n("tab_webcam"), id="webcam", elem_id="tab-webcam"):
                notice = live_tab.build(analyzer, i18n)
            with gr.Tab(i18n("tab_video"), id="video", elem_id="tab-video"):
                timeline = video_tab.build(analyzer, i18n)
            with gr.Tab(i18n("tab_batch"), id="batch", elem_id="tab-batch"):
                gallery = batch_tab.build(analyzer, i18n)
            with gr.Tab(i18n("tab_about"), id="about", elem_id="tab-about"):
                about = gr.HTML(elem_id="about", apply_default_css=False)
        foot = gr.HTML(foot_html("en") + live_tab.consent_html("en", classes), elem_id="foot", apply_default_css=False)

        async def leave(request: gr.Request):
            """End the streams of a closed tab: Gradio would hold their places until their turn is over."""
            for event in list(page._queue.event_ids_to_events.values()):
                if event.session_hash == request.session_hash and event.streaming:
                    event.run_time, event.closed = math.inf, True  # as its own /stream/ID/close does
                    event.signal.set()

        page.unload(leave)
        page.load(
            greet,
            None,
            [head, foot, notice, about, hint, timeline, gallery],
            queue=False,
            api_visibility="private",
            show_progress="hidden",
        )
    page.queue(max_size=LIMITS.queue, default_concurrency_limit=2, api_open=False)  # /run/ would pass the queue by
    return page, i18n
