"""Score a model folder on a split of FER-2013, and store the figures in its metrics.json.

accelerate launch train/score.py --model model --data PATH --split public_test
accelerate launch train/score.py --model model --data PATH --split public_test --views single flip ten_crop
accelerate launch train/score.py --model model --data PATH --split public_test --output scores.json
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if sys.path and Path(sys.path[0] or ".").resolve() == ROOT / "train":
    sys.path[0] = str(ROOT)  # else `import train` finds train.py

try:
    import accelerate
    import datasets  # noqa: F401
    import evaluate  # noqa: F401
    import timm
    import torch
except ModuleNotFoundError as error:
    sys.exit(
        f"train/score.py needs {error.name}: install the training stack with `pip install -r requirements-train.txt`"
    )

import argparse
import datetime
import hashlib
import json
import shlex

import numpy as np
import yaml
from PIL import Image

from model_card.build import CardError, build_card
from train.calibration import Calibration
from train.checkpoint import CheckpointError, write_atomically
from train.data import add_data_flags, as_arrays, fingerprint, load_fer2013
from train.machine import hardware, launcher, portable, threads_of
from train.metrics import evaluate_probabilities
from train.pictures import LABEL_NAMES, class_columns

VIEWS = ("single", "flip", "ten_crop")
TEN_CROP = 0.9  # side of each crop, as a part of the picture's


def load_model(folder):
    """(network in eval mode, its transform from a PIL picture to float32 [3, h, w], its config.json).

    Raises FileNotFoundError where the folder holds no model.
    """
    folder = Path(folder)
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is no model folder: it holds no {name}")
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    return model, transform, json.loads((folder / "config.json").read_text())


def picture_views(picture, name):
    """The PIL pictures whose probabilities are averaged: the picture; with its mirror image; or five crops of 90% of
    the side (corners and centre) with theirs."""
    if name == "single":
        return [picture]
    if name == "flip":
        return [picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    width, height = picture.size
    w, h = round(width * TEN_CROP), round(height * TEN_CROP)
    corners = [(0, 0), (width - w, 0), (0, height - h), (width - w, height - h), ((width - w) // 2, (height - h) // 2)]
    return [view for x, y in corners for view in picture_views(picture.crop((x, y, x + w, y + h)), "flip")]


class Alone:
    """One process that scores by itself, whatever others of the same launch do: the end of a training run."""

    process_index, num_processes = 0, 1

    def __init__(self, device=None):
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @staticmethod
    def gather(tensor):
        return tensor


@torch.inference_mode()
def predict(model, transform, images, view="single", process=None, batch_size=64):
    """Logits float32 [n, V, K] of `images` uint8 [n, h, w] in their order.

    Pictures go through exactly the exported transform. V is 1, 2 or 10 views. With an `accelerate.Accelerator` as
    `process`, all of its processes must call this, and each computes a part.
    """
    process = process or Alone()
    model = model.to(process.device)
    share = -(-len(images) // process.num_processes)
    # the last process repeats the last picture, so that all parts are of one length; the repeats are cut below
    own = np.minimum(np.arange(process.process_index * share, (process.process_index + 1) * share), len(images) - 1)
    step = max(1, batch_size // len(picture_views(Image.fromarray(images[0]), view)))
    parts = []
    for start in range(0, len(own), step):
        views = [picture_views(Image.fromarray(images[i]).convert("RGB"), view) for i in own[start : start + step]]
        batch = torch.stack([transform(one) for picture in views for one in picture]).to(process.device)
        parts.append(model(batch).float().view(len(views), -1, model.num_classes))
    logits = process.gather(torch.cat(parts))[: len(images)]
    assert len(logits) == len(images), f"{len(logits)} logits of {len(images)} pictures"
    return logits.cpu().numpy()


def softmax(logits):
    return torch.from_numpy(np.asarray(logits)).double().softmax(-1).numpy()


def folder_logits(folder, split, process=None):
    """(logits float32 [n, K] in FER-2013's order of classes, labels int64 [n]) of a `datasets` split, single view."""
    model, transform, config = load_model(folder)
    arrays, columns = as_arrays(split), class_columns(config, Path(folder) / "config.json")
    return predict(model, transform, arrays.images, process=process)[:, 0, columns], arrays.labels


def score_folder(folder, split, *, views=("single",), process=None, batch_size=64):
    """{view: entry of metrics.json} of a model folder on a `datasets` split. Raises SourceError where the folder's
    classes are not FER-2013's; their order may be another."""
    folder = Path(folder)
    process = process or Alone()
    model, transform, config = load_model(folder)
    arrays, columns = as_arrays(split), class_columns(config, folder / "config.json")
    calibration = None
    if stored := stored_metrics(folder).get("calibration"):
        calibration = Calibration(stored["temperature"], np.asarray(stored.get("bias", 0.0)))
    entries = {}
    for view in views:
        logits = predict(model, transform, arrays.images, view, process, batch_size)
        entry = evaluate_probabilities(
            softmax(logits).mean(1)[:, columns],
            arrays.labels,
            label_names=LABEL_NAMES,
            before=softmax(calibration.undone(logits)).mean(1)[:, columns] if calibration else None,
            in_training=arrays.in_training,
        )
        entries[view] = entry | {
            "data_fingerprint": fingerprint(split),
            "weights_sha256": weights_sha256(folder),
            "command": command_line(process.device),
            "date": datetime.date.today().isoformat(),
            "hardware": hardware(process.device, process.num_processes),
        }
    return entries


def split_options(folder, split_name):
    """How the model's own run set validation apart, so that "validation" here is what it never trained on."""
    file = Path(folder) / "train_config.yaml"
    if not file.is_file():
        return {}
    config = yaml.safe_load(file.read_text())
    options = {"validation_fraction": config["validation_fraction"], "seed": config["split_seed"]}
    return options | ({"limit": config["limit"]} if split_name == "validation" else {})


def check_validation(folder, split):
    """Raises ValueError where the `datasets` split is not the validation split that the model's own run scored."""
    views = stored_metrics(folder).get("splits", {}).get("validation", {}).values()
    known = {view["data_fingerprint"] for view in views if "data_fingerprint" in view}
    if known and fingerprint(split) not in known:
        raise ValueError(
            f"validation: these are not the pictures that {folder} was validated on (another layout of FER-2013, or a"
            " limit); it may have been trained on some of them"
        )


def command_line(device):
    """How the figures are had again; scored at the end of a training run they are those of this script too."""
    program, arguments = Path(sys.argv[0]), portable(one for one in sys.argv[1:] if one != "--resume")
    if program.name not in ("train.py", "score.py"):
        return shlex.join([*portable(sys.argv[:1]), *arguments])
    return shlex.join([*launcher(device), f"train/{program.name}", *arguments])


def weights_sha256(folder):
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


def stored_metrics(folder):
    file = Path(folder) / "metrics.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def store(folder, split_name, entries):
    """Put `entries` into FOLDER/metrics.json under splits.<split_name>, beside what is there; whole or not at all.

    Figures of PublicTest add a look at it to the training's count, which the card states.
    """
    metrics = stored_metrics(folder) or {"schema_version": 1}
    metrics.setdefault("splits", {}).setdefault(split_name, {}).update(entries)
    if split_name in ("public_test", "test"):  # the folder version's test holds it
        training = metrics.setdefault("training", {})
        training["public_test_looks"] = training.get("public_test_looks", 0) + 1
    write_metrics(folder, metrics)


def write_metrics(folder, metrics):
    text = json.dumps(metrics, indent=1) + "\n"
    write_atomically(Path(folder) / "metrics.json", lambda path: path.write_text(text))


def table(entry, title):
    """The figures of one view as aligned text."""

    def percent(figure):
        return f"{100 * figure['value']:5.1f}% ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})"

    names = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "top2_accuracy")
    lines = [f"{title}: {entry['support']} pictures"]
    lines += [f"  {name.replace('_', ' '):28}{percent(entry[name])}" for name in names]
    lines.append(f"  {'expected calibration error':28}{100 * entry['expected_calibration_error']:5.1f}%")
    without = entry["without_training_duplicates"]
    if without:
        label = f"without duplicates ({without['support']})"
        lines.append(f"  {label:28}{percent(without['accuracy'])}, macro F1 {percent(without['macro_f1'])}")
    lines.append(f"  {'class':10}{'precision':>22}{'recall':>22}{'F1':>22}{'support':>9}")
    for name, row in entry["per_class"].items():
        cells = "".join(f"{percent(row[key]):>22}" for key in ("precision", "recall", "f1"))
        lines.append(f"  {name:10}{cells}{row['support']:>9}")
    return "\n".join(lines)


def limit_note(splits, name, limit):
    """What --limit left of a split, for the table's title; nothing where that is the whole split."""
    parts = ("train", "validation") if name in ("train", "validation") else (name,)  # of one official split
    if not limit or sum(len(splits[one]) for one in parts if one in splits) < limit:
        return ""
    what = f"{limit} drawn evenly" if min(splits[name]["row"][:]) < 0 else f"first {limit}"  # see train/data.py
    return f", {what} of Training" if len(parts) > 1 else f", {what}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    add_data_flags(parser)
    parser.add_argument("--split", default="public_test", help="validation, public_test, private_test, ...")
    parser.add_argument("--views", nargs="+", default=["single"], choices=VIEWS, help="averaged views, named as such")
    parser.add_argument("--output", type=Path, help="JSON file for the figures; default: the folder's metrics.json")
    parser.add_argument("--limit", type=int, help="only so many pictures of each official split; needs --output")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--cpu_threads", type=int, help="threads of a process on the CPU; default: all cores, shared")
    args = parser.parse_args(arguments)
    if args.limit and not args.output:
        parser.error("--limit scores a part of a split: name an --output, metrics.json holds whole splits")
    if args.output and args.output.is_dir():
        parser.error(f"--output: {args.output} is a folder; it is the name of a JSON file")
    process = accelerate.Accelerator()
    if process.device.type == "cpu":
        # accelerate launch sets OMP_NUM_THREADS=1
        torch.set_num_threads(threads_of(args.cpu_threads, process.num_processes))
    try:
        with process.main_process_first():
            options = {"limit": None} | split_options(args.model, args.split)
            if args.limit:
                options["limit"] = args.limit
            splits = load_fer2013(args.data, split_map=args.split_map, ferplus=args.ferplus, **options)
        if args.split not in splits:
            raise ValueError(f"{args.data} has no split {args.split}; it has {', '.join(splits)}")
        if args.split == "validation":
            check_validation(args.model, splits["validation"])
        entries = score_folder(
            args.model, splits[args.split], views=args.views, process=process, batch_size=args.batch_size
        )
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"train/score.py: {error}")
    if process.is_main_process:
        note = limit_note(splits, args.split, args.limit)
        for view, entry in entries.items():
            print(table(entry, f"{args.model} on {args.split}, {view}{note}"))
        try:
            if args.output:
                text = json.dumps({args.split: entries}, indent=1) + "\n"
                write_atomically(args.output, lambda path: path.write_text(text))
            else:
                store(args.model, args.split, entries)
        except (CheckpointError, OSError) as error:  # the latter: its folder can't be made
            sys.exit(f"train/score.py: {error}")
        if not args.output and (args.model / "README.md").is_file():
            try:
                build_card(args.model)  # else the card would lack these figures
            except CardError as error:
                sys.exit(f"train/score.py: the figures are stored, but not in the card: {error}")
    process.end_training()


if __name__ == "__main__":
    main()
