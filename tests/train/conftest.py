"""FER-2013 in the layouts that people download, from the real data."""

import subprocess
import sys
import zipfile

import pytest

LIMIT = 300


@pytest.fixture(scope="session")
def layouts(shared_data, tmp_path_factory):
    """{name: path} of one slice of the real data in the layouts that people download."""
    root = tmp_path_factory.mktemp("layouts")
    script = shared_data / "fer2013" / "to_kaggle.py"
    subprocess.run(
        [sys.executable, script, "--csv", root / "csv", "--icml", root / "icml", "--folders", root / "folders"]
        + ["--limit", str(LIMIT)],
        check=True,
    )
    with zipfile.ZipFile(root / "archive.zip", "w") as archive:
        for path in (root / "folders").rglob("*.jpg"):
            archive.write(path, path.relative_to(root))
    return {
        "csv": root / "csv" / "fer2013.csv",
        "icml": root / "icml" / "icml_face_data.csv",
        "folder of a csv": root / "csv",
        "folders": root / "folders",
        "zip": root / "archive.zip",
        "parquet": shared_data / "fer2013",
    }
