"""The exported folder: four loaders, one answer; the class activation map; colour; size."""

import json
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from train.agreement import LoadersDisagree, check_loaders, sample_pictures
from train.config import ConfigError, TrainConfig
from train.export import check_exportable


def test_all_loaders_agree_on_grey_and_colour_pictures(random_model_folder):
    differences = check_loaders(random_model_folder)
    assert set(differences) == {"grey", "colour"} and max(differences.values()) < 1e-3


def test_loaders_are_compared_on_the_cpu_where_there_is_a_gpu(random_model_folder, monkeypatch):
    monkeypatch.setattr("transformers.pipelines.base.is_torch_cuda_available", lambda: True)
    assert max(check_loaders(random_model_folder).values()) < 1e-3


@pytest.mark.parametrize(
    ("architecture", "why"),
    [
        ("test_efficientnet", None),
        ("test_resnet", None),
        ("mobilenetv3_small_050", "RuntimeError: "),  # a convolution after its pooling
        ("test_convnext", "its class activation map has other logits"),  # a norm there
        ("test_vit", "RuntimeError: "),  # tokens instead of a map
    ],
)
def test_what_could_not_be_exported_is_told_before_it_is_trained(architecture, why):
    config, before = TrainConfig(architecture=architecture), torch.get_rng_state()
    if why:
        with pytest.raises(ConfigError, match=f"architecture: {architecture} can't be exported, .*{why}"):
            check_exportable(config)
    else:
        check_exportable(config)
    assert torch.equal(torch.get_rng_state(), before), "a check changes no run"


def test_an_unknown_architecture_is_said_to_be_unknown():
    with pytest.raises(ConfigError, match=r"architecture: efficientnet_b22: Unknown model"):
        check_exportable(TrainConfig(architecture="efficientnet_b22"))


def test_a_loader_that_differs_is_found(random_model_folder, tmp_path):
    shutil.copytree(random_model_folder, tmp_path / "m")
    file = tmp_path / "m" / "onnx" / "model.onnx"
    graph = onnx.load(file)
    bias = next(one for one in graph.graph.initializer if list(one.dims) == [7])
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([3, 0, 0, 0, 0, 0, 0], np.float32), bias.name))
    onnx.save(graph, file)
    with pytest.raises(LoadersDisagree, match="onnxruntime differs from timm"):
        check_loaders(tmp_path / "m")


def test_logits_are_the_mean_of_the_activation_map_plus_the_bias(model_folder):
    session = onnxruntime.InferenceSession(model_folder / "onnx" / "model.onnx")
    bias = load_file(model_folder / "model.safetensors")["classifier.bias"].float().numpy()
    size = session.get_inputs()[0].shape[2]
    for n in (1, 3):
        pixels = np.random.default_rng(n).normal(size=(n, 3, size, size)).astype(np.float32)
        logits, cam = session.run(["logits", "cam"], {"pixel_values": pixels})
        assert cam.shape == (n, 7, -(-size // 32), -(-size // 32))
        assert logits == pytest.approx(cam.mean((2, 3)) + bias, abs=1e-3)


def test_a_colour_picture_is_read_as_its_luminance(random_model_folder):
    model = timm.create_model(f"local-dir:{random_model_folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    colour = sample_pictures()["colour"]
    with torch.inference_mode():
        pixels = transform(colour)[None]
        luminance = (pixels * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        exact = (model(pixels).softmax(1) - model(luminance.expand(-1, 3, -1, -1)).softmax(1)).abs().max()
        swapped = Image.fromarray(np.asarray(colour)[:, :, ::-1].copy())
        other = (model(pixels).softmax(1) - model(transform(swapped)[None]).softmax(1)).abs().max()
    assert exact < 5e-3  # the stem's folded weights are rounded to fp16
    assert other > 2 * exact  # and the channels are told apart at all


def test_config_is_what_both_libraries_read(random_model_folder):
    config = json.loads((random_model_folder / "config.json").read_text())
    assert "model_args" not in config and config["dtype"] == "float32"
    assert config["label_names"] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    pretrained = config["pretrained_cfg"]
    assert pretrained["input_size"] == [3, 64, 64] and pretrained["crop_pct"] == 1.0
    assert len(set(pretrained["mean"])) == len(set(pretrained["std"])) == 1
    assert "test_input_size" not in pretrained


def test_weights_are_fp16_and_small(random_model_folder):
    weights = load_file(random_model_folder / "model.safetensors")
    assert {tensor.dtype for name, tensor in weights.items() if name.endswith("weight")} == {torch.float16}
    assert (random_model_folder / "onnx" / "model.onnx").stat().st_size < 17e6
    assert (random_model_folder / "model.safetensors").stat().st_size < 16e6
