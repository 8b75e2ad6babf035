"""FER-2013 as a `datasets.DatasetDict`: official splits, a validation split of our own, FER+ votes where they are.

    python -m train.data --data PATH

prints counts per class and split, duplicates within and across splits, and writes a contact sheet picture.
"""

import argparse
import hashlib
import io
import json
import logging
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from PIL import Image

from train.hub_source import SPLIT_NAMES, is_hub_id, read_hub, resolve_revision
from train.pictures import LABEL_NAMES, SourceError
from train.sources import MIXED_TEST, UNKNOWN, USAGES, join_ferplus, read_source

__all__ = ["LABEL_NAMES", "Arrays", "SourceError", "as_arrays", "fingerprint", "load_fer2013", "split_training"]

logger = logging.getLogger(__name__)
CACHE_VERSION = 7  # raised whenever what is cached changes, so that no older cache is read
OFFICIAL_COUNTS = dict(zip(USAGES, (28_709, 3_589, 3_589), strict=True))
SPLITS = {"PublicTest": "public_test", "PrivateTest": "private_test", MIXED_TEST: "test", UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Arrays:
    """One split in memory: `images` uint8 [n, 48, 48], `labels` int64 [n], `votes` float32 [n, 10] or None,
    `in_training` bool [n] (an exact duplicate of the picture is in Training) or None where there is no Training."""

    images: np.ndarray
    labels: np.ndarray
    votes: np.ndarray | None
    in_training: np.ndarray | None


def load_fer2013(path, *, validation_fraction=0.125, seed=0, limit=None, split_map=(), ferplus=None, cache_dir=None):
    """`datasets.DatasetDict` with `train`, `validation`, and `public_test`, `private_test`, `test` where they are.

    `path` is a file or a folder, or a dataset of the Hub as `USER/NAME[@REVISION]`; for the latter `split_map` says
    what its splits are, as pairs (its name, training, public_test, private_test, test or unknown). `ferplus` is the
    path of FER+'s fer2013new.csv.

    Features: `image` (Image, 48x48 grey), `label` (ClassLabel in FER-2013's order), `row` (in the challenge's file, -1
    where unknown), `in_training` (an exact duplicate is in Training; false in train and validation), and
    `ferplus_votes` (ten counts) where the source has them. `test` is the folder version's mixture of PublicTest and
    PrivateTest; a source without Training has test splits alone, without `in_training`. `limit` keeps the first
    pictures of each official split, or evenly drawn ones where rows are unknown; where that leaves none for validation,
    there is no such split. Cached as Arrow under `datasets`' own cache.
    Raises SourceError for data that can't be read.
    """
    options = {"fraction": validation_fraction, "seed": seed, "limit": limit, "version": CACHE_VERSION}
    cache = Path(cache_dir or datasets.config.HF_DATASETS_CACHE) / "fer2013"
    from_hub = not Path(path).exists() and is_hub_id(path)
    if split_map and not from_hub:
        raise SourceError(f"split_map is for datasets of the Hub; {path} says itself what its splits are")
    resolved = resolve_revision(path) if from_hub else ()  # once: a branch may move on
    state = [*resolved, sorted(map(list, split_map))] if from_hub else source_state(path)
    state += source_state(ferplus) if ferplus else []
    folder = cache / hashlib.sha256(json.dumps([state, options]).encode()).hexdigest()[:32]
    if not folder.is_dir():
        pictures = read_hub(*resolved, split_map) if from_hub else read_source(path)
        if ferplus:
            pictures = join_ferplus(pictures, ferplus)
        splits = build_splits(pictures, validation_fraction, seed, limit)
        building = folder.with_name(f".{folder.name}.{os.getpid()}")
        splits.save_to_disk(building)
        try:
            building.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(building)
    return datasets.load_from_disk(folder)


def source_state(path):
    """What changes when the source does: its files' names, sizes and times of change."""
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path} is not there")
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    beside = path.with_name("fer2013new.csv")
    files += [beside] if path.suffix == ".csv" and beside.is_file() else []
    return [[str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns] for one in files]


def build_splits(pictures, validation_fraction, seed, limit):
    if not len(pictures.labels):
        raise SourceError("the source has all that FER-2013 has, except for pictures: it holds none")
    counts = Counter(pictures.usage.tolist())
    differing = [
        f"{name} {counts[name]:,} (official: {n:,})"
        for name, n in OFFICIAL_COUNTS.items()
        if name in counts and counts[name] != n
    ]
    if differing:
        logger.warning("counts differ from FER-2013's: %s", ", ".join(differing))
    positions = {name: limited(np.flatnonzero(pictures.usage == name), pictures.row, limit) for name in counts}
    tests = {SPLITS[name]: positions[name] for name in SPLITS if name in positions}
    if "Training" not in counts:
        logger.warning("the source holds no Training pictures: no train split, and no telling of duplicates in it")
        return datasets.DatasetDict({name: as_dataset(pictures, rows, None) for name, rows in tests.items()})
    hashes = picture_hashes(pictures.images)
    training = positions["Training"]
    known = np.unique(hashes[pictures.usage == "Training"])  # of all, also where `limit` leaves a part
    empty = np.flatnonzero(np.bincount(pictures.labels[training], minlength=len(LABEL_NAMES)) == 0)
    if len(empty):
        logger.warning("no Training picture of %s", ", ".join(LABEL_NAMES[one] for one in empty))
    mask = split_training(pictures.labels[training], hashes[training], validation_fraction, seed)
    chosen = {"train": training[~mask], "validation": training[mask]} | tests
    if not mask.any():  # datasets reads no split of no pictures back
        logger.warning("no validation split: %g of %d Training pictures are none", validation_fraction, len(training))
        del chosen["validation"]
    return datasets.DatasetDict(
        {
            name: as_dataset(pictures, rows, np.isin(hashes[rows], known) & (name not in ("train", "validation")))
            for name, rows in chosen.items()
        }
    )


def limited(positions, rows, limit):
    """The first `limit` of `positions`; evenly drawn ones where a row in the official order is not known (-1), as
    folders are sorted by class."""
    if not limit or limit >= len(positions):
        return positions
    if (rows[positions] < 0).any():
        return positions[np.linspace(0, len(positions) - 1, limit).astype(int)]
    return positions[:limit]


def as_dataset(pictures, rows, in_training):
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=list(LABEL_NAMES)),
        "row": datasets.Value("int64"),
    }
    columns = {
        "image": [{"bytes": as_png(image), "path": None} for image in pictures.images[rows]],
        "label": pictures.labels[rows],
        "row": pictures.row[rows],
    }
    if in_training is not None:
        features["in_training"] = datasets.Value("bool")
        columns["in_training"] = in_training
    if pictures.votes is not None:
        features["ferplus_votes"] = datasets.List(datasets.Value("int64"), length=10)
        columns["ferplus_votes"] = list(pictures.votes[rows])
    return datasets.Dataset.from_dict(columns, datasets.Features(features))


def as_png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def picture_hashes(images):
    """Array [n] of the pictures' sha256."""
    return np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images])


def split_training(labels, groups, fraction, seed):
    """Boolean mask [n] of the pictures of Training that are set aside for validation.

    Stratified: of every class, groups are drawn in random order until `fraction` of its pictures is reached. All
    pictures of one group (exact duplicates, whatever their labels) stand on one side; a group counts for the class of
    its first picture. The same labels, groups, fraction and seed always give the same mask, and a smaller fraction a
    part of it: weights that were validated on the larger split can be trained further with the smaller one.
    """
    labels, groups = np.asarray(labels), np.asarray(groups)
    _, first, member, size = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)  # by first appearance, so that the hash of the pictures plays no part
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(first), dtype=bool)
    for label in np.unique(labels):
        candidates = order[labels[first[order]] == label]
        candidates = candidates[generator.permutation(len(candidates))]
        wanted = round(fraction * np.count_nonzero(labels == label))
        chosen[candidates[: np.searchsorted(np.cumsum(size[candidates]), wanted, side="left") + 1]] = wanted > 0
    return chosen[member]


def as_arrays(split):
    """The split's `Arrays`."""
    table = split.with_format("arrow")[:]
    encoded = table["image"].combine_chunks().field("bytes").to_pylist()
    images = np.stack([np.asarray(Image.open(io.BytesIO(one))) for one in encoded])
    votes = np.asarray(split["ferplus_votes"][:], np.float32) if "ferplus_votes" in split.column_names else None
    known = np.asarray(split["in_training"][:], bool) if "in_training" in split.column_names else None
    return Arrays(images, np.asarray(split["label"][:], np.int64), votes, known)


def fingerprint(split):
    """sha256 over pixels and labels, in the split's order."""
    arrays = as_arrays(split)
    return hashlib.sha256(arrays.images.tobytes() + arrays.labels.tobytes()).hexdigest()


def report(splits):
    """Text: counts per class and split, and exact duplicates within and across splits."""
    arrays = {name: as_arrays(split) for name, split in splits.items()}
    hashes = {name: picture_hashes(one.images) for name, one in arrays.items()}
    lines = [f"{'':12}" + "".join(f"{name:>13}" for name in arrays)]
    counts = {name: np.bincount(one.labels, minlength=len(LABEL_NAMES)) for name, one in arrays.items()}
    lines += [
        f"{label:12}" + "".join(f"{counts[name][n]:>13,}" for name in arrays) for n, label in enumerate(LABEL_NAMES)
    ]
    lines.append(f"{'all':12}" + "".join(f"{len(one.labels):>13,}" for one in arrays.values()))
    within = {name: len(one) - len(np.unique(one)) for name, one in hashes.items()}
    lines.append(f"{'duplicates':12}" + "".join(f"{within[name]:>13,}" for name in arrays))
    names = list(arrays)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            shared = int(np.isin(hashes[second], hashes[first]).sum())
            lines.append(f"pictures of {second} that are also in {first}: {shared:,}")
    return "\n".join(lines)


def contact_sheet(split, path, columns=12):
    """Write a PNG with a row of pictures for each class of the split."""
    arrays = as_arrays(split)
    sheet = Image.new("L", (columns * 50, len(LABEL_NAMES) * 50), 255)
    for number in range(len(LABEL_NAMES)):
        for column, image in enumerate(arrays.images[arrays.labels == number][:columns]):
            sheet.paste(Image.fromarray(image), (column * 50 + 1, number * 50 + 1))
    sheet.save(path)


def add_data_flags(parser):
    """--data, --split_map and --ferplus, for every command that reads FER-2013."""
    parser.add_argument(
        "--data",
        required=True,
        help="FER-2013: a CSV, image folders, parquet, a zip of these, or a dataset of the Hub USER/NAME[@REVISION]",
    )
    parser.add_argument(
        "--split_map",
        nargs="+",
        type=split_pair,
        default=[],
        metavar="SPLIT=MEANING",
        help=f"what the splits of a Hub dataset are: {', '.join(SPLIT_NAMES)}, as in test=private_test",
    )
    parser.add_argument("--ferplus", type=Path, help="FER+'s fer2013new.csv, joined by row (beside a CSV it is found)")


def load_validated(args, **options):
    """`load_fer2013` by the flags of `add_data_flags`. Raises SourceError where there is nothing to train or validate
    on."""
    splits = load_fer2013(args.data, split_map=args.split_map, ferplus=args.ferplus, **options)
    if "train" not in splits:
        raise SourceError(f"{args.data} holds no Training pictures; it has {', '.join(splits)}")
    if "validation" not in splits:
        raise SourceError(
            f"{args.data}: no Training picture is left for validation; raise validation_fraction or limit"
        )
    return splits


def split_pair(text):
    name, _, meaning = text.partition("=")
    if not name or meaning not in SPLIT_NAMES:
        raise argparse.ArgumentTypeError(f"{text!r}: expected SPLIT=MEANING with one of {', '.join(SPLIT_NAMES)}")
    return name, meaning


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_flags(parser)
    parser.add_argument("--sheet", type=Path, default=Path("contact_sheet.png"), help="contact sheet of train to write")
    args = parser.parse_args()
    try:
        splits = load_fer2013(args.data, split_map=args.split_map, ferplus=args.ferplus)
    except SourceError as error:
        raise SystemExit(f"train.data: {error}") from None
    print(report(splits))
    contact_sheet(next(iter(splits.values())), args.sheet)
    print(f"contact sheet of {next(iter(splits))}, a row a class ({', '.join(LABEL_NAMES)}): {args.sheet}")


if __name__ == "__main__":
    main()
