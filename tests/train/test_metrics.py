"""The figures against hand counts, direct formulas and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn import metrics as sk

from train import score_calibrations
from train.calibration import fit_calibration, fold, pictures_needed, with_least_recalls
from train.metrics import EmotionMetric, calibration_error, evaluate_probabilities, reliability
from train.score_calibrations import figures

NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.fixture(scope="module")
def scored():
    """(probabilities [600, 7], labels [600]) of a made-up classifier that is right about two times in three."""
    generator = np.random.default_rng(0)
    labels = generator.choice(7, 600, p=[0.14, 0.02, 0.14, 0.25, 0.17, 0.11, 0.17])
    return softmax(generator.normal(size=(600, 7)) + 1.8 * np.eye(7)[labels], axis=1), labels


def test_by_hand():
    figures = EmotionMetric(keep_in_memory=True).compute(
        predictions=[0, 0, 1, 1], references=[0, 1, 1, 1], label_names=["a", "b"]
    )
    assert figures["accuracy"] == 0.75
    assert figures["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["per_class"]["a"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1}
    assert figures["per_class"]["b"] == {"precision": 1.0, "recall": pytest.approx(2 / 3), "f1": 0.8, "support": 3}
    assert figures["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert figures["weighted_f1"] == pytest.approx((2 / 3 + 3 * 0.8) / 4)
    assert figures["confusion_matrix"] == [[1, 0], [1, 2]]


def test_agrees_with_scikit_learn(scored):
    probabilities, labels = scored
    predicted = probabilities.argmax(1)
    entry = evaluate_probabilities(probabilities, labels, label_names=NAMES)
    assert entry["accuracy"]["value"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert entry["balanced_accuracy"]["value"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert entry["macro_f1"]["value"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert entry["weighted_f1"]["value"] == pytest.approx(sk.f1_score(labels, predicted, average="weighted"))
    assert entry["top2_accuracy"]["value"] == pytest.approx(sk.top_k_accuracy_score(labels, probabilities, k=2))
    assert entry["negative_log_likelihood"] == pytest.approx(sk.log_loss(labels, probabilities))
    assert entry["confusion_matrix"] == sk.confusion_matrix(labels, predicted).tolist()
    assert sum(row["support"] for row in entry["per_class"].values()) == entry["support"] == 600


def test_intervals_hold_their_value_and_have_the_width_of_a_proportions(scored):
    entry = evaluate_probabilities(*scored, label_names=NAMES, bootstrap=4000)
    for figure in (entry[name] for name in ("accuracy", "macro_f1", "weighted_f1", "top2_accuracy")):
        assert figure["low"] < figure["value"] < figure["high"]
    accuracy = entry["accuracy"]
    normal = 2 * 1.96 * np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / 600)
    assert accuracy["high"] - accuracy["low"] == pytest.approx(normal, rel=0.1)
    assert entry == evaluate_probabilities(*scored, label_names=NAMES, bootstrap=4000)


def test_calibration_error_is_the_formula(scored):
    probabilities, labels = scored
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0
    for number in range(15):
        inside = (confidence >= number / 15) & (confidence < (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(reliability(probabilities, labels)) == pytest.approx(expected)
    assert calibration_error(reliability(np.eye(7)[labels], labels)) == 0  # a confidence of 1 is in the last bin


def test_without_training_duplicates_scores_the_others_alone(scored):
    probabilities, labels = scored
    seen = np.arange(600) < 100
    entry = evaluate_probabilities(probabilities, labels, label_names=NAMES, in_training=seen)
    own = entry["without_training_duplicates"]
    assert own["support"] == 500
    assert own["accuracy"]["value"] == pytest.approx((probabilities.argmax(1) == labels)[100:].mean())
    assert evaluate_probabilities(probabilities, labels, label_names=NAMES)["without_training_duplicates"] is None


def test_a_class_that_does_not_occur_is_left_out_of_the_means():
    probabilities = np.array([[0.8, 0.2, 0.0], [0.3, 0.7, 0.0]])
    entry = evaluate_probabilities(probabilities, np.array([0, 1]), label_names=("a", "b", "c"))
    assert entry["macro_f1"]["value"] == 1 and entry["per_class"]["c"]["support"] == 0


@pytest.mark.parametrize(
    ("probabilities", "labels", "said"),
    [
        (np.full((2, 3), 1 / 3), [0, 1], r"shape \(2, 3\), expected \[n, 7\]"),
        (np.full((2, 7), 1 / 7), [0], "1 labels for 2 rows"),
        (np.full((2, 7), 1 / 7), [0, 7], "row 1: label 7 is outside 0-6"),
        (np.array([[np.nan] * 7]), [0], "row 0: a probability is not a finite number"),
        (np.zeros((0, 7)), [], "0 labels"),
    ],
)
def test_what_can_not_be_scored_is_refused(probabilities, labels, said):
    with pytest.raises(ValueError, match=said):
        evaluate_probabilities(probabilities, np.array(labels, int), label_names=NAMES)


def test_calibration_is_found_and_folded(scored):
    probabilities, labels = scored
    skew = np.array([0.0, 0.9, -0.4, 0.0, -0.5, 0.5, 0.3])  # what the network says too often, or too seldom
    logits = 3 * (np.log(probabilities) + skew)
    fitted = fit_calibration(logits, labels)
    assert fit_calibration(logits / 3, labels).temperature == pytest.approx(fitted.temperature / 3, rel=1e-3)
    assert fitted.bias.sum() == pytest.approx(0, abs=1e-9)

    def loss(temperature, bias):
        likelihood = log_softmax(logits / temperature + bias, axis=1)[np.arange(600), labels]
        return -likelihood.mean() + (bias**2).sum() / 1200

    best = loss(fitted.temperature, fitted.bias)
    assert best <= min(loss(fitted.temperature * factor, fitted.bias) for factor in (0.98, 1.02))
    for one in np.eye(7):
        assert best <= min(loss(fitted.temperature, fitted.bias + step * one) for step in (-0.02, 0.02)) + 1e-9
    occurs = np.bincount(labels, minlength=7) / 600  # as often as each class is then said, but for the prior
    assert np.abs(softmax(logits / 3, axis=1).mean(0) - occurs).max() > 0.02
    assert np.abs(softmax(logits / fitted.temperature + fitted.bias, axis=1).mean(0) - occurs).max() < 0.005

    classifier = torch.nn.Linear(5, 7)
    features = torch.randn(4, 5)
    before = classifier(features).detach().numpy()
    fold(fitted, classifier)
    after = classifier(features).detach().numpy()
    np.testing.assert_allclose(after, before / fitted.temperature + fitted.bias, atol=1e-6)
    np.testing.assert_allclose(fitted.undone(after), before, atol=1e-5)


def test_pictures_needed_are_those_of_wilsons_interval():
    """(p + z^2/2n - z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) with z = 1.6449, one-sided 95%."""
    z, n = 1.6448536, 124

    def low(p):
        return (p + z**2 / (2 * n) - z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)

    k = pictures_needed(0.5, n)
    assert k == 72 and low(k / n) >= 0.5 > low((k - 1) / n)
    assert pictures_needed(0.5, 2) is None and pictures_needed(0.5, 0) is None


def test_an_offset_is_raised_by_as_little_as_a_recall_asks_for(scored):
    probabilities, labels = scored
    logits = 2 * np.log(probabilities)
    fitted = fit_calibration(logits, labels)

    def recognised(calibration, label):
        answers = (logits / calibration.temperature + calibration.bias).argmax(1)
        return (answers[labels == label] == label).sum()

    of_fear, of_happy = (labels == 2).sum(), (labels == 3).sum()
    needed = recognised(fitted, 2) + 9
    recall = next(one for one in np.arange(0.3, 1, 0.002) if pictures_needed(one, of_fear) == needed)
    raised = with_least_recalls(fitted, logits, labels, {2: recall})
    assert recognised(raised, 2) == needed  # no more
    moved = raised.bias * raised.temperature - fitted.bias * fitted.temperature
    np.testing.assert_allclose(np.delete(moved, 2), np.delete(moved, 2).mean(), atol=1e-9)
    assert moved[2] > 0 and raised.bias.sum() == pytest.approx(0, abs=1e-9)
    losses = [
        -log_softmax(scale * (logits / raised.temperature + raised.bias), axis=1)[np.arange(600), labels].mean()
        for scale in (0.98, 1, 1.02)
    ]
    assert losses[1] < min(losses[0], losses[2])
    easy = with_least_recalls(fitted, logits, labels, {2: 0.2})  # it has that already
    np.testing.assert_allclose([easy.temperature, *easy.bias], [fitted.temperature, *fitted.bias], rtol=0.02, atol=0.02)

    both = with_least_recalls(fitted, logits, labels, {2: recall, 3: 0.7})
    assert recognised(both, 2) >= needed and recognised(both, 3) >= pictures_needed(0.7, of_happy)
    with pytest.raises(ValueError, match="recalls of 0.95, 0.95 can't be had together"):
        with_least_recalls(fitted, logits, labels, {2: 0.95, 3: 0.95})
    with pytest.raises(ValueError, match=f"{(labels == 1).sum()} pictures are too few to show a recall of 0.9"):
        with_least_recalls(fitted, logits, labels, {1: 0.9})


def test_sharper_offsets_bring_the_answers_shares_to_those_of_the_labels():
    """Class 2 is the second guess wherever it is right: never the largest probability, though its mean is right."""
    generator = np.random.default_rng(0)
    labels = generator.choice(3, 3000, p=[0.4, 0.3, 0.3])
    logits = np.log([[0.6, 0.1, 0.3], [0.1, 0.6, 0.3], [0.36, 0.3, 0.34]])[labels] + 0.3 * generator.normal(
        size=(3000, 3)
    )
    shares = np.bincount(labels) / 3000
    apart = []
    for sharpness in (1, 2, 5, 20):
        fitted = fit_calibration(logits, labels, sharpness)
        calibrated = logits / fitted.temperature + fitted.bias
        np.testing.assert_allclose(softmax(sharpness * calibrated, axis=1).mean(0), shares, atol=2e-3)
        apart.append(np.abs(np.bincount(calibrated.argmax(1), minlength=3) / 3000 - shares).max())
        assert fitted.temperature == fit_calibration(logits, labels).temperature
    assert apart == sorted(apart, reverse=True) and apart[0] > 3 * apart[-1], apart


def test_sharpnesses_are_compared_on_what_they_were_not_fitted_on(monkeypatch):
    labels = np.arange(200) % 7
    logits = 2.0 * np.eye(7)[labels] + np.random.default_rng(0).normal(size=(200, 7))
    seen = []

    def half(fitted, of, sharpness):
        seen.append((fitted, sharpness))
        return fit_calibration(fitted, of, sharpness)

    monkeypatch.setattr(score_calibrations, "fit_calibration", half)
    scored = []
    monkeypatch.setattr(score_calibrations, "figures", lambda rows, of: scored.append(of) or figures(rows, of))
    found = score_calibrations.comparison(logits, labels, halves=3)
    assert list(found) == list(score_calibrations.SHARPNESSES) and all(len(fitted) == 100 for fitted, _ in seen)
    for (fitted, _), of in zip(seen, scored, strict=True):
        rows = {row.tobytes() for row in fitted}
        rest = [label for row, label in zip(logits, labels, strict=True) if row.tobytes() not in rows]
        assert sorted(of) == sorted(rest)
    assert 0.5 < found[1.0][0] < 1 and found[1.0][3:].mean() == pytest.approx(found[1.0][0], abs=0.1)


def test_calibration_of_few_pictures_is_finite_and_of_infinite_logits_refused():
    alone = fit_calibration(np.eye(7)[[0, 0, 1]] * 5, np.array([0, 0, 1]))  # separable, and five classes are missing
    assert 0.05 <= alone.temperature <= 20 and np.isfinite(alone.bias).all() and np.abs(alone.bias).max() < 5
    with pytest.raises(ValueError, match="not finite"):
        fit_calibration(np.array([[np.inf, 0.0]]), np.array([0]))
