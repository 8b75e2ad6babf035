"""The loop in one process, on a network of 100,000 weights: resuming anywhere, accumulation, groups, patience."""

import copy
import dataclasses
import functools
import math
import signal

import accelerate
import numpy as np
import pytest
import timm
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from train import loop as loop_module
from train.checkpoint import CheckpointError, check_all_resume_alike, save_checkpoint
from train.config import TrainConfig
from train.loop import Loop
from train.model import Normalisation, build_model
from train.schedule import set_learning_rate
from train.stopping import TrainingStopped

STEPS = 3  # of an epoch: 27 pictures in batches of 8
CONFIG = TrainConfig(
    architecture="test_efficientnet", input_size=48, epochs=(1, 2), learning_rate=(1e-3, 2e-3), batch_size=8,
    ramp_epochs=0.5, dropout=0.2, drop_path_rate=0.1, mixup=0.4, cutmix=1.0, ema_decay=0.9, checkpoint_minutes=0.0,
    keep_checkpoints=100, size_schedule=((0, 32), (2, 48)), channels_last=False,
)  # fmt: skip


def make(folder, config=CONFIG, frozen=False, process=None, seed=0):
    """A Loop over pictures made up from `seed`; `frozen` has it begin as from pretrained weights; `process` is the
    Accelerator."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (43, 48, 48), np.uint8)
    labels = np.arange(43) % 7
    targets, weights = torch.eye(7)[labels], torch.from_numpy(random.uniform(0.5, 2, 43)).float()
    torch.manual_seed(0)
    model, normalisation, _ = build_model(config, 7)
    if frozen:
        config = dataclasses.replace(config, pretrained="weights that were loaded before")
    train, validation = (pictures[:27], targets[:27], weights[:27]), (pictures[27:], labels[27:])
    process = process or accelerate.Accelerator(cpu=True)
    return Loop(config, process, model, normalisation, train, validation, folder)


@pytest.mark.parametrize("clip", [1e-3, None])
def test_the_gradients_norm_is_clipped(clip, tmp_path):
    config = dataclasses.replace(CONFIG, gradient_clip=clip, drop_path_rate=0.0)
    loop = make(tmp_path, config)
    before = copy.deepcopy(list(loop.model.parameters()))
    loop.step(loop.model.train(), torch.optim.SGD(loop.model.parameters(), 1.0), torch.arange(8), 48)
    moved = math.sqrt(
        sum(float((a - b).detach().square().sum()) for a, b in zip(before, loop.model.parameters(), strict=True))
    )
    assert moved == pytest.approx(clip, rel=0.05) if clip else moved > 0.01


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def same(one, other):
    """Whether two states are equal to the bit, whatever is nested in them."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_resumed_from_any_checkpoint_ends_with_the_same_state(frozen, tmp_path, monkeypatch):
    """After every step, after the last step of an epoch but before its validation, and between the stages."""
    saved = []

    def keep(folder, state, step, keep):
        saved.append((step, copy.deepcopy(state)))
        save_checkpoint(folder, state, step, keep)

    monkeypatch.setattr(loop_module, "save_checkpoint", keep)
    whole = make(tmp_path / "whole", frozen=frozen)
    whole.fit()
    states, end = saved.copy(), saved[-1][1]
    assert len(states) == 3 * (STEPS + 1)
    best = load_file(tmp_path / "whole" / "best.safetensors")
    for number, (step, state) in enumerate(states[:-1]):
        folder = tmp_path / str(number)
        save_checkpoint(folder / "checkpoints", state, step, keep=1)
        resumed = make(folder, frozen=frozen)
        resumed.fit(resume=True)
        _, last = saved[-1]
        where = f"resumed after step {state['progress']['step']} of epoch {state['progress']['epoch']}"
        for part in ("model", "ema", "optimizer"):
            assert same(last[part], end[part]), f"{where}: {part} differs"
        assert without_seconds(last["progress"]["history"]) == without_seconds(end["progress"]["history"]), where
        if last["progress"]["best_epoch"] >= state["progress"]["epoch"]:  # else it was written before the resumption
            assert same(load_file(folder / "best.safetensors"), best), where


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    make(tmp_path, dataclasses.replace(CONFIG, epochs=(1, 0), size_schedule=())).fit()
    with pytest.raises(CheckpointError, match="trained on other pictures"):
        make(tmp_path, seed=1).fit(resume=True)


@pytest.mark.parametrize("compiled", [False, True])
def test_every_stage_computes_in_the_precision_asked_for(compiled, tmp_path, monkeypatch):
    """Accelerate takes a network that it has seen for prepared: the second stage would be in full precision."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))  # Inductor takes 40 s
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        process = accelerate.Accelerator(cpu=True, mixed_precision="bf16")
        config = dataclasses.replace(CONFIG, epochs=(1, 1), size_schedule=(), compile=compiled)
        loop = make(tmp_path, config, process=process)
        types = []
        loop.model.get_classifier().register_forward_hook(lambda module, inputs, output: types.append(output.dtype))
        loop.fit()
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert types == [torch.bfloat16] * 2 * STEPS


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path):
    """A network without batch norm and dropout, in which pictures of a batch do not see each other."""
    config = dataclasses.replace(
        CONFIG, architecture="test_efficientnet_ln", dropout=0.0, drop_path_rate=0.0, optimizer="sgd", epochs=(0, 1),
        learning_rate=(0.05, 0.05), size_schedule=(),
    )  # fmt: skip
    weights = []
    for parts in (1, 4):
        trained = make(tmp_path / str(parts), dataclasses.replace(config, gradient_accumulation=parts))
        trained.fit()
        weights.append(trained.model.state_dict())
    begun = make(tmp_path / "0", config).model.state_dict()
    assert not torch.allclose(begun["conv_stem.weight"], weights[0]["conv_stem.weight"], atol=1e-4)
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, atol=1e-5, rtol=1e-4)


def test_norms_and_biases_do_not_decay_and_earlier_blocks_learn_more_slowly(tmp_path):
    loop = make(tmp_path, dataclasses.replace(CONFIG, layer_decay=0.5, weight_decay=0.07))
    groups = loop.begin_stage(1)[1].param_groups
    names = {id(parameter): name for name, parameter in loop.model.named_parameters()}
    decay = {names[id(p)]: (group["weight_decay"], group["lr_scale"]) for group in groups for p in group["params"]}
    assert set(decay) == set(names.values())
    for name, parameter in loop.model.named_parameters():
        assert decay[name][0] == (0.07 if parameter.ndim > 1 else 0.0), name
    middle = next(name for name in names.values() if name.startswith("blocks.2"))
    assert decay["conv_stem.weight"][1] < decay[middle][1] < decay["classifier.weight"][1] == 1


def test_the_schedule_is_a_ramp_and_a_cosine_over_optimizer_steps():
    weights = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([{"params": [weights], "lr_scale": 0.5}], 1.0)
    config = TrainConfig(learning_rate=(1e-3, 2e-3), ramp_epochs=2.0, final_learning_rate=0.1)
    rates = [set_learning_rate(optimizer, config, 1, done, 10) for done in np.linspace(0, 10, 101)]
    assert rates[0] < 2e-6 and rates[10] == pytest.approx(1e-3, rel=1e-2) and rates[20] == pytest.approx(2e-3)
    assert rates[60] == pytest.approx(2e-3 * (0.1 + 0.9 * 0.5)) and rates[-1] == pytest.approx(2e-4)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)  # the block's part of it
    # a warm-up from scratch is all ramp; on a frozen backbone it has a ramp and a cosine of its own
    assert set_learning_rate(optimizer, config, 0, 1.9, 2) == pytest.approx(0.95e-3, rel=1e-2)
    frozen = dataclasses.replace(config, pretrained="hub", ramp_epochs=0.5)
    assert set_learning_rate(optimizer, frozen, 0, 1.9, 2) < 2e-4


def test_patience_ends_the_fine_tuning_and_never_the_warm_up(tmp_path):
    config = dataclasses.replace(
        CONFIG, epochs=(4, 9), early_stopping=2, learning_rate=(0.0, 0.0), ema_decay=0.0, size_schedule=(),
        weight_decay=0.0, architecture="test_efficientnet_ln", checkpoint_minutes=100.0,
    )  # fmt: skip
    loop = make(tmp_path, config)
    loop.fit()
    assert [row["stage"] for row in loop.progress.history] == ["warmup"] * 4 + ["finetune"] * 2
    assert loop.progress.best_epoch == 0


def test_patience_waits_for_the_last_size_whose_weights_are_exported(tmp_path):
    config = dataclasses.replace(
        CONFIG, epochs=(0, 9), early_stopping=2, learning_rate=(0.0, 0.0), ema_decay=0.0, weight_decay=0.0,
        architecture="test_efficientnet_ln", checkpoint_minutes=100.0, size_schedule=((0, 32), (4, 48)),
    )  # fmt: skip
    loop = make(tmp_path, config)
    loop.fit()
    assert [row["input_size"] for row in loop.progress.history] == [32] * 4 + [48] * 3


def test_a_stop_that_is_asked_for_during_validation_is_not_lost(tmp_path, monkeypatch):
    loop = make(tmp_path)
    monkeypatch.setattr(loop, "report", lambda row: loop.request_stop(signal.SIGTERM, None))
    with pytest.raises(TrainingStopped, match="stopped after epoch 1; .*--resume goes on"):
        loop.fit()
    assert torch.load(tmp_path / "checkpoints" / f"step-{STEPS:09d}.pt", weights_only=True)["progress"]["epoch"] == 1


def test_machines_that_would_resume_from_different_steps_are_told(tmp_path):
    class Machines:
        num_processes, device = 2, "cpu"

        def gather(self, own):
            return torch.cat([own, own + 7])

    with pytest.raises(CheckpointError, match="checkpoints of steps 0, 7 .* one folder that all machines share"):
        check_all_resume_alike(Machines(), 0, tmp_path)


def test_a_new_size_begins_a_new_choice_of_the_best(tmp_path):
    loop = make(tmp_path)
    loop.fit()
    assert [row["input_size"] for row in loop.progress.history] == [32, 32, 48]
    assert loop.progress.best_epoch == 2


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
def test_the_best_weights_are_those_of_the_named_metrics_best_epoch(metric, tmp_path, monkeypatch):
    figures = iter([(1.2, 0.1, 0.5), (1.1, 0.3, 0.2), (0.9, 0.2, 0.4)])

    def chosen(logits, labels):
        return dict(zip(("loss", "accuracy", "macro_f1"), next(figures), strict=True))

    monkeypatch.setattr(loop_module, "selection_figures", chosen)
    loop = make(tmp_path, dataclasses.replace(CONFIG, size_schedule=(), selection_metric=metric))
    loop.fit()
    best = {"accuracy": 1, "macro_f1": 0, "loss": 2}[metric]
    assert loop.progress.best_epoch == best
    state = torch.load(tmp_path / "checkpoints" / f"step-{STEPS * (best + 1):09d}.pt", weights_only=True)
    weights = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(weights[name], tensor) for name, tensor in state["ema"].items())


def test_the_best_weights_carry_what_they_were_normalised_with(tmp_path):
    loop = make(tmp_path)
    loop.normalisation = Normalisation(0.449, 0.226)
    loop.save_best()
    config = dataclasses.replace(CONFIG, pretrained=str(tmp_path / "best.safetensors"))
    assert build_model(config, 7)[1] == Normalisation(0.449, 0.226)


def test_a_compiled_network_trains_to_checkpoints_that_an_uncompiled_one_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))  # Inductor takes 40 s
    config = dataclasses.replace(CONFIG, compile=True, epochs=(0, 1), size_schedule=(), mixup=0.0, cutmix=0.0)
    loop = make(tmp_path, config)
    loop.fit()
    assert math.isfinite(loop.progress.history[0]["train_loss"])
    plain = timm.create_model("test_efficientnet", num_classes=7)
    state = torch.load(next((tmp_path / "checkpoints").glob(f"*{STEPS}.pt")), weights_only=True)
    plain.load_state_dict(state["model"])
