"""Hypothesis looks for a short story of one run that breaks a rule: ends, goals, signals, in any order."""

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

from devport.engine.group import Group, shell_status
from devport.engine.lifecycle import State

EXAMPLES, STEPS = trials(100, 2400), 30
QUIET = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
RAW = st.sampled_from([0, 0, 1, 3, 143, 255, -9, -15]) | st.integers(-64, 255)
"""How a process ends, as the kernel tells it: -n where signal n killed it."""
OVER = {"stopped", "exited", "failed"}


class Verdict:
    """docs/exit-status.md, told once more: what ended the run, and the first failure before that."""

    def __init__(self, keep_going):
        self.keep_going, self.why, self.failure = keep_going, None, 0

    def hear(self, why, status):
        """Something happened; whether it is what ends the run."""
        if self.why:
            return False
        if why == "aside" or (why == "end" and self.keep_going):
            self.failure = self.failure or status
            return False
        self.why = (why, status)
        return True

    @property
    def status(self):
        """What devport is to end with, as things are."""
        why, status = self.why or ("nothing", 0)
        return status if why in ("end", "goal") else self.failure or status


class Run(RuleBasedStateMachine):
    """Some services, and what happens to them and to the run."""

    kind = Group

    def __init__(self):
        super().__init__()
        self.group = None

    @initialize(keep_going=st.booleans(), decisive=st.lists(st.booleans(), max_size=5))
    def begins(self, keep_going, decisive):
        """All services run; those that are not decisive end without the run."""
        self.group, self.verdict = self.kind(keep_going=keep_going), Verdict(keep_going)
        self.decisive, self.states = decisive, [State.READY] * len(decisive)
        self.settled = None

    @precondition(lambda self: self.group and any(state is State.READY for state in self.states))
    @rule(place=st.integers(0, 4), raw=RAW)
    def ends(self, place, raw):
        """One that runs ends by itself."""
        running = [number for number, state in enumerate(self.states) if state is State.READY]
        number = running[place % len(running)]
        self.states[number] = State.FAILED if raw else State.EXITED
        status = raw if raw >= 0 else 128 + abs(raw)
        assert shell_status(raw) == status
        wanted = self.verdict.hear("end" if self.decisive[number] else "aside", status)
        asked = self.group.ended(shell_status(raw), decisive=self.decisive[number])
        assert asked is wanted, "whether the others are to be stopped"

    @precondition(lambda self: self.group and self.states)
    @rule(place=st.integers(0, 4), state=st.sampled_from(State))
    def is_elsewhere(self, place, state):
        """A service waits, backs off, is stopped, is started again: that decides nothing."""
        self.states[place % len(self.states)] = state

    @rule(status=st.integers(0, 255))
    def goal_is_reached(self, status):
        """What the run was for has ended."""
        self.verdict.hear("goal", status)
        self.group.reached(status)

    @rule(status=st.sampled_from([129, 130, 131, 141, 143]))
    def is_interrupted(self, status):
        """Ctrl-C, TERM, a reader that left."""
        self.verdict.hear("signal", status)
        self.group.interrupted(status)

    @invariant()
    def decides_as_it_should(self):
        """Whether the run is to end, and with what."""
        if self.group is None:
            return
        assert self.group.stopping is (self.verdict.why is not None), "to end, or not"
        assert self.group.exit_status() == self.verdict.status, "the status"
        assert 0 <= self.group.exit_status() <= 255
        assert self.group.finished(self.states) is all(str(one) in OVER for one in self.states)

    @invariant()
    def decides_once(self):
        """A run that ends never goes on, and its status stays."""
        if self.group is None or not self.group.stopping:
            assert not (self.group and self.settled), "it goes on"
            return
        now = (self.group.exit_status(),)
        assert self.settled in (None, now), "another status"
        self.settled = now


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_no_story_breaks_a_rule(tally):
    """Hypothesis finds none."""
    run_state_machine_as_test(Run, settings=QUIET)
    tally(EXAMPLES)


class LastFails(Group):
    """A planted bug: with keep_going the last failure is the status."""

    def ended(self, status, *, decisive=True):
        """As it should, but for that."""
        known = self.stopping
        found = super().ended(status, decisive=decisive)
        if not known and status:
            self.status = status
        return found


class Revived(Group):
    """A planted bug that needs three steps: a goal that is reached behind a signal counts."""

    def reached(self, status):
        """Whatever was before."""
        self.stopping, self.status = True, status


@pytest.mark.parametrize("planted", [LastFails, Revived])
def test_a_planted_bug_is_found(planted):
    """Hypothesis finds a story in which it shows."""

    class Planted(Run):
        kind = planted

    with pytest.raises(AssertionError):
        run_state_machine_as_test(Planted, settings=settings(QUIET, phases=[Phase.generate]))
