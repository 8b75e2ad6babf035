"""The tab for one picture, and the API's `/predict`."""

import base64
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from threading import BoundedSemaphore

import gradio as gr
import numpy as np
from PIL import Image

from space.analysis import Analyzer
from space.crop import SIDE
from space.decode import FORMATS, decode, orientation_of
from space.limits import LIMITS
from space.occlusion import occlusion_map
from space.picture_input import language_of, picture_input
from space.result_html import data_url, message_html, result_html
from space.text import Refusal, say

CROP = replace(LIMITS, picture_megapixels=SIDE**2 / 1e6, webp_megapixels=SIDE**2 / 1e6)  # a question's, unqueued
EXAMPLES = [Path(__file__).parent / "examples" / name for name in ("grace_hopper.jpg", "eileen_collins.jpg")]

ICON_SIDE = 96  # pixels

ON_LOAD = "window.ferOcclusion = (question) => server.occlusion(question);"  # asked by page.js


def portrait(path):
    """A `data:` URL for an example's button: a file that Gradio serves would be deleted with the uploads."""
    image = decode(path).image
    image.thumbnail((ICON_SIDE, ICON_SIDE))
    return data_url(image)


def folder_of(picture):
    """Gradio's hash of a picture's file, by which `space/page.js` finds the original among the page's pictures.

    "" where a browser may show it another way up: Chromium shows a WebP as it is stored, whatever its EXIF says.
    """
    if not isinstance(picture, Path):
        return ""
    try:
        with Image.open(picture, formats=FORMATS) as image:
            upright = image.format in ("JPEG", "MPO", "PNG") or orientation_of(image) == 1
    except OSError:  # removed since it was read
        return ""
    return picture.parent.name if upright else ""


def build(analyzer: Analyzer, i18n):
    """Lay the tab out and wire it; returns the hint's component, whose text depends on the language."""

    def read(picture, request: gr.Request):
        """The picture's result, and whether to offer it as one face."""
        return shown(picture, request, whole=False)

    def read_whole(picture, request: gr.Request):
        return shown(picture, request, whole=True)

    def shown(picture, request, whole):
        language = language_of(request)
        if picture is None:
            return "", gr.Button(visible=False)  # the hint shows again
        try:
            decoded, analysis = analyzer.analyse_file(picture, whole)
        except Refusal as refusal:
            message = message_html(refusal.in_language(language), "fer-error", token_hex(4))
            return message, gr.Button(visible=False)
        return result_html(analysis, decoded.image, language, folder_of(picture)), gr.Button(visible=not analysis.faces)

    def predict(picture) -> dict:
        """Find the faces of a picture and read which of the model's expressions each shows.

        Args:
            picture: A picture's file, at most 20 MB: JPEG, PNG, GIF, TIFF or BMP of 51 megapixels, WebP or AVIF of 16.

        Returns:
            faces: for each its box [x, y, width, height] in pixels of the upright picture, emotion, confidence and
            probabilities (0 to 1); model, detector, and timing_ms in milliseconds. An expression is not a feeling.
        """
        if picture is None:
            raise gr.Error(say("en", "picture_missing"), print_exception=False)
        try:
            return analyzer.analyse_file(picture)[1].as_json()
        except Refusal as refusal:
            raise gr.Error(str(refusal), print_exception=False) from None

    maps = BoundedSemaphore(LIMITS.occlusions)  # Gradio runs a component's functions beside its queue

    def occlusion(question):
        """Drops in probability [8][8] for {crop: the `data:` URL of a crop, class: its index}; [] for anything else."""
        try:
            image = decode(base64.b64decode(question["crop"].partition(",")[2]), CROP).image
            index = int(question["class"])
        except (Refusal, KeyError, TypeError, ValueError, AttributeError):
            return []
        if image.size != (SIDE, SIDE) or not 0 <= index < len(analyzer.classifier.label_names):
            return []
        if not maps.acquire(blocking=False):
            return []  # as for what is no question: the page does without
        try:
            return occlusion_map(analyzer.classifier, np.asarray(image.convert("L")), index).round(4).tolist()
        finally:
            maps.release()

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=280):
            photo = picture_input(
                label=i18n("your_picture"),
                sources=["upload", "clipboard", "webcam"],
                height=250,
                buttons=[],
                placeholder=i18n("picture_hint"),
                elem_id="photo",
            )
            with gr.Row(elem_id="examples"):
                examples = [
                    gr.Button(
                        i18n(f"example_{number}"),
                        icon={"path": path.name, "url": portrait(path)},
                        size="md",
                        min_width=120,
                        elem_id="example" if number == 1 else None,
                    )
                    for number, path in enumerate(EXAMPLES, 1)
                ]
        with gr.Column(scale=3, min_width=320):
            hint = gr.HTML(message_html(say("en", "result_empty")), elem_id="hint", apply_default_css=False)
            result = gr.HTML(
                elem_id="result",
                js_on_load=ON_LOAD,
                server_functions=[occlusion],
                apply_default_css=False,
            )
            whole = gr.Button(i18n("whole"), visible=False, variant="primary", elem_id="whole")

    private = {"api_visibility": "private", "concurrency_id": "photo", "concurrency_limit": 2}
    photo.change(read, photo, [result, whole], show_progress="minimal", trigger_mode="always_last", **private)
    whole.click(read_whole, photo, [result, whole], show_progress="minimal", **private)
    for button, path in zip(examples, EXAMPLES, strict=True):
        button.click(lambda path=path: str(path), None, photo, **private)

    picture = picture_input(visible=False, label="picture", sources=["upload"])
    answer = gr.JSON(visible=False, label="answer")
    picture.input(predict, picture, answer, api_name="predict", queue=True, concurrency_id="photo", concurrency_limit=2)
    return hint
