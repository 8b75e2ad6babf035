"""Bias-corrected temperature scaling: a temperature and an offset for each class, fitted on validation.

The temperature makes confidence mean accuracy (Guo et al. 2017); the offsets take back that class weights, votes and
teachers have the network say some classes oftener than the labels do (Alexandari et al. 2020).

Offsets of the largest likelihood make the mean probability of each class the share of its labels. The answers, the
largest probabilities, still name a class too seldom that is often the second guess, as fear is. With sharpness s the
mean of p^s / sum p^s is that share: s = 1 is the likelihood, and the larger s, the nearer come the answers' shares.

Where a class must be recognised at some rate, its own offset is what sets that (`with_least_recalls`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import binomtest

BOUND = np.log(20)  # of the temperature's logarithm, either way
CONFIDENCE = 0.95  # one-sided, of the recall that a class must have
ROUNDS = 100


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are `logits / temperature + bias`; `bias` is float64 [K] with a sum of 0."""

    temperature: float
    bias: np.ndarray

    def undone(self, logits):
        """What the network said, of calibrated logits [..., K]."""
        return (logits - self.bias) * self.temperature


def fit_calibration(logits, labels, sharpness=1.0):
    """The Calibration that minimises the mean of -log softmax(logits / T + b)[label] + |b|^2 / 2n, T in [0.05, 20].

    `logits` float [n, K], `labels` int [n]. The second term, a standard normal prior on each offset, keeps that of a
    class without pictures finite. With `sharpness` s > 1, T stays and b is fitted anew, to the mean of
    (log sum_c exp(s (logits / T + b)_c)) / s - b[label] + |b|^2 / 2n, which is convex and for s = 1 the same.
    Raises ValueError for logits that are not finite.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if not np.isfinite(logits).all():
        raise ValueError("the logits hold numbers that are not finite")
    n, classes = logits.shape
    targets = np.eye(classes)[labels]

    def loss_and_slope(parameters):
        scaled = logits * np.exp(-parameters[0])
        shifted = scaled + parameters[1:]
        loss = -(targets * log_softmax(shifted, axis=1)).sum() / n + (parameters[1:] ** 2).sum() / (2 * n)
        slope = (softmax(shifted, axis=1) - targets) / n
        return loss, np.concatenate([[-(slope * scaled).sum()], slope.sum(0) + parameters[1:] / n])

    # from the temperature that brings the logits to a spread of 1, so that their unit does not matter
    start = np.concatenate([[np.clip(np.log(logits.std() + 1e-9), -BOUND, BOUND)], np.zeros(classes)])
    bounds = [(-BOUND, BOUND)] + [(None, None)] * classes
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    scaled, shares = logits * np.exp(-found[0]), targets.mean(0)

    def sharp_loss_and_slope(bias):
        sharp = sharpness * (scaled + bias)
        loss = logsumexp(sharp, axis=1).mean() / sharpness - shares @ bias + (bias**2).sum() / (2 * n)
        return loss, softmax(sharp, axis=1).mean(0) - shares + bias / n

    bias = found[1:]
    if sharpness != 1:
        bias = minimize(sharp_loss_and_slope, bias, jac=True, method="L-BFGS-B", options=options).x
    return Calibration(float(np.exp(found[0])), bias - bias.mean())


def pictures_needed(recall, n):
    """How many of a class's `n` pictures must be recognised for the lower end of the one-sided 95% interval of its
    recall (Wilson 1927) to be at least `recall`; None where `n` are too few."""
    ends = (binomtest(k, n, alternative="greater").proportion_ci(CONFIDENCE, "wilson").low for k in range(1, n + 1))
    return next((k for k, low in enumerate(ends, 1) if low >= recall), None)


def with_least_recalls(calibration, logits, labels, least):
    """`calibration` with the offsets of some classes raised, each by as little as its recall asks for.

    `least` {label: recall in 0-1}: what the lower end of the interval of `pictures_needed` must reach on `logits` float
    [n, K] with `labels` int [n]. The offset ends midway between the last picture that is needed and the next one. The
    one scale of all logits of which the loss is lowest then takes back what the offsets did to the confidences, and
    changes no answer. Raises ValueError where the pictures of a class are too few, or where the recalls can't be had
    together.
    """
    scaled, labels = np.asarray(logits, np.float64) / calibration.temperature, np.asarray(labels)
    needed = {label: pictures_needed(recall, int((labels == label).sum())) for label, recall in least.items()}
    if few := [label for label, k in needed.items() if k is None]:
        raise ValueError(f"{(labels == few[0]).sum()} pictures are too few to show a recall of {least[few[0]]:g}")
    bias = calibration.bias.copy()
    for _ in range(ROUNDS):
        before = bias.copy()
        for label, k in needed.items():
            own = scaled[labels == label] + bias
            short = np.sort(np.delete(own, label, 1).max(1) - own[:, label])  # by how much the class is not the answer
            if short[k - 1] >= 0:
                after = short[k] if k < len(short) else short[k - 1]
                bias[label] += max((short[k - 1] + after) / 2, short[k - 1] + 1e-6)
        if np.array_equal(bias, before):
            break
    else:
        raise ValueError(f"recalls of {', '.join(map('{:g}'.format, least.values()))} can't be had together")
    shifted = scaled + bias - bias.mean()
    scale = minimize_scalar(
        lambda log: -log_softmax(np.exp(log) * shifted, axis=1)[np.arange(len(labels)), labels].mean(),
        bounds=(-BOUND, BOUND),
        method="bounded",
        options={"xatol": 1e-9},
    ).x
    return Calibration(float(calibration.temperature / np.exp(scale)), (bias - bias.mean()) * np.exp(scale))


def fold(calibration, classifier):
    """Write the Calibration into the linear layer's weight and bias, so that every loader gives calibrated logits."""
    with torch.no_grad():
        classifier.weight.div_(calibration.temperature)
        classifier.bias.div_(calibration.temperature).add_(torch.from_numpy(calibration.bias).to(classifier.bias))
