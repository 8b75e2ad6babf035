"""FER-2013 from every layout that people have: the same pictures, the same splits, and errors that say where."""

import argparse
import hashlib
import io
import json
import shutil
import subprocess
import sys
import zipfile

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.train.conftest import LIMIT
from train.data import LABEL_NAMES, as_arrays, fingerprint, load_fer2013, load_validated, split_training
from train.pictures import SourceError
from train.sources import FERPLUS_NAMES, read_source


@pytest.fixture(scope="module")
def reference(layouts, tmp_path_factory):
    return load_fer2013(layouts["csv"], cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("layout", ["icml", "folder of a csv", "folders", "zip", "parquet"])
def test_every_layout_gives_the_same_splits(layout, layouts, reference, tmp_path):
    splits = load_fer2013(layouts[layout], limit=LIMIT, cache_dir=tmp_path)
    assert set(splits) == {"train", "validation", "public_test"}
    for name in splits:
        ours, expected = as_arrays(splits[name]), as_arrays(reference[name])
        lossy = layout in ("folders", "zip")  # JPEGs, in which duplicates differ by a little
        if lossy and name != "public_test":
            continue
        assert ours.labels.tolist() == expected.labels.tolist()
        difference = np.abs(ours.images.astype(int) - expected.images)
        assert difference.max() <= (60 if lossy else 0) and difference.mean() < 3
    assert len(splits["train"]) + len(splits["validation"]) == LIMIT


def parquet(path, label):
    """Seven pictures of the classes that the column `label` numbers from 0, as `datasets` writes them."""
    file = io.BytesIO()
    Image.new("L", (48, 48)).save(file, "PNG")
    columns = {"image": [{"bytes": file.getvalue(), "path": None}] * 7, "label": range(7), "usage": ["Training"] * 7}
    features = {"image": datasets.Image(), "label": label, "usage": datasets.Value("string")}
    datasets.Dataset.from_dict(columns, datasets.Features(features)).to_parquet(path)
    return path


def test_a_parquets_classes_go_by_their_names_and_without_names_by_number(tmp_path):
    names = ["Anger", "disgust", "fear", "happiness", "neutral", "sad", "surprise"]  # an image folder's order
    named = read_source(parquet(tmp_path / "named.parquet", datasets.ClassLabel(names=names)))
    assert [LABEL_NAMES[one] for one in named.labels] == sorted(LABEL_NAMES)
    assert read_source(parquet(tmp_path / "bare.parquet", datasets.Value("int64"))).labels.tolist() == list(range(7))
    other = parquet(tmp_path / "other.parquet", datasets.ClassLabel(names=[*names[:6], "contempt"]))
    with pytest.raises(SourceError, match=r"other\.parquet label: 'contempt' is none of the classes angry"):
        read_source(other)
    fewer = parquet(tmp_path / "fewer.parquet", datasets.ClassLabel(names=[*names[:6], "sadness"]))
    with pytest.raises(SourceError, match=r"fewer\.parquet label: the classes Anger, .* are not FER-2013's angry"):
        read_source(fewer)


def test_the_datasets_features_are_the_contracts(reference):
    features = reference["train"].features
    assert features["label"].names == list(LABEL_NAMES)
    row = reference["train"][0]
    assert row["image"].size == (48, 48) and row["image"].mode == "L"
    assert "ferplus_votes" not in features


def test_the_whole_real_data_splits_as_it_always_did(shared_data):
    splits = load_fer2013(shared_data / "fer2013")
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 25_119, "validation": 3_590, "public_test": 3_589,
    }  # fmt: skip
    validation = as_arrays(splits["validation"])
    expected = "d232f2ec49638a36483d1ea251bd1b1fd9452d2ce01efc5e6932d3afe7e7fedb"
    assert hashlib.sha256(validation.images.tobytes()).hexdigest() == expected
    public = as_arrays(splits["public_test"])
    assert public.in_training.sum() == 280
    assert public.votes.shape == (3_589, 10) and (public.votes.sum(1) == 10).mean() > 0.99
    train = {image.tobytes() for image in as_arrays(splits["train"]).images}
    assert not any(image.tobytes() in train for image in validation.images)


def test_split_is_stratified_keeps_groups_together_and_depends_on_the_seed_alone():
    generator = np.random.default_rng(0)
    labels, groups = generator.integers(0, 7, 4000), generator.integers(0, 3000, 4000)
    mask = split_training(labels, groups, 0.125, 0)
    assert all(len(set(mask[groups == group])) == 1 for group in np.unique(groups))
    assert mask.mean() == pytest.approx(0.125, abs=0.01)
    assert (mask == split_training(labels, groups, 0.125, 0)).all()
    assert not (mask == split_training(labels, groups, 0.125, 1)).all()
    smaller = split_training(labels, groups, 0.03, 0)
    assert smaller.mean() == pytest.approx(0.03, abs=0.01)
    assert not (smaller & ~mask).any()  # a part of the larger split
    renamed = np.random.default_rng(1).permutation(3000)[groups]
    assert (mask == split_training(labels, renamed, 0.125, 0)).all()


def test_ferplus_votes_beside_the_csv_are_joined_by_row(layouts, tmp_path):
    shutil.copy(layouts["csv"], tmp_path / "fer2013.csv")
    names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
    votes = np.random.default_rng(0).integers(0, 5, (2 * LIMIT, 10))
    table = pd.DataFrame(votes, columns=names).assign(Usage=pd.read_csv(layouts["csv"])["Usage"])
    table.to_csv(tmp_path / "fer2013new.csv", index=False)
    splits = load_fer2013(tmp_path / "fer2013.csv", cache_dir=tmp_path / "cache")
    rows = splits["train"]["row"][:]
    assert as_arrays(splits["train"]).votes.tolist() == votes[rows].tolist()
    table[:7].to_csv(tmp_path / "fer2013new.csv", index=False)
    with pytest.raises(SourceError, match=r"fer2013new\.csv: 7 rows, but the pictures' rows go to 600"):
        load_fer2013(tmp_path / "fer2013.csv", cache_dir=tmp_path / "cache")


def test_a_changed_source_is_read_anew_and_an_unchanged_one_is_not(layouts, tmp_path):
    source = tmp_path / "fer2013.csv"
    shutil.copy(layouts["csv"], source)
    first = fingerprint(load_fer2013(source, cache_dir=tmp_path / "cache")["public_test"])
    cached = list((tmp_path / "cache" / "fer2013").iterdir())
    assert fingerprint(load_fer2013(source, cache_dir=tmp_path / "cache")["public_test"]) == first
    assert list((tmp_path / "cache" / "fer2013").iterdir()) == cached
    lines = source.read_text().splitlines()
    source.write_text("\n".join(lines[:-1]) + "\n")
    assert fingerprint(load_fer2013(source, cache_dir=tmp_path / "cache")["public_test"]) != first


def test_a_part_too_small_for_a_validation_split_has_none_and_is_not_trained_on(layouts, tmp_path, caplog):
    splits = load_fer2013(layouts["csv"], limit=20, validation_fraction=0.03, cache_dir=tmp_path)
    assert len(splits["train"]) == 20 and "validation" not in splits
    assert "no validation split: 0.03 of 20" in caplog.text
    args = argparse.Namespace(data=layouts["csv"], split_map=(), ferplus=None)
    with pytest.raises(SourceError, match=r"no Training picture is left for validation; raise validation_fraction or"):
        load_validated(args, limit=20, validation_fraction=0.03, cache_dir=tmp_path)


def test_the_folder_versions_test_is_not_passed_off_as_an_official_split(layouts, tmp_path):
    shutil.copytree(layouts["folders"], tmp_path / "f")
    for path in (tmp_path / "f").rglob("*.jpg"):
        path.rename(path.with_name(path.name.replace("PublicTest", "im").replace("Training", "im")))
    splits = load_fer2013(tmp_path / "f", cache_dir=tmp_path / "cache")
    assert set(splits) == {"train", "validation", "test"} and len(splits["test"]) == LIMIT


def test_a_zip_may_hold_a_csv_in_a_folder_beside_what_a_mac_adds(layouts, reference, tmp_path):
    with zipfile.ZipFile(tmp_path / "FER.ZIP", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(layouts["csv"], "fer2013/fer2013.csv")
        archive.writestr("__MACOSX/fer2013/._fer2013.csv", b"\0")
    splits = load_fer2013(tmp_path / "FER.ZIP", cache_dir=tmp_path / "cache")
    assert {name: fingerprint(split) for name, split in splits.items()} == {
        name: fingerprint(split) for name, split in reference.items()
    }


def test_the_challenges_folder_is_read_by_the_file_that_says_each_rows_usage(layouts, tmp_path):
    shutil.copy(layouts["icml"], tmp_path)
    table = pd.read_csv(layouts["csv"])
    table[["emotion", "pixels"]].to_csv(tmp_path / "a_train.csv", index=False)
    table[["pixels"]].to_csv(tmp_path / "a_test.csv", index=False)
    assert len(read_source(tmp_path).labels) == 2 * LIMIT
    (tmp_path / "icml_face_data.csv").unlink()
    with pytest.raises(SourceError, match=r"none of a_test.csv, a_train.csv has the columns emotion, pixels, Usage"):
        read_source(tmp_path)


def test_tables_of_something_else_may_lie_beside_the_folders(layouts, tmp_path):
    shutil.copytree(layouts["folders"], tmp_path / "f")
    (tmp_path / "f" / "files.csv").write_text("file,size\na.jpg,3\n")
    pd.DataFrame({"file": ["a.jpg"]}).to_parquet(tmp_path / "f" / "files.parquet")
    assert len(read_source(tmp_path / "f").labels) == 2 * LIMIT
    (tmp_path / "f" / "files.csv").write_bytes(b"")
    with pytest.raises(SourceError, match=r"files\.csv: not a readable CSV"):
        read_source(tmp_path / "f")


def test_a_limit_does_not_hide_duplicates_in_training(layouts, tmp_path):
    table = pd.read_csv(layouts["csv"])
    table.loc[table.index[-1], "pixels"] = table.loc[LIMIT - 1, "pixels"]  # the last of Training, again in PublicTest
    table = pd.concat([table[:LIMIT], table[-1:]])
    table.to_csv(tmp_path / "fer2013.csv", index=False)
    known = [
        load_fer2013(tmp_path / "fer2013.csv", limit=limit, cache_dir=tmp_path / "cache")["public_test"]["in_training"][
            :
        ]
        for limit in (None, LIMIT // 2)
    ]
    assert known == [[True], [True]]


def test_numbers_in_file_names_are_rows_only_where_they_can_be(layouts, tmp_path):
    assert (read_source(layouts["folders"]).row >= 0).all()
    shutil.copytree(layouts["folders"], tmp_path / "f")
    for path in (tmp_path / "f").rglob("*.jpg"):
        path.rename(path.with_name(path.name.replace("_", "_9000")))  # Kaggle's have eight digits of no meaning
    assert (read_source(tmp_path / "f").row == -1).all()
    few = load_fer2013(tmp_path / "f", limit=70, validation_fraction=0.2, cache_dir=tmp_path / "cache")
    labels = np.concatenate([few["train"]["label"][:], few["validation"]["label"][:]])
    assert len(labels) == 70 and len(np.unique(labels)) >= 6, "drawn over folders that are sorted by class"


def test_private_test_is_a_split_of_its_own(layouts, tmp_path):
    table = pd.read_csv(layouts["csv"])
    table.loc[table.index[-50:], "Usage"] = "PrivateTest"
    table.to_csv(tmp_path / "fer2013.csv", index=False)
    splits = load_fer2013(tmp_path / "fer2013.csv", cache_dir=tmp_path / "cache")
    assert (len(splits["public_test"]), len(splits["private_test"])) == (LIMIT - 50, 50)


def test_a_source_of_test_pictures_alone_is_read_but_not_trained_on(layouts, repository, child_environment, tmp_path):
    table = pd.read_csv(layouts["csv"])
    table[table["Usage"] == "PublicTest"].to_csv(tmp_path / "fer2013.csv", index=False)
    splits = load_fer2013(tmp_path / "fer2013.csv", cache_dir=tmp_path / "cache")
    assert set(splits) == {"public_test"} and as_arrays(splits["public_test"]).in_training is None
    done = subprocess.run(
        [sys.executable, "train/train.py", "--data", tmp_path / "fer2013.csv", "--output", tmp_path / "run"],
        cwd=repository, env=child_environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0 and "holds no Training pictures; it has public_test" in done.stderr


def test_ferplus_votes_join_by_row_from_a_file_anywhere(layouts, reference, shared_data, tmp_path):
    usage = pd.read_csv(layouts["csv"], usecols=["Usage"])["Usage"]
    votes = np.tile(np.arange(len(usage))[:, None] % 11, (1, 10))
    table = pd.DataFrame(votes, columns=FERPLUS_NAMES).assign(Usage=usage)
    table.to_csv(tmp_path / "votes.csv", index=False)
    for layout in ("csv", "parquet"):
        options = {"ferplus": tmp_path / "votes.csv", "cache_dir": tmp_path / layout, "limit": LIMIT}
        if layout == "parquet":  # rows of the whole file: more than the votes have
            with pytest.raises(SourceError, match=f"{2 * LIMIT} rows, but the pictures' rows go to"):
                load_fer2013(layouts[layout], **options)
            continue
        train = load_fer2013(layouts[layout], **options)["train"]
        assert [row[0] for row in train["ferplus_votes"][:]] == [row % 11 for row in train["row"][:]]
    with pytest.raises(SourceError, match="joined by row, and these pictures do not tell their rows"):
        shutil.copytree(layouts["folders"], tmp_path / "f")
        for path in (tmp_path / "f").rglob("*.jpg"):
            path.rename(path.with_name("im" + path.name.replace("_", "")))
        load_fer2013(tmp_path / "f", ferplus=tmp_path / "votes.csv", cache_dir=tmp_path / "cache")
    with pytest.raises(SourceError, match="split_map is for datasets of the Hub"):
        load_fer2013(layouts["csv"], split_map=[("train", "training")], cache_dir=tmp_path / "cache")


def test_the_command_reports_counts_and_duplicates_and_draws_a_sheet(layouts, repository, child_environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "train.data", "--data", layouts["csv"], "--sheet", tmp_path / "sheet.png"],
        cwd=repository, env=child_environment | {"HF_HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pictures of public_test that are also in train:" in done.stdout and "disgust" in done.stdout
    assert "counts differ from FER-2013's" in done.stderr
    assert Image.open(tmp_path / "sheet.png").size == (600, 350)


def test_cached_splits_are_plain_datasets_folders(reference, tmp_path):
    reference.save_to_disk(tmp_path / "copy")
    assert set(json.loads((tmp_path / "copy" / "dataset_dict.json").read_text())["splits"]) == set(reference)
