"""A picture's file, whatever it is, to upright RGB pixels within the limits, or a sentence that says why not."""

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from space.limits import LIMITS
from space.text import Refusal

# Pillow reads more, but these are what people have; fewer parsers, fewer doors.
Image.init()  # registers all of Pillow's formats, also those that `open` leaves for later
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")

# Gradio opens some pictures on its own: what is too large must fail there too, and not only warn.
Image.MAX_IMAGE_PIXELS = int(LIMITS.picture_megapixels * 1e6)
warnings.simplefilter("error", Image.DecompressionBombWarning)

BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError)


@dataclass(frozen=True)
class Picture:
    """An upright picture. `image` is RGB and may be smaller than the original, whose (width, height) is `size`."""

    image: Image.Image
    size: tuple[int, int]

    @property
    def scale(self):
        """Pixels of the original for one pixel of `image`."""
        return self.size[0] / self.image.width


def decode(source, limits=LIMITS):
    """Decode `source` (a path or the file's bytes) to a `Picture`; raises `Refusal` with a sentence for people."""
    data = source if isinstance(source, bytes) else Path(source)
    length = len(data) if isinstance(data, bytes) else data.stat().st_size
    if length > limits.picture_megabytes * 1e6:
        raise Refusal("picture_too_heavy", megabytes=f"{length / 1e6:.0f}", limit=f"{limits.picture_megabytes:g}")
    if length == 0:
        raise Refusal("picture_empty")
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS) as image:
            refuse_too_many_pixels(image.size, limits)
            return upright(image, limits)
    except Refusal:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refusal("picture_too_large", limit=f"{limits.picture_megapixels:g}") from None
    except Image.UnidentifiedImageError:
        raise Refusal("picture_unknown") from None
    except BROKEN as error:  # what Pillow's parsers raise on damaged files
        raise Refusal("picture_broken") from error


def refuse_too_many_pixels(size, limits):
    if size[0] * size[1] > limits.picture_megapixels * 1e6:
        raise Refusal("picture_too_large", limit=f"{limits.picture_megapixels:g}")


def upright(image, limits=LIMITS):
    """RGB pixels of an opened Pillow `image`, first frame, EXIF's orientation applied, large ones reduced."""
    width, height = image.size
    orientation = image.getexif().get(0x0112, 1)
    divisor = 1
    while width * height / divisor**2 > limits.decoded_megapixels * 1e6:
        divisor *= 2
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (width // divisor, height // divisor))  # the JPEG decoder's own reduction, by 2, 4 or 8
    rgb = to_rgb(image)
    remaining = divisor * rgb.width // width
    if remaining > 1:
        rgb = rgb.reduce(remaining)
    rgb.getexif()[0x0112] = orientation
    ImageOps.exif_transpose(rgb, in_place=True)
    return Picture(rgb, (height, width) if orientation in (5, 6, 7, 8) else (width, height))


def to_rgb(image):
    """`image` of any of Pillow's modes as 8-bit RGB: 16 bits scaled (Pillow would clip them), transparency on white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        values = np.asarray(image, dtype=np.float64)
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
        top = 255.0 if 1.0 < values.max() <= 255.0 else 65535.0 if image.mode == "I" else max(values.max(), 1e-9)
        return Image.fromarray((values.clip(0, top) * (255.0 / top)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        background = Image.new("RGB", rgba.size, "white")
        background.paste(rgba, mask=rgba.getchannel("A"))
        return background
    return image.convert("RGB")
