"""What points on the line from a run's first weights to its best (train/averaging.py) know of its validation split.

    python -m train.score_averages --run runs/refined --data PATH

Where --run names several runs from one beginning, the line ends at the mean of their best weights. The share of the
first weights is --pretrained_share of the first run's command, which exports again with --resume; the other runs are
its --averaged_runs.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from train import augmentation
from train.averaging import BEGUN, averaged
from train.calibration import fit_calibration
from train.config import ConfigError, load_config
from train.data import add_data_flags, as_arrays, load_validated
from train.earlier import check_same_split
from train.metrics import selection_figures
from train.pictures import SourceError

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
BATCH = 128


@torch.inference_mode()
def logits(network, normalise, images, size):
    """float32 [n, K] of grey `images` uint8 [n, h, w]."""
    network = network.to(memory_format=torch.channels_last)
    found = []
    for batch in torch.from_numpy(images).unsqueeze(1).split(BATCH):
        grey = augmentation.resize(batch.float() / 255, size)
        found.append(network(normalise(grey).contiguous(memory_format=torch.channels_last)))
    return torch.cat(found).numpy()


def rows(run, config, images, labels, others=()):
    """(share, figures as they are, figures of the calibrated logits) for each of SHARES."""
    for share in SHARES:
        network, normalise = averaged(config, run, share, others)
        answers = logits(network, normalise, images, config.input_size).astype(np.float64)
        calibration = fit_calibration(answers, labels, config.offset_sharpness)
        calibrated = answers / calibration.temperature + calibration.bias
        yield share, selection_figures(answers, labels), selection_figures(calibrated, labels)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_flags(parser)
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        nargs="+",
        metavar="RUN",
        help="folders of runs that went on from weights",
    )
    args = parser.parse_args(arguments)
    try:
        run, *others = args.run
        for folder in args.run:
            if not all((folder / name).is_file() for name in ("train_config.yaml", BEGUN, "best.safetensors")):
                raise ConfigError(f"{folder} is no run that began from weights and has some of its own")
        config = load_config(run / "train_config.yaml")
        if config.pretrained == "none":
            raise ConfigError(f"{run} began from no weights")
        for other in others:
            check_same_split(config, other, "--run")
        options = {"validation_fraction": config.validation_fraction, "seed": config.split_seed, "limit": config.limit}
        splits = load_validated(args, **options)
        split = as_arrays(splits["validation"])
        print("  share   loss accuracy macro F1   calibrated:   loss accuracy macro F1")
        for share, plain, calibrated in rows(run, config, split.images, split.labels, others):
            figures = [
                f"{one['loss']:.3f} {one['accuracy']:8.2%} {one['macro_f1']:8.2%}" for one in (plain, calibrated)
            ]
            print(f"{share:7} {figures[0]:>6}                {figures[1]}", flush=True)
    except (ConfigError, SourceError) as error:
        raise SystemExit(f"train.score_averages: {error}") from None


if __name__ == "__main__":
    main()
