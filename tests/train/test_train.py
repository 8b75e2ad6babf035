"""What the training command refuses before it trains, and what a dry run leaves out; without its process."""

import accelerate
import pytest

from train import train
from train.config import ConfigError, TrainConfig

CALLED = ("--data", "faces", "--output", "run")


@pytest.fixture
def job(monkeypatch):
    """job(*flags, **options): the command's work, on data with nothing but Training."""
    monkeypatch.setattr(train, "load_validated", lambda *_, **__: {"train": [], "validation": []})

    def start(*flags, **options):
        args = train.parse([*CALLED, *flags])
        train.train_and_export(args, TrainConfig(input_size=32, **options), accelerate.PartialState(cpu=True))

    return start


def test_splits_that_the_data_lack_are_told_of_before_training_where_no_other_is_scored(job):
    said = "--score: faces holds no split private_test, test; it has train, validation"
    with pytest.raises(ConfigError, match=said):
        job("--score", "private_test", "test", architecture="test_efficientnet")


def test_what_could_not_be_exported_is_told_of_before_training_unless_it_is_a_teacher(job, monkeypatch):
    with pytest.raises(ConfigError, match="architecture: test_convnext can't be exported"):
        job(architecture="test_convnext")

    class Reached(Exception):
        pass

    def reached(split):
        raise Reached

    monkeypatch.setattr(train, "as_arrays", reached)
    with pytest.raises(Reached):
        job("--score", "private_test", architecture="fer_resnet9")


def test_a_dry_run_reports_to_nobody(monkeypatch):
    ran = []
    monkeypatch.setattr(train, "run", lambda args, config, job, command: ran.append(config.report_to))
    train.main([*CALLED, "--report_to", "[trackio]"])
    train.main([*CALLED, "--report_to", "[trackio]", "--dry_run"])
    assert ran == [("trackio",), ()]
