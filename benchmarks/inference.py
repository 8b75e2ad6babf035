"""The network alone: agreement with PyTorch, time for one face and more, int8, OpenVINO, ONNX Runtime's options.

    python -m benchmarks.inference --data PATH             two minutes on two cores; prints the tables
    python -m benchmarks.inference --data PATH --write     also writes them into benchmarks/README.md

PATH is FER-2013 in any layout that training takes; `--model` names another model folder. Engines take turns, round by
round, so that a busy moment of the machine falls on all of them. OpenVINO is compared where it is installed
(`pip install -r benchmarks/requirements.txt`).
"""

import argparse
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch

from benchmarks.quantize import calibration_crops, quantize
from benchmarks.report import provenance, publish, table
from space.classifier import BATCH, OnnxClassifier, session_options
from space.timm_classifier import TimmClassifier
from train.data import as_arrays, load_fer2013

FACES = (1, 5, 40)
ROUNDS = 8
VIEWERS = 4  # threads of the app that classify at the same time
LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
}


def onnx_engine(path, options=None):
    """Logits of the ONNX file for float32 pixels, on ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, options or session_options(), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["logits"], {"pixel_values": pixels})[0]


def torch_engine(model):
    """Logits of a network in eager PyTorch."""

    @torch.inference_mode()
    def run(pixels):
        return model(torch.from_numpy(pixels)).numpy()

    return run


def openvino_engine(path):
    """Logits of the ONNX file on OpenVINO, in fp32 as the others."""
    import openvino

    compiled = openvino.Core().compile_model(
        path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )  # else bf16 where the CPU has it
    return lambda pixels: compiled({"pixel_values": pixels})["logits"]


def times(engines, inputs, rounds=ROUNDS):
    """{engine: [number of faces]: milliseconds of every run}; all engines take turns in each round."""
    taken = {name: {faces: [] for faces in inputs[name]} for name in engines}
    for number in range(rounds + 1):
        for name, run in engines.items():
            for faces, pixels in inputs[name].items():
                run(pixels)  # wakes the engine's threads and fills the caches after another engine's turn
                for _ in range(4 if faces == 1 else 1):
                    started = time.perf_counter()
                    run(pixels)
                    if number:  # the first round is for warming up
                        taken[name][faces].append((time.perf_counter() - started) * 1e3)
    return taken


def throughput(run, pixels, seconds=1.0):
    """Faces a second of `VIEWERS` threads that classify one face at a time, as the app's viewers do."""
    counts, stop = [0] * VIEWERS, time.perf_counter() + seconds

    def work(number):
        while time.perf_counter() < stop:
            run(pixels)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(VIEWERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def classes(run, pixels):
    """The predicted class of each row, in batches."""
    return np.concatenate([run(pixels[s : s + BATCH]).argmax(1) for s in range(0, len(pixels), BATCH)])


def agreement_table(folder, engines, split):
    """How often each engine predicts the class that fp32 PyTorch predicts, and how often the right one."""
    pixels = OnnxClassifier(folder).pixel_values(split.images)
    reference = classes(engines["PyTorch, eager timm, fp32"], pixels)
    rows = []
    for name, run in engines.items():
        predicted = classes(run, pixels)
        same = int((predicted == reference).sum())
        right = (predicted == split.labels).mean()
        rows.append([name, f"{same} of {len(reference)} ({same / len(reference):.2%})", f"{right:.2%}"])
    return table(["engine", "same class as PyTorch fp32, PublicTest", "accuracy"], rows)


def time_table(engines, inputs, reference="ONNX Runtime, fp32, as served"):
    """Median and 95th percentile for one face, medians for more, and one face as a multiple of the reference."""
    taken = times(engines, inputs)
    base = np.median(taken[reference][1])
    rows = []
    for name, by_faces in taken.items():
        one = by_faces[1]
        more = [f"{np.median(by_faces[faces]):.1f} ms" if faces in by_faces else "-" for faces in FACES[1:]]
        low, high = np.median(one), np.percentile(one, 95)
        rows.append([name, f"{low:.1f} ms", f"{high:.1f} ms", f"{low / base:.1f} x", *more])
    return table(["engine", "1 face, p50", "p95", "of the app's", "5 faces, p50", "40 faces, p50"], rows)


def options_table(path, size):
    """ONNX Runtime's threads, spinning and graph optimisation."""
    variants = {
        f"{threads} thread{'s' if threads > 1 else ''}, {'spinning' if spinning else 'sleeping'}, {level}": (
            *(threads, spinning, level),
        )
        for threads, spinning, level in [
            *((threads, spinning, "all") for threads in (1, 2) for spinning in (False, True)),
            *((2, False, level) for level in ("extended", "basic")),
        ]
    }
    engines = {}
    for name, (threads, spinning, level) in variants.items():
        options = session_options(threads, spinning)
        options.graph_optimization_level = LEVELS[level]
        engines[name] = onnx_engine(path, options)
    inputs = {faces: noise(faces, size) for faces in (1, 40)}
    taken = times(engines, dict.fromkeys(engines, inputs), rounds=6)
    rows = [
        [
            *(name, f"{np.median(taken[name][1]):.1f} ms", f"{np.median(taken[name][40]):.1f} ms"),
            f"{throughput(run, inputs[1]):.0f}",
        ]
        for name, run in engines.items()
    ]
    return table(["threads, idle threads, graph", "1 face, p50", "40 faces, p50", f"faces/s, {VIEWERS} viewers"], rows)


def noise(faces, size):
    return np.random.default_rng(0).standard_normal((faces, 3, size, size), np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER-2013, in any of the layouts that training takes")
    parser.add_argument("--model", type=Path, default=Path("model"), help="the model folder")
    parser.add_argument("--calibration", type=int, default=64, help="training pictures that int8 is calibrated on")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    args = parser.parse_args()
    splits = load_fer2013(args.data)
    path = args.model / "onnx" / "model.onnx"
    torch_model = TimmClassifier(args.model)
    size = torch_model.config.input_size[1]
    with tempfile.TemporaryDirectory() as folder:
        crops = calibration_crops(splits, args.calibration)
        int8, int8_all = Path(folder) / "int8.onnx", Path(folder) / "int8_all.onnx"
        quantize(args.model, crops, int8)
        quantize(args.model, crops, int8_all, every_layer=True)
        engines = {
            "ONNX Runtime, fp32, as served": onnx_engine(path),
            "ONNX Runtime, int8 pointwise layers": onnx_engine(int8),
            "ONNX Runtime, int8 every layer": onnx_engine(int8_all),
            "PyTorch, eager timm, fp32": torch_engine(torch_model.model),
        }
    if find_spec("openvino"):
        engines["OpenVINO, fp32"] = openvino_engine(path)
    agreement = agreement_table(args.model, engines, as_arrays(splits["public_test"]))
    inputs = dict.fromkeys(engines, {faces: noise(faces, size) for faces in FACES})
    vit = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    engines["PyTorch, ViT-B/16, 224 px, random weights"] = torch_engine(vit)
    inputs["PyTorch, ViT-B/16, 224 px, random weights"] = {1: noise(1, 224)}
    versions = f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}, timm {timm.__version__}"
    text = "\n\n".join(
        [
            provenance(args.model, "benchmarks.inference", sys.argv[1:]) + f" Input {size} px; {versions}.",
            agreement,
            time_table(engines, inputs),
            options_table(path, size),
        ]
    )
    publish("inference", text, args.write)


if __name__ == "__main__":
    main()
