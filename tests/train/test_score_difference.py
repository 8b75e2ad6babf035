"""Two model folders compared on the same pictures."""

import json
import shutil

import numpy as np
import pytest
import yaml

from train.metrics import selection_figures
from train.score_difference import differences, main, tempered


def answers(generator, labels, certainty):
    """Random probabilities [n, 7] that lean to the label."""
    logits = generator.normal(size=(len(labels), 7))
    logits[np.arange(len(labels)), labels] += certainty
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_figures_are_those_that_training_selects_by():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 6, 300)  # the seventh class does not occur
    before, after = answers(generator, labels, 0.5), answers(generator, labels, 1.5)
    found = differences(before, after, np.eye(7)[labels], resamples=200)
    for place, probabilities in enumerate((before, after)):
        expected = selection_figures(np.log(probabilities), labels)
        for name, row in found.items():
            assert row[place] == pytest.approx(expected[name]), name
    for name, (one, other, low, high) in found.items():
        assert low < other - one < high, name
    assert found["loss"][3] < 0 < found["accuracy"][2]  # so much better that no resample says otherwise


def test_pairing_sees_what_separate_intervals_hide():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 7, 500)
    before = answers(generator, labels, 1.0)
    nudged = before.copy()
    nudged[np.arange(500), labels] *= 1.05
    nudged /= nudged.sum(1, keepdims=True)
    _, _, low, high = differences(before, nudged, np.eye(7)[labels], resamples=200)["loss"]
    assert high < 0 and high - low < 0.01
    losses = -np.log(before[np.arange(500), labels])
    assert 1.96 * losses.std() / np.sqrt(500) > 0.05  # one folder's own interval is many times as wide
    assert differences(before, before, np.eye(7)[labels], resamples=50)["loss"][2:] == (0, 0)


def test_an_expected_label_says_the_same_with_less_noise():
    generator = np.random.default_rng(2)
    chances = generator.dirichlet(np.full(7, 0.5), 4000)
    labels = (chances.cumsum(1) > generator.random((4000, 1))).argmax(1)
    before, after = chances * 0.8 + 0.2 / 7, chances * 0.9 + 0.1 / 7  # `after` knows the chances better
    drawn = differences(before, after, np.eye(7)[labels], resamples=200)
    expected = differences(before, after, chances, resamples=200)
    for name, (_, other, low, high) in expected.items():
        assert other == pytest.approx(drawn[name][1], abs=0.03), name
        assert high - low <= drawn[name][3] - drawn[name][2], name
    assert expected["loss"][3] < 0
    assert expected["loss"][3] - expected["loss"][2] < (drawn["loss"][3] - drawn["loss"][2]) / 2


def test_at_its_own_temperature_a_bolder_folder_is_no_other():
    generator = np.random.default_rng(3)
    chances = generator.dirichlet(np.full(7, 0.5), 500)
    bolder = chances**1.5 / (chances**1.5).sum(1, keepdims=True)
    assert np.abs(bolder - chances).max() > 0.05
    np.testing.assert_allclose(tempered(bolder, chances), chances, atol=1e-3)
    assert (tempered(bolder, chances).argmax(1) == bolder.argmax(1)).all()


def copied(model_folder, to, **changes):
    """A folder of the same weights whose run is said to have been set up otherwise."""
    shutil.copytree(model_folder, to)
    file = to / "train_config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))
    metrics = json.loads((to / "metrics.json").read_text())
    metrics["splits"] = {}
    (to / "metrics.json").write_text(json.dumps(metrics))
    return to


def test_folders_are_compared_on_what_neither_was_trained_on(repository, shared_data, tmp_path, capsys):
    data = ["--data", str(shared_data / "fer2013")]
    small = [copied(repository / "model", tmp_path / name, limit=300) for name in ("one", "two")]
    main([*data, "--before", str(small[0]), "--after", str(small[1]), "--views", "single", "flip"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13 and all("+0.0000 [+0.0000, +0.0000]" in line for line in lines[1:])

    other = copied(repository / "model", tmp_path / "other", split_seed=1)
    with pytest.raises(SystemExit, match="score_difference: .*different pictures"):
        main([*data, "--before", str(small[0]), "--after", str(other)])
    with pytest.raises(SystemExit, match="score_difference: .*nothing"):
        main([*data, "--before", str(small[0]), "--after", str(tmp_path / "nothing")])
