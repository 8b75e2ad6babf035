"""Serving the page: what Gradio is told, and the headers and bounds that every request meets."""

import json
import logging
import os
import sys

# Before Gradio is imported: no analytics, no version check, no telemetry to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
from gradio import processing_utils
from starlette.middleware import Middleware

from space.analysis import Analyzer
from space.classifier import ModelError
from space.limits import LIMITS
from space.page import build_page
from space.photo_tab import EXAMPLE
from space.text import say
from space.theme import css, head, theme

BASE64 = 4 / 3

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (
        b"content-security-policy",  # Gradio's page has inline scripts and styles; scripts of other hosts stay out
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        b"connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        b"frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    ),
]


# Gradio's own doors that this app has no use for: they fetch addresses, run ffmpeg on uploads, or show its insides.
CLOSED = ("proxy=", "process_recording", "vibe", "monitoring", "custom_component", "deep_link", "dev/", "runs")
API_PREFIX = "/gradio_api/"


def is_closed(path):
    """Whether a request's decoded path leads to one of the closed doors, or asks `/file=` for another host's file."""
    place = path.removeprefix(API_PREFIX).lstrip("/")
    name, _, file = place.partition("file=")
    return place.startswith(CLOSED) or (not name and "://" in file)


async def fetch_nothing(url, cache_dir):
    """In place of Gradio's download of an address in a request: visitors send pictures, we ask no other host."""
    raise gr.Error(say("en", "address_refused"), print_exception=False)


class Doorkeeper:
    """ASGI middleware: refuses bodies beyond the limits as they arrive and closed doors; adds `HEADERS` to answers."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if is_closed(scope["path"]):
            await self.answer(send, 404, "Not found.")
            return
        upload = scope["path"].endswith("/upload")
        limit = (LIMITS.video_megabytes if upload else LIMITS.picture_megabytes * BASE64) * 1e6 + 1e5
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            await self.refuse(send)
            return
        received, answered = 0, False

        async def counted():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return {"type": "http.disconnect"} if received > limit else message

        async def labelled(message):
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message = message | {"headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        await self.app(scope, counted, labelled)
        if not answered and received > limit:
            await self.refuse(send)

    async def refuse(self, send):
        await self.answer(
            send, 413, f"The request is too large: {LIMITS.picture_megabytes:g} MB for a picture is the most."
        )

    async def answer(self, send, status, sentence):
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *HEADERS]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps({"detail": sentence}).encode()})


def serve(analyzer: Analyzer, **launch):
    """Serve the page; keyword arguments go to Gradio's `launch`. Address and port: GRADIO_SERVER_NAME and _PORT."""
    processing_utils.async_ssrf_protected_download = fetch_nothing
    page, i18n = build_page(analyzer)
    return page.launch(
        theme=theme(),
        css=css(analyzer.classifier.label_names),
        head=head(),
        i18n=i18n,
        footer_links=["api"],
        allowed_paths=[str(EXAMPLE)],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        max_file_size=int(LIMITS.video_megabytes * 1e6),
        app_kwargs={"middleware": [Middleware(Doorkeeper)], "docs_url": None, "redoc_url": None, "openapi_url": None},
        **launch,
    )


def main():
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        analyzer = Analyzer.load()
    except (ModelError, FileNotFoundError) as error:
        sys.exit(f"app.py: {error}")
    analyzer.warm_up()
    logging.info(
        "model %s (%s), faces by %s", analyzer.source.name, analyzer.classifier.sha256[:12], analyzer.detector.name
    )
    serve(analyzer)
