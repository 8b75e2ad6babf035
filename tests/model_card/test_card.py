"""The whole card against a pattern, its front matter against the Hub's own parser, and what is refused."""

import json
import re
import shutil

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from model_card.build import CardError, build_card

NUMBER = r"\d+\.\d+%"
INTERVAL = rf"{NUMBER} \[\d+\.\d, \d+\.\d\]"


@pytest.fixture
def folder(complete_model_folder, tmp_path):
    shutil.copytree(complete_model_folder, tmp_path / "model")
    return tmp_path / "model"


def test_front_matter_is_what_the_hub_reads(folder):
    data = ModelCard.load(folder / "README.md").data
    assert (data.library_name, data.pipeline_tag, data.license) == ("timm", "image-classification", "apache-2.0")
    assert {"timm", "transformers", "onnx"} <= set(data.tags)
    assert data.base_model is None
    metrics = json.loads((folder / "metrics.json").read_text())["splits"]["public_test"]["single"]
    results = {(one.dataset_split, one.metric_type): one.metric_value for one in data.eval_results}
    assert results == {
        ("public_test", "accuracy"): pytest.approx(metrics["accuracy"]["value"], abs=1e-4),
        ("public_test", "f1"): pytest.approx(metrics["macro_f1"]["value"], abs=1e-4),
    }


def test_base_model_is_named_only_where_one_was_used(folder):
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["training"]["lineage"] = ["timm/efficientnet_b2.ra_in1k from the Hub"]
    file.write_text(json.dumps(metrics))
    build_card(folder)
    assert ModelCard.load(folder / "README.md").data.base_model == "timm/efficientnet_b2.ra_in1k"


def test_the_whole_text_follows_the_pattern(folder):
    text = ModelCard.load(folder / "README.md").text
    names = json.loads((folder / "config.json").read_text())["label_names"]
    table = "".join(rf"\| {n} \| {INTERVAL} \| {INTERVAL} \| {INTERVAL} \| \d+ \|\n" for n in names)
    pattern = (
        r"\s*# Facial emotion recognition .*?\*\*" + NUMBER + r" accuracy\*\* and a\n"
        r"\*\*macro F1 of " + NUMBER + r"\*\*"
        r".*?## Use\n.*?local-dir:FOLDER.*?pipeline\(\"image-classification\".*?onnxruntime"
        r".*?FER_MODEL=FOLDER python app.py"
        r".*?## Results\n.*?\| class \| precision \| recall \| F1 \| support \|\n\|[-|]+\|\n" + table +
        r".*?\d+ of 400 pictures are, pixel for pixel, also in Training\. Without them\n.*?" + INTERVAL +
        r".*?PrivateTest was not at hand.*?PublicTest was looked at 1 time, each\n"
        r".*?!\[Confusion matrix.*?\(figures/confusion_matrix\.png\).*?- \w+ taken for \w+: " + NUMBER +
        r".*?### Calibration\n.*?\(figures/reliability\.png\).*?### Beside published figures\n"
        r".*?68\.78%.*?71\.16%.*?## Training\n.*?\(figures/training_curves\.png\).*?\| energy \| not measured \|"
        r".*?```yaml\nvalidation_fraction: 0\.125\n.*?## Data and licences\n.*?## Limits, and what it is not for\n"
        r".*?Art\. 5\(1\)\(f\).*?Art\. 50\(3\).*?## Citation\n.*?```\s*"
    )  # fmt: skip
    assert re.fullmatch(pattern, text, re.DOTALL)
    assert "{{" not in text and "{%" not in text and "| None" not in text


def test_every_figure_is_a_picture_and_the_card_is_the_same_each_time(folder):
    before = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} | {
        "README.md": (folder / "README.md").read_bytes()
    }
    build_card(folder)
    for path in (folder / "figures").iterdir():
        assert Image.open(path).size[0] > 400
        assert path.read_bytes() == before[path.name]
    assert (folder / "README.md").read_bytes() == before["README.md"]


def test_figures_of_other_weights_are_refused(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CardError, match="made for other weights"):
        build_card(folder)


def test_a_missing_figure_is_an_error_not_a_hole(folder):
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    del metrics["training"]["hardware"]
    file.write_text(json.dumps(metrics))
    with pytest.raises(Exception, match="hardware"):
        build_card(folder)


def test_a_split_that_was_not_scored_is_said(folder):
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["splits"] = {}
    file.write_text(json.dumps(metrics))
    with pytest.raises(CardError, match="no scored split"):
        build_card(folder)
