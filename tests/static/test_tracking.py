"""The page's smoothing of live faces against the app's, number for number."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from space.model_source import ModelSource
from space.static.generate import generate
from space.tracking import Tracker
from tests.static.test_resample import NODE


def test_tracks_are_those_of_the_app(model_folder, tmp_path):
    """Three faces that wander, cross, leave for a while and come back, at uneven times."""
    generator = np.random.default_rng(0)
    steps, now = [], 100.0
    places = np.array([[50.0, 60, 80, 90], [300, 80, 70, 80], [200, 200, 90, 100]])
    for step in range(120):
        now += float(generator.uniform(0.02, 0.9))
        places[:, :2] += generator.normal(0, 9, (3, 2))
        away = 50 <= step < 62  # the first face, for longer than it is remembered
        seen = [i for i in range(away, 3) if generator.random() < 0.8 or step < 3]
        found = [{"box": places[i].tolist(), "probabilities": generator.dirichlet(np.ones(7)).tolist()} for i in seen]
        steps.append({"now": now, "found": found})
    page = generate(ModelSource("embedded", model_folder), "0" * 64, "1.0")
    (tmp_path / "app.json").write_text(json.dumps(page.app))
    done = subprocess.run(
        [NODE, "--no-warnings", Path(__file__).with_name("tracking.mjs")],
        input=json.dumps(steps), env=os.environ | {"FER_GENERATED": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tracker = Tracker()
    for step, answer in zip(steps, json.loads(done.stdout), strict=True):
        found = step["found"]
        tracks = tracker.update(step["now"], [f["box"] for f in found], [f["probabilities"] for f in found])
        assert [track.number for track in tracks] == [one["number"] for one in answer]
        for track, one in zip(tracks, answer, strict=True):
            assert one["box"] == pytest.approx(track.box.tolist())
            assert one["probabilities"] == pytest.approx(track.probabilities.tolist())
            assert one["length"] == len(track.history)
    assert tracker.count > 3, "no face was ever lost"
