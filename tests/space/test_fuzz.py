"""Files that Hypothesis thinks of, from bytes to the answer: 30 seconds, with FER_SOAK=1 ten minutes."""

import json
import math
import os
import time

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from space.text import Refusal
from tests.space import corpus

SECONDS = 600 if os.environ.get("FER_SOAK") == "1" else 30


@pytest.fixture(scope="module")
def good():
    """{format: bytes of the portrait, small}."""
    small = corpus.portrait().resize((128, 150))
    return {image_format: corpus.encoded(small, image_format) for image_format in (*corpus.FORMATS, "BMP")}


edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "write", "insert", "delete", "repeat", "end"]),
        st.floats(0, 1, allow_nan=False),  # where, as a share of the file: headers are short, so squared below
        st.binary(min_size=1, max_size=8),
    ),
    max_size=8,
)


def edited(data, changes):
    """`data` after each of `edits`' changes in turn; never empty."""
    data = bytearray(data)
    for kind, share, content in changes:
        place = int(share**2 * (len(data) - 1))
        if kind == "flip":
            data[place] ^= content[0]
        elif kind == "write":
            data[place : place + len(content)] = content
        elif kind == "insert":
            data[place:place] = content
        elif kind == "delete":
            del data[place : place + 16 * len(content)]
        elif kind == "repeat":
            data[place:place] = data[place : place + 64 * len(content)]
        else:
            del data[place + 1 :]
        data = data or bytearray(b"\0")
    return bytes(data)


def check(analyzer, data):
    """Whether there is a sound answer (True) or a sentence (False); anything else is raised."""
    try:
        picture, analysis = analyzer.analyse_file(data)
    except Refusal as refusal:
        assert str(refusal).endswith((".", "can."))
        return False
    width, height = picture.size
    assert picture.image.mode == "RGB" and min(width, height) >= 1
    answer = json.loads(json.dumps(analysis.as_json(), allow_nan=False))
    for face in answer["faces"]:
        x, y, w, h = face["box"]
        assert x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= width and y + h <= height
        assert math.isclose(sum(face["probabilities"].values()), 1, abs_tol=1e-4)
    return True


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of truncated TIFFs
def test_any_file_gets_an_answer_or_a_sentence(analyzer, good):
    deadline = time.monotonic() + SECONDS
    tried, read = 0, 0

    @seed(corpus.SEED)
    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(good)), edits, st.one_of(st.none(), st.binary(max_size=300)))
    def one_round(image_format, changes, raw):
        nonlocal tried, read
        if time.monotonic() > deadline:
            return
        tried += 1
        read += check(analyzer, edited(good[image_format], changes) if raw is None or changes else raw)

    while time.monotonic() < deadline:
        one_round()
        one_round = seed(tried)(one_round)  # other files in the next round
    print(f"{tried} files, {read} of them pictures")
    assert 0 < read < tried, "all alike: the edits do nothing, or too much"
