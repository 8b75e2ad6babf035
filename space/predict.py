"""Read pictures from the command line, with the answers of the API's `/predict`.

    python -m space.predict photo.jpg                      a line for each face
    python -m space.predict photo.jpg more.png --json      the API's answer, a JSON object for each picture
    python -m space.predict *.jpg --csv > faces.csv        a row for each face
    python -m space.predict photo.jpg --annotate DIR       DIR/photo.png with the faces drawn in

From Python: `space.predict.predict("photo.jpg")["faces"]`.

FER_MODEL and FER_DETECTOR choose the model and the detector. A picture that can't be read gets a sentence on standard
error, and the command ends with 1 after the others.
"""

import argparse
import csv
import json
import os
import sys
from pathlib import Path

from space.analysis import Analyzer
from space.classifier import ModelError
from space.draw import annotated, save_png
from space.text import Refusal


def predict(picture: str | Path | bytes, *, model=None, detector=None, whole=False):
    """The API's answer for one picture, a path or a file's bytes; with `whole` it is taken as one face, unsearched.

    `model` and `detector` are what FER_MODEL and FER_DETECTOR could say. Both are loaded at each call: for many
    pictures keep an `Analyzer.load()` and use its `analyse_file`. Raises `Refusal`, `ModelError`, FileNotFoundError.
    """
    return Analyzer.load(model, detector).analyse_file(picture, whole)[1].as_json()


def csv_header(label_names):
    return ["file", "face", "x", "y", "width", "height", "emotion", "confidence", *label_names]


def csv_rows(file, answer):
    """A row for each face of the API's `answer` for `file`, in the order of `csv_header`."""
    return [
        [file, number, *face["box"], face["emotion"], face["confidence"], *face["probabilities"].values()]
        for number, face in enumerate(answer["faces"], 1)
    ]


def cell(value):
    """A file's name as a spreadsheet's cell: one that begins like a formula is quoted, so that nothing runs."""
    return f"'{value}" if value[:1] in "=+-@\t\r" else value


def free_name(folder, stem):
    """folder/stem.png, or folder/stem-2.png and so on where a picture of that name has been written."""
    path, number = folder / f"{stem}.png", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}.png", number + 1
    return path


def lines(file, answer):
    if not answer["faces"]:
        return [f"{file}: no face found by {answer['detector']}"]
    return [
        f"{file}: face {number} at {face['box']}: {face['emotion']} {face['confidence']:.1%}"
        for number, face in enumerate(answer["faces"], 1)
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m space.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", type=Path)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="one table for all pictures")
    parser.add_argument("--annotate", type=Path, metavar="DIR", help="also write each picture with its faces drawn in")
    parser.add_argument("--whole", action="store_true", help="take each picture as one face, without searching it")
    args = parser.parse_args(arguments)
    try:
        analyzer = Analyzer.load()
    except (ModelError, OSError) as error:
        sys.exit(f"space.predict: {error}")
    try:
        if args.annotate:
            args.annotate.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"space.predict: --annotate {args.annotate}: {error.strerror}")
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        failed = read_all(args, analyzer)
        sys.stdout.flush()
    except BrokenPipeError:  # of `| head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 1
    return failed


def read_all(args, analyzer):
    """Print the answers for `args.pictures`; 1 where one could not be read or drawn, else 0."""
    table = csv.writer(sys.stdout)
    if args.csv:
        table.writerow(csv_header(analyzer.classifier.label_names))
    failed = 0
    for path in args.pictures:
        try:
            path.open("rb").close()  # of a folder or a file of others' the decoder would say that it is damaged
            picture, analysis = analyzer.analyse_file(path, args.whole)
        except (Refusal, OSError) as error:
            print(f"{path}: {reason(error)}", file=sys.stderr)
            failed = 1
            continue
        answer = analysis.as_json()
        if args.json:
            print(json.dumps({"file": str(path)} | answer))
        elif args.csv:
            table.writerows(csv_rows(cell(str(path)), answer))
        else:
            print("\n".join(lines(path, answer)))
        if args.annotate:
            try:
                save_png(annotated(analysis, picture), free_name(args.annotate, path.stem))
            except OSError as error:
                print(f"{path}: its picture could not be written to {args.annotate}: {reason(error)}", file=sys.stderr)
                failed = 1
    return failed


def reason(error):
    return getattr(error, "strerror", None) or error


if __name__ == "__main__":
    sys.exit(main())
