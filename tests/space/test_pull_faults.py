"""FER_MODEL=USER/NAME through a bad connection: the right answer, or a sentence and a cache that heals."""

import json
import subprocess
import sys

import pytest
from huggingface_hub import HfApi, constants

from hub.commit import commit_files

REPOSITORY = "user/faulty"
# what app.py does to get its model, then one grey picture
PULL = """
import json, numpy, sys
from space.classifier import ModelError
from space.model_source import load_model
try:
    classifier, source = load_model()
except ModelError as error:
    sys.exit(f"ModelError: {error}")
picture = numpy.random.default_rng(0).integers(0, 256, (48, 48), numpy.uint8)
print(json.dumps([source.revision, classifier.predict([picture]).probabilities[0].tolist()]))
"""

# a published Space as it starts: what it serves, and what the page says of it
START = """
import json, sys
from space import model_source
model_source.published_model = lambda: sys.argv[1]
from space.about import head_html
from space.analysis import Analyzer
analyzer = Analyzer.load(detector="haar")
print(json.dumps([analyzer.source.name, len(analyzer.classifier.label_names), head_html(analyzer, "en")]))
"""


@pytest.fixture(scope="module")
def commit(hub_server, random_model_folder):
    """The commit that the stand-in holds."""
    files = {
        path.relative_to(random_model_folder).as_posix(): path.read_bytes()
        for path in random_model_folder.rglob("*")
        if path.is_file()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the stand-in knows LFS alone
        api = HfApi(endpoint=hub_server.url, token="hf_standin")
        return commit_files(REPOSITORY, files, message="model", api=api).oid


@pytest.fixture
def pull(hub, commit, repository, tmp_path):
    """Pulls in a process of its own, with the cache of the test; the finished process."""

    def run():
        return subprocess.run(
            [sys.executable, "-c", PULL],
            cwd=repository,
            env=hub.environment(tmp_path / "home") | {"FER_MODEL": REPOSITORY},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="module")
def expected(random_model_folder, repository):
    """The folder's own answer."""
    import numpy as np

    from space.classifier import load_classifier

    picture = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    return load_classifier(random_model_folder).predict([picture]).probabilities[0].tolist()


def answer(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "GET .*model.onnx", "times": 2, "cut": 5_000_000},
        {"match": "GET .*model.onnx", "times": 1, "status": 429, "headers": {"Retry-After": "1"}},
        {"match": "(GET|HEAD) .*model.onnx", "times": 2, "delay": 3},
    ],
    ids=["cut within", "429", "slow"],
)
def test_what_passes_gives_the_right_answer(pull, hub, commit, expected, fault):
    hub.faults(fault)
    assert answer(pull()) == [commit, pytest.approx(expected, abs=1e-5)]


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "GET .*model.onnx", "times": 99, "cut": 0},
        {"match": "GET .*model.onnx", "times": 99, "status": 500},
        {"match": "GET .*model.onnx", "times": 1, "corrupt": True},
    ],
    ids=["cut for good", "500", "wrong hash"],
)
def test_what_does_not_pass_is_a_sentence_and_the_next_start_is_whole(pull, hub, commit, expected, fault):
    hub.faults(fault)
    done = pull()
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"ModelError: {REPOSITORY}")
    hub.faults()
    assert answer(pull()) == [commit, pytest.approx(expected, abs=1e-5)]


def test_without_a_connection_the_cache_serves(pull, hub, commit, expected):
    assert answer(pull())[0] == commit
    hub.faults({"match": "api/models|resolve", "times": 99, "status": 503})
    assert answer(pull()) == [commit, pytest.approx(expected, abs=1e-5)]


@pytest.mark.parametrize(
    "fault",
    [
        {"match": "api/models|resolve", "times": 99, "status": 503},
        {"match": "GET .*model.onnx", "times": 99, "cut": 4_000_000},
        {"match": "GET .*model.onnx", "times": 1, "corrupt": True},
    ],
    ids=["no answer", "half a file", "wrong hash"],
)
def test_a_space_that_cannot_fetch_its_model_serves_the_embedded_one_and_says_so(
    hub, commit, repository, tmp_path, fault
):
    def start():
        environment = hub.environment(tmp_path / "home")
        environment.pop("FER_MODEL", None)
        published = f"{REPOSITORY}@{commit}"
        return answer(
            subprocess.run(
                [sys.executable, "-c", START, published],
                cwd=repository, env=environment, capture_output=True, text=True,
            )
        )  # fmt: skip

    hub.faults(fault)
    name, classes, head = start()
    assert (name, classes) == ("embedded", 7)
    assert f"The model {REPOSITORY}@{commit} could not be fetched" in head
    hub.faults()
    name, classes, head = start()
    assert name == REPOSITORY and "could not be fetched: the one" not in head
