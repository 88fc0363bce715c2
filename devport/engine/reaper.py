"""The one waiter of the process: tells whose service ended, and reaps whatever else was adopted.

Peek, kill, reap: a dead leader is only looked at (WNOWAIT) while others of its tree live, so that its
pid, which is their group's number, cannot be given to a stranger that the next signal would hit. Where it
cannot be looked at only (macOS before Python 3.13) it is reaped at once, and as long as its group has
members nobody else gets the number.
Decides nothing; nothing else in devport may call wait.
"""

import os
import signal
from collections.abc import Iterable, Iterator

from devport import kernel
from devport.engine.process import Process
from devport.kernel import descendants, roster


class Reaper:
    """The processes that devport started, by pid, until they are reaped."""

    def __init__(self) -> None:
        self.leaders: dict[int, Process] = {}
        self.spared: set[str] = set()  # tokens of trees that are to outlive their leader
        self._earlier: dict[int, set[int]] = {}  # by such a leader's pid: what was adopted before it began
        self._kept: set[int] = set()  # what those leaders left behind
        self._buried: set[int] = set()  # dead, reported and reaped at once

    def add(self, process: Process) -> None:
        """From now on `process` is reported when it ends."""
        self.leaders[process.pid] = process
        roster.enter(process.pid, process.token)
        if process.token in self.spared:
            self._earlier[process.pid] = self.adopted()

    def collect(self) -> list[tuple[Process, int]]:
        """The leaders that ended since the last call, with their statuses (minus n: killed by signal n).

        Those that left nobody behind are reaped; the others say so by `leftovers`.
        """
        ended = []
        for pid, status in self._dead():
            process = self.leaders.get(pid)
            if process is None:
                self._bury(pid)  # an adopted orphan
                self._kept.discard(pid)
                continue
            process.exited = True
            if process.token in self.spared:
                self._keep(process)
            else:
                self._look(process, self.adopted())
            if process.leftovers:
                process.catch_up()
            else:
                self._reap(process)
            ended.append((process, status))
        return ended

    def gone(self) -> list[Process]:
        """Of the leaders that left others behind, those whose tree is empty now; they are reaped."""
        waiting = [process for process in self.leaders.values() if process.exited]
        if not waiting:
            return []
        adopted = self.adopted()
        for process in waiting:
            self._look(process, adopted)
            process.catch_up()
        empty = [process for process in waiting if not process.leftovers]
        for process in empty:
            self._reap(process)
        return empty

    def forget(self, process: Process) -> None:
        """Give up a process that the kernel will not let die."""
        self.leaders.pop(process.pid, None)
        self._earlier.pop(process.pid, None)

    def adopted(self) -> set[int]:
        """Living processes that were left to devport, which did not start them."""
        return descendants.orphans({pid: process.token for pid, process in self.leaders.items()})

    def suspend(self) -> list[int]:
        """Stop what still runs below devport; who it was. One look is enough: what is stopped cannot fork."""
        everybody = {*descendants.below(os.getpid()), *self.adopted()}
        running = [pid for pid in everybody if not descendants.is_stopped(pid)]
        for pid in running:
            descendants.send(pid, signal.SIGSTOP)
        return running

    @staticmethod
    def resume(pids: Iterable[int]) -> None:
        """Continue what `suspend` stopped."""
        for pid in pids:
            descendants.send(pid, signal.SIGCONT)

    @property
    def overlooks(self) -> bool:
        """Whether the end of what leaders have left behind comes without a SIGCHLD: look again and again."""
        return not kernel.LINUX and any(process.exited for process in self.leaders.values())

    def _dead(self) -> Iterator[tuple[int, int]]:
        """Each zombie child that is not being kept, once; reaped or kept by the caller before the next."""
        while not any(process.exited for process in self.leaders.values()):
            if (dead := self._look_for(0)) is None:
                return
            yield dead
        # A kept zombie would be the answer to P_ALL every time: ask for each of the others.
        for pid in {*descendants.children(os.getpid()), *self.leaders}:
            process = self.leaders.get(pid)
            if (process is None or not process.exited) and (dead := self._look_for(pid)) is not None:
                yield dead

    def _look_for(self, pid: int) -> tuple[int, int] | None:
        """A dead child, `pid` or (0) anybody: who, and its status; None while there is none."""
        return self._peek(pid) if kernel.WAITID else self._take(pid)

    @staticmethod
    def _peek(pid: int) -> tuple[int, int] | None:
        kind = os.P_PID if pid else os.P_ALL
        try:
            info = os.waitid(kind, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if info is None:
            return None
        return info.si_pid, info.si_status if info.si_code == os.CLD_EXITED else -info.si_status

    def _take(self, pid: int) -> tuple[int, int] | None:
        """As `_peek`, for `pid` or (0) anybody, who is reaped by it."""
        try:
            dead, status = os.waitpid(pid or -1, os.WNOHANG)
        except ChildProcessError:
            return None
        if not dead:
            return None
        self._buried.add(dead)
        return dead, os.waitstatus_to_exitcode(status)

    def _bury(self, pid: int) -> None:
        if pid in self._buried:
            self._buried.remove(pid)
        else:
            os.waitpid(pid, 0)

    def _reap(self, process: Process) -> None:
        self._bury(process.pid)
        del self.leaders[process.pid]
        roster.leave(process.pid)

    def _look(self, process: Process, adopted: set[int]) -> None:
        """Which of the adopted are of this tree; the last tree that is left gets what nobody else claims."""
        alone = all(other.exited for other in self.leaders.values())
        process.leftovers = {
            pid
            for pid in adopted - self._kept
            if (known := descendants.stat(pid)) is not None
            and (
                process.pid in {known.group, known.session}
                or descendants.carries(pid, process.token)
                or (alone and not self._claimed(pid, known))
            )
            and not any(descendants.carries(pid, token) for token in self.spared)
        }

    def _keep(self, process: Process) -> None:
        """What was left behind is to stay; later it may show no token any more (its title is there)."""
        for pid in self.adopted() - self._earlier.pop(process.pid, set()):
            known = descendants.stat(pid)
            own = descendants.carries(pid, process.token)
            if known is not None and (own or known.group == process.pid or not self._claimed(pid, known)):
                self._kept.add(pid)

    def _claimed(self, pid: int, known: descendants.Stat) -> bool:
        others = self.leaders.values()
        return any(o.pid in {known.group, known.session} or descendants.carries(pid, o.token) for o in others)
