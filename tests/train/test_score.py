"""Scoring as real processes: one and two give exactly the same figures, and they are those of a plain loop."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from datasets import Dataset
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.train.several import command
from train.data import LABEL_NAMES, as_arrays, fingerprint, load_fer2013
from train.score import (
    check_validation,
    limit_note,
    load_model,
    main,
    picture_views,
    predict,
    score_folder,
    store,
    stored_metrics,
)


@pytest.fixture(scope="module")
def score(repository, child_environment, model_folder, shared_data):
    def run(*extra, processes=1):
        words, variables = command("train/score.py", processes)
        called = ("--model", model_folder, "--data", shared_data / "fer2013", "--cpu_threads", "1", *extra)
        return subprocess.run(
            [*words, *called],
            cwd=repository, env=child_environment | variables, capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_one_and_two_processes_give_the_figures_of_a_plain_loop(score, model_folder, shared_data, tmp_path):
    entries = []
    for processes in (1, 2):
        output = tmp_path / f"{processes}.json"
        done = score("--split", "public_test", "--limit", "61", "--output", output, processes=processes)
        assert done.returncode == 0, done.stderr[-3000:]
        entries.append(json.loads(output.read_text())["public_test"]["single"])
        assert "61 pictures" in done.stdout and "first 61" in done.stdout and "disgust" in done.stdout
    changing = ("command", "date", "hardware")
    assert entries[1]["hardware"] == "2 processes on " + entries[0]["hardware"]
    assert "launch --multi_gpu --num_processes 2 train/score.py --model" in entries[1]["command"]
    assert entries[0]["command"].startswith("accelerate launch train/score.py --model")
    one, two = ({k: v for k, v in entry.items() if k not in changing} for entry in entries)
    assert one["confusion_matrix"] == two["confusion_matrix"]
    assert one["negative_log_likelihood"] == pytest.approx(two["negative_log_likelihood"], abs=1e-6)

    import torch

    arrays = as_arrays(load_fer2013(shared_data / "fer2013", limit=61)["public_test"])
    model, transform, _ = load_model(model_folder)
    with torch.inference_mode():
        predicted = [
            model(transform(Image.fromarray(image).convert("RGB"))[None]).argmax().item() for image in arrays.images
        ]
    matrix = np.zeros((7, 7), int)
    np.add.at(matrix, (arrays.labels, predicted), 1)
    assert one["confusion_matrix"] == matrix.tolist()


def test_a_validation_split_of_other_pictures_is_refused(model_folder, shared_data, tmp_path):
    split = load_fer2013(shared_data / "fer2013", limit=80)["validation"]
    entry = {"single": {"data_fingerprint": fingerprint(split)}}
    (tmp_path / "metrics.json").write_text(json.dumps({"splits": {"validation": entry}}))
    check_validation(tmp_path, split)
    with pytest.raises(ValueError, match="not the pictures that .* was validated on"):
        check_validation(tmp_path, load_fer2013(shared_data / "fer2013", limit=80, seed=1)["validation"])


def test_figures_go_into_the_folders_own_metrics_beside_what_is_there(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps({"splits": {"validation": {"single": {"support": 1}}}}))
    store(tmp_path, "validation", {"flip": {"support": 2}})
    store(tmp_path, "public_test", {"single": {"support": 3}})
    assert stored_metrics(tmp_path)["splits"] == {
        "validation": {"single": {"support": 1}, "flip": {"support": 2}},
        "public_test": {"single": {"support": 3}},
    }


def test_views():
    picture = Image.fromarray(np.arange(48 * 48, dtype=np.uint32).reshape(48, 48).astype(np.uint8))
    single, mirrored = picture_views(picture, "flip")
    assert (np.asarray(mirrored) == np.asarray(single)[:, ::-1]).all()
    ten = picture_views(picture, "ten_crop")
    assert len(ten) == 10 and {view.size for view in ten} == {(43, 43)}
    assert len({view.tobytes() for view in ten}) == 10


def test_logits_of_views_are_those_of_the_pictures(model_folder):
    model, transform, _ = load_model(model_folder)
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    flip = predict(model, transform, images, "flip", batch_size=4)
    assert flip.shape == (3, 2, 7)
    assert flip[:, 0] == pytest.approx(predict(model, transform, images)[:, 0], abs=1e-3)
    assert flip[:, 1] == pytest.approx(predict(model, transform, images[:, :, ::-1].copy())[:, 0], abs=1e-3)


def test_a_folders_classes_go_by_their_names_in_whatever_order(model_folder, shared_data, tmp_path):
    split = load_fer2013(shared_data / "fer2013", limit=80)["public_test"]
    shutil.copytree(model_folder, tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    weights = load_file(tmp_path / "m" / "model.safetensors")
    order = np.argsort(LABEL_NAMES)  # the alphabet's, as datasets that were read from folders have it
    for part in ("classifier.weight", "classifier.bias"):
        weights[part] = weights[part][order].contiguous()
    save_file(weights, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    names = [LABEL_NAMES[number] for number in order]
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"label_names": names}))
    ours, theirs = (score_folder(folder, split)["single"] for folder in (model_folder, tmp_path / "m"))
    assert theirs["confusion_matrix"] == ours["confusion_matrix"] and theirs["per_class"] == ours["per_class"]
    for wrong, said in (([], "holds no label_names"), (["bored", *names[1:]], "'bored' is none of the classes")):
        (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"label_names": wrong}))
        with pytest.raises(ValueError, match=said):
            score_folder(tmp_path / "m", split)


def test_an_output_that_can_not_be_written_is_said_in_one_sentence(model_folder, shared_data, tmp_path, capsys):
    called = [
        "--model",
        str(model_folder),
        "--data",
        str(shared_data / "fer2013"),
        "--limit",
        "8",
        "--cpu_threads",
        "1",
    ]
    with pytest.raises(SystemExit):
        main([*called, "--output", str(tmp_path)])
    assert "is a folder; it is the name of a JSON file" in capsys.readouterr().err
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^train/score\.py: .*file"):
        main([*called, "--output", str(tmp_path / "file" / "x.json")])


def test_a_folders_part_is_said_to_be_drawn_evenly(model_folder, tmp_path, capsys):
    """Whose file names tell no rows: its first pictures would be those of one class."""
    noise = np.random.default_rng(0).integers(0, 256, (28, 48, 48), np.uint8)
    places = [(part, label, number) for part in ("train", "test") for label in LABEL_NAMES for number in "ab"]
    for picture, (part, label, number) in zip(noise, places, strict=True):
        (tmp_path / "f" / part / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "f" / part / label / f"{number}.png")
    called = ["--model", model_folder, "--data", tmp_path / "f", "--split", "test", "--output", tmp_path / "x.json"]
    main([*map(str, called), "--cpu_threads", "1", "--limit", "9"])
    assert "test, single, 9 drawn evenly: 9 pictures" in capsys.readouterr().out


def test_what_a_limit_left_is_said_as_it_is():
    known = {"train": range(40), "validation": range(10), "public_test": range(50)}
    splits = {name: Dataset.from_dict({"row": list(rows)}) for name, rows in known.items()}
    assert limit_note(splits, "public_test", 50) == ", first 50"
    assert limit_note(splits, "validation", 50) == ", first 50 of Training"
    assert [limit_note(splits, name, 51) for name in splits] == ["", "", ""], "that is all of them"
    assert limit_note(splits, "public_test", None) == ""


@pytest.mark.parametrize(
    ("split", "limit", "said"),
    [
        ("public_test", (), "is no model folder: it holds no config.json"),
        # 3% of 50 are none: no validation split
        ("private_test", ("--limit", "50"), "has no split private_test; it has train, public_test"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(split, limit, said, model_folder, shared_data, tmp_path):
    model = model_folder if limit else tmp_path
    called = ["--model", model, "--data", shared_data / "fer2013", "--split", split, "--output", tmp_path / "x.json"]
    with pytest.raises(SystemExit, match=f"^train/score.py: .*{said}"):
        main([*map(str, called), "--cpu_threads", "1", *limit])
