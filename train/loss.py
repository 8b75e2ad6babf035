"""Targets and loss. One soft-target loss serves labels, label smoothing, FER+ votes, mixup and class weights alike.

With y the label, v what FER+ says as a distribution, a its weight, e the smoothing and K classes, the target is

    t = (1 - e) * ((1 - a) * onehot(y) + a * v) + e / K

and, mixed with a partner by mixup, t <- l * t + (1 - l) * t'. The loss of N pictures over all processes is

    L = -(1/N) * sum_i w_i * sum_c t_ic * log p_ic

with w_i the weight of the class of picture i, mixed as the target is. `torch.nn.CrossEntropyLoss(weight,
label_smoothing)` differs: it weights the smoothing mass by class too, and divides by the sum of weights.
"""

import numpy as np
import torch

from train.config import ConfigError
from train.votes import label_given_votes

# FER+ columns: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not-a-face.
# Entry k is the column of FER-2013's class k; the last three columns have no class there and are dropped.
FERPLUS_COLUMNS = (4, 5, 6, 1, 3, 2, 0)
FERPLUS_FEWEST_VOTES = 3


def soft_targets(labels, votes, num_classes, label_smoothing, ferplus_weight, ferplus_target="votes"):
    """float32 [n, num_classes] from labels int64 [n] and FER+ votes float32 [n, 10] or None.

    `ferplus_target` "votes" has v as the votes themselves; where fewer than three are left for the seven classes,
    FER-2013's label stands alone. "labels" has v as P(label | votes) (train/votes.py), of all ten columns.
    Raises ConfigError where FER+ has a weight and there are no votes.
    """
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    if ferplus_weight:
        if votes is None:
            raise ConfigError(f"ferplus_weight is {ferplus_weight}, but the data hold no FER+ votes")
        if ferplus_target == "labels":
            said, heard = label_given_votes(labels, votes, num_classes), True
        else:
            kept = votes[:, FERPLUS_COLUMNS]
            total = kept.sum(1, keepdims=True)
            said, heard = kept / np.maximum(total, 1), total >= FERPLUS_FEWEST_VOTES
        targets = np.where(heard, (1 - ferplus_weight) * targets + ferplus_weight * said, targets)
    return torch.from_numpy((1 - label_smoothing) * targets + label_smoothing / num_classes).float()


def class_weights(labels, num_classes, clip):
    """float32 [num_classes]: n / (K n_c), clipped to `clip`, then scaled so that the mean over the pictures is 1.

    `clip` None switches the weights off (all 1). Raises ConfigError for a class without pictures.
    """
    if clip is None:
        return torch.ones(num_classes)
    counts = np.bincount(labels, minlength=num_classes)
    if (counts == 0).any():
        raise ConfigError(f"class_weights: no training picture of class {np.flatnonzero(counts == 0).tolist()}")
    weights = np.clip(len(labels) / (num_classes * counts), *clip)
    return torch.from_numpy(weights * len(labels) / (weights * counts).sum()).float()


def soft_target_loss(logits, targets, weights=None, drop=0.0):
    """Mean over the pictures of w_i times the cross entropy with soft targets; arguments [n, K], [n, K], [n].

    The `drop` part of the pictures with the largest cross entropy (unweighted, so that no class is dropped for its
    weight) is left out: small-loss selection, as co-teaching does it (Han et al. 2018), by the network's own loss.
    """
    losses = -(targets * torch.log_softmax(logits.float(), dim=1)).sum(1)
    weighted = losses if weights is None else losses * weights
    left_out = int(drop * len(losses))
    if left_out:
        weighted = weighted[losses.detach().argsort()[: len(losses) - left_out]]
    return weighted.mean()
