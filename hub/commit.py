"""Files into a repository of the Hub as one commit, or none: retried where that can help, refused with a sentence.

`train.push` and `space.publish` share this; it knows nothing of models and Spaces.
"""

import hashlib
import logging
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx2  # huggingface_hub's own HTTP client, for the types of its errors
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

logger = logging.getLogger(__name__)

ATTEMPTS = 5
LONGEST_WAIT = 60.0  # seconds; a longer Retry-After is the person's to wait for
QUOTA_WORDS = ("quota", "storage", "limit", "plan")


class HubError(RuntimeError):
    """What was asked of the Hub did not happen; the message says why and what to do."""


@dataclass(frozen=True)
class Committed:
    """`url` of the commit (or of the pull request), its `oid`, and whether there was anything `new` to commit."""

    url: str
    oid: str
    new: bool


def check_repo_id(repo_id):
    """Raises HubError for what is not USER/NAME: create_repo would take a bare name, the rest would not find it."""
    if repo_id.count("/") != 1:
        raise HubError(f"{repo_id!r} is no repository id: give USER/NAME")


def commit_files(
    repo_id,
    files,
    *,
    message,
    is_ours=lambda path: False,
    repo_type="model",
    private=None,
    create_pr=False,
    revision=None,
    tag=None,
    api=None,
    **creation,
):
    """Make `repo_id` hold `files` ({path in the repository: local path or bytes}) by one commit; returns Committed.

    A file of the repository that `is_ours(path)` and that `files` lacks is deleted in the same commit. Nothing that
    differs means no commit. `revision` is a branch, made from main where it is not there; `tag` names the commit, and
    a tag that names other files already is an error before anything is sent. `creation` goes to `create_repo`, for a
    repository that is not there. Raises HubError; the repository's files are then as they were, but where its message
    says that the commit was made and the tag was not.
    """
    api = api or HfApi()
    check_repo_id(repo_id)
    if create_pr and (revision or tag):
        raise HubError("a pull request goes to main and gets its tag after it was merged: --create_pr stands alone")
    with explained(repo_id):
        require_token(api)
        retried(lambda: api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True, **creation))
        if tag:
            refuse_other_tag(api, repo_id, repo_type, tag, files)
        if revision:
            retried(lambda: api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True))

        heads = []

        def attempt():  # from the head as it is now: an earlier attempt may have come through without its answer
            head = api.repo_info(repo_id, repo_type=repo_type, revision=revision)
            heads.append(head.sha)
            there = {file.rfilename for file in head.siblings or []}
            operations = [CommitOperationAdd(path, str(c) if isinstance(c, Path) else c) for path, c in files.items()]
            operations += [CommitOperationDelete(path) for path in sorted(there - set(files)) if is_ours(path)]
            with once(repo_id) if create_pr else nullcontext():
                done = api.create_commit(
                    repo_id,
                    operations,
                    commit_message=message,
                    repo_type=repo_type,
                    revision=revision,
                    create_pr=create_pr,
                    parent_commit=head.sha,  # refused where somebody else has pushed since
                )
            return Committed(done.pr_url or done.commit_url, done.oid, done.oid != heads[0])

        committed = retried(attempt)
    if tag:
        try:
            retried(
                lambda: api.create_tag(repo_id, tag=tag, revision=committed.oid, repo_type=repo_type, exist_ok=True)
            )
        except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
            raise HubError(
                f"the files are in {repo_id} ({committed.url}), but the tag {tag} was not made ({one_line(error)});"
                " the same command makes it, or `hf repos tag create`"
            ) from error
    return committed


@contextmanager
def once(repo_id):
    """HubError, which is not retried, where a commit was sent and no answer says what became of it: two commits of the
    same files are one, two pull requests are two."""
    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError) as error:
        answer = getattr(error, "response", None)
        undecided = answer is None or answer.status_code == 408 or answer.status_code >= 500
        if undecided and "/commit/" in (error if answer is None else answer).request.url.path:
            raise HubError(
                f"no answer says whether the pull request was made ({one_line(error)}): look among those of {repo_id}"
                " before you try again; its other files are as they were"
            ) from error
        raise


def require_token(api=None):
    """HubError where neither `api` nor huggingface_hub's own login has a token."""
    if not ((api and api.token) or get_token()):
        raise HubError("no token for the Hub: log in with `hf auth login` or set HF_TOKEN, then try again")


def refuse_other_tag(api, repo_id, repo_type, tag, files):
    """HubError where the repository has `tag` on a commit that does not hold exactly `files`' contents."""
    references = retried(lambda: api.list_repo_refs(repo_id, repo_type=repo_type))
    tags = {one.name: one.target_commit for one in references.tags}
    if tag not in tags:
        return
    there = retried(lambda: api.get_paths_info(repo_id, list(files), repo_type=repo_type, revision=tags[tag]))
    hashes = {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in there}
    lfs = {file.path: bool(file.lfs) for file in there}
    if any(path not in hashes or hashes[path] != content_hash(files[path], lfs[path]) for path in files):
        raise HubError(
            f"{repo_id} has the tag {tag} already, on other files ({tags[tag][:7]}): nothing was sent; choose another "
            f"tag, or remove that one with `hf repos tag delete {repo_id} {tag}`"
        )


def content_hash(content, lfs):
    """As the Hub lists it: sha256 of a large file, git's blob id of a small one. `content` is a path or bytes."""
    body = content.read_bytes() if isinstance(content, Path) else content
    return hashlib.sha256(body).hexdigest() if lfs else hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def retried(call):
    """`call()`, tried again after a lost connection, a 5xx and a 429 (after as long as its Retry-After says)."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except (HfHubHTTPError, httpx2.HTTPError, ConnectionError) as error:
            wait = wait_for(error, attempt)
            if wait is None or wait > LONGEST_WAIT or attempt == ATTEMPTS:
                raise
            logger.warning("%s; try %d of %d in %.0f s", one_line(error), attempt + 1, ATTEMPTS, wait)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def wait_for(error, attempt):
    """Seconds to wait before the next try, or None where another try can't help."""
    response = getattr(error, "response", None)
    if response is None:
        return 2.0**attempt / 2
    if response.status_code in (408, 429) or response.status_code >= 500:
        after = response.headers.get("Retry-After", "")
        return float(after) if after.isdigit() else 2.0**attempt / 2
    return None


@contextmanager
def explained(repo_id):
    """Every way in which the Hub and its client can refuse becomes a HubError."""
    try:
        yield
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        raise HubError(explain(error, repo_id)) from error
    except HubError:
        raise
    except RuntimeError as error:  # the client's own, around what broke the upload of a large file
        raise HubError(f"{one_line(error)} {explain(error.__cause__ or error, repo_id)}") from error


def explain(error, repo_id):
    """One sentence: what happened, that nothing changed, what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    unchanged = f"the files of {repo_id} are as they were"
    said = one_line(error)
    if isinstance(error, HFValidationError):
        return f"{repo_id!r} is no repository id (USER/NAME): {said}"
    if status == 401:  # also where the client calls it a repository not found
        return (
            f"the Hub does not take this token, which may have expired or been revoked; {unchanged}: "
            "log in again with `hf auth login`"
        )
    if status == 402 or (status == 403 and any(word in said.lower() for word in QUOTA_WORDS)):
        return f"the Hub refuses ({said}); {unchanged}: free some space there or change the plan, then try again"
    if status == 403:
        return f"the Hub refuses ({said}); {unchanged}: use a token with write permission for it, then try again"
    if status == 404 or isinstance(error, RevisionNotFoundError | RepositoryNotFoundError):
        return f"{repo_id} or its revision is not there for this token; {unchanged}: check the name and the token"
    if status in (409, 412):
        return f"somebody else changed {repo_id} meanwhile; nothing of ours was written: look there, then try again"
    if status == 429:
        after = error.response.headers.get("Retry-After", "some")
        return f"the Hub asks to wait {after} seconds (429); {unchanged}: try again after that"
    if status is not None:
        advice = "try again later" if status >= 500 else "mend that, then try again"
        return f"the Hub answers {status} ({said}); {unchanged}: {advice}"
    if isinstance(error, ValueError):
        return f"the Hub does not take these files ({said}); {unchanged}"
    absent = isinstance(error, FileNotFoundError | PermissionError)
    if absent and not isinstance(error, LocalEntryNotFoundError):  # that one is a Hub which a download did not reach
        return f"a file could not be read ({said}); {unchanged}"
    return f"the connection to the Hub broke ({said}); {unchanged}: try again"


def one_line(error):
    return " ".join(str(error).split())[:300] or type(error).__name__
