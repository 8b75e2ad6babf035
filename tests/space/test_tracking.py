"""Faces keep their numbers, and what is said of them moves smoothly."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from space.live import LiveSession, live_html
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


def test_panels_keep_their_order_whatever_face_is_the_larger_one():
    session = LiveSession()
    for now, sizes in enumerate(((50, 40), (40, 50))):
        boxes = sorted([(0, 0, sizes[0], sizes[0]), (200, 0, sizes[1], sizes[1])], key=lambda box: -box[2])
        tracks = session.tracker.update(now / 10, boxes, [ANGRY, ANGRY])
        html = live_html(tracks, SimpleNamespace(label_names=["angry", "happy"], size=(320, 240)), 1.0, now / 10, "en")
        assert re.findall(r"<h3>Face (\d)", html) == ["1", "2"]
