"""Training commands as one process or several, which `accelerate launch` has no flag for on CPUs: --cpu starts one."""

import sys

LAUNCHER = ("accelerate", "launch", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")


def command(script, processes=1, launcher=False):
    """(words, environment variables) that run `script` in so many processes, whose port is any that is free.

    One comes by `accelerate launch` where `launcher` asks for it, which takes five seconds to import what it needs.
    """
    if processes == 1:
        return ([*LAUNCHER, "--num_processes", "1", script] if launcher else [sys.executable, script]), {}
    flags = ("--multi_gpu", "--num_processes", str(processes), "--main_process_port", "0")
    return [*LAUNCHER, *flags, script], {"ACCELERATE_USE_CPU": "true"}
