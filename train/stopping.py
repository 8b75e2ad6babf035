"""Ctrl-C and SIGTERM, also where the launcher alone gets them."""

import ctypes
import os
import signal
import sys
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class TrainingStopped(Exception):
    """Ctrl-C or SIGTERM: the state is on the disk, the message says how to go on."""


def follow_launcher():
    """Get SIGTERM when `accelerate launch` ends (Linux): it passes no signal on to its one process, which would train
    on by itself after `kill` or `timeout` ended the launcher."""
    parent = Path(f"/proc/{os.getppid()}/cmdline")  # not there for the first process of a container
    if sys.platform == "linux" and parent.exists() and b"accelerate" in parent.read_bytes():
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def interrupt_once(number, frame):
    """A handler: raise KeyboardInterrupt, and ignore what follows (the launcher's end after a Ctrl-C)."""
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt
