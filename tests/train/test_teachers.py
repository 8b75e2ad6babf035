"""Distillation: what a teacher is, what it teaches, and that a student's run is its own."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from train import augmentation
from train.checkpoint import CheckpointError
from train.config import ConfigError, TrainConfig, load_config, to_yaml
from train.data import as_arrays, load_fer2013
from train.loop import Loop
from train.model import Normalisation, build_model
from train.score import load_model, weights_sha256
from train.score_teachers import main, rows
from train.teachers import Teachers


def finished_run(folder, seed, **options):
    """What a teacher's training run leaves, with random weights that tell the classes apart a little."""
    config = TrainConfig(architecture="fer_resnet9", input_size=48, drop_path_rate=0.0, **options)
    torch.manual_seed(seed)
    network, _, _ = build_model(dataclasses.replace(config, pretrained="none"), 7)
    torch.nn.init.normal_(network.get_classifier().weight, std=0.5)
    folder.mkdir()
    (folder / "train_config.yaml").write_text(to_yaml(config))
    save_file(network.state_dict(), folder / "best.safetensors")
    return network.eval()


def test_a_teacher_starts_as_a_guess_and_learns(tmp_path):
    config = load_config("train/configs/teacher.yaml")
    torch.manual_seed(0)
    network, normalise, _ = build_model(config, 7)
    images, labels = torch.rand(14, 1, 48, 48), torch.arange(14) % 7
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(network(normalise(images)), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(torch.log(torch.tensor(7.0)).item(), abs=0.2) and losses[-1] < 0.5


def test_teachers_average_their_probabilities_at_their_own_size(tmp_path):
    begun = {"a": "none", "b": "/runs/earlier/best.safetensors"}
    networks = [finished_run(tmp_path / name, seed, pretrained=begun[name]) for seed, name in enumerate(begun)]
    teachers = Teachers([tmp_path / "a", tmp_path / "b"], 7)
    images = torch.rand(5, 1, 64, 64)
    small = Normalisation()(augmentation.resize(images, 48))
    expected = sum(network(small).softmax(1) for network in networks) / 2
    torch.testing.assert_close(teachers(images), expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(networks[0](small).softmax(1), expected, atol=1e-2)
    assert not any(parameter.requires_grad for parameter in teachers.parameters())

    both = Teachers([tmp_path / "a", tmp_path / "b"], 7, flip=True)(images)
    torch.testing.assert_close(both, (expected + teachers(images.flip(-1))) / 2, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(both, expected, atol=1e-3)
    assert "taught by a: fer_resnet9, 1.4M parameters" in teachers.lineage[0] and "weights" not in teachers.lineage[0]
    assert "at 48 px from the weights of earlier, seed 0" in teachers.lineage[1]

    finished_run(tmp_path / "c", 2, teachers=(str(tmp_path / "a"), "/runs/b/export"))
    taught = Teachers([tmp_path / "c"], 7).lineage[0]
    assert taught.endswith("at 48 px, seed 0, itself taught by a and export"), "a teacher's own teachers"
    assert "itself" not in "".join(teachers.lineage)


def test_teachers_are_scored_each_and_averaged_and_with_the_mirror_image(tmp_path):
    networks = [finished_run(tmp_path / name, seed) for seed, name in enumerate("ab")]
    images = torch.randint(0, 256, (40, 48, 48), dtype=torch.uint8)
    labels = torch.arange(40) % 7

    def answers(pictures):
        grey = Normalisation()(pictures.unsqueeze(1).float() / 255)
        return [network(grey).softmax(1) for network in networks]

    def right(probabilities):
        return f"{(probabilities.argmax(1) == labels).float().mean().item():.2%}"

    single, mirrored = answers(images), answers(images.flip(2))
    found = list(rows([tmp_path / "a", tmp_path / "b"], images.numpy(), labels.numpy()))
    assert [line[0] for line in found] == ["a", "b", "all 2 averaged"]
    expected = [*zip(single, mirrored, strict=True), (sum(single) / 2, sum(mirrored) / 2)]
    for line, (one, other) in zip(found, expected, strict=True):
        assert [line[1], line[4]] == [right(one), right(one + other)]
        loss = torch.nn.functional.nll_loss(one.log(), labels).item()
        assert float(line[3]) == pytest.approx(loss, abs=1e-3)


def test_teachers_are_scored_on_what_they_themselves_set_apart(shared_data, tmp_path, capsys):
    finished_run(tmp_path / "a", 0, limit=120, split_seed=3)
    finished_run(tmp_path / "b", 1, limit=120, split_seed=4)
    main(["--data", str(shared_data / "fer2013"), "--teachers", str(tmp_path / "a")])
    split = load_fer2013(shared_data / "fer2013", limit=120, seed=3)["validation"]
    own = list(rows([tmp_path / "a"], as_arrays(split).images, as_arrays(split).labels))
    assert capsys.readouterr().out.splitlines()[1].split() == own[0]
    with pytest.raises(SystemExit, match="set different pictures apart"):
        main(["--data", str(shared_data / "fer2013"), "--teachers", str(tmp_path / "a"), str(tmp_path / "b")])


def test_a_teacher_that_has_not_run_to_its_end_is_told_of(tmp_path, caplog):
    finished_run(tmp_path / "a", 0)
    Teachers([tmp_path / "a"], 7)
    assert "has not run to its end" in caplog.text
    caplog.clear()
    (tmp_path / "a" / "training_curves.png").touch()
    Teachers([tmp_path / "a"], 7)
    assert not caplog.text


def test_a_model_folder_teaches_what_it_answers(tmp_path):
    """The exported folder with its calibration, not the run's float32 weights; and none of its warnings."""
    folder = tmp_path / "model"
    shutil.copytree("model", folder)
    teachers = Teachers([folder], 7)
    model, transform, _ = load_model(folder)
    size = model.pretrained_cfg["input_size"][1]
    picture = Image.open("space/examples/grace_hopper.jpg").convert("L").resize((size, size))
    with torch.no_grad():
        expected = model(transform(picture.convert("RGB"))[None]).softmax(1)
    grey = torch.from_numpy(np.array(picture))[None, None].float() / 255
    torch.testing.assert_close(teachers(grey), expected, atol=5e-3, rtol=0)
    digest = weights_sha256(folder)[:12]
    said = f"taught by model: efficientnet_b2, 7.7M parameters, at {size} px, weights sha256 {digest}"
    own = " and ".join(Path(one).name for one in load_config(folder / "train_config.yaml").teachers)
    assert teachers.lineage == [f"{said}, itself taught by {own}" if own else said]


def test_what_is_no_finished_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="nowhere is no finished run"):
        Teachers([tmp_path / "nowhere"], 7)


def test_what_has_learnt_other_classes_does_not_teach(tmp_path):
    run = tmp_path / "a"
    finished_run(run, 0)
    with pytest.raises(ConfigError, match="best.safetensors has a classifier of 7 classes, not of 8"):
        Teachers([run], 8)
    (run / "metrics.json").write_text(json.dumps({"training": {"datasets": ["Tiny-ImageNet"]}}))  # train.pretrain's
    with pytest.raises(ConfigError, match="a has learnt Tiny-ImageNet and nothing of FER-2013's classes; .*--pre"):
        Teachers([run], 7)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_student_learns_the_mixture_of_label_and_teachers(weight, tmp_path):
    """The loss of the first step, computed by hand: with dropout and augmentation off the pictures are known."""
    import accelerate

    finished_run(tmp_path / "teacher", 0)
    config = TrainConfig(
        teachers=(str(tmp_path / "teacher"),), distillation_weight=weight, batch_size=8, input_size=48, epochs=(0, 1),
        dropout=0.0, drop_path_rate=0.0, augmentation=False, class_weights=None, channels_last=False, ramp_epochs=0.0,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (8, 48, 48), generator=generator, dtype=torch.uint8)
    targets = torch.eye(7)[torch.arange(8) % 7]
    torch.manual_seed(0)
    model, normalise, _ = build_model(config, 7)
    process = accelerate.Accelerator(cpu=True)
    weights = torch.linspace(0.5, 2, 8)
    loop = Loop(
        config, process, model, normalise, (pictures, targets, weights), (pictures, targets.argmax(1)), tmp_path
    )
    images = pictures.unsqueeze(1).float() / 255
    expected = (1 - weight) * targets + weight * loop.teachers(images)
    model.train()
    logits = model(normalise(images))
    by_hand = -(weights * (expected * logits.log_softmax(1)).sum(1)).mean().item()
    loss = loop.step(model, torch.optim.SGD(model.parameters(), 0.0), torch.arange(8), 48)
    assert loss.item() == pytest.approx(by_hand, abs=1e-4)


def test_a_teacher_that_has_changed_since_is_not_gone_on_with(tmp_path):
    import accelerate

    finished_run(tmp_path / "teacher", 0)
    config = TrainConfig(
        architecture="test_efficientnet", teachers=(str(tmp_path / "teacher"),), batch_size=8, input_size=32,
        epochs=(0, 1),
    )  # fmt: skip
    pictures, labels = torch.zeros((8, 48, 48), dtype=torch.uint8), torch.arange(8) % 7

    def loop():
        model, normalise, _ = build_model(config, 7)
        train = (pictures, torch.eye(7)[labels], torch.ones(8))
        return Loop(
            config, accelerate.Accelerator(cpu=True), model, normalise, train, (pictures, labels), tmp_path / "run"
        )

    loop().fit()
    loop().fit(resume=True)
    shutil.rmtree(tmp_path / "teacher")
    finished_run(tmp_path / "teacher", 1)
    with pytest.raises(CheckpointError, match="by teachers with other weights"):
        loop().fit(resume=True)


def test_a_teachers_run_and_its_students(shared_data, repository, child_environment, tmp_path):
    """The commands of the recipe: a teacher's run exports nothing, a student's says who taught it."""
    import subprocess

    base = [sys.executable, "train/train.py", "--data", str(shared_data / "fer2013"), "--cpu_threads", "1"]
    base += ["--limit", "100", "--batch_size", "16", "--class_weights", "null", "--score", "validation"]
    base += ["--mixed_precision", "no", "--input_size", "32"]  # bf16 in software takes ten times the time
    runs = [
        ["--config", "train/configs/teacher.yaml", "--epochs", "[0, 1]", "--output", str(tmp_path / "teacher")],
        ["--architecture", "test_efficientnet", "--epochs", "[0, 1]"]
        + ["--output", str(tmp_path / "student")]
        + ["--teachers", f"[{tmp_path / 'teacher'}]"],
    ]
    for run in runs:
        done = subprocess.run([*base, *run], cwd=repository, env=child_environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    assert not (tmp_path / "teacher" / "export").exists()
    assert (tmp_path / "teacher" / "training_curves.png").is_file()
    training = json.loads((tmp_path / "student" / "export" / "metrics.json").read_text())["training"]
    assert training["lineage"][0].startswith("taught by teacher: fer_resnet9")
    assert training["datasets"] == ["FER-2013 Training", "FER+ votes"]  # the teacher's recipe has them


def test_the_configuration_reads_back(tmp_path):
    config = TrainConfig(teachers=("runs/a", "runs/b"), distillation_weight=0.7)
    (tmp_path / "c.yaml").write_text(to_yaml(config))
    assert load_config(tmp_path / "c.yaml") == config
