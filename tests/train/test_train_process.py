"""The training command as real processes: what it leaves, what it refuses, and that a killed run ends the same."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

LAUNCH = ("accelerate", "launch", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
TINY = (
    "--class_weights",
    "null",
    "--limit",
    "120",
    "--input_size",
    "32",
    "--batch_size",
    "16",
    "--epochs",
    "[1, 1]",
    "--checkpoint_minutes",
    "0",
)
# decoupled decay of 10 at a rate of 100 multiplies the weights by -1000 a step
EXPLODING = ("--optimizer", "sgd", "--learning_rate", "[100, 100]", "--weight_decay", "10", "--gradient_clip", "null")
FOLDER = {
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


def command(data, output, *extra, processes=1):
    script = (*LAUNCH, "--num_processes", str(processes), *(["--cpu"] if processes > 1 else []), "train/train.py")
    return [*script, "--data", str(data), "--output", str(output), "--cpu_threads", "1", *TINY, *extra]


@pytest.fixture(scope="module")
def train(repository, child_environment):
    """Runs the command in the repository's root; returns the finished process."""

    def run(*arguments, **options):
        return subprocess.run(
            command(*arguments, **options), cwd=repository, env=child_environment, capture_output=True, text=True
        )

    return run


@pytest.fixture(scope="module")
def finished(train, shared_data, tmp_path_factory):
    """A run that nothing disturbed: (folder, process)."""
    output = tmp_path_factory.mktemp("run") / "whole"
    done = train(shared_data / "fer2013", output, "--keep_checkpoints", "2", "--views", "single", "flip")
    assert done.returncode == 0, done.stderr[-3000:]
    return output, done


def files(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def same_weights(one, other):
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def test_it_leaves_exactly_the_model_folder_and_the_runs_own_files(finished):
    output, _ = finished
    assert files(output / "export") == FOLDER
    others = {name for name in files(output) if not name.startswith(("export/", "fer/"))}
    steps = sorted(name for name in others if name.startswith("checkpoints/"))
    assert len(steps) == 2 and others - set(steps) == {"train_config.yaml", "best.safetensors"}
    assert any("tfevents" in name for name in files(output / "fer"))
    assert sum(path.stat().st_size for path in (output / "export").rglob("*") if path.is_file()) < 50e6


def test_it_tells_of_every_epoch_and_scores_what_was_asked(finished):
    output, done = finished
    assert "epoch 1/2 warmup 32 px" in done.stderr and "epoch 2/2 finetune 32 px" in done.stderr
    assert "pictures/s" in done.stderr
    metrics = json.loads((output / "export" / "metrics.json").read_text())
    assert {split: set(views) for split, views in metrics["splits"].items()} == {
        "validation": {"single", "flip"},
        "public_test": {"single", "flip"},
    }
    assert [row["stage"] for row in metrics["training"]["history"]] == ["warmup", "finetune"]
    assert metrics["splits"]["public_test"]["single"]["support"] == 120
    assert str(output) not in (output / "export" / "metrics.json").read_text()


@pytest.mark.parametrize("moment", ["first_checkpoint", "while_writing", "second_stage"])
def test_a_run_that_was_killed_and_resumed_ends_with_the_same_weights(
    moment, finished, train, repository, child_environment, shared_data, tmp_path
):
    output, extra = tmp_path / "killed", ("--keep_checkpoints", "2", "--score", "validation")
    data = shared_data / "fer2013"
    process = subprocess.Popen(
        command(data, output, *extra), cwd=repository, env=child_environment, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    pattern, wanted = {
        "first_checkpoint": ("step-*.pt", lambda found: bool(found)),
        "while_writing": (".step-*.tmp", lambda found: bool(found)),
        "second_stage": ("step-*.pt", lambda found: any(int(path.stem[5:]) > 8 for path in found)),
    }[moment]
    while not wanted(list((output / "checkpoints").glob(pattern))):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.001)
    kill_group(process)
    done = train(data, output, *extra, "--resume")
    assert done.returncode == 0, done.stderr[-3000:]
    if moment != "while_writing":  # the very first write may have been cut: then there is nothing to go on from
        assert "resumed at epoch" in done.stderr
    assert same_weights(output / "best.safetensors", finished[0] / "best.safetensors")
    assert same_weights(output / "export" / "model.safetensors", finished[0] / "export" / "model.safetensors")


def kill_group(process):
    import os

    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_sigterm_saves_and_says_how_to_go_on(repository, child_environment, shared_data, tmp_path):
    process = subprocess.Popen(
        command(shared_data / "fer2013", tmp_path / "run", "--checkpoint_minutes", "100"),
        cwd=repository, env=child_environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = ""
    while "epoch 1/2" not in said:
        said += process.stderr.read(1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    time.sleep(1)
    for child in children:
        import os

        os.kill(int(child), signal.SIGTERM)
    said += process.communicate(timeout=120)[1]
    assert process.returncode != 0
    assert "the same command with --resume goes on from here" in said
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*.pt"))) == 1


def test_two_processes_train_and_score_to_the_same_figures_as_one(finished, train, shared_data, tmp_path):
    """Batch norm sees each process's half, so the weights differ; the steps, batches and gathered splits do not."""
    done = train(shared_data / "fer2013", tmp_path / "two", "--score", "validation", processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    two, one = (json.loads((path / "export" / "metrics.json").read_text()) for path in (tmp_path / "two", finished[0]))
    assert two["training"]["pictures_seen"] == one["training"]["pictures_seen"]
    rates = [[row["learning_rate"] for row in run["training"]["history"]] for run in (two, one)]
    assert rates[0] == rates[1]
    assert two["splits"]["validation"]["single"]["support"] == one["splits"]["validation"]["single"]["support"]


def test_what_is_refused_is_refused_in_one_sentence(finished, train, shared_data, tmp_path):
    data = shared_data / "fer2013"
    for arguments, said in [
        ((data, finished[0]), "holds a run already; go on with --resume"),
        ((data, finished[0], "--keep_checkpoints", "2", "--resume", "--seed", "7"), "--resume: seed differ from"),
        ((data, tmp_path / "a", "--label_smoothing", "0.9"), "label_smoothing: 0.9 is outside [0, 0.5]"),
        ((data, tmp_path / "b", *EXPLODING), "the batch is rows"),
        ((data, tmp_path / "c", "--report_to", "[mlflow]"), "report_to: mlflow is none of wandb, trackio"),
    ]:
        done = train(*arguments)
        assert done.returncode != 0 and said in done.stderr, (said, done.stderr[-2000:])


def test_energy_and_trackers_are_recorded_where_they_are_asked_for(
    repository, child_environment, shared_data, tmp_path
):
    import sqlite3

    extra = ("--score", "validation", "--measure_energy", "--report_to", "[trackio]")
    done = subprocess.run(
        command(shared_data / "fer2013", tmp_path / "run", *extra), cwd=repository, capture_output=True, text=True,
        env=child_environment | {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    export = tmp_path / "run" / "export"
    energy = json.loads((export / "metrics.json").read_text())["training"]["energy_kwh"]
    assert 0 < energy < 0.1  # seconds of a few cores: over nothing, under 100 Wh
    assert f"{energy:.3f} kWh (CodeCarbon's estimate)" in (export / "README.md").read_text()
    with sqlite3.connect(tmp_path / "trackio" / "fer.db") as database:
        rows = database.execute("SELECT metrics FROM metrics").fetchall()
    assert any("validation_accuracy" in str(row) for row in rows)


def test_a_dry_run_goes_the_whole_way_and_leaves_nothing(train, shared_data, tmp_path):
    done = train(shared_data / "fer2013", tmp_path / "dry", "--dry_run")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "nothing was kept" in done.stderr
    assert not (tmp_path / "dry").exists()


def test_without_the_training_stack_one_sentence_names_the_command(repository, tmp_path):
    import sys
    import venv

    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / Path(sys.executable).name
    python = python if python.exists() else tmp_path / "bare" / "bin" / "python"
    for script in ("train/train.py", "train/score.py"):
        done = subprocess.run([python, script], cwd=repository, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.strip().count("\n") == 0
        assert "pip install -r requirements-train.txt" in done.stderr
