"""Fixtures that several folders of tests share."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
def model_folder():
    """The embedded default."""
    return ROOT / "model"


@pytest.fixture(scope="session")
def random_model_folder(tmp_path_factory):
    """A freshly exported model folder with random weights at 64 px: weights, config and ONNX, without figures."""
    import torch

    from train.config import TrainConfig, to_yaml
    from train.export import export_model
    from train.model import build_model

    folder = tmp_path_factory.mktemp("random_model")
    torch.manual_seed(0)
    config = TrainConfig(input_size=64)
    model, normalisation, _ = build_model(config, 7)
    torch.nn.init.normal_(model.get_classifier().weight, std=0.2)  # so that the probabilities differ by class
    export_model(model, normalisation, config.input_size, folder)
    (folder / "train_config.yaml").write_text(to_yaml(config))
    return folder


@pytest.fixture(scope="session")
def child_environment():
    """Environment for child processes: the repository importable, one thread, no network of a hub."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
