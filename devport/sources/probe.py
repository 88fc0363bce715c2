"""Whether a service is ready, or still alive, found out by asking: connections, commands, its own output.

Theory of operation. A Prober hangs on one job and asks one question at a time, again and again: by a
connection (checks), by a command (Errand), or by looking for a pattern in what the job prints. `Course`
is what follows from the answers: a pure count of successes and failures. Everything belongs to one life
of the service: what was asked about an earlier one is taken back and its answer never heard. A question
whose deadline came late, because devport itself was suspended or the machine overloaded, was not asked.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from devport.encoding import printable
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import READY, Kind, State, describe
from devport.engine.loop import Loop
from devport.engine.process import Command, Process
from devport.kernel import descendants
from devport.model import Probe
from devport.sources.course import SHORTEST, Course
from devport.sources.errand import Errand
from devport.sources.limited import find
from devport.sources.lines import Lines, last_line

if TYPE_CHECKING:
    from devport.sources.listeners import Ownership

LATE = 0.25
"""Seconds that a deadline may be late before it says more about devport than about the service."""
SILENCE = 0.2
"""Seconds after which an unfinished line is looked at as it is: a prompt has no end."""
_LIVING = {State.STARTING, State.READY}


class Check(Protocol):
    """One question under way; `cancel` takes it back."""

    def start(self) -> None:
        """Ask."""

    def cancel(self) -> None:
        """Never mind."""


class Prober:
    """Asks by `probe` about `job`, whose own port is `port` (None: it has none).

    `aim` is "ready" or "live": whether it decides that the job is ready, or that it is to be ended.

    Raises ValueError for a probe that cannot be: of a host elsewhere, of no port, of a broken pattern.
    """

    def __init__(self, loop: Loop, job: Job, probe: Probe, port: int | None, *, aim: str) -> None:
        self._loop, self._job, self._probe, self._aim = loop, job, probe, aim
        self._course: Course | None = None  # of the present life
        self._asking: Check | None = None
        self._again = False  # to ask as soon as what an earlier life was asked is over
        self._asked = 0.0
        self._void = False
        self._ownership: Ownership | None = None
        self._lines: Lines | None = None
        self._make = self._maker(probe.port or port)
        job.observers.append(self.observe)

    def _maker(self, port: int | None) -> Callable[[Callable[[str], None]], Check]:
        """What makes a question of `probe`'s kind, to be given who is told the answer."""
        loop, probe, job = self._loop, self._probe, self._job
        if probe.kind == "exec":
            command = job.command._replace(argv=probe.command, shown=probe.shown)
            return lambda done: Run(loop, command, probe.probe_timeout, done)
        if probe.kind == "log" and self._aim == "ready":
            self._lines = Lines(probe.pattern, find)
            return lambda _done: _NOTHING
        if probe.kind not in {"http", "tcp"} or port is None:
            raise ValueError(f"{job.name} has no port" if port is None else f"no {probe.kind} here")
        return self._connector(port)

    def _connector(self, port: int) -> Callable[[Callable[[str], None]], Check]:
        from devport.sources.checks import Http, Target, Tcp, addresses  # noqa: PLC0415 - only who asks

        loop, probe = self._loop, self._probe
        target = Target(addresses(probe.host), port, probe.probe_timeout)
        verify: Callable[[str], str] = lambda _host: ""  # noqa: E731 - as the other is
        if not probe.foreign and not self._job.lifecycle.external:
            from devport.sources.listeners import Ownership  # noqa: PLC0415

            self._ownership = Ownership(self._job, loop.reaper, port)
            verify = self._ownership.doubt
        if probe.kind == "tcp":
            return lambda done: Tcp(loop, target, done, verify)
        return lambda done: Http(
            loop,
            target,
            done,
            verify,
            path=probe.path,
            statuses=probe.statuses,
            secure=probe.scheme == "https",
            name=probe.host if probe.host == "localhost" else "",
        )

    # lives

    def observe(self, transition: Transition) -> None:
        """A life of the job begins or is over."""
        state = transition.job.lifecycle.state
        if state not in _LIVING:
            self._end()
        elif self._aim == "ready":
            if transition.event.kind is Kind.SPAWNED:
                self._begin()
        elif state is State.READY and self._course is None:
            self._begin()

    def _begin(self) -> None:
        self._course = Course(self._probe, self._aim)
        if self._ownership is not None:
            self._ownership.begin()
        if self._lines is not None:
            self._listen(self._lines)
            return
        delay = self._probe.initial_delay
        if self._aim == "live":
            delay = delay or self._probe.period  # it has just been found well
        if delay > 0:
            self._loop.at(self._loop.now() + delay, self._look)
        else:
            self._look()

    def _end(self) -> None:
        self._course = None
        self._again = False
        self._job.facts.pop(self._fact, None)
        self._loop.cancel(self._look)
        self._hush()
        if self._asking is not None:
            self._asking.cancel()
            if self._probe.kind != "exec":  # which is over only when its processes are gone
                self._asking = None
                self._loop.cancel(self._overdue)

    def close(self) -> None:
        """The frame ends."""
        self._end()
        self._job.observers.remove(self.observe)

    @property
    def _fact(self) -> str:
        return f"{self._aim}-failing"

    # questions

    def _look(self) -> None:
        """Ask."""
        if self._asking is not None:
            self._again = True
            return
        course = self._course
        self._asked, self._void = self._loop.now(), False
        # Before the question's own deadline in the same turn of the loop: the loop keeps their order.
        self._loop.at(self._asked + self._probe.probe_timeout, self._overdue)
        self._asking = self._make(lambda failure: self._answered(course, failure))
        self._asking.start()

    def _overdue(self) -> None:
        """Its deadline is over: was the answer waited for at all?"""
        self._void = self._loop.now() - self._asked - self._probe.probe_timeout > LATE

    def _answered(self, course: Course | None, failure: str) -> None:
        """`failure`, or an empty text, is the answer to what was asked in `course`."""
        self._loop.cancel(self._overdue)
        self._asking = None
        if self._course is None:
            return
        if course is not self._course:
            if self._again:
                self._again = False
                self._look()
            return
        now = self._loop.now()
        if failure and (self._void or self._is_debugged()):
            self._loop.at(now + (SHORTEST if self._void else self._probe.period), self._look)
            return
        self._take(failure)
        pause = course.wait(now - self._asked)
        if pause is not None:
            self._loop.at(now + pause, self._look)

    def _is_debugged(self) -> bool:
        """Whether it cannot be expected to show that it lives: a debugger holds it."""
        process = self._job.process
        return self._aim == "live" and process is not None and descendants.is_debugged(process.pid)

    def _take(self, failure: str) -> None:
        course = self._course
        assert course is not None
        if (event := course.take(failure)) is not None:
            self._loop.send(self._job, event)
        if failure and course.good:
            limit = self._probe.failure_threshold
            self._job.facts[self._fact] = f"{failure} ({course.failures} of {limit})"
        else:
            self._job.facts.pop(self._fact, None)

    # output

    def _listen(self, lines: Lines) -> None:
        lines.clear()
        self._take(f"nothing like {printable(self._probe.pattern)} in its output yet")
        self._job.taps.append(self._hear)

    def _hush(self) -> None:
        self._loop.cancel(self._stare)
        if self._hear in self._job.taps:
            self._job.taps.remove(self._hear)

    def _hear(self, chunk: bytes) -> None:
        assert self._lines is not None
        if not self._search(lambda lines: lines.take(chunk)):
            self._loop.at(self._loop.now() + SILENCE, self._stare)

    def _stare(self) -> None:
        """Nothing has come for a while: is it in what has?"""
        self._search(Lines.has_rest)

    def _search(self, look: Callable[[Lines], bool]) -> bool:
        """Whether there is an end to the listening: it is found, or cannot be looked for."""
        if self._lines is None:
            return True
        try:
            if not look(self._lines):
                return False
        except TimeoutError:
            self._hush()
            self._take(f"looking for {printable(self._probe.pattern)} in its output takes too long")
            return True
        self._hush()
        self._loop.send(self._job, READY)
        return True


class Run:
    """One run of `command`: 0 is well.

    `done` is told once its processes are gone, also of one that was cancelled.
    """

    def __init__(self, loop: Loop, command: Command, timeout: float, done: Callable[[str], None]) -> None:
        self._loop, self._command, self._timeout, self._done = loop, command, timeout, done
        self._errand: Errand | None = None
        self._process: Process | None = None

    def start(self) -> None:
        """Begin; `done` is told at once where it cannot be started."""
        try:
            self._errand = Errand(self._loop, self._command, self._timeout, self._ended)
        except (OSError, ValueError) as error:
            self._done(f"cannot run the probe: {error}")
        else:
            self._process = self._errand.process

    def cancel(self) -> None:
        """Kill it."""
        if self._errand is not None:
            self._errand.cancel()

    def _ended(self, status: int | None, output: bytes) -> None:
        refusal = None if self._process is None else self._process.refusal
        if status is None:
            self._done(f"no answer within {self._timeout:g} s")
        elif refusal is not None:
            name = self._command.shown or str(refusal.filename)
            self._done(f"cannot run {printable(name)}: {refusal.strerror}")
        else:
            self._done("" if status == 0 else last_line(output) or describe(status))


class _Nothing:
    """No question: the output is listened to."""

    def start(self) -> None:
        pass

    def cancel(self) -> None:
        pass


_NOTHING = _Nothing()
