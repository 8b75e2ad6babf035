"""Publish the app as a Space on the Hub, in one commit.

    python -m space.publish --repo_id USER/SPACE --model USER/NAME@REVISION
    python -m space.publish --repo_id USER/SPACE --model USER/NAME --hardware zero-a10g
    python -m space.publish --repo_id USER/SPACE --embed           the model in model/ travels with the app
    python -m space.publish --repo_id USER/SPACE --embed --dry_run
    python -m space.publish --repo_id USER/SPACE --static --model USER/NAME    a page that computes in the browser

The model's branch or tag is turned into its commit, so that the Space goes on serving what was tried. In the Space the
variable FER_MODEL overrides it (USER/NAME@REVISION, or `model` where that was embedded too). The token is
huggingface_hub's own: `hf auth login`, or HF_TOKEN.
"""

import argparse
import contextlib
import importlib.metadata
import logging
import sys
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, SpaceCardData
from huggingface_hub.utils import disable_progress_bars

from hub.commit import HubError, commit_files, explained, retried
from hub.licence import licence_fields, licence_name
from space.classifier import ModelConfig, ModelError
from space.detectors import YUNET_FILE, YUNET_REPOSITORY
from space.limits import Limits
from space.model_source import FILES as MODEL_FILES
from space.settings import settings_text
from space.text import duration

ROOT = Path(__file__).resolve().parent.parent
NOT_PUBLISHED = ("space/publish.py", "space/settings.yaml")  # the second is written anew
NOT_FOLDERS = ("space/static/",)
NOT_SUFFIXES = (".pyc", ".pyi")
NEEDED = ("config.json", "onnx/model.onnx")
ZERO_GPU = "zero-a10g"
CODE_LICENCE = {"license": "apache-2.0"}
PYTHON = "3.12"  # of what ZeroGPU has (3.10 and 3.12), the one that numpy still supports

PLANS = {
    "cpu-basic": "2 cores, 16 GB, no charge by the hour; since July 2026 a new Gradio Space on it needs a paid plan",
    "cpu-upgrade": "8 cores, 32 GB; any account with a payment method, charged by the hour",
    ZERO_GPU: "no charge; a free account (verified, older than 30 days) may host two, PRO ten, a Team or Enterprise "
    "organisation more; the app computes on its CPU",
    "t4-small": "an NVIDIA T4, charged by the hour; the app has no use for a GPU",
    "l4x1": "an NVIDIA L4, charged by the hour; the app has no use for a GPU",
}

CARD = """---
{front_matter}
---

# {title}

Finds the faces in a photograph, a webcam or a video, and says which of {classes} expressions people would
see in each. An expression is not a feeling; see the model's card for what it reaches and what it is not for.

{model}

What you upload is removed after about {duration}, unless the variable `FER_LIMIT_UPLOAD_SECONDS` says otherwise, and
nothing is sent on.

**Duplicate this Space** to have it to yourself. It computes on a CPU, also where ZeroGPU is its hardware, which a free
account may choose. The variable `FER_MODEL` (USER/NAME@REVISION) serves another model, for a private one with a secret
`HF_TOKEN` that may read it.

Published by `python -m space.publish`; the code is under Apache-2.0{terms}.
"""


def parse_model(text):
    """`USER/NAME` or `USER/NAME@REVISION` as (id, revision or None)."""
    name, _, revision = text.partition("@")
    return name, revision or None


def pin_model(api, model):
    """(id, commit, its files among those that the app reads, private) of `model` = USER/NAME[@REVISION] on the Hub."""
    name, revision = parse_model(model)
    with explained(name):
        info = retried(lambda: api.model_info(name, revision=revision))
    there = {file.rfilename for file in info.siblings or []}
    missing = [file for file in NEEDED if file not in there]
    if missing:
        raise HubError(f"{model} holds no {' and no '.join(missing)}: push a whole model folder with train/push.py")
    return name, info.sha, [file for file in MODEL_FILES if file in there], bool(info.private)


def count_classes(folder):
    """How many classes a model's folder has; the app could not serve one that does not say."""
    try:
        return len(ModelConfig.read(folder).label_names)
    except ModelError as error:
        raise HubError(str(error)) from error


def count_classes_on_hub(api, name, commit):
    with tempfile.TemporaryDirectory() as folder:
        with explained(name):
            retried(lambda: api.hf_hub_download(name, "config.json", revision=commit, local_dir=folder))
        return count_classes(folder)


def app_files(root=ROOT):
    """{path in the Space: local path or bytes} of the app without model, settings and card."""
    files = {name: root / name for name in ("LICENSE", "app.py", "requirements.txt")}
    for path in sorted((root / "space").rglob("*")):
        name = path.relative_to(root).as_posix()
        hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
        if name.startswith(NOT_FOLDERS) or name in NOT_PUBLISHED or path.suffix in NOT_SUFFIXES:
            continue
        if path.is_file() and not hidden:
            files[name] = path
    return files


def embedded_files(root=ROOT):
    """{path: local path} of what the app reads of model/."""
    missing = [name for name in NEEDED if not (root / "model" / name).is_file()]
    if missing:
        raise HubError(f"there is no embedded model to send: {root / 'model'} holds no {' and no '.join(missing)}")
    return {f"model/{name}": root / "model" / name for name in MODEL_FILES if (root / "model" / name).is_file()}


def card_text(
    title, classes, model=None, commit=None, model_files=(), private=False, hardware=None, licence=CODE_LICENCE
):
    """The Space's README with its front matter: Gradio's version is the one that runs here. `classes` is how many the
    model has, which is a Hub id, or None; a duplicate of the Space is offered `hardware`. `licence` holds the front
    matter's fields of what the Space itself holds."""
    preload = [f"{YUNET_REPOSITORY} {YUNET_FILE}"]
    if model and not private:  # a build has no token to fetch a private one with
        preload.insert(0, f"{model} {','.join(model_files)} {commit}")
    front_matter = SpaceCardData(
        title=title,
        emoji="🙂",
        colorFrom="blue",
        colorTo="gray",
        sdk="gradio",
        sdk_version=importlib.metadata.version("gradio"),
        python_version=PYTHON,
        app_file="app.py",
        suggested_hardware=hardware,
        models=[model] if model else None,
        preload_from_hub=preload,
        short_description="Faces and their expressions, on the CPU",  # 60 characters at most
        tags=["facial-emotion-recognition", "image-classification", "fer2013", "onnx"],
        **licence,
    ).to_yaml()
    return CARD.format(
        front_matter=front_matter,
        title=title,
        classes=classes,
        terms="" if licence == CODE_LICENCE else f", the model that travels with it under {licence_name(licence)}",
        duration=duration("en", Limits().upload_seconds),  # those set here are not the Space's
        model=f"The model is [{model}](https://huggingface.co/{model}/tree/{commit})." if model else
        "The model travels with the app, in `model/`.",
    )  # fmt: skip


def space_files(model=None, embed=False, *, title, hardware=None, root=ROOT, api=None):
    """Everything that a Space consists of, {path: local path or bytes}. At least one of `model` and `embed`."""
    if not (model or embed):
        raise HubError("which model? --model USER/NAME@REVISION, or --embed for the one in model/")
    files = app_files(root)
    if embed:
        files |= embedded_files(root)
    api = api or HfApi()
    pinned = pin_model(api, model) if model else (None, None, (), False)
    if model:
        files["space/settings.yaml"] = settings_text(*pinned[:2]).encode()
        if pinned[3]:
            print(f"{pinned[0]} is private: give the Space a secret HF_TOKEN that may read it", file=sys.stderr)
    classes = count_classes_on_hub(api, *pinned[:2]) if model else count_classes(root / "model")
    licence = licence_fields(root / "model") if embed else CODE_LICENCE
    files["README.md"] = card_text(title, classes, *pinned, hardware=hardware, licence=licence).encode()
    return files


def publish(repo_id, model=None, embed=False, *, private=None, hardware=None, title=None, root=ROOT, api=None):
    """Publish as `repo_id`; returns hub.commit.Committed. The same app and model again is no new commit.

    `root` is the folder that holds app.py. Raises HubError; where only the hardware was refused, the files are there
    and its message says so.
    """
    api = api or HfApi()
    files = space_files(model, embed, title=title or default_title(repo_id), hardware=hardware, root=root, api=api)
    creation = {"space_sdk": "gradio"} | ({"space_hardware": hardware} if hardware else {})
    with advised(hardware):
        done = commit_files(
            repo_id,
            files,
            message=f"Publish the app with {model or 'its embedded model'}",
            is_ours=lambda path: path.startswith(("space/", "model/")),
            repo_type="space",
            private=private,
            api=api,
            **creation,
        )
    if hardware:
        try:
            with explained(repo_id):
                retried(lambda: api.request_space_hardware(repo_id, hardware))
        except HubError as error:
            plan = PLANS.get(hardware, "see https://huggingface.co/pricing#spaces")
            raise HubError(f"the files are there, but not on {hardware} ({plan}): {error}") from error
    return done


@contextlib.contextmanager
def advised(hardware):
    """Where the Hub asks for a paid plan, what a free account can do instead."""
    try:
        yield
    except HubError as error:
        if hardware is None and "change the plan" in str(error):
            free = f"--hardware {ZERO_GPU} ({PLANS[ZERO_GPU]}), or --static, which needs no server"
            raise HubError(f"{error}. Without a paid plan: {free}") from error.__cause__
        raise


def default_title(repo_id):
    return repo_id.rpartition("/")[2].replace("-", " ").replace("_", " ").capitalize()


def list_files(files, repo_id):
    """Print what a dry run would send."""
    for name, content in sorted(files.items()):
        print(f"{content.stat().st_size if isinstance(content, Path) else len(content):>12,}  {name}")
    print(f"\n{files['README.md'].decode()}\nnothing was sent; without --dry_run this goes to {repo_id}")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m space.publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="hardware:\n" + "\n".join(f"  {name:12} {plan}" for name, plan in PLANS.items()),
    )
    parser.add_argument("--repo_id", required=True, metavar="USER/SPACE", help="made where it is not there")
    parser.add_argument("--model", metavar="USER/NAME@REVISION", help="model on the Hub; without @REVISION its main")
    parser.add_argument("--embed", action="store_true", help="send model/ too; it is served where --model is not given")
    parser.add_argument("--static", action="store_true", help="no server: plain files that compute in the browser")
    parser.add_argument("--detector", metavar="PATH", help=f"with --static: {YUNET_FILE}; default: from the Hub")
    parser.add_argument("--private", action="store_true", default=None, help="a Space made now is private")
    parser.add_argument("--hardware", help="ask for this hardware; what each needs is listed below")
    parser.add_argument("--title", help="the Space's title; default: from its name")
    parser.add_argument("--dry_run", action="store_true", help="list what would go, and the card")
    args = parser.parse_args(arguments)
    without_effect = [f"--{name}" for name in ("embed", "hardware") if args.static and getattr(args, name)]
    without_effect += ["--detector"] if args.detector and not args.static else []
    if without_effect:
        parser.error(f"{', '.join(without_effect)} has no effect {'with' if args.static else 'without'} --static")
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if not sys.stderr.isatty():
        disable_progress_bars()
    if args.hardware:
        print(f"{args.hardware}: {PLANS.get(args.hardware, 'see https://huggingface.co/pricing#spaces')}")
    title = args.title or default_title(args.repo_id)
    try:
        if args.static:
            try:
                from space.static.publish import publish_static, static_files  # the app does without onnx
            except ModuleNotFoundError as error:
                raise HubError(f"--static needs {error.name}: pip install -r space/static/requirements.txt") from error
            with static_files(
                args.model, args.detector, title=title, repo_id=args.repo_id, private=args.private
            ) as files:
                if args.dry_run:
                    list_files(files, args.repo_id)
                    return
                done = publish_static(args.repo_id, files, private=args.private)
        elif args.dry_run:
            list_files(space_files(args.model, args.embed, title=title, hardware=args.hardware), args.repo_id)
            return
        else:
            done = publish(
                args.repo_id, args.model, args.embed, private=args.private, hardware=args.hardware, title=title
            )
    except HubError as error:
        sys.exit(f"space.publish: {error}")
    print(done.url if done.new else f"{args.repo_id} holds exactly this already: no new commit ({done.oid})")


if __name__ == "__main__":
    main()
