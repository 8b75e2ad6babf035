"""Several processes on CPUs by `accelerate launch`, which has no flag for it: with --cpu it starts one."""

ON_CPUS = {"ACCELERATE_USE_CPU": "true"}  # in the environment


def several(processes):
    """Flags of `accelerate launch`; the port is any that is free."""
    return ("--multi_gpu", "--num_processes", str(processes), "--main_process_port", "0")
