"""Fixtures that several folders of tests share."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

pytest_plugins = ["tests.hub.plugin"]
ROOT = Path(__file__).resolve().parent.parent
TOGETHER = ("browser", "static")  # folders whose tests share a Chromium and the servers that it visits
LONGEST = (
    "browser",
    "train/test_train_process",
    "static",
    "space/test_publish",
    "space/test_load",
    "train/test_teachers",
    "train/test_score",
    "train/test_pretrain",
    "train/test_paper",
    "train/test_push",
    "hub/test_pull_loaders",
    "train/test_push_to_hub",
)


def group_of(nodeid):
    """What one worker runs: a folder that belongs together, or a file."""
    _, folder, file = nodeid.split("::")[0].rsplit("/", 2)
    return folder if folder in TOGETHER else f"{folder}/{file.removesuffix('.py')}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Whole groups go to a worker. xdist's own --dist loadgroup does not see its marks in pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items):
    """The longest groups first: as the last one, each would keep a worker alone."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(group_of(item.nodeid), len(order)))


@pytest.fixture(scope="session")
def repository():
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """The real FER-2013 as parquet, outside the repository; its tests say so where it is not there."""
    folder = Path(os.environ.get("FER_SHARED", ROOT.parent / "shared")) / "data"
    if not (folder / "fer2013" / "training.parquet").is_file():
        pytest.skip(f"needs ../shared: no FER-2013 in {folder}")
    return folder


@pytest.fixture(scope="session")
def yunet_path():
    """The face detector's file: that of ../shared, else that of FER_DETECTOR, else from the Hub or its cache."""
    from space.detectors import HUB_ERRORS, YUNET_FILE, fetched_yunet

    folder = Path(os.environ.get("FER_SHARED", ROOT.parent / "shared")) / "data" / "models"
    for path in (folder / YUNET_FILE, Path(os.environ.get("FER_DETECTOR", ""))):
        if path.is_file():
            return path
    try:
        return fetched_yunet()
    except HUB_ERRORS as error:
        pytest.skip(f"needs YuNet: not in {folder}, not named by FER_DETECTOR, not to be fetched ({error})")


@pytest.fixture(scope="session")
def playwright():
    """The driver of every browser in the session: a second could not start beside it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def model_folder():
    """The embedded default."""
    return ROOT / "model"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """made_once(name, make): the folder of that name, which the first worker to ask has filled by `make(folder)`."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder(name, make):
        with FileLock(root / f"{name}.lock"):
            if not (root / name).is_dir():
                unfinished = tmp_path_factory.mktemp(name)
                make(unfinished)
                unfinished.rename(root / name)
        return root / name

    return folder


@pytest.fixture(scope="session")
def random_model_folder(made_once):
    """A freshly exported model folder with random weights at 64 px: weights, config and ONNX, without figures."""
    return made_once("random_model", export_random_weights)


def export_random_weights(folder):
    import torch

    from train.config import TrainConfig, to_yaml
    from train.export import export_model
    from train.model import build_model

    torch.manual_seed(0)
    config = TrainConfig(input_size=64)
    model, normalisation, _ = build_model(config, 7)
    for module in model.modules():  # from scratch the residual branches are zero: give every layer a say
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
            module.momentum = None  # the plain mean over the batches below
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(normalisation(torch.nn.functional.interpolate(torch.rand(8, 1, 8, 8), size=64, mode="bicubic")))
    torch.nn.init.normal_(model.get_classifier().weight, std=0.1)  # so that the probabilities differ by class
    export_model(model, normalisation, config.input_size, folder)
    (folder / "train_config.yaml").write_text(to_yaml(config))


@pytest.fixture(scope="session")
def complete_model_folder(random_model_folder, made_once):
    """The random model folder with metrics.json, figures and card: the figures are those of random probabilities."""

    def complete(folder):
        shutil.copytree(random_model_folder, folder, dirs_exist_ok=True)
        add_figures(folder)

    return made_once("complete_model", complete)


def add_figures(folder):
    import numpy as np

    from model_card.build import build_card
    from train.data import LABEL_NAMES
    from train.metrics import evaluate_probabilities
    from train.score import weights_sha256, write_metrics

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 7, 400)
    logits = generator.normal(size=(400, 7)) + 2 * np.eye(7)[labels]
    sharp, soft = (np.exp(scale * logits) / np.exp(scale * logits).sum(1, keepdims=True) for scale in (2, 1))
    entry = evaluate_probabilities(
        soft, labels, label_names=LABEL_NAMES, before=sharp, in_training=generator.random(400) < 0.1, bootstrap=200
    ) | {
        "data_fingerprint": "0" * 64,
        "weights_sha256": weights_sha256(folder),
        "command": "accelerate launch train/score.py --model model --data PATH --split public_test",
        "date": "2026-01-01",
        "hardware": "a test",
    }
    history = [
        {
            "epoch": epoch,
            "stage": "warmup" if epoch == 1 else "finetune",
            "input_size": 48 if epoch < 3 else 64,
            "learning_rate": 1e-3,
            "train_loss": 2 / epoch,
            "validation_loss": 2.1 / epoch,
            "validation_accuracy": 1 - 0.8 / epoch,
            "validation_macro_f1": 1 - 0.9 / epoch,
            "seconds": 10.0,
        }
        for epoch in range(1, 5)
    ]
    training = {
        "seed": 0,
        "commit": None,
        "command": "accelerate launch train/train.py --data PATH --output runs/test",
        "date": "2026-01-01",
        "hardware": "a test",
        "seconds": 40.0,
        "pictures_seen": 4000,
        "epochs": 4,
        "energy_kwh": None,
        "public_test_looks": 1,
        "lineage": [],
        "datasets": ["FER-2013 Training"],
        "history": history,
    }
    write_metrics(
        folder,
        {
            "schema_version": 1,
            "label_names": list(LABEL_NAMES),
            "model": {
                "architecture": "efficientnet_b2",
                "parameters": 7_710_000,
                "input_size": [3, 64, 64],
                "weights_sha256": weights_sha256(folder),
            },
            "calibration": {
                "temperature": 2.0,
                "bias": [0.1, -0.6, 0.2, 0.2, 0.3, -0.3, 0.1],
                "fitted_on": "validation",
                "folded": True,
            },
            "training": training,
            "splits": {"public_test": {"single": entry}, "validation": {"single": entry}},
        },
    )
    build_card(folder)


@pytest.fixture(scope="session")
def child_environment():
    """Environment for child processes: the repository importable, one thread, no network of a hub."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
