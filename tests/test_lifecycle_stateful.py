"""Hypothesis looks for a short story of one service that breaks a rule, with values of its own."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.drill import trials
from support.lifecycle_model import LEFT, NOTHING, RUNS, SPAWNING, UP_ALONE
from support.lifecycle_world import CHOICES, DUE, World

from devport.engine.lifecycle import (
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

EXAMPLES, STEPS = trials(120, 2400), 50
QUIET = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

SECONDS = st.floats(0.0, 120.0, allow_nan=False) | st.sampled_from([0.0, 1e-9, 1.0, 5.0, 20.0])
STATUS = st.integers(-64, 255) | st.sampled_from([0, 1, 3, -9])
WORDS = st.sampled_from(["", "no answer", "connection refused", "db failed"])
VALUES = st.fixed_dictionaries(
    {
        **{name: st.sampled_from(of) for name, of in CHOICES.items()},
        "on": st.sampled_from(["never", "on_failure", "always", "always"]),
        "max": st.sampled_from([None, None, 0, 1, 2, 5]),
        "window": st.none() | st.floats(0.5, 60.0),
        "delay": st.sampled_from([0.0, 1.0]) | st.floats(0.0, 10.0),
        "max_delay": st.floats(0.0, 60.0),
        "reset_after": st.floats(0.0, 10.0),
        "success": st.frozensets(STATUS, max_size=3),
        "stop_signal": st.integers(1, 64),
        "grace": st.floats(0.0, 60.0),
        "start_timeout": st.none() | st.floats(0.1, 3.0),
    }
)


class Life(RuleBasedStateMachine):
    """One service and what comes its way; `World.take` holds every step against the rules and the model."""

    kind = Lifecycle

    def __init__(self):
        super().__init__()
        self.world = None

    @initialize(values=VALUES, now=st.sampled_from([0.0, 1e6]))
    def declared(self, values, now):
        """It is declared."""
        self.world = World(values, self.kind, now)

    def tree(self, *kinds):
        """Whether there is that of it."""
        return self.world is not None and self.world.tree in kinds

    # wishes and time

    @rule(wish=st.sampled_from([UP, DOWN, RESTART]))
    def wished(self, wish):
        """Somebody wants something."""
        self.world.take(wish)

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        """And the loop looks at its deadlines."""
        self.world.now += seconds
        self.world.take(TIMEOUT)

    @precondition(lambda self: self.world and self.world.machine.deadline is not None)
    @rule(late=st.sampled_from([-1e-6, 0.0, 0.0, 3.0]))
    def deadline_comes(self, late):
        """Just in time, too early, or long ago."""
        self.world.now = max(self.world.now, self.world.machine.deadline + late)
        self.world.take(TIMEOUT)

    @precondition(lambda self: self.tree(NOTHING))
    @rule(ready=st.booleans())
    def comes_up(self, ready):
        """It is started, and runs."""
        self.world.take(MET)
        self.world.take(UP)
        self.world.take(SPAWNED)
        if ready:
            self.world.take(READY)

    @rule(met=st.sampled_from([True, True, False]), reason=st.sampled_from(["", "", "no"]), needs=WORDS)
    def needs(self, met, reason, needs):
        """News of what it waits for."""
        self.world.take(MET if met else Event(Kind.LOST, reason=reason, needs=needs))

    # facts of what lives

    @precondition(lambda self: self.tree(SPAWNING))
    @rule(status=st.sampled_from([None, None, None, 126, 127, 1]))
    def spawn_is_known(self, status):
        """It executes, or cannot be."""
        failed = Event(Kind.SPAWN_FAILED, status or 0, "cannot run nope")
        self.world.take(SPAWNED if status is None else failed)

    @precondition(lambda self: self.tree(RUNS, LEFT, UP_ALONE))
    @rule(ready=st.booleans(), reason=WORDS)
    def probe_answers(self, ready, reason):
        """It is ready, or is not."""
        self.world.take(READY if ready else Event(Kind.UNREADY, reason=reason))

    @precondition(lambda self: self.tree(RUNS, LEFT, UP_ALONE))
    @rule(number=st.sampled_from([0, 0, 6]), reason=WORDS.filter(bool))  # whoever finds it out says why
    def found_unhealthy(self, number, reason):
        """A probe, or the watchdog."""
        self.world.signals.add(number)
        self.world.take(Event(Kind.UNHEALTHY, number, reason))

    @rule(seconds=SECONDS)
    def takes_longer(self, seconds):
        """It said so, or devport was suspended."""
        self.world.take(Event(Kind.EXTENDED, seconds=seconds))

    @precondition(lambda self: self.tree(RUNS))
    @rule()
    def crashes(self):
        """Its process ends, with all of its tree."""
        self.world.take(Event(Kind.EXITED, 1))

    @precondition(lambda self: self.tree(RUNS))
    @rule(status=STATUS, left=st.booleans())
    def ends(self, status, left):
        """Its process does."""
        self.world.take(Event(Kind.EXITED, status, leftovers=left))

    @precondition(lambda self: self.tree(LEFT) or (self.tree(UP_ALONE) and self.world.machine.state in DUE))
    @rule()
    def tree_is_empty(self):
        """All of it is gone."""
        self.world.take(GONE)

    # late facts

    @precondition(lambda self: self.tree(NOTHING))
    @rule(kind=st.sampled_from([*Kind]), status=STATUS, left=st.booleans())
    def too_late(self, kind, status, left):
        """News of a life that is over changes nothing."""
        if kind in {Kind.UP, Kind.DOWN, Kind.RESTART, Kind.MET, Kind.LOST, Kind.TIMEOUT}:
            return
        machine = self.world.machine
        before = machine.state, machine.deadline, machine.status, machine.fault
        assert self.world.take(Event(kind, status, leftovers=left, seconds=60.0)) == []
        assert before == (machine.state, machine.deadline, machine.status, machine.fault)

    @precondition(lambda self: self.world and self.world.taken > STEPS - 5)
    @rule()
    def stopped_for_good(self):
        """Whatever it has come to, a stop ends it, whatever the service does."""
        self.world.finish()

    @invariant()
    def budget_is_kept(self):
        """The delay that is announced is the one that is waited."""
        machine = self.world and self.world.machine
        if machine and machine.state is State.BACKOFF:
            assert 0.0 <= machine.budget.delay <= machine.restart.max_delay

    @invariant()
    def states_are_told_apart(self):
        """What runs has a tree, what is at rest has none."""
        if self.world is not None:
            assert (self.world.machine.state in RUNNING) is (self.world.tree is not NOTHING)


@pytest.mark.drill
@pytest.mark.timeout(1200)
def test_no_story_breaks_a_rule(tally):
    """Hypothesis finds none."""
    run_state_machine_as_test(Life, settings=QUIET)
    tally(EXAMPLES)


class Restless(Lifecycle):
    """A planted bug that needs a story of two lives: a stop in the backoff leaves its deadline standing."""

    def _down(self, now):
        due = self.deadline
        actions = super()._down(now)
        if self.state is State.STOPPED:
            self.deadline = due
        return actions


def test_a_planted_bug_is_found():
    """Hypothesis finds a story in which it shows."""

    class Planted(Life):
        kind = Restless

    with pytest.raises(AssertionError, match="stale deadline"):
        run_state_machine_as_test(Planted, settings=settings(QUIET, phases=[Phase.generate]))
