"""What stands around every training run: where it may begin, and what is said of the pictures it validates on."""

import json
import os

import pytest

from train.config import TrainConfig
from train.launch import check_same_pictures
from train.stopping import follow_launcher


@pytest.mark.parametrize("kept", ["a model folder", "a run"])
@pytest.mark.parametrize("own", ["a" * 64, "b" * 64])
def test_weights_validated_on_other_pictures_are_told_of(kept, own, tmp_path, caplog):
    begun, output = tmp_path / "begun", tmp_path / "output"
    begun.mkdir()
    if kept == "a run":
        (begun / "validation.sha256").write_text("a" * 64 + "\n")
    else:
        views = {"single": {"data_fingerprint": "a" * 64}}
        (begun / "metrics.json").write_text(json.dumps({"splits": {"validation": views}}))
    check_same_pictures(TrainConfig(pretrained=str(begun)), own, output)
    assert ("validated on other pictures" in caplog.text) == (own != "a" * 64)
    assert (output / "validation.sha256").read_text() == own + "\n"


def test_the_first_process_of_a_container_has_no_launcher(monkeypatch):
    monkeypatch.setattr(os, "getppid", lambda: 0)
    follow_launcher()
