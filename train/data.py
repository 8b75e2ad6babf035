"""FER-2013 as a `datasets.DatasetDict`: official splits, a validation split of our own, FER+ votes where they are."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np

LABEL_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True)
class Arrays:
    """One split in memory: `images` uint8 [n, 48, 48], `labels` int64 [n], `votes` float32 [n, 10] or None,
    `in_training` bool [n] (an exact duplicate of the picture is in Training)."""

    images: np.ndarray
    labels: np.ndarray
    votes: np.ndarray | None
    in_training: np.ndarray


def split_training(labels, groups, fraction, seed):
    """Boolean mask [n] of the pictures of Training that are set aside for validation.

    Stratified: of every class, groups are drawn in random order until `fraction` of its pictures is reached. All
    pictures of one group (exact duplicates, whatever their labels) stand on one side; a group counts for the class of
    its first picture. The same labels, groups, fraction and seed always give the same mask.
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


def load_fer2013(path, *, validation_fraction=0.125, seed=0, limit=None):
    parts = {}
    for name in ("training", "public_test"):
        part = datasets.Dataset.from_parquet(str(Path(path) / f"{name}.parquet"))
        if limit:
            part = part.select(range(min(limit, len(part))))
        parts[name] = part.cast_column("label", datasets.ClassLabel(names=list(LABEL_NAMES)))
    training = parts["training"]
    hashes = picture_hashes(training)
    mask = split_training(training["label"][:], hashes, validation_fraction, seed)
    known = set(hashes)
    parts["public_test"] = parts["public_test"].add_column(
        "in_training", [h in known for h in picture_hashes(parts["public_test"])]
    )
    training = training.add_column("in_training", [False] * len(training))
    return datasets.DatasetDict(
        train=training.select(np.flatnonzero(~mask)),
        validation=training.select(np.flatnonzero(mask)),
        public_test=parts["public_test"],
    )


def picture_hashes(split):
    return [hashlib.sha256(np.asarray(image.convert("L")).tobytes()).hexdigest() for image in split["image"]]


def as_arrays(split):
    images = np.stack([np.asarray(image.convert("L")) for image in split["image"]])
    votes = np.asarray(split["ferplus_votes"][:], np.float32) if "ferplus_votes" in split.column_names else None
    return Arrays(images, np.asarray(split["label"][:], np.int64), votes, np.asarray(split["in_training"][:], bool))


def fingerprint(split):
    """sha256 over pixels and labels, in the split's order."""
    arrays = as_arrays(split)
    return hashlib.sha256(arrays.images.tobytes() + arrays.labels.tobytes()).hexdigest()
