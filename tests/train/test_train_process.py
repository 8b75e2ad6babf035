"""The training command as real processes: what it leaves, what it refuses, and that a killed run ends the same."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import venv
from pathlib import Path

import datasets
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.train.several import command

# layer norms and no dropout: nothing makes a picture see how its batch is divided among processes
TINY = (
    *("--architecture", "test_efficientnet_ln", "--dropout", "0", "--drop_path_rate", "0", "--class_weights", "null"),
    *("--limit", "120", "--input_size", "32", "--batch_size", "16", "--epochs", "[1, 1]", "--checkpoint_minutes", "0"),
    *("--keep_checkpoints", "2"),
)
STEPS = 6  # of an epoch
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


def arguments(data, output, *extra):
    return ["--data", str(data), "--output", str(output), "--cpu_threads", "1", *TINY, *extra]


@pytest.fixture(scope="module")
def fer2013(shared_data):
    return shared_data / "fer2013"


@pytest.fixture(scope="module")
def launch(repository, child_environment):
    """Starts train/train.py in the repository's root, as the leader of a group of processes."""

    def start(*extra, processes=1, launcher=False, **variables):
        variables |= {"HF_DATASETS_CACHE": str(datasets.config.HF_DATASETS_CACHE)}  # also where HF_HOME is another
        words, on_cpus = command("train/train.py", processes, launcher)
        return subprocess.Popen(
            [*words, *extra], cwd=repository, env=child_environment | variables | on_cpus,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    return start


@pytest.fixture(scope="module")
def finished(launch, fer2013, tmp_path_factory):
    """A run that nothing disturbed, with a tracker and CodeCarbon: (folder, what it said)."""
    folder = tmp_path_factory.mktemp("run")
    extra = ("--views", "single", "flip", "--measure_energy", "--report_to", "[trackio]")
    variables = {"TRACKIO_DIR": str(folder / "trackio"), "HF_HOME": str(folder / "home")}
    process = launch(*arguments(fer2013, folder / "whole", *extra), launcher=True, **variables)
    said = process.communicate()[1]
    assert process.returncode == 0, said[-3000:]
    return folder / "whole", said


def files(folder):
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def same_weights(one, other):
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(first[name].equal(second[name]) for name in first)


def metrics_of(run):
    return json.loads((run / "export" / "metrics.json").read_text())


def test_it_leaves_exactly_the_model_folder_and_the_runs_own_files(finished):
    output, _ = finished
    assert files(output / "export") == FOLDER
    others = {name for name in files(output) if not name.startswith(("export/", "fer/"))}
    steps = sorted(name for name in others if name.startswith("checkpoints/"))
    own = {"train_config.yaml", "begun.json", "best.safetensors", "validation.sha256"}
    assert len(steps) == 2 and others - set(steps) == own
    assert any("tfevents" in name for name in files(output / "fer"))
    assert Image.open(output / "export" / "figures" / "training_curves.png").size[0] > 400


def test_it_tells_of_every_epoch_and_scores_what_was_asked(finished):
    output, said = finished
    assert "epoch 1/2 warmup 32 px" in said and "pictures/s" in said
    table = [line.split()[1:] for line in said.splitlines() if line[9:].split()[:1] in (["epoch"], ["1/2"], ["2/2"])]
    assert [row[:3] for row in table] == [["epoch", "stage", "px"], ["1/2", "warmup", "32"], ["2/2", "finetune", "32"]]
    metrics = metrics_of(output)
    assert {split: set(views) for split, views in metrics["splits"].items()} == {
        "validation": {"single", "flip"},
        "public_test": {"single", "flip"},
    }
    assert [row["stage"] for row in metrics["training"]["history"]] == ["warmup", "finetune"]
    assert metrics["splits"]["public_test"]["single"]["support"] == 120
    assert metrics["training"]["public_test_looks"] == 1 and not metrics["training"]["validation_may_be_learnt"]
    assert str(output) not in (output / "export" / "metrics.json").read_text()


def test_energy_and_figures_are_recorded_where_that_is_asked_for(finished):
    output, _ = finished
    energy = metrics_of(output)["training"]["energy_kwh"]
    assert 0 < energy < 0.1  # seconds of a few cores: over nothing, under 100 Wh
    assert f"{energy:.3f} kWh (CodeCarbon's estimate)" in (output / "export" / "README.md").read_text()
    with sqlite3.connect(output.parent / "trackio" / "fer.db") as database:
        rows = database.execute("SELECT metrics FROM metrics").fetchall()
    assert any("validation_accuracy" in str(row) for row in rows)


def stop_while(process, caught):
    """Wait until `caught()` is true with the whole group of `process` standing still; it stays so."""
    while True:
        assert process.poll() is None, "the run ended before it could be killed"
        if caught():
            os.killpg(process.pid, signal.SIGSTOP)
            time.sleep(0.05)
            if caught():
                return
            os.killpg(process.pid, signal.SIGCONT)


def test_a_run_killed_three_times_ends_with_the_weights_of_one_that_was_not(finished, launch, fer2013, tmp_path):
    """In the middle of writing a checkpoint, within the second stage, and while the model folder is written."""
    output = tmp_path / "killed"
    folder = output / "checkpoints"

    def step():
        return max((int(path.stem[5:]) for path in folder.glob("step-*.pt")), default=0)

    for extra, caught in (
        ((), lambda: step() >= 2 and any(folder.glob(".step-*.tmp"))),
        (("--resume",), lambda: step() > STEPS + 1),
        (("--resume",), lambda: (output / ".export.building" / "onnx").is_dir()),
    ):
        process = launch(*arguments(fer2013, output, "--score", "validation", *extra))
        stop_while(process, caught)
        os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()[1]
        assert ("resumed at epoch" in said) == bool(extra), said[-2000:]
        if not extra:
            assert any(folder.glob(".step-*.tmp"))  # half a checkpoint
    process = launch(*arguments(fer2013, output, "--score", "validation", "--resume"))
    said = process.communicate()[1]
    assert process.returncode == 0, said[-3000:]
    assert not list(folder.glob(".step-*"))
    assert same_weights(output / "best.safetensors", finished[0] / "best.safetensors")
    assert same_weights(output / "export" / "model.safetensors", finished[0] / "export" / "model.safetensors")


@pytest.mark.parametrize("way", ["kill of the launcher", "Ctrl-C"])
def test_a_run_that_is_asked_to_stop_saves_and_says_how_to_go_on(way, launch, fer2013, tmp_path):
    endless = arguments(fer2013, tmp_path / "run", "--checkpoint_minutes", "100", "--epochs", "[1, 500]")
    process = launch(*endless, launcher=way != "Ctrl-C")
    said = ""
    while "epoch 2/501" not in said:  # the last of a line, so that nothing is left in the pipe unseen
        said += process.stderr.read(1)
        assert process.poll() is None, said
    if way == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
    else:
        process.send_signal(signal.SIGTERM)  # what `kill`, `timeout` and a container's end do
    said += process.communicate(timeout=120)[1]  # until the run itself, which holds the pipe, has ended
    assert process.returncode != 0
    assert "the same command with --resume goes on from here" in said, said[-2000:]
    step, epoch = re.search(r"stopped after (?:step (\d+) of )?epoch (\d+)", said).groups()
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*.pt"))
    progress = torch.load(newest, weights_only=True)["progress"]
    assert (progress["epoch"], progress["step"]) == ((int(epoch) - 1, int(step)) if step else (int(epoch), 0))


def test_two_processes_train_and_score_as_one(finished, launch, fer2013, tmp_path):
    """Steps, batches, rates, weights but for the order of sums, and figures of splits of 15 and 120 pictures."""
    process = launch(*arguments(fer2013, tmp_path / "two"), processes=2)
    said = process.communicate()[1]
    assert process.returncode == 0, said[-3000:]
    two, one = metrics_of(tmp_path / "two"), metrics_of(finished[0])
    assert two["training"]["hardware"].startswith("2 processes on ") and "2 processes share every batch" in said
    assert two["training"]["pictures_seen"] == one["training"]["pictures_seen"]
    for ours, theirs in zip(two["training"]["history"], one["training"]["history"], strict=True):
        assert ours["learning_rate"] == theirs["learning_rate"]  # Accelerate's scheduler would step once a process
        assert ours["validation_accuracy"] == theirs["validation_accuracy"]
        assert ours["validation_loss"] == pytest.approx(theirs["validation_loss"], abs=1e-4)
    single = [run["splits"]["validation"]["single"] for run in (two, one)]
    assert single[0]["confusion_matrix"] == single[1]["confusion_matrix"] and single[0]["support"] % 2 == 1
    weights = [load_file(run / "best.safetensors") for run in (tmp_path / "two", finished[0])]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=2e-4, rtol=1e-3)


CALLS = """
import json, resource, sys
from accelerate.state import AcceleratorState
from train.train import main
for arguments, bytes_a_file in json.loads(sys.argv[1]):
    if bytes_a_file:  # a real limit of the system, as a full disk has one
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, resource.RLIM_INFINITY))
    try:
        main(arguments)
    except SystemExit as refused:
        print(json.dumps(str(refused)))
    AcceleratorState._reset_state(reset_partial_state=True)  # one run's precision would bind the next one's
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_two_processes_go_through_both_stages_from_earlier_weights(launch, fer2013, tmp_path):
    """Batch norms, bf16, accumulation, a frozen backbone, two processes: the warm-up moves the classifier alone."""
    recipe = ("--architecture", "test_efficientnet", "--mixed_precision", "bf16", "--gradient_accumulation", "2")
    begun = launch(*arguments(fer2013, tmp_path / "begun", *recipe, "--epochs", "[0, 1]", "--score", "validation"))
    said = begun.communicate()[1]
    assert begun.returncode == 0, said[-3000:]
    best = tmp_path / "begun" / "best.safetensors"
    extra = (*recipe, "--pretrained", str(best), "--limit", "110", "--keep_checkpoints", "100", "--score", "validation")
    process = launch(*arguments(fer2013, tmp_path / "two", *extra), processes=2)
    said = process.communicate()[1]
    assert process.returncode == 0, said[-3000:]
    assert "2 processes share every batch" in said and "pictures learnt there" in said  # another limit, another split
    assert metrics_of(tmp_path / "two")["training"]["validation_may_be_learnt"]
    states = [torch.load(one, weights_only=True) for one in sorted((tmp_path / "two" / "checkpoints").glob("*.pt"))]
    warm = next(one for one in states if (one["progress"]["epoch"], one["progress"]["step"]) == (1, 0))["model"]
    first = load_file(best)
    first["conv_stem.weight"] = first["conv_stem.weight"].mean(1, keepdim=True).expand(-1, 3, -1, -1)  # as it begins
    moved = {name for name in first if not warm[name].allclose(first[name], atol=1e-6)}
    assert moved == {"classifier.weight", "classifier.bias"}
    assert not states[-1]["model"]["bn1.running_mean"].equal(first["bn1.running_mean"])

    # what it began from is gone before the end; other weights would stand there after `--pretrained model`
    ended, origin = (
        load_file(tmp_path / "two" / "best.safetensors"),
        metrics_of(tmp_path / "two")["training"]["lineage"],
    )
    shutil.rmtree(tmp_path / "begun")
    shutil.copytree(tmp_path / "two", tmp_path / "three")  # another run from that beginning, all of it 0.1 larger
    save_file({name: tensor + 0.1 for name, tensor in ended.items()}, tmp_path / "three" / "best.safetensors")
    options = ("--pretrained_share", "0.5", "--least_recall", "[[happy, 0.5]]", "--averaged_runs")
    again = arguments(fer2013, tmp_path / "two", *extra, "--resume", *options, f"[{tmp_path / 'three'}]")
    process = launch(*again, processes=2)
    said = process.communicate()[1]
    assert process.returncode == 0, said[-3000:]
    average = load_file(tmp_path / "two" / "averaged.safetensors")
    head = "conv_head.weight"
    torch.testing.assert_close(average[head], (first[head] + ended[head] + 0.05) / 2)
    metrics = metrics_of(tmp_path / "two")
    training, happy = metrics["training"], metrics["splits"]["validation"]["single"]["per_class"]["happy"]
    assert training["lineage"][:-1] == origin and len(origin) == 1 and training["datasets"] == ["FER-2013 Training"]
    assert training["lineage"][-1].startswith("averaged with three: 2")
    assert metrics["calibration"]["least_recall"] == {"happy": 0.5} and happy["recall"]["value"] > 0.5
    assert training["validation_may_be_learnt"] and "--resume" not in training["command"]


def test_what_is_refused_is_refused_in_one_sentence(finished, repository, child_environment, fer2013, tmp_path):
    def fresh(*extra):
        return arguments(fer2013, tmp_path / f"run{len(cases)}", *extra)

    cases, export, other = [], finished[0] / "export", tmp_path / "other"
    shutil.copytree(finished[0], other)  # as if it had begun from other weights
    shutil.copy(other / "best.safetensors", other / "begun.safetensors")
    (other / "begun.json").write_text("{}")
    goes_on = ("--pretrained", str(export), "--averaged_runs")
    for call, said, limit in (
        (lambda: arguments(fer2013, finished[0]), "holds a run already; go on with --resume", None),
        (lambda: arguments(fer2013, finished[0], "--resume", "--seed", "7"), "--resume: seed differ", None),
        (lambda: fresh("--label_smoothing", "0.9"), "label_smoothing: 0.9 is outside [0, 0.5]", None),
        (lambda: fresh("--report_to", "[mlflow]"), "report_to: mlflow is none of wandb, trackio", None),
        (lambda: fresh("--pretrained", "nowhere"), "pretrained: nowhere is not there", None),
        (lambda: fresh("--teachers", "[nowhere]"), "teachers: nowhere is no finished run", None),
        (lambda: fresh("--pretrained", str(export), "--split_seed", "1"), "split_seed 0, so with pictures", None),
        (lambda: fresh(*goes_on, f"[{finished[0]}]"), "is no finished run from weights: begun.safetensors", None),
        (lambda: fresh(*goes_on, f"[{other}]"), "began from different weights", None),
        (lambda: fresh("--mixed_precision", "fp16"), "mixed_precision: fp16 needs a GPU", None),
        (lambda: fresh("--batch_size", "120"), "batch_size 120 exceeds the 105 pictures", None),
        (lambda: fresh(*EXPLODING), "the logits of the validation split are not finite", None),
        (lambda: fresh(*EXPLODING, "--batch_size", "8"), "the batch is rows", None),
        (lambda: fresh(), "what was there is untouched: free space, then go on (--resume)", 600_000),
    ):
        cases.append((call(), limit, said))
    if torch.cuda.is_available():
        cases = [case for case in cases if "fp16" not in case[2]]
    calls = json.dumps([case[:2] for case in cases])
    done = subprocess.run(
        [sys.executable, "-c", CALLS, calls], cwd=repository, env=child_environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases), "\n".join(answers) + done.stderr[-2000:]
    for answer, (_, _, said) in zip(answers, cases, strict=True):
        assert said in answer and "\n" not in answer and answer.startswith("train/train.py: "), answer


def test_a_dry_run_goes_the_whole_way_and_leaves_nothing(launch, fer2013, tmp_path):
    longer = ("--epochs", "[2, 3]", "--size_schedule", "[[0, 32], [3, 32]]")
    process = launch(*arguments(fer2013, tmp_path / "dry", "--dry_run", *longer))
    said = process.communicate()[1]
    assert process.returncode == 0, said[-3000:]
    assert "epoch 2/2 finetune" in said and "/16.0" in said, "two epochs of one batch of 16 pictures"
    assert "warmup" in said and "finetune" in said and "loaders agree" in said and "nothing was kept" in said
    assert not (tmp_path / "dry").exists()


def test_without_the_training_stack_one_sentence_names_the_command(repository, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    for script in ("train/train.py", "train/score.py"):
        done = subprocess.run([python, script], cwd=repository, capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.strip().count("\n") == 0
        assert "pip install -r requirements-train.txt" in done.stderr
