"""Which part of FER-2013's frame a detector's box covers: the figures in `space/crop.py` come from here.

    python -m benchmarks.crop_geometry ../shared/data/fer2013/training.parquet --detector PATH_OF_YUNET --pictures 3000
    python -m benchmarks.crop_geometry ../shared/data/fer2013/training.parquet --detector haar --pictures 3000

Every picture (48x48) is given a border of its own edge and enlarged four times, since a detector needs surroundings;
boxes are stated in fractions of the 48x48 frame: the centre's x and y, the width, the height, and their spread (the
quartiles' distance over the median).
"""

import argparse
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from space.detectors import find_detector

ENLARGEMENT = 4
BORDER = 24  # pixels of the 48x48 frame, on every side


def measure(detector, pictures):
    """Rows (centre x, centre y, width, height, eye distance or nan, eyes' tilt in degrees) of the one clear face."""
    scale = ENLARGEMENT
    rows = []
    for picture in pictures:
        grey = np.pad(picture, BORDER, mode="edge")
        side = grey.shape[0] * scale
        large = Image.fromarray(grey).resize((side, side), Image.Resampling.BICUBIC)
        faces = detector.search(np.asarray(large.convert("RGB") if detector.name == "YuNet" else large))
        if not faces:
            continue
        face = max(faces, key=lambda face: face.box[2] * face.box[3])
        x, y, width, height = (value / scale / 48 for value in face.box)
        x, y = x - BORDER / 48, y - BORDER / 48
        distance = tilt = np.nan
        if face.eyes:
            (x0, y0), (x1, y1) = face.eyes
            distance = np.hypot(x1 - x0, y1 - y0) / scale / 48
            tilt = np.degrees(np.arctan2(y1 - y0, x1 - x0))
        rows.append((x + width / 2, y + height / 2, width, height, distance, tilt))
    return np.array(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", type=Path, help="FER-2013's Training as parquet")
    parser.add_argument("--detector", required=True, help="YuNet's ONNX file, or haar")
    parser.add_argument("--pictures", type=int, default=3000, help="drawn from the file with seed 0")
    args = parser.parse_args()
    column = pq.read_table(args.parquet, columns=["image"])["image"]
    chosen = np.random.default_rng(0).permutation(len(column))[: args.pictures]
    pictures = [np.asarray(Image.open(io.BytesIO(column[int(i)].as_py()["bytes"])).convert("L")) for i in chosen]
    detector = find_detector(args.detector)
    rows = measure(detector, pictures)
    print(f"{detector.name}: a face in {len(rows)} of {len(pictures)} pictures ({len(rows) / len(pictures):.1%})")
    measures = {
        "centre x": rows[:, 0],
        "centre y": rows[:, 1],
        "width": rows[:, 2],
        "height": rows[:, 3],
        "sqrt(width x height)": np.sqrt(rows[:, 2] * rows[:, 3]),
        "eye distance": rows[:, 4],
        "eyes' tilt, degrees": rows[:, 5],
    }
    for name, values in measures.items():
        if np.isnan(values).all():  # the cascade sees no eyes
            continue
        low, middle, high = np.nanpercentile(values, [25, 50, 75])
        spread = (high - low) / abs(middle)
        print(f"{name:22} median {middle:8.3f}   quartiles {low:8.3f} {high:8.3f}   spread {spread:6.1%}")


if __name__ == "__main__":
    main()
