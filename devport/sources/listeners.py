"""Whether who listens on a port is a process of a job's own tree, and who it is if not.

On Linux by the sockets that listen on the port and the descriptors of the tree's processes
(proc_pid_fd(5)); elsewhere psutil tells the same. When the system does not tell (a process of another
user, or a privileged one), the job gets the benefit of the doubt. Nothing here waits, and each question
is answered within a fraction of what the loop may be late.
"""

import os
from collections.abc import Callable, Iterator
from time import monotonic

from devport.engine.job import Job
from devport.engine.process import Process
from devport.engine.reaper import Reaper
from devport.kernel import birth, descendants
from devport.kernel.descriptors import holders, sockets
from devport.kernel.sockdiag import listeners
from devport.registry.owner import STRANGER

SLICE = 0.01
"""Seconds that the search for a stranger's name takes at once."""


class Ownership:
    """Who serves `port`: the present life of `job`, or somebody else."""

    def __init__(self, job: Job, reaper: Reaper, port: int) -> None:
        self._job, self._reaper, self._port = job, reaper, port
        self._own: set[int] = set()  # sockets that are known to be of this life
        self._search: Search | None = None

    def begin(self) -> None:
        """A new life: nothing that is known of an earlier one counts."""
        self._own.clear()
        self._search = None

    def doubt(self, host: str) -> str:
        """Why what accepts connections to `host` (a numeric address) is not the job; empty if it is."""
        process = self._job.process
        if process is None:
            return "it is not running"
        wanted = listeners(self._port, host)
        if wanted is None:
            return self._ask_psutil(process)
        if not wanted:
            return self._served_by(STRANGER)  # beyond our network namespace: a container, a redirection
        if wanted <= self._own:
            return ""
        if self._is_held(wanted, process):
            self._own |= wanted
            return ""
        if self._search is None or self._search.wanted != wanted:
            self._search = Search(wanted)
        return self._served_by(self._search.go_on())

    def _served_by(self, who: str) -> str:
        return f"port {self._port} is served by {who}, not by {self._job.name}"

    def _is_held(self, wanted: set[int], process: Process) -> bool:
        """Whether the tree of `process` holds all sockets of `wanted`, as far as we may know."""
        missing, hidden = set(wanted), False
        for pid in tree(process, self._reaper):
            held = sockets(pid)
            if held is None:
                known = descendants.stat(pid)
                hidden = hidden or (known is not None and known.state not in "ZX")
            else:
                missing -= held
            if not missing:
                return True
        return hidden

    def _ask_psutil(self, process: Process) -> str:
        pids = pids_listening(self._port, process)
        if pids is None or pids:
            return ""
        from devport.registry.owner import program  # noqa: PLC0415 - where it is slow, it is at least rare

        return self._served_by(program(self._port) or STRANGER)


# processes


def tree(process: Process, reaper: Reaper) -> Iterator[int]:
    """The pids of `process`, of what is below it, and of what has left it but is of the same life.

    The last were adopted by devport: of its group or session, or with its token and younger than it is (a
    process of an earlier life carries the same token).
    """
    yield process.pid
    yield from descendants.below(process.pid)
    born = birth.age_rank(process.pid)
    for pid in reaper.adopted():
        known = descendants.stat(pid)
        if known is not None and (
            process.pid in {known.group, known.session}
            or (descendants.carries(pid, process.token) and birth.age_rank(pid) >= born)
        ):
            yield pid
            yield from descendants.below(pid)


class Search:
    """Looks for the processes that hold the sockets of `wanted`, a little at a time: there may be many."""

    def __init__(self, wanted: set[int], clock: Callable[[], float] = monotonic) -> None:
        self.wanted, self._clock = wanted, clock
        self._found = ""
        self._steps = holders(wanted)

    def go_on(self) -> str:
        """Its name and pid, if they are known by now or after a fraction of a second; else a stranger."""
        until = self._clock() + SLICE
        while not self._found and self._clock() < until:
            if (name := next(self._steps, None)) is None:
                break
            self._found = name
        return self._found or STRANGER


# elsewhere


def pids_listening(port: int, process: Process) -> set[int] | None:
    """Those of the tree of `process` that listen on `port`, by psutil; None where it may not know of one."""
    import psutil  # noqa: PLC0415 - 20 ms and some MB, where there is no /proc

    hidden = False
    found = set()
    for pid in _tree_by_psutil(process):
        try:
            one = psutil.Process(pid)
            # psutil 6 renamed it.
            connections = getattr(one, "net_connections", None) or one.connections
            if any(
                c.status == psutil.CONN_LISTEN and c.laddr and c.laddr[1] == port
                for c in connections(kind="tcp")
            ):
                found.add(pid)
        except psutil.NoSuchProcess:
            continue
        except (psutil.Error, OSError):
            hidden = True
    return found or (None if hidden else set())


def _tree_by_psutil(process: Process) -> Iterator[int]:
    import psutil  # noqa: PLC0415

    yield process.pid
    try:
        below = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        below = []
    yield from (one.pid for one in below)
    for pid in psutil.pids():  # without a subreaper, what has left is a child of init
        try:
            left = process.pid in {os.getpgid(pid), os.getsid(pid)}
        except OSError:
            continue
        if left:
            yield pid
