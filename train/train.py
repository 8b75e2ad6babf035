"""Fine-tune timm's EfficientNetB2 on FER-2013 in two stages, and write a model folder that every loader takes.

accelerate launch train/train.py --config train/configs/smoke.yaml --data PATH --output runs/smoke
accelerate launch train/train.py --config train/configs/scratch.yaml --data PATH --output runs/scratch --resume
accelerate launch --num_processes 4 train/train.py --config train/configs/paper.yaml --data PATH --output runs/paper
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if sys.path and Path(sys.path[0] or ".").resolve() == ROOT / "train":
    sys.path[0] = str(ROOT)  # else `import train` finds this file

try:
    import accelerate
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
import datetime
import importlib.util
import logging
import os
import signal
import tempfile

import yaml

from hub.commit import HubError
from model_card.figures import draw_curves
from train.checkpoint import CheckpointError, write_atomically
from train.config import ConfigError, add_flags, flag_overrides, load_config, to_yaml
from train.data import LABEL_NAMES, SourceError, add_data_flags, as_arrays, load_fer2013
from train.energy import EnergyMeter
from train.finish import finish, weights_folder
from train.loop import Loop, NotFiniteError
from train.loss import class_weights, soft_targets
from train.model import build_model
from train.push import PushError, push_folder
from train.seeds import mixed_seed
from train.stopping import SIGNALS, TrainingStopped, follow_launcher, interrupt_once
from train.teachers import TEACHERS, finished_run

logger = logging.getLogger("train")


SPLITS = ("validation", "public_test", "private_test", "test", "unknown")
WITHOUT_EFFECT = ("checkpoint_minutes", "keep_checkpoints", "report_to")  # on the weights: may change on resuming
DRY_RUN_PICTURES = 64  # of every split but train


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", help="YAML file of the recipe, such as train/configs/scratch.yaml")
    add_data_flags(parser)
    parser.add_argument("--output", type=Path, required=True, help="folder of the run: checkpoints, logs, export/")
    parser.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint in --output")
    parser.add_argument(
        "--dry_run", action="store_true", help="one batch of every stage, scoring, export; keeps nothing"
    )
    parser.add_argument("--score", nargs="+", default=["validation", "public_test"], choices=SPLITS, metavar="SPLIT")
    parser.add_argument(
        "--views", nargs="+", default=["single"], choices=("single", "flip", "ten_crop"), metavar="VIEW"
    )
    parser.add_argument("--cpu_threads", type=int, help="threads of a process on the CPU; default: all cores, shared")
    parser.add_argument(
        "--measure_energy", action="store_true", help="CodeCarbon's estimate goes into metrics and card"
    )
    parser.add_argument("--push_to_hub", metavar="USER/NAME", help="push the model folder there when it is done")
    add_flags(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    args = parse(arguments)
    try:
        config = load_config(args.config, flag_overrides(args))
        for name in config.report_to:
            if importlib.util.find_spec(name) is None:  # Accelerate would leave it out without a word
                raise ConfigError(f"report_to: {name} is not installed: pip install {name}")
    except ConfigError as error:
        sys.exit(f"train/train.py: {error}")
    if not args.dry_run:
        run(args, config)
        return
    with tempfile.TemporaryDirectory() as folder:
        args.output, args.resume, args.push_to_hub = Path(folder), False, None
        run(args, dataclasses.replace(config, epochs=tuple(min(1, n) for n in config.epochs), size_schedule=()))
    logger.info("dry run: every stage, scoring and export ran; nothing was kept")


def run(args, config):
    for one in SIGNALS:
        signal.signal(one, interrupt_once)
    follow_launcher()
    try:
        process = accelerate.Accelerator(
            mixed_precision=config.mixed_precision,
            log_with=["tensorboard", *config.report_to],
            project_dir=str(args.output),
            # the others wait while the main process exports and scores
            kwargs_handlers=[accelerate.InitProcessGroupKwargs(timeout=datetime.timedelta(hours=2))],
        )
        refuse_contradictions(config, process)
    except ValueError as error:  # ConfigError, and what Accelerate refuses
        sys.exit(f"train/train.py: {error}")
    if process.device.type == "cpu":
        # accelerate launch sets OMP_NUM_THREADS=1, which would leave all cores but one idle
        torch.set_num_threads(args.cpu_threads or max(1, os.cpu_count() // process.num_processes))
    level = logging.INFO if process.is_main_process else logging.ERROR
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if process.is_main_process:
        keep_or_refuse(args, config)
    process.init_trackers("fer", config={"recipe": to_yaml(config)})
    try:
        train_and_export(args, config, process)
    except (TrainingStopped, NotFiniteError, CheckpointError, ConfigError, SourceError) as error:
        sys.exit(f"train/train.py: {error}")
    except KeyboardInterrupt:  # before the first step or after the last
        sys.exit("train/train.py: stopped; the same command with --resume goes on from the last checkpoint")
    finally:
        process.end_training()


def refuse_contradictions(config, process):
    """What can be told of a configuration on this machine before anything is loaded. Raises ConfigError."""
    share = process.num_processes * config.gradient_accumulation
    if config.batch_size % share:
        raise ConfigError(
            f"batch_size: {config.batch_size} can't be shared by {process.num_processes} processes with"
            f" {config.gradient_accumulation} accumulation steps: it must be a multiple of {share}"
        )
    if config.mixed_precision == "fp16" and process.device.type == "cpu":
        # Accelerate would leave it out without a word
        raise ConfigError("mixed_precision: fp16 needs a GPU; here it is no or bf16")
    if config.pretrained not in ("none", "hub") and not Path(config.pretrained).exists():
        raise ConfigError(f"pretrained: {config.pretrained} is not there; it is none, hub, a file or a model folder")
    for folder in config.teachers:
        check_same_split(config, finished_run(folder), "teachers")
    if config.pretrained not in ("none", "hub"):
        check_same_split(config, weights_folder(config), "pretrained")


def check_same_split(config, folder, field):
    """Raises ConfigError where the run in `folder` has learnt from pictures that this one validates on."""
    if not (folder / "train_config.yaml").is_file():
        return
    other = yaml.safe_load((folder / "train_config.yaml").read_text())
    own = dataclasses.asdict(config)
    differing = [name for name in ("validation_fraction", "split_seed") if other.get(name, own[name]) != own[name]]
    if differing:
        raise ConfigError(
            f"{field}: {folder} was trained with another {' and '.join(differing)}, so with pictures of this run's"
            " validation split; give the same"
        )
    if other.get("limit") != config.limit:
        logger.warning(
            "%s: %s was trained with limit %s, this run has %s: its validation split may hold pictures learnt there",
            field, folder, other.get("limit"), config.limit,
        )  # fmt: skip


def keep_or_refuse(args, config):
    """A run's folder holds one configuration: resuming with another is refused, a new run overwrites none."""
    stored = args.output / "train_config.yaml"
    if args.resume and stored.is_file():
        try:
            before = dataclasses.asdict(load_config(stored))
        except ConfigError as error:
            sys.exit(f"train/train.py: --resume: {error}; start again with another --output")
        now = dataclasses.asdict(config)
        changed = [name for name, value in now.items() if value != before[name] and name not in WITHOUT_EFFECT]
        if changed:
            sys.exit(f"train/train.py: --resume: {', '.join(changed)} differ from {stored}; give the run's own values")
    if not args.resume and (args.output / "checkpoints").is_dir():
        sys.exit(f"train/train.py: {args.output} holds a run already; go on with --resume, or name another --output")
    args.output.mkdir(parents=True, exist_ok=True)
    write_atomically(stored, lambda path: path.write_text(to_yaml(config)))


def train_and_export(args, config, process):
    with process.main_process_first():
        splits = load_fer2013(
            args.data,
            validation_fraction=config.validation_fraction,
            seed=config.split_seed,
            limit=config.limit,
            split_map=args.split_map,
            ferplus=args.ferplus,
        )
    if "train" not in splits:
        raise SourceError(f"{args.data} holds no Training pictures; it has {', '.join(splits)}")
    if args.dry_run:
        splits = splits | {
            name: split.select(range(min(DRY_RUN_PICTURES, len(split))))
            for name, split in splits.items()
            if name != "train"
        }
    train, validation = as_arrays(splits["train"]), as_arrays(splits["validation"])
    counts = ", ".join(f"{name} {len(split):,}" for name, split in splits.items())
    logger.info("FER-2013 from %s: %s", args.data, counts)

    torch.manual_seed(mixed_seed(config.seed))
    model, normalisation, lineage = build_model(config, len(LABEL_NAMES))
    targets = soft_targets(train.labels, train.votes, len(LABEL_NAMES), config.label_smoothing, config.ferplus_weight)
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
    if loop.teachers:
        lineage = [*lineage, *loop.teachers.lineage]
    loop.energy = EnergyMeter() if args.measure_energy and process.is_main_process else None
    loop.max_steps = 1 if args.dry_run else None
    loop.fit(resume=args.resume)
    process.wait_for_everyone()

    if config.architecture in TEACHERS:
        if process.is_main_process:
            draw_curves(loop.progress.history, args.output / "training_curves.png")
        logger.info("a teacher is not exported; a student takes it with --teachers %s", [str(args.output)])
    elif process.is_main_process:
        export = args.output / "export"
        best = args.output / "best.safetensors"
        finish(export, config, splits, loop.progress, lineage, best, args.score, args.views)
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
