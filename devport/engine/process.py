"""One life of a service on the operating system's side: what it is, and signals to its whole tree.

The only module that signals a service. How it begins is the spawner's; nothing here waits for a process:
that is the reaper's.
"""

import os
import signal
import termios
from collections.abc import Callable, Mapping
from typing import NamedTuple

from devport import kernel
from devport.engine.limits import NO_LIMITS, Limits
from devport.kernel import descendants
from devport.model import NOTHING

_NO_WAKE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


class Command(NamedTuple):
    """What is executed: words, environment and working directory, and the token the tree is known by.

    The environment is `environment` over `common`, which many commands may share. `umask` None leaves
    devport's own, and so do `limits` that are not there. `descriptors` become 3, 4, ... of the process,
    which is told of them as sd_listen_fds(3) has it. `shown`: what the program is called in messages, where
    a variable was replaced in its word; its value is nobody's business.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    token: str
    common: Mapping[str, str] = NOTHING
    umask: int | None = None
    descriptors: tuple[int, ...] = ()
    limits: Limits = NO_LIMITS
    shown: str = ""


class Stdio(NamedTuple):
    """Where a process reads and writes.

    `terminal` (columns, rows) asks for a pty of its own, `interactive` for one that is typed into (it
    echoes, and is standard input as well); `inherit` leaves devport's own descriptors
    and its process group `group` to the child, whose terminal it then is; else a pipe. `hangup`: a pty is
    the controlling terminal of the child, so that its end is a SIGHUP for the rest of its session.
    """

    terminal: tuple[int, int] | None = None
    interactive: bool = False
    inherit: bool = False
    group: int | None = None
    hangup: bool = True


class Process:
    """A process that devport started and has not reaped, with what is left of its tree.

    `output` is the descriptor to read from (None when inherited). While the leader is not reaped, its
    pid cannot be used again, so signals to its group hit nobody else.
    """

    def __init__(
        self, pid: int, token: str, output: int | None, report: int | None, *, shared_group: bool
    ) -> None:
        self.pid, self.token, self.output, self.shared_group = pid, token, output, shared_group
        self.report = report  # tells by its end that the command is executing; None once that is known
        self.refusal: OSError | None = None  # why it could not be executed
        self.leftovers: set[int] = set()  # adopted members of the tree, alive when last looked at
        self.exited = False  # the leader is a zombie, kept until the tree is empty
        self._last: int | None = None  # the signal that members who turn up later get too
        self._had: set[int] = set()

    def signal(self, number: int) -> None:
        """Send `number` to the whole tree, and CONT behind it so that a stopped process hears it.

        SIGKILL also goes to descendants that left the group while their parents live.
        """
        self._last = number
        self._had.clear()
        self.forward(number)
        if number == signal.SIGKILL or self.shared_group:
            for pid in list(descendants.below(self.pid)):
                self._one(pid, number)
        self.catch_up()

    def forward(self, number: int) -> None:
        """Send `number` to the group alone."""
        self._group(number)
        if number not in _NO_WAKE:
            self._group(signal.SIGCONT)

    def _group(self, number: int) -> None:
        if self.shared_group:
            if not self.exited:  # its number may be somebody else's by now
                descendants.send(self.pid, number)
            return
        if self.exited and not kernel.WAITID and descendants.stat(self.pid) is not None:
            return  # it is reaped, and its group empty: else nobody could have been given its number
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            if self.report is not None:  # forked, and not yet the leader of its group
                descendants.send(self.pid, number)
        except PermissionError:
            pass  # only zombies are left (macOS), or all became another user

    def _one(self, pid: int, number: int) -> None:
        self._had.add(pid)
        if descendants.send(pid, number) and number not in _NO_WAKE:
            descendants.send(pid, signal.SIGCONT)

    def catch_up(self) -> None:
        """Send the last signal to leftovers that have not had it."""
        if self._last is None:
            return
        for pid in self.leftovers - self._had:
            known = descendants.stat(pid)
            if known is not None and known.group == self.pid and self._last != signal.SIGKILL:
                self._had.add(pid)  # had it as a member of the group
            else:
                self._one(pid, self._last)

    def take_report(self, unwatch: Callable[[int], None] = lambda _report: None) -> bool:
        """Whether it is known now if the command could be executed; `refusal` says why not."""
        assert self.report is not None
        try:
            said = os.read(self.report, 65536)
        except BlockingIOError:
            return False
        # Before it is closed: a sibling that has not executed yet has it, and epoll(7) would go on about it.
        unwatch(self.report)
        os.close(self.report)
        self.report = None
        if said:
            number, _, path = said.partition(b"\0")
            name = path.decode("utf-8", "backslashreplace")
            self.refusal = OSError(int(number), os.strerror(int(number)), name)
        return True

    def resize(self, columns: int, rows: int) -> None:
        """Tell a process on a pty of its own the new size; the kernel sends it SIGWINCH."""
        if self.output is not None:
            try:
                termios.tcsetwinsize(self.output, (rows, columns))
            except OSError:
                pass  # a pipe

    def close(self) -> None:
        """Give up the output; the process itself is not touched."""
        if self.output is not None:
            os.close(self.output)
            self.output = None
