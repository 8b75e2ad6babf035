"""Averages of the weights that a run began from and those that it ended with (Wortsman et al. 2022, WiSE-FT), and of
several runs from one beginning (Wortsman et al. 2022, model soups).

Where runs have gone on from trained weights, the straight lines between their ends, and to their beginning, can stay
among good weights; a point there is then about as good as all the networks' averaged answers, at the cost of one.
`python -m train.score_averages` compares the points on validation.
"""

import dataclasses
from pathlib import Path

import torch

from train.config import ConfigError
from train.data import LABEL_NAMES
from train.model import build_model, load_weights

BEGUN = "begun.safetensors"
"""A run's own copy of the weights that it began with: `config.pretrained` may name others by the time that it goes on
or ends, and a classifier that was drawn anew is nowhere else."""


def averaged(config, run, share, others=()):
    """(network, Normalisation) whose state is `share` of BEGUN in the folder `run` and the rest of its best weights, or
    of the mean of its best weights and those of the runs `others`.

    Raises ConfigError where one can't be read, and for others that began from other weights.
    """
    network, _, _ = build_model(dataclasses.replace(config, pretrained="none"), len(LABEL_NAMES))

    def state(file):
        normalisation, _ = load_weights(network, file)
        return {name: tensor.clone() for name, tensor in network.state_dict().items()}, normalisation

    begun, _ = state(run / BEGUN)
    mean, normalisation = state(run / "best.safetensors")
    for position, other in enumerate(map(Path, others), 2):
        first, _ = state(other / BEGUN)
        if any(not torch.equal(first[name], tensor) for name, tensor in begun.items()):
            raise ConfigError(f"averaged_runs: {other} and {run} began from different weights; their mean is no good")
        mix(mean, state(other / "best.safetensors")[0], 1 / position)
    mix(mean, begun, share)
    network.load_state_dict(mean)
    return network.eval(), normalisation


def mix(state, other, share):
    """`share` of `other` in `state`, in place."""
    for name, tensor in state.items():
        if tensor.is_floating_point():  # batch norms also count their batches
            tensor.lerp_(other[name], share)
