"""Checkpoints: whole or not there, the newest whole one is found, a full disk loses nothing."""

import subprocess
import sys

import pytest
import torch
from safetensors import safe_open

from train.checkpoint import CheckpointError, checkpoints, load_newest, save_checkpoint, save_weights
from train.model import Normalisation


def test_the_last_few_are_kept_and_the_newest_is_found(tmp_path):
    for step in (1, 20, 300):
        save_checkpoint(tmp_path, {"step": step}, step, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000020.pt", "step-000000300.pt"]
    assert load_newest(tmp_path) == {"step": 300}


def test_no_checkpoint_is_none(tmp_path):
    assert load_newest(tmp_path / "nothing") is None


@pytest.mark.parametrize("cut", [0, 10, 0.5, -1])
def test_a_checkpoint_cut_short_is_named_and_the_one_before_it_works(tmp_path, caplog, cut):
    for step in (1, 2):
        save_checkpoint(tmp_path, {"weights": torch.arange(1000), "step": step}, step, keep=3)
    newest = checkpoints(tmp_path)[-1]
    whole = newest.read_bytes()
    newest.write_bytes(whole[: int(len(whole) * cut) if isinstance(cut, float) else cut])
    assert load_newest(tmp_path)["step"] == 1
    assert "step-000000002.pt is not a whole checkpoint" in caplog.text


def test_none_whole_is_an_error(tmp_path):
    save_checkpoint(tmp_path, {}, 1, keep=3)
    checkpoints(tmp_path)[0].write_bytes(b"no")
    with pytest.raises(CheckpointError, match="none of 1 checkpoints is whole"):
        load_newest(tmp_path)


def test_what_a_killed_process_left_is_no_checkpoint_and_is_cleaned(tmp_path):
    (tmp_path / ".step-000000009.pt.123.tmp").write_bytes(b"half")
    assert load_newest(tmp_path) is None
    save_checkpoint(tmp_path, {}, 1, keep=3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.pt"]


def test_weights_are_written_whole_and_say_what_they_were_normalised_with(tmp_path):
    (tmp_path / ".best.safetensors.123.tmp").write_bytes(b"half, of a process that was killed")
    network = torch.nn.Conv2d(3, 2, 3).to(memory_format=torch.channels_last)
    save_weights(network, Normalisation(0.4, 0.2), tmp_path / "best.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["best.safetensors"]
    with safe_open(tmp_path / "best.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "mean": "0.4", "std": "0.2"}
        assert torch.equal(file.get_tensor("weight"), network.weight)


def test_a_full_disk_is_a_clear_error_and_the_older_checkpoint_still_works(tmp_path, repository):
    save_checkpoint(tmp_path, {"step": 1}, 1, keep=1)
    script = (  # a real limit of the system on the size of a file, in a process of its own
        "import resource, signal, torch; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from train.checkpoint import save_checkpoint\n"
        f"save_checkpoint({str(tmp_path)!r}, {{'weights': torch.zeros(1_000_000)}}, 2, keep=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=repository, capture_output=True, text=True)
    assert done.returncode != 0
    assert "step-000000002.pt could not be written" in done.stderr and "what was there is untouched" in done.stderr
    assert load_newest(tmp_path) == {"step": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_broken_newest_checkpoint_does_not_cost_the_next_one(tmp_path):
    """It is passed over, and the run that goes on from the one before must not delete what it saves."""
    save_checkpoint(tmp_path, {"step": 200}, 200, keep=2)
    (tmp_path / "step-000000300.pt").write_bytes(b"cut")
    save_checkpoint(tmp_path, {"step": 250}, 250, keep=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000250.pt"]
    assert load_newest(tmp_path) == {"step": 250}
