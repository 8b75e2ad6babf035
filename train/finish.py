"""What follows the last epoch: the best weights become a calibrated, scored model folder with its card."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from model_card.build import build_card
from train.agreement import check_loaders
from train.calibration import fit_calibration, pictures_needed, with_least_recalls
from train.config import ConfigError, to_yaml
from train.data import LABEL_NAMES
from train.export import export_run
from train.machine import portable
from train.provenance import describe_run
from train.score import (
    Alone,
    folder_logits,
    load_model,
    score_folder,
    store,
    stored_metrics,
    table,
    weights_sha256,
    write_metrics,
)

logger = logging.getLogger(__name__)


def finish(folder, config, splits, progress, origin, weights, score, views, process, learnt=False):
    """Write the model folder `folder` from the float32 file `weights` of a run, which began with `origin`.

    A temperature and class offsets are fitted on the validation split, through the exported transform, and folded into
    the classifier.
    `score` names the splits that are scored, `views` how; `process` is the Accelerator that trained, and one process
    scores, on its device. `learnt` says whether weights before these may have learnt pictures of the validation split.
    The folder appears when it is complete, and its loaders agree; an earlier one of that name is replaced.
    """
    folder = Path(folder)
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    export_run(weights, config, building, onnx=False)  # what timm reads is enough to calibrate
    alone = Alone(process.device)
    logits, labels = folder_logits(building, splits["validation"], alone)
    calibration = fit_calibration(logits, labels, config.offset_sharpness)
    if config.least_recall:
        calibration = recalling(config, calibration, logits, labels)
    export_run(weights, config, building, calibration)
    (building / "train_config.yaml").write_text(to_yaml(without_folders(config)))
    before = stored_metrics(folder).get("training", {})  # where a run is finished again
    looks = before.get("public_test_looks", 0)
    own = looks - before.get("public_test_looks_begun", looks)  # storing figures of PublicTest counts those
    began_with = origin.public_test_looks
    origin = replace(origin, public_test_looks=max(looks, began_with + own))
    model, _, _ = load_model(building)
    write_metrics(
        building,
        {
            "schema_version": 1,
            "label_names": list(LABEL_NAMES),
            "model": {
                "architecture": config.architecture,
                "parameters": sum(p.numel() for p in model.parameters()),
                "input_size": [3, config.input_size, config.input_size],
                "weights_sha256": weights_sha256(building),
            },
            "calibration": {
                "temperature": calibration.temperature,
                "bias": calibration.bias.tolist(),
                "sharpness": config.offset_sharpness,
                "least_recall": dict(config.least_recall),
                "fitted_on": "validation",
                "folded": True,
            },
            "training": describe_run(config, progress, origin, process)
            | {"validation_may_be_learnt": learnt, "public_test_looks_begun": began_with},
            "splits": {},
        },
    )
    for name in score:
        if name not in splits:
            logger.warning("the data hold no split %s; it is not scored", name)
            continue
        entries = score_folder(building, splits[name], views=views, process=alone)
        store(building, name, entries)
        for view, entry in entries.items():
            logger.info("\n%s", table(entry, f"{name}, {view}"))
    logger.info("loaders agree: %s", check_loaders(building))
    build_card(building)
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)


def check_least_recall(config, labels):
    """Raises ConfigError where `labels`, validation's, are too few of a class to show the recall that it must have."""
    for name, recall in config.least_recall:
        n = int((labels == LABEL_NAMES.index(name)).sum())
        if pictures_needed(recall, n) is None:
            raise ConfigError(
                f"least_recall: validation's {n} pictures of {name} are too few to show a recall of {recall:g} with 95%"
                " confidence"
            )


def recalling(config, calibration, logits, labels):
    least = {LABEL_NAMES.index(name): recall for name, recall in config.least_recall}
    try:
        return with_least_recalls(calibration, logits, labels, least)
    except ValueError as error:
        raise ConfigError(f"least_recall: {error}; the run is kept: give another with --resume") from None


def without_folders(config):
    """`config` as others may read it: absolute paths are this machine's, their last part names what they hold."""
    pretrained, *teachers = portable([config.pretrained, *config.teachers])
    others = tuple(portable(config.averaged_runs))
    return replace(config, pretrained=pretrained, teachers=tuple(teachers), averaged_runs=others)
