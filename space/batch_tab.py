"""The tab for many pictures: a gallery of what was read, and one CSV for all of it."""

import csv
import tempfile
from html import escape
from pathlib import Path
from secrets import token_hex

import gradio as gr

from space.analysis import Analyzer
from space.draw import thumbnail
from space.limits import LIMITS
from space.picture_input import language_of
from space.predict import cell, csv_header, csv_rows
from space.result_html import data_url
from space.text import Refusal, emotion_name, percent, say

THUMBNAIL_SIDE, NUMBER = 420, 22  # pixels; of the numbers at its faces


def build(analyzer: Analyzer, i18n):
    """Lay the tab out and wire it; returns the result's component."""

    def read(paths, request: gr.Request, progress=gr.Progress()):  # noqa: B008 - Gradio's way to ask for one
        language = language_of(request)
        if not paths:
            raise gr.Error(say(language, "picture_missing"), print_exception=False)
        if len(paths) > LIMITS.pictures:
            sentence = say(language, "batch_too_many", count=len(paths), limit=LIMITS.pictures)
            raise gr.Error(sentence, print_exception=False)
        cards, rows = [], []
        for path in progress.tqdm(paths, unit=say(language, "support")):
            name = Path(path).name
            try:
                picture, analysis = analyzer.analyse_file(path)
            except Refusal as refusal:
                cards.append(card(name, None, [refusal.in_language(language)]))
                continue
            rows += csv_rows(cell(name), analysis.as_json())
            image = thumbnail(analysis, picture, THUMBNAIL_SIDE, NUMBER)
            cards.append(card(name, image, face_lines(analysis, language)))
        note = say(language, "batch_note", seconds=f"{LIMITS.upload_seconds:g}")
        gallery = f'<div class="fer-gallery" data-answer="{token_hex(4)}">{"".join(cards)}</div>'
        return (
            f'{gallery}<p class="fer-note">{escape(note)}</p>',
            gr.DownloadButton(value=written(rows), visible=True),
        )

    def written(rows):
        """A CSV in Gradio's cache, which `delete_cache` empties."""
        folder = Path(tempfile.mkdtemp(dir=gr.utils.get_upload_folder()))
        with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(csv_header(analyzer.classifier.label_names))
            table.writerows(rows)
        return str(folder / "faces.csv")

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=280):
            pictures = gr.File(
                label=i18n("your_pictures"), file_count="multiple", file_types=["image"], height=170, elem_id="pictures"
            )
            run = gr.Button(i18n("batch_run"), variant="primary", elem_id="run-pictures")
            download = gr.DownloadButton(i18n("batch_csv"), visible=False, size="md", elem_id="pictures-csv")
        with gr.Column(scale=3, min_width=320):
            gallery = gr.HTML(elem_id="gallery", apply_default_css=False, min_height=290)
    run.click(
        read,
        pictures,
        [gallery, download],
        api_visibility="private",
        concurrency_id="long",
        concurrency_limit=1,
        show_progress="full",
        show_progress_on=gallery,
    )
    return gallery


def face_lines(analysis, language):
    """A line for each face, or the sentence that there is none."""
    names = [emotion_name(language, label) for label in analysis.label_names]
    return [
        f"{number} {names[face.winner]} {percent(language, face.confidence)}"
        for number, face in enumerate(analysis.faces, 1)
    ] or [say(language, "no_face")]


def card(name, image, lines):
    """One picture of the gallery; `image` is None where it could not be read."""
    figure = ""
    if image is not None:
        figure = f'<img src="{data_url(image, quality=85)}" alt="">'
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    title = escape(name)
    return f'<figure>{figure}<figcaption><b title="{title}">{title}</b><ul>{items}</ul></figcaption></figure>'
