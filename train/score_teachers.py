"""What teachers know of the validation split, each by itself and all averaged, as a student hears them.

    python -m train.score_teachers --data PATH --teachers runs/teacher2 runs/teacher3

A teacher is not exported, and never sees a test split.
"""

import argparse
from pathlib import Path

import torch

from train.config import ConfigError, load_config
from train.data import LABEL_NAMES, SourceError, add_data_flags, as_arrays, load_validated
from train.metrics import selection_figures
from train.teachers import Teachers, finished_run

BATCH = 256


def probabilities(teachers, images):
    """float32 [n, K] of grey `images` uint8 [n, h, w]."""
    batches = torch.from_numpy(images).unsqueeze(1).split(BATCH)
    return torch.cat([teachers(batch.float() / 255) for batch in batches])


def rows(runs, images, labels):
    """[name, accuracy, macro F1, loss, accuracy with the mirror image] of each run, then of all together."""
    answers = []
    for run in runs:
        teacher = Teachers([run], len(LABEL_NAMES))
        answers.append((run.name, probabilities(teacher, images), probabilities(teacher, images[:, :, ::-1].copy())))
    if len(answers) > 1:
        mean = [torch.stack([answer[part] for answer in answers]).mean(0) for part in (1, 2)]
        answers.append((f"all {len(runs)} averaged", *mean))
    for name, single, mirrored in answers:
        figures = selection_figures(single.log().numpy(), labels)
        both = selection_figures((single + mirrored).div(2).log().numpy(), labels)
        yield [name, f"{figures['accuracy']:.2%}", f"{figures['macro_f1']:.2%}", f"{figures['loss']:.3f}",
               f"{both['accuracy']:.2%}"]  # fmt: skip


def split_options(runs):
    """How `runs` set validation apart, for `load_validated`. Raises ConfigError where they differ in it."""
    configs = [load_config(finished_run(run) / "train_config.yaml") for run in runs]
    ways = {(one.validation_fraction, one.split_seed, one.limit) for one in configs}
    if len(ways) > 1:
        raise ConfigError("the runs set different pictures apart (validation_fraction, split_seed or limit)")
    return dict(zip(("validation_fraction", "seed", "limit"), ways.pop(), strict=True))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_flags(parser)
    parser.add_argument("--teachers", nargs="+", type=Path, required=True, metavar="RUN", help="folders of runs")
    args = parser.parse_args(arguments)
    try:
        options = split_options(args.teachers)
        splits = load_validated(args, **options)
        split = as_arrays(splits["validation"])
        lines = list(rows(args.teachers, split.images, split.labels))
    except (ConfigError, SourceError) as error:
        raise SystemExit(f"train.score_teachers: {error}") from None
    for line in [["teacher", "accuracy", "macro F1", "loss", "with the mirror image"], *lines]:
        print("{:24} {:>9} {:>9} {:>6} {:>22}".format(*line))


if __name__ == "__main__":
    main()
