"""Pushing with the real client to a stand-in Hub, and pulling with every loader from an empty cache."""

import json
import shutil
import subprocess
import sys

import pytest

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


def test_one_commit_holds_the_version_and_every_loader_pulls_it_by_branch_and_tag(
    push, folder, hub, repository, tmp_path
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
    assert push(folder, "user/whole").returncode == 0
    assert len(hub.commits("user/whole")) == 3

    answers = []
    for revision in ((), ("v1",)):
        pulled = subprocess.run(
            [sys.executable, "-m", "tests.hub.pull", "user/whole", *revision],
            cwd=repository, env=hub.environment(tmp_path / f"pull{len(revision)}"), capture_output=True, text=True,
        )  # fmt: skip
        assert pulled.returncode == 0, pulled.stderr[-3000:]
        answers.append(json.loads(pulled.stdout.splitlines()[-1]))
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    for loaders in answers:
        for kind in ("grey", "colour"):
            for loader in ("timm", "pipeline", "transformers", "onnxruntime"):
                assert sorted(loaders[loader][kind]) == sorted(names)
                assert loaders[loader][kind] == pytest.approx(loaders["timm"][kind], abs=1e-3), loader
    assert answers[0] == answers[1]
    assert max(answers[0]["timm"]["grey"].values()) - min(answers[0]["timm"]["grey"].values()) > 0.05


def test_a_dry_run_lists_and_pushes_nothing(push, folder, hub):
    done = push(folder, "user/dry", "--dry_run", token="")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in FILES)
    assert "notes.txt" not in done.stdout and "step-" not in done.stdout
    assert hub.commits("user/dry") == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "README.md").write_text("trained in /home/me/runs"), "names a path of this machine (/home/me)"),
        (lambda f: shutil.copy(f / "train_config.yaml", f / "model.safetensors"), "made for other weights"),
        (lambda f: (f / "onnx/model.onnx").write_bytes(b""), "can't be loaded by onnxruntime"),
    ],
)
def test_a_folder_that_is_not_whole_is_not_pushed(push, folder, hub, spoil, said):
    spoil(folder)
    done = push(folder, "user/spoilt")
    assert done.returncode != 0 and said in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert hub.commits("user/spoilt") == []


def test_what_can_be_retried_is_retried(push, folder, hub):
    hub.faults(
        {"match": "POST .*commit", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
        {"match": "PUT /_lfs", "times": 1, "status": 500},
        {"match": "POST .*preupload", "times": 1, "status": 503},
    )
    done = push(folder, "user/retry")
    assert done.returncode == 0, done.stderr
    assert len(hub.commits("user/retry")) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            {"match": "POST .*commit", "times": 99, "status": 429, "headers": {"Retry-After": "3600"}},
            "wait 3600 seconds",
        ),
        ({"match": "POST .*commit", "times": 9, "status": 403, "message": "Forbidden"}, "token with write permission"),
        ({"match": "batch", "times": 9, "status": 403, "message": "Private storage quota exceeded"}, "free some space"),
        ({"match": "POST .*commit", "times": 9, "status": 401, "message": "expired"}, "hf auth login"),
    ],
)
def test_a_push_that_breaks_off_leaves_the_repository_as_it_was(push, folder, hub, fault, said):
    assert push(folder, "user/broken").returncode == 0
    before = hub.commits("user/broken")
    (folder / "model.safetensors").touch()
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["training"]["date"] = "2026-02-02"
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "figures" / "reliability.png").write_bytes(b"\x89PNG another")
    hub.faults(fault)
    done = push(folder, "user/broken")
    assert (
        done.returncode != 0 and said in done.stderr and "the files of user/broken are as they were" in done.stderr
    ), done.stderr
    assert "Traceback" not in done.stderr
    assert hub.commits("user/broken") == before


def test_without_a_token_it_says_how_to_log_in(push, folder):
    done = push(folder, "user/none", token="")
    assert done.returncode != 0 and "hf auth login" in done.stderr
