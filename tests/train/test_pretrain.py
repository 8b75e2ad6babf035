"""Pretraining on the real Tiny-ImageNet as a process, and the fine-tuning that goes on from its weights."""

import argparse
import io
import json
import shutil
import subprocess
import sys

import accelerate
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from train.config import TrainConfig
from train.launch import keep_or_refuse
from train.loop import Loop
from train.pictures import SourceError
from train.pretrain import load_tiny_imagenet, pretrain
from train.stopping import TrainingStopped

TINY = ("--architecture", "test_efficientnet", "--input_size", "32", "--batch_size", "16", "--cpu_threads", "1")


@pytest.fixture
def launch(repository, child_environment):
    def start(*command):
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=repository, env=child_environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return done.returncode, done.stderr

    return start


def test_fine_tuning_goes_on_from_the_pretrained_backbone_and_says_so(launch, shared_data, tmp_path):
    pretrained, tuned = tmp_path / "pretrain", tmp_path / "tuned"
    own = ("--limit", "400", "--epochs", "[0, 2]", "--output", pretrained)
    code, said = launch(
        *("-m", "train.pretrain", "--config", "train/configs/pretrain.yaml", "--data", shared_data / "tiny_imagenet"),
        *TINY, *own,
    )  # fmt: skip
    assert code == 0, said[-3000:]
    best = pretrained / "best.safetensors"
    code, said = launch(
        *("train/train.py", "--data", shared_data / "fer2013", "--pretrained", best, "--limit", "120"),
        *TINY, "--epochs", "[1, 1]", "--class_weights", "null", "--score", "validation", "--output", tuned,
    )  # fmt: skip
    assert code == 0, said[-3000:]
    assert "pictures learnt there" not in said  # another limit is no leak where the pictures are no faces
    training = json.loads((tuned / "export" / "metrics.json").read_text())["training"]
    assert training["datasets"] == ["FER-2013 Training", "Tiny-ImageNet"]
    assert "Tiny-ImageNet" in training["lineage"][0] and "2 epochs, 800 pictures" in training["lineage"][1]
    command = json.loads((pretrained / "metrics.json").read_text())["training"]["command"]
    assert command.startswith("accelerate launch -m train.pretrain --config train/configs/pretrain.yaml")
    # the frozen warm-up leaves the pretrained backbone as it is, so its first checkpoint still holds it
    first = torch.load(sorted((tuned / "checkpoints").glob("*.pt"))[0], weights_only=True)["model"]
    state = torch.load(sorted((pretrained / "checkpoints").glob("*.pt"))[-1], weights_only=True)
    kept = state["ema"]
    assert first["conv_stem.weight"].allclose(kept["conv_stem.weight"].mean(1, keepdim=True), atol=1e-6)
    assert "Tiny-ImageNet (Stanford CS231n" in (tuned / "export" / "README.md").read_text()
    shutil.rmtree(pretrained / "checkpoints")
    with pytest.raises(SystemExit, match="holds a finished run without its checkpoints"):
        keep_or_refuse(argparse.Namespace(output=pretrained, resume=True), TrainConfig(), "train.pretrain")


def test_what_has_no_meaning_for_it_is_refused(launch, shared_data, tmp_path):
    code, said = launch(
        *("-m", "train.pretrain", "--data", shared_data / "tiny_imagenet", "--output", tmp_path, *TINY),
        *("--ferplus_weight", "0.2"),
    )
    assert code and said.startswith("train.pretrain: ferplus_weight, class_weights: not for"), said[-2000:]


def write(folder, name, rows):
    table = pa.table({"image": [{"bytes": data, "path": None} for data, _ in rows], "label": [one for _, one in rows]})
    pq.write_table(table, folder / f"{name}.parquet")


def picture(size=64):
    file = io.BytesIO()
    Image.fromarray(np.full((size, size), 99, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((b"no picture", 3), r"train row 2: a broken picture"),
        ((picture(48), 3), r"train row 2: 48x48 pixels, not 64x64"),
        ((picture(), 200), r"train row 2: label 200 is outside 0-199"),
        (None, r"nothing to read for validation; expected train\*\.parquet and val\*\.parquet"),
    ],
)
def test_data_that_can_not_be_read_are_named_by_row(bad, said, tmp_path):
    write(tmp_path, "train_0", [(picture(), 0), *([bad] if bad else [])])
    if bad:
        write(tmp_path, "val", [(picture(), 0)])
    with pytest.raises(SourceError, match=said):
        load_tiny_imagenet(tmp_path)


def test_a_limit_keeps_all_classes(shared_data):
    images, labels = load_tiny_imagenet(shared_data / "tiny_imagenet", limit=400)["train"]
    assert images.shape == (400, 64, 64) and images.dtype == np.uint8
    assert len(np.unique(labels)) == 200


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "train_0.parquet").write_bytes(b"no parquet")
    write(tmp_path, "val", [(picture(), 0)])
    with pytest.raises(SourceError, match="can't be read as parquet"):
        load_tiny_imagenet(tmp_path)


def test_pretraining_that_was_stopped_still_says_what_it_learnt_from(shared_data, tmp_path, monkeypatch):
    def stop(loop, resume):
        loop.progress.pictures = 128
        raise TrainingStopped

    monkeypatch.setattr(Loop, "fit", stop)
    config = TrainConfig(architecture="test_efficientnet", limit=200, class_weights=None)
    args = argparse.Namespace(data=shared_data / "tiny_imagenet", output=tmp_path, resume=False)
    with pytest.raises(TrainingStopped):
        pretrain(args, config, accelerate.Accelerator(cpu=True))
    training = json.loads((tmp_path / "metrics.json").read_text())["training"]
    assert training["datasets"] == ["Tiny-ImageNet"] and "not to its end" in training["lineage"][0]
    assert training["pictures_seen"] == 128
