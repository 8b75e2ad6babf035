"""What the static page takes from the app: texts, colours, limits, geometry, the model's config, its figures.

Everything is read from the app's own modules and files when the page is built, so that each fact keeps one home.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from space import crop, live, tracking
from space.about import MARK, model_html, read_metrics
from space.classifier import ModelConfig
from space.detectors import SMALLEST_SIDE, YuNet
from space.draw import TIGHT
from space.emotions import css_variables
from space.limits import LIMITS
from space.model_source import ModelSource
from space.text import DEFAULT, languages
from space.theme import CONTAINERS, theme

FOLDER = Path(__file__).resolve().parent
RESAMPLING = ("bilinear", "bicubic", "lanczos")  # what src/resample.ts has

# Variables of Gradio's theme that page.css uses.
THEME = (
    *("body_background_fill", "background_fill_secondary", "body_text_color", "body_text_color_subdued"),
    *("block_border_color", "button_primary_background_fill", "button_primary_background_fill_hover"),
    *("button_primary_text_color", "button_secondary_background_fill", "button_secondary_text_color"),
    *("button_secondary_background_fill_hover", "button_secondary_border_color"),
    *("link_text_color", "color_accent", "radius_lg"),
)


@dataclass(frozen=True)
class Page:
    """What a build writes beside the page's own sources."""

    app: dict
    """For app.json, whose type is in src/generated.d.ts; `assets` and `texts` are added by the build"""
    css: str
    texts: dict[str, dict[str, str]]
    """{language: {key: sentence}}, complete in every language"""


def theme_css():
    """The theme's colours and fonts as CSS variables, for light pages and for `.dark` ones."""
    own = theme()

    def resolved(name):
        found = getattr(own, name, None)
        return resolved(found[1:]) if isinstance(found, str) and found.startswith("*") else found

    light = {name: resolved(name) for name in THEME}
    dark = {name: resolved(f"{name}_dark") or light[name] for name in THEME}
    light["font"] = dark["font"] = own.font
    css = ""
    for selector, values in ((":root", light), (":root.dark", dark)):
        variables = "".join(f"--{name}:{value};".replace("_", "-") for name, value in values.items())
        css += f"{selector}{{{variables}}}"
    return css


def page_texts():
    """The app's sentences in every language, with those that are otherwise here, from `languages/`, over them."""
    own = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("languages/*.json")}
    english = languages()[DEFAULT] | own[DEFAULT]
    return {language: english | texts | own.get(language, {}) for language, texts in languages().items()}


def about(source, config, metrics, facts, language):
    """HTML of the About tab, as the app has it but without style attributes, which this page's policy forbids."""
    html = model_html(source, config, metrics, facts, language)
    return re.sub(r'style="--share:([\d.]+)"', r'data-share="\1"', html)


def generate(source: ModelSource, detector_sha256, runtime):
    """The `Page` for a model's folder; `runtime` is ONNX Runtime Web's version. Raises what ModelConfig.read raises."""
    config = ModelConfig.read(source.folder)
    metrics = read_metrics(source.folder)
    geometry = crop.GEOMETRY[YuNet.name]
    app = {
        "model": {
            "name": source.name,
            "revision": source.revision,
            "architecture": config.architecture,
            "labels": config.label_names,
            "inputSize": config.input_size,
            "mean": config.mean,
            "std": config.std,
            "interpolation": config.interpolation,
        },
        "detector": {
            "name": YuNet.name,
            "side": YuNet.side,
            "secondSide": YuNet.second_side,
            "border": YuNet.border,
            "smallestSide": SMALLEST_SIDE,
            "centreX": geometry.centre_x,
            "centreY": geometry.centre_y,
            "width": geometry.width,
        },
        "crop": {"side": crop.SIDE, "workingSide": crop.WORKING_SIDE, "levelEnough": crop.LEVEL_ENOUGH},
        "tracking": {
            "smoothingSeconds": tracking.SMOOTHING_SECONDS,
            "boxSeconds": tracking.BOX_SECONDS,
            "forgetSeconds": tracking.FORGET_SECONDS,
            "historySeconds": tracking.HISTORY_SECONDS,
            "leastOverlap": tracking.LEAST_OVERLAP,
        },
        "live": {"shown": live.SHOWN, "rateSeconds": live.RATE_SECONDS, "curve": live.CURVE, "tight": TIGHT},
        "limits": {
            "megabytes": LIMITS.picture_megabytes,
            "megapixels": LIMITS.picture_megapixels,
            "decodedMegapixels": LIMITS.decoded_megapixels,
            "faces": LIMITS.faces,
        },
    }
    app["mark"] = MARK
    texts = page_texts()
    facts = (
        ("about_detector", f"{YuNet.name}, sha256 {detector_sha256[:16]}…"),
        ("about_runtime", f"ONNX Runtime Web {runtime}"),
    )
    for language in texts:
        texts[language]["about"] = about(source, config, metrics, facts, language)
    return Page(app, theme_css() + css_variables(config.label_names) + CONTAINERS, texts)
