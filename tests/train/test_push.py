"""Pushing with the real client to a stand-in Hub, and pulling with every loader from an empty cache."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi, constants
from PIL import Image

from model_card.build import build_card
from train.push import PushError, main, push_folder
from train.score import weights_sha256

FILES = {
    "README.md",
    "config.json",
    "figures/confusion_matrix.png",
    "figures/reliability.png",
    "figures/training_curves.png",
    "metrics.json",
    "model.safetensors",
    "onnx/model.onnx",
    "train_config.yaml",
}


def rescored(folder):
    """Other figures without another card."""
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["splits"]["public_test"]["single"]["accuracy"]["value"] = 0.9
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture
def push(hub, repository, tmp_path):
    """Runs the command against the stand-in; returns the finished process."""

    def run(folder, repo_id, *extra, token="hf_standin"):
        return subprocess.run(
            [sys.executable, "-m", "train.push", str(folder), "--repo_id", repo_id, *extra],
            cwd=repository,
            env=hub.environment(tmp_path / "home", token),
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def folder(complete_model_folder, tmp_path):
    """A copy that a test may change, with what must not be pushed beside it."""
    copy = tmp_path / "model"
    shutil.copytree(complete_model_folder, copy)
    (copy / "checkpoints").mkdir()
    (copy / "checkpoints" / "step-000000001.pt").write_bytes(b"state")
    (copy / "notes.txt").write_text("mine")
    return copy


@pytest.fixture
def api(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in knows LFS alone
    return HfApi(endpoint=hub.url, token="hf_standin")


def test_one_commit_holds_the_version_and_every_loader_pulls_it_by_branch_and_tag(
    push, folder, hub, api, repository, tmp_path
):
    done = push(folder, "user/whole", "--tag", "v1")
    assert done.returncode == 0, done.stderr
    commits = hub.commits("user/whole")
    assert len(commits) == 2  # the Hub's first one with .gitattributes, and ours
    assert set(commits[1]["files"]) - {".gitattributes"} == FILES

    again = push(folder, "user/whole")
    assert again.returncode == 0 and "no new commit" in again.stdout
    assert len(hub.commits("user/whole")) == 2

    (folder / "metrics.json").write_text((folder / "metrics.json").read_text() + "\n")
    assert push_folder(folder, "user/whole", api=api).new
    assert len(hub.commits("user/whole")) == 3

    pulled = subprocess.run(
        [sys.executable, "-m", "tests.hub.pull", "user/whole", "v1"],
        cwd=repository, env=hub.environment(tmp_path / "pull"), capture_output=True, text=True,
    )  # fmt: skip
    assert pulled.returncode == 0, pulled.stderr[-3000:]
    answers = [json.loads(line) for line in pulled.stdout.splitlines() if line.startswith("{")]
    assert len(answers) == 2
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    for loaders in answers:
        for kind in ("grey", "colour"):
            for loader in ("timm", "pipeline", "transformers", "onnxruntime"):
                assert sorted(loaders[loader][kind]) == sorted(names)
                assert loaders[loader][kind] == pytest.approx(loaders["timm"][kind], abs=1e-3), loader
    assert answers[0] == answers[1]
    assert max(answers[0]["timm"]["grey"].values()) - min(answers[0]["timm"]["grey"].values()) > 0.05


EXAMPLES = """
import json, re
import numpy as np
from huggingface_hub import hf_hub_download
from PIL import Image
from transformers import AutoModelForImageClassification

card = open(hf_hub_download("user/card", "README.md")).read()
ran = []
for block in re.findall(r"```python\\n(.*?)```", card, re.DOTALL):
    ran.append({})
    exec(block, ran[-1])
timm_, transformers_, onnx_, tuned = ran
names = timm_["model"].pretrained_cfg["label_names"]
said = {row["label"]: row["score"] for row in transformers_["classify"]("face.jpg")}
squashed = timm_["transform"](Image.open("face.jpg").convert("RGB").resize((256, 256)))[None]
tuned["model"].save_pretrained("tuned")
answers = {
    "timm": timm_["probabilities"].tolist(),
    "transformers": [said[name] for name in names],
    "onnxruntime": onnx_["probabilities"].tolist(),
    "squashed": timm_["model"](squashed).softmax(1)[0].tolist(),
    "tuned": AutoModelForImageClassification.from_pretrained("tuned").config.id2label,
}
print(json.dumps(answers))
"""


def test_the_examples_of_a_pushed_card_run_as_they_are_copied(hub, api, model_folder, repository, tmp_path):
    push_folder(model_folder, "user/card", api=api)
    with Image.open(repository / "space" / "examples" / "grace_hopper.jpg") as picture:
        picture.resize((300, 600)).save(tmp_path / "face.jpg")  # so that cutting out the middle is not squashing
    ran = subprocess.run(
        [sys.executable, "-c", EXAMPLES],
        cwd=tmp_path, env=hub.environment(tmp_path / "home"), capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    answers = json.loads(ran.stdout.splitlines()[-1])
    assert answers["transformers"] == pytest.approx(answers["timm"], abs=1e-3)
    # half a pixel lies between the two ways of cutting out the middle
    assert answers["onnxruntime"] == pytest.approx(answers["timm"], abs=0.05)
    assert answers["squashed"] != pytest.approx(answers["timm"], abs=0.05), "so that the line above can fail"
    labels = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    assert list(answers["tuned"].values()) == labels


def test_a_pushed_cards_scoring_command_scores_what_it_fetches(hub, api, model_folder, tmp_path):
    push_folder(model_folder, "user/scored", api=api)
    card = Path(api.hf_hub_download("user/scored", "README.md", local_dir=tmp_path / "card")).read_text()
    fetch, score = re.search(r"^(hf download .*)\n(.*train/score\.py .*)$", card, re.MULTILINE).groups()
    hf = [str(Path(sys.executable).with_name("hf")), *shlex.split(fetch)[1:]]
    subprocess.run(hf, cwd=tmp_path, env=hub.environment(tmp_path / "home"), check=True, capture_output=True)
    model = shlex.split(score)[shlex.split(score).index("--model") + 1]
    assert weights_sha256(tmp_path / model) == weights_sha256(model_folder)


def test_a_dry_run_lists_and_pushes_nothing(folder, hub, capsys):
    main([str(folder), "--repo_id", "user/dry", "--dry_run"])
    said = capsys.readouterr().out
    assert all(name in said for name in FILES)
    assert "notes.txt" not in said and "step-" not in said
    assert hub.commits("user/dry") == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "README.md").write_text("trained in /home/me"), r"names a path of this machine \(/home/me\)"),
        (lambda f: shutil.copy(f / "train_config.yaml", f / "model.safetensors"), "made for other weights"),
        (lambda f: (f / "onnx/model.onnx").write_bytes(b""), "can't be loaded by onnxruntime"),
        (lambda f: rescored(f), r"README.md is not the card of its metrics.json.*python -m model_card.build"),
        (lambda f: (f / "metrics.json").write_text("{}"), "metrics.json holds no model"),
    ],
)
def test_a_folder_that_is_not_whole_is_not_pushed(folder, hub, api, spoil, said):
    spoil(folder)
    with pytest.raises(PushError, match=said):
        push_folder(folder, "user/spoilt", api=api)
    assert hub.commits("user/spoilt") == []


def test_a_push_is_retried_and_one_that_breaks_off_leaves_the_repository_as_it_was(push, folder, hub, api):
    """Through the command; every other way in which the Hub can refuse is in tests/hub/test_commit.py."""
    (folder / "figures" / "reliability.png").write_bytes(b"\x89PNG of this test alone: the Hub has no copy of it")
    hub.faults(
        {"match": "POST .*commit", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
        {"match": "PUT /_lfs", "times": 1, "cut": 0},
        {"match": "POST .*preupload", "times": 1, "status": 503},
    )
    assert push_folder(folder, "user/broken", api=api).new
    before = hub.commits("user/broken")
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["training"]["date"] = "2026-02-02"
    (folder / "metrics.json").write_text(json.dumps(metrics))
    build_card(folder)
    (folder / "figures" / "reliability.png").write_bytes(b"\x89PNG another")
    hub.faults({"match": "batch", "times": 9, "status": 403, "message": "Private storage quota exceeded"})
    done = push(folder, "user/broken")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "free some space" in done.stderr and "the files of user/broken are as they were" in done.stderr
    assert hub.commits("user/broken") == before


def test_without_a_token_it_says_how_to_log_in_before_anything_is_loaded(push, folder):
    (folder / "onnx" / "model.onnx").write_bytes(b"")  # which no loader takes
    done = push(folder, "user/none", token="")
    assert done.returncode != 0 and "hf auth login" in done.stderr and "Traceback" not in done.stderr
