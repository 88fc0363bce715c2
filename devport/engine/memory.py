"""Memory of a process that lives long: the output path's large, short-lived buffers, and garbage."""

import ctypes
import gc

M_TRIM_THRESHOLD = -1  # mallopt(3)
M_MMAP_THRESHOLD = -3
KEPT = 4 << 20


def settle(*, floods: bool = True) -> None:
    """What is there stays and need not be looked at again; from now on garbage is collected.

    `floods`: much output is expected, and memory is not what counts.
    """
    gc.freeze()
    gc.enable()
    if floods:
        _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let malloc keep up to 4 MiB of freed memory instead of giving it back after every chunk.

    By default glibc returns the top of the heap as soon as a chunk's buffers are freed, and the next
    chunk pays for two hundred page faults: half of the throughput. No-op elsewhere.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, KEPT)
    mallopt(M_TRIM_THRESHOLD, KEPT)
