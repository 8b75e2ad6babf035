"""Averages of a run's first and best weights: what they are, and that the export takes them."""

import dataclasses
import shutil

import accelerate
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from train.averaging import BEGUN, averaged
from train.checkpoint import save_weights
from train.config import ConfigError, TrainConfig, to_yaml
from train.data import as_arrays, load_fer2013
from train.launch import refuse_contradictions
from train.model import Normalisation, build_model
from train.score_averages import SHARES, main, rows

CONFIG = TrainConfig(architecture="test_efficientnet", input_size=32)


def network(seed):
    torch.manual_seed(seed)
    model, _, _ = build_model(CONFIG, 7)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    torch.nn.init.normal_(model.get_classifier().weight, std=0.5)
    return model.eval()


@pytest.fixture
def run(tmp_path):
    """A run from one random network to another."""
    folder = tmp_path / "run"
    folder.mkdir()
    save_weights(network(0), Normalisation(), folder / BEGUN)
    save_weights(network(1), Normalisation(0.4, 0.2), folder / "best.safetensors")
    (folder / "training_curves.png").touch()
    config = dataclasses.replace(CONFIG, pretrained="hub", limit=120)
    (folder / "train_config.yaml").write_text(to_yaml(config))
    return folder, config


def test_the_average_is_of_every_weight_and_statistic(run):
    folder, config = run
    begun, ended = load_file(folder / BEGUN), load_file(folder / "best.safetensors")
    begun["conv_stem.weight"] = begun["conv_stem.weight"].mean(1, keepdim=True).expand(-1, 3, -1, -1)  # as it is loaded
    ended["conv_stem.weight"] = ended["conv_stem.weight"].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    model, normalisation = averaged(config, folder, 0.3)
    assert normalisation == Normalisation(0.4, 0.2)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, 0.3 * begun[name] + 0.7 * ended[name], msg=name)
    assert torch.equal(averaged(config, folder, 0)[0].conv_stem.weight, ended["conv_stem.weight"])


@pytest.fixture
def beside(run, tmp_path):
    """Two more runs from the same beginning."""
    folders = [tmp_path / name for name in ("second", "third")]
    for seed, folder in enumerate(folders, 2):
        shutil.copytree(run[0], folder)
        save_weights(network(seed), Normalisation(0.4, 0.2), folder / "best.safetensors")
    return folders


def test_runs_from_one_beginning_are_averaged_in_equal_parts(run, beside):
    folder, config = run
    model, _ = averaged(config, folder, 0.25, beside)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and name != "conv_stem.weight":
            ends = sum(load_file(one / "best.safetensors")[name] for one in (folder, *beside)) / 3
            torch.testing.assert_close(tensor, 0.25 * load_file(folder / BEGUN)[name] + 0.75 * ends, msg=name)
    save_weights(network(9), Normalisation(), beside[1] / BEGUN)
    with pytest.raises(ConfigError, match="third and .*run began from different weights"):
        averaged(config, folder, 0.25, beside)


def test_the_line_to_the_mean_of_several_runs_is_scored(run, beside, shared_data, capsys):
    main(["--run", str(run[0]), *map(str, beside), "--data", str(shared_data / "fer2013")])
    several = capsys.readouterr().out.splitlines()
    main(["--run", str(run[0]), "--data", str(shared_data / "fer2013")])
    one = capsys.readouterr().out.splitlines()
    assert several[1] != one[1] and several[-1] == one[-1] and len(several) == 1 + len(SHARES)


def test_points_of_the_line_are_scored_on_the_runs_own_validation(run, shared_data, capsys):
    folder, config = run
    split = as_arrays(load_fer2013(shared_data / "fer2013", limit=120)["validation"])
    found = {share: plain for share, plain, _ in rows(folder, config, split.images, split.labels)}
    assert tuple(found) == SHARES
    images = torch.nn.functional.interpolate(
        torch.from_numpy(split.images[:, None]).float() / 255, size=(32, 32), mode="bicubic", antialias=True
    ).clamp(0, 1)
    for share, seed, normalise in ((0.0, 1, Normalisation(0.4, 0.2)), (1.0, 0, Normalisation(0.4, 0.2))):
        with torch.no_grad():
            right = network(seed)(normalise(images)).argmax(1).numpy() == split.labels
        assert found[share]["accuracy"] == pytest.approx(np.mean(right))
    main(["--run", str(folder), "--data", str(shared_data / "fer2013")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SHARES) + 1 and f"{found[0.3]['loss']:.3f}" in lines[1 + SHARES.index(0.3)]


def test_a_run_from_no_weights_has_nothing_to_average(run, shared_data):
    process = accelerate.Accelerator(cpu=True)
    with pytest.raises(ConfigError, match="begins from no weights"):
        refuse_contradictions(TrainConfig(pretrained_share=0.5), process)
    folder, config = run
    (folder / "train_config.yaml").write_text(to_yaml(dataclasses.replace(config, pretrained="none")))
    with pytest.raises(SystemExit, match="began from no weights"):
        main(["--run", str(folder), "--data", str(shared_data / "fer2013")])
    (folder / BEGUN).unlink()
    with pytest.raises(SystemExit, match="run is no run that began from weights"):
        main(["--run", str(folder), "--data", str(shared_data / "fer2013")])
