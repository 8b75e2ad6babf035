"""Faces over time: each keeps its number, and its box and probabilities are smoothed."""

import math
from dataclasses import dataclass, field

import numpy as np

SMOOTHING_SECONDS = 0.5  # time constant of the exponential average of probabilities
BOX_SECONDS = 0.1  # of boxes: they must follow a moving head
FORGET_SECONDS = 2.0  # a face unseen for longer is gone
HISTORY_SECONDS = 30.0
LEAST_OVERLAP = 0.2  # intersection over union of one face in two pictures


@dataclass
class Track:
    """One face in view; `history` holds (seconds, probabilities) of the last half minute."""

    number: int
    box: np.ndarray
    probabilities: np.ndarray
    seen: float
    history: list = field(default_factory=list)


@dataclass
class Tracker:
    """Numbers faces from 1 as they come into view. Times are seconds of one clock that never goes back."""

    tracks: list[Track] = field(default_factory=list)
    count: int = 0

    def update(self, now, boxes, probabilities):
        """Take what was found at `now`: boxes [n, 4] (x, y, width, height) and probabilities [n, k].

        Returns the tracks in view, in the order of the boxes given. Pairs are matched greedily by overlap.
        """
        self.tracks = [track for track in self.tracks if now - track.seen <= FORGET_SECONDS]
        pairs = sorted(
            (
                (overlap(track.box, box), t, b)
                for t, track in enumerate(self.tracks)
                for b, box in enumerate(boxes)
                if overlap(track.box, box) >= LEAST_OVERLAP
            ),
            reverse=True,
        )
        matched, taken = {}, set()
        for _, t, b in pairs:
            if b not in matched and t not in taken:
                matched[b] = self.tracks[t]
                taken.add(t)
        for b, box in enumerate(boxes):
            box, p = np.asarray(box, np.float64), np.asarray(probabilities[b], np.float64)
            track = matched.get(b)
            if track is None:
                self.count += 1
                track = matched[b] = Track(self.count, box, p, now)
                self.tracks.append(track)
            else:
                track.box = track.box + weight(now - track.seen, BOX_SECONDS) * (box - track.box)
                change = weight(now - track.seen, SMOOTHING_SECONDS) * (p - track.probabilities)
                track.probabilities = track.probabilities + change
                track.seen = now
            track.history = [entry for entry in track.history if now - entry[0] <= HISTORY_SECONDS]
            track.history.append((now, track.probabilities))
        return [matched[b] for b in range(len(boxes))]


def weight(seconds, constant):
    """The new value's share in an exponential average after `seconds`, whatever the pictures' rate."""
    return 1.0 - math.exp(-max(seconds, 0.0) / constant)


def overlap(a, b):
    """Intersection over union of two boxes (x, y, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / (a[2] * a[3] + b[2] * b[3] - shared))
