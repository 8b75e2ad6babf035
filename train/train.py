"""Fine-tune timm's EfficientNetB2 on FER-2013 in two stages, and write a model folder that every loader takes.

accelerate launch train/train.py --config train/configs/smoke.yaml --data PATH --output runs/smoke
accelerate launch train/train.py --config train/configs/scratch.yaml --data PATH --output runs/scratch --resume
accelerate launch --multi_gpu --num_processes 4 train/train.py --config train/configs/paper.yaml --data P --output D
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if sys.path and Path(sys.path[0] or ".").resolve() == ROOT / "train":
    sys.path[0] = str(ROOT)  # else `import train` finds this file

from train.stopping import follow_launcher

if __name__ == "__main__":
    follow_launcher()  # here already: the imports below take seconds, in which a launcher can be killed

try:
    import accelerate  # noqa: F401
    import datasets  # noqa: F401
    import evaluate  # noqa: F401
    import timm  # noqa: F401
    import torch
except ModuleNotFoundError as error:
    sys.exit(
        f"train/train.py needs {error.name}: install the training stack with `pip install -r requirements-train.txt`"
    )

import argparse
import dataclasses
import logging
import os
import tempfile

from hub.commit import HubError, check_repo_id
from model_card.figures import draw_curves
from train.averaging import BEGUN, averaged, check_same_beginning
from train.checkpoint import save_weights
from train.config import ConfigError
from train.data import LABEL_NAMES, add_data_flags, as_arrays, fingerprint, load_validated
from train.earlier import check_same_pictures
from train.energy import EnergyMeter
from train.export import check_exportable
from train.finish import check_least_recall, finish
from train.launch import add_run_flags, goes_on, read_config, run
from train.loop import Loop
from train.loss import class_weights, soft_targets
from train.model import build_model
from train.provenance import Origin
from train.push import PushError, push_folder
from train.seeds import mixed_seed
from train.teachers import TEACHERS

logger = logging.getLogger("train")


COMMAND = "train/train.py"
SPLITS = ("validation", "public_test", "private_test", "test", "unknown")
DRY_RUN_PICTURES = 64  # of every split but train


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_flags(parser)
    parser.add_argument(
        "--dry_run", action="store_true", help="one batch of every stage, scoring, export; keeps nothing"
    )
    parser.add_argument("--score", nargs="+", default=["validation", "public_test"], choices=SPLITS, metavar="SPLIT")
    parser.add_argument(
        "--views", nargs="+", default=["single"], choices=("single", "flip", "ten_crop"), metavar="VIEW"
    )
    parser.add_argument(
        "--measure_energy", action="store_true", help="CodeCarbon's estimate goes into metrics and card"
    )
    parser.add_argument("--push_to_hub", metavar="USER/NAME", help="push the model folder there when it is done")
    add_run_flags(parser)
    args = parser.parse_args(arguments)
    if args.push_to_hub:  # before hours are spent
        try:
            check_repo_id(args.push_to_hub)
        except HubError as error:
            parser.error(f"--push_to_hub: {error}")
    return args


def main(arguments=None):
    args = parse(arguments)
    config = read_config(args, COMMAND)
    if not args.dry_run:
        run(args, config, train_and_export, COMMAND)
        return
    with tempfile.TemporaryDirectory() as folder:
        args.output, args.resume, args.push_to_hub = Path(folder), False, None
        config = dataclasses.replace(
            config, epochs=tuple(min(1, n) for n in config.epochs), size_schedule=(), report_to=(), least_recall=()
        )
        run(args, config, train_and_export, COMMAND)
    logger.info("dry run: every stage, scoring and export ran; nothing was kept")


def train_and_export(args, config, process):
    def load(fraction):
        return load_validated(args, validation_fraction=fraction, seed=config.split_seed, limit=config.limit)

    if args.measure_energy and int(os.environ.get("LOCAL_WORLD_SIZE", process.num_processes)) != process.num_processes:
        raise ConfigError("--measure_energy measures one machine, and this run has several")
    exported = config.architecture not in TEACHERS
    if exported:
        check_exportable(config)
    with process.main_process_first():
        splits = load(config.validation_fraction)
    if exported and not set(args.score) & set(splits):  # a card needs figures
        raise ConfigError(f"--score: {args.data} holds no split {', '.join(args.score)}; it has {', '.join(splits)}")
    if args.dry_run:
        splits = splits | {
            name: split.select(range(min(DRY_RUN_PICTURES, len(split))))
            for name, split in splits.items()
            if name != "train"
        }
    train, validation = as_arrays(splits["train"]), as_arrays(splits["validation"])
    check_least_recall(config, validation.labels)
    learnt, resumed = False, goes_on(args)
    if process.is_main_process and not args.dry_run:
        learnt = check_same_pictures(
            config, lambda fraction: fingerprint(load(fraction)["validation"]), args.output, resumed
        )
    counts = ", ".join(f"{name} {len(split):,}" for name, split in splits.items())
    logger.info("FER-2013 from %s: %s", args.data, counts)

    torch.manual_seed(mixed_seed(config.seed))
    origin, begun = Origin.kept(args.output) if resumed else None, args.output / BEGUN
    own = dataclasses.replace(config, pretrained=str(begun)) if origin and config.pretrained != "none" else config
    model, normalisation, lineage = build_model(own, len(LABEL_NAMES))
    if config.pretrained != "none" and process.is_main_process and not (resumed and begun.is_file()):
        save_weights(model, normalisation, begun)
    if config.averaged_runs and process.is_main_process:  # before hours are spent
        check_same_beginning(args.output, config.averaged_runs)
    voted = (config.ferplus_weight, config.ferplus_target)
    targets = soft_targets(train.labels, train.votes, len(LABEL_NAMES), config.label_smoothing, *voted)
    weights = class_weights(train.labels, len(LABEL_NAMES), config.class_weights)[torch.from_numpy(train.labels)]
    loop = Loop(
        config,
        process,
        model,
        normalisation,
        (train.images, targets, weights),
        (validation.images, validation.labels),
        args.output,
    )
    if origin is None:
        origin = Origin.of(config, [*lineage, *(loop.teachers.lineage if loop.teachers else [])])
        if process.is_main_process:
            origin.keep(args.output)
    loop.energy = EnergyMeter() if args.measure_energy and process.is_main_process else None
    loop.max_steps = 1 if args.dry_run else None
    loop.fit(resume=args.resume)
    process.wait_for_everyone()

    if not exported:
        if process.is_main_process:
            draw_curves(loop.progress.history, args.output / "training_curves.png")
        logger.info("a teacher is not exported; a student takes it with --teachers %s", [str(args.output)])
    elif process.is_main_process:
        export = args.output / "export"
        best = args.output / "best.safetensors"
        if config.pretrained_share or config.averaged_runs:
            network, normalisation = averaged(config, args.output, config.pretrained_share, config.averaged_runs)
            best = args.output / "averaged.safetensors"
            save_weights(network, normalisation, best)
            origin = origin.averaged_with(config.averaged_runs)
        finish(export, config, splits, loop.progress, origin, best, args.score, args.views, process, learnt)
        logger.info("the model folder is %s", export)
        if args.push_to_hub:
            push_folder_or_say_how(export, args.push_to_hub)
    process.wait_for_everyone()


def push_folder_or_say_how(folder, repo_id):
    """A push that fails never loses the run: the folder stays, and the command that pushes it later is printed."""
    try:
        push_folder(folder, repo_id)
    except (PushError, HubError) as error:
        logger.error(
            "%s\nThe model folder is whole; push it later: python -m train.push %s --repo_id %s", error, folder, repo_id
        )


if __name__ == "__main__":
    main()
