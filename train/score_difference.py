"""How a model folder differs from another on the validation split of both, with paired intervals.

    python -m train.score_difference --data PATH --before model --after runs/student/export --views single flip

Pictures are drawn with replacement, the same ones for both folders (paired bootstrap, 95% percentile intervals, 2,000
resamples): what is hard for both cancels, so that a difference shows which two separate intervals would hide. Weights
are chosen with it, so it takes no test split.

Where the data hold FER+'s votes, the same figures follow with P(label | votes) (train/votes.py, fitted on the train
split) in the label's place, as "foretold": a label is one noisy answer, and its expectation given what ten annotators
said has less variance (Rao-Blackwell), so that intervals become about half as wide. What the votes leave open, a
picture may still say: such a label is blunter than the probabilities ought to be, and each folder's are brought to the
temperature that suits it best (Guo et al. 2017), or the loss would reward modesty. Read these figures' differences,
and only beside those with the labels: they are blind to what a picture says of its label beyond the votes, and one
folder was clearly the better by them and no better by PublicTest's labels (train/EXPERIMENTS.md, twelfth session).
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import bootstrap

from train.data import LABEL_NAMES, add_data_flags, as_arrays, load_validated
from train.score import VIEWS, check_validation, load_model, predict, softmax, split_options
from train.votes import foretold_labels

RESAMPLES = 2000
FIGURES = ("loss", "accuracy", "macro_f1")


def differences(before, after, targets, resamples=RESAMPLES):
    """{figure: (before, after, low, high)}; low and high bound after - before.

    `before` and `after` are probabilities, float [n, K], of the same pictures; `targets` float [n, K] too: one-hot
    labels, or what is expected of them. Macro F1 is the mean over the classes that occur, in a resample as in all.
    """
    everything, classes = np.arange(len(targets)), np.eye(targets.shape[1])
    losses = [-(targets * np.log(np.maximum(one, 1e-12))).sum(1) for one in (before, after)]
    named = [classes[one.argmax(1)] for one in (before, after)]

    def figures(which, rows):
        matrix = targets[rows].T @ named[which][rows]
        hits, said, occurs = matrix.diagonal(), matrix.sum(0), matrix.sum(1)
        f1 = 2 * hits[occurs > 0] / (said + occurs)[occurs > 0]
        return np.array([losses[which][rows].mean(), hits.sum() / len(rows), f1.mean()])

    interval = bootstrap(
        (everything,),
        lambda rows: figures(1, rows) - figures(0, rows),
        n_resamples=resamples,
        vectorized=False,
        method="percentile",
        rng=0,
    ).confidence_interval
    ends = zip(figures(0, everything), figures(1, everything), interval.low, interval.high, strict=True)
    return {name: tuple(map(float, row)) for name, row in zip(FIGURES, ends, strict=True)}


def tempered(probabilities, targets):
    """`probabilities` float [n, K] at the temperature at which their loss on `targets` float [n, K] is lowest."""
    logits = np.log(np.maximum(probabilities, 1e-12))

    def at(temperature):
        return softmax(logits / temperature)

    found = minimize_scalar(lambda one: -(targets * np.log(at(one))).sum(), bounds=(0.2, 5), method="bounded")
    return at(found.x)


def targets_of(train, validation):
    """{name of a kind of target: float [n, K]} of the pictures of `validation`; both are `Arrays`."""
    targets = {"": np.eye(len(LABEL_NAMES))[validation.labels]}
    if validation.votes is not None:
        targets[" foretold"] = foretold_labels(train, validation, len(LABEL_NAMES))
    return targets


def common_options(folders):
    """How both folders' runs set validation apart. Raises ValueError where they did it differently."""
    options = [{"limit": None} | split_options(folder, "validation") for folder in folders]
    if options[0] != options[1]:
        raise ValueError(f"{folders[0]} and {folders[1]} set different pictures apart: {options[0]} and {options[1]}")
    return options[0]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="model folder")
    parser.add_argument("--after", type=Path, required=True, help="the model folder that may take its place")
    add_data_flags(parser)
    parser.add_argument("--views", nargs="+", default=["single"], choices=VIEWS, help="averaged views, named as such")
    args = parser.parse_args(arguments)
    folders = [args.before, args.after]
    try:
        models = [load_model(folder)[:2] for folder in folders]
        splits = load_validated(args, **common_options(folders))
        split = splits["validation"]
        for folder in folders:
            check_validation(folder, split)
        arrays = as_arrays(split)
        targets = targets_of(as_arrays(splits["train"]), arrays)
        print(f"{'':26}{'before':>9}{'after':>9}   difference")
        for view in args.views:
            answers = [softmax(predict(*model, arrays.images, view)).mean(1) for model in models]
            for kind, expected in targets.items():
                fair = [tempered(one, expected) for one in answers] if kind else answers
                for name, (before, after, low, high) in differences(*fair, expected).items():
                    change = f"{after - before:+.4f} [{low:+.4f}, {high:+.4f}]"
                    print(f"{f'{view},{kind} {name}':26}{before:9.4f}{after:9.4f}   {change}", flush=True)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"train.score_difference: {error}") from None


if __name__ == "__main__":
    main()
