"""How well FER+'s votes name FER-2013's label on validation: as they are, and as train/votes.py reads them.

    python -m train.score_votes --data PATH

The latter is fitted on the train split; a table of both, with the recall of each class.
"""

import argparse

import numpy as np

from train.data import LABEL_NAMES, add_data_flags, as_arrays, load_validated
from train.loss import FERPLUS_COLUMNS
from train.metrics import selection_figures
from train.pictures import SourceError
from train.votes import foretold_labels


def answers(train, validation):
    """{name: probabilities [n, K] of the pictures of `validation`}; both are `Arrays` with votes."""
    counts = validation.votes[:, FERPLUS_COLUMNS] + 0.01  # none is certain, so that the loss is finite
    return {
        "the class voted for": counts / counts.sum(1, keepdims=True),
        "the label foretold": foretold_labels(train, validation, len(LABEL_NAMES)),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_flags(parser)
    args = parser.parse_args(arguments)
    try:
        splits = load_validated(args)
        train, validation = as_arrays(splits["train"]), as_arrays(splits["validation"])
        if train.votes is None:
            raise SourceError(f"{args.data} holds no FER+ votes")
    except SourceError as error:
        raise SystemExit(f"train.score_votes: {error}") from None
    print(f"{'':20} accuracy macro F1  loss; recall", *(f"{name:>8}" for name in LABEL_NAMES))
    for name, probabilities in answers(train, validation).items():
        figures = selection_figures(np.log(probabilities), validation.labels)
        hits = probabilities.argmax(1) == validation.labels
        recalls = [hits[validation.labels == label].mean() for label in range(len(LABEL_NAMES))]
        print(
            f"{name:20} {figures['accuracy']:8.2%} {figures['macro_f1']:8.2%} {figures['loss']:5.3f}         ",
            *(f"{recall:8.1%}" for recall in recalls),
        )


if __name__ == "__main__":
    main()
