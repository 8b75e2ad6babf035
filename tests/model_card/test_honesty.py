"""What the card says follows its folder's figures, where they change."""

import json
import re
import shutil

import pytest
import yaml
from huggingface_hub import ModelCard

from model_card.build import build_card


@pytest.fixture
def folder(complete_model_folder, tmp_path):
    shutil.copytree(complete_model_folder, tmp_path / "model")
    return tmp_path / "model"


def rebuilt(folder, change):
    """The card after `change(metrics)`."""
    file = folder / "metrics.json"
    metrics = json.loads(file.read_text())
    change(metrics)
    file.write_text(json.dumps(metrics))
    build_card(folder)
    return ModelCard.load(folder / "README.md")


def test_a_part_of_a_split_is_not_called_by_its_name(folder):
    card = rebuilt(folder, lambda metrics: None)
    assert "On a part of PublicTest of FER-2013\n(400 pictures" in card.text
    assert all("a part of PublicTest" in one.metric_name for one in card.data.eval_results)

    def whole(metrics):
        metrics["splits"]["public_test"]["single"]["support"] = 3589

    card = rebuilt(folder, whole)
    assert "a part of" not in card.text and "On PublicTest of FER-2013\n(3,589 pictures" in card.text
    assert [one.metric_name for one in card.data.eval_results] == [
        "Accuracy (PublicTest, single crop)",
        "Macro F1 (PublicTest, single crop)",
    ]


def test_private_test_leads_and_both_official_splits_are_indexed(folder):
    def scored(metrics):
        metrics["splits"]["private_test"] = {"ten_crop": dict(metrics["splits"]["public_test"]["single"], support=3589)}

    card = rebuilt(folder, scored)
    assert "On PrivateTest of FER-2013\n(3,589 pictures, ten-crop)" in card.text
    assert "PrivateTest has not been scored" not in card.text
    assert {one.dataset_split for one in card.data.eval_results} == {"public_test", "private_test"}


def test_the_mixed_test_folder_is_never_indexed_as_an_official_split(folder):
    def mixed(metrics):
        metrics["splits"] = {"test": {"single": dict(metrics["splits"]["public_test"]["single"], support=7178)}}

    card = rebuilt(folder, mixed)
    assert "PublicTest and PrivateTest, which the folder version mixes" in card.text
    assert "PrivateTest has not been scored" not in card.text
    assert not card.data.eval_results


def test_the_weakest_classes_are_those_of_the_table(folder):
    def weak_happy(metrics):
        for name, row in metrics["splits"]["public_test"]["single"]["per_class"].items():
            row["f1"]["value"] = {"happy": 0.11, "neutral": 0.22}.get(name, 0.9)

    assert "weakest classes here are happy (F1 11.0%) and neutral (22.0%)." in rebuilt(folder, weak_happy).text

    def without_happy(metrics):
        metrics["splits"]["public_test"]["single"]["per_class"]["happy"]["support"] = 0

    text = rebuilt(folder, without_happy).text
    assert "weakest classes here are neutral (F1 22.0%) and " in text, "a class that does not occur is not weak"


@pytest.mark.parametrize(("sharpness", "recalls"), [(None, {}), (1.0, {}), (1.5, {}), (1.0, {"fear": 0.5})])
def test_what_calibration_was_fitted_for_is_said_where_the_error_rose(sharpness, recalls, folder):
    def risen(metrics):
        metrics["splits"]["public_test"]["single"] |= {
            "expected_calibration_error": 0.05,
            "expected_calibration_error_before": 0.04,
        }
        if sharpness is not None:
            metrics["calibration"] |= {"sharpness": sharpness, "least_recall": recalls}

    text = rebuilt(folder, risen).text
    sharp = sharpness is not None and sharpness > 1
    assert ("Calibration lowers the loss on validation, which it is fitted for" in text) == (not sharp and not recalls)
    assert ("A raised offset gives up some likelihood for the recall of its class" in text) == bool(recalls)
    assert ("the offsets give up some likelihood for answers about as frequent as labels" in text) == sharp


def test_a_raised_offset_and_averaged_runs_are_told(folder):
    def raised(metrics):
        metrics["calibration"]["least_recall"] = {"fear": 0.5}

    assert "that of fear raised" not in rebuilt(folder, lambda metrics: None).text
    recipe = yaml.safe_load((folder / "train_config.yaml").read_text()) | {"averaged_runs": ["b", "c"]}
    for share, end in ((0.0, " (Wortsman"), (0.3, ", averaged with 0.3 of those that they began from (Wortsman")):
        (folder / "train_config.yaml").write_text(yaml.safe_dump(recipe | {"pretrained_share": share}))
        text = rebuilt(folder, raised).text
        assert f"; the weights are the mean of this run's and those of 2 others from the same beginning{end}" in text
    flat = " ".join(text.split())
    assert "; that of fear raised, where needed, until validation shows with 95% confidence a recall of at l" in flat
    assert "a recall of at least 50%) and are folded" in flat
    assert "without earlier runs, those that are averaged with it, and teachers" in text
    assert "what `pretrained`, `teachers` and `averaged_runs` name must be there first" in text


def test_the_validation_part_is_the_recipes(folder):
    recipe = yaml.safe_load((folder / "train_config.yaml").read_text()) | {"validation_fraction": 0.2}
    (folder / "train_config.yaml").write_text(yaml.safe_dump(recipe))
    text = rebuilt(folder, lambda metrics: None).text
    assert "validation (20% of Training, never trained on)" in text and "12.5%" not in text
    assert "epochs on 80% of Training;" in text


def test_validation_pictures_that_may_have_been_learnt_before_are_not_called_unseen(folder):
    text = rebuilt(folder, lambda metrics: metrics["training"].update(validation_may_be_learnt=True)).text
    assert "| validation (12.5% of Training, not trained on in this run, but perhaps in those that it began" in text
    assert "never trained on" not in text
    text = rebuilt(folder, lambda metrics: metrics["training"].update(validation_may_be_learnt=False)).text
    assert "| validation (12.5% of Training, never trained on) |" in text


@pytest.mark.parametrize(("limit", "part"), [(5000, "5,000 pictures of Training"), (30_000, "Training")])
def test_the_limit_of_a_trial_is_named(limit, part, folder):
    recipe = yaml.safe_load((folder / "train_config.yaml").read_text()) | {"limit": limit}
    (folder / "train_config.yaml").write_text(yaml.safe_dump(recipe))
    text = rebuilt(folder, lambda metrics: None).text
    assert f"validation (12.5% of {part}, never trained on)" in text and f"epochs on 87.5% of {part};" in text


def test_further_data_bring_their_terms(folder):
    def more(metrics):
        metrics["training"]["datasets"] += ["FER+ votes", "Tiny-ImageNet"]
        metrics["training"]["lineage"] = ["Tiny-ImageNet, 10 epochs"]
        metrics["training"]["energy_kwh"] = 0.1234

    text = rebuilt(folder, more).text
    assert re.search(r"this model.*\| a part of PublicTest \| Tiny-ImageNet \| none \| validation", text)
    assert "FER+ (Barsoum et al. 2016)" in text and "Tiny-ImageNet (Stanford CS231n" in text
    assert "1. Tiny-ImageNet, 10 epochs" in text and "0.123 kWh (CodeCarbon's estimate)" in text
    before = rebuilt(folder, lambda metrics: metrics["training"].update(datasets=["FER-2013 Training"])).text
    assert "Barsoum" not in before and "Stanford" not in before


@pytest.mark.parametrize(
    ("licence", "front", "text"),
    [
        (", under apache-2.0", ["license: apache-2.0"], "The code and these weights are under Apache-2.0."),
        ("", ["license: apache-2.0"], "The code and these weights are under Apache-2.0."),
        (", under cc-by-nc-4.0", ["license: cc-by-nc-4.0"], "which timm passes on under cc-by-nc-4.0"),
        (
            ", under apple-ascl",
            ["license: other", "license_name: apple-ascl", "license_link: https://huggingface.co/timm/net.tag"],
            "These weights began from timm/net.tag, which timm passes on under apple-ascl",
        ),
    ],
)
def test_weights_stay_under_the_licence_of_those_they_began_from(licence, front, text, folder):
    card = rebuilt(folder, lambda m: m["training"].update(lineage=[f"timm/net.tag from the Hub{licence}", "a run"]))
    for line in (*front, "base_model: timm/net.tag"):
        assert f"\n{line}\n" in card.content.split("\n---\n")[0] + "\n", line
    assert text in card.text


@pytest.mark.parametrize(
    ("datasets", "lineage", "said"),
    [
        (["FER-2013 Training", "ImageNet"], [], "| ImageNet | none |"),
        (["FER-2013 Training", "ImageNet"], ["taught by teacher: one"], "| ImageNet (its own or a teacher's) | none |"),
        (["FER-2013 Training", "FER+ votes"], ["taught by teacher: one"], "| none | none |"),
    ],
)
def test_a_teachers_data_is_not_called_the_models_own_pretraining(datasets, lineage, said, folder):
    card = rebuilt(folder, lambda metrics: metrics["training"].update(datasets=datasets, lineage=lineage))
    row = next(line for line in card.text.splitlines() if line.startswith("| **this model**"))
    assert said in row
