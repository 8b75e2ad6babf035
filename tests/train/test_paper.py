"""paper.yaml as it stands, shortened: ImageNet-shaped weights come from a Hub, a new head, two stages, export."""

import base64
import json
import subprocess
import sys

import pytest
import safetensors.torch
import timm
import torch

# in float32: bf16, which most CPUs compute in software, took four of five minutes (test_train_process.py has it)
SHORT = ("--limit", "420", "--epochs", "[1, 1]", "--score", "validation", "--mixed_precision", "no")
SHORT += ("--cpu_threads", "1", "--input_size", "64")


@pytest.fixture(scope="module")
def imagenet_shaped():
    """State dict of efficientnet_b2 with 1,000 classes and random weights and statistics."""
    torch.manual_seed(0)
    weights = timm.create_model("efficientnet_b2", num_classes=1000).state_dict()
    for name, tensor in weights.items():
        if name.endswith("running_mean"):
            tensor.normal_(std=0.1)
    return weights


@pytest.fixture
def run(hub, repository, child_environment, shared_data, tmp_path):
    def train(*extra):
        environment = child_environment | hub.environment(tmp_path / "home")
        environment["PATH"] = child_environment["PATH"]
        command = [sys.executable, "train/train.py"]
        command += ["--config", "train/configs/paper.yaml", "--data", str(shared_data / "fer2013"), *SHORT, *extra]
        command += ["--output", str(tmp_path / "run")]
        return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=300)

    return train


def serve(hub, weights):
    body = safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()})
    hub.call("/_models/timm/efficientnet_b2.ra_in1k", {"model.safetensors": base64.b64encode(body).decode()})


def test_the_papers_recipe_from_the_hub_to_the_model_folder(hub, run, imagenet_shaped, tmp_path):
    serve(hub, imagenet_shaped)
    done = run()
    assert done.returncode == 0, done.stderr[-3000:]
    files = sorted((tmp_path / "run" / "checkpoints").glob("step-*.pt"))
    states = [torch.load(file, weights_only=True) for file in files]
    assert [state["progress"]["epoch"] for state in states] == [1, 2]  # at the end of each stage
    last_of_warmup, end = (state["model"] for state in states)
    backbone = [name for name in imagenet_shaped if not name.startswith("classifier.")]
    assert last_of_warmup["classifier.weight"].shape[0] == 7
    for name in backbone:  # the counter of batches too: a frozen batch norm does not even count
        assert torch.equal(last_of_warmup[name], imagenet_shaped[name]), f"{name} changed in the warm-up"
    changed = {name for name in backbone if not torch.equal(end[name], imagenet_shaped[name])}
    assert {"conv_stem.weight", "bn1.running_mean", "blocks.6.1.conv_pwl.weight"} <= changed
    assert len(changed) > 0.99 * len(backbone)

    export = tmp_path / "run" / "export"
    metrics = json.loads((export / "metrics.json").read_text())
    assert metrics["training"]["lineage"] == ["timm/efficientnet_b2.ra_in1k from the Hub, under apache-2.0"]
    config = json.loads((export / "config.json").read_text())["pretrained_cfg"]
    assert len(set(config["mean"])) == 1 and config["mean"][0] == pytest.approx((0.485 + 0.456 + 0.406) / 3)
    card = (export / "README.md").read_text()
    assert "base_model: timm/efficientnet_b2.ra_in1k" in card and "license: apache-2.0" in card


def test_without_the_weights_one_sentence_says_so_before_anything_is_trained(hub, run):
    hub.faults({"match": ".*efficientnet_b2.*", "times": 999, "status": 404, "message": "gone"})
    done = run()
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()
    assert any("train/train.py:" in line and "timm/efficientnet_b2.ra_in1k" in line for line in last), done.stderr[
        -2000:
    ]
