"""How many threads one picture's computation may take."""

import os


def compute_threads(environment=os.environ):
    """OMP_NUM_THREADS where it is set, else one for two CPUs, at most 4.

    Two CPUs of a rented machine mostly are the halves of one core: a second thread there gained nothing for one face
    (`benchmarks/README.md`), and other visitors' pictures keep the CPUs busy anyway.
    """
    return int(environment.get("OMP_NUM_THREADS", 0)) or max(1, min(4, (os.cpu_count() or 1) // 2))
