"""From a trained network to the model folder that timm, transformers and ONNX Runtime load without code of ours.

    python -m train.export WEIGHTS.safetensors --config RUN/train_config.yaml --output FOLDER

Weights are written as fp16 and the ONNX graph is made from the rounded ones, so that all loaders agree.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import torch
from onnx import TensorProto, checker, helper, load, numpy_helper, save
from timm.models import save_for_hf

from train.agreement import check_loaders
from train.calibration import fold
from train.config import ConfigError, load_config, to_yaml
from train.data import LABEL_NAMES
from train.model import build_model, load_weights

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's convert("L") has it
OPSET = 18


class ClassActivation(torch.nn.Module):
    """`logits` [n, K] and `cam` [n, K, h', w'] (class activation map, Zhou et al. 2016) of one forward pass.

    The linear layer is applied before the average pooling, as a 1x1 convolution: logits = mean(cam) + bias.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        features = self.model.forward_features(pixel_values)
        classifier = self.model.get_classifier()
        cam = torch.nn.functional.conv2d(features, classifier.weight[:, :, None, None])
        return cam.mean((2, 3)) + classifier.bias, cam


def check_exportable(config):
    """Raises ConfigError, before anything is trained, for an architecture that the end of the run could not export.

    What ClassActivation and `fold_luminance` need is tried on a network with random weights.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model, _, _ = build_model(dataclasses.replace(config, pretrained="none"), len(LABEL_NAMES))
            fold_luminance(model)
            torch.nn.init.normal_(model.get_classifier().weight)  # drawn small, it would hide a difference
            picture = torch.rand(1, 3, config.input_size, config.input_size)
            own, (logits, _) = model.eval()(picture), ClassActivation(model)(picture)
            agree = torch.allclose(logits, own, rtol=1e-3, atol=1e-3 * own.abs().max().item())
            why = "its class activation map has other logits"
    except ConfigError:
        raise
    except Exception as error:  # networks of another kind fail here in ways of their own
        agree, why = False, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if not agree:
        raise ConfigError(
            f"architecture: {config.architecture} can't be exported, which needs one convolution as the first layer and"
            f" a head of average pooling, then one linear layer, as EfficientNet and ResNet have them ({why})"
        )


def fold_luminance(model):
    """Let the stem see the luminance of a colour picture; on a grey one (three equal channels) nothing changes.

    Holds because mean and std are the same for the three channels: sum_c S L_c (x_c - m) / s = S (luminance - m) / s.
    """
    stem = model.get_submodule(model.default_cfg["first_conv"])
    with torch.no_grad():
        total = stem.weight.sum(1, keepdim=True)
        stem.weight.copy_(total * torch.tensor(LUMINANCE, dtype=total.dtype, device=total.device).view(1, 3, 1, 1))


def export_model(model, normalisation, input_size, folder, label_names=LABEL_NAMES, onnx=True):
    """Write config.json, model.safetensors and, where `onnx`, onnx/model.onnx of `model` (fp32, on grey pictures).

    `model` is left with folded, fp16-rounded weights on the CPU. `input_size` is the height and width in pixels.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = model.cpu().float().to(memory_format=torch.contiguous_format).eval()
    fold_luminance(model)
    data_config = {
        "input_size": (3, input_size, input_size),
        "mean": (normalisation.mean,) * 3,
        "std": (normalisation.std,) * 3,
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "crop_mode": "center",
    }
    save_for_hf(
        model.half(),
        folder,
        model_config={"label_names": list(label_names)},
        data_config=data_config,
        safe_serialization=True,
    )
    config = json.loads((folder / "config.json").read_text())
    config.pop("model_args", None)  # transformers' TimmWrapper would be given num_classes twice
    config["pretrained_cfg"]["tag"] = "fer2013"  # else timm's ImageNet tag would stand there
    config["dtype"] = "float32"  # transformers upcasts the fp16 file
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if onnx:
        export_onnx(model.float(), input_size, folder / "onnx" / "model.onnx")


def export_run(weights, config, folder, calibration=None, onnx=True):
    """`export_model` of a run's float32 file `weights` and its TrainConfig, with a `Calibration` folded in."""
    # the weights of the run replace whatever these would start from, so nothing is fetched again
    model, _, _ = build_model(dataclasses.replace(config, pretrained="none"), len(LABEL_NAMES))
    normalisation, _ = load_weights(model, Path(weights))
    if calibration:
        fold(calibration, model.get_classifier())
    export_model(model, normalisation, config.input_size, folder, onnx=onnx)


def export_onnx(model, input_size, path):
    """Write `model` as ONNX: `pixel_values` float32 [n, 3, h, w] to `logits` and `cam`; batch size free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, 3, input_size, input_size)
    with tempfile.TemporaryDirectory() as scratch:
        traced = Path(scratch) / "model.onnx"
        torch.onnx.export(
            ClassActivation(model).eval(),
            (example,),
            traced,
            input_names=["pixel_values"],
            output_names=["logits", "cam"],
            dynamic_shapes={"pixel_values": {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
        graph = load(traced)
    strip_traces(graph)
    store_as_fp16(graph)
    checker.check_model(graph)
    save(graph, path)


def strip_traces(model):
    """Remove what torch's exporter notes for debugging: stack traces with this machine's paths, on every node."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def store_as_fp16(graph):
    """Halve the file: large float32 initializers become fp16 with a Cast back, which ONNX Runtime folds as it loads.

    The weights were rounded to fp16 before, so that this loses nothing of those that the exporter left as they were.
    """
    casts, kept = [], []
    for tensor in graph.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.raw_data) < 4096:
            kept.append(tensor)
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name + "_fp16")
        kept.append(half)
        casts.append(
            helper.make_node("Cast", [half.name], [tensor.name], name=f"{tensor.name}_cast", to=TensorProto.FLOAT)
        )
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="float32 safetensors of a run, such as RUN/best.safetensors")
    parser.add_argument("--config", type=Path, required=True, help="the run's train_config.yaml")
    parser.add_argument("--output", type=Path, required=True, help="model folder to write")
    args = parser.parse_args()
    try:
        config = load_config(args.config)
        export_run(args.weights, config, args.output)
    except ConfigError as error:
        sys.exit(f"train.export: {error}")
    (args.output / "train_config.yaml").write_text(to_yaml(config))
    files = sorted(path.relative_to(args.output).as_posix() for path in args.output.rglob("*") if path.is_file())
    print(f"{args.output}: {', '.join(files)}; loaders agree: {check_loaders(args.output)}")


if __name__ == "__main__":
    main()
