"""What the backward pass of train/depthwise.py gains a training step on a CPU.

    python -m benchmarks.depthwise --data PATH [--write]      a minute and a half on two idle cores

Forward, backward and optimizer of the same network with torch's own backward pass and with ours, by turns.
"""

import argparse
import copy
import datetime
import platform
import statistics

import torch

from benchmarks.report import machine, publish, ratio, table
from benchmarks.training import plain_training, recipe_and_arrays, started_process, take_turns
from train.data import LABEL_NAMES
from train.depthwise import ease_depthwise_backward
from train.model import build_model


def comparison(data):
    """Markdown table of both ways over input sizes."""
    config, arrays = recipe_and_arrays(data)
    process = started_process(config, cpu=True)  # where there is a GPU too
    torch.manual_seed(0)
    network, _, _ = build_model(config, len(LABEL_NAMES))
    rows = []
    for size in (48, 64, 96):
        images = torch.from_numpy(arrays.images[: config.batch_size, None]).float() / 255
        images = torch.nn.functional.interpolate(images, size=(size, size), mode="bilinear").expand(-1, 3, -1, -1)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.from_numpy(arrays.labels[: config.batch_size])
        steps = {}
        for way, ours in (("torch's own", False), ("by taps", True)):
            model = copy.deepcopy(network)
            if ours:
                ease_depthwise_backward(model)
            steps[way] = bound(plain_training(model, config, process), images, labels)
        figures = take_turns(steps, config.batch_size)
        own, taps = figures.values()
        rows.append([f"{size} px", *(f"{statistics.median(one):.0f}" for one in (own, taps)), ratio(taps, own)])
    return table(["picture", "torch's own, pictures/s", "by taps", "times as fast, median (range)"], rows)


def bound(step, images, labels):
    return lambda: step(images, labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER-2013")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    args = parser.parse_args()
    where = (
        f"`python -m benchmarks.depthwise --data PATH`, {datetime.date.today()}, {machine()}, Python"
        f" {platform.python_version()}, torch {torch.__version__}; batches of 64, fp32, `channels_last`."
    )
    publish("depthwise", f"{where}\n\n{comparison(args.data)}", args.write)


if __name__ == "__main__":
    main()
