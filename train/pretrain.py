"""Pretrain the backbone on Tiny-ImageNet, a small stand-in for ImageNet's weights where the Hub can't be reached.

accelerate launch -m train.pretrain --config train/configs/pretrain.yaml --data PATH --output runs/pretrain
accelerate launch train/train.py --pretrained runs/pretrain/best.safetensors --config train/configs/paper.yaml ...

PATH is a folder with train_*.parquet and val.parquet, columns `image` and `label` (0-199).
"""

import argparse
import logging
from pathlib import Path

import datasets
import numpy as np
import torch
from tqdm.auto import tqdm

from model_card.figures import draw_curves
from train.config import ConfigError
from train.launch import add_run_flags, read_config, run
from train.loop import Loop
from train.loss import soft_targets
from train.model import build_model
from train.pictures import SourceError, decode_grey
from train.provenance import Origin, describe_run
from train.score import write_metrics
from train.seeds import mixed_seed
from train.stopping import TrainingStopped

logger = logging.getLogger("train")

COMMAND = "train.pretrain"
CLASSES, SIZE = 200, 64
NAME = "Tiny-ImageNet"  # as metrics.json and the card name it
FACES_ALONE = ("ferplus_weight", "class_weights", "teachers", "pretrained")  # fields without a meaning here


def load_tiny_imagenet(folder, limit=None):
    """{"train", "validation": (grey pictures uint8 [n, 64, 64], labels int64 [n])}; `limit` pictures of each, drawn
    evenly, as the files are sorted by class.

    Raises SourceError where the files are not there, lack a column, or hold another picture or class.
    """
    patterns = {"train": "train*.parquet", "validation": "val*.parquet"}
    files = {name: sorted(map(str, Path(folder).glob(pattern))) for name, pattern in patterns.items()}
    absent = [name for name, found in files.items() if not found]
    if absent:
        expected = " and ".join(patterns.values())
        raise SourceError(f"{folder}: nothing to read for {', '.join(absent)}; expected {expected}")
    try:
        found = datasets.load_dataset("parquet", data_files=files)
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:  # pyarrow's are ValueErrors
        raise SourceError(f"{folder}: can't be read as parquet: {error}") from None
    return {name: read_split(split, f"{folder} {name}", limit) for name, split in found.items()}


def read_split(split, where, limit):
    if not {"image", "label"} <= set(split.column_names):
        raise SourceError(f"{where}: expected the columns image and label; it has {', '.join(split.column_names)}")
    if limit and limit < len(split):
        split = split.select(np.linspace(0, len(split) - 1, limit).astype(int))
    labels = np.asarray(split["label"][:], np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if len(wrong):
        raise SourceError(f"{where} row {wrong[0] + 1}: label {labels[wrong[0]]} is outside 0-{CLASSES - 1}")
    images = np.empty((len(labels), SIZE, SIZE), np.uint8)
    cells = split.cast_column("image", datasets.Image(decode=False))["image"]
    for number, cell in enumerate(tqdm(cells, desc=where, unit="pictures")):
        grey = np.asarray(decode_grey(cell, f"{where} row {number + 1}"))
        if grey.shape != (SIZE, SIZE):
            raise SourceError(f"{where} row {number + 1}: {grey.shape[1]}x{grey.shape[0]} pixels, not {SIZE}x{SIZE}")
        images[number] = grey
    return images, labels


def pretrain(args, config, process):
    """Trains a network of 200 classes; `output` then holds best.safetensors, training_curves.png, and a metrics.json
    whose lineage the next run carries on."""
    given = [name for name in FACES_ALONE if getattr(config, name) not in (0, None, (), "none")]
    if given:
        raise ConfigError(f"{', '.join(given)}: not for {NAME}, which has no such labels, votes or teachers")
    with process.main_process_first():
        splits = load_tiny_imagenet(args.data, config.limit)
    images, labels = splits["train"]
    logger.info("%s from %s: %s", NAME, args.data, ", ".join(f"{n} {len(s[1]):,}" for n, s in splits.items()))
    torch.manual_seed(mixed_seed(config.seed))
    model, normalisation, _ = build_model(config, CLASSES)
    targets = soft_targets(labels, None, CLASSES, config.label_smoothing, 0)
    loop = Loop(
        config, process, model, normalisation, (images, targets, torch.ones(len(labels))), splits["validation"],
        args.output,
    )  # fmt: skip
    unfinished = [f"pretrained on {NAME}, not to its end:"]
    if process.is_main_process:  # best.safetensors may be taken before the end
        write_provenance(args.output, config, process, loop.progress, unfinished)
    try:
        loop.fit(resume=args.resume)
    except TrainingStopped:
        if process.is_main_process:  # now with how far it came
            write_provenance(args.output, config, process, loop.progress, unfinished)
        raise
    if process.is_main_process:
        right = loop.progress.history[loop.progress.best_epoch]["validation_accuracy"]
        lineage = [f"pretrained on {NAME} (200 classes, made grey), {right:.1%} of its validation pictures right:"]
        write_provenance(args.output, config, process, loop.progress, lineage)
        draw_curves(loop.progress.history, args.output / "training_curves.png")
        logger.info("fine-tune with --pretrained %s", args.output / "best.safetensors")


def write_provenance(folder, config, process, progress, lineage):
    """metrics.json beside the weights: what a run that begins from them takes over into its own."""
    training = describe_run(config, progress, Origin(lineage, [NAME], 0), process, script=("-m", "train.pretrain"))
    write_metrics(folder, {"schema_version": 1, "training": training, "splits": {}})


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train*.parquet and val*.parquet")
    add_run_flags(parser)
    args = parser.parse_args(arguments)
    run(args, read_config(args, COMMAND), pretrain, COMMAND)


if __name__ == "__main__":
    main()
