"""The static page as a Space of its own, in one commit: `python -m space.publish --static`."""

import contextlib
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, SpaceCardData
from huggingface_hub.errors import RepositoryNotFoundError

from hub.commit import HubError, commit_files, explained, retried
from hub.licence import licence_fields, licence_name
from space.classifier import ModelError
from space.model_source import ModelSource, find_model
from space.static.build import BuildError, build

CARD = """---
{front_matter}
---

# {title}

Finds the faces in a photograph or a webcam's picture and says which of {classes} expressions people would see in each,
in the visitor's own browser: no picture leaves the device. An expression is not a feeling; see the model's card for
what it reaches and what it is not for.

{model}

Published by `python -m space.publish --static`; the code is under Apache-2.0, the model under {licence}. YuNet, which
finds the faces, is under the MIT licence, as is ONNX Runtime.
"""

# Threads need a page that is isolated from other origins; the service worker does the same on other hosts.
HEADERS = {
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "cross-origin",
}


def static_card(title, source: ModelSource, classes):
    """The Space's README with its front matter. A model folder, unlike a Hub id, has no revision and is not linked."""
    licence = licence_fields(source.folder)
    front_matter = SpaceCardData(
        title=title,
        emoji="🙂",
        colorFrom="blue",
        colorTo="gray",
        sdk="static",
        app_file="index.html",
        models=[source.name] if source.revision else None,
        short_description="Faces and their expressions, in your own browser",  # 60 characters at most
        tags=["facial-emotion-recognition", "image-classification", "fer2013", "onnx"],
        custom_headers=HEADERS,
        **licence,
    ).to_yaml()
    model = (
        f"The model is [{source.name}](https://huggingface.co/{source.name}/tree/{source.revision})."
        if source.revision
        else "The model travels with the page."
    )
    return CARD.format(
        front_matter=front_matter, title=title, classes=classes, model=model, licence=licence_name(licence)
    )


@contextlib.contextmanager
def static_files(model=None, detector=None, *, title, repo_id, private=None):
    """Build the page; {path in the Space: local path or bytes}, until the context ends.

    `model` is a folder, or USER/NAME[@REVISION] on the Hub, or None for what the app serves. HubError says what failed,
    and that a private model's weights would lie open in the Space `repo_id`, which is made `private` where it is not
    there: every visitor's browser loads them.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = find_model(model)
            if source.revision:
                refuse_private(source, repo_id, private)
            app = build(source, folder, detector)
        except ModelError as error:
            raise HubError(str(error).replace("FER_MODEL=", "--model ")) from error
        except BuildError as error:
            raise HubError(str(error)) from error
        paths = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
        files = {path.relative_to(folder).as_posix(): path for path in paths}
        yield files | {"README.md": static_card(title, source, len(app["model"]["labels"])).encode()}


def refuse_private(source, repo_id, private):
    """HubError where not everybody may load the model and the Space is public, or would be made so."""
    api = HfApi()
    with explained(source.name):
        model = retried(lambda: api.model_info(source.name, revision=source.revision))
    if not (model.private or model.gated):
        return
    with explained(repo_id), contextlib.suppress(RepositoryNotFoundError):
        private = retried(lambda: api.space_info(repo_id)).private  # --private changes no Space that is there
    if not private:
        raise HubError(
            f"{source.name} is {'private' if model.private else 'gated'}, and a static page hands its weights to every"
            " visitor: give --private, with which a new Space is private too (one that is there is made so in its"
            " settings), or make the model public first"
        )


def publish_static(repo_id, files, *, private=None, api=None):
    """Publish `static_files` as `repo_id`; returns hub.commit.Committed. The same page again is no new commit."""
    return commit_files(
        repo_id,
        files,
        message="Publish the static page",
        is_ours=lambda path: path.startswith("assets/"),
        repo_type="space",
        private=private,
        api=api,
        space_sdk="static",
    )
