"""Do all loaders give the same answer? timm, transformers and ONNX Runtime on the same grey and colour pictures.

python -m train.agreement FOLDER
"""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
from PIL import Image
from scipy.special import softmax
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline

TOLERANCE = 1e-3  # of a probability


class LoadersDisagree(RuntimeError):
    """The folder's loaders give different probabilities or names; the message says which, on what, by how much."""


def sample_pictures(seed=0):
    """Name to RGB picture: one grey and one colour picture, smooth and random, of another size than any input."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (12, 10, 3), np.uint8)
    colour = Image.fromarray(coarse).resize((100, 120), Image.Resampling.BICUBIC)
    return {"grey": colour.convert("L").convert("RGB"), "colour": colour}


def check_loaders(folder, tolerance=TOLERANCE):
    """Largest difference of a probability between loaders, by picture: {"grey": 1e-6, "colour": ...}.

    Raises LoadersDisagree beyond `tolerance`, or where a loader has other names for the classes.
    """
    folder = Path(folder)
    names = json.loads((folder / "config.json").read_text())["label_names"]
    with naming("timm", folder):
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    with naming("transformers", folder):
        processor = AutoImageProcessor.from_pretrained(folder)
        wrapped = AutoModelForImageClassification.from_pretrained(folder).eval()
        # without a device it would move `wrapped` itself to a GPU
        classify = pipeline(
            "image-classification", model=wrapped, image_processor=processor, top_k=len(names), device="cpu"
        )
    with naming("onnxruntime", folder):
        session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    if [wrapped.config.id2label[i] for i in range(len(names))] != names:
        raise LoadersDisagree(f"{folder}: transformers reads the classes as {wrapped.config.id2label}, not {names}")
    differences = {}
    for kind, picture in sample_pictures().items():
        pixels = transform(picture)[None]
        with torch.inference_mode():
            answers = {
                "timm": model(pixels).softmax(1)[0].numpy(),
                "transformers": wrapped(**processor(picture, return_tensors="pt")).logits.softmax(1)[0].numpy(),
            }
        scores = {row["label"]: row["score"] for row in classify(picture)}
        answers["pipeline"] = np.array([scores[name] for name in names])
        logits = session.run(["logits"], {"pixel_values": pixels.numpy()})[0][0].astype(np.float64)
        answers["onnxruntime"] = softmax(logits)
        for loader, answer in answers.items():
            difference = float(np.abs(answer - answers["timm"]).max())
            if not difference <= tolerance:
                raise LoadersDisagree(f"{folder}: {loader} differs from timm by {difference:.2g} on a {kind} picture")
            differences[kind] = max(differences.get(kind, 0.0), difference)
    return differences


@contextmanager
def naming(loader, folder):
    """Whatever a library raises over files that it can't load becomes one error that names the library."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise LoadersDisagree(f"{folder} can't be loaded by {loader}: {reason}") from error


if __name__ == "__main__":
    print(check_loaders(sys.argv[1]))
