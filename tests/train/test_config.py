"""The configuration: read, overridden, refused, written back."""

import argparse
from pathlib import Path

import pytest
import yaml

from train.config import ConfigError, TrainConfig, add_flags, flag_overrides, load_config, to_yaml

CONFIGS = sorted((Path(__file__).parents[2] / "train" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_loads_and_comes_back_from_its_yaml(path, tmp_path):
    config = load_config(path)
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    assert load_config(tmp_path / "again.yaml") == config


def test_flags_override_the_file(tmp_path):
    (tmp_path / "a.yaml").write_text("label_smoothing: 0.1\nepochs: [1, 4]\n")
    config = load_config(tmp_path / "a.yaml", {"label_smoothing": 0.2})
    assert (config.label_smoothing, config.epochs) == (0.2, (1, 4))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label_smothing: 0.1", "unknown field label_smothing"),
        ("label_smoothing: 0.7", r"label_smoothing: 0.7 is outside \[0, 0.5\]"),
        ("label_smoothing: high", "label_smoothing: 'high' is not a value"),
        ("epochs: [0, 0]", "nothing would be trained"),
        ("epochs: [1, 2, 3]", r"epochs: \[1, 2, 3\] should hold 2 values"),
        ("epochs: 3", "epochs: 3 is not a value"),
        ("epochs: '12'", "epochs: '12' is no list"),
        ("epochs: [0.5, 2.9]", "epochs: 0.5 is no whole number"),
        ("size_schedule: [[0, 48.5]]", "size_schedule: 48.5 is no whole number"),
        ("batch_size: .inf", "batch_size: inf is not a value"),
        ("batch_size: 64.5", "batch_size: 64.5 is no whole number"),
        ("{batch_size: 10, gradient_accumulation: 3}", "no multiple of gradient_accumulation 3"),
        ("optimizer: adam", "optimizer: 'adam' is none of adamw, sgd"),
        ("scale: [1.2, 0.8]", "scale: 1.2 exceeds 0.8"),
        ("class_weights: [2, 1]", "is no range"),
        ("size_schedule: [[3, 48]]", "must rise from 0"),
        ("size_schedule: [[0, 48, 5]]", "should hold pairs of"),
        ("{size_schedule: [[0, 48], [9, 64]], input_size: 96}", "ends at 64 px, but input_size, .* is 96"),
        ("seed: -1", r"seed: -1 is outside \[0"),
        ("size_schedule: [[0, 48], [90, 64]]", "end before epoch 22"),
        ("least_recall: [fear, 0.5]", "should hold pairs of|is not a value"),
        ("least_recall: [[fear]]", r"should hold pairs of \[class, recall\]"),
        ("least_recall: [[fear, half]]", "least_recall: .* is not a value"),
        ("least_recall: [[fear, 50]]", r"holds a recall outside \(0, 1\)"),
        ("least_recall: [[fear, 0.5], [fear, 0.6]]", "names a class twice"),
        ("channels_last: 1", "neither true nor false"),
        ("dropout: null", "dropout: needs a value"),
        ("- a", "expected `name: value` lines"),
        ("{", "not valid YAML"),
    ],
)
def test_what_contradicts_or_is_out_of_range_is_refused_by_name(text, said, tmp_path):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "bad.yaml")


def test_a_list_that_the_shell_has_split_is_named(capsys):
    parser = argparse.ArgumentParser()
    add_flags(parser)
    assert flag_overrides(parser.parse_args(["--teachers", "[a, b]"])) == {"teachers": ["a", "b"]}
    with pytest.raises(SystemExit):
        parser.parse_args(["--teachers", "[a,", "b]"])
    assert "argument --teachers: '[a,' is no YAML value; a list needs quotes" in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml: no such configuration"):
        load_config(tmp_path / "nothing.yaml")


def test_size_schedule():
    config = TrainConfig(epochs=(1, 9), size_schedule=((0, 48), (4, 64)), input_size=64)
    assert [config.size_at(epoch) for epoch in (0, 3, 4, 9)] == [48, 48, 64, 64]
    assert TrainConfig(input_size=96).size_at(7) == 96


def test_yaml_is_plain(tmp_path):
    assert yaml.safe_load(to_yaml(TrainConfig()))["epochs"] == [2, 20]


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("mixed_precision", "no", "no"),  # YAML reads it as false
        ("limit", "none", None),
        ("class_weights", "none", None),
        ("gradient_clip", "null", None),
        ("pretrained", "none", "none"),
        ("teachers", "runs/a", ("runs/a",)),
        ("report_to", "trackio", ("trackio",)),
    ],
)
def test_a_flag_says_what_its_help_says(flag, value, expected):
    parser = argparse.ArgumentParser()
    add_flags(parser)
    config = load_config(None, flag_overrides(parser.parse_args([f"--{flag}", value])))
    assert getattr(config, flag) == expected
