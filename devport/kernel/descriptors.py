"""Descriptors by name: which sockets a process has open, and another way to one's own descriptors."""

import os
from collections.abc import Iterator

from devport import kernel
from devport.encoding import decode, printable


def path_of(descriptor: int) -> str | None:
    """A path that leads to an open descriptor of this process; None where there is none.

    On Linux opening it gives a description of its own (proc_pid_fd(5)), and it serves as a short name of a
    folder. /dev/fd of other systems does neither: it is the same description again.
    """
    path = f"/proc/self/fd/{descriptor}"
    return path if kernel.LINUX and os.path.lexists(path) else None


def sockets(pid: int) -> set[int] | None:
    """The inodes of the sockets that `pid` has open; None where this user may not know, or it is gone."""
    folder = f"/proc/{pid}/fd"
    found = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue  # closed in the meantime
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found


def holders(wanted: set[int]) -> Iterator[str]:
    """Of every process, the latest first: its name and pid if it holds a socket of `wanted`, else nothing."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for pid in sorted((int(name) for name in names if name.isdigit()), reverse=True):
        yield _describe(pid) if (sockets(pid) or set()) & wanted else ""


def _describe(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return f"{printable(decode(file.read().strip()))} (pid {pid})"
    except OSError:
        return f"pid {pid}"
