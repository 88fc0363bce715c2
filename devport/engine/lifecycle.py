"""The life of one service as a state machine: facts and wishes in, actions out.

Theory of operation. *What is* (`state`) is kept apart from *what is wanted* (`wanted`): a restart is a
stop while still wanted. Every event enters by `handle`, which returns what is to be done to the
operating system: spawn, or signal the process tree. It knows no clock (`now` is a parameter, in
seconds, from any fixed origin) and does no I/O; whoever drives it calls `handle(TIMEOUT, now)` once
`deadline` has passed. The deadline belongs to the state: entering a state sets or clears it, so a
stale timer cannot exist.

A life ends in two steps. EXITED says that the process devport started is gone, and whether it left
others of its tree behind (`leftovers`); those are ended like the service itself: stop signal, grace,
SIGKILL. GONE says that the tree is empty; only then does anything start again. `cause` tells an end
somebody wished for (no crash, no delay) from the service's own end and from one that a fault brought
about; those two go through the restart policy.

`docs/lifecycle.md` is the whole table, generated from this code.
"""

from enum import Enum, StrEnum
from typing import NamedTuple, assert_never

from devport.engine.budget import Budget
from devport.model import RestartPolicy

SIGKILL = 9  # POSIX fixes the number; no import of `signal` here
KILL_PATIENCE = 3.0
"""Seconds after SIGKILL before a process is given up as one the kernel will not let die."""


class State(StrEnum):
    """What is."""

    WAITING = "waiting"  # wanted, a dependency is not met
    STARTING = "starting"  # spawned, not known to be ready
    READY = "ready"
    BACKOFF = "backoff"  # ended, to be started again at the deadline
    STOPPING = "stopping"  # asked to end
    KILLING = "killing"  # SIGKILL sent
    EXITED = "exited"  # ended by itself, stays so
    STOPPED = "stopped"  # ended, or never begun, because nobody wants it
    FAILED = "failed"  # wanted, given up


RUNNING = frozenset({State.STARTING, State.READY, State.STOPPING, State.KILLING})
AT_REST = frozenset({State.EXITED, State.STOPPED, State.FAILED})


class Cause(Enum):
    """Why a life is ending."""

    ASKED = "asked"  # a wish: stop, restart, file change
    ENDED = "ended"  # the process exited by itself
    FAULT = "fault"  # it could not run, was not ready in time, or was found unhealthy


class Kind(Enum):
    """The kinds of event: wishes, then facts."""

    UP = "up"
    DOWN = "down"
    RESTART = "restart"
    MET = "met"
    LOST = "lost"
    SPAWNED = "spawned"
    SPAWN_FAILED = "spawn failed"
    READY = "ready"
    UNREADY = "not ready"
    UNHEALTHY = "unhealthy"
    EXTENDED = "extended"
    EXITED = "exited"
    GONE = "gone"
    TIMEOUT = "timeout"


class Event(NamedTuple):
    """One wish or fact.

    `status` of EXITED is the exit code, or minus the number of the signal that killed it; of
    SPAWN_FAILED 126 or 127; of UNHEALTHY the signal that ends it, 0: the usual one. `reason` of LOST says
    why the dependency can never be met (empty: not met for now), and `needs` what it is that is waited
    for; of UNREADY, UNHEALTHY and SPAWN_FAILED `reason` says what is wrong. `seconds` of EXTENDED: so much
    longer it takes, from now.
    """

    kind: Kind
    status: int = 0
    reason: str = ""
    leftovers: bool = False
    needs: str = ""
    seconds: float = 0.0


UP, DOWN, RESTART, MET = Event(Kind.UP), Event(Kind.DOWN), Event(Kind.RESTART), Event(Kind.MET)
SPAWNED, READY, GONE, TIMEOUT = Event(Kind.SPAWNED), Event(Kind.READY), Event(Kind.GONE), Event(Kind.TIMEOUT)


class Action(NamedTuple):
    """What is to be done: send `signal` to the process tree, or, where that is None, spawn."""

    signal: int | None = None


SPAWN = Action()


def describe(status: int) -> str:
    """`status` of EXITED in words that follow a service's name."""
    return f"killed by signal {-status}" if status < 0 else f"exited with status {status}"


class Lifecycle:
    """One service's state and the rules that change it.

    `grace` is the seconds between `stop_signal` and SIGKILL. `probed`: a spawn alone does not make
    it ready; then `start_timeout` seconds without READY count as a crash (None: no limit). `blocked`:
    it has dependencies that are not met yet. `external`: the process only brings something up; its end
    with success is no end, and a stop of what it brought up is over with GONE.
    """

    def __init__(
        self,
        restart: RestartPolicy,
        stop_signal: int,
        grace: float,
        *,
        probed: bool = False,
        start_timeout: float | None = None,
        blocked: bool = False,
        external: bool = False,
    ) -> None:
        self.restart, self.stop_signal, self.grace = restart, stop_signal, grace
        self.probed, self.start_timeout, self.blocked = probed, start_timeout, blocked
        self.external = external
        self.hopeless = ""  # why a dependency can never be met
        self.needs = ""  # what it waits for, for people
        self.unready = ""  # why this life is not ready, as a probe has it
        self.state = State.STOPPED
        self.wanted = False
        self.deadline: float | None = None
        self.cause = Cause.ASKED  # of the end under way; meaningful while stopping
        self.fault = ""  # what went wrong last, for people; empty while all is well
        self.status: int | None = None  # how the last life ended
        self.begun = False  # has been spawned since it was last asked for
        self.was_ready = False  # this life, or the last one
        self.ready_at = 0.0  # when it became ready; meaningful while it is
        self.budget = Budget(restart)

    def handle(self, event: Event, now: float) -> list[Action]:  # noqa: C901, PLR0911, PLR0912 - the dispatch
        """Take in `event`; return what is to be done, in order. What cannot matter changes nothing."""
        match event.kind:
            case Kind.UP | Kind.RESTART:
                return self._up(event.kind is Kind.RESTART, now)
            case Kind.DOWN:
                return self._down(now)
            case Kind.MET | Kind.LOST:
                return self._dependency(event)
            case Kind.SPAWNED:
                return self._spawned(now)
            case Kind.SPAWN_FAILED:
                return self._spawn_failed(event, now)
            case Kind.READY:
                return self._ready(now)
            case Kind.UNREADY:
                return self._unready(event, now)
            case Kind.UNHEALTHY:
                return self._unhealthy(event, now)
            case Kind.EXTENDED:
                return self._extend(event.seconds, now)
            case Kind.EXITED:
                return self._exited(event, now)
            case Kind.GONE:
                return self._settle(now) if self.state in {State.STOPPING, State.KILLING} else []
            case Kind.TIMEOUT:
                return self._timeout(now)
            case _:
                assert_never(event.kind)

    def _enter(self, state: State, deadline: float | None = None) -> None:
        self.state, self.deadline = state, deadline

    # wishes

    def _up(self, restart: bool, now: float) -> list[Action]:
        self.wanted = True
        match self.state:
            case State.EXITED | State.STOPPED | State.FAILED | State.BACKOFF:
                self.begun = self.begun and self.state is State.BACKOFF
                self.budget.renew()
                return self._start()
            case State.STARTING | State.READY if restart:
                return self._stop(now, Cause.ASKED)
            case State.STOPPING | State.KILLING:
                self.cause = Cause.ASKED
        return []

    def _down(self, now: float) -> list[Action]:
        again, self.wanted = not self.wanted, False
        match self.state:
            case State.WAITING | State.BACKOFF:
                self._enter(State.STOPPED)
            case State.STARTING | State.READY:
                return self._stop(now, Cause.ASKED)
            case State.STOPPING if again:
                return self._kill(now)
        return []

    # facts

    def _dependency(self, event: Event) -> list[Action]:
        self.blocked, self.hopeless = event.kind is Kind.LOST, event.reason
        self.needs = event.needs
        return self._start() if self.state is State.WAITING else []

    def _spawned(self, now: float) -> list[Action]:
        if self.state is State.STARTING:
            self.begun = True
            self.status = None  # not before, so that whoever announces the last life's end has it
            if self.probed or self.external:
                limit = self.start_timeout
                self._enter(State.STARTING, None if limit is None else now + limit)
            else:
                self._ready(now)
        return []

    def _spawn_failed(self, event: Event, now: float) -> list[Action]:
        if self.state not in {State.STARTING, State.STOPPING, State.KILLING}:
            return []
        self.fault, self.status = event.reason, event.status
        if self.state is State.STARTING:  # else somebody asked for the end before this was known
            self.cause = Cause.FAULT
        return self._settle(now)

    def _ready(self, now: float) -> list[Action]:
        if self.state is State.STARTING:
            self.fault = self.unready = ""
            self.ready_at, self.was_ready = now, True
            self._enter(State.READY)
        return []

    def _unready(self, event: Event, now: float) -> list[Action]:
        """It lives, and does not do its work: what is not there yet has no deadline but the first one."""
        if self.state is State.READY and self.external:
            return self._unhealthy(event, now)  # there is no process whose end would tell
        if self.state is State.READY:
            self._forgive(now)
            self._enter(State.STARTING)
        if self.state is State.STARTING:
            self.unready = event.reason
        return []

    def _unhealthy(self, event: Event, now: float) -> list[Action]:
        if self.state not in {State.STARTING, State.READY}:
            return []
        self.fault = event.reason
        return self._stop(now, Cause.FAULT, event.status)

    def _extend(self, seconds: float, now: float) -> list[Action]:
        if self.deadline is not None and self.state in {State.STARTING, State.STOPPING}:
            self.deadline = max(self.deadline, now + seconds)
        return []

    def _exited(self, event: Event, now: float) -> list[Action]:
        if self.state not in RUNNING:
            return []
        by_itself = self.state in {State.STARTING, State.READY}
        if self.external and not event.leftovers:
            return self._brought_up(event, now)
        self.status = event.status
        if by_itself:
            self._forgive(now)
            self.fault = "" if event.status in self.restart.success else describe(event.status)
            self.cause = Cause.ENDED
        if not event.leftovers:
            return self._settle(now)
        return self._stop(now, Cause.ENDED) if by_itself else []

    def _brought_up(self, event: Event, now: float) -> list[Action]:
        """The command that brings something up has ended; where that was no success, take it down again."""
        if self.state is State.STOPPING:
            return [Action(self.stop_signal)]
        if self.state is not State.KILLING:
            if event.status in self.restart.success:
                return [] if self.probed else self._ready(now)
            self.cause, self.fault = Cause.ENDED, describe(event.status)
        self.status = event.status
        return self._stop(now, self.cause)

    def _timeout(self, now: float) -> list[Action]:
        if self.deadline is None or now < self.deadline:
            return []
        match self.state:
            case State.STARTING:
                why = f": {self.unready}" if self.unready else ""
                self.fault = f"not ready after {self.start_timeout:g} s{why}"
                return self._stop(now, Cause.FAULT)
            case State.BACKOFF:
                return self._start()
            case State.STOPPING:
                return self._kill(now)
            case _:
                self.fault = "still running after SIGKILL"
                self._enter(State.FAILED)
                return []

    # transitions

    def _start(self) -> list[Action]:
        if self.blocked:
            self.fault = self.hopeless or self.fault
            self._enter(State.FAILED if self.hopeless else State.WAITING)
            return []
        self.unready, self.was_ready = "", False
        self._enter(State.STARTING)
        return [SPAWN]

    def _stop(self, now: float, cause: Cause, number: int = 0) -> list[Action]:
        self._forgive(now)
        self.cause = cause
        self._enter(State.STOPPING, now + self.grace)
        return [Action(number or self.stop_signal)]

    def _kill(self, now: float) -> list[Action]:
        self._enter(State.KILLING, now + KILL_PATIENCE)
        return [Action(SIGKILL)]

    def _forgive(self, now: float) -> None:
        """It is up no longer: was it for long enough to forget what went wrong before?"""
        if self.state is State.READY and now - self.ready_at >= self.restart.reset_after:
            self.budget.forgive()

    def _settle(self, now: float) -> list[Action]:
        """The tree is empty: where to?"""
        if not self.wanted:
            self._enter(State.STOPPED)
            return []
        if self.cause is Cause.ASKED:
            return self._start()
        crashed = self.cause is Cause.FAULT or self.status not in self.restart.success
        if self.restart.on == "always" or (self.restart.on == "on_failure" and crashed):
            self._back_off(now)
        else:
            self._enter(State.FAILED if self.cause is Cause.FAULT else State.EXITED)
        return []

    def _back_off(self, now: float) -> None:
        if (delay := self.budget.spend(now)) is not None:
            self._enter(State.BACKOFF, now + delay)
            return
        self.fault = f"{self.fault or describe(self.status or 0)}; given up after {self.budget.limit}"
        self._enter(State.FAILED)
