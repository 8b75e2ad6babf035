"""Checkpoints that are whole or not there: written under a temporary name, synced, renamed; the last few are kept."""

import hashlib
import logging
import os
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

logger = logging.getLogger(__name__)
NAME = re.compile(r"step-(\d{9})\.pt")


class CheckpointError(RuntimeError):
    """A checkpoint that can't be written or read; the message names the file and what to do."""


def write_atomically(path, write):
    """Call `write(temporary_path)`, sync it to the disk, and give it the name `path` in one step."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
        raise CheckpointError(
            f"{path} could not be written ({error}); what was there is untouched: free space, then go on (--resume)"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def save_weights(model, normalisation, path):
    """Write the state of `model` as float32 safetensors, whole or not at all, with the mean and the standard deviation
    of the `Normalisation` that it was trained with in the file's metadata."""
    # channels_last tensors can't be saved as safetensors
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    metadata = {"format": "pt", "mean": repr(normalisation.mean), "std": repr(normalisation.std)}
    write_atomically(path, lambda temporary: save_file(state, temporary, metadata=metadata))
    for left_over in Path(path).parent.glob(f".{Path(path).name}.*.tmp"):  # of a process that was killed
        left_over.unlink(missing_ok=True)


def checkpoints(folder):
    """Paths in `folder`, oldest first; temporary files are not among them."""
    return sorted(path for path in Path(folder).glob("step-*.pt") if NAME.fullmatch(path.name))


def save_checkpoint(folder, state, step, keep):
    """Write `state` as the checkpoint of optimizer step `step`, then delete all but the newest `keep`."""
    folder = Path(folder)
    write_atomically(folder / f"step-{step:09d}.pt", lambda path: torch.save(state, path))
    paths = checkpoints(folder)
    own = paths.index(folder / f"step-{step:09d}.pt") + 1  # later ones could not be read, or the run would be past them
    for old in paths[own:] + paths[:own][:-keep]:
        old.unlink()
    for left_over in folder.glob(".step-*.tmp"):  # of a process that was killed while it wrote
        left_over.unlink(missing_ok=True)


def load_newest(folder):
    """The state of the newest whole checkpoint in `folder`, or None where there is none at all.

    A checkpoint that can't be read is passed over with a warning that names it. Raises CheckpointError where there are
    checkpoints and none is whole.
    """
    paths = checkpoints(folder)
    for path in reversed(paths):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a cut file ends in any of half a dozen types, by where it was cut
            logger.warning(
                "%s is not a whole checkpoint (%s: %s); trying the one before", path, type(error).__name__, error
            )
    if paths:
        raise CheckpointError(f"{folder}: none of {len(paths)} checkpoints is whole; start again without --resume")
    return None


def digest(*parts):
    """sha256 over tensors on any device: whether a run goes on with what it began with."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.cpu().contiguous().numpy().data)
    return found.hexdigest()


def check_same(state, digests, folder):
    """Raises CheckpointError where the checkpoint `state` from `folder` is of a run with other data or teachers."""
    for name, what in (
        ("data", "on other pictures or targets than --data holds; give the data"),
        ("teachers", "by teachers with other weights; give the teachers"),
    ):
        if state.get(name, digests[name]) != digests[name]:
            raise CheckpointError(
                f"--resume: the run in {folder} was trained {what} that it began with, or another --output"
            )


def check_all_resume_alike(accelerator, step, folder):
    """Raises CheckpointError where machines without a common folder would go on from different optimizer steps."""
    if accelerator.num_processes == 1:
        return
    steps = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"--resume: the processes find checkpoints of steps {', '.join(map(str, steps))} in {folder};"
            " --output must be one folder that all machines share"
        )
