"""Averages of the weights that a run began from and those that it ended with (Wortsman et al. 2022, WiSE-FT), and of
several runs from one beginning (Wortsman et al. 2022, model soups).

Where runs have gone on from trained weights, the straight lines between their ends, and to their beginning, can stay
among good weights; a point there is then about as good as all the networks' averaged answers, at the cost of one.
`python -m train.score_averages` compares the points on validation.
"""

import dataclasses
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from train.config import ConfigError
from train.data import LABEL_NAMES
from train.model import build_model, load_weights

BEGUN = "begun.safetensors"
"""A run's own copy of the weights that it began with: `config.pretrained` may name others by the time that it goes on
or ends, and a classifier that was drawn anew is nowhere else."""


def check_same_beginning(run, others):
    """Raises ConfigError where a run of the folders `others` began from other weights than that in the folder `run`."""
    with safe_open(run / BEGUN, framework="pt") as own:
        names = set(own.keys())
        for other in map(Path, others):
            try:
                with safe_open(other / BEGUN, framework="pt") as file:
                    same = set(file.keys()) == names and all(
                        torch.equal(file.get_tensor(name), own.get_tensor(name)) for name in names
                    )
            except (OSError, SafetensorError) as error:
                raise ConfigError(f"averaged_runs: {other / BEGUN} can't be read as safetensors: {error}") from None
            if not same:
                raise ConfigError(
                    f"averaged_runs: {other} and {run} began from different weights (a classifier that is drawn anew is"
                    " another for each seed); their mean would be no good"
                )


def averaged(config, run, share, others=()):
    """(network, Normalisation) whose state is `share` of BEGUN in the folder `run` and the rest of its best weights, or
    of the mean of its best weights and those of the runs `others`.

    Raises ConfigError where one can't be read, and for others that began from other weights.
    """
    check_same_beginning(run, others)
    network, _, _ = build_model(dataclasses.replace(config, pretrained="none"), len(LABEL_NAMES))

    def state(file):
        normalisation, _ = load_weights(network, file)
        return {name: tensor.clone() for name, tensor in network.state_dict().items()}, normalisation

    begun, _ = state(run / BEGUN)
    mean, normalisation = state(run / "best.safetensors")
    for position, other in enumerate(map(Path, others), 2):
        mix(mean, state(other / "best.safetensors")[0], 1 / position)
    mix(mean, begun, share)
    network.load_state_dict(mean)
    return network.eval(), normalisation


def mix(state, other, share):
    """`share` of `other` in `state`, in place."""
    for name, tensor in state.items():
        if tensor.is_floating_point():  # batch norms also count their batches
            tensor.lerp_(other[name], share)
