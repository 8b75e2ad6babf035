"""Push a model folder to the Hub: everything of one version in one commit, or nothing.

    python -m train.push MODEL_FOLDER --repo_id USER/NAME
    python -m train.push MODEL_FOLDER --repo_id USER/NAME --tag v1 --private
    python -m train.push MODEL_FOLDER --repo_id USER/NAME --dry_run

The token is huggingface_hub's own: `hf auth login`, or HF_TOKEN. What can be retried is retried, with a progress bar of
large files; a push that breaks off leaves the repository as it was.
"""

import argparse
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2  # huggingface_hub's own HTTP client, for the types of its errors
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from model_card.build import CardError, check_folder
from train.agreement import LoadersDisagree, check_loaders

# What a version consists of; nothing else in the folder goes, neither checkpoints nor logs.
FILES = ("README.md", "config.json", "metrics.json", "model.safetensors", "onnx/model.onnx", "train_config.yaml")
PATTERNS = (*FILES, "figures/*.png", "onnx/*.onnx")
PATHS_OF_MACHINES = re.compile(r"(?<![\w.:/])/(?:home|root|Users|work|tmp|mnt|data|content|workspace)/[\w.-]+")
ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds; a Retry-After beyond it is the person's to wait for


class PushError(RuntimeError):
    """A push that did not happen; the message says why and what to do."""


@dataclass(frozen=True)
class Pushed:
    """`url` of the commit (or of the pull request), its `oid`, and whether there was anything `new`."""

    url: str
    oid: str
    new: bool


def folder_files(folder):
    """Relative paths, sorted, of what is pushed. Raises PushError where one is missing or holds a machine's paths."""
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise PushError(f"{folder} is no complete model folder: it holds no {', '.join(missing)}")
    paths = sorted({path.relative_to(folder).as_posix() for pattern in PATTERNS for path in folder.glob(pattern)})
    for name in paths:
        if name.endswith((".md", ".json", ".yaml")):
            found = PATHS_OF_MACHINES.search((folder / name).read_text())
            if found:
                raise PushError(f"{folder / name} names a path of this machine ({found[0]}); it is not pushed")
    return paths


def check_before_push(folder):
    """The card belongs to these weights, the labels are there, and all loaders agree. Raises PushError."""
    folder = Path(folder)
    paths = folder_files(folder)
    try:
        check_folder(folder)
        check_loaders(folder)
    except (CardError, LoadersDisagree) as error:
        raise PushError(f"{error}; nothing was pushed") from error
    if not json.loads((folder / "config.json").read_text()).get("label_names"):
        raise PushError(f"{folder}/config.json holds no label_names; nothing was pushed")
    ModelCard.load(folder / "README.md")  # the Hub's own parser
    return paths


def push_folder(folder, repo_id, *, private=None, create_pr=False, revision=None, tag=None, api=None):
    """Push the model folder as one commit; the same folder again is no new commit. Returns Pushed.

    `revision` is the branch (made from main where it is not there). Raises PushError; the repository is then as it was.
    """
    folder, api = Path(folder), api or HfApi()
    paths = check_before_push(folder)
    try:
        if not get_token():
            raise PushError("no token for the Hub: log in with `hf auth login` or set HF_TOKEN, then push again")
        retried(lambda: api.create_repo(repo_id, private=private, exist_ok=True))
        if revision and not create_pr:
            retried(lambda: api.create_branch(repo_id, branch=revision, exist_ok=True))
        before = retried(lambda: api.repo_info(repo_id, revision=revision if not create_pr else None))
        stale = [f.rfilename for f in before.siblings or [] if is_ours(f.rfilename) and f.rfilename not in paths]
        operations = [CommitOperationAdd(name, str(folder / name)) for name in paths]
        operations += [CommitOperationDelete(name) for name in stale]
        commit = retried(
            lambda: api.create_commit(
                repo_id,
                operations,
                commit_message=f"Model {json.loads((folder / 'metrics.json').read_text())['training']['date']}",
                create_pr=create_pr,
                revision=None if create_pr else revision,
            )
        )
        if tag:
            retried(lambda: api.create_tag(repo_id, tag=tag, revision=commit.oid, exist_ok=True))
    except (HfHubHTTPError, HFValidationError, httpx2.HTTPError, OSError) as error:
        raise PushError(explain(error, repo_id)) from error
    return Pushed(commit.pr_url or commit.commit_url, commit.oid, commit.oid != before.sha)


def is_ours(name):
    """A file that an earlier version of the folder could have held and this one replaces."""
    return name.startswith("figures/") or (name.startswith("onnx/") and name.endswith(".onnx"))


def retried(call):
    """`call()`, tried again after a lost connection, a 5xx and a 429 (as long as its Retry-After says)."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except (HfHubHTTPError, httpx2.HTTPError, ConnectionError) as error:
            wait = wait_for(error, attempt)
            if wait is None or wait > LONGEST_WAIT or attempt == ATTEMPTS:
                raise
            print(f"{one_line(error)}; try {attempt + 1} of {ATTEMPTS} in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def wait_for(error, attempt):
    """Seconds to wait before the next try, or None where another try can't help."""
    response = getattr(error, "response", None)
    if response is None:
        return 2.0**attempt / 2
    if response.status_code == 429 or response.status_code >= 500:
        after = response.headers.get("Retry-After", "")
        return float(after) if after.isdigit() else 2.0**attempt / 2
    return None


def explain(error, repo_id):
    """One sentence: what happened, that nothing changed, what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    unchanged = f"{repo_id} is as it was"
    if isinstance(error, HFValidationError):
        return f"{repo_id!r} is no repository id (USER/NAME): {one_line(error)}"
    if status == 401 and not isinstance(error, RepositoryNotFoundError):
        return (
            f"the Hub does not take this token, which may have expired; {unchanged}: log in again with `hf auth login`"
        )
    if status == 403:
        text = one_line(error)
        full = any(word in text.lower() for word in ("quota", "storage", "limit"))
        advice = "free some space there or change the plan" if full else "use a token with write permission for it"
        return f"the Hub refuses ({text}); {unchanged}: {advice}, then push again"
    if isinstance(error, RevisionNotFoundError | RepositoryNotFoundError) or status == 404:
        return (
            f"{repo_id} or its revision is not there for this token; {unchanged}: check the name and the token's rights"
        )
    if status == 429:
        after = error.response.headers.get("Retry-After", "some")
        return f"the Hub asks to wait {after} seconds (429); {unchanged}: push again after that"
    if status is not None:
        return f"the Hub answers {status} ({one_line(error)}); {unchanged}: push again later"
    return f"the connection to the Hub broke ({one_line(error)}); {unchanged}: push again"


def one_line(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


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
    except PushError as error:
        sys.exit(f"train.push: {error}")
    print(pushed.url if pushed.new else f"{args.repo_id} holds exactly this already: no new commit ({pushed.oid})")


if __name__ == "__main__":
    main()
