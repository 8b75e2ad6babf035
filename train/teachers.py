"""Networks that teach and are not shipped, and what a student learns from them (Hinton et al. 2015).

`fer_resnet9` keeps the full 48x48 resolution in its first layers, which stock EfficientNet, made for larger pictures,
does not; on a CPU in bf16 it trains more than twice as fast as EfficientNetB2 at 64 px, and learns more a picture.
"""

import logging
from dataclasses import replace
from pathlib import Path

import torch
from timm.models import register_model
from torch import nn

from train import augmentation
from train.config import ConfigError, load_config
from train.model import build_model, load_weights
from train.provenance import FACES, TAUGHT, learnt_from
from train.score import weights_sha256

logger = logging.getLogger(__name__)
TEACHERS = ("fer_resnet9",)
FINISHED = ("training_curves.png", "export")  # written after a run's last epoch


def conv_norm_relu(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.branch = nn.Sequential(conv_norm_relu(channels, channels), conv_norm_relu(channels, channels))

    def forward(self, x):
        return x + self.branch(x)


class ResNet9(nn.Module):
    """A ResNet in the manner of the CIFAR-10 speed records (Page 2018): four 3x3 stages, 48 to 6 px, with max pooling.

    `width` channels in the first stage, 2, 4 and 6 times as many in the next. float32 [n, 3, h, w] to logits [n, K].
    """

    def __init__(self, num_classes=7, width=32, drop_rate=0.0, drop_path_rate=0.0):
        super().__init__()
        self.default_cfg = self.pretrained_cfg = {"classifier": "fc", "first_conv": "stem.0.0"}
        pool = nn.MaxPool2d(2)
        self.stem = nn.Sequential(conv_norm_relu(3, width // 2), conv_norm_relu(width // 2, width))
        wide = (width, 2 * width, 4 * width, 6 * width)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(pool, conv_norm_relu(before, after), Residual(after))
                for before, after in zip(wide, wide[1:], strict=False)
            )
        )
        self.dropout = nn.Dropout(drop_rate)
        self.fc = nn.Linear(wide[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def get_classifier(self):
        return self.fc

    def forward(self, x):
        return self.fc(self.dropout(self.stages(self.stem(x)).mean((2, 3))))


@register_model
def fer_resnet9(pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None, **options):
    return ResNet9(**options)


def finished_run(folder):
    """`folder`, of a run or of an exported model, as a Path. Raises ConfigError where it is neither, or a run that has
    learnt other classes."""
    folder = Path(folder)
    if not (folder / "train_config.yaml").is_file() or not weights_file(folder).is_file():
        raise ConfigError(
            f"teachers: {folder} is no finished run: it needs train_config.yaml, best.safetensors; and no model folder"
        )
    data = learnt_from(folder)
    if FACES not in data:
        raise ConfigError(
            f"teachers: {folder} has learnt {', '.join(data)} and nothing of FER-2013's classes; a run can begin"
            f" with it: --pretrained {folder / 'best.safetensors'}"
        )
    if weights_file(folder).name == "model.safetensors":
        return folder
    if not any((folder / name).exists() for name in FINISHED):
        logger.warning("teachers: %s has not run to its end; it teaches what it knows so far", folder)
    return folder


def weights_file(folder):
    """The weights of a run, or of a model folder, which are calibrated."""
    exported = folder / "model.safetensors"
    return exported if exported.is_file() else folder / "best.safetensors"


def origin(run, config):
    """What a teacher's weights are, for the lineage of its students."""
    if weights_file(run).name == "model.safetensors":  # a model folder has a lineage of its own
        text = f"at {config.input_size} px, weights sha256 {weights_sha256(run)[:12]}"
    else:
        text = f"{sum(config.epochs)} epochs at {config.input_size} px{beginning(config)}, seed {config.seed}"
    names = " and ".join(Path(one).name for one in config.teachers)
    return f"{text}, itself taught by {names}" if names else text


def beginning(config):
    """Where a run's weights began, for its lineage, without the machine's folders; a run's own file by its run."""
    if config.pretrained == "none":
        return ""
    path = Path(config.pretrained)
    name = path.parent.name if path.name == "best.safetensors" else path.name
    return f" from the weights of {f'timm/{config.architecture}' if config.pretrained == 'hub' else name}"


class Teachers(nn.Module):
    """The averaged probabilities of trained runs, on the very pictures that the student sees (Beyer et al. 2022)."""

    def __init__(self, runs, num_classes, flip=False):
        """`runs` are output folders of training runs, or exported model folders; `lineage` then says what they are.
        With `flip` each answers for a picture and its mirror image, averaged.

        Raises ConfigError for one that is no finished run.
        """
        super().__init__()
        self.flip = flip
        self.networks, self.normalisations, self.configs, self.lineage = nn.ModuleList(), [], [], []
        for run in map(finished_run, runs):
            config = load_config(run / "train_config.yaml")
            network, _, _ = build_model(replace(config, pretrained="none"), num_classes)
            normalisation, _ = load_weights(network, weights_file(run))
            self.networks.append(network.eval().requires_grad_(False).to(memory_format=torch.channels_last))
            self.normalisations.append(normalisation)
            self.configs.append(config)
            parameters = sum(one.numel() for one in network.parameters()) / 1e6
            self.lineage.append(
                f"{TAUGHT}{run.name}: {config.architecture}, {parameters:.1f}M parameters, {origin(run, config)}"
            )

    @torch.no_grad()
    def forward(self, images):
        """float32 [n, K] mean probabilities for [n, 1, h, w] in [0, 1], each teacher at its own size and precision."""
        probabilities = 0
        for network, normalise, config in zip(self.networks, self.normalisations, self.configs, strict=True):
            pictures = normalise(augmentation.resize(images, config.input_size))
            if self.flip:
                pictures = torch.cat([pictures, pictures.flip(-1)])
            with torch.autocast(images.device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
                logits = network(pictures.contiguous(memory_format=torch.channels_last))
            probabilities = probabilities + logits.float().softmax(1).unflatten(0, (-1, len(images))).mean(0)
        return probabilities / len(self.networks)
