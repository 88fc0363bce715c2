"""Random walks: a service, a world that behaves as an operating system can, and rules that always hold.

The checker knows nothing of the machine's insides; planted bugs prove that it would see them.
"""

import random

import pytest
from support.builders import GRACE, SIGKILL, SIGTERM, policy

from devport.engine.lifecycle import (
    AT_REST,
    DOWN,
    GONE,
    KILL_PATIENCE,
    MET,
    READY,
    RESTART,
    RUNNING,
    SPAWN,
    SPAWNED,
    TIMEOUT,
    UP,
    Action,
    Cause,
    Event,
    Kind,
    Lifecycle,
    State,
)

SEED = 20240607
WALKS, STEPS = 20, 600  # of each of the seeds below
SEEDS = range(SEED, SEED + 17)

HURT = Event(Kind.UNHEALTHY, reason="no answer")
LOST = Event(Kind.LOST)
HOPELESS = Event(Kind.LOST, reason="db failed")
NOWHERE = Event(Kind.SPAWN_FAILED, 127, "cannot run nope")
EXITS = [
    Event(Kind.EXITED, status, leftovers=left) for status in (0, 0, 1, 255, -9) for left in (False, True)
]
WISHES = {Kind.UP, Kind.DOWN, Kind.RESTART}
DUE = {State.BACKOFF, State.STOPPING, State.KILLING}
STARTABLE = AT_REST | {State.BACKOFF}


class World:
    """What an operating system and a user can do to a service: `step` picks one event, and keeps count."""

    def __init__(self, dice, make):
        self.dice, self.now = dice, dice.choice([0.0, 1e6])
        self.restart = policy(
            on=dice.choice(["never", "on_failure", "always"]),
            max=dice.choice([None, 0, 1, 3]),
            window=dice.choice([None, 20.0]),
            delay=dice.choice([0.0, 1.0, 20.0]),
        )
        self.machine = make(
            self.restart,
            SIGTERM,
            GRACE,
            probed=dice.random() < 0.5,
            start_timeout=dice.choice([None, 3.0]),
            blocked=dice.random() < 0.2,
        )
        self.spawning = False  # a spawn was asked for, and what came of it has not been told
        self.leader = False  # the process lives
        self.others = False  # the leader has ended, others of its tree live
        self.wanted = False  # the last wish
        self.restarts = []  # when the machine decided to restart by itself, since anybody wished
        self.handled = 0

    @property
    def alive(self):
        """Whether anything of the service's tree lives, as far as the machine can know."""
        return self.spawning or self.leader or self.others

    def pick(self):
        """An event that can happen now; moves the clock."""
        dice, machine = self.dice, self.machine
        if self.spawning and dice.random() < 0.7:
            return SPAWNED if dice.random() < 0.85 else NOWHERE
        choices = [UP, DOWN, RESTART, MET, LOST, HOPELESS, TIMEOUT]
        if machine.deadline is not None:
            choices += ["deadline"] * 5
        if self.leader:
            choices += [*EXITS, READY, READY, HURT]
        if self.others:
            choices += [GONE] * 3
        event = dice.choice(choices)
        if event == "deadline":
            self.now = max(self.now, machine.deadline)
            return TIMEOUT
        self.now += dice.choice([0.0, 0.0, 0.01, 1.0, 7.0])
        return event

    def step(self):
        """One event, and what must hold after it."""
        machine, event = self.machine, self.pick()
        self._happens(event)
        before, due, was_wanted = machine.state, machine.deadline, self.wanted
        if event.kind in WISHES:
            self.wanted = event.kind is not Kind.DOWN
        if event.kind in {Kind.UP, Kind.RESTART} and before in STARTABLE:
            self.restarts.clear()
        alive = self.alive
        actions = machine.handle(event, self.now)
        self.handled += 1
        self._check_actions(event, before, due, actions, alive=alive, was_wanted=was_wanted)
        self._check_state(event, before, due)

    def _happens(self, event):
        match event.kind:
            case Kind.SPAWNED:
                self.spawning, self.leader = False, True
            case Kind.SPAWN_FAILED:
                self.spawning = False
            case Kind.EXITED:
                self.leader, self.others = False, event.leftovers
            case Kind.GONE:
                self.others = False

    def _check_actions(self, event, before, due, actions, *, alive, was_wanted):
        assert len(actions) <= 1, "one thing at a time"
        for action in actions:
            if action == SPAWN:
                assert not alive, "spawned while alive"
                assert self.wanted, "spawned although nobody wants it"
                self.spawning = True
            else:
                assert alive, "signalled while nothing lives"
                assert action.signal in {SIGTERM, SIGKILL}, "a signal of its own invention"
        if event.kind is Kind.DOWN and before is State.STOPPING and not was_wanted:
            assert actions == [Action(SIGKILL)], "a second stop request kills"
        if event.kind is Kind.DOWN and before in {State.STARTING, State.READY}:
            assert actions == [Action(SIGTERM)], "a stop request stops"
        if event is TIMEOUT and (due is None or self.now < due):
            assert not actions, "acted before the deadline"
            assert self.machine.state is before, "moved before the deadline"

    def _check_state(self, event, before, due):
        machine, now = self.machine, self.now
        state, deadline = machine.state, machine.deadline
        if before is State.KILLING and state is State.FAILED and self.alive:
            self.spawning = self.leader = self.others = False  # given up: nobody looks after it any more
        assert self.alive == (state in RUNNING), "alive is running"
        assert machine.wanted == self.wanted, "the last wish counts"
        assert (deadline is not None) or state not in DUE, "a deadline is missing"
        assert deadline is None or state in DUE | {State.STARTING}, "a stale deadline"
        if deadline is not None and (deadline != due or event is TIMEOUT):
            assert deadline >= now, "a deadline in the past"
            limits = {State.BACKOFF: 30.0, State.STOPPING: GRACE, State.KILLING: KILL_PATIENCE}
            assert deadline <= now + limits.get(state, 3.0) + 1e-6, "a deadline too far off"
        if before is state and state in {State.STOPPING, State.KILLING}:
            assert deadline == due, "a deadline was put off"
        if state in {State.WAITING, State.STARTING, State.READY, State.BACKOFF}:
            assert self.wanted, "about to run although nobody wants it"
        if state is State.BACKOFF and before is not state:
            self._check_budget()

    def _check_budget(self):
        self.restarts.append(self.now)
        most, window = self.restart.max, self.restart.window
        if most is not None and window is not None:
            assert sum(1 for when in self.restarts if when > self.now - window) <= most, "over the budget"
        if most == 0:
            raise AssertionError("over the budget of none")


def walk(seed, make=Lifecycle, walks=WALKS, steps=STEPS):
    """Walk; an AssertionError says by which seed, walk and step. Returns the number of events."""
    count = 0
    for number in range(walks):
        world = World(random.Random(f"{seed}/{number}"), make)
        try:
            for _ in range(steps):
                world.step()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, walk {number}, step {world.handled}: {error}") from error
        count += world.handled
    return count


@pytest.mark.parametrize("seed", SEEDS)
def test_walks(seed):
    """No walk breaks a rule: 204,000 events in all."""
    assert walk(seed) == WALKS * STEPS


def test_walks_see_every_pair():
    """The walks bring every kind of event to every state in which it can occur."""
    seen = set()

    class Watched(Lifecycle):
        def handle(self, event, now):
            seen.add((self.state, event.kind))
            return super().handle(event, now)

    walk(SEED, Watched, walks=100)

    anywhere = {Kind.UP, Kind.DOWN, Kind.RESTART, Kind.MET, Kind.LOST, Kind.TIMEOUT}
    alive = {Kind.SPAWNED, Kind.SPAWN_FAILED, Kind.EXITED}
    assert {(state, kind) for state in State for kind in anywhere} <= seen
    assert {(state, kind) for state in RUNNING - {State.READY} for kind in alive} <= seen
    assert {(State.STOPPING, Kind.GONE), (State.KILLING, Kind.GONE), (State.READY, Kind.UNHEALTHY)} <= seen


# planted bugs


class RestartsTooSoon(Lifecycle):
    """Spawns at once on a restart instead of waiting for the old process."""

    def _up(self, restart, now):
        actions = super()._up(restart, now)
        return [SPAWN] if restart and self.state is State.STOPPING else actions


class KeepsDeadlines(Lifecycle):
    """Leaves the old deadline standing when a state has none."""

    def _enter(self, state, deadline=None):
        super()._enter(state, self.deadline if deadline is None else deadline)


class IgnoresStopInBackoff(Lifecycle):
    """Loses a stop request during backoff."""

    def _down(self, now):
        return [] if self.state is State.BACKOFF else super()._down(now)


class ForgetsTheWish(Lifecycle):
    """Starts again after a stop, as if the stop had been a restart."""

    def _settle(self, now):
        return self._start() if self.cause is Cause.ASKED else super()._settle(now)


class OverlooksLeftovers(Lifecycle):
    """Starts again while others of the tree live."""

    def _exited(self, event, now):
        return super()._exited(event._replace(leftovers=False), now)


class NeverKillsAtOnce(Lifecycle):
    """Lets a second stop request wait for the grace."""

    def _down(self, now):
        if self.state is State.STOPPING:
            self.wanted = False
            return []
        return super()._down(now)


class KillsForEver(Lifecycle):
    """Waits for ever after SIGKILL."""

    def _kill(self, now):
        actions = super()._kill(now)
        self.deadline = None
        return actions


class SpendsTwice(Lifecycle):
    """Counts no restart, so that the budget is never spent."""

    def _back_off(self, now):
        self.budget._spent.clear()
        super()._back_off(now)


class StuckAfterFailedSpawn(Lifecycle):
    """Ignores that a spawn failed once somebody asked for the end."""

    def _spawn_failed(self, event, now):
        return super()._spawn_failed(event, now) if self.state is State.STARTING else []


class Impatient(Lifecycle):
    """Acts on a timeout that has not come yet."""

    def _timeout(self, now):
        return super()._timeout(now if self.deadline is None else max(now, self.deadline))


class PutsOff(Lifecycle):
    """Gives a new grace whenever a start is asked for while stopping."""

    def _up(self, restart, now):
        actions = super()._up(restart, now)
        if self.state is State.STOPPING and self.deadline is not None:
            self.deadline = now + self.grace
        return actions


class SignalsTheDead(Lifecycle):
    """Sends the stop signal again when all is over."""

    def _settle(self, now):
        return super()._settle(now) or [Action(self.stop_signal)]


class DoublesForEver(Lifecycle):
    """Knows no longest delay."""

    def _back_off(self, now):
        super()._back_off(now)
        if self.state is State.BACKOFF:
            self.deadline = now + self.restart.delay * 2.0 ** min(self.budget.failures - 1, 64)


class WaitsUnwanted(Lifecycle):
    """Goes on waiting for a dependency after a stop."""

    def _down(self, now):
        if self.state is State.WAITING:
            self.wanted = False
            return []
        return super()._down(now)


MUTANTS = [
    RestartsTooSoon,
    KeepsDeadlines,
    IgnoresStopInBackoff,
    ForgetsTheWish,
    OverlooksLeftovers,
    NeverKillsAtOnce,
    KillsForEver,
    SpendsTwice,
    StuckAfterFailedSpawn,
    Impatient,
    PutsOff,
    SignalsTheDead,
    DoublesForEver,
    WaitsUnwanted,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_planted_bug_is_found(mutant):
    """The walks find each of these bugs, with the seed to see it again."""
    with pytest.raises(AssertionError, match=r"seed \d+, walk \d+, step \d+: \w+"):
        walk(SEED, mutant, walks=200)
