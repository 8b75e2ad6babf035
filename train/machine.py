"""Where a figure was taken: the machine, the commit, the command, without the machine's own folders."""

import os
import platform
import re
import subprocess
from pathlib import Path

import torch


def hardware(device, processes=1):
    """What computed, in a few words, for tables: `processes` GPUs like the torch.device `device`, or the CPU."""
    if device.type == "cuda":
        return f"{processes} x {torch.cuda.get_device_name(device)}"
    if device.type != "cpu":
        return f"{processes} x {device.type} of {platform.machine()}"
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    # a virtual machine may not say which of a maker's generations it has
    vectors = torch.backends.cpu.get_cpu_capability()
    shared = f"{processes} processes on " if processes > 1 else ""
    return f"{shared}{usable_cores()} cores of {model} ({vectors})"


def usable_cores():
    """CPU cores that this process may run on, which taskset, a batch system or a container may have made fewer than
    the machine's; more threads than that wait for each other."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(asked, processes):
    """Threads of each of so many processes on the CPU: as many as were `asked` for, else its share of the cores, which
    it shares with those of its own machine alone."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))  # set by `accelerate launch` where there are several
    return asked or max(1, usable_cores() // min(here, processes))


def launcher(device):
    """The words that start a script in as many processes as this one's launch has, on devices like `device`."""
    processes = int(os.environ.get("WORLD_SIZE", 1))  # set by `accelerate launch` where there are several
    machines = processes // int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    words = ["accelerate", "launch"]
    if processes > 1:
        words.append("--multi_gpu")  # on CPUs too: without it one process starts
    if machines > 1:
        words += ["--num_machines", str(machines)]
    if processes > 1 or device.type == "cuda":  # without a number it takes all GPUs that it sees
        words += ["--num_processes", str(processes)]
    return ["ACCELERATE_USE_CPU=true", *words] if processes > 1 and device.type == "cpu" else words


def commit():
    """The repository's commit, with "+" where files differ from it; None outside of a checkout."""
    root = Path(__file__).resolve().parent.parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


ABSOLUTE = re.compile(r"(?<![^\s=,\['\"])/(?:[^\s,\]'\"/]+/)*([^\s,\]'\"/]+)/?")


def portable(arguments):
    """Arguments without this machine's folders: an absolute path, also in a list, keeps its last part."""
    return [Path(a).name if Path(a).is_absolute() else ABSOLUTE.sub(r"\1", a) for a in arguments]
