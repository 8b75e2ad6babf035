"""Fixtures of the app's own tests."""

import pytest
from matplotlib.cbook import get_sample_data

from space.analysis import Analyzer


@pytest.fixture(scope="session")
def portrait():
    """Path of a portrait in the public domain: one face (Grace Hopper), in matplotlib's wheel."""
    return get_sample_data("grace_hopper.jpg", asfileobj=False)


@pytest.fixture(scope="session")
def analyzer(model_folder):
    """The embedded model behind the cascade, which needs nothing but OpenCV's wheel."""
    return Analyzer.load(str(model_folder), "haar")
