"""The look of each emotion: one colour for light pages, one for dark ones.

Hues alone do not do for colour-blind eyes: the seven differ in lightness too, found by a search for the largest least
distance in CIELAB as seen by normal, deuteranopic and protanopic eyes, with a contrast of at least 3 to 1 with what
is behind them in each mode (WCAG 2.2, 1.4.11). `tests/space/test_emotions.py` computes both.
Colour is never the only sign: a name or a number always stands beside it.
"""

from typing import NamedTuple


class Colours(NamedTuple):
    """sRGB hex colours."""

    light: str
    dark: str


PAGE = Colours("#ffffff", "#16181d")

PALETTE = {
    "angry": Colours("#e1655a", "#d94f38"),
    "disgust": Colours("#2b6618", "#b5f03c"),
    "fear": Colours("#591774", "#a14bff"),
    "happy": Colours("#a48b08", "#ffec94"),
    "sad": Colours("#1866cd", "#5dadff"),
    "surprise": Colours("#0d9ab0", "#10939b"),
    "neutral": Colours("#515c66", "#fafbff"),
}

OTHERS = [Colours("#b3246b", "#ff8fc6"), Colours("#7a5230", "#d6a77f"), Colours("#3b4cc0", "#9db0ff")]


def colours_of(label_names):
    """{label: Colours} for a model's classes; classes that are not FER-2013's take the other colours in turn."""
    unknown = [label for label in label_names if label not in PALETTE]
    return {label: PALETTE.get(label) or OTHERS[unknown.index(label) % len(OTHERS)] for label in label_names}


def css_variables(label_names):
    """CSS that defines --fer-INDEX for both modes; Gradio puts `dark` on the body."""
    colours = colours_of(label_names)
    light = "".join(f"--fer-{index}:{colours[label].light};" for index, label in enumerate(label_names))
    dark = "".join(f"--fer-{index}:{colours[label].dark};" for index, label in enumerate(label_names))
    return f":root{{{light}}}.dark{{{dark}}}"
