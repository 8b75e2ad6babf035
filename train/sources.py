"""FER-2013 as it is found on disks: the challenge's CSV, its Kaggle variant, image folders, parquet, a zip of any.

Each reader gives `Pictures`, whole in memory (35,887 pictures are 83 MB), or a `SourceError` that names file and row.
"""

import json
import logging
import re
import tempfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from train.pictures import LABEL_NAMES, SIZE, Decoder, Pictures, SourceError, class_number, numbers_by_name

logger = logging.getLogger(__name__)
ROWS = 35_887  # of the challenge's file
CSV_COLUMNS = ("emotion", "pixels", "Usage")
PARQUET_COLUMNS = ("image", "label", "usage")
USAGES = ("Training", "PublicTest", "PrivateTest")
MIXED_TEST = "Test"  # the folder version's test/, where the file names do not tell Public from Private
UNKNOWN = "Unknown"  # a split of the Hub's of which nobody has said what it is
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
LOOKED_FOR = (
    "a CSV with the columns emotion, pixels, Usage; folders train/<class>/ and test/<class>/ of pictures;"
    " parquet files with the columns image, label (by the names that `datasets` keeps in the file, else numbers in"
    " FER-2013's order), usage; a .zip of one of these; or a dataset of the Hub as USER/NAME"
)


def read_source(path):
    """`Pictures` of whatever lies at `path`. Raises SourceError, which lists what was looked for."""
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{path} is not there; expected {LOOKED_FOR}")
    if path.suffix.lower() == ".zip":
        return read_zip(path)
    if path.is_file():
        readers = {".csv": read_csv, ".parquet": lambda one: read_parquet([one])}
        if path.suffix.lower() not in readers:
            raise SourceError(f"{path} is none of the known layouts; expected {LOOKED_FOR}")
        return readers[path.suffix.lower()](path)
    inside = [one for one in path.iterdir() if not one.name.startswith((".", "__MACOSX"))]
    folders = {one.name.lower(): one for one in inside if one.is_dir()}
    of_pictures = "train" in folders or "test" in folders
    for pattern, reader, has_pictures in (
        ("*.parquet", read_parquet, has_parquet_columns),
        ("*.csv", read_one_csv, has_csv_columns),
    ):
        found = sorted(path.glob(pattern))
        if found and not (of_pictures and not any(map(has_pictures, found))):  # a table beside folders may be any
            return reader(found)
    if of_pictures:
        others = sorted(set(folders) - {"train", "test"})
        if others:
            logger.warning("%s: train and test are read, not %s", path, ", ".join(folders[one].name for one in others))
        return read_folders(folders)
    if len(inside) == 1 and folders:
        return read_source(inside[0])  # a zip's single top folder
    raise SourceError(f"{path} is none of the known layouts; expected {LOOKED_FOR}")


def read_zip(path):
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)  # drops absolute paths and "..", and checks every file's sum
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted
            raise SourceError(f"{path} is no readable zip: {error}") from None
        try:
            return read_source(folder)
        except SourceError as error:  # not the name of a folder that is gone by then
            raise SourceError(str(error).replace(folder, f"{path}:")) from None


def read_one_csv(files):
    """The CSV of the folder that has all columns: FER+'s votes, or the challenge's train.csv and test.csv, which lack
    Usage, may lie beside it."""
    for file in files:
        if has_csv_columns(file):
            return read_csv(file)
    names = ", ".join(file.name for file in files)
    raise SourceError(f"{files[0].parent}: none of {names} has the columns {', '.join(CSV_COLUMNS)}")


def has_csv_columns(file):
    try:
        return set(CSV_COLUMNS) <= set(pd.read_csv(file, nrows=0).columns.str.strip())
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: not a readable CSV: {error}") from None


def read_csv(path):
    """The challenge's fer2013.csv, or icml_face_data.csv, whose column names start with a space."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not a readable CSV: {error}") from None
    table.columns = table.columns.str.strip()
    missing = [name for name in CSV_COLUMNS if name not in table.columns]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    images = np.empty((len(table), SIZE, SIZE), np.uint8)
    labels = np.empty(len(table), np.int64)
    rows = zip(table["emotion"], table["pixels"], table["Usage"], strict=True)
    for number, (emotion, pixels, usage) in enumerate(tqdm(rows, total=len(table), desc=path.name, unit="pictures")):
        where = f"{path} row {number + 1}"
        if not emotion.strip().isdigit() or int(emotion) >= len(LABEL_NAMES):
            raise SourceError(f"{where}: emotion {emotion!r}, expected a number from 0 to {len(LABEL_NAMES) - 1}")
        if usage.strip() not in USAGES:
            raise SourceError(f"{where}: Usage {usage!r}, expected one of {', '.join(USAGES)}")
        try:
            values = np.array(pixels.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            raise SourceError(f"{where}: the pixels hold something that is no whole number") from None
        if len(values) != SIZE * SIZE:
            raise SourceError(f"{where}: {len(values)} pixels, expected {SIZE * SIZE} ({SIZE}x{SIZE})")
        if values.min() < 0 or values.max() > 255:
            raise SourceError(f"{where}: a pixel of {values[(values < 0) | (values > 255)][0]}, expected 0 to 255")
        images[number], labels[number] = values.reshape(SIZE, SIZE), int(emotion)
    pictures = Pictures(images, labels, table["Usage"].str.strip().to_numpy(str), np.arange(len(table)))
    beside = path.with_name("fer2013new.csv")
    return join_ferplus(pictures, beside) if beside.is_file() else pictures


FERPLUS_NAMES = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF",
)  # fmt: skip


def join_ferplus(pictures, path):
    """`pictures` with the votes of FER+'s fer2013new.csv at `path`, joined by the challenge's row numbers."""
    if (pictures.row < 0).any():
        raise SourceError(f"{path}: FER+ is joined by row, and these pictures do not tell their rows in fer2013.csv")
    votes, usage = read_ferplus(Path(path))
    length = pictures.row.max(initial=-1) + 1
    if length > len(votes):
        raise SourceError(f"{path}: {len(votes)} rows, but the pictures' rows go to {length}")
    said = usage[pictures.row]
    mixed = (pictures.usage == MIXED_TEST) & np.isin(said, USAGES[1:])
    wrong = np.flatnonzero((said != pictures.usage) & ~mixed)
    if len(wrong):
        first = wrong[np.argmin(pictures.row[wrong])]
        raise SourceError(
            f"{path} row {pictures.row[first] + 1}: Usage {said[first]}, but that row's picture is of"
            f" {pictures.usage[first]}; FER+ is joined by row, so both need fer2013.csv's rows in their order"
        )
    # whole splits may be missing at the end; a CSV that lacks some rows of its last one may have lost any of them
    if length == len(pictures.row) and np.isin(usage[length:], pictures.usage).any():
        raise SourceError(
            f"{path} row {length + 1}: Usage {usage[length]}, but the pictures end before; FER+ is joined by row, and"
            " which pictures of that split are missing can't be told: give all of them, --limit takes a part"
        )
    return replace(pictures, votes=votes[pictures.row])


def read_ferplus(path):
    """(int64 [n, 10] votes, str [n] of USAGES) of FER+'s fer2013new.csv."""
    try:
        table = pd.read_csv(path)
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not a readable CSV: {error}") from None
    missing = [name for name in ("Usage", *FERPLUS_NAMES) if name not in table.columns]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    votes = table[list(FERPLUS_NAMES)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    wrong = ~((votes >= 0) & (votes == np.floor(votes))).all(1)
    if wrong.any():
        raise SourceError(f"{path} row {np.flatnonzero(wrong)[0] + 1}: votes are whole numbers from 0")
    return votes.astype(np.int64), table["Usage"].astype(str).str.strip().to_numpy(str)


def read_parquet(files):
    parts = [read_parquet_file(file) for file in files]
    votes = [part.votes for part in parts]
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels", "usage", "row")]
    order = np.argsort(joined[3], kind="stable")  # the challenge's own order, whatever the files' names
    votes = None if any(one is None for one in votes) else np.concatenate(votes)[order]
    return Pictures(*(one[order] for one in joined), votes)


def has_parquet_columns(file):
    try:
        return set(PARQUET_COLUMNS) <= set(pq.read_schema(file).names)
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: not readable as parquet: {error}") from None


def read_parquet_file(path):
    try:
        stored = pq.read_table(path)
        table = stored.to_pandas()
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: not readable as parquet: {error}") from None
    missing = [name for name in PARQUET_COLUMNS if name not in table.columns]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    numbers = label_numbers(stored.schema, path)
    given = pd.to_numeric(table["label"], errors="coerce").tolist()
    labels, usage = np.array([numbers.get(one, -1) for one in given], np.int64), table["usage"].to_numpy(str)
    for name, wrong in (("label", labels < 0), ("usage", ~np.isin(usage, USAGES))):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise SourceError(f"{path} row {row + 1}: {name} {table[name].tolist()[row]!r} is not of FER-2013")
    decoder = Decoder()
    cells = tqdm(table["image"], desc=path.name, unit="pictures")
    images = [decoder.decode(cell, f"{path} row {n + 1}") for n, cell in enumerate(cells)]
    images = np.stack(images) if images else np.empty((0, SIZE, SIZE), np.uint8)
    row = table["row"].to_numpy(np.int64) if "row" in table.columns else np.full(len(table), -1)
    votes = np.stack(table["ferplus_votes"]).astype(np.int64) if "ferplus_votes" in table.columns else None
    return Pictures(images, labels, usage, row, votes)


def label_numbers(schema, path):
    """{number in the label column: number of FER-2013's class}: by the names that `datasets` keeps in the schema, which
    are in the alphabet's order where it read folders; without names they are FER-2013's numbers."""
    try:
        names = json.loads(schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    except (KeyError, TypeError, ValueError):  # written without `datasets`, or its labels have no names
        names = None
    return numbers_by_name(names, f"{path} label") if names else {n: n for n in range(len(LABEL_NAMES))}


def read_folders(folders):
    """train/<class>/ and test/<class>/; a file name that holds PublicTest, PrivateTest or a row number says so."""
    decoder, columns = Decoder(), ([], [], [], [])
    for name in ("train", "test"):
        if name not in folders:
            continue
        classes = class_folders(folders[name])
        for label, folder in classes.items():
            files = sorted(one for one in folder.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES)
            if not files:
                raise SourceError(f"{folder} holds no picture ({', '.join(IMAGE_SUFFIXES)})")
            for file in tqdm(files, desc=f"{name}/{folder.name}", unit="pictures", leave=False):
                usage = next((one for one in USAGES if one.lower() in file.name.lower()), None)
                usage = usage or ("Training" if name == "train" else MIXED_TEST)
                number = re.search(r"(?:Training|Test)_(\d+)$", file.stem)
                values = (decoder.decode(file.read_bytes(), file), label, usage, int(number[1]) if number else -1)
                for column, value in zip(columns, values, strict=True):
                    column.append(value)
    images, labels, usage, row = columns
    row = np.array(row)
    if (row < 0).any() or (row >= ROWS).any() or len(np.unique(row)) < len(row):
        row = np.full(len(row), -1)  # the names' numbers are not the challenge's rows (Kaggle's count by class)
    order = np.argsort(row, kind="stable")
    return Pictures(np.stack(images)[order], np.array(labels)[order], np.array(usage)[order], row[order])


def class_folders(folder):
    """{class number: folder}. Raises SourceError for a folder that is no class, and for a class without a folder."""
    found = {}
    for one in sorted(folder.iterdir()):
        if one.is_dir() and not one.name.startswith("."):
            number = class_number(one.name, one)
            if number in found:
                raise SourceError(f"{folder}: {found[number].name} and {one.name} are one class, {LABEL_NAMES[number]}")
            found[number] = one
    absent = [name for number, name in enumerate(LABEL_NAMES) if number not in found]
    if absent:
        raise SourceError(f"{folder}: no folder for {', '.join(absent)}")
    return found
