"""The whole card against a pattern, its front matter against the Hub's own parser, and what is refused."""

import json
import re
import shutil

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from model_card.build import CardError, build_card, card_text
from model_card.comparison import PUBLISHED

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
    """Every part of the card in its place: what stands between two parts is prose of one section."""
    text = ModelCard.load(folder / "README.md").text
    names = json.loads((folder / "config.json").read_text())["label_names"]
    per_class = "".join(rf"\| {name} \| {INTERVAL} \| {INTERVAL} \| {INTERVAL} \| \d+ \|\n" for name in names)
    scored = rf"\| [\d,]+ \| {INTERVAL} \| {NUMBER} \| {INTERVAL} \| {NUMBER} \| {NUMBER} \|\n"
    published = "".join(
        rf"\| {re.escape(row['name'])} \| [^|\n]+ \| {re.escape(row['accuracy'])}" + r" \| [^|\n]+" * 4 + r" \|\n"
        for row in PUBLISHED
    )
    parts = (
        r"\s*# Facial emotion recognition on FER-2013 with EfficientNetB2\n\n",
        rf"timm's `efficientnet_b2` .*?\*\*{NUMBER} accuracy\*\* and a\n\*\*macro F1 of {NUMBER}\*\*[^#]*?",
        r"It is made for research, teaching and demonstrations\.\n\n",
        r"## Use\n\n[^#]*?```python\n# timm: pip [^\n]+\n(?:[^\n`]+\n){3,8}```\n\n",
        r"```python\n# transformers: pip [^\n]+\n(?:[^\n`]+\n){3,6}```\n\n",
        r"```python\n# ONNX Runtime, without torch: pip [^\n]+\n(?:[^\n`]+\n){3,9}```\n\n",
        r"```python\n# other labels, with transformers[^\n]*\n(?:[^\n`]+\n){5}```\n\n",
        r"```sh\n# the app[^\n]*\nFER_MODEL=FOLDER python app\.py\n```\n\n[^#]+?",
        r"The input of the ONNX graph is `pixel_values`, float32 \[batch, 3, \d+, \d+\][^#]+?",
        r"`cam` is the class activation map[^#]*?",
        r"## Results\n\n[^\n]+95% bootstrap intervals[^\n]+\n\n",
        r"\| class \| precision \| recall \| F1 \| support \|\n\|[-|]+\|\n" + per_class + "\n",
        r"Every split and view that was scored:\n\n\| split \| views \|[^\n]+\n\|[-|]+\|\n",
        r"\| validation \([^|]+\) \| single crop " + scored + r"\| a part of PublicTest \| single crop " + scored,
        r"(?:\nOn [^#]*? \d+ of 400 pictures are, pixel for pixel, also in Training\. Without them\n"
        rf"[^#]*?{INTERVAL}, macro F1 {INTERVAL}\.\n)" + r"{2}",
        r"\nPrivateTest has not been scored\.\n\nThe weights were chosen on the validation split\. ",
        r"PublicTest was looked at 1 time: runs\n[^#]+?EXPERIMENTS\.md`\.\n\n",
        r"!\[Confusion matrix on [^\n]+\]\(figures/confusion_matrix\.png\)\n\n",
        rf"The hardest confusions:\n(?:- \w+ taken for \w+: {NUMBER} of \w+ \(\d+ pictures\)\n)" + r"{5}\n",
        r"### Calibration\n\nA temperature \(2\.000\) and an offset of each class's logit \(angry \+0\.10, ",
        r"disgust -0\.60, ",
        rf"[^#]*?{NUMBER}, and was {NUMBER} before\.\n[^#]*?",
        r"!\[Reliability diagram\]\(figures/reliability\.png\)\n\n",
        r"### Beside published figures\n\n[^|#]+\| model \|[^\n]+\n\|[-|]+\|\n\| \*\*this model\*\* [^\n]+\n",
        published + r"\n## Training\n\n!\[Training curves\]\(figures/training_curves\.png\)\n\n\| \| \|\n\|-+\|-+\|\n",
        r"\| data, of this run and those before it \| FER-2013 Training \|\n",
        r"\| recipe \| two stages of \d+ and \d+ epochs on 87\.5% of Training; [^\n]+ \|\n",
        r"\| pictures seen, in this run \| 4,000 in 4 epochs \|\n\| hardware \| a test \|\n",
        r"\| time, of this run \| 1 min [^\n]+ \|\n",
        r"\| energy \| not measured \|\n\| seed \| 0 \|\n\| commit \| not recorded \|\n\| date \| 2026-01-01 \|\n\n",
        r"The command of this run, as it was given [^`]+`pretrained` and `teachers`[^`]+score it:\n\n",
        r"```sh\npip install [^\n]+\n",
        r"accelerate launch train/train\.py [^\n]+\naccelerate launch train/score\.py [^\n]+\n```\n\n",
        r"<details><summary>train_config\.yaml, whole</summary>\n\n```yaml\nvalidation_fraction: 0\.125\n[^`]+```\n\n",
        r"</details>\n\n## Data and licences\n\nThe code and these weights are under Apache-2\.0\. ",
        r"[^#]*?FER-2013 \(Goodfellow et al\. 2013\)[^#]+",
        r"## Limits, and what it is not for\n\n(?:- [^#]+?\n)+?- The labels are noisy, [^#]+?",
        rf"The weakest classes here are \w+ \(F1 {NUMBER}\) and \w+ \({NUMBER}\)\.\n[^#]+?groups of people[^#]+?",
        r"Out of scope: [^#]+?Art\. 5\(1\)\(f\)[^#]+?Art\. 50\(3\)[^#]+?",
        r"## Citation\n\n```bibtex\n(?:@article\{[^`]+?\n\}\n){2}```\s*",
    )  # fmt: skip
    at = 0
    for number, part in enumerate(parts):
        pattern = "".join(parts[: number + 1])
        found = re.match(pattern, text, re.DOTALL)
        assert found, f"the card leaves the pattern at {part!r}, after {text[at : at + 300]!r}"
        at = found.end()
    assert re.fullmatch("".join(parts), text, re.DOTALL)
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


def test_a_card_on_the_hub_names_its_repository_and_another_network_its_own(folder):
    card = card_text(folder, "user/emotions")
    fetch, score = re.search(r"(hf download user/emotions --local-dir FOLDER)\n(.*--model FOLDER.*)\n", card).groups()
    rest = card.replace(fetch, "").replace(score, "")
    assert "FOLDER" not in rest and "local-dir" not in rest
    for use in (
        '"hf-hub:user/emotions"',
        'model="user/emotions"',
        'hf_hub_download("user/emotions", "onnx/model.onnx")',
    ):
        assert use in card
    config = json.loads((folder / "config.json").read_text()) | {"architecture": "efficientnet_b0"}
    (folder / "config.json").write_text(json.dumps(config))
    build_card(folder)
    assert "# Facial emotion recognition on FER-2013 with efficientnet_b0\n" in (folder / "README.md").read_text()
    assert ModelCard.load(folder / "README.md").data.model_name == "efficientnet_b0.fer2013"


def test_the_embedded_models_card_is_that_of_its_files(model_folder):
    assert card_text(model_folder) == (model_folder / "README.md").read_text()


def test_figures_of_other_weights_are_refused(folder):
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(CardError, match="made for other weights"):
        build_card(folder)


def test_figures_of_one_split_that_belong_to_other_weights_are_refused(folder):
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    split, views = next(iter(metrics["splits"].items()))
    next(iter(views.values()))["weights_sha256"] = "0" * 64
    file.write_text(json.dumps(metrics))
    with pytest.raises(CardError, match=rf"the figures of {split} \(.*\) belong to other weights"):
        build_card(folder)


def test_a_missing_figure_is_an_error_not_a_hole(folder):
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    del metrics["training"]["hardware"]
    file.write_text(json.dumps(metrics))
    with pytest.raises(CardError, match="hardware"):
        build_card(folder)


def test_a_split_that_was_not_scored_is_said(folder):
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["splits"] = {}
    file.write_text(json.dumps(metrics))
    with pytest.raises(CardError, match="no scored split"):
        build_card(folder)
