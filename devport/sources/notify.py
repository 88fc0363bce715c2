"""sd_notify(3) and its watchdog: what a service says of itself, and what follows when it falls silent.

Each life has a socket of its own, at a path of its own in a folder that nobody else can enter: what
arrives there was said in this life. Knows no frame. docs/sockets.md says the same for people.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence

from devport.encoding import encode, printable
from devport.engine import unix
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import READY, RUNNING, Event, Kind, State
from devport.engine.loop import Loop
from devport.engine.process import Command
from devport.errors import DevportError
from devport.kernel import descendants
from devport.model import Watchdog
from devport.sources.mailbox import Mailbox

MOST = 512
"""Messages taken in one turn of the loop; no more wait in a socket as Linux comes (unix(7): 10, or 278)."""
LINES = 64
"""Lines of one message that are read."""
STATUS_LETTERS = 200
"""Letters of a STATUS= that are kept."""
LATE = 0.5
"""Seconds by which devport may itself be late and still hold a service to its watchdog."""
FACTS = ("status_text", "reloading", "stopping", "main_pid")
"""What a service may say of itself, as fields of its status."""
_SUFFIX = ".notify"
_DIGITS = 18  # more microseconds than anybody will live, and no number that takes long to read


def parse(message: bytes) -> Iterator[tuple[str, str]]:
    """The assignments NAME=VALUE of a message, one a line; lines that are none, or no UTF-8, are left out."""
    for line in message.removesuffix(b"\0").split(b"\n", LINES)[:LINES]:
        name, equals, value = line.partition(b"=")
        if name and equals:
            try:
                yield name.decode(), value.decode()
            except UnicodeDecodeError:
                pass


def integer(text: str) -> int | None:
    """The number that `text` is, None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


class Silence:
    """Runs out where nothing has been heard for `period` seconds (None: never) since it was last renewed.

    Before it judges it has `drain` called, for what was said and not yet heard. If devport was late
    itself (it was stopped, or the machine slept), or the service is `excused`, that is no fault of the
    service: it gets another period.
    """

    def __init__(
        self,
        loop: Loop,
        drain: Callable[[], None],
        excused: Callable[[], bool],
        ran_out: Callable[[float], None],
    ) -> None:
        self._loop, self._drain, self._excused, self._ran_out = loop, drain, excused, ran_out
        self.period: float | None = None
        self._due: float | None = None

    @property
    def armed(self) -> bool:
        """Whether it runs."""
        return self._due is not None

    def renew(self) -> None:
        """From now on it is `period` until the end."""
        if not self.period:
            self.disarm()
            return
        self._due = self._loop.now() + self.period
        self._loop.at(self._due, self._judge)

    def disarm(self) -> None:
        """Nothing has to be heard any more."""
        self._due = None
        self._loop.cancel(self._judge)

    def _judge(self) -> None:
        due = self._due
        late = 0.0 if due is None else self._loop.now() - due
        self._drain()
        if self._due is None or self._due != due or not self.period:
            return  # it was not silent
        if late > LATE or self._excused():
            self.renew()
            return
        self._due = None
        self._ran_out(self.period)


def sweep(folder: str, token: str) -> None:
    """What earlier runs of the service `token` left in `folder` when they were killed is gone."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.startswith(f"{token[:10]}.") and name.endswith(_SUFFIX):
            try:
                unix.remove_dead(f"{folder}/{name}")
            except OSError:
                pass  # litter, or alive


class Notify:
    """Hears `job` at a socket in the first of `folders` that will do; DevportError if none will.

    With `ready` READY=1 makes it ready. `watchdog` None: there is none, unless the service sets one by
    WATCHDOG_USEC=. While a debugger holds one of its processes no silence is held against it.
    """

    def __init__(
        self, loop: Loop, job: Job, folders: Sequence[str], *, ready: bool, watchdog: Watchdog | None
    ) -> None:
        self._loop, self._job, self._folders = loop, job, tuple(folders)
        self._ready, self._watchdog = ready, watchdog
        self._mailbox: Mailbox | None = None
        self._lives = 0
        self._silence = Silence(loop, self._take, self._is_debugged, self._unheard)
        sweep(os.path.dirname(self._path()), job.command.token)
        job.additions.append(self._begin)
        job.observers.append(self.observe)

    # the socket

    def _path(self) -> str:
        """Where the socket of this life is to be; DevportError where no folder will do."""
        name = f"{self._job.command.token[:10]}.{os.getpid()}.{self._lives}{_SUFFIX}"
        reasons = []
        for folder in self._folders:
            path = f"{os.path.abspath(folder)}/{name}"
            if len(encode(path)) > unix.LONGEST:
                reasons.append(f"{printable(folder)} is too long for a socket's address")
            elif os.path.islink(folder):
                reasons.append(f"{printable(folder)} is a symbolic link")
            else:
                try:
                    unix.private_folder(os.path.dirname(path))
                except DevportError as error:
                    reasons.append(error.message)
                else:
                    return path
        raise DevportError(f"cannot make a notify socket for {self._job.name}: {'; '.join(reasons)}")

    def _begin(self, command: Command) -> Command:
        """A new life: its socket, and the variables that tell the service of it.

        No WATCHDOG_PID: sd_watchdog_enabled(3) looks at it only where it is set, and devport does not know
        which process behind a shell or a launcher is the one that will answer.
        """
        self._end()
        self._lives += 1
        self._mailbox = Mailbox(self._path())
        self._loop.watch(self._mailbox.fileno(), self._read)
        variables = {"NOTIFY_SOCKET": self._mailbox.path}
        if self._watchdog is not None:
            self._silence.period = self._watchdog.usec / 1e6
            variables["WATCHDOG_USEC"] = str(self._watchdog.usec)
        return command._replace(environment={**command.environment, **variables})

    def _end(self) -> None:
        """The life is over: nothing that was said in it counts any more."""
        self._silence.disarm()
        self._silence.period = None
        for name in FACTS:
            self._job.facts.pop(name, None)
        if self._mailbox is not None:
            self._loop.unwatch(self._mailbox.fileno())
            self._mailbox.close()
            self._mailbox = None

    def observe(self, transition: Transition) -> None:
        """Follow the service's lives."""
        state = self._job.lifecycle.state
        if state not in RUNNING:
            self._end()
        elif not self._is_up():
            self._silence.disarm()
        elif transition.event.kind is Kind.SPAWNED and self._watchdog and not self._watchdog.require_ready:
            self._silence.renew()

    def close(self) -> None:
        """The frame ends."""
        self._end()

    # what is said

    def _is_up(self) -> bool:
        return self._job.lifecycle.state in {State.STARTING, State.READY}

    def _read(self) -> None:
        process = self._job.process
        # Who speaks here has been executed; that is not told yet, and has to be told first.
        if process is None or process.report is None:
            self._take()

    def _take(self) -> None:
        """Take what has been said: all of it, unless it is a flood."""
        if self._mailbox is None:
            return
        # The process is gone, the lifecycle is about to be told: too late, and not meant for the next life.
        is_over = self._job.process is None and not self._job.lifecycle.external
        for message in self._mailbox.take(MOST):
            if not is_over:
                for name, value in parse(message):
                    self._hear(name, value)

    def _hear(self, name: str, value: str) -> None:
        facts = self._job.facts
        match name, value:
            case "READY", "1":
                self._is_ready()
            case "RELOADING", "1":
                facts["reloading"] = True
            case "STOPPING", "1":
                facts["stopping"] = True
                self._silence.disarm()  # it is ending, which has a limit of its own once it is asked to
            case "STATUS", text:
                facts["status_text"] = printable(text[:STATUS_LETTERS])
            case "WATCHDOG", "1":
                self._pinged()
            case "WATCHDOG", "trigger":
                self._unhealthy("watchdog: it asked to be restarted (WATCHDOG=trigger)")
            case _ if (number := integer(value)) is not None:
                self._hear_number(name, number)
            case _:
                pass  # FDSTORE=1, X_... and all that comes

    def _hear_number(self, name: str, number: int) -> None:
        match name:
            case "WATCHDOG_USEC":
                self._set_period(number / 1e6)
            case "EXTEND_TIMEOUT_USEC":
                self._loop.send(self._job, Event(Kind.EXTENDED, seconds=number / 1e6))
            case "MAINPID" if self._is_of_its_tree(number):
                self._job.facts["main_pid"] = number
            case _:
                pass  # ERRNO=, MONOTONIC_USEC=, EXIT_STATUS=...

    def _is_ready(self) -> None:
        self._job.facts.pop("reloading", None)
        if self._is_up() and "stopping" not in self._job.facts:
            self._silence.renew()
        if self._ready:
            self._loop.send(self._job, READY)

    def _pinged(self) -> None:
        """It lives. One that need not say READY=1 at all has shown by this that it knows the watchdog."""
        needs_ready = self._watchdog is not None and self._watchdog.require_ready
        if self._silence.armed or (self._is_up() and not self._ready and "stopping" not in self._job.facts):
            self._silence.renew()
        if self._ready and self._watchdog is not None and not needs_ready:
            self._loop.send(self._job, READY)

    def _set_period(self, period: float) -> None:
        self._silence.period = period
        if self._silence.armed or self._job.lifecycle.state is State.READY:
            self._silence.renew()

    def _is_of_its_tree(self, pid: int) -> bool:
        """Whether `pid` is a process of this life."""
        process = self._job.process
        known = descendants.stat(pid)
        if process is None or known is None or pid <= 1:
            return False
        return (
            process.pid in {pid, known.group, known.session}
            or descendants.carries(pid, process.token)
            or pid in descendants.below(process.pid)
        )

    def _is_debugged(self) -> bool:
        process = self._job.process
        return process is not None and descendants.is_debugged(process.pid)

    def _unheard(self, period: float) -> None:
        self._unhealthy(f"watchdog: no WATCHDOG=1 for {period:g} s")

    def _unhealthy(self, reason: str) -> None:
        # SIGABRT as systemd has it: it leaves a core, or a traceback, of where the service hangs.
        self._loop.send(self._job, Event(Kind.UNHEALTHY, signal.SIGABRT, reason))
