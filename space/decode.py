"""A picture's file, whatever it is, to upright RGB pixels within the limits, or a sentence that says why not."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from space.limits import LIMITS
from space.text import Refusal, megabytes

# Pillow reads more, but these are what people have; fewer parsers, fewer doors.
Image.init()  # registers all of Pillow's formats, also those that `open` leaves for later
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")

MANY_COPIES = ("WEBP", "AVIF")  # their decoders hold a picture several times over: 20 bytes a pixel were seen
STRIP_ROWS = 64  # of a reduced picture, at a time
UPRIGHT = {  # by EXIF's orientation; Pillow's own `exif_transpose` fails where it can't write the other tags anew
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Gradio opens some pictures on its own: what is too large must fail there too, and not only warn.
Image.MAX_IMAGE_PIXELS = int(LIMITS.picture_megapixels * 1e6)
warnings.simplefilter("error", Image.DecompressionBombWarning)

# What Pillow's parsers have been seen to raise on damaged files, and the kin of it (zlib.error is no OSError).
BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(RuntimeError, MemoryError, struct.error, zlib.error),
)


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
    try:
        length = len(data) if isinstance(data, bytes) else data.stat().st_size
    except FileNotFoundError:
        raise Refusal("file_gone") from None
    if length > limits.picture_megabytes * 1e6:
        raise Refusal("picture_too_heavy", megabytes=megabytes(length), limit=f"{limits.picture_megabytes:g}")
    if length == 0:
        raise Refusal("picture_empty")
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS) as image:
            refuse_too_many_pixels(image, limits)
            return upright(image, limits)
    except Refusal:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refusal("picture_too_large", limit=f"{limits.picture_megapixels:g}") from None
    except Image.UnidentifiedImageError:
        raise Refusal("picture_unknown") from None
    except BROKEN as error:
        raise Refusal("picture_broken") from error


def refuse_too_many_pixels(image, limits):
    megapixels = image.width * image.height / 1e6
    if megapixels > limits.picture_megapixels:
        raise Refusal("picture_too_large", limit=f"{limits.picture_megapixels:g}")
    if image.format in MANY_COPIES and megapixels > limits.webp_megapixels:
        raise Refusal("picture_too_large_format", format=image.format, limit=f"{limits.webp_megapixels:g}")


def upright(image, limits=LIMITS):
    """RGB pixels of an opened Pillow `image`, first frame, EXIF's orientation applied, large ones reduced."""
    width, height = image.size
    divisor = 1
    while width * height / divisor**2 > limits.decoded_megapixels * 1e6:
        divisor *= 2
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (width // divisor, height // divisor))  # the JPEG decoder's own reduction, by 2, 4 or 8
    image.load()
    orientation = orientation_of(image)  # only now: Pillow turns TIFFs itself, and takes the tag away
    rgb = reduced_rgb(image, divisor * image.width // width)
    image.close()  # its pixels: four bytes for each of 50 million
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    return Picture(rgb, (height, width) if orientation in (5, 6, 7, 8) else (width, height))


def orientation_of(image):
    """EXIF's, 1 to 8; 1, as it is stored, where there is none that can be read: the pixels are what counts."""
    try:
        return image.getexif().get(0x0112, 1)
    except BROKEN:
        return 1


def reduced_rgb(image, divisor):
    """`to_rgb`, each side divided by `divisor`, in strips: copies of the whole would take hundreds of megabytes."""
    if divisor <= 1:
        return to_rgb(image, white_point([image]))
    rows = STRIP_ROWS * divisor
    boxes = [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]
    white = white_point(image.crop(box) for box in boxes)
    reduced = Image.new("RGB", (-(-image.width // divisor), -(-image.height // divisor)))
    for box in boxes:
        reduced.paste(to_rgb(image.crop(box), white).reduce(divisor), (0, box[1] // divisor))
    return reduced


def white_point(strips):
    """The value to show as white where the mode has no white of its own (I, F): by the brightest of all the pixels."""
    brightest, mode = 0.0, None
    for strip in strips:
        mode = strip.mode
        if mode not in ("I", "F"):
            return None
        brightest = max(brightest, finite(strip).max())
    if 1.0 < brightest <= 255.0:
        return 255.0
    return 65535.0 if mode == "I" else max(brightest, 1e-9)


def finite(image):
    return np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)


def to_rgb(image, white=None):
    """`image` of any of Pillow's modes as 8-bit RGB: 16 bits scaled (Pillow would clip them), transparency on white.

    `white` is the value of white in the modes I and F.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray((finite(image).clip(0, white) * (255.0 / white)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        background = Image.new("RGB", rgba.size, "white")
        background.paste(rgba, mask=rgba.getchannel("A"))
        return background
    return image.convert("RGB")
