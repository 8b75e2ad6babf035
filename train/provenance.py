"""What weights come from: the runs before them, the data that they have learnt from, the looks at PublicTest."""

import datetime
import itertools
import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from train.checkpoint import write_atomically
from train.config import TrainConfig, load_config
from train.machine import commit, hardware, launcher, portable
from train.model import ORIGIN, describe
from train.score import stored_metrics

TAUGHT, AVERAGED = "taught by ", "averaged with "  # how a lineage's lines begin that are no run before
FACES = "FER-2013 Training"  # as metrics.json names it among `datasets`
IMAGENET = re.compile("in(1|12|21|22)k")  # as the parts of timm's tags name it
# further data that timm's tags name beside it
BEYOND_IMAGENET = re.compile(
    r"jft|ig\d+[bm]|swsl|wsl|ssl|swag|seer|yfcc\w*|clip|metaclip|openai|laion\w*|datacomp\w*|dfn\w*|webli|m30m|m38m"
    r"|merged\w*|lvd\w*"
)


@dataclass(frozen=True)
class Origin:
    """What a run began with: the runs before it, the data that they and it have learnt from, their looks at PublicTest.

    It is taken at the beginning and kept in the run's folder, as its weights are (train/averaging.py): a run that goes
    on may find others where it found those.
    """

    lineage: list[str]
    datasets: list[str]
    public_test_looks: int

    @classmethod
    def of(cls, config, lineage):
        return cls(lineage, list(dict.fromkeys([FACES, *data_beside(config)])), looks_so_far(config))

    @classmethod
    def kept(cls, run):
        """Of the run in the folder `run`; None where it keeps none."""
        file = run / ORIGIN
        return cls(**json.loads(file.read_text())) if file.is_file() else None

    def keep(self, run):
        text = json.dumps(asdict(self), indent=1) + "\n"
        write_atomically(run / ORIGIN, lambda path: path.write_text(text))

    def averaged_with(self, runs):
        """Of the mean with the finished runs in the folders `runs`, which began as this one did."""
        own = list(itertools.takewhile(lambda step: step.startswith(TAUGHT), reversed(self.lineage)))[::-1]
        begun = len(self.lineage) - len(own)
        before = self.lineage[:begun]
        datasets, looks = list(self.datasets), self.public_test_looks
        for run in map(Path, runs):
            kept, training = Origin.kept(run), stored_metrics(run / "export").get("training", {})
            # what taught a run stands before it, this run's own teachers last
            before += [step for step in kept.lineage[begun:] if step.startswith(TAUGHT)]
            before.append(f"{AVERAGED}{run.name}: {describe(training)}")
            datasets += training.get("datasets", [])
            looks += training.get("public_test_looks", 0) - min(kept.public_test_looks, self.public_test_looks)
        return Origin([*before, *own], list(dict.fromkeys(datasets)), looks)


@dataclass(frozen=True)
class Earlier:
    """A run before another: what metrics.json stores of its weights (None) and training ({}), where it stores that;
    `config` is the run's own where it has to tell of the data and the runs before."""

    name: str
    sha256: str | None
    training: dict
    config: TrainConfig | None


def runs_before(config, found=None):
    """The `Earlier` runs that the weights of a run began from and learnt from, each once.

    What a run has stored holds what it took over from those before it; where it has stored nothing, as a teacher that
    is not exported, those before it follow.
    """
    found = {} if found is None else found
    begun = [] if config.pretrained in ("none", "hub") else [(Path(config.pretrained).name, weights_folder(config))]
    for name, folder in [*begun, *((Path(run).name, Path(run)) for run in config.teachers)]:
        figures = next((one for one in (folder, folder / "export") if stored_metrics(one)), folder)
        if figures.resolve() in found:
            continue
        metrics = stored_metrics(figures)
        training, own = metrics.get("training", {}), folder / "train_config.yaml"
        goes_on = load_config(own) if "datasets" not in training and own.is_file() else None
        found[figures.resolve()] = Earlier(name, metrics.get("model", {}).get("weights_sha256"), training, goes_on)
        if goes_on:
            runs_before(goes_on, found)
    return list(found.values())


def looks_so_far(config):
    """How often PublicTest was scored with the weights that this run began from, with those of its teachers, and with
    those before them.

    A run's count holds that of the runs before it, so one that another came from or learnt from adds nothing, nor does
    a copy of its folder. Not told, and so counted twice: looks at a teacher of a run that is not exported, where
    another run that learnt from that one holds them too.
    """
    runs = [one for one in runs_before(config) if one.training]
    copies = {one.sha256: one for one in sorted(runs, key=looks_at) if one.sha256}  # the most looks of each
    runs = [one for one in runs if copies.get(one.sha256, one) is one]
    return sum(looks_at(one) for one in runs if not any(came_from(other, one) for other in runs))


def looks_at(run):
    return run.training.get("public_test_looks", 0)


def came_from(run, earlier):
    """Whether the lineage of `run` tells that it began from the weights of `earlier`, was averaged with them or, by
    their sum, learnt from them."""
    lineage = run.training.get("lineage", [])
    way = [*earlier.training.get("lineage", []), describe(earlier.training)]
    learnt = earlier.sha256 and any(f"weights sha256 {earlier.sha256[:12]}" in step for step in lineage)
    mixed = "date" in earlier.training and any(
        step.startswith(AVERAGED) and step.endswith(f": {describe(earlier.training)}") for step in lineage
    )
    return lineage[: len(way)] == way or bool(learnt) or mixed


def weights_folder(config):
    """The folder of the weights that `config.pretrained` names by folder or file."""
    path = Path(config.pretrained)
    return path.parent if path.is_file() else path


def data_beside(config):
    """Names of the data beyond FER-2013's own labels that the weights of a run have learnt from, in any way."""
    names = data_of(config)
    for run in runs_before(config):
        whatever = data_of(run.config) if run.config else [f"whatever {run.name} was trained on"]
        names += run.training.get("datasets", whatever)
    return names


def data_of(config):
    """What a run itself brings in."""
    names = ["FER+ votes"] if config.ferplus_weight else []
    return names + data_of_tag(config.architecture, config.pretrained_tag) if config.pretrained == "hub" else names


def data_of_tag(architecture, tag):
    """The data of timm's weights as far as their tag tells: `ra_in1k` is of ImageNet, `ns_jft_in1k` not of it alone."""
    parts = tag.split("_")
    imagenet = ["ImageNet"] if any(IMAGENET.fullmatch(part) for part in parts) else []
    alone = imagenet and not any(BEYOND_IMAGENET.fullmatch(part) for part in parts)
    return imagenet if alone else [*imagenet, f"whatever timm/{architecture}.{tag} was trained on"]


def learnt_from(folder):
    """Names of the data that the weights in `folder` have learnt from; FER-2013's where it stores none."""
    return stored_metrics(folder).get("training", {}).get("datasets", [FACES])


def describe_run(config, progress, origin, process, script=("train/train.py",)):
    """The `training` part of metrics.json; `script` is what `accelerate launch` was given before the flags."""
    arguments = [one for one in sys.argv[1:] if one != "--resume"]  # a run that was resumed is the run that was begun
    return {
        "seed": config.seed,
        "commit": commit(),
        "command": shlex.join([*launcher(process.device), *script, *portable(arguments)]),
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(process.device, process.num_processes),
        "seconds": round(progress.seconds, 1),
        "pictures_seen": progress.pictures,
        "epochs": len(progress.history),
        "best_epoch": progress.best_epoch + 1,
        "energy_kwh": progress.energy_kwh,
        **asdict(origin),
        "history": progress.history,
    }
