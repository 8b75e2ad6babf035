"""Is a file in the Hub's cache what the Hub says it is? Its client compares lengths alone."""

import hashlib
import re
from pathlib import Path


def is_damaged(path):
    """Whether the bytes of `path`, as the cache of `huggingface_hub` has it, are others than the Hub's.

    The cache names the blob of a large file by its sha256; a file that is not there, and one whose blob is named
    otherwise (a small file, or a cache without links), passes. A damaged one is removed, so that it is fetched anew.
    """
    blob = Path(path).resolve()
    if not blob.is_file() or not re.fullmatch("[0-9a-f]{64}", blob.name):
        return False
    with blob.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == blob.name:
            return False
    Path(path).unlink()
    blob.unlink()
    return True
