"""The network on ONNX Runtime: grey 48x48 crops to probabilities and class activation maps.

Everything about the model is read from its folder's `config.json` (timm's Hub format).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from space.threads import compute_threads

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
BATCH = 64  # crops a run: the masks of one occlusion map, or the faces of a crowded picture


class ModelError(RuntimeError):
    """A model folder that can't be served, and what to do about it."""


@dataclass(frozen=True)
class ModelConfig:
    """What `config.json` says of the input and the classes."""

    label_names: tuple[str, ...]
    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    architecture: str

    @classmethod
    def read(cls, folder):
        path = Path(folder) / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(f"{folder} is no model folder: it has no config.json") from None
        except json.JSONDecodeError as error:
            raise ModelError(f"{path}: not JSON ({error})") from None
        cfg = config.get("pretrained_cfg", config)
        labels = config.get("label_names") or cfg.get("label_names") or labels_of_id2label(config.get("id2label"))
        missing = [key for key in ("input_size", "mean", "std") if key not in cfg]
        if missing or not labels:
            raise ModelError(f"{path} lacks {', '.join(missing or ['label_names'])}: it must be in timm's Hub format")
        interpolation = cfg.get("interpolation", "bicubic")
        if interpolation not in RESAMPLING:
            raise ModelError(f"{path}: interpolation {interpolation!r} is none of {', '.join(RESAMPLING)}")
        return cls(
            tuple(labels),
            tuple(cfg["input_size"]),
            tuple(cfg["mean"]),
            tuple(cfg["std"]),
            interpolation,
            config.get("architecture", "unknown"),
        )


def labels_of_id2label(id2label):
    """transformers' {"0": "angry", ...} in the order of its numbers."""
    return [id2label[key] for key in sorted(id2label, key=int)] if id2label else None


@dataclass(frozen=True)
class Prediction:
    """The answer for n crops and k classes."""

    probabilities: np.ndarray
    """float32 [n, k]; rows sum to 1"""
    cam: np.ndarray | None
    """float32 [n, k, h', w'], the classes' evidence in each cell; None where the model's graph has no such output"""


class Classifier:
    """What every way of running the network shares: the transform before it and the softmax after."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.config = ModelConfig.read(folder)

    @property
    def label_names(self):
        return self.config.label_names

    def run(self, pixel_values):
        """(logits, cam or None) for float32 `pixel_values` [n, c, h, w]."""
        raise NotImplementedError

    def pixel_values(self, crops):
        """The network's input for grey uint8 `crops` (any size): resized with Pillow, repeated to the channels."""
        channels, height, width = self.config.input_size
        resampling = RESAMPLING[self.config.interpolation]
        resized = [np.asarray(Image.fromarray(crop).resize((width, height), resampling)) for crop in crops]
        grey = np.stack(resized).astype(np.float32)[:, None] / 255.0
        mean = np.asarray(self.config.mean, np.float32).reshape(1, -1, 1, 1)
        std = np.asarray(self.config.std, np.float32).reshape(1, -1, 1, 1)
        return (np.repeat(grey, channels, axis=1) - mean) / std

    def predict(self, crops):
        """`Prediction` for a list of grey uint8 crops, at least one, in batches of `BATCH`."""
        logits, cams = [], []
        for start in range(0, len(crops), BATCH):
            batch_logits, batch_cam = self.run(self.pixel_values(crops[start : start + BATCH]))
            logits.append(batch_logits)
            cams.append(batch_cam)
        logits = np.concatenate(logits)
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        cam = None if cams[0] is None else np.concatenate(cams)
        return Prediction(exponentials / exponentials.sum(1, keepdims=True), cam)


def session_options(threads=None, spinning=False):
    """ONNX Runtime's options; `benchmarks/README.md` has the times by which these defaults were chosen."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or compute_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return options


class OnnxClassifier(Classifier):
    """`onnx/model.onnx` on the CPU."""

    runtime = "ONNX Runtime"

    def __init__(self, folder):
        super().__init__(folder)
        data = (self.folder / "onnx" / "model.onnx").read_bytes()
        self.sha256 = hashlib.sha256(data).hexdigest()
        try:
            self.session = onnxruntime.InferenceSession(data, session_options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base but Exception
            raise ModelError(f"{self.folder}/onnx/model.onnx can't be loaded: {error}") from error
        outputs = [output.name for output in self.session.get_outputs()]
        if "logits" not in outputs or len(self.session.get_inputs()) != 1:
            raise ModelError(f"{self.folder}/onnx/model.onnx must have one input and an output named logits")
        self.input = self.session.get_inputs()[0].name
        self.outputs = ["logits", "cam"] if "cam" in outputs else ["logits"]
        classes = self.run(np.zeros((1, *self.config.input_size), np.float32))[0].shape[1]
        if classes != len(self.label_names):
            raise ModelError(f"{self.folder}: {classes} logits for {len(self.label_names)} label_names in config.json")

    def run(self, pixel_values):
        logits, *cam = self.session.run(self.outputs, {self.input: pixel_values})
        return logits, cam[0] if cam else None


def load_classifier(folder):
    """The folder's ONNX file on ONNX Runtime; without one, timm where torch is installed, else a `ModelError`."""
    if (Path(folder) / "onnx" / "model.onnx").is_file():
        return OnnxClassifier(folder)
    ModelConfig.read(folder)
    try:
        from space.timm_classifier import TimmClassifier
    except ImportError as error:
        raise ModelError(
            f"{folder} has no onnx/model.onnx, and {error.name} is not installed to run its weights: "
            "pip install -r requirements-train.txt"
        ) from None
    return TimmClassifier(folder)
