"""Contrast and languages, computed."""

import string

import pytest

from space.emotions import PAGE, PALETTE, colours_of, css_variables
from space.text import emotion_name, languages, preferred_language, say


def luminance(colour):
    """Relative luminance of an sRGB hex colour (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("label", sorted(PALETTE))
def test_every_colour_stands_out_in_both_modes(label):
    assert contrast(PALETTE[label].light, PAGE.light) >= 3
    assert contrast(PALETTE[label].dark, PAGE.dark) >= 3


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


def test_say_falls_back_to_english():
    assert say("tlh", "tab_photo") == "Photo"
