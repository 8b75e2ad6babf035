"""The speed and memory of training: our loop, the network alone, a common script; over picture sizes and batches.

    python -m benchmarks.training --data PATH             two minutes on two idle cores; prints the tables
    python -m benchmarks.training --data PATH --write     also writes them into benchmarks/README.md

PATH is FER-2013 in any layout that training takes. The ways of training take turns, round by round, so that a busy
moment of the machine falls on all of them. Memory is what each needs beyond the process before it. It runs on the GPU
where there is one. The recipe is train/configs/scratch.yaml at its `input_size`.
"""

import argparse
import dataclasses
import datetime
import logging
import os
import platform
import statistics
import tempfile
import time
from itertools import chain, repeat
from pathlib import Path

import accelerate
import torch
from PIL import Image
from timm.optim import create_optimizer_v2
from torch.utils.data import DataLoader
from torchvision import datasets as folders
from torchvision import transforms

from benchmarks.peak_memory import PeakMemory
from benchmarks.report import publish, ratio, table
from train.config import load_config
from train.data import LABEL_NAMES, as_arrays, load_fer2013
from train.depthwise import ease_depthwise_backward
from train.loop import Loop
from train.loss import class_weights, soft_targets
from train.machine import hardware
from train.model import build_model
from train.validation import gathered_logits

logger = logging.getLogger(__name__)
RECIPE = Path(__file__).parent.parent / "train" / "configs" / "scratch.yaml"
WAYS = {
    "limit": "the network alone, one random batch that stays where it is",
    "ours": "our loop",
    "common": "DataLoader, Pillow, torchvision's transforms",
}
ROUNDS, STEPS = 3, 4
SIZES, BATCHES = (48, 64, 96, 128), (16, 32, 64, 128)
COMMON_PICTURES = 2048  # files for the DataLoader; it shuffles them anew each time round


def limit_step(config, process, arrays, folder):
    """Forward, backward and optimizer on a batch that stays on the device: what no loop can surpass."""
    torch.manual_seed(0)
    model, _, _ = build_model(config, len(LABEL_NAMES))
    images = torch.rand(config.batch_size, 3, config.input_size, config.input_size, device=process.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.arange(config.batch_size, device=process.device) % len(LABEL_NAMES)
    ease_depthwise_backward(model)  # as the loop's
    train_on = plain_training(model, config, process)
    return lambda: train_on(images, labels)


def plain_training(model, config, process):
    """A function that takes one optimizer step on (images, labels): the recipe's optimizer and nothing else."""
    model = model.to(process.device, memory_format=torch.channels_last).train()
    optimizer = create_optimizer_v2(model, opt=config.optimizer, lr=1e-4, weight_decay=config.weight_decay)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

    def step(images, labels):
        with process.autocast():
            loss = criterion(model(images), labels)
        process.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def our_loop(config, process, arrays, folder):
    voted = (config.ferplus_weight, config.ferplus_target)
    targets = soft_targets(arrays.labels, arrays.votes, len(LABEL_NAMES), config.label_smoothing, *voted)
    weights = class_weights(arrays.labels, len(LABEL_NAMES), config.class_weights)[torch.from_numpy(arrays.labels)]
    torch.manual_seed(0)
    model, normalisation, _ = build_model(config, len(LABEL_NAMES))
    validation = (arrays.images[:512], arrays.labels[:512])
    return Loop(config, process, model, normalisation, (arrays.images, targets, weights), validation, Path(folder))


def our_step(config, process, arrays, folder):
    """All that a step of the loop does: rows, augmentation, targets, loss, clipping, optimizer, moving average, and the
    losses brought back from the device."""
    loop = our_loop(config, process, arrays, folder)
    model, optimizer, _ = loop.begin_stage(1)
    rows = chain.from_iterable(torch.randperm(len(arrays.labels)).split(config.batch_size)[:-1] for _ in repeat(None))

    losses = []

    def step():
        batch = next(rows)
        losses.append((loop.progress.step, batch, loop.step(model, optimizer, batch, config.input_size)))
        if len(losses) == 20:  # as the loop does
            loop.settle(losses)
        loop.progress.step += 1
        loop.progress.total_steps += 1

    return step


def common_step(config, process, arrays, folder):
    """Picture files, opened and augmented by Pillow in worker processes, as scripts for image folders have it."""
    root = Path(folder) / "pictures"
    for number in range(min(COMMON_PICTURES, len(arrays.labels))):
        file = root / LABEL_NAMES[arrays.labels[number]] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            Image.fromarray(arrays.images[number]).save(file)
    transform = transforms.Compose(
        [
            transforms.Grayscale(3),
            transforms.RandomResizedCrop(config.input_size, (0.7, 1.0), (0.87, 1.15)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(config.rotation),
            transforms.ColorJitter(config.brightness, config.contrast),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.25] * 3),
            transforms.RandomErasing(config.erasing),
        ]
    )
    loader = DataLoader(
        folders.ImageFolder(root, transform), config.batch_size, shuffle=True, num_workers=os.cpu_count(),
        drop_last=True, persistent_workers=True, pin_memory=process.device.type == "cuda",
    )  # fmt: skip
    batches = chain.from_iterable(loader for _ in repeat(None))
    torch.manual_seed(0)
    train_on = plain_training(build_model(config, len(LABEL_NAMES))[0], config, process)

    def step():
        images, labels = next(batches)
        train_on(images.to(process.device, non_blocking=True), labels.to(process.device, non_blocking=True))

    return step


STEP = {"limit": limit_step, "ours": our_step, "common": common_step}


def pictures_a_second(step, batch_size, steps, unmeasured=0):
    """Of `steps` calls of `step` after `unmeasured` ones (what workers have ready from before another's turn)."""
    for _ in range(unmeasured):
        step()
    synchronize()
    started = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize()
    return steps * batch_size / (time.perf_counter() - started)


def synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def take_turns(steps, batch_size, rounds=ROUNDS):
    """{way: [pictures a second of each round]}; a first round warms up and does not count."""
    figures = {way: [] for way in steps}
    for number in range(rounds + 1):
        for way, step in steps.items():
            ready = 2 * os.cpu_count() + 1 if way == "common" else 1
            figures[way].append(pictures_a_second(step, batch_size, STEPS if number else 2, ready))
    return {way: values[1:] for way, values in figures.items()}


def recipe_and_arrays(data):
    """(the recipe at one size, the train split's arrays)."""
    config = dataclasses.replace(load_config(RECIPE), size_schedule=(), pretrained="none", teachers=())
    arrays = as_arrays(load_fer2013(data)["train"])
    return config if arrays.votes is not None else dataclasses.replace(config, ferplus_weight=0.0), arrays


def started_process(config, cpu=False):
    torch.set_num_threads(os.cpu_count())
    return accelerate.Accelerator(mixed_precision=config.mixed_precision, cpu=cpu)


def comparison(config, process, arrays, folder):
    """(Markdown table of the three ways, pictures a second of ours)."""
    steps, memory = {}, {}
    for way in WAYS:
        with PeakMemory() as peak:
            steps[way] = STEP[way](config, process, arrays, folder)
            pictures_a_second(steps[way], config.batch_size, 2)
        memory[way] = peak.megabytes
    figures = take_turns(steps, config.batch_size)
    rows = []
    for way, text in WAYS.items():
        spread = ratio(figures[way], figures["limit"]) if way != "limit" else "1"
        rows.append([text, f"{statistics.median(figures[way]):.0f}", spread, f"{memory[way]:,.0f} MB"])
    header = ["way of training", "pictures/s", "of the limit, median (range)", "peak memory"]
    logger.info("compared:\n%s", table(header, rows))
    return table(header, rows), statistics.median(figures["ours"])


def growth(config, process, arrays, folder):
    """Markdown table of our loop and the limit over sizes at the recipe's batch, and over batches at its size."""
    rows = []
    cases = [(size, config.batch_size) for size in SIZES] + [(config.input_size, batch) for batch in BATCHES]
    for size, batch in dict.fromkeys(cases):
        case = dataclasses.replace(config, input_size=size, batch_size=batch, size_schedule=())
        with PeakMemory() as memory:
            ours = our_step(case, process, arrays, folder)
            ours()
        speed = pictures_a_second(ours, batch, 2)
        limit = limit_step(case, process, arrays, folder)
        part = speed / pictures_a_second(limit, batch, 2, 1)
        logger.info("%d px, batches of %d: %.0f pictures/s", size, batch, speed)
        rows.append([f"{size} px", batch, f"{speed:.0f}", f"{batch / speed * 1000:.0f} ms", f"{part:.2f}"])
        rows[-1].append(f"{memory.megabytes:,.0f} MB")
        del ours, limit
        process.free_memory()  # Accelerate keeps what it prepared
    return table(["picture", "batch", "pictures/s", "a step", "of the limit", "peak memory"], rows)


def epoch_text(config, process, arrays, folder, speed):
    """A sentence on one epoch of Training, extrapolated from the steps that were timed."""
    loop = our_loop(config, process, arrays, folder)
    started = time.perf_counter()
    size = config.input_size
    gathered_logits(loop.ema.module, loop.validation_pictures, loop.normalisation, size, process)
    validation = (time.perf_counter() - started) * 3_590 / len(loop.validation_pictures)
    pictures = 25_119 // config.batch_size * config.batch_size
    return (
        f"One epoch of Training at {size} px, extrapolated: {pictures:,} pictures in {pictures / speed:.0f} s, and"
        f" {validation:.0f} s for the 3,590 of validation."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER-2013")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config, arrays = recipe_and_arrays(args.data)
    process = started_process(config)
    with tempfile.TemporaryDirectory() as folder:
        compared, speed = comparison(config, process, arrays, folder)
        epoch = epoch_text(config, process, arrays, folder, speed)
        grown = growth(config, process, arrays, folder)
    where = (
        f"`python -m benchmarks.training --data PATH`, {datetime.date.today()}, {hardware(process.device)}, Python"
        f" {platform.python_version()}, torch {torch.__version__}; {config.architecture}, {config.input_size} px,"
        f" batches of {config.batch_size}, mixed precision: {config.mixed_precision}."
    )
    publish("training", f"{where}\n\n{compared}\n\n{epoch}\n\n{grown}", args.write)


if __name__ == "__main__":
    main()
