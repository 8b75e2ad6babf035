"""The corpus of odd, broken and hostile files, through the decoder in a process of its own and through the API.

A quarter of it by a fixed seed, and all the large ones; FER_SOAK=1 takes the whole.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.space import corpus
from tests.space.served import PATIENCE_SECONDS, Server, answer_of, file_data, upload

PARTS = 1 if os.environ.get("FER_SOAK") == "1" else 4
SECONDS = 60  # for one file: two on an idle machine, but a training run may hold most of this one
MEGABYTES = 300  # above the process at rest

# A process of its own: the peak of pytest's memory would be that of whatever test came before.
CHILD = """
import json, sys, time, warnings
from pathlib import Path
from space.analysis import Analyzer
from space.text import Refusal

def peak_megabytes():  # getrusage's would count the parent's at the fork
    return next(int(l.split()[1]) / 1024 for l in open("/proc/self/status") if l.startswith("VmHWM"))

folder, good = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
analyzer = Analyzer.load(detector="haar")
analyzer.analyse_file(good)
rest = peak_megabytes()
for path in sorted(folder.iterdir()):
    started = time.monotonic()
    try:
        picture, analysis = analyzer.analyse_file(path)
        outcome = ["picture", [list(picture.size), len(analysis.faces)]]
        del picture, analysis
    except Refusal as refusal:
        outcome = ["refusal", str(refusal)]
    except BaseException as error:
        outcome = ["crash", repr(error)]
    seconds = time.monotonic() - started
    assert len(analyzer.analyse_file(good)[1].faces) == 1, "the next good picture"
    print(json.dumps([path.name, *outcome, seconds, peak_megabytes() - rest]), flush=True)
"""


@pytest.fixture(scope="module")
def samples():
    return corpus.share(corpus.build(), PARTS)


def check(sample, kind, content):
    """Whether an outcome is what the sample's description asks for; `content` is a sentence or [size, faces]."""
    if sample.expected != "either":
        assert kind == sample.expected, f"{sample.name}: {content}"
    if kind == "picture":
        size, faces = content
        assert sample.size in (None, tuple(size)), f"{sample.name}: {size}"
        assert sample.faces in (None, faces), f"{sample.name}: {faces} faces"
    else:
        assert kind == "refusal", f"{sample.name}: {content}"
        assert content.endswith(".") and "Traceback" not in content and "Error" not in content, content


def test_the_corpus_is_large_and_always_the_same():
    whole = corpus.build()
    assert len(whole) >= 200
    assert len({sample.name for sample in whole}) == len(whole)
    damaged = [sample for sample in whole if sample.name.startswith("flipped")]
    assert [s.make() for s in damaged] == [s.make() for s in corpus.build() if s.name.startswith("flipped")]


def test_each_file_gets_an_answer_or_a_sentence_within_bounds(samples, portrait, repository, tmp_path):
    by_file = {}
    for number, sample in enumerate(s for s in samples if not s.data_url):
        path = tmp_path / f"{number:03}"
        path.write_bytes(sample.make())
        by_file[path.name] = sample
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    child = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD, str(tmp_path), portrait],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    outcomes = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(outcomes) == len(by_file)
    before = 0.0
    for file, kind, content, seconds, megabytes in outcomes:
        sample = by_file[file]
        check(sample, kind, content)
        assert seconds < SECONDS, sample.name
        assert megabytes < MEGABYTES, f"{sample.name}: the peak rose from {before:.0f} to {megabytes:.0f} MB"
        before = megabytes
    print(f"{len(outcomes)} files, slowest {max(o[3] for o in outcomes):.1f} s, peak {before:.0f} MB above rest")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("bad"))
    yield server
    server.stop()


def test_the_same_through_the_api(samples, server, portrait):
    good = Path(portrait).read_bytes()
    with httpx.Client(base_url=server.url, timeout=PATIENCE_SECONDS) as client:
        for sample in samples:
            data = sample.make()
            if sample.data_url:
                payload = {"url": corpus.data_url(data), "path": None, "meta": {"_type": "gradio.FileData"}}
                if len(payload["url"]) > 27e6:
                    kind, (status, text) = answer_of(client, payload)
                    assert (kind, status) == ("status", 413) and "too large" in text
                    continue
            else:
                payload = file_data(upload(client, data, sample.name))
            kind, content = answer_of(client, payload)
            if kind == "complete":
                size = sample.size  # the API's answer does not say it
                check(sample, "picture", (size or (0, 0), len(content["faces"])))
                check_boxes_are_inside(sample, content)
            else:
                check(sample, "refusal", json.loads(content)["error"])
        kind, content = answer_of(client, file_data(upload(client, good)))
        assert kind == "complete" and len(content["faces"]) == 1
    assert server.process.poll() is None
    log = server.log.read_text()
    assert "Traceback" not in log, log[-3000:]


def check_boxes_are_inside(sample, answer):
    for face in answer["faces"]:
        x, y, width, height = face["box"]
        assert min(x, y, width - 1, height - 1) >= 0, sample.name
        if sample.size:
            assert x + width <= sample.size[0] and y + height <= sample.size[1], sample.name
