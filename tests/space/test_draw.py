"""What is drawn into pictures and videos can be read in every language."""

import numpy as np
import pytest
from PIL import Image

from space.draw import draw_faces, font, tag_text
from space.emotions import PALETTE
from space.text import languages

ABSENT = "\u0e01"  # a Thai letter, which the font has not


@pytest.mark.parametrize("language", sorted(languages()))
def test_every_letter_of_a_tag_is_in_the_font(language):
    pen = font(22)
    absent = bytes(pen.getmask(ABSENT))
    letters = {letter for emotion in PALETTE for letter in tag_text(12, emotion, 0.93, language=language)}
    assert {"1", "%"} <= letters
    assert not [letter for letter in letters if letter.strip() and bytes(pen.getmask(letter)) == absent]


def test_a_tag_with_an_umlaut_is_drawn_as_such():
    def drawn(text):
        return np.asarray(
            draw_faces(Image.new("RGB", (300, 200)), [((20, 60, 80, 80), text, 0)], list(PALETTE), unit=22)
        )

    assert not np.array_equal(drawn("Ä"), drawn(ABSENT))
