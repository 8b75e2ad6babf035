"""What memory that torch's tensors keep gains on a CPU: our loop with glibc as it comes and as `make train` sets it.

    python -m benchmarks.allocator --data PATH [--write]      two minutes on two idle cores

The two take turns, each time in a process of its own: glibc reads its tunables once, at the start.
"""

import argparse
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.report import machine, publish, ratio, table
from benchmarks.training import our_step, pictures_a_second, recipe_and_arrays, started_process

ROUNDS, STEPS = 3, 16
MAKEFILE = Path(__file__).parent.parent / "Makefile"


def our_speed(data):
    """Pictures a second of our loop in this process."""
    config, arrays = recipe_and_arrays(data)
    process = started_process(config)
    with tempfile.TemporaryDirectory() as folder:
        step = our_step(config, process, arrays, folder)
        return pictures_a_second(step, config.batch_size, STEPS, unmeasured=3)


def comparison(data):
    """Markdown table of both ways."""
    tunables = re.search(r"^TUNABLES = (\S+)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)[1]
    plain = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    plain["CUDA_VISIBLE_DEVICES"] = ""  # the allocator is the CPU's
    ways = {"glibc as it comes": plain, "`GLIBC_TUNABLES` as in the Makefile": plain | {"GLIBC_TUNABLES": tunables}}
    command = [sys.executable, "-m", "benchmarks.allocator", "--data", data, "--speed"]
    figures = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, environment in ways.items():
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            figures[way].append(float(done.stdout.split()[-1]))
    first, rows = next(iter(figures.values())), []
    for way, values in figures.items():
        times = ratio(values, first) if values is not first else "1"
        rows.append([way, f"{statistics.median(values):.0f}", times])
    return table(["memory of torch's tensors", "pictures/s", "times as fast, median (range)"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="FER-2013")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--speed", action="store_true", help="print this process's pictures a second alone")
    args = parser.parse_args()
    if args.speed:
        print(our_speed(args.data))
        return
    if platform.libc_ver()[0] != "glibc":
        sys.exit("benchmarks.allocator: GLIBC_TUNABLES are glibc's; this is another C library")
    where = (
        f"`python -m benchmarks.allocator --data PATH`, {datetime.date.today()}, {machine()}, Python"
        f" {platform.python_version()}, torch {torch.__version__}; the recipe of the table above."
    )
    publish("allocator", f"{where}\n\n{comparison(args.data)}", args.write)


if __name__ == "__main__":
    main()
