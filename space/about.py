"""What the page says of the model: its figures, where they come from, and how programs ask it."""

import json
from html import escape

from space.analysis import Analyzer
from space.classifier import ModelConfig
from space.detectors import HaarCascade
from space.limits import LIMITS
from space.model_source import ModelSource
from space.text import duration, emotion_name, say

SPLITS = ("public_test", "private_test", "test", "validation")
VIEWS = ("single", "flip", "ten_crop")

# Shown on the page, and run as they stand by tests/browser/test_api.py.
PYTHON = """# pip install gradio_client
from gradio_client import Client, handle_file
client = Client("{url}")
answer = client.predict(handle_file("photo.jpg"), api_name="/predict")"""

PYTHON_VIDEO = """readings = client.predict(handle_file("film.mp4"), api_name="/predict_video")["readings"]"""

CURL = """FILE=$(curl -s {url}/gradio_api/upload -F files=@photo.jpg | cut -d'"' -f2)
ID=$(curl -s {url}/gradio_api/call/predict -H 'Content-Type: application/json' \\
  -d '{{"data": [{{"path": "'"$FILE"'", "meta": {{"_type": "gradio.FileData"}}}}]}}' | cut -d'"' -f4)
curl -sN {url}/gradio_api/call/predict/$ID"""

JAVASCRIPT = """// photo: a File or a Blob
const form = new FormData();
form.append("files", photo, "photo.jpg");
const [path] = await (await fetch("{url}/gradio_api/upload", {{ method: "POST", body: form }})).json();
const asked = await fetch("{url}/gradio_api/call/predict", {{
  method: "POST",
  headers: {{ "Content-Type": "application/json" }},
  body: JSON.stringify({{ data: [{{ path, meta: {{ _type: "gradio.FileData" }} }}] }}),
}});
const {{ event_id }} = await asked.json();
const events = await (await fetch(`{url}/gradio_api/call/predict/${{event_id}}`)).text();
const [answer] = JSON.parse(events.split("event: complete\\ndata: ")[1]);"""


MARK = (  # a face in a finder's corners
    '<svg class="fer-mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M2 7V4a2 2 0 0 1 2-2h3M17 2h3a2 2 0 0 1 2 2'
    'v3M22 17v3a2 2 0 0 1-2 2h-3M7 22H4a2 2 0 0 1-2-2v-3M9 9v1M15 9v1M8 14.5a5 5 0 0 0 8 0"/></svg>'
)


def read_metrics(folder):
    """FOLDER/metrics.json, or None: another's model may have none, or one of its own kind."""
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = (
        isinstance(metrics, dict) and metrics.get("schema_version") == 1 and {"splits", "label_names"} <= set(metrics)
    )
    return metrics if ours else None


def table(head, rows, kind=""):
    """An HTML table of class `kind`; the first cell of each row is its header. Cells are escaped here."""
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(cell))}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="fer-scroll" tabindex="0"><table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def confusion_table(names, matrix):
    """True classes in rows; each cell shaded by its share of the row."""
    top = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in names)
    rows = ""
    for name, row in zip(names, matrix, strict=True):
        total = max(sum(row), 1)
        cells = "".join(f'<td style="--share:{count / total:.2f}">{count}</td>' for count in row)
        rows += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    return (
        f'<div class="fer-scroll" tabindex="0"><table class="fer-confusion"><thead><tr><td></td>{top}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def interval(figure):
    """A figure with its 95% interval, in per cent."""
    return f"{figure['value']:.1%} ({figure['low']:.1%} – {figure['high']:.1%})"


def figures_html(metrics, language):
    """Overview of the splits, then per class and the confusion matrix on the first split there is."""
    scored = [
        (name, view, metrics["splits"][name][view])
        for name in SPLITS
        for view in VIEWS
        if view in metrics["splits"].get(name, {})
    ]
    if not scored:
        return f"<p>{escape(say(language, 'about_missing'))}</p>"
    overview = table(
        [say(language, key) for key in ("split", "support", "accuracy", "macro_f1")],
        [
            (f"{name} ({view})", s["support"], interval(s["accuracy"]), interval(s["macro_f1"]))
            for name, view, s in scored
        ],
        "fer-overview",
    )
    name, _, first = scored[0]
    labels = metrics["label_names"]
    names = [emotion_name(language, label) for label in labels]
    per_class = table(
        [say(language, key) for key in ("emotion", "precision", "recall")] + ["F1", say(language, "support")],
        [
            (
                shown,
                *(f"{first['per_class'][label][key]['value']:.1%}" for key in ("precision", "recall", "f1")),
                first["per_class"][label]["support"],
            )
            for label, shown in zip(labels, names, strict=True)
        ],
    )
    each = escape(say(language, "about_per_class", split=name))
    title = escape(say(language, "about_confusion", split=name))
    confusion = confusion_table(names, first["confusion_matrix"])
    return (
        f'{overview}<div class="fer-two"><div><h4>{each}</h4>{per_class}</div>'
        f"<div><h4>{title}</h4>{confusion}</div></div>"
    )


def model_html(source: ModelSource, config: ModelConfig, metrics, facts, language):
    """What the model is and how good it is, as two cards. `facts` are rows of this page's own: (key of a sentence,
    value); `metrics` as `read_metrics` gives them."""
    rows = [
        ("about_model", source.name + (f" @ {source.revision}" if source.revision else "")),
        ("about_architecture", f"{config.architecture}, {config.input_size[1]} x {config.input_size[2]} px"),
        ("about_classes", ", ".join(emotion_name(language, label) for label in config.label_names)),
        *facts,
    ]
    if metrics and metrics.get("training", {}).get("datasets"):
        rows.append(("about_trained_on", ", ".join(metrics["training"]["datasets"])))
    cells = "".join(
        f'<tr><th scope="row">{escape(say(language, key))}</th><td>{escape(value)}</td></tr>' for key, value in rows
    )
    figures = figures_html(metrics, language) if metrics else f"<p>{escape(say(language, 'about_missing'))}</p>"
    return (
        f'<section class="fer-card"><h3>{escape(say(language, "about_model"))}</h3>'
        f'<div class="fer-scroll" tabindex="0"><table class="fer-facts">{cells}</table></div></section>'
        f'<section class="fer-card"><h3>{escape(say(language, "about_figures"))}</h3>{figures}</section>'
    )


def about_html(analyzer: Analyzer, language, url):
    """The whole tab. `url` is the address that the person's browser has the page from."""
    facts = [
        ("about_weights", f"sha256 {analyzer.classifier.sha256[:16]}…"),
        ("about_runtime", analyzer.classifier.runtime),
        ("about_detector", analyzer.detector.name),
    ]
    metrics = read_metrics(analyzer.source.folder)
    model = model_html(analyzer.source, analyzer.classifier.config, metrics, facts, language)
    return (
        f'<div class="fer-about">{model}'
        f'<section class="fer-card"><h3>{escape(say(language, "about_api"))}</h3>{programs_html(url, language)}'
        f"</section></div>"
    )


def programs_html(url, language):
    examples = {"Python": f"{PYTHON}\n{PYTHON_VIDEO}", "curl": CURL, "JavaScript": JAVASCRIPT}
    blocks = "".join(
        f'<h4>{name}</h4><pre tabindex="0"><code>{escape(code.format(url=url))}</code></pre>'
        for name, code in examples.items()
    )
    return f'{blocks}<p class="fer-note">{escape(say(language, "about_mcp"))}</p>'


def head_html(analyzer: Analyzer, language):
    """Title, one sentence, and a banner for each part that something lesser stands in for."""
    sentences = []
    if isinstance(analyzer.detector, HaarCascade):
        sentences.append(say(language, "fallback"))
    if analyzer.source.in_place_of:
        sentences.append(say(language, "fallback_model", model=analyzer.source.in_place_of))
    banner = "".join(f'<p class="fer-banner" role="status">{escape(sentence)}</p>' for sentence in sentences)
    classes, kept = len(analyzer.classifier.label_names), duration(language, LIMITS.upload_seconds)
    tagline = escape(say(language, "tagline", classes=classes, duration=kept))
    return f"<header><h1>{MARK}{escape(say(language, 'title'))}</h1><p>{tagline}</p>{banner}</header>"


def foot_html(language):
    privacy = say(language, "privacy", duration=duration(language, LIMITS.upload_seconds))
    return f"<p>{escape(say(language, 'misuse'))} {escape(privacy)}</p>"
