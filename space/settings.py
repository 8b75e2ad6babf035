"""`settings.yaml` beside this file: the model of a published Space. `space.publish` writes it, a clone has none."""

from pathlib import Path

import yaml

FILE = Path(__file__).with_name("settings.yaml")


def published_model(file=FILE):
    """`USER/NAME@REVISION` as published, or None where there is no such file."""
    if not file.is_file():
        return None
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    return f"{settings['model']}@{settings['revision']}"


def settings_text(model, revision):
    """The file's text for the Hub id `model` at the commit `revision`."""
    return "# Written by space/publish.py. FER_MODEL overrides it.\n" + yaml.safe_dump(
        {"model": model, "revision": revision}, sort_keys=False
    )
