"""The licence of a model that is sent to the Hub as a part of something else."""

import yaml
from huggingface_hub import metadata_load


def licence_fields(folder):
    """The licence that the card in the model folder `folder` declares, as fields of another card's front matter; none
    where it declares none that can be read."""
    card = folder / "README.md"
    try:
        declared = (metadata_load(card) or {}) if card.is_file() else {}
    except (ValueError, yaml.YAMLError):  # somebody else's card may be anything
        declared = {}
    fields = ("license", "license_name", "license_link")
    return {name: declared[name] for name in fields if declared.get(name)}


def licence_name(fields):
    """For a sentence that says what a model is under."""
    return fields.get("license_name") or fields.get("license") or "no licence that its card names"
