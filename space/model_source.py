"""Which model to serve: the embedded `model/`, or what `FER_MODEL` names (a folder, or a Hub id with @revision).

A published Space names its model in `space/settings.yaml`, which `space/publish.py` writes there. Where that can't be
fetched, an embedded model serves in its place and the page says so; what FER_MODEL names is served or is an error.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import httpx2  # huggingface_hub's own HTTP client, for the type of its errors
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from space.classifier import ModelError, load_classifier
from space.integrity import is_damaged
from space.settings import published_model

HUB_ERRORS = (OSError, ValueError, httpx2.HTTPError)  # not found, no access, no network, a broken connection

logger = logging.getLogger(__name__)
EMBEDDED = Path(__file__).resolve().parent.parent / "model"
FILES = ["config.json", "metrics.json", "README.md", "onnx/model.onnx"]
WEIGHTS = "model.safetensors"  # only where there is no ONNX file; a pickle never


@dataclass(frozen=True)
class ModelSource:
    """A model folder and how it is named to people."""

    name: str
    folder: Path
    revision: str | None = None
    """The Hub's commit; None for a folder."""
    in_place_of: str | None = None
    """The published model, USER/NAME@REVISION, that could not be fetched."""


def find_model(wanted=None):
    """The model to serve: `wanted`, else `FER_MODEL`, else a published Space's, else the embedded one.

    `ModelError` says what is wrong with it.
    """
    named = wanted or os.environ.get("FER_MODEL")
    published = published_model()
    if named:
        return ModelSource(Path(named).resolve().name, Path(named)) if Path(named).is_dir() else fetch(named)
    if published:
        try:
            return fetch(published)
        except ModelError as error:
            if not (EMBEDDED / "config.json").is_file():
                raise
            logger.warning("%s; the embedded model serves in its place", error)
    elif not (EMBEDDED / "config.json").is_file():
        raise ModelError(f"there is no embedded model in {EMBEDDED}; FER_MODEL=FOLDER or FER_MODEL=USER/NAME names one")
    return ModelSource("embedded", EMBEDDED, in_place_of=published)


def fetch(wanted):
    """`USER/NAME` or `USER/NAME@REVISION` from the Hub, or from its cache where the Hub can't be reached."""
    repository, _, revision = wanted.partition("@")
    try:
        folder = download(repository, revision, FILES)
        if not (folder / "onnx" / "model.onnx").is_file():
            folder = download(repository, revision, [*FILES, WEIGHTS])
    except HFValidationError:
        raise ModelError(f"{wanted} is neither a folder nor a Hub id (USER/NAME or USER/NAME@REVISION)") from None
    except HUB_ERRORS as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"{wanted} could not be fetched from the Hub: {reason}") from error
    for file in (*FILES, WEIGHTS):
        if is_damaged(folder / file):
            raise ModelError(f"{wanted}: {file} arrived damaged and was removed; start again to fetch it anew")
    return ModelSource(repository, folder, folder.name)


def download(repository, revision, files):
    """The folder of those of `files` that the repository has."""
    return Path(snapshot_download(repository, revision=revision or None, allow_patterns=files, etag_timeout=10))


def load_model(wanted=None):
    """(classifier, its `ModelSource`) of `find_model(wanted)`."""
    source = find_model(wanted)
    return load_classifier(source.folder), source
