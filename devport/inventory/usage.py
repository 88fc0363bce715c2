"""CPU and memory of services, each with all that it has started; only a table for people asks.

CPU is the share of one processor over the process's life, as ps(1) has it: nothing has to be awaited.
Memory is what is resident, pages that are shared counted for each.
"""

import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil


class Usage(NamedTuple):
    """`cpu` in percent of one processor, `memory` in bytes."""

    cpu: float
    memory: int


def usage(pids: Collection[int]) -> dict[int, Usage]:
    """What each of `pids` and its descendants use; one that is gone is missing."""
    if not pids:
        return {}
    import psutil  # noqa: PLC0415 - 20 ms

    parents: dict[int, list[psutil.Process]] = {}
    roots: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            parents.setdefault(process.ppid(), []).append(process)
        except psutil.Error:
            continue
        if process.pid in pids:
            roots[process.pid] = process
    now = time.time()
    return {pid: _sum(list(_tree(root, parents)), now) for pid, root in roots.items()}


def _tree(root: "psutil.Process", parents: "dict[int, list[psutil.Process]]") -> "Iterator[psutil.Process]":
    left, seen = [root], set[int]()
    while left:
        process = left.pop()
        if process.pid not in seen:  # a number given to somebody else meanwhile could make a ring
            seen.add(process.pid)
            yield process
            left += parents.get(process.pid, ())


def _sum(tree: "list[psutil.Process]", now: float) -> Usage:
    import psutil  # noqa: PLC0415

    seconds, memory, since = 0.0, 0, now
    for process in tree:
        try:
            with process.oneshot():
                times, since = process.cpu_times(), min(since, process.create_time())
                seconds += times.user + times.system
                memory += process.memory_info().rss
        except (psutil.Error, OSError):
            continue
    return Usage(100 * seconds / max(now - since, 1e-2), memory)
