"""timm's network for seven classes of emotion: built, initialised, and split into the parts that the stages train."""

import json
from dataclasses import dataclass
from pathlib import Path

import httpx2  # huggingface_hub's own HTTP client, for the types of its errors
import timm
import torch
from safetensors import SafetensorError, safe_open

from train.config import ConfigError

GREY_MEAN, GREY_STD = 0.5, 0.25  # of FER-2013's Training pictures, rounded (0.508, 0.255)
ORIGIN = "begun.json"  # in a run's folder: what it began with (train/provenance.py)
RUNS_OWN = ("best.safetensors", "averaged.safetensors")  # a run's own weights, whose figures are in its export


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation, in [0, 1], of all three channels alike; export relies on their being one."""

    mean: float = GREY_MEAN
    std: float = GREY_STD

    @classmethod
    def averaged(cls, pretrained_cfg):
        """Of timm's `pretrained_cfg`, whose channels differ for ImageNet's weights."""
        return cls(sum(pretrained_cfg["mean"]) / 3, sum(pretrained_cfg["std"]) / 3)

    def __call__(self, grey):
        """float32 [n, 3, h, w] from grey float32 [n, 1, h, w] in [0, 1]."""
        return ((grey - self.mean) / self.std).expand(-1, 3, -1, -1)


def build_model(config, num_classes):
    """(network, Normalisation, lineage) as `config.pretrained` asks: no weights, timm's from the Hub, a file, a folder.

    `lineage` is a list of sentences that say where the weights came from, oldest first.
    Raises ConfigError where the weights can't be read or are not of this architecture.
    """
    options = {"num_classes": num_classes, "drop_rate": config.dropout, "drop_path_rate": config.drop_path_rate}
    if config.pretrained == "hub":
        name = f"{config.architecture}.{config.pretrained_tag}"
        try:
            model = timm.create_model(name, pretrained=True, **options)
        except (OSError, RuntimeError, httpx2.HTTPError) as error:
            raise ConfigError(
                f"pretrained: timm/{name} can't be had from the Hub ({type(error).__name__}: {str(error)[:200]});"
                " --pretrained PATH takes a file or a model folder, --pretrained none starts from scratch"
            ) from None
        initialise_classifier(model)
        licence = model.pretrained_cfg.get("license")  # model_card/build.py reads it from the sentence
        origin = f"timm/{name} from the Hub" + (f", under {licence}" if licence else "")
        return model, Normalisation.averaged(model.pretrained_cfg), [origin]
    try:
        model = timm.create_model(config.architecture, **options)
    except RuntimeError as error:  # timm's for a name that it does not know
        raise ConfigError(f"architecture: {config.architecture}: {error}") from None
    if config.pretrained == "none":
        initialise_from_scratch(model)
        return model, Normalisation(), []
    normalisation, lineage = load_weights(model, Path(config.pretrained), new_classifier=True)
    return model, normalisation, lineage


def initialise_classifier(model):
    torch.nn.init.trunc_normal_(model.get_classifier().weight, std=0.01)
    torch.nn.init.zeros_(model.get_classifier().bias)


def initialise_from_scratch(model):
    """A start at a loss of ln(classes): timm's default start of EfficientNet has a loss of 5 and stands still.

    The classifier is drawn small, and each residual branch begins as zero (Goyal et al. 2017, section 5.1).
    """
    initialise_classifier(model)
    for module in model.modules():
        if getattr(module, "has_skip", False):
            norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
            torch.nn.init.zeros_(norms[-1].weight)


def load_weights(model, path, new_classifier=False):
    """Load a model folder or a safetensors file into `model`; with `new_classifier` one of other classes is drawn anew.

    Returns the Normalisation that the weights were trained with, and their lineage as `build_model` has it.
    Raises ConfigError where the file can't be read, is not of this architecture or, without `new_classifier`, not of
    the model's number of classes: a teacher or an export would answer at random.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name).float() for name in opened.keys()}  # noqa: SIM118, not a dict
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"pretrained: {file} can't be read as safetensors: {error}") from None
    classifier = {f"{model.default_cfg['classifier']}.{part}" for part in ("weight", "bias")}
    own = model.state_dict()
    fits = all(name in weights and weights[name].shape == own[name].shape for name in classifier)
    head = f"{model.default_cfg['classifier']}.weight"
    classes = len(weights[head]) if head in weights else "no"
    if not fits:
        weights = {name: tensor for name, tensor in weights.items() if name not in classifier}
    wrong = sorted(n for n in own if n not in classifier and (n not in weights or weights[n].shape != own[n].shape))
    if wrong or set(weights) - set(own):
        names = ", ".join(wrong or sorted(set(weights) - set(own)))
        raise ConfigError(f"pretrained: {file} is not of this architecture; missing, extra or misshapen: {names[:300]}")
    if not fits and not new_classifier:
        raise ConfigError(
            f"{file} has a classifier of {classes} classes, not of {len(own[head])}; only fine-tuning (--pretrained)"
            " replaces it"
        )
    model.load_state_dict(weights, strict=False)
    if not fits:
        initialise_classifier(model)
    spread_stem(model)
    normalisation = Normalisation()
    if "mean" in metadata:  # a run's own file
        normalisation = Normalisation(float(metadata["mean"]), float(metadata["std"]))
    if (file.parent / "config.json").is_file():
        pretrained = json.loads((file.parent / "config.json").read_text())["pretrained_cfg"]
        normalisation = Normalisation.averaged(pretrained)
    return normalisation, lineage_of(path, file)


def lineage_of(path, file):
    """Where the weights in `file` came from, oldest first; `path` is what they were asked for by."""
    folder = file.parent
    for metrics in (folder, *([folder / "export"] if file.name in RUNS_OWN else [])):
        if (metrics / "metrics.json").is_file():
            return lineage_with(json.loads((metrics / "metrics.json").read_text()).get("training", {}))
    own = f"weights of {path.name}"
    if file.name in RUNS_OWN and (folder / ORIGIN).is_file():
        return [*json.loads((folder / ORIGIN).read_text())["lineage"], f"{own} of {folder.name}, not run to its end"]
    return [own]


def lineage_with(training):
    """The lineage that metrics.json's `training` stores and the run that it tells of, where it tells of one: weights
    that were only put into another form (train/imagenet.py) had none."""
    return [*training.get("lineage", []), *([describe(training)] if "date" in training else [])]


def describe(training):
    """One sentence on an earlier run, for the lineage of the next."""
    epochs = training.get("epochs")
    return (
        f"{training.get('date')}: {epochs} epoch{'' if epochs == 1 else 's'}, {training.get('pictures_seen', 0):,}"
        f" pictures, {training.get('seconds', 0):.0f} s, seed {training.get('seed')}, on {training.get('hardware')}"
    )


def spread_stem(model):
    """Undo the luminance folding of an exported stem: on grey pictures only the sum over the channels counts, and
    training goes on from equal parts."""
    stem = model.get_submodule(model.default_cfg["first_conv"])
    with torch.no_grad():
        stem.weight.copy_(stem.weight.mean(1, keepdim=True).expand_as(stem.weight))


def freeze_backbone(model, frozen):
    """Train the classifier alone (`frozen`), or everything."""
    for parameter in model.parameters():
        parameter.requires_grad_(not frozen)
    for parameter in model.get_classifier().parameters():
        parameter.requires_grad_(True)


def set_training_mode(model, frozen):
    """`train()`, but a frozen backbone's batch norms keep their statistics: `requires_grad` does not stop those."""
    model.train()
    if frozen:
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
