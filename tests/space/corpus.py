"""Two hundred and more picture files, good, odd, broken and hostile, always the same ones for a seed.

Each `Sample` says what must come of it: "picture" (an answer, with the right size), "refusal" (a sentence), or "either"
(damaged files: some still hold a picture).
"""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

SEED = 7
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF")
SUFFIX = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "AVIF": "avif", "BMP": "bmp"}
UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Sample:
    """One file of the corpus; `make()` gives its bytes, so that the large ones exist only while they are used."""

    name: str
    expected: str
    make: Callable[[], bytes]
    size: tuple[int, int] | None = None
    """(width, height) upright, of a "picture" """
    faces: int | None = None
    """How many the answer must hold, where that is certain"""
    slow: bool = False
    """Tens of megapixels or megabytes: always taken, whatever the share of the corpus"""
    data_url: bool = False
    """Sent to the API as a `data:` URL"""


def portrait():
    """One face, 512x600, in the public domain."""
    return Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")


def encoded(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def cut(data, fraction):
    return data[: max(1, int(len(data) * fraction))]


def flipped(data, seed, count):
    """`data` with `count` bits flipped at places drawn with `seed`."""
    draw = np.random.default_rng([SEED, seed])
    damaged = bytearray(data)
    for place in draw.integers(0, len(damaged), size=count):
        damaged[place] ^= 1 << int(draw.integers(8))
    return bytes(damaged)


def flat_png(width, height, depth=1, colour=0):
    """A black PNG of any size in a few kilobytes, written without its pixels ever being in memory.

    `depth` is bits a channel; `colour` PNG's own number: 0 grey, 2 RGB, 6 RGBA.
    """

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    channels = {0: 1, 2: 3, 6: 4}[colour]
    packer, row = zlib.compressobj(1), bytes(1 + (width * depth * channels + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def phone_photograph():
    """A phone's 50 megapixels (8192 x 6144, 50.3) as it writes them: on its side, EXIF says so; the portrait in it."""
    face = portrait().resize((3072, 3600), Image.Resampling.BICUBIC)
    photograph = Image.new("RGB", (6144, 8192), (120, 140, 160))
    photograph.paste(face, (1500, 1500))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Phone"
    return encoded(photograph.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=80, exif=exif)


def oriented(orientation, image_format):
    stored = portrait().transpose(UNDO[orientation]) if orientation > 1 else portrait()
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, image_format, exif=exif)


def in_mode(mode):
    """The portrait in one of Pillow's modes, in a format that holds it."""
    grey = portrait().convert("L")
    if mode == "I;16":
        return encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG")
    if mode in ("LA", "I", "F"):
        return encoded(grey.convert(mode), "PNG" if mode == "LA" else "TIFF")
    if mode == "YCbCr":
        return encoded(portrait().convert(mode), "JPEG")
    return encoded(portrait().convert(mode), "TIFF" if mode == "CMYK" else "PNG")


def animated(image_format):
    frames = [portrait().resize((256, 300))] + [Image.new("RGB", (256, 300), c) for c in ("red", "blue")]
    return encoded(frames[0], image_format, save_all=True, append_images=frames[1:])


def build():
    """All samples, in a fixed order."""
    small = portrait().resize((128, 150))
    files = {image_format: encoded(small, image_format) for image_format in FORMATS}
    samples = []

    def add(name, expected, make, **about):
        make = make if callable(make) else lambda data=make: data
        samples.append(Sample(name, expected, make, **about))

    for image_format, data in files.items():
        suffix = SUFFIX[image_format]
        for percent in (1, 5, 10, 25, 40, 50, 60, 75, 90, 99):
            add(f"cut-{percent}.{suffix}", "either", lambda data=data, p=percent: cut(data, p / 100))
        for seed in range(18):
            count = (1, 3, 10, 100)[seed % 4]
            add(f"flipped-{seed}.{suffix}", "either", lambda data=data, s=seed, n=count: flipped(data, s, n))
        add(f"tail.{suffix}", "either", data + b"\0" * 5000)
    for image_format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        for orientation in range(1, 9):
            # Pillow's AVIF writer turns EXIF's orientation into AVIF's own, which its reader applies by itself.
            name = f"orientation-{orientation}.{SUFFIX[image_format]}"
            make = lambda o=orientation, f=image_format: oriented(o, f)  # noqa: E731
            add(name, "picture", make, size=(512, 600), faces=1)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"):
        faces = None if mode == "1" else 1  # one bit a pixel is too rough to promise a face
        add(f"mode-{mode.replace(';', '-')}", "picture", lambda m=mode: in_mode(m), size=(512, 600), faces=faces)
    for image_format in ("GIF", "PNG", "WEBP", "TIFF"):
        add(f"animated.{SUFFIX[image_format]}", "picture", lambda f=image_format: animated(f), size=(256, 300), faces=1)
    plain = {"JPEG": {"quality": 95}, "PNG": {}, "WEBP": {}, "TIFF": {}, "BMP": {}, "AVIF": {}}
    for image_format, options in plain.items():
        make = lambda f=image_format, o=options: encoded(portrait(), f, **o)  # noqa: E731
        add(f"plain.{SUFFIX[image_format]}", "picture", make, size=(512, 600), faces=1)
    add("progressive.jpg", "picture", lambda: encoded(portrait(), "JPEG", progressive=True), size=(512, 600), faces=1)
    add("wrong-suffix.png", "picture", lambda: encoded(portrait(), "JPEG"), size=(512, 600), faces=1)
    for width, height in ((1, 1), (1, 20_000), (20_000, 1), (2, 2), (7, 7), (8, 8), (3000, 9)):
        make = lambda w=width, h=height: encoded(Image.new("RGB", (w, h), "grey"), "PNG")  # noqa: E731
        add(f"{width}x{height}.png", "picture", make, size=(width, height), faces=0)
    noise = lambda: np.random.default_rng(SEED).bytes(20_000)  # noqa: E731
    add("empty.jpg", "refusal", b"")
    add("one-zero.jpg", "refusal", b"\0")
    add("zeros.png", "refusal", bytes(100_000))
    add("text.jpg", "refusal", b"This is no picture.\n" * 50)
    add("noise.jpg", "refusal", noise)
    add("noise-after-magic.jpg", "refusal", lambda: b"\xff\xd8\xff\xe0" + noise())
    add("noise-after-magic.png", "refusal", lambda: b"\x89PNG\r\n\x1a\n" + noise())
    add("noise-after-magic.tif", "refusal", lambda: b"II*\0\x08\0\0\0" + noise())
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>fetch("http://127.0.0.1")</script></svg>'
    )
    add("drawing.svg", "refusal", svg)
    add("drawing.png", "refusal", svg)
    add("page.html.jpg", "refusal", b"<!doctype html><script>alert(1)</script>")
    add("archive.zip.jpg", "refusal", b"PK\x03\x04" + bytes(500))
    add("document.pdf", "refusal", b"%PDF-1.7\n%%EOF")
    add("postscript.eps", "refusal", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n")
    add("python.pickle.jpg", "refusal", b"\x80\x04cos\nsystem\n(S'touch /tmp/opened'\ntR.")
    add("bomb-100.png", "refusal", lambda: flat_png(10_000, 10_000), slow=True)
    add("bomb-400.png", "refusal", lambda: flat_png(20_000, 20_000), slow=True)
    add("bomb-50.webp", "refusal", lambda: encoded(Image.new("RGB", (10_000, 5000)), "WEBP", method=0), slow=True)
    for name, depth, colour in (("grey-16", 16, 0), ("rgb", 8, 2), ("rgba", 8, 6)):
        make = lambda d=depth, c=colour: flat_png(10_000, 5000, d, c)  # noqa: E731
        add(f"50-megapixels-{name}.png", "picture", make, size=(10_000, 5000), faces=0, slow=True)
    size_of_16 = struct.pack(">II", 16, 16)
    add("claims-4-gigapixels.png", "refusal", lambda: flat_png(16, 16).replace(size_of_16, b"\0\0\xff\xff" * 2))
    add("bomb-100.gif", "refusal", lambda: b"GIF89a" + struct.pack("<HH", 10_000, 10_000) + bytes(50), slow=True)
    add("50-megabytes.jpg", "refusal", lambda: encoded(portrait(), "JPEG") + bytes(50_000_000), slow=True)
    make = lambda: encoded(portrait(), "PNG") + bytes(21_000_000)  # noqa: E731
    add("data-url-over-the-limit", "refusal", make, slow=True, data_url=True)
    add("data-url", "picture", lambda: encoded(portrait(), "PNG"), size=(512, 600), faces=1, data_url=True)
    add("phone-50-megapixels.jpg", "picture", phone_photograph, size=(6144, 8192), faces=1, slow=True)
    return samples


def share(samples, parts):
    """Every sample that is `slow`, and one of `parts` of the others, drawn with `SEED`."""
    quick = [sample for sample in samples if not sample.slow]
    chosen = np.random.default_rng(SEED).permutation(len(quick))[: -(-len(quick) // parts)]
    return [quick[i] for i in sorted(chosen)] + [sample for sample in samples if sample.slow]


def data_url(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()
