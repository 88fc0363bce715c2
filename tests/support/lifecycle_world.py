"""A service's surroundings: what an operating system, a user and time can do to it, and what must hold then.

`World.take` brings one event to a Lifecycle and to the Model beside it, and compares: any difference is an
AssertionError. Rules that need no model are checked first, in words of their own.
"""

import random

from support.builders import SIGINT, SIGKILL, SIGTERM
from support.lifecycle_model import LEFT, NOTHING, PATIENCE, RUNS, SPAWNING, UP_ALONE, Model

from devport.engine.lifecycle import (
    AT_REST,
    DOWN,
    GONE,
    MET,
    READY,
    RESTART,
    RUNNING,
    SPAWNED,
    TIMEOUT,
    UP,
    Event,
    Kind,
    Lifecycle,
    State,
)
from devport.model import RestartPolicy

CHOICES = {  # of each walk: what a service may be told to be
    "on": ("never", "on_failure", "always"),
    "max": (None, 0, 1, 3),
    "window": (None, 20.0),
    "delay": (0.0, 1.0, 20.0),
    "max_delay": (30.0, 2.5),
    "reset_after": (5.0, 0.0),
    "success": (frozenset({0}), frozenset({0, 3, -9}), frozenset({3})),
    "stop_signal": (SIGTERM, SIGTERM, SIGINT),
    "grace": (5.0, 5.0, 0.0, 60.0),
    "probed": (False, True),
    "start_timeout": (None, 3.0),
    "blocked": (False, False, False, True),
    "external": (False, False, False, True),
}

HURT = Event(Kind.UNHEALTHY, reason="no answer")
ABORTED = Event(Kind.UNHEALTHY, 6, "watchdog: no WATCHDOG=1 for 2 s")
NOT_READY = Event(Kind.UNREADY, reason="connection refused")
LOST = Event(Kind.LOST, needs="db to be ready")
HOPELESS = Event(Kind.LOST, reason="db failed", needs="db to be ready")
NOWHERE = Event(Kind.SPAWN_FAILED, 127, "cannot run nope")
FORBIDDEN = Event(Kind.SPAWN_FAILED, 126, "cannot run /etc")
LONGER = tuple(Event(Kind.EXTENDED, seconds=seconds) for seconds in (0.0, 2.0, 90.0))
EXITS = tuple(
    Event(Kind.EXITED, status, leftovers=left) for status in (0, 1, 3, -9) for left in (False, True)
)

WISHES = (UP, DOWN, RESTART)
ANYTIME = (MET, MET, MET, LOST, HOPELESS, TIMEOUT)
SAID = (*(READY,) * 4, NOT_READY, NOT_READY, HURT, ABORTED, *LONGER)  # by, or about, what lives


def possible(wishes, said):
    """What can come, by what there is of the tree: so many `wishes`, and so much `said` beside the ends."""
    anytime, said = WISHES * wishes + ANYTIME, SAID * said
    return {
        NOTHING: (*anytime, *(UP,) * 7, *SAID, *EXITS[:2], GONE, SPAWNED, NOWHERE),  # the facts: too late
        SPAWNING: (*anytime, *LONGER, *(SPAWNED,) * 40, *(NOWHERE, FORBIDDEN) * 2),
        RUNS: (*anytime, *said, *EXITS),
        LEFT: (*anytime, *said, *(GONE,) * 9),
        UP_ALONE: (*anytime, *said),
    }


POSSIBLE = possible(1, 1)
MOODS = (POSSIBLE, possible(2, 1), possible(0, 4))  # the last: nobody there who wishes but for what has ended
DUE = frozenset({State.BACKOFF, State.STOPPING, State.KILLING})
ABOUT_TO_RUN = frozenset({State.WAITING, State.STARTING, State.READY, State.BACKOFF})


def make(values, kind=Lifecycle):
    """A `kind` (Lifecycle, Model) with `values`, one of each of CHOICES."""
    values = dict(values)
    restart = RestartPolicy(**{name: values.pop(name) for name in RestartPolicy._fields})
    return kind(restart, values.pop("stop_signal"), values.pop("grace"), **values)


class World:
    """A `kind` with `values`, from `now` on: `take` an event that is `possible`."""

    def __init__(self, values, kind=Lifecycle, now=0.0):
        self.machine, self.model, self.now = make(values, kind), make(values, Model), now
        self.limits = {
            State.BACKOFF: values["max_delay"],
            State.STOPPING: values["grace"],
            State.KILLING: PATIENCE,
            State.STARTING: 3.0,
        }
        self.signals = {values["stop_signal"], SIGKILL, 6}
        self.external = values["external"]
        self.mood = POSSIBLE
        self.tree = NOTHING
        self.wanted = False  # the last wish
        self.taken = 0

    def possible(self):
        """The events that can come now, some of them more than once, as they come more often."""
        if self.tree is UP_ALONE and self.machine.state in DUE:
            return self.mood[LEFT]
        return self.mood[self.tree]

    def take(self, event):
        """`event` comes; what must hold after it. Returns the actions."""
        machine, kind, now = self.machine, event.kind, self.now
        before, due, was_wanted = machine.state, machine.deadline, self.wanted
        self._happens(event, kind)
        actions = machine.handle(event, now)
        self.taken += 1
        if actions:
            self._check_actions(actions)
        if kind is Kind.TIMEOUT and (due is None or now < due):
            assert not actions, "acted before the deadline"
            assert machine.state is before, "moved before the deadline"
        elif kind is Kind.DOWN and not was_wanted and before is State.STOPPING:
            assert actions == [(SIGKILL,)], "a second stop request kills"
        self._check_state(before, due, event)
        self._compare(actions, self.model.handle(event, now), event)
        return actions

    def _happens(self, event, kind):
        if kind is Kind.UP or kind is Kind.RESTART:
            self.wanted = True
        elif kind is Kind.DOWN:
            self.wanted = False
        elif self.tree is NOTHING:
            return
        elif kind is Kind.SPAWNED:
            self.tree = RUNS
        elif kind is Kind.EXITED:
            self.tree = LEFT if event.leftovers else UP_ALONE if self.external else NOTHING
        elif kind is Kind.GONE or kind is Kind.SPAWN_FAILED:
            self.tree = NOTHING

    def _check_actions(self, actions):
        assert len(actions) == 1, "more than one thing at a time"
        if (signal := actions[0].signal) is None:
            assert self.tree is NOTHING, "spawned while alive"
            assert self.wanted, "spawned although nobody wants it"
            self.tree = SPAWNING
        else:
            assert self.tree is not NOTHING, "signalled while nothing lives"
            assert signal in self.signals, "a signal of its own invention"

    def _check_state(self, before, due, event):
        machine = self.machine
        state, deadline = machine.state, machine.deadline
        if before is State.KILLING and state is State.FAILED:
            self.tree = NOTHING  # given up: nobody looks after it any more
        assert (self.tree is not NOTHING) == (state in RUNNING), "alive is running"
        assert machine.wanted == self.wanted, "the last wish counts"
        assert self.wanted or state not in ABOUT_TO_RUN, "about to run although nobody wants it"
        if deadline is None:
            assert state not in DUE, "a deadline is missing"
            return
        assert state in self.limits, "a stale deadline"
        if deadline != due or event.kind is Kind.TIMEOUT:
            assert deadline >= self.now, "a deadline in the past"
            limit = max(self.limits[state], event.seconds)
            assert deadline <= self.now + limit + 1e-6 or deadline == due, "a deadline too far off"
        if before is state and deadline != due:
            assert event.kind in {Kind.EXTENDED, Kind.SPAWNED}, "a deadline was put off"

    def _compare(self, actions, expected, event):
        machine, model = self.machine, self.model
        state = model.state
        assert machine.state is state, f"{event.kind.value}: {machine.state} and not {state}"
        assert actions == expected, f"{event.kind.value}: {actions} and not {expected}"
        assert machine.deadline == model.due, f"{event.kind.value}: due {machine.deadline}, not {model.due}"
        assert machine.fault == model.fault, f"{event.kind.value}: {machine.fault!r}, not {model.fault!r}"
        assert machine.unready == model.unready, "why it is not ready"
        assert machine.status == model.status, f"status {machine.status} and not {model.status}"
        assert machine.begun is model.begun, "whether it has begun"
        assert machine.was_ready is model.was_ready, "whether it was ready"
        assert machine.needs == model.needs, "what it waits for"
        if model.ending is not None:
            assert machine.cause.value == model.ending, "why it ends"

    def finish(self):
        """Somebody stops it and nothing helps: stop signal, grace, SIGKILL, 3 s; then it is at rest."""
        machine, done = self.machine, []
        late = machine.deadline if machine.state in DUE else None
        done += self.take(DOWN)
        began = self.now
        for _ in range(3):
            if machine.deadline is None:
                break
            self.now = max(self.now, machine.deadline)
            done += self.take(TIMEOUT)
        assert machine.state in AT_REST, "a stop that does not come to an end"
        assert machine.deadline is None, "something is due after the end"
        assert [number for (number,) in done][-1:] in ([], [SIGKILL]), "SIGKILL comes last"
        assert len(done) <= 2, "the stop signal once, SIGKILL once"
        if late is None or late <= began:
            assert self.now - began <= self.limits[State.STOPPING] + PATIENCE + 1e-6, (
                "a stop that took too long"
            )
        for event in POSSIBLE[NOTHING]:
            if event.kind not in {Kind.UP, Kind.RESTART}:
                assert self.take(event) == [], "something happened after the end"
        assert machine.state in AT_REST


JUMPS = (0.0, 0.0, 0.0, 0.01, 0.5, 1.0, 7.0)  # seconds


def wander(world, dice, steps):
    """Take `steps` random events, each of them possible; who waits for time to pass often sees it pass."""
    roll, machine, take, possible = dice.random, world.machine, world.take, world.possible
    for _ in range(steps):
        due = machine.deadline
        if due is not None and roll() < (0.6 if world.tree is NOTHING else 0.15):
            world.now = max(world.now, due)
            take(TIMEOUT)
            continue
        events = possible()
        world.now += JUMPS[int(roll() * 7)]
        take(events[int(roll() * len(events))])


def walk(seed, kind=Lifecycle, *, walks=20, steps=600, world=World):
    """Walk; an AssertionError says by which seed, walk and step. Returns the number of events."""
    count = 0
    for number in range(walks):
        dice = random.Random(f"{seed}/{number}")
        values = {name: dice.choice(of) for name, of in CHOICES.items()}
        place = world(values, kind, dice.choice([0.0, 1e6]))
        place.mood = dice.choice(MOODS)
        try:
            wander(place, dice, steps)
            place.finish()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, walk {number}, step {place.taken}: {error}") from error
        count += place.taken
    return count
