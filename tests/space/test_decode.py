"""What the decoder makes of good, odd and bad files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from space.decode import decode
from space.limits import Limits
from space.text import Refusal
from tests.space.corpus import UNDO


def encoded(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def scene(width=60, height=40):
    """Left half red, right half blue, a white top-left corner: its orientation can be told."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (200, 30, 30)
    pixels[:, width // 2 :] = (30, 30, 200)
    pixels[: height // 4, : width // 4] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_reads_what_people_have(image_format):
    picture = decode(encoded(scene(), image_format))
    assert (picture.image.mode, picture.size) == ("RGB", (60, 40))
    assert np.abs(np.asarray(picture.image, int) - np.asarray(scene(), int)).mean() < 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_applies_every_orientation(orientation):
    stored = scene().transpose(UNDO[orientation]) if orientation > 1 else scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(stored, "PNG", exif=exif))
    assert picture.size == (60, 40)
    np.testing.assert_array_equal(np.asarray(picture.image), np.asarray(scene()))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_a_picture_whose_other_tags_pillow_can_not_write(orientation, image_format):
    """A resolution of "72" as text, as some programs write it."""
    tags = [(0x0112, 3, 1, struct.pack("<HH", orientation, 0)), (0x011A, 2, 3, b"72\0\0")]
    entries = b"".join(struct.pack("<HHI", *tag) + value for *tag, value in tags)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    stored = scene().transpose(UNDO[orientation]) if orientation > 1 else scene()
    picture = decode(encoded(stored, image_format, exif=exif))
    assert picture.size == (60, 40)
    assert np.abs(np.asarray(picture.image, int) - np.asarray(scene(), int)).mean() < 8


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage and no tags", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0"])
def test_shows_a_picture_whose_tags_can_not_be_read(exif, image_format):
    assert decode(encoded(scene(), image_format, exif=exif)).size == (60, 40)


def test_scales_16_bits_instead_of_clipping_them():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    grey = np.asarray(decode(encoded(Image.fromarray(ramp), "PNG")).image)[:, :, 0]
    assert abs(grey.mean() - 127.5) < 2
    assert len(np.unique(grey)) > 200


def test_puts_transparency_on_white():
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert np.asarray(decode(encoded(clear, "PNG")).image).min() == 255


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "I", "F"])
def test_reads_every_mode(mode):
    image_format = "TIFF" if mode in ("CMYK", "I", "F", "LA") else "PNG"
    source = scene().convert("L").convert(mode) if mode in ("I", "F", "LA") else scene().convert(mode)
    assert decode(encoded(source, image_format)).image.mode == "RGB"


def test_takes_the_first_picture_of_an_animation():
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data).image.getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_reduces_large_pictures_and_keeps_their_size(image_format):
    picture = decode(encoded(scene(1000, 800), image_format), Limits(decoded_megapixels=0.21))
    assert picture.image.size == (500, 400)
    assert picture.size == (1000, 800)
    assert picture.scale == 2.0


@pytest.mark.parametrize(
    "data, key",
    [
        (b"", "picture_empty"),
        (b"not a picture", "picture_unknown"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "picture_unknown"),
        (encoded(scene(), "PNG")[:80], "picture_broken"),
        (encoded(scene(600, 400), "JPEG")[:2000], "picture_broken"),
    ],
)
def test_says_what_is_wrong(data, key):
    with pytest.raises(Refusal) as caught:
        decode(data)
    assert caught.value.key == key


def test_refuses_by_weight_and_by_pixels():
    data = encoded(scene(200, 200), "PNG")
    with pytest.raises(Refusal, match=r"more than 0\.03 megapixels"):
        decode(data, Limits(picture_megapixels=0.03))
    with pytest.raises(Refusal, match=r"has 0\.1 MB; 1e-05 MB is the most"):
        decode(data, Limits(picture_megabytes=1e-5))


@pytest.mark.parametrize("length, said", [(20_000_001, "20.1"), (20_100_000, "20.1"), (20_450_000, "20.5")])
def test_what_is_too_heavy_reads_as_more_than_the_limit(length, said):
    with pytest.raises(Refusal, match=f"has {said} MB; 20 MB is the most"):
        decode(bytes(length))


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    with pytest.raises(Refusal) as caught:
        decode(bomb.getvalue())
    assert caught.value.key == "picture_too_large"


def test_damaged_files_end_in_a_sentence_or_a_picture():
    """Bits flipped and ends cut, by a fixed seed, in all formats."""
    draw = np.random.default_rng(0)
    for image_format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        data = encoded(scene(120, 90), image_format)
        for _ in range(30):
            damaged = bytearray(data[: draw.integers(1, len(data) + 1)])
            for place in draw.integers(0, len(damaged), size=draw.integers(1, 12)):
                damaged[place] ^= 1 << int(draw.integers(8))
            try:
                assert decode(bytes(damaged)).image.mode == "RGB"
            except Refusal as refusal:
                assert str(refusal)
