"""What the page says in the reader's language: one JSON file each in `space/languages/`, English the reference."""

import json
import math
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "languages"
DEFAULT = "en"


@cache
def languages():
    """{language code: {key: sentence}} of every file in `space/languages/`."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def say(language, key, **values):
    """The sentence `key` in `language` with `values` filled in; KeyError where English has no such sentence."""
    known = languages()
    sentence = known.get(language, known[DEFAULT]).get(key) or known[DEFAULT][key]
    return sentence.format(**values)


def faces_found(language, count):
    """How many faces there are, in words."""
    if count <= 1:
        return say(language, "faces_one" if count else "faces_none")
    return say(language, "faces_many", count=count)


def duration(language, seconds):
    """How long something is kept at most: in seconds below two minutes, else in minutes, rounded up."""
    if seconds < 120:
        return say(language, "seconds_one" if seconds == 1 else "seconds_many", count=seconds)
    return say(language, "minutes_many", count=math.ceil(seconds / 60))


def megabytes(length):
    """A file's size for people, from its bytes: rounded up to tenths, so that what is over a limit reads as more."""
    return f"{math.ceil(length / 1e5) / 10:g}"


def emotion_name(language, label):
    """A class's name for people; a class that the languages do not know (another model's) keeps its own."""
    known = languages()
    return known.get(language, known[DEFAULT]).get(f"emotion_{label}", label.replace("_", " ").capitalize())


def percent(language, p):
    """A probability for people: 93%, and never a false 100 or 0."""
    if 0.995 <= p < 1:
        return f"> {say(language, 'percent', number=99)}"
    if 0 < p < 0.005:
        return f"< {say(language, 'percent', number=1)}"
    return say(language, "percent", number=f"{p * 100:.0f}")


def preferred_language(accept_language):
    """The best language for an `Accept-Language` header such as "fr-CH, fr;q=0.9, en;q=0.8"; English when none fits."""
    wishes = []
    for position, part in enumerate((accept_language or "").split(",")):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        wishes.append((-weight, position, tag.split("-")[0].lower()))
    return next((tag for _, _, tag in sorted(wishes) if tag in languages()), DEFAULT)


class Refusal(ValueError):
    """Something that the app will not do, with the sentence for it: `str()` is English, `in_language` any other."""

    def __init__(self, key, **values):
        self.key, self.values = key, values
        super().__init__(say(DEFAULT, key, **values))

    def in_language(self, language):
        return say(language, self.key, **self.values)
