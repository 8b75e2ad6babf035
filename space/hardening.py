"""What Gradio does otherwise than this app promises, put right in one place; `apply` before a page is built."""

import asyncio
import atexit
import contextlib
import itertools
import math
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there what a killed process leaves stays
    fcntl = None

import gradio as gr
from fastapi import HTTPException
from gradio import processing_utils, route_utils, routes, state_holder, utils
from jinja2 import ChoiceLoader, DictLoader

from space.limits import LIMITS
from space.memory import return_free_memory
from space.picture_input import language_of
from space.rates import Rate
from space.text import preferred_language, say

BUSY_SECONDS = 10  # what a refused program is told to wait
ARRIVING = set()  # parsers of uploads that are under way
UNREAD = 4  # sessions whose answers are kept until somebody fetches them, for each place in the queue
FRONT_PAGE = "frontend/index.html"
ONE_LANGUAGE = """<script>
  (() => { /* before Gradio's own scripts: this is where it looks for its language */
    const ours = "{{ our_language(request) }}";
    const tag = navigator.languages.find((tag) => tag.split("-")[0].toLowerCase() === ours) ?? ours;
    Object.defineProperty(navigator, "language", { value: tag, configurable: true });
    Object.defineProperty(navigator, "languages", { value: [tag], configurable: true });
  })();
</script>"""


def apply():
    """Nothing is fetched for visitors, kept of them in memory, or left on the disk where they break off; and the page
    speaks one language."""
    own_upload_folder()
    processing_utils.async_ssrf_protected_download = fetch_nothing
    state_holder.SessionState._update_value_in_config = keep_no_value
    state_holder.SessionState.__init__ = forgetting_soon(state_holder.SessionState.__init__)
    route_utils.GradioMultiPartParser.parse = leaving_nothing(route_utils.GradioMultiPartParser.parse)
    speak_one_language(routes.templates.env)
    if "SPACE_ID" in os.environ:
        os.environ["FORWARDED_ALLOW_IPS"] = ""  # there we read X-Forwarded-For ourselves
    else:
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # uvicorn would believe any process of this machine


def own_upload_folder():
    """Give Gradio a folder that is this process's alone, in GRADIO_TEMP_DIR: all that is in it may be deleted.

    It is locked for as long as the process lives; one that nobody has locked was left by a process that was killed, and
    goes. The name has the machine's in it, since not every shared disk tells other machines of a lock.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f"fer-uploads-{socket.gethostname()}-"
    with contextlib.suppress(OSError):  # a folder that may not be listed
        for path in parent.iterdir():
            if path.name.startswith(prefix) and (lock := locked(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix="fer-", dir=parent))
    locked(folder)  # before it has the name: a process that starts just now would take it for a left one
    folder = folder.rename(parent / f"{prefix}{folder.name.removeprefix('fer-')}")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def locked(folder):
    """A descriptor that holds the lock of `folder` until it is closed, or the process ends in whatever way; None where
    another process holds it, or where this is no folder, or not this user's."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    os.close(descriptor)
    return None


async def fetch_nothing(url, cache_dir):
    """In place of Gradio's download of an address in a request: visitors send pictures, we ask no other host."""
    raise gr.Error(say("en", "address_refused"), print_exception=False)


def keep_no_value(session, key, value):
    """In place of Gradio's copy of every input and output (pictures, too) for deep links, for an hour and more."""


def forgetting_soon(initialise):
    """Gradio keeps the state of a closed tab for an hour, whatever its own time to live."""

    def initialise_and_shorten(session, *arguments, **options):
        initialise(session, *arguments, **options)
        session.STATE_TTL_WHEN_CLOSED = LIMITS.state_seconds

    return initialise_and_shorten


def leaving_nothing(parse):
    """Gradio's parser of uploads removes its temporary files after a parser's error, not when a client breaks off."""

    async def parse_or_remove(parser):
        ARRIVING.add(parser)
        try:
            return await parse(parser)
        except BaseException:
            for file in parser._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise
        finally:
            ARRIVING.discard(parser)

    return parse_or_remove


def speak_one_language(templates):
    """Gradio has words in thirty languages: those of the page become the one that ours are in for the same browser.

    `launch(head=…)` would come too late, after Gradio has chosen.
    """
    templates.globals["our_language"] = language_of
    page = templates.loader.get_source(templates, FRONT_PAGE)[0]
    page = page.replace('lang="en"', 'lang="{{ our_language(request) }}"', 1)
    page = page.replace("<head>", f"<head>{ONE_LANGUAGE}", 1)
    templates.loader = ChoiceLoader([DictLoader({FRONT_PAGE: page}), templates.loader])


class RecentlyUsed(utils.LRUCache):
    """Forgets what was used least recently; Gradio's own forgets what is oldest, a long stream in use as well.

    Gradio's queue would also stop for good at its first message to a session that waits but is forgotten.
    """

    def __getitem__(self, key):
        if key in self:
            self.move_to_end(key)
        return super().__getitem__(key)

    def __missing__(self, key):
        return asyncio.Queue()  # read by nobody

    def __delitem__(self, key):
        if key in self:
            super().__delitem__(key)


def guard(queue, limits=LIMITS):
    """Let Gradio's `queue` refuse in the reader's language: that the app is busy, or that a session asks too often.

    As 429, since for Gradio's own 503 its page shows an English sentence of its own; a refused camera, which Gradio
    lets wait for ever, is stopped by `space/page.js`. And a stream ends with the connection that reads it: Gradio would
    hold its place until the turn is over.
    """
    rate, push, clean = Rate(limits.session_requests_per_minute), queue.push, queue.clean_events
    queue.pending_messages_per_session = unread = RecentlyUsed(UNREAD * limits.queue)

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

    async def end_and_clean(*, session_hash=None, event_id=None):
        for event in list(queue.event_ids_to_events.values()):
            if event.streaming and (event.session_hash == session_hash or event._id == event_id):
                event.run_time, event.closed = math.inf, True  # as Gradio's own /stream/ID/close does
                event.signal.set()
        await clean(session_hash=session_hash, event_id=event_id)

    queue.push, queue.clean_events = push_or_refuse, end_and_clean
    route_utils.delete_files_created_by_app = delete_all_but_waiting(queue, route_utils.delete_files_created_by_app)


def delete_all_but_waiting(queue, delete):
    """Gradio's deletion of old files, and of those that it loses sight of (its file input makes some); uploads that are
    still arriving, or whose questions wait or are worked on, are old from the last look."""

    def delete_old(blocks, age):
        arriving = [file.name for parser in list(ARRIVING) for file in list(parser._files_to_close_on_error)]
        events = list(queue.event_ids_to_events.values())
        waiting = [path for event in events for path in uploads_in(event.data.data if event.data else [])]
        for path in arriving + waiting:
            with contextlib.suppress(OSError):  # gone meanwhile
                os.utime(path)
        with contextlib.suppress(RuntimeError, OSError):  # a set of files that grows meanwhile; Gradio's task would end
            delete(blocks, age)
        old = time.time() - (age or 0) - 1
        for folder, *names in os.walk(utils.get_upload_folder(), topdown=False):  # passes over what is gone meanwhile
            for path in (Path(folder, name) for name in itertools.chain(*names)):
                with contextlib.suppress(OSError):  # gone, or a folder that is not empty
                    if path.lstat().st_ctime < old:
                        path.unlink() if path.is_symlink() or path.is_file() else path.rmdir()
        return_free_memory()

    return delete_old


def uploads_in(values):
    """The files that a question's values name and that are uploads: no other of the machine is touched."""
    folder = Path(utils.get_upload_folder()).resolve()
    for value in values:
        for file in value if isinstance(value, list) else [value]:
            name = file.get("path") if isinstance(file, dict) else None
            with contextlib.suppress(OSError, ValueError, RuntimeError):  # a name that no file can have
                if isinstance(name, str) and (path := Path(name).resolve()).is_relative_to(folder) and path.is_file():
                    yield path
