"""An int8 copy of a model folder's ONNX graph: static quantisation, calibrated on training pictures.

    python -m benchmarks.quantize --model model --data PATH --output int8.onnx

`python -m benchmarks.inference` makes one and compares it; README.md beside this file says what came of it.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from space.classifier import OnnxClassifier
from train.data import as_arrays, load_fer2013

BATCH = 32
SENSITIVE = ("conv_stem", "conv_dw", ".se.")  # in a weight's name: few multiplications, most of the loss
PERCENTILE = 99.99  # with the extremes themselves 14% of the answers changed


class Pictures(CalibrationDataReader):
    """The classifier's input for uint8 `crops` [n, 48, 48], in batches."""

    def __init__(self, classifier, crops):
        batches = (crops[start : start + BATCH] for start in range(0, len(crops), BATCH))
        self.feeds = ({classifier.input: classifier.pixel_values(batch)} for batch in batches)

    def get_next(self):
        return next(self.feeds, None)


def quantize(folder, crops, output, every_layer=False):
    """Write an int8 copy of `folder`/onnx/model.onnx to `output`, calibrated on `crops`, uint8 [n, 48, 48].

    Weights by channel, activations by a percentile of their sizes. The pointwise convolutions alone, which do nearly
    all of the arithmetic; with `every_layer` the stem, depthwise, squeeze-and-excitation and last layers as well.
    """
    classifier = OnnxClassifier(folder)
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "float.onnx"
        quant_pre_process(Path(folder) / "onnx" / "model.onnx", prepared, skip_symbolic_shape=True)  # folds fp16 casts
        nodes = onnx.load(prepared).graph.node
        sensitive = [node.name for node in nodes if node.op_type == "Conv" and is_sensitive(node)]
        quantize_static(
            prepared,
            output,
            Pictures(classifier, crops),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=None if every_layer else ["Conv"],
            nodes_to_exclude=None if every_layer else sensitive,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )


def is_sensitive(node):
    return "cam" in node.output or any(part in node.input[1] for part in SENSITIVE)


def calibration_crops(splits, count, seed=0):
    """`count` pictures of the training split, never of one that is scored; uint8 [count, 48, 48]."""
    chosen = np.random.default_rng(seed).permutation(len(splits["train"]))[:count]
    return as_arrays(splits["train"].select(np.sort(chosen))).images


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER-2013, in any of the layouts that training takes")
    parser.add_argument("--model", type=Path, default=Path("model"), help="the model folder")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--pictures", type=int, default=64, help="training pictures to calibrate on")
    parser.add_argument("--every_layer", action="store_true", help="quantise the sensitive layers, too")
    args = parser.parse_args()
    crops = calibration_crops(load_fer2013(args.data), args.pictures)
    quantize(args.model, crops, args.output, args.every_layer)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
