"""The look of each emotion: one colour for light pages, one for dark ones, one for boxes on photographs.

The hues are Okabe and Ito's (2008), made for colour-blind eyes, moved in lightness until each has a contrast of at
least 3 to 1 with the page behind it in its mode (WCAG 2.2, 1.4.11; `tests/space/test_emotions.py` computes it).
Colour is never the only sign: a name or a number always stands beside it.
"""

from typing import NamedTuple


class Colours(NamedTuple):
    """sRGB hex colours."""

    light: str
    dark: str


PAGE = Colours("#ffffff", "#16181d")

PALETTE = {
    "angry": Colours("#c2410c", "#ff8552"),
    "disgust": Colours("#5b7f00", "#a9cf4a"),
    "fear": Colours("#7e3fa0", "#c89bea"),
    "happy": Colours("#b07400", "#f5c04a"),
    "sad": Colours("#0a62b0", "#66b1ff"),
    "surprise": Colours("#00857c", "#3fd0c3"),
    "neutral": Colours("#5d6675", "#aab3c2"),
}

OTHERS = [Colours("#b3246b", "#ff8fc6"), Colours("#7a5230", "#d6a77f"), Colours("#3b4cc0", "#9db0ff")]


def colours_of(label_names):
    """{label: Colours} for a model's classes; classes that are not FER-2013's take the other colours in turn."""
    unknown = [label for label in label_names if label not in PALETTE]
    return {label: PALETTE.get(label) or OTHERS[unknown.index(label) % len(OTHERS)] for label in label_names}


def css_variables(label_names):
    """CSS that defines --fer-LABEL for both modes; Gradio puts `dark` on the body."""
    colours = colours_of(label_names)
    light = "".join(f"--fer-{index}:{colours[label].light};" for index, label in enumerate(label_names))
    dark = "".join(f"--fer-{index}:{colours[label].dark};" for index, label in enumerate(label_names))
    return f":root{{{light}}}.dark{{{dark}}}"
