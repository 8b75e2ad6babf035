"""Temperature scaling: one number, fitted on validation, that makes confidence mean accuracy."""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def fit_temperature(logits, labels):
    """The T > 0 that minimises the mean of -log softmax(logits / T)[label] (Guo et al. 2017, section 4.2).

    `logits` float [n, K], `labels` int [n]; searched in [0.05, 20], on a logarithmic scale.
    Raises ValueError for logits that are not finite.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if not np.isfinite(logits).all():
        raise ValueError("the logits hold numbers that are not finite")
    rows = np.arange(len(labels))

    def loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean()

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def fold_temperature(classifier, temperature):
    """Divide the classifier's weight and bias by `temperature`, so that every loader gets calibrated logits."""
    with torch.no_grad():
        classifier.weight.div_(temperature)
        classifier.bias.div_(temperature)
