"""The end of a run: every short history of a Group, and random runs of several services to their end.

The runs go through what devport/foreground.py does with its services; only processes and time are made up.
"""

import itertools
import random
import signal
from types import SimpleNamespace

import pytest
from support.builders import lifecycle
from support.drill import trials

from devport.engine.group import Group
from devport.engine.job import Transition
from devport.engine.lifecycle import (
    AT_REST,
    DOWN,
    GONE,
    READY,
    SPAWNED,
    TIMEOUT,
    UP,
    Event,
    Kind,
    State,
)
from devport.engine.order import StopOrder
from devport.foreground import Foreground

ENDED, ASIDE, GOAL, SIGNAL = "ended", "ended aside", "goal reached", "signal"
HAPPENINGS = [
    *itertools.product((ENDED, ASIDE), (0, 3, 137)),
    *itertools.product((GOAL,), (0, 4)),
    *itertools.product((SIGNAL,), (130, 141)),
]
LONGEST = 4


def decided(keep_going, history):
    """Whether the run is to end after `history`, and its status: docs/exit-status.md and decision 011."""
    failures = []
    for what, status in history:
        if what is GOAL or (what is ENDED and not keep_going):
            return True, status  # the first thing that decides
        if what is SIGNAL:
            return True, (failures or [status])[0]
        failures += [status] if status else []
    return False, (failures or [0])[0]


@pytest.mark.parametrize("keep_going", [False, True])
def test_every_short_history(keep_going):
    """All histories of up to four things, 11,111 of them: the run ends when it should, as it should."""
    for length in range(LONGEST + 1):
        for history in itertools.product(HAPPENINGS, repeat=length):
            group = Group(keep_going=keep_going)
            for number, (what, status) in enumerate(history):
                before, _ = decided(keep_going, history[:number])
                after, _ = decided(keep_going, history[: number + 1])
                if what is GOAL:
                    group.reached(status)
                elif what is SIGNAL:
                    group.interrupted(status)
                else:
                    assert group.ended(status, decisive=what is ENDED) is (after and not before)
            assert (group.stopping, group.exit_status()) == decided(keep_going, history), history


# whole runs


class PaperJob:
    """What of a Job the frame looks at, and what there is of its tree."""

    def __init__(self, name, life):
        self.name, self.lifecycle, self.command = name, life, SimpleNamespace(token=name)
        self.process, self.facts, self.tree, self.signals = None, {}, "nothing", []


class Ring:
    """A loop without processes: events are handed over one after the other, as the real one does."""

    def __init__(self):
        self.jobs, self.observers, self.events, self.now = [], [], [], 0.0
        self.asked = []  # who was sent DOWN, in order

    def send(self, job, event):
        """As Loop."""
        if event is DOWN:
            self.asked.append(job)
        self.events.append((job, event))

    def settle(self):
        """Hand over what there is."""
        while self.events:
            job, event = self.events.pop(0)
            before = job.lifecycle.state
            actions = job.lifecycle.handle(event, self.now)
            for observer in self.observers:
                observer(Transition(job, before, event))
            for action in actions:
                if action.signal is None:
                    job.tree = "spawning"
                else:
                    assert job.tree != "nothing"
                    job.signals.append(action.signal)


class Run(Foreground):
    """A Foreground with services that exist on paper."""

    def __init__(self, dice):
        count = dice.randint(1, 5)
        names = [f"s{number}" for number in range(count)]
        self.needs = {
            name: [other for other in names[:number] if dice.random() < 0.4]
            for number, name in enumerate(names)
        }
        self.group = Group(keep_going=dice.random() < 0.4)
        self.options = SimpleNamespace(goal=dice.choice(["", "", names[-1]]))
        self.requests, self.terminal, self.control = 0, False, None
        self.printer = SimpleNamespace(say=lambda *_args, **_more: None, open=None)
        self.sources = SimpleNamespace(may_revive=lambda _job: False)
        self.loop = Ring()
        self.loop.observers.append(self.observe)
        self.loop.jobs = [self._made(name, dice) for name in names]
        self.jobs = {job.name: job for job in self.loop.jobs}
        self.launches = {
            name: SimpleNamespace(service=SimpleNamespace(name=name, ends_run=dice.random() < 0.6))
            for name in names
        }
        self.ports = {name: {} for name in names}
        self.active = set(self.loop.jobs)
        self.order = StopOrder(self.needs)
        self.history = []  # what decides, in order
        self.keep_going = self.group.keep_going

    @staticmethod
    def _made(name, dice):
        on = dice.choice(["never", "never", "on_failure", "always"])
        made = lifecycle(on=on, max=dice.choice([0, 1, 3]), probed=dice.random() < 0.3, grace=5.0)
        made.start_timeout = 3.0
        return PaperJob(name, made)

    def observe(self, transition):
        """Note what decides, and do what the real one does."""
        job, before, event = transition
        life = job.lifecycle
        at_once = event.kind is Kind.EXITED and life.restart.on == "never" and before in UP_STATES
        over = life.state in {State.EXITED, State.FAILED} and life.state is not before
        if over or (at_once and life.state is State.STOPPING):
            status = 1 if life.status is None else life.status if life.status >= 0 else 128 - life.status
            status = status or (1 if life.state is State.FAILED else 0)
            is_goal = job.name == self.options.goal
            decisive = self.launches[job.name].service.ends_run
            self.history.append((GOAL if is_goal else ENDED if decisive else ASIDE, status))
        super().observe(transition)


UP_STATES = {State.STARTING, State.READY}
EXITS = [Event(Kind.EXITED, status, leftovers=left) for status in (0, 1, -9) for left in (False, True)]


def happen(run, dice, *, stubborn):
    """One thing happens to one service; one that is `stubborn` ends by SIGKILL only."""
    job = dice.choice(run.loop.jobs)
    life = job.lifecycle
    choices = [TIMEOUT]
    if life.deadline is not None and dice.random() < 0.5:
        run.loop.now = max(run.loop.now, life.deadline)
    elif job.tree == "spawning":
        choices = [SPAWNED] * 5 + [Event(Kind.SPAWN_FAILED, 127, "cannot run nope")]
    elif job.tree == "runs" and (not stubborn or 9 in job.signals[-1:]):
        choices = [*EXITS, READY, READY, Event(Kind.UNHEALTHY, reason="no answer")]
    elif job.tree == "others" and (not stubborn or 9 in job.signals[-1:]):
        choices = [GONE]
    event = dice.choice(choices)
    if event.kind in {Kind.SPAWNED, Kind.EXITED}:
        job.tree = "runs" if event.kind is Kind.SPAWNED else "others" if event.leftovers else "nothing"
    elif event.kind in {Kind.GONE, Kind.SPAWN_FAILED}:
        job.tree = "nothing"
    run.loop.send(job, event)
    run.loop.settle()
    if life.state in AT_REST:
        job.tree = "nothing"  # or given up


def one_run(seed, kind=Run):
    """A run from its beginning to its end, and what must hold; how many things happened."""
    dice = random.Random(seed)
    run = kind(dice)
    stubborn = dice.random() < 0.3
    for job in run.loop.jobs:
        run.loop.send(job, UP)
    run.loop.settle()
    steps, first = 0, dice.choice([10, 40, 200])
    second = first + dice.choice([15, 15, 10_000])
    while steps < 1500 and any(map(run._goes_on, run.active)):
        steps += 1
        check_order(run)
        if steps in (first, second):
            interrupt(run, dice)
        happen(run, dice, stubborn=stubborn)
        stopping, status = decided(run.keep_going, run.history)
        assert run.group.stopping is stopping, "the run is to end, or not yet"
        assert run.group.exit_status() == status, "the status is decided by what was first"
    assert steps < 1500, "a run that does not come to an end"
    assert {job.lifecycle.state for job in run.loop.jobs} <= AT_REST
    assert all(job.tree == "nothing" for job in run.loop.jobs), "something was left behind"
    return steps


def interrupt(run, dice):
    """Ctrl-C, or another signal that asks for the end. The second asks everybody at once."""
    number = dice.choice([signal.SIGINT, signal.SIGTERM])
    was_ending, asked = run.group.stopping, len(run.loop.asked)
    run.history.append((SIGNAL, 128 + number))
    before = {job.name: job.lifecycle.state for job in run.loop.jobs}
    unwanted = {job.name for job in run.loop.jobs if not job.lifecycle.wanted}
    run._interrupted(number)
    again = was_ending and run.requests > 1
    if again:
        assert {job.name for job in run.loop.asked[asked:]} == set(run.jobs), "the second asks all"
    run.loop.settle()
    if again:
        run.needs = {name: [] for name in run.needs}  # nobody waits for anybody any more
        assert all(not job.lifecycle.wanted for job in run.loop.jobs)
        for name, state in before.items():
            if state is State.STOPPING and name in unwanted:
                assert run.jobs[name].lifecycle.state is State.KILLING, "who was asked before is killed"


def check_order(run):
    """Whoever was asked to end, was so only when all that need it were at rest; they are still."""
    for job in run.loop.asked:
        for name, needs in run.needs.items():
            if job.name in needs:
                assert run.jobs[name].lifecycle.state in AT_REST, "asked to end while it is needed"


RUNS = trials(400, 8000)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_runs_come_to_their_end(tally):
    """Each run ends, in its order, with the status of what was first, and leaves nothing."""
    steps = sum(one_run(f"run/{number}") for number in range(RUNS))

    assert steps > 10 * RUNS
    tally(RUNS)


class Unordered(Run):
    """Asks everybody at once."""

    def _stop_next(self):
        for job in self.loop.jobs:
            if job.lifecycle.wanted:
                self.loop.send(job, DOWN)


class Silent(Run):
    """Does not go on to the next when one has ended."""

    def observe(self, transition):
        """Forget those that wait for their turn."""
        if self.group.stopping and transition.job.lifecycle.state in AT_REST:
            return
        super().observe(transition)


class LastCounts(Run):
    """Ends with the status of what ended last."""

    def _ended(self, job):
        super()._ended(job)
        self.group.status = self._status(job)


@pytest.mark.parametrize("planted", [Unordered, Silent, LastCounts])
def test_a_planted_bug_is_found(planted):
    """The runs find each of these."""
    with pytest.raises(AssertionError):
        sum(one_run(f"run/{number}", planted) for number in range(100))
