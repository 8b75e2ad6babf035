"""The tab for a video, and the API's `/predict_video`."""

import contextlib
import csv
import os
import tempfile
from collections import defaultdict
from html import escape
from pathlib import Path
from secrets import token_hex

import gradio as gr

from space.analysis import Analyzer
from space.limits import LIMITS
from space.picture_input import language_of
from space.result_html import message_html
from space.text import Refusal, emotion_name, say
from space.video import analyse_video

WIDTH, ROW = 600, 26  # of the timeline, in its own units


def build(analyzer: Analyzer, i18n):
    """Lay the tab out and wire it; returns the result's component."""
    labels = analyzer.classifier.label_names

    def read(video, request: gr.Request, progress=gr.Progress()):  # noqa: B008 - Gradio's way to ask for one
        language = language_of(request)
        if not video:
            raise gr.Error(say(language, "video_missing"), print_exception=False)

        def tell(done, total):
            sentence = say(language, "video_progress", seconds=f"{done:.0f}", total=f"{total:.0f}")
            progress(done / max(total, 1e-9), desc=sentence)
            still_worked_on(folder / "faces.mp4")

        folder = Path(tempfile.mkdtemp(dir=gr.utils.get_upload_folder()))
        try:
            analysis = analyse_video(analyzer, video, folder / "faces.mp4", language, progress=tell)
        except Refusal as refusal:
            raise gr.Error(refusal.in_language(language), print_exception=False) from None
        write_csv(folder / "faces.csv", analysis)
        return (
            gr.Video(str(folder / "faces.mp4"), visible=True),
            timeline_html(analysis, language),
            gr.DownloadButton(value=str(folder / "faces.mp4"), visible=True),
            gr.DownloadButton(value=str(folder / "faces.csv"), visible=True),
        )

    def predict_video(video) -> dict:
        """Find and follow the faces of a video and read their expressions several times a second."""
        if not video:
            raise gr.Error(say("en", "video_missing"), print_exception=False)
        # among the uploads, which are removed at the next start where this process is killed
        with tempfile.TemporaryDirectory(dir=gr.utils.get_upload_folder(), ignore_cleanup_errors=True) as folder:
            try:
                film = Path(folder) / "faces.mp4"
                analysis = analyse_video(analyzer, video, film, progress=lambda done, total: still_worked_on(film))
            except Refusal as refusal:
                raise gr.Error(str(refusal), print_exception=False) from None
        return analysis.as_json() | {"model": analyzer.model, "detector": analyzer.detector.name}

    def write_csv(path, analysis):
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["seconds", "face", "x", "y", "width", "height", "emotion", "confidence", *labels])
            for r in analysis.as_json()["readings"]:
                numbers = [r["seconds"], r["face"], *r["box"], r["emotion"], r["confidence"]]
                table.writerow(numbers + list(r["probabilities"].values()))

    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=280):
            video = gr.File(label=i18n("your_video"), file_types=["video"], height=170, elem_id="video")
            run = gr.Button(i18n("video_run"), variant="primary", elem_id="run-video")
            keep = gr.DownloadButton(i18n("video_save"), visible=False, size="md", elem_id="video-save")
            download = gr.DownloadButton(i18n("video_csv"), visible=False, size="md", elem_id="video-csv")
        with gr.Column(scale=3, min_width=320):
            played = gr.Video(
                label=i18n("video_result"),
                interactive=False,
                visible=False,
                buttons=[],
                elem_id="video-result",
            )
            timeline = gr.HTML(elem_id="timeline", apply_default_css=False, min_height=290)
    long = {"concurrency_id": "long", "concurrency_limit": 1}
    run.click(
        read,
        video,
        [played, timeline, keep, download],
        api_visibility="private",
        show_progress="full",
        show_progress_on=timeline,
        **long,
    )
    hidden = gr.File(visible=False, label="video")
    answer = gr.JSON(visible=False, label="answer")
    hidden.upload(predict_video, hidden, answer, api_name="predict_video", **long)
    return timeline


def still_worked_on(film):
    """Its bytes come late, and what has stood still for long among the uploads is deleted."""
    with contextlib.suppress(OSError):  # not there yet
        os.utime(film)


def timeline_html(analysis, language):
    """A strip for each face whose colours say which emotion was the most probable when; under it the same in words.

    Each entry is a button that shows the video at its time (`space/page.js`).
    """
    answer = token_hex(4)  # page.js reads each answer out once, also where the next one is equal
    if not analysis.readings:
        return message_html(say(language, "video_no_face"), answer=answer)
    total, holds = max(analysis.seconds, 1e-3), 1 / LIMITS.video_frames_per_second
    rows, readings = [], defaultdict(list)
    for reading in analysis.readings:
        readings[reading.face].append(reading)
    for number in sorted(readings):
        spans = merged(readings[number])
        strips = "".join(
            f'<rect x="{WIDTH * begin / total:.1f}" y="0" width="{WIDTH * (end + holds - begin) / total:.1f}" '
            f'height="{ROW}" style="fill:var(--fer-{index})"/>'
            for begin, end, index in spans
        )
        entries = "".join(
            f'<li><button type="button" class="fer-seek" data-seconds="{begin:.2f}" style="--c:var(--fer-{index})">'
            f"{begin:.1f}–{end:.1f} s {escape(emotion_name(language, analysis.label_names[index]))}</button></li>"
            for begin, end, index in spans
        )
        face = escape(say(language, "timeline_face", number=number))
        rows.append(
            f'<section><h4>{face}</h4><svg viewBox="0 0 {WIDTH} {ROW}" preserveAspectRatio="none" aria-hidden="true">'
            f"{strips}</svg><ul>{entries}</ul></section>"
        )
    note = say(language, "timeline_note", seconds=LIMITS.upload_seconds)
    return (
        f'<div class="fer-timeline fer-card" data-answer="{answer}"><h3>{escape(say(language, "timeline"))}</h3>'
        f'<p class="fer-note">{escape(note)}</p>{"".join(rows)}'
        f'<p class="fer-axis" aria-hidden="true"><span>0 s</span><span>{total:.1f} s</span></p></div>'
    )


def merged(readings):
    """[(begin, end, class index)] of one face: neighbours of the same class, less than half a second apart, are one."""
    spans = []
    for reading in readings:
        index = int(reading.probabilities.argmax())
        if spans and reading.seconds - spans[-1][1] < 0.5:
            spans[-1][1] = reading.seconds
            if spans[-1][2] == index:
                continue
        spans.append([reading.seconds, reading.seconds, index])
    return [tuple(span) for span in spans]
