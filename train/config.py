"""The training configuration: one dataclass, set by a YAML file, overridden by flags, refused where it is absurd."""

import argparse
import dataclasses
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from train.values import ConfigError, coerce


def option(default, text):
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the weights, besides the data themselves. A field of two stages is a pair
    (warm-up, fine-tuning)."""

    # Data
    validation_fraction: float = option(
        0.125,
        "part of Training set aside for validation, 0.01-0.5; of one seed, a smaller one is a part of a larger one",
    )
    split_seed: int = option(0, "seed of the train/validation split; kept apart from `seed` so that seeds compare")
    limit: int | None = option(None, "pictures kept of every official split, for trials; none: all")

    # Model
    architecture: str = option("efficientnet_b2", "timm's name of the network")
    pretrained: str = option("none", "'none', 'hub' (timm's weights of `architecture`), or a model folder or file")
    pretrained_tag: str = option("ra_in1k", "timm's weight tag where `pretrained` is 'hub'")
    dropout: float = option(0.3, "dropout before the classifier, 0-0.9")
    drop_path_rate: float = option(0.1, "stochastic depth of the last block, growing linearly from 0, 0-0.9")
    input_size: int = option(64, "height and width in pixels that the exported network takes, 32-384")

    # Stages
    epochs: tuple[int, int] = option((2, 20), "epochs of (warm-up, fine-tuning)")
    learning_rate: tuple[float, float] = option((1e-3, 2e-3), "peak learning rate of (warm-up, fine-tuning)")
    size_schedule: tuple[tuple[int, int], ...] = option(
        (), "progressive resizing: [epoch, pixels] from which epoch on; empty: `input_size` throughout"
    )
    ramp_epochs: float = option(1.0, "epochs of linear learning-rate ramp at the start of each stage")
    final_learning_rate: float = option(0.01, "where the cosine ends, as a part of the peak, 0-1")
    early_stopping: int | None = option(
        None, "stop after so many epochs of fine-tuning without a better validation figure; none: never"
    )
    selection_metric: str = option("accuracy", "the validation figure that chooses weights: accuracy, macro_f1 or loss")
    pretrained_share: float = option(
        0.0, "part of the exported weights that is those the run began from, averaged with its own, 0-0.9"
    )
    offset_sharpness: float = option(
        1.0, "of the calibration; 1: likeliest offsets, up to 20: answers nearly as frequent as labels"
    )
    averaged_runs: tuple[str, ...] = option(
        (), "finished runs from the same beginning, whose weights and its own are averaged in equal parts"
    )
    least_recall: tuple[tuple[str, float], ...] = option(
        (), "pairs [class, recall, 0-1] that validation must show with 95% confidence: raises the offset of that class"
    )

    # Optimisation
    batch_size: int = option(64, "pictures of one optimizer step, over all processes and accumulation steps")
    gradient_accumulation: int = option(1, "forward passes that make one optimizer step")
    optimizer: str = option("adamw", "adamw or sgd (Nesterov momentum 0.9)")
    weight_decay: float = option(0.05, "weight decay, decoupled with adamw; never on norms and biases")
    layer_decay: float = option(1.0, "learning rate of a block as a part of the next block's, 0.1-1; 1: one rate")
    gradient_clip: float | None = option(5.0, "largest L2 norm of the gradient; none: no clipping")
    ema_decay: float = option(0.999, "decay of the weights' moving average, at most 1 - (1 + step)^-2/3; 0: none")
    mixed_precision: str = option("no", "no, fp16 or bf16, as Accelerate has it")
    channels_last: bool = option(True, "memory format of the network; faster convolutions")
    compile: bool = option(False, "torch.compile of the network")

    # Loss
    label_smoothing: float = option(0.06, "mass spread evenly over the classes, 0-0.5")
    class_weights: tuple[float, float] | None = option(
        (0.5, 3.0), "inverse class frequency clipped to this range, then normalised to a mean of 1 a picture; none: off"
    )
    ferplus_weight: float = option(0.0, "part of the target that comes from FER+'s votes, 0-1")
    ferplus_target: str = option(
        "votes", "what they say: the classes voted for (votes), or the label of pictures voted on like this (labels)"
    )
    small_loss_drop: float = option(
        0.0, "part of a process's batch with the largest loss that is not learnt, against wrong labels, 0-0.5"
    )
    small_loss_ramp: float = option(
        5.0, "epochs over which `small_loss_drop` grows from 0: a network learns noise late"
    )
    teachers: tuple[str, ...] = option((), "runs (their --output folders) whose averaged probabilities are learnt")
    distillation_weight: float = option(0.5, "part of the target that comes from `teachers`, where there are some, 0-1")
    teacher_flip: bool = option(False, "teachers answer for the picture and its mirror image, averaged")
    mixup: float = option(0.0, "alpha of mixup's beta distribution, 0 switches it off")
    cutmix: float = option(0.0, "alpha of CutMix's beta distribution, 0 switches it off; with mixup: either, by halves")

    # Augmentation, on the batch, drawn for each picture
    augmentation: bool = option(True, "all of the following")
    scale: tuple[float, float] = option(
        (0.8, 1.2), "part of the frame's side that the crop covers; over 1 shows the border"
    )
    aspect_ratio: float = option(1.15, "the crop's aspect ratio lies in [1/x, x]")
    rotation: float = option(12.0, "largest rotation, degrees")
    translation: float = option(0.08, "largest shift, as a part of the side")
    flip: float = option(0.5, "probability of a mirror image")
    brightness: float = option(0.2, "largest change of brightness, as a part of the range")
    contrast: float = option(0.3, "contrast factor lies in [1-x, 1+x]")
    sharpness: float = option(0.3, "probability of a blurred or sharpened picture (people's pictures are sharper)")
    erasing: float = option(0.25, "probability of one erased rectangle")

    # Run
    seed: int = option(0, "seed of initialisation, order, augmentation and dropout")
    checkpoint_minutes: float = option(10.0, "minutes between checkpoints within an epoch")
    keep_checkpoints: int = option(3, "checkpoints kept; the best weights are kept besides")
    report_to: tuple[str, ...] = option((), "trackers besides TensorBoard: wandb, trackio")

    def __post_init__(self):
        for name, low, high in RANGES:
            value = getattr(self, name)
            for part in value if isinstance(value, tuple) else (value,):
                if part is not None and not low <= part <= high:
                    raise ConfigError(f"{name}: {value} is outside [{low}, {high}]")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name}: {getattr(self, name)!r} is none of {', '.join(allowed)}")
        unknown = [name for name in self.report_to if name not in TRACKERS]
        if unknown:
            raise ConfigError(
                f"report_to: {', '.join(unknown)} is none of {', '.join(TRACKERS)}; TensorBoard is always on"
            )
        if sum(self.epochs) == 0:
            raise ConfigError("epochs: both stages are 0, nothing would be trained")
        if self.batch_size % self.gradient_accumulation:
            raise ConfigError(
                f"batch_size: {self.batch_size} is no multiple of gradient_accumulation {self.gradient_accumulation}"
            )
        if self.scale[0] > self.scale[1]:
            raise ConfigError(f"scale: {self.scale[0]} exceeds {self.scale[1]}")
        if self.class_weights and not 0 < self.class_weights[0] <= self.class_weights[1]:
            raise ConfigError(f"class_weights: {self.class_weights} is no range of positive numbers")
        starts = [start for start, _ in self.size_schedule]
        if starts and (starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= sum(self.epochs)):
            raise ConfigError(
                f"size_schedule: epochs {starts} must rise from 0 and end before epoch {sum(self.epochs)}"
            )
        if starts and self.size_schedule[-1][1] != self.input_size:
            raise ConfigError(
                f"size_schedule: it ends at {self.size_schedule[-1][1]} px, but input_size, which is exported, is"
                f" {self.input_size}"
            )
        if any(not 0 < recall < 1 for _, recall in self.least_recall):
            raise ConfigError(f"least_recall: {self.least_recall} holds a recall outside (0, 1)")
        if len(dict(self.least_recall)) < len(self.least_recall):
            raise ConfigError(f"least_recall: {self.least_recall} names a class twice")
        if any(not 32 <= size <= 384 for _, size in self.size_schedule):
            raise ConfigError(f"size_schedule: {self.size_schedule} holds a size outside [32, 384]")

    @property
    def stage_starts_frozen(self):
        """From pretrained weights the warm-up trains the new head alone; from scratch there is nothing to protect."""
        return self.pretrained != "none"

    def size_at(self, epoch):
        """Height and width in pixels that the network is trained at in `epoch`, counted from 0 over both stages."""
        sizes = [size for start, size in self.size_schedule if start <= epoch]
        return sizes[-1] if sizes else self.input_size


RANGES = (
    ("validation_fraction", 0.01, 0.5),
    ("split_seed", 0, 2**63 - 1),
    ("limit", 1, 10**9),
    ("dropout", 0, 0.9),
    ("drop_path_rate", 0, 0.9),
    ("input_size", 32, 384),
    ("epochs", 0, 10_000),
    ("learning_rate", 0, 100),
    ("ramp_epochs", 0, 10_000),
    ("final_learning_rate", 0, 1),
    ("early_stopping", 1, 10_000),
    ("pretrained_share", 0, 0.9),
    ("offset_sharpness", 1, 20),
    ("batch_size", 1, 65_536),
    ("gradient_accumulation", 1, 65_536),
    ("weight_decay", 0, 10),
    ("layer_decay", 0.1, 1),
    ("gradient_clip", 1e-6, 1e6),
    ("ema_decay", 0, 0.99999),
    ("label_smoothing", 0, 0.5),
    ("ferplus_weight", 0, 1),
    ("small_loss_drop", 0, 0.5),
    ("small_loss_ramp", 0, 10_000),
    ("distillation_weight", 0, 1),
    ("mixup", 0, 10),
    ("cutmix", 0, 10),
    ("scale", 0.1, 2),
    ("aspect_ratio", 1, 2),
    ("rotation", 0, 180),
    ("translation", 0, 0.5),
    ("flip", 0, 1),
    ("brightness", 0, 1),
    ("contrast", 0, 1),
    ("sharpness", 0, 1),
    ("erasing", 0, 1),
    ("seed", 0, 2**63 - 1),
    ("checkpoint_minutes", 0, 10_000),
    ("keep_checkpoints", 1, 1000),
)
TRACKERS = ("wandb", "trackio")
CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "mixed_precision": ("no", "fp16", "bf16"),
    "selection_metric": ("accuracy", "macro_f1", "loss"),
    "ferplus_target": ("votes", "labels"),
}


def load_config(path=None, overrides=None):
    """The configuration of a YAML file (none: the defaults), with `overrides` by field name.

    Raises ConfigError naming the file and the field for unknown names and values of a wrong type.
    """
    values = {}
    if path is not None:
        try:
            values = yaml.safe_load(Path(path).read_text()) or {}
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such configuration") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not valid YAML: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: expected `name: value` lines")
    values |= overrides or {}
    known = {one.name: one for one in fields(TrainConfig)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{path or 'flags'}: unknown field {', '.join(unknown)}; known: {', '.join(known)}")
    return TrainConfig(**{name: coerce(name, value, known[name]) for name, value in values.items()})


def yaml_value(text):
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{text!r} is no YAML value; a list needs quotes: '[a, b]'") from None


def add_flags(parser: argparse.ArgumentParser):
    """One flag for every field; its value is read as YAML, so that lists and `null` can be given."""
    group = parser.add_argument_group("recipe (each overrides the YAML file)")
    for one in fields(TrainConfig):
        default = str(one.default).replace("%", "%%")
        text = f"{one.metadata['help'].replace('%', '%%')} (default {default})"
        group.add_argument(f"--{one.name}", type=yaml_value, default=argparse.SUPPRESS, metavar="VALUE", help=text)


def flag_overrides(arguments: argparse.Namespace):
    return {one.name: getattr(arguments, one.name) for one in fields(TrainConfig) if hasattr(arguments, one.name)}


def to_yaml(config: TrainConfig):
    """YAML that `load_config` reads back as the same configuration."""

    def plain(value):
        return [plain(one) for one in value] if isinstance(value, tuple) else value

    return yaml.safe_dump({k: plain(v) for k, v in dataclasses.asdict(config).items()}, sort_keys=False)
