"""The two-stage training loop: resumable to the bit, and the same pictures whatever the number of processes.

Order, augmentation, mixing and dropout of a step are drawn from (seed, epoch, step) alone, never from a state that has
to be carried along; the global batch is drawn whole and each process takes its rows of it. What a process draws for its
rows (dropout, stochastic depth) and what its batch norms see depend on its share.
"""

import contextlib
import logging
import math
import signal
import time
from dataclasses import asdict

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from tqdm.auto import tqdm

from train.checkpoint import (
    check_all_resume_alike,
    check_same,
    digest,
    load_newest,
    save_checkpoint,
    save_weights,
)
from train.config import ConfigError
from train.depthwise import ease_depthwise_backward
from train.loss import soft_target_loss
from train.metrics import selection_figures
from train.mixing import mix_batch
from train.model import freeze_backbone, set_training_mode
from train.progress import HEADER, STAGES, Progress, table_row
from train.schedule import set_learning_rate
from train.seeds import generator, mixed_seed
from train.stopping import SIGNALS, TrainingStopped
from train.teachers import Teachers
from train.validation import gathered_logits

logger = logging.getLogger(__name__)
ASKING_STEPS = 10  # between two questions to the other processes of GPUs, which have them wait for each other


class NotFiniteError(RuntimeError):
    """A loss, or a logit of the validation split, that is not a finite number; the message names the batch or epoch."""


class Loop:
    """Trains `model` in place. `pictures` uint8 [n, h, w], `targets` float32 [n, K], `weights` float32 [n] and the
    validation split's `pictures` and `labels` stay on the device."""

    def __init__(self, config, accelerator, model, normalisation, train_split, validation_split, output):
        self.config, self.accelerator, self.model, self.normalisation = config, accelerator, model, normalisation
        device = accelerator.device
        self.pictures, self.targets, self.weights = (torch.as_tensor(part).to(device) for part in train_split)
        self.validation_pictures = torch.as_tensor(validation_split[0]).to(device)
        self.validation_labels = np.asarray(validation_split[1])
        self.teachers = None
        if config.teachers:
            self.teachers = Teachers(config.teachers, self.targets.shape[1], config.teacher_flip).to(device)
        self.digests = {
            "data": digest(self.pictures, self.targets, self.weights, self.validation_pictures),
            "teachers": digest(*self.teachers.state_dict().values()) if self.teachers else None,
        }
        self.output = output
        self.model.to(device)
        ease_depthwise_backward(self.model)
        if config.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.ema = ModelEmaV3(model, decay=config.ema_decay, use_warmup=True) if config.ema_decay else None
        self.progress = Progress()
        self.stop_signal = None
        self.max_steps = None  # of each epoch, for a dry run
        self.energy = None  # an EnergyMeter, where energy is measured
        self.reported = False  # whether the table of epochs has begun
        self.saved_at = time.monotonic()
        self.steps_per_epoch = len(self.pictures) // config.batch_size
        if self.steps_per_epoch == 0:
            raise ConfigError(
                f"batch_size {config.batch_size} exceeds the {len(self.pictures)} pictures of the train split"
            )

    # Stages

    def fit(self, resume=False):
        """Both stages, from the start or from the newest checkpoint; the best weights are then in best.safetensors."""
        state = load_newest(self.output / "checkpoints") if resume else None
        if resume and state is None:
            logger.warning("--resume: no checkpoint in %s; starting from the beginning", self.output / "checkpoints")
        if state:
            check_same(state, self.digests, self.output / "checkpoints")
            self.progress = Progress(**state["progress"])
            self.model.load_state_dict(state["model"])
            if self.ema:
                self.ema.module.load_state_dict(state["ema"])
            if self.accelerator.scaler and state["scaler"]:  # a run may go on from another precision
                self.accelerator.scaler.load_state_dict(state["scaler"])
            logger.info("resumed at epoch %d, step %d", self.progress.epoch + 1, self.progress.step)
        if resume:
            check_all_resume_alike(self.accelerator, self.progress.total_steps, self.output / "checkpoints")
        previous = {name: signal.signal(name, self.request_stop) for name in SIGNALS}
        try:
            first, second = self.config.epochs
            if self.progress.epoch < first:
                self.stage(0, first, state)
                state = None
            if self.progress.epoch < first + second:
                self.stage(first, first + second, state)
        finally:
            if self.stop_signal is None:  # else a second signal must not cut the way out
                for name, handler in previous.items():
                    signal.signal(name, handler)

    def begin_stage(self, number):
        """(network as Accelerate wraps it, optimizer, whether the backbone is frozen) of stage `number`, 0 or 1."""
        frozen = number == 0 and self.config.stage_starts_frozen
        freeze_backbone(self.model, frozen)
        set_training_mode(self.model, frozen)
        optimizer = create_optimizer_v2(
            self.model,
            opt=self.config.optimizer,
            lr=self.config.learning_rate[number],
            weight_decay=self.config.weight_decay,
            layer_decay=self.config.layer_decay if self.config.layer_decay < 1 else None,
            momentum=0.9,
        )
        model = torch.compile(self.model) if self.config.compile else self.model
        return *self.accelerator.prepare(model, optimizer), frozen

    def stage(self, start, end, state):
        """Epochs `start` to `end`, with an optimizer and a distributed wrapper of their own."""
        number = 0 if start == 0 and self.config.epochs[0] else 1
        model, optimizer, frozen = self.begin_stage(number)
        if state and (self.progress.epoch, self.progress.step) != (start, 0):  # else it is of the stage before
            optimizer.load_state_dict(state["optimizer"])
        patience = self.config.early_stopping if number else None  # a warm-up always leads to fine-tuning
        # patience counts from the last size on, whose weights alone are kept
        since = max([start, *(first for first, _ in self.config.size_schedule[-1:])])
        while self.progress.epoch < end and not self.progress.out_of_patience(patience, since):
            self.epoch(model, optimizer, number, frozen, start, end)
        # What `prepare` left on the network, or the next stage is trained without mixed precision. Not unwrap_model: it
        # binds a compiled network's own forward a second time.
        for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
            vars(self.model).pop(name, None)
        self.accelerator.free_memory()

    # One epoch

    def epoch(self, model, optimizer, number, frozen, start, end):
        config, progress, process = self.config, self.progress, self.accelerator
        steps = min(self.steps_per_epoch, self.max_steps or self.steps_per_epoch)
        size = config.size_at(progress.epoch)
        order = torch.randperm(len(self.pictures), generator=generator(config.seed, progress.epoch))
        set_training_mode(self.model, frozen)
        losses = []
        bar = tqdm(
            total=steps * config.batch_size,
            initial=progress.step * config.batch_size,
            desc=f"epoch {progress.epoch + 1}/{sum(config.epochs)} {STAGES[number]} {size} px",
            unit="pictures",
            unit_scale=True,
            disable=not process.is_main_process,
            mininterval=1.0,
        )
        with bar:
            while progress.step < steps:
                started = time.monotonic()
                done = progress.epoch - start + progress.step / self.steps_per_epoch
                rate = set_learning_rate(optimizer, config, number, done, end - start)
                rows = order[progress.step * config.batch_size : (progress.step + 1) * config.batch_size]
                losses.append((progress.step, rows, self.step(model, optimizer, rows, size)))
                progress.step += 1
                progress.total_steps += 1
                progress.pictures += config.batch_size
                if len(losses) == 20 or progress.step == steps:
                    self.settle(losses)
                progress.seconds += time.monotonic() - started
                progress.epoch_seconds += time.monotonic() - started
                bar.update(config.batch_size)
                bar.set_postfix(loss=f"{progress.loss_sum / max(1, progress.step - len(losses)):.3f}", lr=f"{rate:.1e}")
                self.save_or_stop(optimizer, losses)
        # the last step's rate anew: a run that is resumed between it and the validation has not set it
        done = progress.epoch - start + (steps - 1) / self.steps_per_epoch
        rate = set_learning_rate(optimizer, config, number, done, end - start)
        self.finish_epoch(optimizer, number, size, rate, steps)

    def step(self, model, optimizer, rows, size):
        """One optimizer step on the global batch `rows`; returns this process's loss as a tensor."""
        config, process = self.config, self.accelerator
        seed = (config.seed, self.progress.epoch, self.progress.step)
        parts = config.gradient_accumulation
        share = len(rows) // (process.num_processes * parts)
        drop = config.small_loss_drop * min(1, self.progress.epoch / max(config.small_loss_ramp, 1e-9))
        total = torch.zeros((), device=process.device)
        for part in range(parts):
            offset = (process.process_index * parts + part) * share
            batch = slice(offset, offset + share)
            images, targets, weights = mix_batch(
                self.pictures, self.targets, self.weights, rows, batch, config, size, generator(*seed, 1)
            )
            if self.teachers:
                targets = torch.lerp(targets, self.teachers(images), config.distillation_weight)
            torch.manual_seed(mixed_seed(*seed, 2, offset))  # dropout and stochastic depth
            images = self.normalisation(images)
            if config.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            with process.no_sync(model) if part < parts - 1 else contextlib.nullcontext():
                loss = soft_target_loss(model(images), targets, weights, drop) / parts
                process.backward(loss)
            total += loss.detach()
        if config.gradient_clip:
            process.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.model, step=self.progress.total_steps)
        return total

    def settle(self, losses):
        """Add the losses of the last steps to the epoch's sum, over all processes; stop at one that is not finite."""
        values = self.accelerator.reduce(torch.stack([loss for _, _, loss in losses]), "mean").tolist()
        for (step, rows, _), value in zip(losses, values, strict=True):
            if not math.isfinite(value):
                raise NotFiniteError(
                    f"epoch {self.progress.epoch + 1}, step {step + 1}: the loss is {value}; the batch is rows"
                    f" {rows.tolist()} of the train split; a lower learning rate or mixed_precision: no may help"
                )
            self.progress.loss_sum += value
        losses.clear()

    def finish_epoch(self, optimizer, number, size, rate, steps):
        progress = self.progress
        started = time.monotonic()
        network = self.ema.module if self.ema else self.model
        logits = gathered_logits(network, self.validation_pictures, self.normalisation, size, self.accelerator)
        if not np.isfinite(logits).all():
            raise NotFiniteError(
                f"epoch {progress.epoch + 1}: the logits of the validation split are not finite after its last batch;"
                " a lower learning rate or mixed_precision: no may help"
            )
        figures = selection_figures(logits, self.validation_labels)
        seconds = time.monotonic() - started
        if progress.end_epoch(number, size, rate, steps, figures, seconds, self.config.selection_metric):
            self.save_best()
        self.report(progress.history[-1])
        self.save(optimizer)
        if self.wished(self.stop_signal is not None)[0]:  # asked for since the last step
            self.stop(f"epoch {progress.epoch}")

    def report(self, row):
        if not self.reported:
            logger.info(HEADER)
        self.reported = True
        logger.info(table_row(row, sum(self.config.epochs), self.progress.best_epoch == row["epoch"] - 1))
        figures = {name: value for name, value in row.items() if isinstance(value, float)}
        self.accelerator.log(figures, step=row["epoch"])

    # Saving and stopping

    def request_stop(self, number, frame):
        self.stop_signal = number

    def save_or_stop(self, optimizer, losses):
        """A checkpoint when it is due or asked for, at the same step in every process."""
        several_gpus = self.accelerator.num_processes > 1 and self.accelerator.device.type != "cpu"
        if several_gpus and self.progress.step % ASKING_STEPS:
            return
        due = time.monotonic() - self.saved_at > 60 * self.config.checkpoint_minutes
        stop, due = self.wished(self.stop_signal is not None, due)
        if not stop and not due:
            return
        if losses:
            self.settle(losses)
        self.save(optimizer)
        if stop:
            self.stop(f"step {self.progress.step} of epoch {self.progress.epoch + 1}")

    def wished(self, *wishes):
        """For each wish whether any process has it; waits for the GPU where the answer is there."""
        if self.accelerator.num_processes == 1:
            return wishes
        return self.accelerator.reduce(torch.tensor(wishes, device=self.accelerator.device).float(), "sum").bool()

    def stop(self, where):
        raise TrainingStopped(
            f"stopped after {where}; the state is saved in {self.output / 'checkpoints'}; the same command with"
            " --resume goes on from here"
        )

    def save(self, optimizer):
        self.saved_at = time.monotonic()
        if self.accelerator.is_main_process:
            measured = self.energy and self.progress.energy_kwh is not None
            self.progress.energy_kwh = self.progress.energy_kwh + self.energy.lap() if measured else None
            state = {
                "progress": asdict(self.progress),
                **self.digests,
                "model": self.model.state_dict(),
                "ema": self.ema.module.state_dict() if self.ema else None,
                "optimizer": optimizer.state_dict(),
                "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
            }
            folder = self.output / "checkpoints"
            save_checkpoint(folder, state, self.progress.total_steps, self.config.keep_checkpoints)
        self.accelerator.wait_for_everyone()

    def save_best(self):
        if self.accelerator.is_main_process:
            network = self.ema.module if self.ema else self.model
            save_weights(network, self.normalisation, self.output / "best.safetensors")
