"""Contrast and languages, computed."""

import re
import string
from itertools import combinations

import numpy as np
import pytest

from space.emotions import PAGE, PALETTE, colours_of, css_variables
from space.text import duration, emotion_name, languages, percent, preferred_language, say
from space.theme import theme

SOFT = {"light": "#f4f5f8", "dark": "#1f232b"}  # behind the bars and the curve (--fer-soft)

# Linear RGB to linear RGB as a dichromat sees it, severity 1.0: Machado, Oliveira and Fernandes 2009, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15(6), their table of matrices.
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
LEAST_DISTANCE = 20  # CIE 1976 colour difference; one that is just noticeable is 2.3


def linear_rgb(colour):
    """The channels of an sRGB hex colour as light, 0 to 1 (IEC 61966-2-1)."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    """Relative luminance of an sRGB hex colour (WCAG 2.2)."""
    return float(linear_rgb(colour) @ (0.2126, 0.7152, 0.0722))


def lab(colour, eyes):
    """CIELAB (D65) of an sRGB hex colour as seen by `eyes`, a key of `EYES`."""
    seen = (EYES[eyes] @ linear_rgb(colour)).clip(0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = to_xyz @ seen / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("label", sorted(PALETTE))
def test_every_colour_stands_out_in_both_modes(label, mode):
    for behind in (getattr(PAGE, mode), SOFT[mode]):
        assert contrast(getattr(PALETTE[label], mode), behind) >= 3


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("eyes", EYES)
def test_no_two_emotions_look_alike_to_anybody(mode, eyes):
    seen = {label: lab(getattr(colours, mode), eyes) for label, colours in PALETTE.items()}
    distances = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(seen, 2)}
    assert min(distances.values()) >= LEAST_DISTANCE, min(distances.items(), key=lambda item: item[1])


def test_the_simulation_sees_what_dichromats_do_not():
    """Grey stays grey to all eyes, and a red and a green of the same lightness fall together for a deuteranope."""
    for eyes in EYES:
        assert np.linalg.norm(lab("#808080", eyes) - lab("#808080", "normal")) < 1
    red, green = "#a86f00", "#7f8000"
    assert np.linalg.norm(lab(red, "deuteranopia") - lab(green, "deuteranopia")) < 10
    assert np.linalg.norm(lab(red, "normal") - lab(green, "normal")) > 25


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_can_be_read_in_both_modes(repository, mode):
    """4.5 to 1 for every text of the theme and of style.css on what is behind it."""
    look, suffix = theme(), "_dark" if mode == "dark" else ""
    page, soft = getattr(PAGE, mode), SOFT[mode]
    for text in ("body_text_color", "body_text_color_subdued", "block_label_text_color", "link_text_color"):
        for behind in (page, soft):
            assert contrast(getattr(look, text + suffix), behind) >= 4.5, text
    for button in ("primary", "secondary"):
        background, text = f"button_{button}_background_fill{suffix}", f"button_{button}_text_color{suffix}"
        assert contrast(getattr(look, text), getattr(look, background)) >= 4.5, button
    css = (repository / "space" / "style.css").read_text()
    line = next(line for line in css.splitlines() if "--fer-ink:" in line and line.startswith(".dark") == bool(suffix))
    variables = dict(re.findall(r"--fer-(\w+): (#\w{6})", line))
    assert variables["soft"] == soft
    for name in ("ink", "quiet"):
        assert contrast(variables[name], page) >= 4.5 and contrast(variables[name], soft) >= 4.5, name
    assert contrast(variables["accent"], page) >= 3  # the ring of the focus


def test_another_models_classes_get_colours_and_names():
    labels = ("happy", "contempt", "boredom")
    assert len({colours.light for colours in colours_of(labels).values()}) == 3
    assert "--fer-2:" in css_variables(labels)
    assert emotion_name("de", "contempt") == "Contempt"


def test_every_language_says_everything_with_the_same_blanks():
    english = languages()["en"]
    for code, sentences in languages().items():
        assert sentences.keys() == english.keys(), code
        for key, sentence in sentences.items():
            blanks = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
            wanted = {name for _, name, _, _ in string.Formatter().parse(english[key]) if name}
            assert blanks == wanted, f"{code}: {key}"


@pytest.mark.parametrize(
    "header, language",
    [
        (None, "en"),
        ("", "en"),
        ("tlh", "en"),
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("en;q=0.3, de-AT;q=0.7", "de"),
        ("de;q=x, fr", "fr"),
    ],
)
def test_language_of_the_browser(header, language):
    assert preferred_language(header) == language


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1, ["1 second", "1 Sekunde", "1 seconde"]),
        (119, ["119 seconds", "119 Sekunden", "119 secondes"]),
        (120, ["2 minutes", "2 Minuten", "2 minutes"]),
        (301, ["6 minutes", "6 Minuten", "6 minutes"]),
    ],
)
def test_a_time_is_said_in_seconds_or_minutes(seconds, said):
    assert [duration(language, seconds) for language in ("en", "de", "fr")] == said


def test_say_falls_back_to_english():
    assert say("tlh", "tab_photo") == "Photo"


@pytest.mark.parametrize(("p", "said"), [(0, "0%"), (0.004, "< 1%"), (0.93, "93%"), (0.996, "> 99%"), (1, "100%")])
def test_no_probability_is_a_false_0_or_100(p, said):
    assert percent("en", p) == said
