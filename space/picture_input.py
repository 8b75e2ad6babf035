"""A `gr.Image` whose value reaches our own decoder: Gradio would decode it before any limit of ours."""

import base64
import binascii
from pathlib import Path

import gradio as gr

from space.text import preferred_language, say


def picture_input(**options):
    """A `gr.Image` that gives its function a path to the upload, or the bytes of a `data:` URL, or None when empty.

    Only this object's method is replaced: for a subclass Gradio would look for a front end of its own, and write a
    .pyi file beside ours.
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
    try:
        path = Path(payload.path or "").resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have
        path = Path("/")
    # Gradio checks this only where the payload has a "meta"; without, any picture of the machine would be read.
    if not path.is_relative_to(Path(gr.utils.get_upload_folder()).resolve()):
        raise gr.Error(say("en", "address_refused"), print_exception=False)
    return path


def language_of(request):
    """The language that the browser of a `gr.Request` asks for; English for programs."""
    return preferred_language(request.headers.get("accept-language")) if request else "en"
