"""The page's theme: quiet, system fonts (nothing is fetched from another host), one accent."""

import re
from pathlib import Path

import gradio as gr

from space.emotions import PAGE, Colours, css_variables

FOLDER = Path(__file__).parent
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]

BODY = Colours("#f4f5f8", "#0f1115")  # behind the cards, which have the colour of emotions.PAGE

# Gradio's own parts: what its variables do not reach.
GRADIO = """
.gradio-container .app { padding: 20px 24px; }
#head, #foot { padding-left: 0; padding-right: 0; }
#head > *, #foot > * { padding-left: 0 !important; padding-right: 0 !important; }
#accept, #whole { align-self: flex-start; width: auto; max-width: 100%; padding: 10px 22px; }
#tabs .icon-button-wrapper button, #video-result [aria-label="full-screen"],
#pictures td button { min-width: 24px; min-height: 24px; } /* WCAG 2.2, 2.5.8 */
#pictures button:has(.icon-mode) { display: none; } /* a button within a button; clearing and choosing anew remains */
#tabs .tab-container { border-color: var(--fer-line); }
#photo, #video, #pictures, #camera, #video-result { border-radius: 14px; }
#photo:has(.image-frame) { height: 200px !important; } /* the picture itself stands beside it, large */
#photo:has(video) { height: 300px !important; }
#photo, #camera { border-style: solid !important; }
#examples { flex-wrap: nowrap; gap: 10px; }
#examples button { flex-wrap: nowrap; justify-content: flex-start; gap: 8px; padding: 5px; white-space: nowrap;
  border: 1px solid var(--fer-line); border-radius: 12px; font-weight: 500; font-size: 0.88rem; }
#examples button img { width: 40px; height: 40px; flex: none; margin: 0; object-fit: cover; object-position: 50% 25%;
  border-radius: 8px; }
#camera { height: auto !important; aspect-ratio: 4 / 3; }
#camera video { object-fit: contain; }
#camera .streaming-bar { display: none; } /* the end of a turn, after which the browser queues again by itself */
#camera .capture-button { border-radius: 999px; border-color: var(--fer-line); font-weight: 600; }
#camera .capture-button .icon { color: var(--fer-accent); fill: var(--fer-accent); }
#video-result video { max-height: 60vh; }
.fer-about { contain: inline-size; } /* long lines scroll in their own box and do not widen the page */
.fer-about pre { white-space: pre; }
@media (max-width: 760px) {
  .gradio-container .app { padding: 12px 16px; }
  #tabs .tab-container button { padding-left: 7px; padding-right: 7px; } /* those that Gradio measures too */
  #photo:has(.image-frame) { height: 130px !important; }
}
"""

# Narrow faces beside others keep their number alone: the rest stands in the list. Gradio drops such rules from `css`.
CONTAINERS = """
@container (max-width: 90px) { :not(.fer-alone) > .fer-box .fer-tag span:nth-child(3) { display: none; } }
@container (max-width: 50px) { :not(.fer-alone) > .fer-box .fer-tag .fer-name { display: none; } }
"""


def theme():
    """Gradio's base with our surfaces, radii and accent."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=FONTS,
        font_mono=MONO,
    ).set(
        body_background_fill=BODY.light,
        body_background_fill_dark=BODY.dark,
        background_fill_primary=PAGE.light,
        background_fill_primary_dark=PAGE.dark,
        background_fill_secondary="#f4f5f8",
        background_fill_secondary_dark="#1f232b",
        block_background_fill=PAGE.light,
        block_background_fill_dark=PAGE.dark,
        block_border_color="#d9dde4",
        block_border_color_dark="#343944",
        block_label_background_fill="#f4f5f8",
        block_label_background_fill_dark="#1f232b",
        block_label_text_color="#525b69",
        block_label_text_color_dark="#b3bac6",
        body_text_color="#1b1f27",
        body_text_color_dark="#eef0f4",
        body_text_color_subdued="#525b69",
        body_text_color_subdued_dark="#b3bac6",
        button_primary_background_fill="#3d4fb8",
        button_primary_background_fill_hover="#33439f",
        button_primary_background_fill_dark="#4f62d0",
        button_primary_background_fill_hover_dark="#4456c2",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill=PAGE.light,
        button_secondary_background_fill_hover="#eceef3",
        button_secondary_background_fill_dark="#262b35",
        button_secondary_background_fill_hover_dark="#303643",
        button_secondary_border_color="#d9dde4",
        button_secondary_border_color_dark="#343944",
        button_border_width="1px",
        button_secondary_text_color="#1b1f27",
        button_secondary_text_color_dark="#eef0f4",
        color_accent="#3d4fb8",
        table_even_background_fill="#f4f5f8",
        table_even_background_fill_dark="#1f232b",
        table_odd_background_fill=PAGE.light,
        table_odd_background_fill_dark=PAGE.dark,
        link_text_color="#3d4fb8",
        link_text_color_dark="#a9b6ff",
    )


def css(label_names):
    return css_variables(label_names) + (FOLDER / "style.css").read_text(encoding="utf-8") + GRADIO


def head():
    shared, own = ((FOLDER / name).read_text(encoding="utf-8") for name in ("save.js", "page.js"))
    script = re.sub("^export ", "", shared, flags=re.MULTILINE) + own  # a module would run later than Gradio's own
    return f"<style>{CONTAINERS}</style><script>(() => {{\n{script}}})();</script>"
