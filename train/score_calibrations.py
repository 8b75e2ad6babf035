"""What the sharpness of the calibration's offsets (train/calibration.py) gives, on validation alone.

    python -m train.score_calibrations --model model --data PATH

Each is fitted on one random half of validation and scored on the other, twenty times; the means, in percent, are
printed.
"""

import argparse
from pathlib import Path

import numpy as np

from train.calibration import Calibration, fit_calibration
from train.data import LABEL_NAMES, add_data_flags, load_validated
from train.metrics import calibration_error, reliability, selection_figures
from train.score import check_validation, folder_logits, softmax, split_options, stored_metrics

SHARPNESSES = (1.0, 1.5, 2.0, 3.0, 5.0, 20.0)
HALVES = 20


def figures(logits, labels):
    """[accuracy, macro F1, expected calibration error, recall of each class] of calibrated logits [n, K]."""
    chosen = selection_figures(logits, labels)
    error = calibration_error(reliability(softmax(logits), labels))
    recalls = [(logits[labels == label].argmax(1) == label).mean() for label in range(logits.shape[1])]
    return np.array([chosen["accuracy"], chosen["macro_f1"], error, *recalls])


def comparison(logits, labels, halves=HALVES):
    """{sharpness: the mean `figures`} over random halves, the same ones for each sharpness."""
    generator = np.random.default_rng(0)
    parts = [np.array_split(generator.permutation(len(labels)), 2) for _ in range(halves)]
    means = {}
    for sharpness in SHARPNESSES:
        found = []
        for fitted, scored in parts:
            calibration = fit_calibration(logits[fitted], labels[fitted], sharpness)
            found.append(figures(logits[scored] / calibration.temperature + calibration.bias, labels[scored]))
        means[sharpness] = np.mean(found, 0)
    return means


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    add_data_flags(parser)
    args = parser.parse_args(arguments)
    try:
        options = {"limit": None} | split_options(args.model, "validation")
        splits = load_validated(args, **options)
        check_validation(args.model, splits["validation"])
        logits, labels = folder_logits(args.model, splits["validation"])
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"train.score_calibrations: {error}") from None
    if stored := stored_metrics(args.model).get("calibration"):
        logits = Calibration(stored["temperature"], np.asarray(stored.get("bias", 0.0))).undone(logits)
    print(
        "{:>9} {:>9} {:>9} {:>6}".format("sharpness", "accuracy", "macro F1", "ECE"), *(f"{n:>9}" for n in LABEL_NAMES)
    )
    for sharpness, (accuracy, macro_f1, error, *recalls) in comparison(logits, labels).items():
        print(
            f"{sharpness:>9} {100 * accuracy:>9.1f} {100 * macro_f1:>9.1f} {100 * error:>6.1f}",
            *(f"{100 * recall:>9.1f}" for recall in recalls),
        )


if __name__ == "__main__":
    main()
