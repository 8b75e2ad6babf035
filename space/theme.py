"""The page's theme: quiet, system fonts (nothing is fetched from another host), one accent."""

from pathlib import Path

import gradio as gr

from space.emotions import PAGE, css_variables

FOLDER = Path(__file__).parent
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]


def theme():
    """Gradio's base with our surfaces, radii and accent."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=FONTS,
        font_mono=MONO,
    ).set(
        body_background_fill=PAGE.light,
        body_background_fill_dark=PAGE.dark,
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
        button_primary_background_fill_hover_dark="#5e70dc",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        button_secondary_background_fill="#f4f5f8",
        button_secondary_background_fill_dark="#262b35",
        button_secondary_text_color="#1b1f27",
        button_secondary_text_color_dark="#eef0f4",
        color_accent="#3d4fb8",
    )


def css(label_names):
    return css_variables(label_names) + (FOLDER / "style.css").read_text(encoding="utf-8")


def head():
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return f"<script>{script}</script>"
