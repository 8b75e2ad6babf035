"""Write a model folder's card, README.md and figures/*.png, from its own files alone.

    python -m model_card.build MODEL_FOLDER

Everything comes from metrics.json, train_config.yaml and config.json: a card can never disagree with its weights.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

import jinja2
import yaml
from huggingface_hub import EvalResult, ModelCardData

from model_card.comparison import PUBLISHED
from model_card.figures import FIGURES, draw_figures

SPLIT_NAMES = {
    "validation": "validation",
    "public_test": "PublicTest",
    "private_test": "PrivateTest",
    "test": "test folder (PublicTest and PrivateTest, which the folder version mixes)",
    "unknown": "a split of unknown origin",
}
TRAINING = 28_709  # pictures of the challenge's Training
SPLIT_SIZES = {"public_test": 3589, "private_test": 3589, "test": 7178}  # the challenge's own
VIEW_NAMES = {"single": "single crop", "flip": "averaged with the mirror image", "ten_crop": "ten-crop"}
DATASET = "FER-2013"
FER_2013 = ("FER-2013 Training", "FER+ votes")  # what is no further data among those that training names
PERMISSIVE = ("apache-2.0", "mit", "bsd-3-clause")  # as timm writes them
NAMES = {"efficientnet_b2": "EfficientNetB2"}  # timm's to what people say


class CardError(ValueError):
    """A model folder that no card can be written for; the message names the file and what is missing."""


def build_card(folder):
    """Write README.md and figures/*.png into the model folder `folder`; returns the README's path."""
    folder = Path(folder)
    text = card_text(folder)
    metrics, _, _, scored = check_folder(folder)
    draw_figures(metrics, *headline(scored), folder)
    (folder / "README.md").write_text(text)
    return folder / "README.md"


def card_text(folder, repo_id=None):
    """The text of README.md that belongs to the other files of the model folder `folder`; as it stands on the Hub
    with `repo_id` (USER/NAME), so that its examples run as they are copied. Raises CardError."""
    folder = Path(folder)
    metrics, config, recipe, scored = check_folder(folder)
    split, view = headline(scored)
    names = split_names(recipe, metrics["training"], scored)
    entry = metrics["splits"][split][view]
    try:
        return template().render(
            front_matter=front_matter(metrics, config, scored, names),
            repo_id=repo_id,
            terms_of_base=terms_of_base(metrics["training"]),
            place=repo_id or "FOLDER",
            name=NAMES.get(config["architecture"], config["architecture"]),
            metrics=metrics,
            config=config,
            recipe=recipe,
            recipe_yaml=(folder / "train_config.yaml").read_text().strip(),
            scored=scored,
            split=split,
            view=view,
            entry=entry,
            weakest=weakest_classes(entry["per_class"])[:2],
            confusions=hardest_confusions(entry["confusion_matrix"], list(entry["per_class"])),
            figures=FIGURES,
            pretraining=[name for name in metrics["training"]["datasets"] if name not in FER_2013],
            taught=any(step.startswith("taught by ") for step in metrics["training"]["lineage"]),
            published=PUBLISHED,
            split_names=names,
            view_names=VIEW_NAMES,
        )
    except jinja2.UndefinedError as error:
        raise CardError(f"{folder}: metrics.json lacks what the card tells of: {error}") from error


def check_folder(folder):
    """(metrics, config, recipe, [(split, view, entry)]) of a model folder whose figures belong to its weights.

    Raises CardError where a file is missing, nothing was scored, or the figures are those of other weights.
    """
    folder = Path(folder)
    metrics, config = (read(folder, name, json.loads) for name in ("metrics.json", "config.json"))
    recipe = read(folder, "train_config.yaml", yaml.safe_load)
    absent = [name for name in ("model", "label_names", "calibration", "training", "splits") if name not in metrics]
    if absent:
        raise CardError(f"{folder}: metrics.json holds no {', '.join(absent)}; it is written by a training run")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if metrics["model"]["weights_sha256"] != sha256:
        raise CardError(f"{folder}: metrics.json was made for other weights than model.safetensors; score them anew")
    scored = [
        (split, view, metrics["splits"][split][view])
        for split in SPLIT_NAMES
        for view in VIEW_NAMES
        if view in metrics["splits"].get(split, {})
    ]
    if not scored:
        raise CardError(f"{folder}: metrics.json holds no scored split; run train/score.py first")
    for split, view, entry in scored:
        if entry["weights_sha256"] != sha256:
            raise CardError(f"{folder}: the figures of {split} ({view}) belong to other weights; score them anew")
    return metrics, config, recipe, scored


def read(folder, name, parse):
    file = folder / name
    if not file.is_file():
        raise CardError(f"{folder} is no complete model folder: it holds no {name}")
    return parse(file.read_text())


def split_names(recipe, training, scored):
    """Split to what the card calls it; a split of which only a part was scored is not called by the whole's name."""
    names = SPLIT_NAMES | {"validation": f"validation ({validation_part(recipe, training)})"}
    for split, _, entry in scored:
        if entry["support"] != SPLIT_SIZES.get(split, entry["support"]):
            names[split] = f"a part of {SPLIT_NAMES[split]}"
    return names


def validation_part(recipe, training):
    """Which part of Training validates, and whether the weights can't have learnt it: a run stores where those before
    it may have."""
    limit = recipe.get("limit")
    whole = f"{limit:,} pictures of Training" if limit and limit < TRAINING else "Training"
    learnt = "never trained on"
    if training.get("validation_may_be_learnt"):
        learnt = "not trained on in this run, but perhaps in those that it began or learned from"
    return f"{100 * recipe['validation_fraction']:g}% of {whole}, {learnt}"


def headline(scored):
    """The split and view that the card's table and figures show: PrivateTest before PublicTest before validation, and
    a single crop before averaged views."""
    names = [(split, view) for split, view, _ in scored]
    order = ("private_test", "public_test", "test", "validation", "unknown")
    return min(names, key=lambda name: (order.index(name[0]), list(VIEW_NAMES).index(name[1])))


def weakest_classes(per_class):
    """Names of the classes that occur, the lowest F1 first."""
    occurring = [name for name, row in per_class.items() if row["support"]]
    return sorted(occurring, key=lambda name: per_class[name]["f1"]["value"])


def hardest_confusions(matrix, names, most=5):
    """[(true class, predicted class, part of the true class, count)], the largest parts first."""
    rows = [
        (names[i], names[j], matrix[i][j] / sum(matrix[i]), matrix[i][j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and sum(matrix[i])
    ]
    return sorted(rows, key=lambda row: -row[2])[:most]


def front_matter(metrics, config, scored, names):
    """The YAML between the dashes, as the Hub reads it; one result for each official split and view that was scored."""
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="fer2013",
            dataset_name=DATASET,
            dataset_split=split,
            metric_type=kind,
            metric_name=f"{name} ({names[split]}, {VIEW_NAMES[view]})",
            metric_value=round(entry[key]["value"], 4),
        )
        for split, view, entry in scored
        if split in ("public_test", "private_test")
        for kind, name, key in (("accuracy", "Accuracy", "accuracy"), ("f1", "Macro F1", "macro_f1"))
    ]
    named = {"eval_results": results, "model_name": f"{config['architecture']}.fer2013"} if results else {}
    data = ModelCardData(
        **licence_fields(metrics["training"]),
        library_name="timm",
        pipeline_tag="image-classification",
        tags=["image-classification", "timm", "transformers", "onnx", "facial-emotion-recognition", "fer2013"],
        datasets=["fer2013"],
        metrics=["accuracy", "f1"],
        **base_model(metrics["training"]),
        **named,
    )
    return data.to_yaml()


def origin(training):
    """Where the first weights came from, as train/model.py's `build_model` says it; "" from scratch."""
    return next(iter(training["lineage"]), "")


def base_model(training):
    """`base_model` only where weights of a Hub model were the start."""
    first = origin(training)
    return {"base_model": first.split()[0]} if first.startswith("timm/") else {}


def terms_of_base(training):
    """(Hub id, licence) of the weights that were the start, where timm names a licence that doesn't let everybody
    pass on under another what comes of them; else None."""
    found = re.fullmatch(r"(timm/\S+) from the Hub, under (.+)", origin(training))
    return found.groups() if found and found[2] not in PERMISSIVE else None


def licence_fields(training):
    """The front matter's licence: Apache-2.0, or that of the weights that were the start."""
    terms = terms_of_base(training)
    if not terms:
        return {"license": "apache-2.0"}
    if terms[1].startswith("cc-"):  # the Hub has these under the names that timm gives them
        return {"license": terms[1]}
    return {"license": "other", "license_name": terms[1], "license_link": f"https://huggingface.co/{terms[0]}"}


def template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,  # else a misspelt name would leave a hole in the card
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": lambda value, digits=1: f"{100 * value:.{digits}f}%",
        "interval": lambda figure: (
            f"{100 * figure['value']:.1f}% [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
        ),
        "thousands": lambda value: f"{value:,}",
        "duration": duration,
    }
    return environment.get_template("template.md.j2")


def duration(seconds):
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{max(minutes, 1)} min"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m model_card.build MODEL_FOLDER")
    try:
        print(build_card(sys.argv[1]))
    except CardError as problem:
        sys.exit(f"model_card: {problem}")
