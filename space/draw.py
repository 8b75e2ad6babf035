"""A picture with its faces drawn in, for files and videos. The page draws its own with HTML."""

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from space.emotions import colours_of
from space.text import emotion_name, percent

TIGHT = 12  # faces beyond which the tags on a picture show numbers only
FONT = Path(__file__).parent / "fonts" / "DejaVuSans-Latin.ttf"  # Pillow's own has no letter beyond ASCII
INK, PAPER = "#14161b", "#ffffff"


@cache
def font(size):
    return ImageFont.truetype(FONT, size)


def tag_text(number, label, p, crowded=False, language="en"):
    """What stands at a face: its number, and where there is room its emotion and probability."""
    return str(number) if crowded else f"{number} {emotion_name(language, label)} {percent(language, p)}"


def draw_faces(image, faces, label_names, unit=None):
    """A copy of the RGB Pillow `image` with `faces`: (box in its pixels, text, class index).

    `unit` is the text's height in pixels; without, it follows the picture's size.
    """
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    colours = colours_of(label_names)
    unit = unit or max(11, round(max(image.size) / 55))
    line = max(2, unit // 6)
    for (x, y, width, height), text, index in faces:
        colour = colours[label_names[index]].dark
        pen.rectangle((x - 1, y - 1, x + width, y + height), outline=INK, width=line + 2)
        pen.rectangle((x, y, x + width - 1, y + height - 1), outline=colour, width=line)
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font(unit))
        tag_width, tag_height = right - left + unit, bottom - top + unit * 0.7
        tag_left = max(0, min(x, image.width - tag_width))
        tag_top = y - tag_height if y > tag_height else y
        pen.rectangle((tag_left, tag_top, tag_left + tag_width, tag_top + tag_height), fill=INK)
        pen.rectangle((tag_left, tag_top, tag_left + unit * 0.3, tag_top + tag_height), fill=colour)
        pen.text((tag_left + unit * 0.6 - left, tag_top + unit * 0.35 - top), text, fill=PAPER, font=font(unit))
    return drawn


def annotated(analysis, picture, language="en"):
    """The decoded `picture` of an `Analysis`, drawn in; boxes are brought to its possibly reduced size."""
    crowded = len(analysis.faces) > TIGHT
    faces = []
    for number, face in enumerate(analysis.faces, 1):
        text = tag_text(number, analysis.label_names[face.winner], face.confidence, crowded, language)
        faces.append(([value / picture.scale for value in face.box], text, face.winner))
    return draw_faces(picture.image, faces, analysis.label_names)


def thumbnail(analysis, picture, side, unit):
    """At most `side` pixels of the `picture`, each face with its number only, `unit` pixels high."""
    small = picture.image.copy()
    small.thumbnail((side, side))
    factor = small.width / analysis.size[0]
    faces = [
        ([value * factor for value in face.box], str(number), face.winner)
        for number, face in enumerate(analysis.faces, 1)
    ]
    return draw_faces(small, faces, analysis.label_names, unit)


def save_png(image: Image.Image, path):
    image.save(path, "PNG", compress_level=4)
