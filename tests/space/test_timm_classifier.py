"""A model folder without an ONNX file: the same answers from timm, whatever its config.json says."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from space.classifier import ModelError, OnnxClassifier, load_classifier
from space.timm_classifier import TimmClassifier

LABELS = ["surprise", "contempt", "angry", "happy"]  # other classes in another order
SIZE = (3, 96, 64)  # not square: channels, height, width
MEAN, STD = [0.1, 0.4, 0.7], [0.2, 0.5, 0.9]


@pytest.fixture(scope="module")
def crops():
    """Grey 48x48 pictures with some structure: noise enlarged."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (8, 6, 6), dtype=np.uint8)
    return [np.asarray(Image.fromarray(grid).resize((48, 48), Image.Resampling.BICUBIC)) for grid in small]


@pytest.fixture
def without_onnx(model_folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(model_folder / name, tmp_path)
    return tmp_path


def save_other(folder, architecture="resnet10t", labels=LABELS, **options):
    """A folder of another model with random weights, and that model."""
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=len(LABELS), **options).eval()
    torch.nn.init.normal_(model.get_classifier().weight, std=0.5)  # so that the answers differ by class
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    cfg = {"input_size": SIZE, "mean": MEAN, "std": STD, "interpolation": "bilinear", "crop_pct": 1.0}
    cfg |= {key: model.pretrained_cfg[key] for key in ("first_conv", "classifier")}
    config = {"architecture": architecture, "num_classes": len(LABELS), "label_names": labels, "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(config))
    return model


def test_timm_agrees_with_onnx(without_onnx, model_folder, crops):
    by_timm = load_classifier(without_onnx)
    assert isinstance(by_timm, TimmClassifier)
    answer, reference = by_timm.predict(crops), OnnxClassifier(model_folder).predict(crops)
    assert np.ptp(reference.probabilities, axis=0).max() > 0.05, "the crops all look alike to the network"
    # both files hold fp16, one with the batch norms in its kernels: they are rounded apart, and these crops are noise
    np.testing.assert_allclose(answer.probabilities, reference.probabilities, atol=2e-3)
    np.testing.assert_allclose(answer.cam, reference.cam, atol=4e-2)


def test_classes_size_and_normalisation_come_from_the_config(tmp_path, crops):
    model = save_other(tmp_path)
    classifier = load_classifier(tmp_path)
    assert classifier.label_names == tuple(LABELS)
    answer = classifier.predict(crops)
    inputs = []
    for crop in crops:
        resized = np.asarray(Image.fromarray(crop).resize((SIZE[2], SIZE[1]), Image.Resampling.BILINEAR)) / 255
        inputs.append(np.stack([(resized - mean) / std for mean, std in zip(MEAN, STD, strict=True)]))
    with torch.inference_mode():
        expected = model(torch.tensor(np.stack(inputs), dtype=torch.float32)).softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
    assert answer.cam.shape == (8, 4, 3, 2)  # a stride of 32


def test_no_map_where_it_would_not_explain_the_answer(tmp_path, crops):
    save_other(tmp_path, "convnext_atto")  # a norm stands between its pool and its linear layer
    answer = load_classifier(tmp_path).predict(crops[:2])
    assert answer.cam is None
    assert answer.probabilities.shape == (2, 4)


def test_a_folder_that_cannot_be_run_says_why(without_onnx, tmp_path_factory):
    weights = without_onnx / "model.safetensors"
    tensors = load_file(weights)
    save_file({name: tensor for name, tensor in tensors.items() if name != "conv_stem.weight"}, weights)
    with pytest.raises(ModelError, match=r"model.safetensors can't be loaded as efficientnet_b2: "):
        load_classifier(without_onnx)
    weights.write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"model.safetensors can't be loaded as efficientnet_b2: "):
        load_classifier(without_onnx)
    weights.unlink()
    (without_onnx / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ModelError, match="pickles are not loaded"):
        load_classifier(without_onnx)
    fewer = tmp_path_factory.mktemp("fewer")
    save_other(fewer, labels=LABELS[:3])
    with pytest.raises(ModelError, match="4 logits for 3 label_names"):
        load_classifier(fewer)


def test_without_torch_the_app_says_what_to_install(without_onnx, repository, child_environment):
    code = "import sys; sys.modules['torch'] = None; from space.server import main; main()"
    environment = child_environment | {"FER_MODEL": str(without_onnx), "FER_DETECTOR": "haar"}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 1
    assert "torch is not installed to run its weights: pip install -r requirements-train.txt" in ended.stderr
    assert "Traceback" not in ended.stderr
