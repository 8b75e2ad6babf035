"""A `gr.Image` whose value reaches our own decoder: Gradio would decode it before any limit of ours."""

import base64
import binascii
from pathlib import Path

import gradio as gr

from space.text import preferred_language


def picture_input(**options):
    """A `gr.Image` that gives its function a path to the upload, or the bytes of a `data:` URL, or None when empty.

    Only this object's method is replaced: for a subclass Gradio would look for a front end of its own, and write a
    .pyi file beside ours. That the path is an upload, and no other file of the machine, Gradio has checked before.
    """
    image = gr.Image(type="filepath", image_mode=None, **options)
    image.preprocess = undecoded
    return image


def undecoded(payload):
    if payload is None:
        return None
    if payload.url and payload.url.startswith("data:"):
        try:
            return base64.b64decode(payload.url.partition(",")[2], validate=True)
        except binascii.Error:
            return b"broken"  # no picture either: the decoder has the sentence
    return Path(payload.path)


def language_of(request):
    """The language that the browser of a `gr.Request` asks for; English for programs."""
    return preferred_language(request.headers.get("accept-language")) if request else "en"
