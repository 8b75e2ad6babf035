"""What every reader of FER-2013 shares: its classes by any of their names, the decoding of a picture, what is read."""

import io
import logging
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

logger = logging.getLogger(__name__)
LABEL_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SYNONYMS = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear", "happiness": "happy",
    "sadness": "sad", "surprised": "surprise",
}  # fmt: skip
SIZE = 48


class SourceError(ValueError):
    """Data that can't be read; the message names the file, the row or picture, and what was expected."""


@dataclass
class Pictures:
    """`images` uint8 [n, 48, 48], `labels` int64 [n], `usage` [n] of USAGES or "Test", `row` int64 [n] (from 0, in the
    challenge's order where the source says so, else -1), `votes` int64 [n, 10] or None."""

    images: np.ndarray
    labels: np.ndarray
    usage: np.ndarray
    row: np.ndarray
    votes: np.ndarray | None = None


def class_number(name, where):
    """Number of the class that `name` means, in any case, synonyms too. Raises SourceError naming `where`."""
    plain = name.strip().lower()
    plain = SYNONYMS.get(plain, plain)
    if plain not in LABEL_NAMES:
        raise SourceError(f"{where}: {name!r} is none of the classes {', '.join(LABEL_NAMES)}")
    return LABEL_NAMES.index(plain)


def numbers_by_name(names, where):
    """{position in `names`: number of FER-2013's class}. Raises SourceError where they are not its seven classes."""
    numbers = {position: class_number(one, where) for position, one in enumerate(names)}
    if sorted(numbers.values()) != list(range(len(LABEL_NAMES))):
        raise SourceError(f"{where}: the classes {', '.join(names)} are not FER-2013's {', '.join(LABEL_NAMES)}")
    return numbers


def class_columns(config, where):
    """For each of FER-2013's classes, in their order, its column in the logits of a model with config.json's `config`.
    Raises SourceError naming `where` where the model's classes are not those."""
    names = config.get("label_names")
    if not names:
        raise SourceError(f"{where} holds no label_names: which class is which can't be told")
    numbers = numbers_by_name(names, f"{where} label_names")
    return sorted(numbers, key=numbers.get)


def decode_grey(data, where):
    """Grey Pillow picture of an encoded one, or of a cell of parquet that holds one under "bytes". Raises SourceError
    naming `where`."""
    try:
        data = data["bytes"] if isinstance(data, dict) else data
        with Image.open(io.BytesIO(data)) as opened:
            return opened.convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, TypeError, KeyError, ValueError) as error:
        raise SourceError(f"{where}: a broken picture: {error}") from None


class Decoder:
    """Encoded pictures to grey uint8 [48, 48]; the first one of another size is told of, all are resized."""

    def __init__(self):
        self.warned = False

    def decode(self, data, where):
        """`data` as `decode_grey` takes it."""
        image = decode_grey(data, where)
        if image.size != (SIZE, SIZE):
            if not self.warned:
                logger.warning(
                    "%s is %dx%d, not %dx%d: it is resized, as are others like it", where, *image.size, SIZE, SIZE
                )
                self.warned = True
            image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        return np.asarray(image)
