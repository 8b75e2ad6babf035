"""What the page says of the model: its figures, where they come from, and how programs ask it."""

import json
from html import escape

from space.analysis import Analyzer
from space.detectors import HaarCascade
from space.text import emotion_name, say

SPLITS = ("public_test", "private_test", "test", "validation")
VIEWS = ("single", "flip", "ten_crop")

# Shown on the page, and run as they stand by tests/browser/test_api.py.
PYTHON = """# pip install gradio_client
from gradio_client import Client, handle_file
answer = Client("{url}").predict(handle_file("photo.jpg"), api_name="/predict")"""

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


def metrics_of(analyzer: Analyzer):
    """The folder's metrics.json, or None where it has none."""
    path = analyzer.source.folder / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def table(head, rows):
    """An HTML table; the first cell of each row is its header. Cells are escaped here."""
    top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(cell))}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="fer-scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
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
    confusion = table(
        ["", *names], [(shown, *row) for shown, row in zip(names, first["confusion_matrix"], strict=True)]
    )
    title = escape(say(language, "about_confusion", split=name))
    return f"{overview}{per_class}<h4>{title}</h4>{confusion}"


def about_html(analyzer: Analyzer, language, url):
    """The whole tab. `url` is the address that the person's browser has the page from."""
    config, metrics = analyzer.classifier.config, metrics_of(analyzer)
    facts = [
        (
            say(language, "about_model"),
            analyzer.source.name + (f" @ {analyzer.source.revision}" if analyzer.source.revision else ""),
        ),
        (
            say(language, "about_architecture"),
            f"{config.architecture}, {config.input_size[1]} x {config.input_size[2]} px",
        ),
        (say(language, "about_weights"), f"sha256 {analyzer.classifier.sha256[:16]}…"),
        (say(language, "about_runtime"), analyzer.classifier.runtime),
        (say(language, "about_detector"), analyzer.detector.name),
        (say(language, "about_classes"), ", ".join(emotion_name(language, label) for label in config.label_names)),
    ]
    if metrics and metrics.get("training", {}).get("datasets"):
        facts.append((say(language, "about_trained_on"), ", ".join(metrics["training"]["datasets"])))
    rows = "".join(f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in facts)
    figures = figures_html(metrics, language) if metrics else f"<p>{escape(say(language, 'about_missing'))}</p>"
    return (
        f'<div class="fer-about"><h3>{escape(say(language, "about_model"))}</h3>'
        f'<div class="fer-scroll" tabindex="0"><table class="fer-facts">{rows}</table></div>'
        f"<h3>{escape(say(language, 'about_figures'))}</h3>{figures}"
        f"<h3>{escape(say(language, 'about_api'))}</h3>{programs_html(url)}</div>"
    )


def programs_html(url):
    examples = {"Python": PYTHON, "curl": CURL, "JavaScript": JAVASCRIPT}
    return "".join(
        f'<h4>{name}</h4><pre tabindex="0"><code>{escape(code.format(url=url))}</code></pre>'
        for name, code in examples.items()
    )


def head_html(analyzer: Analyzer, language):
    """Title, one sentence, and the banner that says when the lesser detector is at work."""
    banner = ""
    if isinstance(analyzer.detector, HaarCascade):
        banner = f'<p class="fer-banner" role="status">{escape(say(language, "fallback"))}</p>'
    return (
        f"<header><h1>{escape(say(language, 'title'))}</h1><p>{escape(say(language, 'tagline'))}</p>{banner}</header>"
    )


def foot_html(language):
    return f"<p>{escape(say(language, 'misuse'))} {escape(say(language, 'privacy'))}</p>"
