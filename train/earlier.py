"""What a run may take from the runs before it: weights that are there, and that have not seen its validation."""

import logging
from pathlib import Path

import yaml

from train.averaging import BEGUN
from train.checkpoint import CheckpointError, write_atomically
from train.config import ConfigError
from train.model import ORIGIN
from train.provenance import FACES, learnt_from, weights_folder
from train.score import stored_metrics

logger = logging.getLogger("train")

VALIDATION = "validation.sha256"  # in a run's folder: its validation split's fingerprint
LEARNT = "validation_learnt.txt"  # beside it: by whom that split's pictures may have been learnt before, where they may


def check_weights_are_there(path):
    if not path.exists():
        raise ConfigError(f"pretrained: {path} is not there; it is none, hub, a file or a model folder")
    if path.is_dir() and not (path / "model.safetensors").is_file():
        raise ConfigError(
            f"pretrained: {path} holds no model.safetensors; a run's weights are the file best.safetensors in its"
            " folder, or the folder export"
        )


def check_averaged_runs(config, output):
    if config.averaged_runs and config.pretrained == "none":
        raise ConfigError("averaged_runs: runs from no weights have no common beginning, and no mean that is any good")
    folders = [Path(run) for run in config.averaged_runs]
    for number, folder in enumerate(folders):
        before = [output] * bool(output) + folders[:number]
        if folder.resolve() in [one.resolve() for one in before]:
            raise ConfigError(f"averaged_runs: {folder} is this run itself, or is named twice")
        needed = ("train_config.yaml", BEGUN, ORIGIN, "best.safetensors", "export/metrics.json")
        if missing := ", ".join(name for name in needed if not (folder / name).is_file()):
            raise ConfigError(f"averaged_runs: {folder} is no finished run from weights: {missing} is not there")
        check_same_split(config, folder, "averaged_runs")


def own_recipe(folder):
    """The configuration, as a dict, that the weights in `folder` were trained with; empty where it is not there."""
    file = folder / "train_config.yaml"
    return yaml.safe_load(file.read_text()) if file.is_file() else {}


def check_same_split(config, folder, field):
    """Raises ConfigError where the run in `folder` has learnt from pictures that this one validates on."""
    other = own_recipe(folder)
    if not other or FACES not in learnt_from(folder):
        return
    fraction, seed = (other.get(name, getattr(config, name)) for name in ("validation_fraction", "split_seed"))
    if seed != config.split_seed or fraction < config.validation_fraction:  # of one seed, a smaller one is a part of it
        raise ConfigError(
            f"{field}: {folder} was trained with validation_fraction {fraction} and split_seed {seed}, so with pictures"
            " of this run's validation split; give the same split_seed and no larger validation_fraction"
        )
    if other.get("limit") != config.limit:
        logger.warning(
            "%s: %s was trained with limit %s, this run has %s: its validation split may hold pictures learnt there",
            field, folder, other.get("limit"), config.limit,
        )  # fmt: skip


def check_same_pictures(config, fingerprint_at, output, resumed=False):
    """Whether this run's validation split may hold pictures that its weights or teachers have learnt, which is warned
    of and kept in `output` for the runs that follow.

    `fingerprint_at` gives the fingerprint of the validation split that these data have at a validation_fraction. Where
    the run goes on (`resumed`), what was found at its beginning holds; raises CheckpointError for other pictures.
    """
    own = fingerprint_at(config.validation_fraction)
    if resumed and (output / VALIDATION).is_file():
        if (output / VALIDATION).read_text().strip() != own:
            raise CheckpointError(
                f"--resume: the run in {output} was validated on other pictures than --data holds; give the data that"
                " it began with, or another --output"
            )
        return bool(reasons(config, config.averaged_runs, fingerprint_at)) or (output / LEARNT).is_file()
    before = [weights_folder(config)] if config.pretrained not in ("none", "hub") else []
    said = reasons(config, [*config.teachers, *before], fingerprint_at)
    beside = reasons(config, config.averaged_runs, fingerprint_at)  # of what is exported, not of this run's own weights
    write_atomically(output / VALIDATION, lambda path: path.write_text(own + "\n"))
    (output / LEARNT).unlink(missing_ok=True)
    if said:
        write_atomically(output / LEARNT, lambda path: path.write_text("".join(said)))
    return bool(said or beside)


def reasons(config, folders, fingerprint_at):
    """A line for each of `folders` whose weights may have learnt this run's validation pictures; it is warned of."""
    found = {folder: learnt_there(config, Path(folder), fingerprint_at) for folder in folders}
    said = [f"{folder} {reason}\n" for folder, reason in found.items() if reason]
    for line in said:
        logger.warning(
            "%s: this run's validation split may hold pictures learnt there, and its figures be too good", line.strip()
        )
    return said


def learnt_there(config, folder, fingerprint_at):
    """Why the weights in `folder` may have learnt pictures of this run's validation split; None where they have not.

    The split follows the rows' order, which differs between layouts of FER-2013, and the limit.
    """
    metrics, recipe = stored_metrics(folder), own_recipe(folder)
    if (folder / LEARNT).is_file() or metrics.get("training", {}).get("validation_may_be_learnt"):
        return "began or learned from weights that may have learnt its own validation pictures"
    known = {view["data_fingerprint"] for view in metrics.get("splits", {}).get("validation", {}).values()}
    if (folder / VALIDATION).is_file():
        known.add((folder / VALIDATION).read_text().strip())
    if known:
        same = fingerprint_at(recipe.get("validation_fraction", config.validation_fraction)) in known
        return None if same else "was validated on other pictures (another layout of FER-2013, or another limit)"
    if recipe and FACES in learnt_from(folder) and recipe.get("limit") != config.limit:
        return f"was trained with limit {recipe.get('limit')}, not {config.limit}"
    return None
