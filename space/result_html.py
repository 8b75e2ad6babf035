"""The result of one picture as HTML: the picture with its faces, a list to choose from, and a panel for each face.

Everything is there in text, so that it also works for a screen reader; `space/page.js` only shows the chosen panel,
and asks for the occlusion map. Pictures stand in the page itself (`data:` URLs): no file is left behind.
"""

import base64
import io
import json
import secrets
from html import escape

import numpy as np
from PIL import Image

from space.text import emotion_name, say

PREVIEW_SIDE = 1280  # pixels; what a page shows
TIGHT = 12  # faces beyond which the tags on the picture show numbers only


def percent(p):
    """A probability for people: 93 %, and never a false 100 or 0."""
    if 0.995 <= p < 1:
        return "> 99 %"
    if 0 < p < 0.005:
        return "< 1 %"
    return f"{p * 100:.0f} %"


def data_url(image, image_format="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return f"data:image/{image_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def preview(image):
    small = image.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return data_url(small, quality=88)


def cells(grid):
    """Evidence [h, w] as opacities 0 to 1: what speaks for the class, relative to the strongest cell."""
    positive = np.maximum(grid - min(0.0, float(np.median(grid))), 0.0)
    return positive / max(float(positive.max()), 1e-9)


def cell_rects(grid, x, y, side):
    """SVG rectangles of `grid` [h, w] of opacities over the square at (x, y)."""
    rows, columns = grid.shape
    width, height = side / columns, side / rows
    return "".join(
        f'<rect x="{x + column * width:.2f}" y="{y + row * height:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'fill-opacity="{0.5 * grid[row, column]:.2f}"/>'
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
        f'<td class="fer-value">{percent(p)}</td></tr>'
        for index, (label, p) in enumerate(zip(label_names, map(float, probabilities), strict=True))
    )
    head = (
        f'<th scope="col">{say(language, "emotion")}</th><td></td><th scope="col">{say(language, "probability")}</th>'
    )
    return f'<table class="fer-bars"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def face_words(analysis, index, language, key):
    face = analysis.faces[index]
    name = emotion_name(language, analysis.label_names[face.winner])
    return say(language, key, number=index + 1, emotion=name, percent=percent(face.confidence))


def stage(analysis, image, language, uid):
    """The picture with a labelled box for each face (a click chooses it) and the chosen face's heat map."""
    width, height = analysis.size
    boxes, heat = [], []
    for index, face in enumerate(analysis.faces):
        x, y, w, h = face.box
        place = f"left:{x / width:.3%};top:{y / height:.3%};width:{w / width:.3%};height:{h / height:.3%}"
        name = escape(emotion_name(language, analysis.label_names[face.winner]))
        tag = str(index + 1) if len(analysis.faces) > TIGHT else f"{index + 1} {name}"
        below = " fer-tag-inside" if y / height < 0.06 else ""
        boxes.append(
            f'<label class="fer-box" for="{uid}-{index}" data-face="{index}" aria-hidden="true" '
            f'style="{place};--c:var(--fer-{face.winner})"><span class="fer-tag{below}">{tag}</span></label>'
        )
        if face.cam is not None:
            frame = face.frame
            left, top = frame.centre[0] - frame.side / 2, frame.centre[1] - frame.side / 2
            turn = f"rotate({frame.angle:.2f} {frame.centre[0]:.1f} {frame.centre[1]:.1f})"
            rects = cell_rects(cells(face.cam[face.winner]), left, top, frame.side)
            heat.append(f'<g class="fer-of" data-face="{index}" transform="{turn}"{hidden(index)}>{rects}</g>')
    words = " ".join(face_words(analysis, index, language, "face_alt") for index in range(len(analysis.faces)))
    alt = escape(say(language, "picture_alt", faces=words or say(language, "no_face")))
    return (
        f'<div class="fer-stage" style="--ratio:{width / height:.4f}"><img src="{preview(image)}" alt="{alt}">'
        f'<svg class="fer-heat" viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(heat)}</svg>'
        f"{''.join(boxes)}</div>"
    )


def hidden(index):
    return "" if index == 0 else " hidden"


def panel(analysis, index, language):
    """One face: title, the crop that the network saw under its heat map, seven bars."""
    face = analysis.faces[index]
    name = emotion_name(language, analysis.label_names[face.winner])
    done = escape(say(language, "occlusion_done", emotion=name, percent="%"))  # page.js fills in the percentage
    occlude = escape(say(language, "occlusion"))
    crop = data_url(Image.fromarray(face.crop), "PNG")
    heat = note = ""
    if face.cam is not None:
        grid = face.cam[face.winner]
        heat = cell_rects(cells(grid), 0, 0, 48)
        note = escape(say(language, "heat_note", emotion=name, rows=grid.shape[0], columns=grid.shape[1]))
    return (
        f'<section class="fer-panel fer-of" data-face="{index}" style="--c:var(--fer-{face.winner})"{hidden(index)}>'
        f"<h3>{escape(face_words(analysis, index, language, 'face_title'))}</h3>"
        f'<div class="fer-detail"><figure class="fer-crop"><div class="fer-crop-stage">'
        f'<img src="{crop}" alt="{escape(say(language, "crop_alt"))}" width="48" height="48">'
        f'<svg class="fer-heat" viewBox="0 0 48 48" aria-hidden="true">{heat}</svg></div>'
        f"<figcaption>{say(language, 'crop_caption')}</figcaption></figure>"
        f"{bars(analysis.label_names, face.probabilities, language)}</div>"
        f'<p class="fer-note fer-heat-note" role="status" data-done="{done}">{note}</p>'
        f'<button type="button" class="fer-occlude" data-class="{face.winner}">{occlude}</button>'
        f"</section>"
    )


def chooser(analysis, language, uid):
    """A radio button for each face: the arrow keys and a screen reader work without any code of ours."""
    rows = "".join(
        f'<input type="radio" name="{uid}" id="{uid}-{index}" value="{index}"{" checked" if index == 0 else ""}>'
        f'<label for="{uid}-{index}" style="--c:var(--fer-{face.winner})"><span class="fer-number">{index + 1}</span> '
        f"{escape(emotion_name(language, analysis.label_names[face.winner]))} "
        f'<span class="fer-value">{percent(face.confidence)}</span></label>'
        for index, face in enumerate(analysis.faces)
    )
    return f'<fieldset class="fer-faces"><legend>{say(language, "choose_face")}</legend>{rows}</fieldset>'


def result_html(analysis, image, language):
    """Everything about one picture; `image` is the upright RGB picture that was analysed."""
    uid = f"fer-{secrets.token_hex(4)}"
    count = len(analysis.faces)
    headline = say(language, "faces_one") if count == 1 else say(language, "faces_many", count=count)
    timing = analysis.timing_ms
    measured = say(
        language,
        "timing",
        detect=f"{timing['detect']:.0f}",
        detector=analysis.detector,
        classify=f"{timing['classify']:.0f}",
    )
    if not count:
        body = f'<p class="fer-empty" role="status">{say(language, "no_face")}</p>'
    else:
        panels = "".join(panel(analysis, index, language) for index in range(count))
        saves = "".join(
            f'<button type="button" class="fer-save" data-kind="{kind}">{escape(words)}</button>'
            for kind, words in ((kind, say(language, f"save_{kind}")) for kind in ("png", "csv", "json"))
        )
        toggle = (
            f'<label class="fer-toggle"><input type="checkbox" class="fer-heat-switch"> '
            f"{say(language, 'heat_map')}</label>"
        )
        chooser_html = chooser(analysis, language, uid) if count > 1 else ""
        body = f'{chooser_html}{panels}<div class="fer-tools">{toggle}{saves}</div>'
    data = escape(json.dumps(analysis.as_json()))
    return (
        f'<div class="fer-result" data-result="{data}">{stage(analysis, image, language, uid)}'
        f'<div class="fer-side"><p class="fer-count" role="status">{headline}</p>{body}'
        f'<p class="fer-note">{escape(measured)}</p></div></div>'
    )


def message_html(sentence, kind="fer-empty"):
    return f'<div class="{kind}" role="status"><p>{escape(sentence)}</p></div>'
