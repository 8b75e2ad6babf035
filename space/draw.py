"""A picture with its faces drawn in, for files and videos. The page draws its own with HTML."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont

from space.emotions import colours_of
from space.text import emotion_name


@cache
def font(size):
    return ImageFont.load_default(size)  # Pillow's own scalable one: the same on every machine


def draw_faces(image, faces, label_names, language="en"):
    """A copy of the RGB Pillow `image` with `faces`: (box in its pixels, text's number, class index, probability)."""
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    colours = colours_of(label_names)
    unit = max(11, round(max(image.size) / 55))
    line = max(2, unit // 6)
    for (x, y, width, height), number, index, p in faces:
        colour = colours[label_names[index]].dark
        pen.rectangle((x - 1, y - 1, x + width, y + height), outline="#14161b", width=line + 2)
        pen.rectangle((x, y, x + width - 1, y + height - 1), outline=colour, width=line)
        text = f"{number} {emotion_name(language, label_names[index])} {p:.0%}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font(unit))
        tag_height = bottom - top + unit * 0.7
        tag_top = y - tag_height if y > tag_height else y
        pen.rectangle((x, tag_top, x + right - left + unit, tag_top + tag_height), fill="#14161b")
        pen.rectangle((x, tag_top, x + unit * 0.3, tag_top + tag_height), fill=colour)
        pen.text((x + unit * 0.6 - left, tag_top + unit * 0.35 - top), text, fill="#ffffff", font=font(unit))
    return drawn


def annotated(analysis, picture, language="en"):
    """The decoded `picture` of an `Analysis`, drawn in; boxes are brought to its possibly reduced size."""
    scale = picture.scale
    faces = [
        ([value / scale for value in face.box], number, face.winner, face.confidence)
        for number, face in enumerate(analysis.faces, 1)
    ]
    return draw_faces(picture.image, faces, analysis.label_names, language)


def save_png(image: Image.Image, path):
    image.save(path, "PNG", compress_level=4)
