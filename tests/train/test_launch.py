"""What stands around every training run: where it may begin, and what is said of the pictures it validates on."""

import dataclasses
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import accelerate
import pytest

from train.checkpoint import CheckpointError
from train.config import ConfigError, TrainConfig, to_yaml
from train.earlier import check_same_pictures, check_same_split
from train.launch import keep_or_refuse, refuse_contradictions
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
    learnt = check_same_pictures(TrainConfig(pretrained=str(begun)), lambda fraction: own, output)
    assert learnt == ("validated on other pictures" in caplog.text) == (own != "a" * 64)
    assert (output / "validation.sha256").read_text() == own + "\n"
    # who goes on from that run is told as well, though its own split is the same
    assert check_same_pictures(TrainConfig(teachers=(str(output),)), lambda fraction: own, tmp_path / "next") == learnt
    check_same_pictures(TrainConfig(pretrained=str(begun)), lambda fraction: "a" * 64, output)
    assert not (output / "validation_learnt.txt").exists()


@pytest.mark.parametrize(
    ("limit", "training", "learnt"),
    [
        (None, {}, False),
        (500, {}, True),
        (500, {"datasets": ["Tiny-ImageNet"]}, False),
        (None, {"datasets": ["FER-2013 Training"], "validation_may_be_learnt": False}, False),
        (None, {"datasets": ["FER-2013 Training"], "validation_may_be_learnt": True}, True),
    ],
)
def test_pictures_may_be_learnt_with_another_limit_and_by_the_runs_before(limit, training, learnt, tmp_path, caplog):
    begun, output = tmp_path / "begun", tmp_path / "output"
    begun.mkdir()
    (begun / "train_config.yaml").write_text(to_yaml(TrainConfig(limit=limit)))
    (begun / "metrics.json").write_text(json.dumps({"training": training}))
    assert check_same_pictures(TrainConfig(teachers=(str(begun),)), lambda fraction: "a" * 64, output) == learnt
    assert ("may hold pictures learnt there" in caplog.text) == learnt


@pytest.mark.parametrize("pictures", ["these", "others"])
def test_a_smaller_validation_split_is_compared_by_what_the_weights_were_validated_on(pictures, tmp_path, caplog):
    begun, output = tmp_path / "begun", tmp_path / "output"
    begun.mkdir()
    (begun / "train_config.yaml").write_text("validation_fraction: 0.125\n")
    (begun / "validation.sha256").write_text(("a" if pictures == "these" else "c") * 64 + "\n")
    fingerprints = {0.125: "a" * 64, 0.03: "b" * 64}
    config = TrainConfig(pretrained=str(begun), validation_fraction=0.03)
    check_same_pictures(config, fingerprints.__getitem__, output)
    assert ("validated on other pictures" in caplog.text) == (pictures == "others")
    assert (output / "validation.sha256").read_text() == "b" * 64 + "\n"


@pytest.mark.parametrize(("fraction", "seed", "leaks"), [(0.03, 0, False), (0.2, 0, True), (0.03, 1, True)])
def test_only_a_part_of_the_split_that_weights_were_validated_on_may_validate_them_again(
    fraction, seed, leaks, tmp_path
):
    (tmp_path / "train_config.yaml").write_text("validation_fraction: 0.125\nsplit_seed: 0\n")
    config = TrainConfig(validation_fraction=fraction, split_seed=seed)
    if not leaks:
        check_same_split(config, tmp_path, "pretrained")
        return
    with pytest.raises(ConfigError, match="trained with validation_fraction 0.125 and split_seed 0, so with pictures"):
        check_same_split(config, tmp_path, "pretrained")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"ACCELERATE_MIXED_PRECISION": "bf16"},
            "told bf16, the recipe says no.*--mixed_precision bf16 after",
        ),
        ({"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1"}, "several processes and started one: add"),
    ],
)
def test_what_the_launcher_would_drop_is_refused(asked, said, monkeypatch):
    for name in ("MASTER_ADDR", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said):
        refuse_contradictions(TrainConfig(pretrained="none"), accelerate.PartialState(cpu=True))
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    refuse_contradictions(
        TrainConfig(pretrained="none", mixed_precision=asked["ACCELERATE_MIXED_PRECISION"]),
        accelerate.PartialState(cpu=True),
    )


def test_only_finished_runs_from_weights_are_averaged(tmp_path):
    process, other = accelerate.PartialState(cpu=True), tmp_path / "other"
    config = TrainConfig(pretrained="hub", averaged_runs=(str(other),))
    with pytest.raises(ConfigError, match="averaged_runs: runs from no weights have no common beginning"):
        refuse_contradictions(dataclasses.replace(config, pretrained="none"), process)
    with pytest.raises(ConfigError, match="averaged_runs: .*other is no finished run from weights: train_config.yaml,"):
        refuse_contradictions(config, process)
    (other / "export").mkdir(parents=True)
    for name in ("begun.safetensors", "begun.json", "best.safetensors", "export/metrics.json"):
        (other / name).write_text("{}")
    (other / "train_config.yaml").write_text("validation_fraction: 0.125\nsplit_seed: 3\n")
    with pytest.raises(ConfigError, match="averaged_runs: .*split_seed 3, so with pictures of this run's validation"):
        refuse_contradictions(config, process)
    (other / "train_config.yaml").write_text("validation_fraction: 0.125\nsplit_seed: 0\n")
    refuse_contradictions(config, process, output=tmp_path / "own")
    with pytest.raises(ConfigError, match="averaged_runs: .*other is this run itself, or is named twice"):
        refuse_contradictions(config, process, output=tmp_path / "own" / ".." / "other")
    with pytest.raises(ConfigError, match="averaged_runs: .*other is this run itself, or is named twice"):
        refuse_contradictions(dataclasses.replace(config, averaged_runs=(str(other), f"{other}/.")), process)


def test_averaged_runs_that_were_validated_on_other_pictures_are_warned_of_each_time(tmp_path, caplog):
    other, output = tmp_path / "other", tmp_path / "own"
    other.mkdir()
    (other / "train_config.yaml").write_text("validation_fraction: 0.125\n")
    (other / "validation.sha256").write_text("c" * 64 + "\n")
    alone = TrainConfig(pretrained="hub")
    config = dataclasses.replace(alone, averaged_runs=(str(other),))
    for resumed in (False, True):
        caplog.clear()
        assert check_same_pictures(config, lambda fraction: "a" * 64, output, resumed)
        assert (
            "other was validated on other pictures" in caplog.text and not (output / "validation_learnt.txt").exists()
        )
    assert not check_same_pictures(alone, lambda fraction: "a" * 64, output, resumed=True)


def test_a_class_that_must_be_recognised_is_one_of_the_seven():
    with pytest.raises(ConfigError, match="least_recall: scared is none of angry, disgust, fear"):
        refuse_contradictions(TrainConfig(least_recall=(("scared", 0.5),)), accelerate.PartialState(cpu=True))


def test_a_runs_folder_is_not_taken_for_its_weights_and_they_are_named(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.safetensors").touch()
    with pytest.raises(ConfigError, match=r"run holds no model.safetensors; a run's weights are the file best.safet"):
        refuse_contradictions(TrainConfig(pretrained=str(run)), accelerate.PartialState(cpu=True))
    refuse_contradictions(TrainConfig(pretrained=str(run / "best.safetensors")), accelerate.PartialState(cpu=True))


def test_weights_that_are_divided_among_processes_are_refused():
    process = accelerate.PartialState(cpu=True)
    divided = SimpleNamespace(num_processes=1, device=process.device, distributed_type=accelerate.DistributedType.FSDP)
    with pytest.raises(ConfigError, match="set to FSDP.*--multi_gpu"):
        refuse_contradictions(TrainConfig(pretrained="none"), divided)


ONE_OF_TWO = """if True:
    import time
    from types import SimpleNamespace
    from train import launch
    args = SimpleNamespace(output=None, resume=True, cpu_threads=1)
    wait = lambda: time.sleep(1000)  # as the end of a group does whose other processes are in the middle of a step
    finish = lambda: print("tracker finished", flush=True)
    process = SimpleNamespace(num_processes=2, trackers=[SimpleNamespace(finish=finish)], end_training=wait)
    launch.end_alone(process, "train/train.py: the disk is full")
"""


def test_one_of_several_processes_that_fails_says_why_and_waits_for_nobody(repository, child_environment):
    done = subprocess.run(
        [sys.executable, "-c", ONE_OF_TWO], env=child_environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (1, "tracker finished\n")
    assert done.stderr.endswith("train/train.py: the disk is full\n")


def test_a_run_may_go_on_in_another_precision_and_with_nothing_else_changed(tmp_path, caplog):
    folder = tmp_path / "run"
    args = SimpleNamespace(output=folder, resume=False)
    keep_or_refuse(args, TrainConfig(), "train/train.py")
    args.resume = True
    keep_or_refuse(args, TrainConfig(mixed_precision="bf16", channels_last=False), "train/train.py")
    assert "another mixed_precision, channels_last the weights will not be those of one run" in caplog.text
    with pytest.raises(SystemExit, match="seed differ from .*train_config.yaml; give the run's own values"):
        keep_or_refuse(args, TrainConfig(seed=1, mixed_precision="bf16"), "train/train.py")


LAUNCHER = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[2:]])"
SLOW_IMPORT = "import time; print('importing', flush=True); time.sleep(600)"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_launcher_killed_while_its_process_imports_leaves_none(repository, child_environment, tmp_path):
    (tmp_path / "accelerate.py").write_text(SLOW_IMPORT)
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, "accelerate", "train/train.py", "--output", tmp_path / "run"],
        cwd=repository, env=child_environment | {"PYTHONPATH": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert launcher.stdout.readline() == "importing\n"
    launcher.kill()
    launcher.communicate(timeout=30)  # until the run itself, which holds the pipe, has ended


def test_the_first_process_of_a_container_has_no_launcher(monkeypatch):
    monkeypatch.setattr(os, "getppid", lambda: 0)
    follow_launcher()


def test_a_run_that_goes_on_keeps_what_was_found_of_its_pictures(tmp_path, caplog):
    begun, output = tmp_path / "begun", tmp_path / "output"
    begun.mkdir()
    (begun / "validation.sha256").write_text("a" * 64 + "\n")
    config = TrainConfig(pretrained=str(begun))
    assert check_same_pictures(config, lambda fraction: "b" * 64, output)
    with pytest.raises(CheckpointError, match="validated on other pictures than --data holds; give the data"):
        check_same_pictures(config, lambda fraction: "c" * 64, output, resumed=True)
    assert (output / "validation.sha256").read_text() == "b" * 64 + "\n"
    (begun / "validation.sha256").unlink()  # nothing is to be seen of it any more
    assert check_same_pictures(config, lambda fraction: "b" * 64, output, resumed=True)


@pytest.mark.parametrize(
    ("files", "resume", "said"),
    [
        (["config.json", "model.safetensors"], False, "is a model folder, not a run's"),
        (["config.json", "model.safetensors"], True, "is a model folder, not a run's"),
        (["best.safetensors"], False, "holds a run already"),
        (["best.safetensors", "export/config.json"], True, "a finished run without its checkpoints"),
        (["best.safetensors", "training_curves.png"], True, "a finished run without its checkpoints"),
    ],
)
def test_weights_are_not_replaced_by_another_run(files, resume, said, tmp_path):
    for name in [*files, "train_config.yaml"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    with pytest.raises(SystemExit, match=said):
        keep_or_refuse(SimpleNamespace(output=tmp_path, resume=resume), TrainConfig(), "train/train.py")
    assert (tmp_path / "train_config.yaml").read_text() == ""
