"""The network: its start, its frozen stage, its stem, and weights that do not fit."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from train.config import ConfigError, TrainConfig
from train.export import fold_luminance
from train.model import Normalisation, build_model, freeze_backbone, load_weights, set_training_mode, spread_stem


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model, normalisation, lineage = build_model(TrainConfig(), 7)
    assert lineage == []
    return model, normalisation


def test_from_scratch_it_starts_at_the_loss_of_a_guess(network):
    model, normalisation = network
    model.train()
    images = normalisation(torch.rand(16, 1, 48, 48, generator=torch.Generator().manual_seed(0)))
    loss = torch.nn.functional.cross_entropy(model(images), torch.arange(16) % 7)
    assert loss.item() == pytest.approx(math.log(7), abs=0.1)


def test_it_is_the_papers_network(network):
    assert sum(p.numel() for p in network[0].parameters()) == pytest.approx(7.7e6, rel=0.01)


def test_a_frozen_backbone_keeps_its_weights_and_its_statistics(network):
    model, normalisation = network
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    freeze_backbone(model, True)
    set_training_mode(model, True)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    torch.nn.functional.cross_entropy(model(normalisation(torch.rand(4, 1, 48, 48))), torch.arange(4)).backward()
    optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    freeze_backbone(model, False)
    set_training_mode(model, False)
    model(normalisation(torch.rand(4, 1, 48, 48)))
    assert not torch.equal(model.state_dict()["bn1.running_mean"], before["bn1.running_mean"])


def test_folded_stem_sees_the_luminance_of_a_colour_picture_and_grey_ones_as_before(network):
    model, normalisation = network
    model.eval()
    colour = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    luminance = (colour * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    normalise = lambda rgb: (rgb - normalisation.mean) / normalisation.std  # noqa: E731
    with torch.no_grad():
        grey_before = model(normalisation(luminance)).softmax(1)
        fold_luminance(model)
        grey_after, colour_after = model(normalisation(luminance)).softmax(1), model(normalise(colour)).softmax(1)
        spread_stem(model)
        grey_spread = model(normalisation(luminance)).softmax(1)
    for other in (grey_after, colour_after, grey_spread):
        assert torch.allclose(other, grey_before, atol=1e-5)


def test_pretrained_weights_of_other_classes_get_a_new_head(network, tmp_path):
    model, _ = network
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    weights |= {"classifier.weight": torch.randn(200, 1408), "classifier.bias": torch.randn(200)}
    save_file(weights, tmp_path / "tiny.safetensors")
    loaded, _, lineage = build_model(TrainConfig(pretrained=str(tmp_path / "tiny.safetensors")), 7)
    assert lineage == ["weights of tiny.safetensors"]
    earlier = {"lineage": ["timm/efficientnet_b2.ra_in1k from the Hub"], "epochs": 2, "date": "2026-01-01"}
    (tmp_path / "begun.json").write_text(json.dumps(earlier))
    (tmp_path / "tiny.safetensors").rename(tmp_path / "averaged.safetensors")
    _, _, lineage = build_model(TrainConfig(pretrained=str(tmp_path / "averaged.safetensors")), 7)
    own = f"weights of averaged.safetensors of {tmp_path.name}, not run to its end"
    assert lineage == [*earlier["lineage"], own], "those that a run without an export began from"
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "metrics.json").write_text(json.dumps({"training": earlier}))
    (tmp_path / "averaged.safetensors").rename(tmp_path / "best.safetensors")
    loaded, _, lineage = build_model(TrainConfig(pretrained=str(tmp_path / "best.safetensors")), 7)
    assert lineage[:1] == earlier["lineage"] and lineage[1].startswith("2026-01-01: 2 epochs"), "those of the run"
    assert torch.equal(loaded.blocks[3][0].conv_pw.weight, model.blocks[3][0].conv_pw.weight)
    assert loaded.classifier.weight.shape == (7, 1408)
    assert loaded.classifier.weight.std() < 0.02


def test_only_fine_tuning_replaces_a_classifier(tmp_path):
    config = TrainConfig(architecture="test_efficientnet")
    many, _, _ = build_model(config, 200)
    few, _, _ = build_model(config, 7)
    save_file(many.state_dict(), tmp_path / "many.safetensors")
    with pytest.raises(ConfigError, match=r"many\.safetensors has a classifier of 200 classes, not of 7; only fine"):
        load_weights(few, tmp_path / "many.safetensors")
    backbone = {name: tensor for name, tensor in few.state_dict().items() if not name.startswith("classifier.")}
    save_file(backbone, tmp_path / "none.safetensors")
    with pytest.raises(ConfigError, match=r"none\.safetensors has a classifier of no classes, not of 7"):
        load_weights(few, tmp_path / "none.safetensors")
    load_weights(few, tmp_path / "none.safetensors", new_classifier=True)


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path):
    save_file({"conv_stem.weight": torch.zeros(3)}, tmp_path / "odd.safetensors")
    with pytest.raises(ConfigError, match=r"odd\.safetensors is not of this architecture"):
        build_model(TrainConfig(pretrained=str(tmp_path / "odd.safetensors")), 7)
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(ConfigError, match=r"cut\.safetensors can't be read"):
        build_model(TrainConfig(pretrained=str(tmp_path / "cut.safetensors")), 7)
    with pytest.raises(ConfigError, match=r"nowhere/?.* can't be read"):
        build_model(TrainConfig(pretrained=str(tmp_path / "nowhere")), 7)


def test_normalisation_repeats_the_grey_channel():
    out = Normalisation(0.5, 0.25)(torch.full((2, 1, 4, 4), 0.75))
    assert out.shape == (2, 3, 4, 4) and (out == 1).all()


def test_imagenets_normalisation_is_averaged_from_a_folder_as_from_the_hub(network, tmp_path):
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    save_file(network[0].state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": imagenet}))
    _, normalisation, _ = build_model(TrainConfig(pretrained=str(tmp_path)), 7)
    assert (normalisation.mean, normalisation.std) == (pytest.approx(0.449), pytest.approx(0.226))


def test_an_unknown_architecture_is_refused_by_name():
    with pytest.raises(ConfigError, match="architecture: efficientnet_b22"):
        build_model(TrainConfig(architecture="efficientnet_b22"), 7)
