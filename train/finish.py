"""What follows the last epoch: the best weights become a calibrated, scored model folder with its card."""

import datetime
import logging
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from model_card.build import build_card
from train.agreement import check_loaders
from train.calibration import fit_calibration
from train.config import load_config, to_yaml
from train.data import LABEL_NAMES
from train.export import export_run
from train.machine import commit, hardware, portable
from train.model import describe
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
FACES = "FER-2013 Training"  # as metrics.json names it among `datasets`


def finish(folder, config, splits, progress, lineage, weights, score, views, process):
    """Write the model folder `folder` from the float32 file `weights` of a run.

    A temperature and class offsets are fitted on the validation split, through the exported transform, and folded into
    the classifier.
    `score` names the splits that are scored, `views` how; `process` is the Accelerator that trained, and one process
    scores, on its device. The folder appears when it is complete, and its loaders agree; an earlier one of that name
    is replaced.
    """
    folder = Path(folder)
    building = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    export_run(weights, config, building, onnx=False)  # what timm reads is enough to calibrate
    alone = Alone(process.device)
    logits, labels = folder_logits(building, splits["validation"], alone)
    calibration = fit_calibration(logits, labels, config.offset_sharpness)
    export_run(weights, config, building, calibration)
    (building / "train_config.yaml").write_text(to_yaml(without_folders(config)))
    before = stored_metrics(folder).get("training", {}).get("public_test_looks", 0)  # where a run is finished again
    looks = max(before, looks_so_far(config))  # storing the figures of PublicTest counts this run's own
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
                "fitted_on": "validation",
                "folded": True,
            },
            "training": describe_run(config, progress, lineage, looks, process),
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


def looks_so_far(config):
    """How often PublicTest was scored with the weights that this run began from and with those of its teachers.

    A folder's count holds that of the runs before it, so a teacher that the weights, or another teacher, came from
    adds nothing.
    """
    begun = weights_folder(config)
    teachers = [Path(run) for run in config.teachers]
    folders = {one.resolve() for one in (begun, begun / "export", *teachers, *(one / "export" for one in teachers))}
    runs = [training for one in folders if (training := stored_metrics(one).get("training"))]

    def came_from(run, earlier):
        way = [*earlier.get("lineage", []), describe(earlier)]
        return run.get("lineage", [])[: len(way)] == way

    latest = [one for one in runs if not any(came_from(other, one) for other in runs)]
    return sum(one.get("public_test_looks", 0) for one in latest)


def without_folders(config):
    """`config` as others may read it: absolute paths are this machine's, their last part names what they hold."""
    pretrained, *teachers = portable([config.pretrained, *config.teachers])
    return replace(config, pretrained=pretrained, teachers=tuple(teachers))


def weights_folder(config):
    """The folder of the weights that `config.pretrained` names by folder or file."""
    path = Path(config.pretrained)
    return path.parent if path.is_file() else path


def data_beside(config):
    """Names of the data beyond FER-2013's own labels that the weights of a run have learnt from, in any way."""
    names = ["FER+ votes"] if config.ferplus_weight else []
    if config.pretrained == "hub":
        names.append("ImageNet")  # all of timm's weights of EfficientNet
    elif config.pretrained != "none":
        folder = weights_folder(config)
        before = stored_metrics(folder).get("training", {}).get("datasets")
        if not before and (folder / "train_config.yaml").is_file():  # a run's own weights
            before = data_beside(load_config(folder / "train_config.yaml"))
        names += [f"whatever {Path(config.pretrained).name} was trained on"] if before is None else before
    for run in map(Path, config.teachers):
        learnt_from = stored_metrics(run).get("training", {}).get("datasets")  # of a model folder
        if not learnt_from and (run / "train_config.yaml").is_file():
            learnt_from = data_beside(load_config(run / "train_config.yaml"))
        names += [f"whatever {run.name} was trained on"] if learnt_from is None else learnt_from  # a teacher's teacher
    return names


def describe_run(config, progress, lineage, looks, process, script=("train/train.py",)):
    """The `training` part of metrics.json; `script` is what `accelerate launch` was given before the flags."""
    return {
        "seed": config.seed,
        "commit": commit(),
        # a run that was resumed is the run that was begun
        "command": shlex.join(["accelerate", "launch", *script, *portable(a for a in sys.argv[1:] if a != "--resume")]),
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(process.device, process.num_processes),
        "seconds": round(progress.seconds, 1),
        "pictures_seen": progress.pictures,
        "epochs": len(progress.history),
        "best_epoch": progress.best_epoch + 1,
        "energy_kwh": progress.energy_kwh,
        "public_test_looks": looks,
        "lineage": lineage,
        "datasets": list(dict.fromkeys([FACES, *data_beside(config)])),
        "history": progress.history,
    }
