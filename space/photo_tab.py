"""The tab for one picture, and the API's `/predict`."""

import base64
from pathlib import Path

import gradio as gr
import numpy as np

from space.analysis import Analyzer
from space.crop import SIDE
from space.decode import decode
from space.occlusion import occlusion_map
from space.picture_input import language_of, picture_input
from space.result_html import message_html, result_html
from space.text import Refusal, say

EXAMPLES = [Path(__file__).parent / "examples" / name for name in ("grace_hopper.jpg", "eileen_collins.jpg")]

ON_LOAD = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('.fer-occlude');
  if (button) window.ferOcclusion(button, (question) => server.occlusion(question));
});

/* Ctrl+V anywhere on the tab: Gradio itself only has a button for it. */
document.addEventListener('paste', (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith('image/'));
  const input = document.querySelector('#photo input[type=file]');
  if (!file || !input || !element.closest('[role=tabpanel]')?.checkVisibility()) return;
  const files = new DataTransfer();
  files.items.add(file);
  input.files = files.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
});

/* A saved picture has the pixels of the upright original, which the browser holds beside the result; where it can't
   show the original (TIFF), page.js saves the preview. */
element.addEventListener('click', (event) => {
  const button = event.target.closest('.fer-save[data-kind=png]');
  const original = document.querySelector('#photo img');
  if (!button || !original?.naturalWidth) return;
  const result = button.closest('.fer-result');
  const preview = result.querySelector('.fer-stage img');
  const { naturalWidth: width, naturalHeight: height } = original;
  if (Math.abs((width / height) * (preview.naturalHeight / preview.naturalWidth) - 1) > 0.02) return;
  event.stopPropagation();
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const pen = canvas.getContext('2d');
  const unit = Math.max(12, Math.round(Math.max(width, height) / 60));
  pen.drawImage(original, 0, 0);
  pen.font = `600 ${unit}px system-ui, sans-serif`;
  const boxes = result.querySelectorAll('.fer-box');
  JSON.parse(result.dataset.result).faces.forEach(({ box: [x, y, w, h] }, index) => {
    const text = boxes[index].textContent.trim();
    const top = y > unit * 1.6 ? y - unit * 1.5 : y;
    const colour = getComputedStyle(boxes[index]).getPropertyValue('border-top-color');
    pen.lineWidth = Math.max(2, unit / 6);
    pen.strokeStyle = colour;
    pen.strokeRect(x, y, w, h);
    pen.fillStyle = '#14161b';
    pen.fillRect(x, top, pen.measureText(text).width + unit, unit * 1.5);
    pen.fillStyle = colour;
    pen.fillRect(x, top, unit * 0.3, unit * 1.5);
    pen.fillStyle = '#fff';
    pen.fillText(text, x + unit * 0.6, top + unit * 1.1);
  });
  canvas.toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = 'faces.png';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, 'image/png');
});
"""


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
            return message_html(refusal.in_language(language), "fer-error"), gr.Button(visible=False)
        return result_html(analysis, decoded.image, language), gr.Button(visible=not analysis.faces)

    def predict(picture) -> dict:
        """Find the faces of a picture and read which of the model's expressions each shows.

        Args:
            picture: A picture's file, at most 20 MB and 50 megapixels: JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF.

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

    def occlusion(question):
        """Drops in probability [8][8] for {crop: the `data:` URL of a crop, class: its index}; [] for anything else."""
        try:
            image = decode(base64.b64decode(question["crop"].partition(",")[2])).image
            index = int(question["class"])
        except (Refusal, KeyError, TypeError, ValueError, AttributeError):
            return []
        if image.size != (SIDE, SIDE) or not 0 <= index < len(analyzer.classifier.label_names):
            return []
        return occlusion_map(analyzer.classifier, np.asarray(image.convert("L")), index).round(4).tolist()

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=280):
            photo = picture_input(
                label=i18n("your_picture"),
                sources=["upload", "clipboard", "webcam"],
                height=250,
                buttons=["fullscreen"],
                placeholder=i18n("picture_hint"),
                elem_id="photo",
            )
            example = gr.Button(i18n("example"), elem_id="example", size="md")
            whole = gr.Button(i18n("whole"), visible=False, variant="primary", elem_id="whole")
        with gr.Column(scale=3, min_width=320):
            hint = gr.HTML(message_html(say("en", "result_empty")), elem_id="hint", apply_default_css=False)
            result = gr.HTML(
                elem_id="result",
                js_on_load=ON_LOAD,
                server_functions=[occlusion],
                apply_default_css=False,
            )

    private = {"api_visibility": "private", "concurrency_id": "photo", "concurrency_limit": 2}
    photo.change(read, photo, [result, whole], show_progress="minimal", trigger_mode="always_last", **private)
    whole.click(read_whole, photo, [result, whole], show_progress="minimal", **private)
    example.click(lambda: str(EXAMPLES[0]), None, photo, **private)

    picture = picture_input(visible=False, label="picture", sources=["upload"])
    answer = gr.JSON(visible=False, label="answer")
    picture.input(predict, picture, answer, api_name="predict", queue=True, concurrency_id="photo", concurrency_limit=2)
    return hint
