"""The tab for the webcam: a notice first, then the camera with what is read beside it."""

from html import escape

import gradio as gr

from space.analysis import Analyzer
from space.decode import decode
from space.limits import LIMITS
from space.live import LiveSession, live_step
from space.picture_input import language_of, picture_input
from space.result_html import message_html
from space.text import Refusal, duration, say

EVERY_SECONDS = 0.066  # 15 pictures a second; the server takes the newest and drops what it can't keep up with
CAMERA = {"video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "facingMode": "user"}}


def notice_html(language, classes):
    """What is done with the camera's pictures; `classes` is how many expressions the model knows."""
    values = {"classes": classes, "duration": duration(language, LIMITS.state_seconds)}
    values["uploads"] = duration(language, LIMITS.upload_seconds)
    points = "".join(
        f"<li>{escape(say(language, f'notice_{key}', **values))}</li>"
        for key in ("computed", "stored", "meaning", "law")
    )
    return f'<section class="fer-notice"><h2>{escape(say(language, "notice_title"))}</h2><ul>{points}</ul></section>'


def consent_html(language, classes):
    """The same notice for `space/page.js`, which shows it before any camera starts, the photo tab's too."""
    words = {"accept": "notice_accept", "cancel": "notice_cancel", "allow": "camera_allow"}
    words |= {"refused": "camera_refused", "missing": "camera_missing"}
    data = " ".join(f'data-{name}="{escape(say(language, key))}"' for name, key in words.items())
    return f'<div id="fer-consent" hidden {data}>{notice_html(language, classes)}</div>'


def build(analyzer: Analyzer, i18n):
    """Lay the tab out and wire it; returns the notice's component."""

    def accept(request: gr.Request):
        empty = message_html(say(language_of(request), "live_empty"))
        return gr.Column(visible=False), gr.Column(visible=True), empty

    def step(picture, session, request: gr.Request):
        if picture is None:
            return gr.skip(), session
        language = language_of(request)
        try:
            return live_step(analyzer, decode(picture), session, language), session
        except Refusal as refusal:
            return message_html(refusal.in_language(language), "fer-error"), session

    with gr.Column(elem_id="notice-column") as before:
        notice = gr.HTML(
            notice_html("en", len(analyzer.classifier.label_names)), elem_id="notice", apply_default_css=False
        )
        accepted = gr.Button(i18n("notice_accept"), variant="primary", elem_id="accept")
    with gr.Column(visible=False, elem_id="live-column") as after, gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            camera = picture_input(
                label=i18n("camera"),
                sources=["webcam"],
                streaming=True,
                webcam_options=gr.WebcamOptions(mirror=True, constraints=CAMERA),
                buttons=[],
                elem_id="camera",
            )
        with gr.Column(scale=2, min_width=280):
            result = gr.HTML(elem_id="live-result", apply_default_css=False, min_height=330)
    session = gr.State(LiveSession(), time_to_live=LIMITS.state_seconds)

    accepted.click(accept, None, [before, after, result], api_visibility="private", queue=False)
    camera.stream(
        step,
        [camera, session],
        [result, session],
        stream_every=EVERY_SECONDS,
        time_limit=LIMITS.stream_seconds,
        concurrency_id="live",
        concurrency_limit=LIMITS.streams,
        show_progress="hidden",
        api_visibility="private",
    )
    return notice
