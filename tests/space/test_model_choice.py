"""Which model answers: FER_MODEL before a published Space's before the embedded one, each with its own classes."""

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest

from space import model_source
from space.analysis import Analyzer
from space.classifier import ModelError
from space.model_source import EMBEDDED, find_model
from space.result_html import result_html
from space.settings import published_model, settings_text

OTHERS = ["wut", "ekel", "angst", "freude", "trauer", "staunen", "ruhe"]


@pytest.fixture
def renamed(model_folder, tmp_path):
    """The embedded model with other names for its classes."""
    folder = tmp_path / "renamed"
    (folder / "onnx").mkdir(parents=True)
    shutil.copy(model_folder / "onnx" / "model.onnx", folder / "onnx")
    config = json.loads((model_folder / "config.json").read_text()) | {"label_names": OTHERS}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_an_argument_comes_before_the_environment_before_a_published_model(renamed, tmp_path, monkeypatch):
    monkeypatch.delenv("FER_MODEL", raising=False)
    assert find_model().folder == EMBEDDED
    asked = []
    monkeypatch.setattr(model_source, "fetch", lambda wanted: asked.append(wanted))
    (tmp_path / "settings.yaml").write_text(settings_text("someone/model", "a" * 40))
    published = published_model(tmp_path / "settings.yaml")
    assert published == f"someone/model@{'a' * 40}"
    monkeypatch.setattr(model_source, "published_model", lambda: published)
    find_model()
    assert asked == [published]
    monkeypatch.setenv("FER_MODEL", str(renamed))
    assert find_model().folder == renamed
    assert find_model(str(EMBEDDED)).folder == EMBEDDED
    assert asked == [published]


def test_what_names_no_model_gets_a_sentence():
    with pytest.raises(ModelError, match="neither a folder nor a Hub id"):
        find_model("not/a/hub/id")


def test_another_models_classes_are_in_the_answer_and_on_the_page(renamed, model_folder, portrait):
    picture, analysis = Analyzer.load(str(renamed), "haar").analyse_file(portrait)
    (face,) = analysis.as_json()["faces"]
    (reference,) = Analyzer.load(str(model_folder), "haar").analyse_file(portrait)[1].as_json()["faces"]
    assert list(face["probabilities"]) == OTHERS
    assert list(face["probabilities"].values()) == list(reference["probabilities"].values())
    page = result_html(analysis, picture.image, "en")
    assert all(label.capitalize() in page for label in OTHERS)
    assert "Neutral" not in page


def test_the_command_line_serves_the_folder_of_fer_model(renamed, portrait, repository, child_environment):
    shutil.copytree(renamed, renamed.with_name("bare"))
    shutil.rmtree(renamed.with_name("bare") / "onnx")
    shutil.copy(EMBEDDED / "model.safetensors", renamed.with_name("bare"))  # by timm this time
    tables = []
    for folder in (renamed, renamed.with_name("bare")):
        answer = subprocess.check_output(
            [sys.executable, "-m", "space.predict", str(portrait), "--csv"],
            cwd=repository,
            env=child_environment | {"FER_MODEL": str(folder), "FER_DETECTOR": "haar"},
            text=True,
        )
        (row,) = csv.DictReader(io.StringIO(answer))
        tables.append({label: float(row[label]) for label in OTHERS})
    assert tables[0] == pytest.approx(tables[1], abs=1e-3)
