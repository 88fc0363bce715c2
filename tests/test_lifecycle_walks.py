"""Random walks: a service, a world that behaves as an operating system can, and rules that always hold.

Planted bugs prove that the walks would see them. The world and its rules:
support/lifecycle_world.py.
"""

import time

import pytest
from support.drill import trials
from support.lifecycle_model import LEFT, NOTHING, RUNS, SPAWNING, UP_ALONE
from support.lifecycle_world import World, walk

from devport.engine.lifecycle import SPAWN, Action, Kind, Lifecycle, State

SEED = 20240607
SEEDS = range(SEED, SEED + 20)
WALKS, STEPS = trials(175, 3500), 600  # of each seed


@pytest.mark.drill
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_walks(seed, tally):
    """No walk breaks a rule: over 2,100,000 events in all."""
    began = time.process_time()
    count = walk(seed, walks=WALKS, steps=STEPS)
    took = time.process_time() - began

    assert count >= WALKS * STEPS
    tally(count)
    print(f"{count} events, {count / took:.0f} a second")


def test_walks_see_every_pair():
    """The walks bring every kind of event to every state in which it can occur, late news included."""
    seen = set()

    class Watched(Lifecycle):
        def handle(self, event, now):
            seen.add((self.state, event.kind))
            return super().handle(event, now)

    walk(SEED, Watched, walks=100)

    of_a_spawn = {Kind.SPAWNED, Kind.SPAWN_FAILED}
    impossible = {(State.READY, kind) for kind in of_a_spawn}
    impossible |= {(State.STARTING, Kind.GONE), (State.READY, Kind.GONE)}
    assert seen == {(state, kind) for state in State for kind in Kind} - impossible


def test_worlds_are_all_seen():
    """What there can be of a tree, there is in some walk; so the rules about it were tried."""
    seen = set()

    class Looking(World):
        def take(self, event):
            actions = super().take(event)
            seen.add((self.tree, self.machine.state))
            return actions

    walk(SEED, walks=100, world=Looking)

    assert {tree for tree, _ in seen} == {NOTHING, SPAWNING, RUNS, LEFT, UP_ALONE}
    assert {state for tree, state in seen if tree is UP_ALONE} == {
        State.STARTING,
        State.READY,
        State.STOPPING,
        State.KILLING,
    }
    assert {state for _, state in seen} == set(State)


def test_a_walk_can_be_repeated():
    """The same seed is the same walk."""
    notes = []

    class Noting(Lifecycle):
        def handle(self, event, now):
            notes.append((event, now))
            return super().handle(event, now)

    walk(SEED, Noting, walks=2)
    first = notes[:]
    notes.clear()
    walk(SEED, Noting, walks=2)

    assert first == notes


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
        return self._start() if self.cause is self.cause.ASKED else super()._settle(now)


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


class BelievesTheDead(Lifecycle):
    """Takes late news of a life that is over for news of the present state."""

    def _exited(self, event, now):
        if self.state is State.BACKOFF:
            self.status = event.status
        return super()._exited(event, now)


class ReadyFromTheGrave(Lifecycle):
    """Becomes ready although it is being stopped."""

    def _ready(self, now):
        if self.state is State.STOPPING:
            self._enter(State.READY)
        return super()._ready(now)


class FlappingIsStaying(Lifecycle):
    """Counts the time since it was ready first as time up, though it was not ready in between."""

    def _ready(self, now):
        since, was_ready = self.ready_at, self.was_ready
        actions = super()._ready(now)
        if was_ready:
            self.ready_at = since
        return actions


class ExtensionCutsShort(Lifecycle):
    """Has EXTEND_TIMEOUT_USEC bring a deadline nearer."""

    def _extend(self, seconds, now):
        if self.deadline is not None and self.state in {State.STARTING, State.STOPPING}:
            self.deadline = now + seconds
        return []


class ExtendsTheKill(Lifecycle):
    """Lets a service put off that it is given up."""

    def _extend(self, seconds, now):
        if self.state is State.KILLING:
            self.deadline = max(self.deadline, now + seconds)
        return super()._extend(seconds, now)


class StopsWhatIsNotReady(Lifecycle):
    """Gives a new start deadline to a service that is no longer ready."""

    def _unready(self, event, now):
        actions = super()._unready(event, now)
        if self.state is State.STARTING and self.deadline is None and self.start_timeout:
            self.deadline = now + self.start_timeout
        return actions


class LeavesWhatItBroughtUp(Lifecycle):
    """Takes the end of the command that brings something up for the end of what it brought up."""

    def _brought_up(self, event, now):
        self.status = event.status
        return self._settle(now) if self.state is State.STOPPING else super()._brought_up(event, now)


class ForgetsThatItLost(Lifecycle):
    """Starts after a crash although what it needs was lost meanwhile."""

    def _dependency(self, event):
        return super()._dependency(event) if self.state is State.WAITING else []


class AbortsEveryTime(Lifecycle):
    """Ends an unhealthy service by the usual signal, where another one was asked for."""

    def _unhealthy(self, event, now):
        return super()._unhealthy(event._replace(status=0), now)


class BlamesTheLastLife(Lifecycle):
    """Says of a new life why the last one was not ready."""

    def _start(self):
        kept = self.unready
        actions = super()._start()
        self.unready = kept
        return actions


class CountsWishes(Lifecycle):
    """Counts a restart that somebody asked for against the budget."""

    def _up(self, restart, now):
        if restart and self.state is State.READY:
            self.budget.spend(now)
        return super()._up(restart, now)


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
    BelievesTheDead,
    ReadyFromTheGrave,
    FlappingIsStaying,
    ExtensionCutsShort,
    ExtendsTheKill,
    StopsWhatIsNotReady,
    LeavesWhatItBroughtUp,
    ForgetsThatItLost,
    AbortsEveryTime,
    BlamesTheLastLife,
    CountsWishes,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_planted_bug_is_found(mutant):
    """The walks find each of these bugs, with the seed to see it again."""
    with pytest.raises(AssertionError, match=r"seed \d+, walk \d+, step \d+: \w+"):
        walk(SEED, mutant, walks=200)


@pytest.mark.parametrize(
    "mutant", [RestartsTooSoon, KeepsDeadlines, WaitsUnwanted, KillsForEver, SignalsTheDead]
)
def test_rules_find_it_without_the_model(mutant):
    """The rules alone, with nothing to compare to, find what breaks the first promises."""

    class Alone(World):
        def _compare(self, actions, expected, event):
            pass

    with pytest.raises(AssertionError, match=r"seed \d+, walk \d+, step \d+: \w+"):
        walk(SEED, mutant, walks=200, world=Alone)
