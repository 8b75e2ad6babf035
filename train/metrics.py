"""The figures of one scored split: an `evaluate.Metric` that needs no network, over scikit-learn's arithmetic."""

import datasets
import evaluate
import numpy as np
from scipy.special import softmax
from sklearn import metrics as sk

BINS = 15


class EmotionMetric(evaluate.Metric):
    """Accuracy, balanced accuracy, macro and weighted F1 and the per-class table, fed once from gathered predictions.

    `compute(predictions=[n], references=[n], label_names=[K])`; both are class numbers in 0..K-1.
    """

    def _info(self):
        return evaluate.MetricInfo(
            description="Classification figures of facial emotion recognition",
            citation="",
            inputs_description="predictions and references: class numbers",
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions, references, label_names):
        classes = np.arange(len(label_names))
        columns = sk.precision_recall_fscore_support(references, predictions, labels=classes, zero_division=0.0)
        return {
            "accuracy": float(sk.accuracy_score(references, predictions)),
            "balanced_accuracy": float(np.mean(columns[1][columns[3] > 0])),
            "macro_f1": float(np.mean(columns[2][columns[3] > 0])),
            "weighted_f1": float(np.average(columns[2], weights=columns[3])),
            "per_class": {
                name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for name, p, r, f, s in zip(label_names, *columns, strict=True)
            },
            "confusion_matrix": sk.confusion_matrix(references, predictions, labels=classes).tolist(),
        }


def evaluate_probabilities(
    probabilities, labels, *, label_names, before=None, in_training=None, bootstrap=1000, seed=0
):
    """One view's entry of metrics.json.

    `probabilities` float [n, K] (rows sum to 1), `labels` int [n]; `before` the same without calibration;
    `in_training` bool [n]: the picture is also in Training. Intervals are 95% percentile bootstrap over pictures
    (`bootstrap` resamples). Macro F1 and balanced accuracy are means over the classes that occur.
    Raises ValueError for shapes that do not fit, labels outside 0..K-1 and figures that are not finite.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    check(probabilities, labels, len(label_names))
    predicted = probabilities.argmax(1)
    # keep_in_memory: the gathered predictions are here already, evaluate's cache file would only be shared by accident
    point = EmotionMetric(keep_in_memory=True).compute(
        predictions=predicted, references=labels, label_names=list(label_names)
    )
    top2 = np.any(np.argsort(-probabilities, axis=1, kind="stable")[:, :2] == labels[:, None], axis=1)
    samples = resampled(labels, predicted, top2, len(label_names), bootstrap, seed)
    entry = {"support": len(labels)}
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"):
        entry[name] = interval(point[name], samples[name])
    entry["top2_accuracy"] = interval(float(top2.mean()), samples["top2_accuracy"])
    likelihood = probabilities[np.arange(len(labels)), labels]
    entry["negative_log_likelihood"] = float(-np.log(np.maximum(likelihood, 1e-12)).mean())
    for suffix, values in (("", probabilities), ("_before", before)):
        if values is not None:
            table = reliability(np.asarray(values, np.float64), labels)
            entry[f"expected_calibration_error{suffix}"] = calibration_error(table)
            entry[f"reliability{suffix}"] = table
    entry["per_class"] = {
        name: {
            **{key: interval(row[key], samples[key][:, number]) for key in ("precision", "recall", "f1")},
            "support": row["support"],
        }
        for number, (name, row) in enumerate(point["per_class"].items())
    }
    entry["confusion_matrix"] = point["confusion_matrix"]
    entry["without_training_duplicates"] = None
    if in_training is not None and np.any(in_training) and not np.all(in_training):
        own = ~np.asarray(in_training, bool)
        part = evaluate_probabilities(
            probabilities[own], labels[own], label_names=label_names, bootstrap=bootstrap, seed=seed
        )
        entry["without_training_duplicates"] = {key: part[key] for key in ("support", "accuracy", "macro_f1")}
    return entry


def check(probabilities, labels, num_classes):
    if probabilities.ndim != 2 or probabilities.shape[1] != num_classes:
        raise ValueError(f"probabilities have shape {probabilities.shape}, expected [n, {num_classes}]")
    if len(labels) != len(probabilities) or not len(labels):
        raise ValueError(f"{len(labels)} labels for {len(probabilities)} rows of probabilities")
    if labels.min() < 0 or labels.max() >= num_classes:
        row = int(np.flatnonzero((labels < 0) | (labels >= num_classes))[0])
        raise ValueError(f"row {row}: label {labels[row]} is outside 0-{num_classes - 1}")
    if not np.isfinite(probabilities).all():
        row = int(np.flatnonzero(~np.isfinite(probabilities).all(1))[0])
        raise ValueError(f"row {row}: a probability is not a finite number")


def interval(value, samples):
    low, high = np.nanpercentile(samples, [2.5, 97.5])
    return {"value": float(value), "low": float(low), "high": float(high)}


def resampled(labels, predicted, top2, num_classes, times, seed):
    """Figures of `times` bootstrap resamples, from confusion matrices drawn at once.

    Resampling n pictures with replacement and counting them by (label, predicted, top-2 hit) is one multinomial draw.
    """
    cells = (labels * num_classes + predicted) * 2 + top2
    counts = np.bincount(cells, minlength=2 * num_classes**2)
    draws = np.random.default_rng(seed).multinomial(len(labels), counts / len(labels), size=times)
    draws = draws.reshape(times, num_classes, num_classes, 2)
    matrix = draws.sum(-1).astype(float)
    hits = np.einsum("nii->ni", matrix)
    support, chosen = matrix.sum(2), matrix.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / support  # NaN where a resample holds no picture of the class
        precision = np.where(chosen > 0, hits / chosen, 0.0)
        f1 = np.where(support + chosen > 0, 2 * hits / (support + chosen), np.nan)
    occurs = np.bincount(labels, minlength=num_classes) > 0
    return {
        "accuracy": hits.sum(1) / len(labels),
        "balanced_accuracy": np.nanmean(recall[:, occurs], axis=1),
        "macro_f1": np.nanmean(f1[:, occurs], axis=1),
        "weighted_f1": np.nansum(f1 * support, axis=1) / len(labels),
        "top2_accuracy": draws[..., 1].sum((1, 2)) / len(labels),
        "precision": precision,
        "recall": np.where(occurs, recall, 0.0),
        "f1": np.where(occurs, f1, 0.0),
    }


def reliability(probabilities, labels, bins=BINS):
    """Equal-width bins of confidence: count, mean confidence and accuracy of each (None where a bin is empty)."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    table = []
    for one in range(bins):
        inside = number == one
        count = int(inside.sum())
        table.append(
            {
                "low": one / bins,
                "high": (one + 1) / bins,
                "count": count,
                "confidence": float(confidence[inside].mean()) if count else None,
                "accuracy": float(right[inside].mean()) if count else None,
            }
        )
    return table


def calibration_error(table):
    """Expected calibration error: sum over bins of count/n |accuracy - confidence| (Naeini et al. 2015)."""
    total = sum(row["count"] for row in table)
    return float(sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in table if row["count"]) / total)


def selection_figures(logits, labels):
    """Cross entropy, accuracy and macro F1 of logits [n, K] against labels [n], unweighted."""
    predicted = logits.argmax(1)
    return {
        "loss": float(
            sk.log_loss(labels, softmax(logits.astype(np.float64), axis=1), labels=np.arange(logits.shape[1]))
        ),
        "accuracy": float(sk.accuracy_score(labels, predicted)),
        "macro_f1": float(sk.f1_score(labels, predicted, average="macro", labels=np.unique(labels))),
    }
