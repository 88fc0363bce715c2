"""Holding on to a process tree, beyond the process group that POSIX has.

Linux: prctl(2) PR_SET_CHILD_SUBREAPER makes orphans of the tree children of the caller, PR_SET_PDEATHSIG
ends a child with its parent, and /proc lists children, groups and environments. Elsewhere psutil lists the
same, orphans are known by their group, session or mark, and nothing ends with its parent by itself.
Nothing here decides; nothing keeps state but the capabilities found.
"""

import ctypes
import errno
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from devport import kernel
from devport.encoding import encode

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MARK = "DEVPORT_HASH"
"""The environment variable by which a process that left its group is known again."""
RUN = "DEVPORT_RUN"
"""The one that says, beside it, by which run it was started, where orphans do not become ours."""

_THREADS = 17  # the field num_threads of /proc/PID/stat, counted from the state letter

T = TypeVar("T")

_spare: list[int] = []  # a descriptor that is kept for the moment in which there is no other


def _seen(look: Callable[[], T]) -> T:
    """What `look`, which opens one file at a time, returns; OSError where there is nothing to look at.

    That there is no descriptor to look with does not make a tree empty: then it is lent the spare one.
    """
    try:
        return look()
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE} or not _spare:
            raise
    os.close(_spare.pop())
    try:
        return look()
    finally:
        _keep_spare()


def _keep_spare() -> None:
    if not _spare:
        try:
            _spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            pass  # there is none left already; what is looked for may not be found then


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _find_prctl() -> Callable[[int, int], int] | None:
    if not kernel.LINUX:
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
    _keep_spare()  # they have to be found, whatever happens
    return _prctl is not None and _prctl(PR_SET_CHILD_SUBREAPER, 1) == 0


def die_with(parent: int, number: int = signal.SIGKILL) -> bool:
    """Have this process sent `number` when its parent dies; False where `parent` is dead already.

    The signal belongs to the thread that forked, and a parent that died before the call is not
    noticed by the kernel: hence the comparison afterwards.
    """
    if _prctl is None:
        return True
    _prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


class Stat(NamedTuple):
    """As in /proc/PID/stat (proc(5)): state letter, parent, process group, session.

    Z or X only for one that is dead as a whole: the letter is its first thread's, which others outlive,
    where it has called pthread_exit(3), or for an instant when all are killed.
    """

    state: str
    parent: int
    group: int
    session: int


def stat(pid: int) -> Stat | None:
    """What the kernel says of `pid`; None for one that is gone."""
    if not kernel.LINUX:
        from devport.kernel import portable  # noqa: PLC0415 - psutil takes 20 ms and some MB

        return portable.stat(pid)
    try:
        # The name may hold blanks and parentheses: the last one ends it.
        fields = _seen(lambda: _read(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    except OSError:
        return None
    state = fields[0].decode()
    if state == "Z" and int(fields[_THREADS]) > 1:
        state = "S"
    return Stat(state, int(fields[1]), int(fields[2]), int(fields[3]))


def children(pid: int) -> list[int]:
    """The children of `pid`, zombies included; empty where nothing tells."""
    if not kernel.LINUX:
        from devport.kernel import portable  # noqa: PLC0415 - psutil takes 20 ms and some MB

        return portable.children(pid)
    if not _LISTS_CHILDREN:
        return _children_by_parent(pid)
    found: list[int] = []
    try:
        for task in _seen(lambda: os.listdir(f"/proc/{pid}/task")):
            found += map(int, _seen(lambda: _read(f"/proc/{pid}/task/{task}/children")).split())  # noqa: B023
    except OSError:
        pass  # gone in the meantime, or no /proc: what was found is the answer
    return found


_LISTS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _children_by_parent(pid: int) -> list[int]:
    """The same from everybody's parent, for kernels without CONFIG_PROC_CHILDREN."""
    try:
        everybody = [int(name) for name in _seen(lambda: os.listdir("/proc")) if name.isdigit()]
    except OSError:
        return []
    return [other for other in everybody if (known := stat(other)) is not None and known.parent == pid]


def below(pid: int) -> Iterator[int]:
    """All living descendants of `pid`, parents before children; zombies left out."""
    if not kernel.LINUX:
        from devport.kernel import portable  # noqa: PLC0415

        yield from portable.below(pid)
        return
    for child in children(pid):
        known = stat(child)
        if known is not None and known.state not in "ZX":
            yield child
        yield from below(child)


def orphans(leaders: Mapping[int, str]) -> set[int]:
    """Living processes that were left to this one: its children but for the `leaders` that it started.

    Where orphans do not become ours, those that a tree of `leaders` (pid: token) has lost.
    """
    if not kernel.LINUX:
        from devport.kernel import portable  # noqa: PLC0415 - psutil takes 20 ms and some MB

        return portable.orphans(leaders)
    looked: set[int] = set()
    while True:
        found = set(children(os.getpid())) - leaders.keys()
        living = {pid for pid in found if (known := stat(pid)) is not None and known.state not in "ZX"}
        if living or found <= looked:
            return living
        # Who was listed alive and is dead by now has left us what it forked: that was not listed yet.
        looked |= found


def is_stopped(pid: int) -> bool:
    """Whether `pid` is suspended, or gone."""
    known = stat(pid)
    return known is None or known.state in "TZX"


def carries(pid: int, token: str) -> bool:
    """Whether `pid` was started with `DEVPORT_HASH=token` in its environment (of our own user only)."""
    if not kernel.LINUX:
        from devport.kernel import portable  # noqa: PLC0415

        return portable.mark(pid) == token
    try:
        return encode(f"{MARK}={token}") in _seen(lambda: _read(f"/proc/{pid}/environ")).split(b"\0")
    except OSError:
        return False


def is_debugged(pid: int) -> bool:
    """Whether a debugger or the like (ptrace(2)) holds `pid` or what is below it; False where none tells."""
    return kernel.LINUX and any(_is_traced(one) for one in (pid, *below(pid)))


def _is_traced(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return any(line.startswith(b"TracerPid:") and int(line.split()[1]) for line in file)
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
