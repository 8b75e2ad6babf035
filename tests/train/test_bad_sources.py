"""Data that can't be read is refused by file, row or picture, with what was expected."""

import shutil
import zipfile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.train.conftest import LIMIT
from train.data import LABEL_NAMES, load_fer2013
from train.pictures import Pictures, SourceError
from train.sources import FERPLUS_NAMES, join_ferplus, read_ferplus, read_source

PIXELS = " ".join(["7"] * 2304)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("emotion,Usage\n0,Training\n", "no column pixels; it has emotion, Usage"),
        (f"emotion,pixels,Usage\n0,{PIXELS},Training\n7,{PIXELS},Training\n", "row 2: emotion '7'"),
        (f"emotion,pixels,Usage\nx,{PIXELS},Training\n", "row 1: emotion 'x'"),
        (f"emotion,pixels,Usage\n0,{PIXELS[2:]},Training\n", r"row 1: 2303 pixels, expected 2304 \(48x48\)"),
        (f"emotion,pixels,Usage\n0,300{PIXELS[1:]},Training\n", "row 1: a pixel of 300"),
        (f"emotion,pixels,Usage\n0,1.5{PIXELS[1:]},Training\n", "row 1: the pixels hold something"),
        (f"emotion,pixels,Usage\n0,{PIXELS},Testing\n", "row 1: Usage 'Testing'"),
        ("emotion,pixels,Usage\n", "it holds none"),
        ("", "not a readable CSV"),
    ],
)
def test_a_bad_csv_is_refused_by_file_and_row(text, said, tmp_path):
    (tmp_path / "fer2013.csv").write_text(text)
    with pytest.raises(SourceError, match=said):
        load_fer2013(tmp_path / "fer2013.csv", cache_dir=tmp_path / "cache")


def test_bad_folders_are_refused_by_name(layouts, tmp_path, caplog):
    folder = tmp_path / "f"
    shutil.copytree(layouts["folders"], folder)
    (folder / "train" / "happy").rename(folder / "train" / "Happiness")
    wide = next((folder / "train" / "sad").iterdir())
    Image.open(wide).resize((60, 50)).save(wide)
    (folder / "validation").mkdir()
    assert len(read_source(folder).labels) == 2 * LIMIT
    assert caplog.text.count("60x50, not 48x48") == 1 and "train and test are read, not validation" in caplog.text
    (folder / "train" / "happy").mkdir()
    with pytest.raises(SourceError, match="Happiness and happy are one class, happy"):
        read_source(folder)
    (folder / "train" / "happy").rmdir()
    wide.write_bytes(wide.read_bytes()[:100])
    with pytest.raises(SourceError, match=f"{wide.name}: a broken picture"):
        read_source(folder)
    (folder / "train" / "Happiness").rename(folder / "train" / "bored")
    with pytest.raises(SourceError, match="'bored' is none of the classes"):
        read_source(folder)
    shutil.rmtree(folder / "train" / "bored")
    with pytest.raises(SourceError, match="no folder for happy"):
        read_source(folder)
    (folder / "train" / "happy").mkdir()
    with pytest.raises(SourceError, match="happy holds no picture"):
        read_source(folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.drop(columns="usage"), r"bad\.parquet: no column usage; it has image, label"),
        (lambda table: table.assign(label=[0, 9, 1]), r"bad\.parquet row 2: label 9 is not of FER-2013"),
        (lambda table: table.assign(label=[0, 1, 1.5]), r"bad\.parquet row 3: label 1\.5 is not of FER-2013"),
        (lambda table: table.assign(usage=["Training", "Training", "Dev"]), r"row 3: usage 'Dev' is not of FER-2013"),
        (lambda table: table.assign(image=[{"bytes": b"no"}] * 3), r"bad\.parquet row 1: a broken picture"),
        (lambda table: table.assign(image=[table.image[0], None, table.image[2]]), "row 2: a broken picture"),
    ],
)
def test_a_bad_parquet_is_refused_by_file_and_row(spoil, said, shared_data, tmp_path):
    file = pq.ParquetFile(shared_data / "fer2013" / "training.parquet")
    table = next(file.iter_batches(3)).to_pandas()
    spoil(table[["image", "label", "usage"]]).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(SourceError, match=said):
        read_source(tmp_path / "bad.parquet")


@pytest.mark.parametrize(("vote", "said"), [("x", "row 2"), (-1, "row 2"), (2.5, "row 2"), (None, "row 2")])
def test_votes_that_are_none_are_refused_by_file_and_row(vote, said, tmp_path):
    table = pd.DataFrame(np.ones((3, 10), int), columns=FERPLUS_NAMES).astype(object).assign(Usage="Training")
    table.loc[1, "fear"] = vote
    table.to_csv(tmp_path / "votes.csv", index=False)
    with pytest.raises(SourceError, match=rf"votes\.csv {said}: votes are whole numbers"):
        read_ferplus(tmp_path / "votes.csv")


SPLITS = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 2  # of a small FER-2013, in the challenge's order


def pictures_of(usage, row=None):
    row = np.arange(len(usage)) if row is None else np.array(row)
    return Pictures(np.zeros((len(usage), 48, 48), np.uint8), np.zeros(len(usage), int), np.array(usage), row)


def votes_of(usage, path):
    """A fer2013new.csv of one vote a row for "neutral", as many as the row's number."""
    table = pd.DataFrame(0, index=range(len(usage)), columns=["Usage", *FERPLUS_NAMES])
    table.assign(Usage=usage, neutral=range(len(usage))).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("pictures", "rows"),
    [
        (pictures_of(SPLITS), range(8)),
        (pictures_of(SPLITS[:6]), range(6)),  # a CSV without PrivateTest
        (pictures_of(SPLITS[:4]), range(4)),
        (pictures_of(["Training", "PublicTest"], [2, 5]), [2, 5]),  # pictures that know their rows
        (pictures_of(["Training", "Test", "Test"], [2, 5, 6]), [2, 5, 6]),  # the mixed test folder
    ],
)
def test_votes_join_pictures_whose_rows_are_of_the_same_split(pictures, rows, tmp_path):
    joined = join_ferplus(pictures, votes_of(SPLITS, tmp_path / "votes.csv"))
    assert joined.votes[:, 0].tolist() == list(rows)


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (pictures_of(SPLITS[:3] + SPLITS[4:]), "row 4: Usage Training, but that row's picture is of PublicTest"),
        (pictures_of(SPLITS[4:6]), "row 1: Usage Training, but that row's picture is of PublicTest"),
        (pictures_of(["Training", "Test"], [4, 2]), "row 3: Usage Training, but that row's picture is of Test"),
        (pictures_of(SPLITS[:3]), "row 4: Usage Training, but the pictures end before"),
        (pictures_of(SPLITS[:5]), "row 6: Usage PublicTest, but the pictures end before"),
    ],
)
def test_votes_of_other_pictures_are_refused_by_row(pictures, said, tmp_path):
    with pytest.raises(SourceError, match=rf"votes\.csv {said}"):
        join_ferplus(pictures, votes_of(SPLITS, tmp_path / "votes.csv"))


def test_votes_that_were_shuffled_or_do_not_tell_their_split_are_refused(tmp_path):
    votes = votes_of([*SPLITS[:3], SPLITS[7], *SPLITS[4:7], SPLITS[3]], tmp_path / "votes.csv")
    with pytest.raises(SourceError, match=r"votes\.csv row 4: Usage PrivateTest, .* of Training; FER\+ is joined"):
        join_ferplus(pictures_of(SPLITS), votes)
    pd.read_csv(votes).drop(columns="Usage").to_csv(votes, index=False)
    with pytest.raises(SourceError, match="no column Usage"):
        join_ferplus(pictures_of(SPLITS), votes)


def test_what_is_wrong_within_a_zip_is_named_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in LABEL_NAMES:
            archive.writestr(f"train/{name}/1.jpg", b"no picture" * 10)
    with pytest.raises(SourceError, match=r"a\.zip:/train/angry/1\.jpg: a broken picture"):
        read_source(tmp_path / "a.zip")
    body = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(body.replace(b"no picture", b"no_picture", 1))
    with pytest.raises(SourceError, match=r"a\.zip is no readable zip: Bad CRC-32 for file 'train/angry/1\.jpg'"):
        read_source(tmp_path / "a.zip")
    locked = bytearray(body)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the bit that says that a password is needed
        locked[locked.index(mark) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(locked)
    with pytest.raises(SourceError, match=r"a\.zip is no readable zip: .*password required"):
        read_source(tmp_path / "a.zip")


def test_what_is_no_known_layout_lists_what_was_looked_for(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK no")
    (tmp_path / "notes.txt").write_text("hello")
    for path, said in [
        (tmp_path / "nowhere", "is not there"),
        (tmp_path / "a.zip", "no readable zip"),
        (tmp_path / "notes.txt", "none of the known layouts; expected a CSV"),
        (tmp_path, "none of the known layouts; expected a CSV"),
    ]:
        with pytest.raises(SourceError, match=said):
            read_source(path)
