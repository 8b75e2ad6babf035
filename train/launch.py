"""What every training command does around its loop: process, log, the run's folder, and what contradicts itself."""

import dataclasses
import datetime
import importlib.util
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

import accelerate
import torch

from train.checkpoint import CheckpointError, checkpoints, write_atomically
from train.config import ConfigError, add_flags, flag_overrides, load_config, to_yaml
from train.data import LABEL_NAMES
from train.earlier import check_averaged_runs, check_same_split, check_weights_are_there
from train.loop import NotFiniteError
from train.machine import threads_of
from train.model import ORIGIN
from train.pictures import SourceError
from train.provenance import weights_folder
from train.stopping import SIGNALS, TrainingStopped, follow_launcher, interrupt_once
from train.teachers import FINISHED, finished_run

logger = logging.getLogger("train")

# on the run's own weights: may change on resuming
WITHOUT_EFFECT = (
    *("checkpoint_minutes", "keep_checkpoints", "report_to"),
    *("pretrained_share", "averaged_runs", "offset_sharpness", "least_recall"),
)
BY_ROUNDING = ("mixed_precision", "channels_last", "compile")  # may change where a run goes on on another machine
SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")  # Accelerate's ways that leave no process the whole weights


def read_config(args, command):
    """The configuration that `args` ask for; one that can't be had ends the process with a sentence."""
    try:
        config = load_config(args.config, flag_overrides(args))
        for name in config.report_to:
            if importlib.util.find_spec(name) is None:  # Accelerate would leave it out without a word
                raise ConfigError(f"report_to: {name} is not installed: pip install {name}")
    except ConfigError as error:
        sys.exit(f"{command}: {error}")
    return config


def add_run_flags(parser):
    """--config, --output, --resume, --cpu_threads, and a flag for every field of the configuration."""
    parser.add_argument("--config", help="YAML file of the recipe, such as train/configs/scratch.yaml")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run: checkpoints, logs, weights")
    parser.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint in --output")
    parser.add_argument("--cpu_threads", type=int, help="threads of a process on the CPU; default: all cores, shared")
    add_flags(parser)


def run(args, config, job, command):
    """`job(args, config, process)` with an Accelerator, signals, threads and log as every training command has them.

    `args` has output, resume and cpu_threads. What a user can mend ends the process with one sentence that begins with
    `command`.
    """
    for one in SIGNALS:
        signal.signal(one, interrupt_once)
    follow_launcher()
    try:
        process = accelerate.Accelerator(
            mixed_precision=config.mixed_precision,
            log_with=["tensorboard", *config.report_to],
            project_dir=str(args.output),
            kwargs_handlers=[
                # the others wait while the main process exports and scores
                accelerate.InitProcessGroupKwargs(timeout=datetime.timedelta(hours=2)),
                # batch norms don't read their running statistics in training; train/validation.py shares them
                accelerate.DistributedDataParallelKwargs(broadcast_buffers=False),
            ],
        )
        begun = goes_on(args) and (args.output / ORIGIN).is_file()
        refuse_contradictions(config, process, begun, args.output)
    except ValueError as error:  # ConfigError, and what Accelerate refuses
        sys.exit(f"{command}: {error}")
    if process.device.type == "cpu":
        # accelerate launch sets OMP_NUM_THREADS=1, which would leave all cores but one idle
        torch.set_num_threads(threads_of(args.cpu_threads, process.num_processes))
    level = logging.INFO if process.is_main_process else logging.ERROR
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if process.num_processes > 1:
        logger.info("%d processes share every batch", process.num_processes)
    if process.is_main_process:
        keep_or_refuse(args, config, command)
    process.init_trackers("fer", config={"recipe": to_yaml(config)})
    try:
        job(args, config, process)
    except (TrainingStopped, NotFiniteError) as error:  # all processes raise these together
        process.end_training()
        sys.exit(f"{command}: {error}")
    except (CheckpointError, ConfigError, SourceError) as error:
        end_alone(process, f"{command}: {error}")
    except KeyboardInterrupt:  # before the first step or after the last
        end_alone(process, f"{command}: stopped; the same command with --resume goes on from the last checkpoint")
    except Exception:
        end_alone(process, traceback.format_exc())
    process.end_training()


def end_alone(process, message):
    """End this process with `message` and status 1, whatever the others of the launch are doing.

    The end of a process group may wait for what the others have begun together with this one, on GPUs until the
    group's timeout, and nobody would read why. So of several processes this one leaves at once; the launcher, which
    sees its status, ends the others.
    """
    if process.num_processes == 1:
        process.end_training()
        sys.exit(message)
    for tracker in process.trackers:
        tracker.finish()
    print(message, file=sys.stderr, flush=True)
    os._exit(1)


def goes_on(args):
    """Whether there is a checkpoint that a run with the flags `args` goes on from; else --resume begins anew."""
    return args.resume and bool(checkpoints(args.output / "checkpoints"))


def refuse_contradictions(config, process, begun=False, output=None):
    """What can be told of a configuration on this machine before anything is loaded. Raises ConfigError.

    A run that goes on and keeps what it has `begun` with no longer asks what lies where it found that. `output` is its
    folder.
    """
    share = process.num_processes * config.gradient_accumulation
    if config.batch_size % share:
        raise ConfigError(
            f"batch_size: {config.batch_size} can't be shared by {process.num_processes} processes with"
            f" {config.gradient_accumulation} accumulation steps: it must be a multiple of {share};"
            " accelerate launch --num_processes N takes fewer"
        )
    if config.mixed_precision == "fp16" and process.device.type == "cpu":
        # Accelerate would leave it out without a word
        raise ConfigError("mixed_precision: fp16 needs a GPU; here it is no or bf16")
    if process.distributed_type.value in SHARDED:
        raise ConfigError(
            f"`accelerate launch` is set to {process.distributed_type.value}, which divides the weights among the"
            " processes; averages and checkpoints here need them whole: launch with --multi_gpu"
        )
    refuse_what_the_launcher_would_drop(config, process)
    if config.pretrained_share and config.pretrained == "none":
        raise ConfigError("pretrained_share: the run begins from no weights that could be averaged with its own")
    check_averaged_runs(config, output)
    if unknown := [name for name, _ in config.least_recall if name not in LABEL_NAMES]:
        raise ConfigError(f"least_recall: {unknown[0]} is none of {', '.join(LABEL_NAMES)}")
    for folder in config.teachers:
        check_same_split(config, finished_run(folder), "teachers")
    if config.pretrained not in ("none", "hub") and not begun:
        check_weights_are_there(Path(config.pretrained))
        check_same_split(config, weights_folder(config), "pretrained")


def refuse_what_the_launcher_would_drop(config, process):
    """`accelerate launch` says by the environment what it was asked for, and in these cases nothing comes of it."""
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION")  # set by every `accelerate launch`
    if asked not in (None, "no", config.mixed_precision):
        raise ConfigError(
            f"mixed_precision: `accelerate launch` was told {asked}, the recipe says {config.mixed_precision}, and the"
            f" recipe decides: give --mixed_precision {asked} after the script's name, or no before it"
        )
    # without --multi_gpu it starts one process, however many it was asked for, where it sees fewer than two GPUs
    if asked and "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ and process.num_processes == 1:
        raise ConfigError(
            "`accelerate launch` was asked for several processes and started one: add --multi_gpu before the script's"
            " name (for one process, unset MASTER_ADDR)"
        )


def keep_or_refuse(args, config, command):
    """A run's folder holds one configuration: resuming with another is refused, a new run overwrites none."""
    if (args.output / "config.json").is_file():
        sys.exit(f"{command}: {args.output} is a model folder, not a run's: name another --output")
    if not args.resume and any((args.output / name).exists() for name in ("checkpoints", "best.safetensors")):
        sys.exit(f"{command}: {args.output} holds a run already; go on with --resume, or name another --output")
    if args.resume and not goes_on(args) and any((args.output / name).exists() for name in FINISHED):
        sys.exit(
            f"{command}: --resume: {args.output} holds a finished run without its checkpoints, and beginning anew would"
            " replace its weights: name another --output"
        )
    stored = args.output / "train_config.yaml"
    if args.resume and stored.is_file():
        try:
            before = dataclasses.asdict(load_config(stored))
        except ConfigError as error:
            sys.exit(f"{command}: --resume: {error}; start again with another --output")
        now = dataclasses.asdict(config)
        changed = [name for name, value in now.items() if value != before[name] and name not in WITHOUT_EFFECT]
        if refused := [name for name in changed if name not in BY_ROUNDING]:
            sys.exit(f"{command}: --resume: {', '.join(refused)} differ from {stored}; give the run's own values")
        if changed:
            logger.warning("--resume: with another %s the weights will not be those of one run", ", ".join(changed))
    args.output.mkdir(parents=True, exist_ok=True)
    write_atomically(stored, lambda path: path.write_text(to_yaml(config)))
