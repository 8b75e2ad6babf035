"""Several processes on CPUs by `accelerate launch`, which has no flag for it: with --cpu it starts one."""


def on_processes(number):
    """(flags of `accelerate launch`, environment variables) for `number` processes; their port is any that is free."""
    if number == 1:
        return ("--num_processes", "1"), {}
    flags = ("--multi_gpu", "--num_processes", str(number), "--main_process_port", "0")
    return flags, {"ACCELERATE_USE_CPU": "true"}
