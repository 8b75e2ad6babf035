"""Faces keep their numbers, and what is said of them moves smoothly."""

import numpy as np
import pytest

from space.tracking import HISTORY_SECONDS, Tracker, overlap, weight

ANGRY, HAPPY = np.array([0.9, 0.1]), np.array([0.1, 0.9])


def test_numbers_stay_with_moving_faces_in_any_order():
    tracker = Tracker()
    first = tracker.update(0.0, [(0, 0, 50, 50), (200, 0, 50, 50)], [ANGRY, HAPPY])
    second = tracker.update(0.1, [(205, 2, 50, 50), (5, 2, 50, 50)], [HAPPY, ANGRY])
    assert [track.number for track in first] == [1, 2]
    assert [track.number for track in second] == [2, 1]


def test_a_face_that_was_away_comes_back_as_another():
    tracker = Tracker()
    tracker.update(0.0, [(0, 0, 50, 50)], [ANGRY])
    assert tracker.update(1.8, [(0, 0, 50, 50)], [ANGRY])[0].number == 1
    assert tracker.update(4.0, [(0, 0, 50, 50)], [ANGRY])[0].number == 2


def test_one_wrong_picture_does_not_change_the_answer():
    tracker = Tracker()
    for step in range(20):
        tracker.update(step * 0.1, [(0, 0, 50, 50)], [HAPPY])
    assert tracker.update(2.0, [(0, 0, 50, 50)], [ANGRY])[0].probabilities.argmax() == 1
    for step in range(20):
        track = tracker.update(2.1 + step * 0.1, [(0, 0, 50, 50)], [ANGRY])[0]
    assert track.probabilities.argmax() == 0
    assert track.probabilities.sum() == pytest.approx(1.0)


def test_smoothing_does_not_depend_on_the_rate():
    once = 1 - weight(0.4, 0.5)
    assert (1 - weight(0.1, 0.5)) ** 4 == pytest.approx(once)


def test_history_is_bounded():
    tracker = Tracker()
    for step in range(400):
        track = tracker.update(step * 0.2, [(0, 0, 50, 50)], [HAPPY])[0]
    assert track.history[-1][0] - track.history[0][0] <= HISTORY_SECONDS
    assert len(tracker.tracks) == 1


def test_overlap():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 10, 10)) == 0.0
