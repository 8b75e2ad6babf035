"""The most memory that a block of work needs, with its child processes, or on the GPU where there is one."""

import ctypes
import os
import threading
from pathlib import Path

import torch


class PeakMemory:
    """Peak megabytes within a `with` block beyond what was held before it: of this process and its children (their
    proportional shares, sampled), or what torch had allocated on the GPU."""

    def __enter__(self):
        ctypes.CDLL(None).malloc_trim(0)  # what earlier blocks left
        self.before = self.megabytes = held_megabytes()
        self.over = threading.Event()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self.sampler = threading.Thread(target=self.sample)
        self.sampler.start()
        return self

    def sample(self):
        while not self.over.wait(0.1):
            self.megabytes = max(self.megabytes, held_megabytes())

    def __exit__(self, *_):
        self.over.set()
        self.sampler.join()
        self.megabytes = max(self.megabytes, held_megabytes())
        peak = torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else self.megabytes
        self.megabytes = peak - self.before


def held_megabytes():
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / 1e6
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return sum(map(proportional_kilobytes, ["self", *children])) / 1024


def proportional_kilobytes(pid):
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (OSError, ProcessLookupError):  # a child that has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
