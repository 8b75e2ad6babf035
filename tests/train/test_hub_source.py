"""FER-2013 from the Hub, as others have put it there: columns, classes and splits by name, through the real clients."""

import functools
import io
import json
import subprocess
import sys
import tarfile

import datasets
import httpx2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from PIL import Image

from train.data import LABEL_NAMES
from train.hub_source import is_hub_id, read_hub, resolve_revision, usage_of
from train.pictures import SYNONYMS, SourceError

ALPHABETICAL = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
CLIP_NAMES = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
LOAD = """
import io, json, logging, sys
from train.data import SourceError, as_arrays, load_fer2013

def answer(source, options):
    try:
        splits = load_fer2013(source, **options)
    except SourceError as error:
        return {"error": str(error)}
    arrays = {name: as_arrays(split) for name, split in splits.items()}
    return {
        name: {"labels": one.labels.tolist(), "means": one.images.mean((1, 2)).round().tolist(),
               "in_training": one.in_training is not None}
        for name, one in arrays.items()
    }

for question in sys.stdin:
    said = io.StringIO()
    logging.basicConfig(format="%(message)s", stream=said, force=True)
    found = answer(*json.loads(question))
    print("answer", json.dumps([found, said.getvalue()]), flush=True)
"""


def picture(label, number, kind="PNG"):
    """A flat grey picture whose value tells its class: 10 + 30 * label, and one line that tells its number."""
    pixels = np.full((48, 48), 10 + 30 * label, np.uint8)
    pixels[0, number % 48] = number // 48
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 100} if kind == "JPEG" else {}))
    return file.getvalue()


def web_dataset(counts, names):
    """Files as in clip-benchmark/wds_fer2013: {split: count} as three shards of NNNN.jpg and NNNN.cls, names beside."""
    files = {"classnames.txt": "\n".join(names)}
    meaning = [SYNONYMS.get(name, name) for name in names]
    for split, count in counts.items():
        for shard, numbers in enumerate(np.array_split(np.arange(count), 3)):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                for n in numbers.tolist():
                    for suffix, body in (
                        ("jpg", picture(LABEL_NAMES.index(meaning[n % len(names)]), n, "JPEG")),
                        ("cls", str(n % len(names)).encode()),
                    ):
                        entry = tarfile.TarInfo(f"s{n:07d}.{suffix}")
                        entry.size = len(body)
                        archive.addfile(entry, io.BytesIO(body))
            files[f"{split}/{shard}.tar"] = buffer.getvalue()
        files[f"{split}/nshards.txt"] = "3"
    return files


def parquet(count, names, split="train"):
    """Files as the Hub stores an image folder: one parquet with `image` and `label`, whose names datasets reads."""
    labels = [number % 7 for number in range(count)]
    numbers = [LABEL_NAMES.index(names[label]) for label in labels]
    images = [{"bytes": picture(fer, n), "path": f"{n}.png"} for n, fer in enumerate(numbers)]
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(names), "_type": "ClassLabel"},
    }
    table = pa.table({"image": images, "label": pa.array(labels, pa.int64())})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return {f"data/{split}-00000-of-00001.parquet": buffer.getvalue()}


@pytest.fixture(scope="module")
def reader(hub_server, tmp_path_factory):
    """A process that reads datasets of the stand-in Hub with the real clients, into a cache of its own."""
    environment = hub_server.environment(tmp_path_factory.mktemp("home")) | {"HF_HUB_DOWNLOAD_TIMEOUT": "5"}
    with subprocess.Popen(
        [sys.executable, "-c", LOAD], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def load(hub, reader):
    """load(source, **options): what is read, and what is said of it."""

    def run(source, **options):
        reader.stdin.write(json.dumps([source, options]) + "\n")
        reader.stdin.flush()
        line = next(line for line in reader.stdout if line.startswith("answer "))
        return json.loads(line.removeprefix("answer "))

    return run


def test_a_web_dataset_with_other_names_is_mapped_by_name(hub, load):
    hub.dataset("clip-benchmark/wds_fer2013", web_dataset({"train": 70, "test": 35}, CLIP_NAMES))
    found, said = load("clip-benchmark/wds_fer2013", split_map=[["train", "training"], ["test", "private_test"]])
    assert set(found) == {"train", "validation", "private_test"}
    for split in found.values():
        assert [10 + 30 * label for label in split["labels"]] == pytest.approx(split["means"], abs=1)
    assert len(found["private_test"]["labels"]) == 35 and "is `unknown`" not in said


def test_a_split_named_train_that_is_the_test_set_is_not_trained_on(hub, load):
    hub.dataset("Piro17/fer2013test", parquet(7_178, ALPHABETICAL))
    found, _ = load("Piro17/fer2013test")
    assert set(found) == {"test"} and not found["test"]["in_training"]
    assert [10 + 30 * label for label in found["test"]["labels"]] == found["test"]["means"]


def test_a_split_of_another_size_is_unknown_until_it_is_named(hub, load):
    hub.dataset("somebody/faces", parquet(30, ALPHABETICAL))
    found, said = load("somebody/faces")
    assert set(found) == {"unknown"} and "--split_map train=" in said
    found, _ = load("somebody/faces", split_map=[["train", "training"]])
    assert set(found) == {"train", "validation"}


def test_a_revision_is_read_and_kept(hub, load):
    first = hub.dataset("somebody/versions", parquet(30, ALPHABETICAL))
    hub.dataset("somebody/versions", parquet(40, ALPHABETICAL))
    assert len(load(f"somebody/versions@{first}")[0]["unknown"]["labels"]) == 30
    assert len(load("somebody/versions")[0]["unknown"]["labels"]) == 40


@pytest.mark.parametrize(
    ("name", "files", "options", "sentence"),
    [
        ("x/order", lambda: web_dataset({"train": 7}, ALPHABETICAL[:6]), {}, "are not FER-2013's"),
        ("x/names", lambda: parquet_names("joy"), {}, "'joy' is none of the classes"),
        ("x/split", lambda: parquet(14, ALPHABETICAL), {"split_map": [["dev", "test"]]}, "no split dev; it has train"),
        ("x/column", lambda: {"data/train-0.parquet": plain_parquet(text=["a"])}, {}, "no column image or jpg"),
        ("x/bare", lambda: {"data/train-0.parquet": bare_numbers()}, {}, "bare numbers without names"),
    ],
)
def test_what_can_not_be_mapped_is_refused_with_a_sentence(hub, load, name, files, options, sentence):
    hub.dataset(name, files())
    found, _ = load(name, **options)
    assert sentence in found["error"] and name in found["error"]


def test_a_dataset_that_is_not_there_and_a_hub_that_is_down(hub, load):
    assert "neither on this disk nor a dataset of the Hub" in load("nobody/nothing")[0]["error"]
    hub.dataset("somebody/revisions", parquet(7, ALPHABETICAL))
    assert "no revision 'v9'" in load("somebody/revisions@v9")[0]["error"]
    hub.faults({"match": "GET /api/datasets/.*", "times": 99, "status": 503, "message": "down"})
    assert "can't be reached" in load("somebody/revisions")[0]["error"]


def test_a_hub_that_does_not_answer_is_told_of_in_a_sentence(monkeypatch):
    """Which a mistyped path ends at as well."""
    monkeypatch.setattr("train.hub_source.HfApi", functools.partial(HfApi, endpoint="http://127.0.0.1:9"))
    said = r"data/fer2013 is not on this disk, and the Hub can't be reached at http://127.0.0.1:9 .*\(ConnectError"
    with pytest.raises(SourceError, match=said):
        resolve_revision("data/fer2013")

    def broken(*_, **__):
        raise httpx2.ConnectError("no such host")

    monkeypatch.setattr(datasets, "load_dataset", broken)
    with pytest.raises(SourceError, match=r"a/b@0{12} is not on this disk and can't be loaded .*no such host"):
        read_hub("a/b", "0" * 40)


def test_what_can_be_no_repository_is_told_of_in_a_sentence():
    with pytest.raises(SourceError, match=r"data/fer2013\.git is neither on this disk nor a dataset of the Hub"):
        resolve_revision("data/fer2013.git")


def plain_parquet(**columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def bare_numbers():
    return plain_parquet(image=[{"bytes": picture(0, 0), "path": "0.png"}], label=[0])


def parquet_names(name):
    images = [{"bytes": picture(0, 0), "path": "0.png"}]
    return {"data/train-0.parquet": plain_parquet(image=images, emotion=[name])}


def test_ids_and_paths_are_told_apart():
    assert is_hub_id("clip-benchmark/wds_fer2013") and is_hub_id("a/b@refs/pr/1")
    assert not is_hub_id("/data/fer2013") and not is_hub_id("../shared/data/fer2013") and not is_hub_id("fer2013.csv")


@pytest.mark.parametrize(
    ("key", "count", "usage"),
    [
        ("train", 28_709, "Training"),
        ("train", 7_178, "Test"),
        ("public_test", 3_589, "PublicTest"),
        ("PrivateTest", 3_589, "PrivateTest"),
        ("validation", 3_589, "Unknown"),
        ("private_test", 100, "Unknown"),
    ],
)
def test_what_a_split_is_follows_from_its_count_then_its_name(key, count, usage):
    assert usage_of(key, count, {}) == usage
    assert usage_of(key, count, {key: "private_test"}) == "PrivateTest"
