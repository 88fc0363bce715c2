"""A running service: one Lifecycle, and the Process and Stream of its present life.

`apply` is the only code in devport that turns a decision into a spawn or a signal. Facts that result
go to `send`, never straight back into the lifecycle: a transition is over before the next begins.
"""

import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

from devport.encoding import printable
from devport.engine.backlog import Backlog
from devport.engine.lifecycle import AT_REST, Action, Event, Kind, Lifecycle, State
from devport.engine.process import Command, Process, Stdio
from devport.engine.spawner import Spawner, is_not_executable
from devport.errors import DevportError, ExitStatus

DRAIN = 1 << 20
"""Bytes read at most from a service that has ended; no pipe of ours holds more."""
CHUNK = 256 << 10
"""Bytes read at once."""


class Hold(Protocol):
    """Something kept for the service until just before it is spawned: its ports, bound."""

    def release(self) -> None:
        """Let go."""


class Output(Protocol):
    """Where a job's output goes: a Stream among others, or Verbatim."""

    def feed(self, chunk: bytes) -> None:
        """Take what the process wrote."""

    def end(self) -> None:
        """The process has ended, or its output has."""


class Transition(NamedTuple):
    """What observers are told: `job` went from `before` to its present state because of `event`."""

    job: "Job"
    before: State
    event: Event


class Job:
    """`name` in messages, `command` and `stdio` for each spawn, `hold` released before the first."""

    def __init__(
        self,
        name: str,
        *,
        command: Command,
        stdio: Stdio,
        lifecycle: Lifecycle,
        stream: Output,
        hold: Hold | None = None,
    ) -> None:
        self.name, self.command, self.stdio = name, command, stdio
        self.lifecycle, self.stream, self.hold = lifecycle, stream, hold
        self.process: Process | None = None
        self.spawns = 0
        self.backlog = Backlog()  # the last of its output
        self.taps: list[Callable[[bytes], None]] = []  # who else is given all of it
        self.check: Callable[[], str | None] = lambda: None  # why it must not be spawned now, if so
        self.additions: list[Callable[[Command], Command]] = []  # what each spawn's command gets besides
        self.observers: list[Callable[[Transition], None]] = [self._let_go]  # told before those of the loop
        self.facts: dict[str, object] = {}  # what its status says besides
        self.say: Callable[[str], None] = lambda _text: None  # for people, behind its name
        self.stopper: Callable[[int], bool] = lambda _number: False  # asked first: whether it ends the tree

    def apply(self, action: Action, spawner: Spawner, send: Callable[["Job", Event], None]) -> None:
        """Do `action`; what comes of it is sent as an event."""
        if action.signal is not None:
            if not self.stopper(action.signal) and self.process is not None:
                self.process.signal(action.signal)
            return
        if (refused := self._spawn(spawner)) is not None:
            send(self, refused)

    def _let_go(self, transition: Transition) -> None:
        """Keep nothing for a service that was stopped before it had a first life."""
        if self.hold is not None and self.lifecycle.state in AT_REST and transition.before not in AT_REST:
            self.hold.release()
            self.hold = None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.spawns - 1)

    def _spawn(self, spawner: Spawner) -> Event | None:
        try:
            if self.hold is not None:
                self.hold.release()  # until now nobody else could have them
                self.hold = None
            elif (obstacle := self.check()) is not None:
                return Event(Kind.SPAWN_FAILED, ExitStatus.FAILED, obstacle)
            command = self.command
            for addition in self.additions:
                command = addition(command)
            self.process = spawner.spawn(command, self.stdio)
            self.spawns += 1
        except OSError as error:
            return self.refused(error)
        except DevportError as error:  # an addition cannot be had, or a port not be looked at
            return Event(Kind.SPAWN_FAILED, ExitStatus.FAILED, error.message)
        except ValueError as error:  # a NUL in a word or a value
            return Event(Kind.SPAWN_FAILED, ExitStatus.NOT_FOUND, f"cannot run: {error}")
        return None

    def refused(self, error: OSError) -> Event:
        """What the kernel's refusal means, with the status a shell would give it."""
        if error.filename == self.command.cwd:
            reason = f"cannot change to {printable(self.command.cwd)}: {error.strerror}"
            return Event(Kind.SPAWN_FAILED, ExitStatus.FAILED, reason)
        found = error.errno is not None and is_not_executable(error.errno)
        status = ExitStatus.CANNOT_EXECUTE if found else ExitStatus.NOT_FOUND
        what = printable(self.command.shown or error.filename) if error.filename else "a new process"
        return Event(Kind.SPAWN_FAILED, status, f"cannot run {what}: {error.strerror}")

    def drain(self) -> bool:
        """Print what the process wrote before it ended; whether its output came to an end."""
        process = self.process
        if process is None or process.output is None:
            return True
        left = DRAIN
        while left > 0:
            chunk = read(process.output)
            if not chunk:
                return chunk is not None
            left -= len(chunk)
            self.feed(chunk)
        return False

    def feed(self, chunk: bytes) -> None:
        """Print what the process wrote, and keep the last of it."""
        self.stream.feed(chunk)
        self.backlog.add(chunk)
        for tap in tuple(self.taps):
            tap(chunk)


def read(descriptor: int) -> bytes | None:
    """What is there to read: bytes, none at the end of the output, None where there is nothing now."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""  # EIO: nobody has the other side of the pty open any more (Linux)
