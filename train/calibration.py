"""Bias-corrected temperature scaling: a temperature and an offset for each class, fitted on validation.

The temperature makes confidence mean accuracy (Guo et al. 2017); the offsets take back that class weights, votes and
teachers have the network say some classes oftener than the labels do (Alexandari et al. 2020).

Offsets of the largest likelihood make the mean probability of each class the share of its labels. The answers, the
largest probabilities, still name a class too seldom that is often the second guess, as fear is. With sharpness s the
mean of p^s / sum p^s is that share: s = 1 is the likelihood, and the larger s, the nearer come the answers' shares.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

BOUND = np.log(20)  # of the temperature's logarithm, either way


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


def fold(calibration, classifier):
    """Write the Calibration into the linear layer's weight and bias, so that every loader gives calibrated logits."""
    with torch.no_grad():
        classifier.weight.div_(calibration.temperature)
        classifier.bias.div_(calibration.temperature).add_(torch.from_numpy(calibration.bias).to(classifier.bias))
