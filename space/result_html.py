"""The result of one picture as HTML: the picture with its faces, a list to choose from, and a panel for each face.

Everything is there in text, so that it also works for a screen reader, to which `space/page.js` also says it once;
that script shows the chosen face and asks for its occlusion map. Pictures stand in the page itself (`data:` URLs): no
file is left behind.
"""

import base64
import io
import json
import secrets
from html import escape

import numpy as np
from PIL import Image

from space.analysis import WHOLE
from space.crop import SIDE
from space.draw import TIGHT
from space.text import emotion_name, faces_found, percent, say

PREVIEW_SIDE = 1280  # pixels; what a page shows


def data_url(image, image_format="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return f"data:image/{image_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def preview(image):
    factor = min(1.0, PREVIEW_SIDE / max(image.size))
    size = tuple(max(1, round(length * factor)) for length in image.size)
    # a gap of 1: a mean of whole pixels first, which takes a quarter of the time of bicubic alone
    small = image if factor == 1 else image.resize(size, Image.Resampling.BICUBIC, reducing_gap=1.0)
    return data_url(small, quality=88)


def cells(grid):
    """Evidence [h, w] as opacities 0 to 1: what speaks for the class, relative to the strongest cell."""
    positive = np.maximum(grid - min(0.0, float(np.median(grid))), 0.0)
    return positive / max(float(positive.max()), 1e-9)


def cell_rects(grid):
    """SVG rectangles of `grid` [h, w] of opacities over a square of `SIDE` units."""
    rows, columns = grid.shape
    width, height = SIDE / columns, SIDE / rows
    return "".join(
        f'<rect x="{column * width:.2f}" y="{row * height:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'fill-opacity="{0.6 * grid[row, column]:.2f}"/>'
        for row in range(rows)
        for column in range(columns)
    )


def bars(label_names, probabilities, language):
    """The probabilities as a table with a bar in each row, the most probable class marked."""
    winner = int(np.argmax(probabilities))
    rows = "".join(
        f'<tr class="{"fer-top" if index == winner else ""}" style="--c:var(--fer-{index})">'
        f'<th scope="row">{escape(emotion_name(language, label))}</th>'
        f'<td class="fer-track"><span class="fer-bar" style="width:{p * 100:.1f}%"></span></td>'
        f'<td class="fer-value">{percent(language, p)}</td></tr>'
        for index, (label, p) in enumerate(zip(label_names, map(float, probabilities), strict=True))
    )
    head = (
        f'<th scope="col">{say(language, "emotion")}</th><td></td><th scope="col">{say(language, "probability")}</th>'
    )
    return f'<table class="fer-bars"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def face_words(analysis, index, language, key):
    face = analysis.faces[index]
    name = emotion_name(language, analysis.label_names[face.winner])
    return say(language, key, number=index + 1, emotion=name, percent=percent(language, face.confidence))


def stage(analysis, image, language, uid):
    """The picture with a labelled box for each face (a click chooses it) and the chosen face's maps."""
    width, height = analysis.size
    boxes, maps = [], []
    for index, face in enumerate(analysis.faces):
        x, y, w, h = face.box
        place = f"left:{x / width:.3%};top:{y / height:.3%};width:{w / width:.3%};height:{h / height:.3%}"
        name = escape(emotion_name(language, analysis.label_names[face.winner]))
        tag = f"<span>{index + 1}</span>"
        if len(analysis.faces) <= TIGHT:
            tag += f' <span class="fer-name">{name}</span> <span>{percent(language, face.confidence)}</span>'
        where = " fer-inside" * (y / height < 0.06) + " fer-left" * ((x + w / 2) / width > 0.6)
        boxes.append(
            f'<label class="fer-box" for="{uid}-{index}" data-face="{index}" aria-hidden="true" '
            f'style="{place};--c:var(--fer-{face.winner})"><span class="fer-tag{where}">{tag}</span></label>'
        )
        frame = face.frame
        left, top = frame.centre[0] - frame.side / 2, frame.centre[1] - frame.side / 2
        turn = f"rotate({frame.angle:.2f} {frame.centre[0]:.1f} {frame.centre[1]:.1f})"
        place = f"{turn} translate({left:.1f} {top:.1f}) scale({frame.side / SIDE:.4f})"
        maps.append(f'<g class="fer-of" data-face="{index}" transform="{place}"{hidden(index)}>{map_groups(face)}</g>')
    words = " ".join(face_words(analysis, index, language, "face_alt") for index in range(len(analysis.faces)))
    alt = escape(say(language, "picture_alt", faces=words or say(language, "no_face")))
    alone = " fer-alone" if len(analysis.faces) == 1 else ""
    return (
        f'<div class="fer-stage{alone}" style="--ratio:{width / height:.4f}"><img src="{preview(image)}" alt="{alt}">'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(maps)}</svg>'
        f"{''.join(boxes)}</div>"
    )


def hidden(index):
    return "" if index == 0 else " hidden"


def map_groups(face):
    """SVG groups over the face's crop, `SIDE` units wide: its heat map, and the place of its occlusion map."""
    cam = "" if face.cam is None else cell_rects(cells(face.cam[face.winner]))
    return f'<g class="fer-cam">{cam}</g><g class="fer-occlusion"></g>'


def panel(analysis, index, language):
    """One face: the crop that the network saw under its maps, the title, seven bars."""
    face = analysis.faces[index]
    name = emotion_name(language, analysis.label_names[face.winner])
    notes = {"wait": say(language, "occlusion_wait"), "flat": say(language, "occlusion_flat", emotion=name)}
    before = percent(language, face.confidence)
    blanks = {"row": "{row}", "column": "{column}", "side": "{side}", "after": "{after}"}  # page.js fills these in
    notes["done"] = say(language, "occlusion_done", emotion=name, before=before, **blanks)
    notes["busy"] = say(language, "busy")
    notes["percent"] = say(language, "percent", number="{number}")
    heat_note = ""
    if face.cam is not None:
        rows, columns = face.cam.shape[1:]
        heat_note = escape(say(language, "heat_note", emotion=name, rows=rows, columns=columns))
    return (
        f'<section class="fer-panel fer-of" data-face="{index}" data-class="{face.winner}" '
        f'data-notes="{escape(json.dumps(notes))}" style="--c:var(--fer-{face.winner})"{hidden(index)}>'
        f'<div class="fer-face"><div class="fer-crop"><img src="{data_url(Image.fromarray(face.crop), "PNG")}" '
        f'alt="{escape(say(language, "crop_alt"))}" width="{SIDE}" height="{SIDE}">'
        f'<svg viewBox="0 0 {SIDE} {SIDE}" aria-hidden="true">{map_groups(face)}</svg></div>'
        f"<div><h3>{escape(face_words(analysis, index, language, 'face_title'))}</h3>"
        f'<p class="fer-caption">{escape(say(language, "crop_caption"))}</p></div></div>'
        f"{bars(analysis.label_names, face.probabilities, language)}"
        f'<p class="fer-note fer-cam-note">{heat_note}</p>'
        f'<p class="fer-note fer-occlusion-note" role="status"></p></section>'
    )


def chooser(analysis, language, uid):
    """A radio button for each face: the arrow keys and a screen reader work without any code of ours."""
    rows = "".join(
        f'<input type="radio" name="{uid}" id="{uid}-{index}" value="{index}"{" checked" if index == 0 else ""}>'
        f'<label for="{uid}-{index}" style="--c:var(--fer-{face.winner})"><span class="fer-number">{index + 1}</span> '
        f"{escape(emotion_name(language, analysis.label_names[face.winner]))} "
        f'<span class="fer-value">{percent(language, face.confidence)}</span></label>'
        for index, face in enumerate(analysis.faces)
    )
    return f'<fieldset class="fer-faces"><legend>{say(language, "choose_face")}</legend>{rows}</fieldset>'


def map_switch(analysis, language, uid):
    """Which map lies over the faces: none, the network's own, or the one that is computed on request."""
    kinds = {"off": "map_off", "cam": "heat_map", "occlusion": "occlusion"}
    if analysis.faces[0].cam is None:
        del kinds["cam"]
    choices = "".join(
        f'<input type="radio" name="{uid}-map" id="{uid}-{kind}" value="{kind}"{" checked" if kind == "off" else ""}>'
        f'<label for="{uid}-{kind}">{escape(say(language, words))}</label>'
        for kind, words in kinds.items()
    )
    return f'<fieldset class="fer-maps"><legend>{escape(say(language, "map_title"))}</legend>{choices}</fieldset>'


def result_html(analysis, image, language, folder=""):
    """Everything about one picture; `image` is the upright RGB picture that was analysed.

    `folder` is the name of its upload's folder: by it `space/page.js` knows the original among the page's pictures.
    """
    uid = f"fer-{secrets.token_hex(4)}"
    count = len(analysis.faces)
    headline = faces_found(language, count)
    timing = analysis.timing_ms
    measured = say(
        language,
        "timing_whole" if analysis.detector == WHOLE else "timing",
        detect=f"{timing['detect']:.0f}",
        detector=analysis.detector,
        classify=f"{timing['classify']:.0f}",
    )
    if not count:
        body = f'<p class="fer-empty">{escape(say(language, "no_face"))}</p>'
    else:
        panels = "".join(panel(analysis, index, language) for index in range(count))
        saves = "".join(
            f'<button type="button" class="fer-save" data-kind="{kind}">{escape(words)}</button>'
            for kind, words in ((kind, say(language, f"save_{kind}")) for kind in ("png", "csv", "json"))
        )
        chooser_html = chooser(analysis, language, uid) if count > 1 else ""
        failed = escape(say(language, "picture_not_saved"))
        note = f'<p class="fer-note fer-save-note" role="status" data-failed="{failed}"></p>'
        body = f'{chooser_html}{panels}{map_switch(analysis, language, uid)}<div class="fer-tools">{saves}</div>{note}'
    data = escape(json.dumps(analysis.as_json()))
    return (
        f'<div class="fer-result fer-card" data-result="{data}" data-folder="{escape(folder)}" data-map="off">'
        f'{stage(analysis, image, language, uid)}<div class="fer-side"><p class="fer-count">{headline}</p>{body}'
        f'<p class="fer-note">{escape(measured)}</p></div></div>'
    )


def message_html(sentence, kind="fer-empty", answer=""):
    """A sentence in a result's place; `answer` tells it from an equal one that `space/page.js` has already read out."""
    return f'<div class="{kind}" data-answer="{answer}"><p>{escape(sentence)}</p></div>'
