"""Free memory goes back to the system: glibc keeps it for each thread's next request, hundreds of MB under load."""

import ctypes
import platform
from functools import cache

M_ARENA_MAX = -8  # of malloc.h
ARENAS = 2  # heaps that threads share; glibc's default is eight for each CPU


@cache
def glibc():
    """The C library, or None where it is another than glibc."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def share_heaps():
    """Let all threads share `ARENAS` heaps; before they start. No cost was seen in a request's time."""
    if library := glibc():
        library.mallopt(M_ARENA_MAX, ARENAS)


def return_free_memory():
    """Give pages that are free, in the middle of a heap too, back to the system; some milliseconds."""
    if library := glibc():
        library.malloc_trim(0)
