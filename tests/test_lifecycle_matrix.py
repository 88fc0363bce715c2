"""Every state against every event, and docs/lifecycle.md against the code."""

from pathlib import Path

import pytest
from support import lifecycle_table
from support.lifecycle_table import EVENTS, STATES, machine

from devport.engine.lifecycle import AT_REST, KILL_PATIENCE, RUNNING, SPAWN, TIMEOUT, Kind, State

DOCUMENT = Path(__file__).parent.parent / "docs" / "lifecycle.md"
POLICIES = [
    {"on": "never"},
    {"on": "on_failure"},
    {"on": "on_failure", "max": 0},
    {"on": "always", "max": 1, "window": 60.0},
    {"on": "on_failure", "external": True},
]
DUE = {State.BACKOFF, State.STOPPING, State.KILLING}
ENDS = {Kind.EXITED, Kind.GONE, Kind.SPAWN_FAILED}


def reachable(column, policy):
    """Whether a service with `policy` comes into the state of `column`."""
    made, _ = machine(column, **policy)
    return str(made.state) == column.split()[0]


CASES = [
    pytest.param(column, name, policy, id=f"{column}-{name}-{number}")
    for number, policy in enumerate(POLICIES)
    for column in STATES
    if reachable(column, policy)
    for name in EVENTS
]


def test_document_is_current():
    """docs/lifecycle.md says what the code does (to renew it, see its first line)."""
    assert DOCUMENT.read_text(encoding="utf-8") == lifecycle_table.page()


def test_columns_are_all_states():
    """The table has every state there is, by the way that leads there."""
    assert {column.split()[0] for column in STATES} == set(State)
    assert all(reachable(column, {}) for column in STATES)
    assert [lifecycle_table.label(machine(column)[0]) for column in STATES] == list(STATES)


def test_rows_are_all_events():
    """The table has every kind of event there is."""
    assert {event.kind for event in EVENTS.values()} == set(Kind)


@pytest.mark.parametrize("late", [0.0, 1000.0])
@pytest.mark.parametrize(("column", "name", "policy"), CASES)
def test_pair(column, name, policy, late):
    """Each event is taken in each state, at most one thing is done, and the state's rules hold after it."""
    made, now = machine(column, **policy)
    event = EVENTS[name]
    before, deadline = made.state, made.deadline
    now = (now if deadline is None or event is not TIMEOUT else deadline) + late
    actions = made.handle(event, now)

    assert len(actions) <= 1
    if actions == [SPAWN]:
        assert made.state is State.STARTING
        assert before not in RUNNING or event.kind in ENDS
        assert made.wanted
    elif actions:
        assert before in RUNNING
        assert made.state in {State.STOPPING, State.KILLING}
    assert (made.deadline is not None) >= (made.state in DUE)
    assert made.deadline is None or made.state in DUE | {State.STARTING}
    if made.deadline != deadline and made.deadline is not None:
        assert (
            now
            <= made.deadline
            <= now + max(made.grace, KILL_PATIENCE, made.restart.max_delay, event.seconds)
        )
    if made.state in DUE - {State.STOPPING, State.KILLING} | {State.STARTING, State.READY, State.WAITING}:
        assert made.wanted
    if event.kind is Kind.TIMEOUT and deadline is not None:
        assert made.deadline != deadline


@pytest.mark.parametrize(("column", "name", "policy"), CASES)
def test_pair_is_settled(column, name, policy):
    """A fact heard twice does nothing the second time, but for one of a new life or tree."""
    made, now = machine(column, **policy)
    event = EVENTS[name]
    if made.handle(event, now) == [SPAWN] or event.kind is Kind.DOWN:
        return
    after = made.state, made.wanted, made.deadline
    if event.kind in ENDS and made.state in RUNNING:
        return  # leftovers: the next news of the kind is the tree's end

    if made.state not in AT_REST | {State.BACKOFF} or event.kind not in {Kind.UP, Kind.RESTART}:
        assert made.handle(event, now) == []
        assert (made.state, made.wanted, made.deadline) == after


@pytest.mark.parametrize("column", STATES)
def test_early_timeout(column):
    """A timeout before the deadline, or where nothing is due, changes nothing in any state."""
    made, now = machine(column)
    before = made.state, made.deadline
    early = now if made.deadline is None else made.deadline - 0.001

    assert made.handle(TIMEOUT, early) == []
    assert (made.state, made.deadline) == before
