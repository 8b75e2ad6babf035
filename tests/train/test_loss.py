"""The soft-target loss against its formula, and against torch where the two agree."""

import numpy as np
import pytest
import torch

from train.config import ConfigError
from train.loss import FERPLUS_COLUMNS, class_weights, soft_target_loss, soft_targets
from train.score_votes import main

LABELS = np.array([0, 1, 6, 3, 3, 2])


def logits(seed=0):
    return torch.randn(len(LABELS), 7, generator=torch.Generator().manual_seed(seed))


def test_equals_torchs_cross_entropy_with_label_smoothing_without_weights():
    targets = soft_targets(LABELS, None, 7, 0.06, 0)
    expected = torch.nn.functional.cross_entropy(logits(), torch.from_numpy(LABELS), label_smoothing=0.06)
    assert soft_target_loss(logits(), targets) == pytest.approx(expected.item(), rel=1e-6)


def test_weights_multiply_whole_pictures_and_divide_by_their_number():
    targets = soft_targets(LABELS, None, 7, 0.1, 0).numpy()
    weights = torch.tensor([2.0, 0.5, 1, 1, 1, 3])
    log_p = torch.log_softmax(logits(), 1).numpy()
    expected = -sum(w * (t * lp).sum() for w, t, lp in zip(weights.tolist(), targets, log_p, strict=True)) / len(LABELS)
    assert soft_target_loss(logits(), torch.from_numpy(targets), weights).item() == pytest.approx(expected, rel=1e-5)


def test_class_weights_are_clipped_inverse_frequencies_with_a_mean_of_one_a_picture():
    labels = np.repeat(np.arange(3), [80, 15, 5])
    weights = class_weights(labels, 3, (0.5, 3.0)).numpy()
    assert weights[labels].mean() == pytest.approx(1, rel=1e-6)
    raw = np.clip(100 / (3 * np.array([80, 15, 5])), 0.5, 3.0)
    assert weights / weights[0] == pytest.approx(raw / raw[0], rel=1e-6)
    assert class_weights(labels, 3, None).tolist() == [1, 1, 1]


def test_a_class_without_pictures_is_named():
    with pytest.raises(ValueError, match=r"no training picture of class \[1\]"):
        class_weights(np.array([0, 2]), 3, (0.5, 3.0))


def test_ferplus_votes_are_mapped_to_fer2013s_order_and_mixed():
    names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear"]
    ours = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert [names[column] for column in FERPLUS_COLUMNS] == ours
    votes = np.zeros((1, 10), np.float32)
    votes[0, [0, 4, 7, 8]] = 3, 5, 1, 1  # neutral 3, anger 5; contempt and unknown are dropped
    targets = soft_targets(np.array([2]), votes, 7, 0, 0.5)[0]
    assert targets.tolist() == pytest.approx([0.5 * 5 / 8, 0, 0.5, 0, 0, 0, 0.5 * 3 / 8])


def test_fewer_than_three_votes_leave_the_label_alone():
    votes = np.zeros((1, 10), np.float32)
    votes[0, [0, 9]] = 2, 8
    assert soft_targets(np.array([2]), votes, 7, 0, 0.5)[0].tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_votes_in_the_language_of_the_labels_foretell_the_label_without_its_own():
    """Annotators who call half of what is labelled sad neutral; one picture whose label is an exception."""
    labels = np.array([4, 6] * 200 + [0, 1, 2, 3, 5] * 5)
    votes = np.zeros((len(labels), 10), np.float32)
    votes[np.arange(len(labels)), labels] = 3  # the rare classes, each a column of its own
    votes[:400] = 0
    votes[:400, 0], votes[:400, 3] = 10 - 5 * (labels[:400] == 4), 5 * (labels[:400] == 4)
    labels[0], votes[0] = 3, votes[2]
    targets = soft_targets(labels, votes, 7, 0, 1.0, "labels").numpy()
    assert targets.sum(1) == pytest.approx(np.ones(len(labels)), abs=1e-5)
    assert targets[2:400:2, 4].min() > 0.9 and targets[1:400:2, 6].min() > 0.9
    assert targets[0, 4] > 0.9 and targets[0, 3] < 0.05
    half = soft_targets(labels, votes, 7, 0, 0.5, "labels").numpy()
    assert half == pytest.approx((targets + np.eye(7)[labels]) / 2, abs=1e-6)
    assert soft_targets(labels, votes, 7, 0, 1.0)[2].tolist() == [0, 0, 0, 0, 0.5, 0, 0.5]


def test_the_command_says_how_well_votes_name_labels(shared_data, tmp_path, capsys):
    main(["--data", str(shared_data / "fer2013")])
    _, voted, foretold = (line.split() for line in capsys.readouterr().out.splitlines())
    accuracies = [float(line[4 if "class" in line else 3].rstrip("%")) for line in (voted, foretold)]
    assert 60 < accuracies[0] < accuracies[1] - 2 < 75
    source = tmp_path / "fer2013.csv"
    source.write_text(
        "emotion,pixels,Usage\n" + "".join(f"{n % 7},{' '.join([str(n)] * 2304)},Training\n" for n in range(70))
    )
    with pytest.raises(SystemExit, match="no FER\\+ votes"):
        main(["--data", str(source)])


def test_a_class_too_rare_for_the_folds_is_an_error_that_names_it():
    labels = np.array([0, 6] * 10 + [1])
    with pytest.raises(ConfigError, match=r"ferplus_target: labels needs .* class \[1\] has"):
        soft_targets(labels, np.ones((21, 10), np.float32), 7, 0, 0.5, "labels")


def test_votes_that_are_asked_for_and_missing_are_an_error():
    with pytest.raises(ValueError, match="no FER\\+ votes"):
        soft_targets(LABELS, None, 7, 0.06, 0.5)


def test_targets_are_distributions():
    assert soft_targets(LABELS, None, 7, 0.06, 0).sum(1).tolist() == pytest.approx([1] * 6)


def test_small_loss_selection_leaves_out_the_pictures_that_fit_worst_whatever_their_weight():
    targets = soft_targets(np.zeros(4, int), None, 7, 0, 0)
    logits = torch.zeros(4, 7, requires_grad=True)
    with torch.no_grad():
        logits[:, 0] = torch.tensor([3.0, -5.0, 1.0, 2.0])  # the second looks mislabelled
    weights = torch.tensor([1.0, 0.1, 1.0, 1.0])
    loss = soft_target_loss(logits, targets, weights, drop=0.25)
    kept = [0, 2, 3]
    assert loss.item() == pytest.approx(soft_target_loss(logits[kept], targets[kept], weights[kept]).item())
    loss.backward()
    assert logits.grad[1].abs().sum() == 0 and (logits.grad[kept].abs().sum(1) > 0).all()
    assert (
        soft_target_loss(logits, targets, weights, drop=0.2).item() == soft_target_loss(logits, targets, weights).item()
    )  # under one picture of the batch: nothing is left out
