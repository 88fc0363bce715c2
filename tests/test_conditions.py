"""What a dependency's condition means, for everything that can be seen of the other service."""

import itertools

import pytest

from devport.engine.lifecycle import State
from devport.sources.conditions import MET, NOT_YET, Seen, judge

S, W, N = "satisfied", "waiting", "never"
TABLE = {  # state: started, ready, completed, succeeded
    State.WAITING: (W, W, W, W),
    State.STARTING: (S, W, W, W),
    State.READY: (S, S, W, W),
    State.BACKOFF: (S, W, W, W),
    State.STOPPING: (S, W, W, W),
    State.KILLING: (S, W, W, W),
    State.STOPPED: (W, W, S, N),
    State.FAILED: (S, N, S, N),
}
CONDITIONS = ("started", "ready", "completed", "succeeded")


def outcome(condition, seen):
    """The verdict in one word."""
    verdict = judge(condition, seen)
    return S if verdict.met else N if verdict.never else W


@pytest.mark.parametrize("place", range(4), ids=CONDITIONS)
@pytest.mark.parametrize("state", TABLE)
def test_each_state(state, place):
    """A service that has begun, in each state it can be in."""
    seen = Seen(state, begun=True, fault="boom")

    assert outcome(CONDITIONS[place], seen) == TABLE[state][place]


@pytest.mark.parametrize(
    ("status", "expected"), [(0, (S, N, S, S)), (1, (S, N, S, N)), (143, (S, N, S, N)), (-9, (S, N, S, N))]
)
def test_an_end(status, expected):
    """An exit is started and completed; ready it is no more; only 0 is success."""
    seen = Seen(State.EXITED, begun=True, status=status, fault="" if status == 0 else "boom")

    assert tuple(outcome(condition, seen) for condition in CONDITIONS) == expected


def test_never_begun():
    """Who waits for something that nobody starts is parked; only its end can be taken for granted."""
    assert tuple(outcome(condition, Seen()) for condition in CONDITIONS) == (W, W, S, W)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("state", State)
def test_coming(state, condition):
    """Of one whose supervisor is on its way nothing is believed that an earlier one left behind."""
    assert judge(condition, Seen(state, begun=True, status=1, coming=True)) == NOT_YET


def test_listening():
    """Its sockets take connections before it runs: started and ready, and neither ended nor done."""
    seen = Seen(State.WAITING, listening=True)

    assert tuple(outcome(condition, seen) for condition in CONDITIONS) == (S, S, W, W)


@pytest.mark.parametrize(
    ("condition", "state", "status", "fault", "never"),
    [
        ("ready", State.FAILED, 1, "exited with status 1; given up after 5 restarts", "failed: exited with"),
        ("ready", State.EXITED, 0, "", "exited with status 0"),
        ("succeeded", State.EXITED, 3, "exited with status 3", "exited with status 3"),
        ("succeeded", State.STOPPED, None, "", "was stopped"),
    ],
)
def test_reasons(condition, state, status, fault, never):
    """Why it can never be, in words that follow the service's name."""
    verdict = judge(condition, Seen(state, begun=True, status=status, fault=fault))

    assert verdict.never.startswith(never)


@pytest.mark.parametrize("state", [State.EXITED, State.FAILED])
def test_was_ready(state):
    """It was ready before it ended: who looked too late goes on like who looked in time."""
    assert outcome("ready", Seen(state, begun=True, was_ready=True, status=1, fault="boom")) == S


@pytest.mark.parametrize("state", [State.STOPPED, State.BACKOFF, State.STOPPING, State.WAITING])
def test_was_ready_and_may_be_again(state):
    """While something is to come it is waited for."""
    assert outcome("ready", Seen(state, begun=True, was_ready=True)) == W


def test_never_started():
    """What could not be executed has not started."""
    verdict = judge("started", Seen(State.FAILED, fault="cannot run nope: No such file or directory"))

    assert verdict.never == "failed: cannot run nope: No such file or directory"


@pytest.mark.parametrize("state", [State.STOPPED, State.EXITED, State.FAILED])
def test_listens_no_more(state):
    """Nobody starts what was stopped, whatever is left of its sockets."""
    assert outcome("ready", Seen(state, listening=True)) != S


def test_met_is_never_hopeless():
    """No verdict says both."""
    everything = itertools.product(CONDITIONS, State, [True, False], [None, 0, 1], [True, False])
    for condition, state, begun, status, listening in everything:
        verdict = judge(condition, Seen(state, begun, begun, status, "boom", listening=listening))

        assert not (verdict.met and verdict.never)
        assert verdict.met == (verdict == MET)
