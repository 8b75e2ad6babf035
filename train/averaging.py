"""Averages of the weights that a run began from and those that it ended with (Wortsman et al. 2022, WiSE-FT).

Where a run has gone on from trained weights, the straight line between both ends can stay among good weights; a point
on it is then about as good as both networks' averaged answers, at the cost of one network.
`python -m train.score_averages` compares the points on validation.
"""

import dataclasses

import torch

from train.data import LABEL_NAMES
from train.model import build_model, load_weights

BEGUN = "begun.safetensors"
"""A run's own copy of the weights that it began with: `config.pretrained` may name others by the time that it goes on
or ends, and a classifier that was drawn anew is nowhere else."""


def averaged(config, run, share):
    """(network, Normalisation) whose state is `share` of BEGUN in the folder `run` and the rest of its best weights.

    Raises ConfigError where either can't be read.
    """
    network, _, _ = build_model(dataclasses.replace(config, pretrained="none"), len(LABEL_NAMES))
    load_weights(network, run / BEGUN)
    begun = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    normalisation, _ = load_weights(network, run / "best.safetensors")
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():  # batch norms also count their batches
                tensor.lerp_(begun[name], share)
    return network.eval(), normalisation
