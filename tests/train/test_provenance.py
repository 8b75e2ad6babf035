"""What a run passes on to its card: the data that its weights learnt from, and the looks at PublicTest."""

import json
import os
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch

from train.config import TrainConfig, to_yaml
from train.finish import without_folders
from train.machine import launcher, portable, threads_of, usable_cores
from train.model import describe
from train.progress import Progress
from train.provenance import Origin, data_beside, describe_run, looks_so_far
from train.score import store


def folder(path, **training):
    path.mkdir(parents=True)
    (path / "metrics.json").write_text(json.dumps({"training": training}))
    return str(path)


def teacher(path, **options):
    """A run without a model folder of its own."""
    path.mkdir()
    (path / "train_config.yaml").write_text(to_yaml(TrainConfig(**options)))
    return str(path)


def test_all_data_on_the_way_are_named(tmp_path):
    before = folder(tmp_path / "before", datasets=["FER-2013 Training", "Tiny-ImageNet"])
    voted = teacher(tmp_path / "voted", ferplus_weight=0.1)
    imagenet = teacher(tmp_path / "imagenet", pretrained="hub")
    (tmp_path / "voted" / "best.safetensors").touch()
    (tmp_path / "other.safetensors").touch()
    for options, names in (
        ({}, set()),
        ({"ferplus_weight": 0.2}, {"FER+ votes"}),
        ({"pretrained": "hub"}, {"ImageNet"}),
        ({"pretrained": before}, {"FER-2013 Training", "Tiny-ImageNet"}),
        ({"pretrained": str(tmp_path / "voted" / "best.safetensors")}, {"FER+ votes"}),
        ({"pretrained": str(tmp_path / "other.safetensors")}, {"whatever other.safetensors was trained on"}),
        ({"teachers": (voted, imagenet)}, {"FER+ votes", "ImageNet"}),
        ({"teachers": (before,)}, {"FER-2013 Training", "Tiny-ImageNet"}),  # a model folder
    ):
        assert set(data_beside(TrainConfig(**options))) == names, options


@pytest.mark.parametrize(
    ("tag", "imagenet", "more"),
    [
        ("in1k", True, False),
        ("augreg_in21k_ft_in1k", True, False),
        ("ssld_stage2_ft_in1k", True, False),
        ("ns_jft_in1k", True, True),
        ("openai_ft_in12k_in1k", True, True),
        ("laion2b_ft_in12k", True, True),
        ("fb_swsl_ig1b_ft_in1k", True, True),
        ("lvd142m", False, True),
        ("main1k", False, True),
    ],
)
def test_timms_weights_are_of_imagenet_alone_where_their_tag_says_so(tag, imagenet, more):
    names = data_beside(TrainConfig(pretrained="hub", pretrained_tag=tag))
    whatever = f"whatever timm/efficientnet_b2.{tag} was trained on"
    assert names == ["ImageNet"] * imagenet + [whatever] * more


def test_a_teachers_own_teacher_may_be_gone(tmp_path):
    taught = teacher(tmp_path / "taught", teachers=(teacher(tmp_path / "first"),))
    shutil.rmtree(tmp_path / "first")
    assert "whatever first was trained on" in data_beside(TrainConfig(teachers=(taught,)))


def test_every_look_at_public_test_counts(tmp_path):
    before = folder(tmp_path / "before", public_test_looks=2)
    taught = teacher(tmp_path / "taught")
    folder(tmp_path / "taught" / "export", public_test_looks=1)
    config = TrainConfig(pretrained=before, teachers=(taught, teacher(tmp_path / "without")))
    assert looks_so_far(config) == 3
    assert looks_so_far(TrainConfig()) == 0
    assert looks_so_far(TrainConfig(pretrained=before, teachers=(before,))) == 2  # the same looks, once
    new = tmp_path / "new"
    folder(new, public_test_looks=looks_so_far(config))
    store(new, "validation", {"single": {}})
    assert json.loads((new / "metrics.json").read_text())["training"]["public_test_looks"] == 3
    store(new, "public_test", {"single": {}, "flip": {}})
    assert json.loads((new / "metrics.json").read_text())["training"]["public_test_looks"] == 4


def test_looks_at_what_the_weights_came_from_count_once(tmp_path):
    date = {"date": "2026-01-01", "lineage": ["taught by teacher"]}
    first = folder(tmp_path / "first", public_test_looks=2, **date)
    came_from_it = [*date["lineage"], describe(date), "taught by first"]
    second = folder(tmp_path / "second", public_test_looks=3, date="2026-01-02", lineage=came_from_it)
    beside = folder(tmp_path / "beside", public_test_looks=5, date="2026-01-03", lineage=date["lineage"])
    assert looks_so_far(TrainConfig(pretrained=second, teachers=(first, second))) == 3
    assert looks_so_far(TrainConfig(pretrained=first, teachers=(second,))) == 3
    assert looks_so_far(TrainConfig(pretrained=second, teachers=(first, beside))) == 8


def with_weights(path, sha256, **training):
    """A model folder that says which weights it holds."""
    folder(path, datasets=["FER-2013 Training"], **training)
    stored = json.loads((path / "metrics.json").read_text()) | {"model": {"weights_sha256": sha256}}
    (path / "metrics.json").write_text(json.dumps(stored))
    return str(path)


def test_looks_at_a_teachers_own_teachers_count_once(tmp_path):
    first = folder(tmp_path / "first", public_test_looks=2, datasets=["FER-2013 Training", "ImageNet"])
    small = teacher(tmp_path / "small", teachers=(first,))  # not exported: it stores no figures
    beside = teacher(tmp_path / "beside", pretrained=first, teachers=(small,))
    for taught_by in ((small,), (beside,), (small, beside, first)):
        config = TrainConfig(teachers=taught_by)
        assert looks_so_far(config) == 2, taught_by
        assert set(data_beside(config)) == {"FER-2013 Training", "ImageNet"}, taught_by


def test_looks_at_a_teacher_or_a_copy_that_another_run_tells_of_count_once(tmp_path):
    first = with_weights(tmp_path / "first", "a" * 64, public_test_looks=2)
    copy = with_weights(tmp_path / "copy", "a" * 64, public_test_looks=3)
    line = f"taught by first: efficientnet_b2, at 64 px, weights sha256 {'a' * 12}, itself taught by other"
    student = with_weights(tmp_path / "student", "b" * 64, public_test_looks=4, lineage=[line])
    assert looks_so_far(TrainConfig(teachers=(first, copy))) == 3
    assert looks_so_far(TrainConfig(pretrained=student, teachers=(first,))) == 4
    other = with_weights(tmp_path / "other", "c" * 64, public_test_looks=1)
    assert looks_so_far(TrainConfig(pretrained=student, teachers=(first, other))) == 5


def test_runs_that_name_each_other_end(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    teacher(one, teachers=(str(two),), ferplus_weight=0.1)
    teacher(two, teachers=(str(one),), pretrained="hub")
    config = TrainConfig(teachers=(str(one),))
    assert looks_so_far(config) == 0 and set(data_beside(config)) == {"FER+ votes", "ImageNet"}


def test_looks_at_a_run_count_where_its_best_weights_go_on(tmp_path):
    folder(tmp_path / "run" / "export", public_test_looks=2)
    (tmp_path / "run" / "best.safetensors").touch()
    assert looks_so_far(TrainConfig(pretrained=str(tmp_path / "run" / "best.safetensors"))) == 2


def test_runs_that_are_averaged_are_told_with_their_data_and_looks(tmp_path):
    begun = Origin(["2026-01-01: 9 epochs", "taught by t"], ["FER-2013 Training"], 2)
    other = {"date": "2026-01-02", "seed": 22, "epochs": 3, "datasets": ["FER-2013 Training", "FER+ votes"]}
    for name, looks in (("b", 2), ("c", 3)):  # the second was looked at once
        folder(tmp_path / name / "export", public_test_looks=looks, lineage=begun.lineage, **other)
        begun.keep(tmp_path / name)
    mean = begun.averaged_with([str(tmp_path / "b"), str(tmp_path / "c")])
    runs = [step for name in "bc" for step in ("taught by t", f"averaged with {name}: {describe(other)}")]
    assert mean.lineage == ["2026-01-01: 9 epochs", *runs, "taught by t"]
    assert (mean.datasets, mean.public_test_looks) == (["FER-2013 Training", "FER+ votes"], 3)
    assert begun.averaged_with([]) == begun
    # a student of the mean and of one of its parts has seen that part's looks once
    student = folder(tmp_path / "student", public_test_looks=3, lineage=mean.lineage, date="2026-01-03")
    assert looks_so_far(TrainConfig(pretrained=student, teachers=(str(tmp_path / "c" / "export"),))) == 3


def test_folders_of_the_machine_stay_on_it():
    config = TrainConfig(pretrained="/home/me/before", teachers=("/work/a b/taught", "runs/t"), averaged_runs=("/r/b",))
    exported = without_folders(config)
    assert (exported.pretrained, exported.teachers) == ("before", ("taught", "runs/t"))
    assert exported.averaged_runs == ("b",)
    arguments = ["--data=/content/fer2013", "--output", "/tmp/x", "--teachers", "[/work/runs/a, 'runs/b']", "1/2"]
    assert portable(arguments) == ["--data=fer2013", "--output", "x", "--teachers", "[a, 'runs/b']", "1/2"]
    assert portable(["https://huggingface.co/user/name"]) == ["https://huggingface.co/user/name"]


@pytest.mark.parametrize(
    ("device", "processes", "on_this_machine", "words"),
    [
        ("cpu", 1, 1, "accelerate launch"),
        ("cuda", 1, 1, "accelerate launch --num_processes 1"),
        ("cuda", 4, 4, "accelerate launch --multi_gpu --num_processes 4"),
        ("cuda", 8, 4, "accelerate launch --multi_gpu --num_machines 2 --num_processes 8"),
        ("cpu", 2, 2, "ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes 2"),
    ],
)
def test_the_command_starts_as_many_processes(device, processes, on_this_machine, words, monkeypatch):
    for name, number in (("WORLD_SIZE", processes), ("LOCAL_WORLD_SIZE", on_this_machine)):
        monkeypatch.delenv(name, raising=False)
        if processes > 1:
            monkeypatch.setenv(name, str(number))
    assert " ".join(launcher(torch.device(device))) == words


def test_threads_are_those_of_the_cores_that_the_process_may_use(monkeypatch):
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert [threads_of(None, processes) for processes in (1, 2, 8)] == [4, 2, 1] and threads_of(3, 2) == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # of eight processes on four machines
    assert threads_of(None, 8) == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows
    assert usable_cores() == 64


def test_the_runs_own_command_tells_of_its_processes(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr(sys, "argv", ["train/train.py", "--data", "/my/fer2013", "--resume"])
    process = SimpleNamespace(device=torch.device("cpu"), num_processes=2)
    command = describe_run(TrainConfig(), Progress(), Origin([], [], 0), process)["command"]
    assert command.endswith("launch --multi_gpu --num_processes 2 train/train.py --data fer2013")


@pytest.mark.parametrize(("split", "looks"), [("private_test", 1), ("test", 2), ("unknown", 1)])
def test_only_splits_that_hold_public_test_count(split, looks, tmp_path):
    folder(tmp_path / "m", public_test_looks=1)
    store(tmp_path / "m", split, {"single": {}})
    assert json.loads((tmp_path / "m" / "metrics.json").read_text())["training"]["public_test_looks"] == looks
