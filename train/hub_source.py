"""FER-2013 from a dataset of the Hub: columns and classes are mapped by name, splits by their counts.

`USER/NAME` or `USER/NAME@REVISION`, as `clip-benchmark/wds_fer2013` (columns jpg and cls, names such as `fearful`) or
`Piro17/fer2013test` (the 7,178 test pictures, in a split that is named train).
"""

import logging
import re
from pathlib import Path

import datasets
import httpx2  # huggingface_hub's own HTTP client, for the types of its errors
import numpy as np
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from train.pictures import Decoder, Pictures, SourceError, class_number, numbers_by_name
from train.sources import MIXED_TEST, UNKNOWN, USAGES

logger = logging.getLogger(__name__)
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
IMAGE_COLUMNS = ("image", "jpg", "png", "img", "picture")
LABEL_COLUMNS = ("label", "labels", "cls", "emotion", "class")
COUNTS = {28_709: "Training", 7_178: MIXED_TEST}
SPLIT_NAMES = {
    "training": "Training",
    "public_test": "PublicTest",
    "private_test": "PrivateTest",
    "test": MIXED_TEST,
    "unknown": UNKNOWN,
}


def is_hub_id(text):
    return HUB_ID.fullmatch(str(text)) is not None


def resolve_revision(text):
    """(repository id, commit) of `USER/NAME[@REVISION]`; a whole commit id needs no network."""
    name, _, revision = str(text).partition("@")
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return name, revision
    api = HfApi()
    try:
        return name, api.dataset_info(name, revision=revision or None).sha
    except RevisionNotFoundError:
        raise SourceError(f"{name}: no revision {revision!r} on the Hub") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise SourceError(f"{text} is neither on this disk nor a dataset of the Hub that this login may read") from None
    except (httpx2.HTTPError, OSError) as error:  # an answer of an error, and none at all
        raise SourceError(
            f"{text} is not on this disk, and the Hub can't be reached at {api.endpoint} to look there"
            f" ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from None


def read_hub(name, revision, split_map=()):
    """`Pictures` of the Hub dataset `name` at the commit `revision`.

    `split_map` holds (split of the dataset, one of training, public_test, private_test, test, unknown). Raises
    SourceError for columns or classes that aren't FER-2013's, and for a split that `split_map` names and isn't there.
    """
    try:
        found = datasets.load_dataset(name, revision=revision)
    except (datasets.exceptions.DatasetsError, httpx2.HTTPError, OSError, ValueError) as error:
        raise SourceError(
            f"{name}@{revision[:12]} is not on this disk and can't be loaded from the Hub as a dataset"
            f" ({type(error).__name__}: {error})"
        ) from None
    mapping = dict(split_map)
    absent = sorted(set(mapping) - set(found))
    if absent:
        raise SourceError(f"split_map: {name} has no split {', '.join(absent)}; it has {', '.join(found)}")
    parts = [
        read_split(split, f"{name} {key}", usage_of(key, len(split), mapping), name, revision)
        for key, split in found.items()
    ]
    joined = [np.concatenate([part[n] for part in parts]) for n in range(3)]
    return Pictures(*joined, row=np.full(len(joined[0]), -1))


def usage_of(key, count, mapping):
    """What a split of the Hub's is in FER-2013: as `mapping` says, else by its count, else by its name; else unknown.

    A count of 3,589 is PublicTest's and PrivateTest's alike, so that only the name can tell.
    """
    if key in mapping:
        return SPLIT_NAMES[mapping[key]]
    plain = re.sub("[^a-z]", "", key.lower())
    usage = COUNTS.get(count) or next((one for one in USAGES[1:] if count == 3_589 and one.lower() in plain), UNKNOWN)
    if usage == UNKNOWN:
        logger.warning(
            "split %s has %s pictures, neither count nor name official: it is `unknown` until --split_map %s=... says"
            " what it is",
            *(key, f"{count:,}", key),
        )
    return usage


def read_split(split, where, usage, name, revision):
    image, label = (column(split, names, where) for names in (IMAGE_COLUMNS, LABEL_COLUMNS))
    values = split[label][:]
    numbers = class_numbers(split.features[label], values, where, name, revision)
    wrong = next((n for n, value in enumerate(values) if value not in numbers), None)
    if wrong is not None:
        raise SourceError(f"{where} row {wrong + 1}: {label} {values[wrong]!r} is none of {list(numbers)}")
    decoder = Decoder()
    cells = tqdm(split.cast_column(image, datasets.Image(decode=False))[image], desc=where, unit="pictures")
    images = np.stack([decoder.decode(cell, f"{where} row {n + 1}") for n, cell in enumerate(cells)])
    labels = np.array([numbers[value] for value in values], np.int64)
    return images, labels, np.full(len(labels), usage, dtype=object)


def column(split, names, where):
    for name in names:
        if name in split.column_names:
            return name
    raise SourceError(f"{where}: no column {' or '.join(names)}; it has {', '.join(split.column_names)}")


def class_numbers(feature, values, where, name, revision):
    """{what stands in the label column: number of FER-2013's class}, mapped by the classes' names, never by order."""
    if isinstance(values[0], str):
        return {one: class_number(one, where) for one in set(values)}
    names = getattr(feature, "names", None)
    if names is None:  # web datasets: numbers, and a list of names beside the shards
        try:
            file = hf_hub_download(name, "classnames.txt", repo_type="dataset", revision=revision)
        except (EntryNotFoundError, httpx2.HTTPError, OSError):
            raise SourceError(
                f"{where}: the labels are bare numbers without names, and there is no classnames.txt: FER-2013's order"
                " can't be told"
            ) from None
        names = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
    return numbers_by_name(names, where)
