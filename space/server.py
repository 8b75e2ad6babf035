"""Serving the page: what Gradio is told."""

import logging
import os
import signal
import sys

# Before Gradio is imported: no analytics, no version check, no telemetry to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")  # its table of requests, summed up after every refusal

from starlette.middleware import Middleware

from space import hardening
from space.analysis import Analyzer
from space.classifier import ModelError
from space.doorkeeper import Doorkeeper
from space.limits import LIMITS
from space.memory import share_heaps
from space.page import build_page
from space.photo_tab import EXAMPLES
from space.theme import css, head, theme

SESSIONS = 200  # whose numbers are remembered at a time; Gradio's default of 10,000 is a gigabyte and more


def serve(analyzer: Analyzer, **launch):
    """Serve the page; keyword arguments go to Gradio's `launch`. Address and port: GRADIO_SERVER_NAME and _PORT."""
    hardening.apply()
    page, i18n = build_page(analyzer)
    hardening.guard(page._queue)
    return page.launch(
        theme=theme(),
        css=css(analyzer.classifier.label_names),
        head=head(),
        i18n=i18n,
        footer_links=["api"],
        allowed_paths=[str(path) for path in EXAMPLES],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        state_session_capacity=SESSIONS,
        max_file_size=int(LIMITS.video_megabytes * 1e6),
        app_kwargs={"middleware": [Middleware(Doorkeeper)], "docs_url": None, "redoc_url": None, "openapi_url": None},
        **launch,
    )


def end_as_ctrl_c_does():
    """`kill`, a container's end and a closed terminal end the app as Ctrl+C does: uploads are deleted."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no second
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # `nohup` has the second ignored
            signal.signal(number, signal.default_int_handler)


def main():
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    share_heaps()
    try:
        analyzer = Analyzer.load()
    except (ModelError, OSError) as error:
        sys.exit(f"app.py: {error}")
    end_as_ctrl_c_does()
    analyzer.warm_up()
    logging.info(
        "model %s (%s), faces by %s", analyzer.source.name, analyzer.classifier.sha256[:12], analyzer.detector.name
    )
    serve(analyzer)
