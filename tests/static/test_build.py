"""What the build makes, takes from the app, and refuses."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from huggingface_hub import RepoCard

from space.classifier import OnnxClassifier
from space.model_source import ModelSource
from space.static.build import OLDEST_NODE, BuildError, build, detector_bytes, npm_command
from space.static.generate import FOLDER, generate, page_texts
from space.static.small_model import with_int8_weights
from space.text import languages


def test_the_types_agree(static_space):
    """static_space: node_modules are there."""
    command, environment = npm_command()
    done = subprocess.run([*command, "run", "check"], cwd=FOLDER, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_space_is_static_and_names_its_headers(static_space):
    data = RepoCard.load(static_space / "README.md").data.to_dict()
    assert data["sdk"] == "static" and data["app_file"] == "index.html" and data["title"] == "Faces"
    assert data["custom_headers"]["cross-origin-embedder-policy"] == "require-corp"
    assert len(data["short_description"]) <= 60 and "models" not in data
    there = {
        path.relative_to(static_space).as_posix() for path in static_space.rglob("*") if ".cache" not in path.parts
    }
    assert {"index.html", "sw.js", "scheme.js", "icon.svg"} < there
    assert not [name for name in there if name.endswith((".ts", ".map", ".py"))]


def test_a_new_enough_node_is_found_where_the_machine_has_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    command, environment = npm_command()
    done = subprocess.run([*command, "--version"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip()[0].isdigit(), done.stderr
    node = subprocess.run(["node", "--version"], env=environment, capture_output=True, text=True, check=True).stdout
    assert tuple(map(int, node.strip().lstrip("v").split(".")[:2])) >= OLDEST_NODE


def test_the_smaller_model_says_nearly_the_same(model_folder, portrait):
    """Random crops, and greys that the network knows: half the bytes, 0.02 in probability, as on PublicTest."""
    classifier = OnnxClassifier(model_folder)
    original = (model_folder / "onnx" / "model.onnx").read_bytes()
    smaller = with_int8_weights(original)
    assert len(smaller) < 0.6 * len(original)
    names = [[output.name for output in onnx.load_from_string(data).graph.output] for data in (original, smaller)]
    assert names[0] == names[1]
    generator = np.random.default_rng(0)
    crops = [generator.integers(0, 256, (side, side), np.uint8) for side in (3, 4, 6, 8, 12, 48)]
    before = classifier.predict(crops)
    classifier.session = onnxruntime.InferenceSession(smaller, providers=["CPUExecutionProvider"])
    after = classifier.predict(crops)
    assert np.abs(before.probabilities - after.probabilities).max() < 0.02
    assert np.ptp(before.probabilities, axis=0).max() > 0.05, "the crops are all the same to this network"


@pytest.mark.parametrize("size, labels", [(64, None), (96, ["calm", "cross", "very_glad"])])
def test_size_classes_and_normalisation_are_those_of_the_models_config(model_folder, tmp_path, size, labels):
    config = json.loads((model_folder / "config.json").read_text())
    config["pretrained_cfg"] |= {"input_size": [3, size, size], "mean": [0.4] * 3}
    config["label_names"] = labels or config["label_names"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    page = generate(ModelSource("user/model", tmp_path, "abc"), "0" * 64, "1.0")
    assert page.app["model"]["inputSize"] == (3, size, size) and page.app["model"]["mean"] == (0.4,) * 3
    assert list(page.app["model"]["labels"]) == config["label_names"]
    assert f"--fer-{len(config['label_names']) - 1}:" in page.css and "--body-background-fill:#" in page.css
    for texts in page.texts.values():
        assert f"{size} x {size} px" in texts["about"] and "user/model @ abc" in texts["about"]
        assert "style=" not in texts["about"], "the page's policy forbids style attributes"


def test_every_language_has_the_pages_own_sentences():
    own = {path.stem: json.loads(path.read_text()) for path in (FOLDER / "languages").glob("*.json")}
    assert own.keys() == languages().keys()
    assert all(texts.keys() == own["en"].keys() for texts in own.values())
    for language, texts in own.items():
        repeated = [key for key, sentence in texts.items() if languages()[language].get(key) == sentence]
        assert not repeated, "the app says the same: no need to say it twice"
    blanks = {code: {key: set(re.findall(r"{(\w+)}", texts[key])) for key in texts} for code, texts in own.items()}
    assert blanks["de"] == blanks["fr"] == blanks["en"] and blanks["en"]["notice_computed"] == {"classes"}
    assert all("server" not in texts["tagline"].lower() for texts in page_texts().values())


def test_what_cannot_be_had_stops_the_build_with_a_sentence(model_folder, tmp_path, repository, yunet_path):
    offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "FER_MODEL": ""}
    done = subprocess.run(
        [sys.executable, "-m", "space.static.build", "--model", str(model_folder), "--output", str(tmp_path / "page")],
        cwd=repository, env=offline, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "face_detection_yunet_2026may.onnx could not be fetched" in done.stderr and "--detector PATH" in done.stderr

    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with pytest.raises(BuildError, match="holds something else than an earlier page"):
        build(ModelSource("embedded", model_folder), tmp_path / "home", yunet_path)
    assert (tmp_path / "home" / "thesis.txt").is_file()
    with pytest.raises(BuildError, match="no such file"):
        detector_bytes(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(BuildError, match="is no ONNX file"):
        detector_bytes(tmp_path / "text.onnx")
    with pytest.raises(BuildError, match="is not YuNet: it has no outputs bbox_16"):
        detector_bytes(model_folder / "onnx" / "model.onnx")
    fixed = onnx.load(yunet_path)
    for dim in fixed.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_value = 640
    onnx.save(fixed, tmp_path / "fixed.onnx")
    with pytest.raises(BuildError, match="one size only"):
        detector_bytes(tmp_path / "fixed.onnx")
    shutil.copy(model_folder / "config.json", tmp_path)
    with pytest.raises(BuildError, match=r"has no onnx/model\.onnx"):
        build(ModelSource("bare", tmp_path), tmp_path / "page", yunet_path)
    assert not (tmp_path / "page").exists()
