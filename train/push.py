"""Push a model folder to the Hub: everything of one version in one commit, or nothing.

    python -m train.push MODEL_FOLDER --repo_id USER/NAME
    python -m train.push MODEL_FOLDER --repo_id USER/NAME --tag v1 --private
    python -m train.push MODEL_FOLDER --repo_id USER/NAME --dry_run

The token is huggingface_hub's own: `hf auth login`, or HF_TOKEN. What can be retried is retried, with a progress bar of
large files; a push that breaks off leaves the repository as it was.
"""

import argparse
import json
import logging
import re
import sys
from pathlib import Path

from huggingface_hub import ModelCard

from hub.commit import HubError, commit_files, require_token
from model_card.build import CardError, card_text

# What a version consists of; nothing else in the folder goes, neither checkpoints nor logs.
FILES = ("README.md", "config.json", "metrics.json", "model.safetensors", "onnx/model.onnx", "train_config.yaml")
PATTERNS = (*FILES, "figures/*.png", "onnx/*.onnx")
PATHS_OF_MACHINES = re.compile(rb"(?<![\w.:/])/(?:home|root|Users|work|tmp|mnt|data|content|workspace)/[\w.-]+")


class PushError(RuntimeError):
    """A folder that is not pushed; the message says why and what to do."""


def folder_files(folder):
    """Relative paths, sorted, of what is pushed. Raises PushError where one is missing or holds a machine's paths."""
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise PushError(f"{folder} is no complete model folder: it holds no {', '.join(missing)}")
    paths = sorted({path.relative_to(folder).as_posix() for pattern in PATTERNS for path in folder.glob(pattern)})
    for name in paths:
        if name.endswith((".md", ".json", ".yaml", ".onnx")):
            found = PATHS_OF_MACHINES.search((folder / name).read_bytes())
            if found:
                path = found[0].decode(errors="replace")
                raise PushError(f"{folder / name} names a path of this machine ({path}); it is not pushed")
    return paths


def check_before_push(folder):
    """The card belongs to these weights, the labels are there, and all loaders agree. Raises PushError."""
    # imports of seconds, which a missing token need not wait for
    from train.agreement import LoadersDisagree, check_loaders

    folder = Path(folder)
    paths = folder_files(folder)
    try:
        if card_text(folder) != (folder / "README.md").read_text():
            raise PushError(
                f"{folder}/README.md is not the card of its metrics.json; nothing was pushed: write it anew with"
                f" python -m model_card.build {folder}"
            )
        check_loaders(folder)
    except (CardError, LoadersDisagree) as error:
        raise PushError(f"{error}; nothing was pushed") from error
    if not json.loads((folder / "config.json").read_text()).get("label_names"):
        raise PushError(f"{folder}/config.json holds no label_names; nothing was pushed")
    ModelCard.load(folder / "README.md")  # the Hub's own parser
    return paths


def push_folder(folder, repo_id, *, private=None, create_pr=False, revision=None, tag=None, api=None):
    """Push the model folder as one commit; the same folder again is no new commit. Returns `hub.commit.Committed`.

    `revision` is a branch, made from main where it is not there. Raises PushError and HubError; the repository's files
    are then as they were, but for a tag that failed after the commit.
    """
    folder = Path(folder)
    require_token(api)
    paths = check_before_push(folder)
    training = json.loads((folder / "metrics.json").read_text())["training"]
    return commit_files(
        repo_id,
        {name: folder / name for name in paths} | {"README.md": card_text(folder, repo_id).encode()},
        message=f"Model trained on {training['date']}",
        is_ours=lambda path: path.startswith(("figures/", "onnx/")),
        private=private,
        create_pr=create_pr,
        revision=revision,
        tag=tag,
        api=api,
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="model folder")
    parser.add_argument("--repo_id", required=True, help="USER/NAME; made where it is not there")
    parser.add_argument("--private", action="store_true", default=None, help="a repository made now is private")
    parser.add_argument("--create_pr", action="store_true", help="a pull request instead of a commit")
    parser.add_argument("--revision", help="branch; default: main")
    parser.add_argument("--tag", help="tag of the commit, such as v1")
    parser.add_argument("--dry_run", action="store_true", help="check the folder and list what would go")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if args.dry_run:
            for name in check_before_push(args.folder):
                print(f"{(args.folder / name).stat().st_size:>12,}  {name}")
            print(f"nothing was pushed; without --dry_run these go to {args.repo_id} in one commit")
            return
        pushed = push_folder(
            args.folder,
            args.repo_id,
            private=args.private,
            create_pr=args.create_pr,
            revision=args.revision,
            tag=args.tag,
        )
    except (PushError, HubError) as error:
        sys.exit(f"train.push: {error}")
    print(pushed.url if pushed.new else f"{args.repo_id} holds exactly this already: no new commit ({pushed.oid})")


if __name__ == "__main__":
    main()
