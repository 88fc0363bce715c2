"""What Linux offers beyond POSIX for holding on to a process tree, each behind a portable fallback.

prctl(2) PR_SET_CHILD_SUBREAPER makes orphans of the tree children of the caller, PR_SET_PDEATHSIG
ends a child with its parent, and /proc lists children, groups and environments. Where one is missing
(macOS, a masked /proc) the functions say so by an empty answer, and the process group is what is left.
Nothing here decides; nothing keeps state but the capabilities found.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from devport.encoding import encode

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MARK = "DEVPORT_HASH"
"""The environment variable by which a process that left its group is known again."""


def _find_prctl() -> Callable[[int, int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        function = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    # prctl is variadic and reads unsigned longs; a plain int would leave the upper half to chance.
    ulong = ctypes.c_ulong
    return lambda option, value: int(function(option, ulong(value), ulong(0), ulong(0), ulong(0)))


_prctl = _find_prctl()


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process; whether the kernel agreed."""
    return _prctl is not None and _prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


def die_with(parent: int) -> bool:
    """Have this process killed when its parent dies; False where `parent` is dead already.

    The signal belongs to the thread that forked, and a parent that died before the call is not
    noticed by the kernel: hence the comparison afterwards.
    """
    if _prctl is None:
        return True
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


class Stat(NamedTuple):
    """Of /proc/PID/stat (proc(5)): state letter, parent, process group, session."""

    state: str
    parent: int
    group: int
    session: int


def stat(pid: int) -> Stat | None:
    """What the kernel says of `pid`; None for one that is gone, and where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name may hold blanks and parentheses: the last one ends it.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]))


def children(pid: int) -> list[int]:
    """The children of `pid`, zombies included; empty where /proc does not tell."""
    if not _LISTS_CHILDREN:
        return _children_by_parent(pid)
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass  # gone in the meantime, or no /proc: what was found is the answer
    return found


_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _children_by_parent(pid: int) -> list[int]:
    """The same from everybody's parent, for kernels without CONFIG_PROC_CHILDREN."""
    try:
        everybody = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    return [other for other in everybody if (known := stat(other)) is not None and known.parent == pid]


def below(pid: int) -> Iterator[int]:
    """All living descendants of `pid`, parents before children; zombies left out."""
    for child in children(pid):
        known = stat(child)
        if known is not None and known.state not in "ZX":
            yield child
        yield from below(child)


def is_stopped(pid: int) -> bool:
    """Whether `pid` is suspended, or gone."""
    known = stat(pid)
    return known is None or known.state in "TZX"


def carries(pid: int, token: str) -> bool:
    """Whether `pid` was started with `DEVPORT_HASH=token` in its environment (of our own user only)."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return encode(f"{MARK}={token}") in file.read().split(b"\0")
    except OSError:
        return False


def send(pid: int, number: int) -> bool:
    """Signal one process of our tree; False if it is gone or not ours to signal."""
    if pid <= 1:
        return False
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
