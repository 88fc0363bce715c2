"""Every state against every event: each pair is a documented transition, or documented to do nothing."""

import itertools
from pathlib import Path

import pytest
from support import lifecycle_table
from support.builders import lifecycle
from support.lifecycle_table import EVENTS, NOTHING, SIGNALS, STATES, label, machine

from devport.engine.lifecycle import (
    AT_REST,
    KILL_PATIENCE,
    MET,
    RUNNING,
    SPAWN,
    SPAWNED,
    TIMEOUT,
    UP,
    Event,
    Kind,
    State,
)

DOCUMENT = Path(__file__).parent.parent / "docs" / "lifecycle.md"
POLICIES = [
    {"on": "never"},
    {"on": "on_failure"},
    {"on": "on_failure", "max": 0},
    {"on": "always", "max": 1, "window": 60.0},
    {"on": "on_failure", "external": True},
    {"on": "never", "external": True},
]
DUE = {State.BACKOFF, State.STOPPING, State.KILLING}
ENDS = {Kind.EXITED, Kind.GONE, Kind.SPAWN_FAILED}

START = {"starting, spawn", "waiting", "failed"}  # where what it needs is not there, or never will be
POLICY = {"backoff", "exited", "failed"}  # as the restart policy has it
STOP = {"stopping, stop signal"}
RESTART = {"stopping to restart, stop signal"}
CRASH = {"stopping after a crash, stop signal"}
WISHED = {Kind.UP: START, Kind.RESTART: START}
ENDING = {  # of what is stopping or killing: what its end leads to
    "": {"stopped"},
    " to restart": START,
    " after a crash": POLICY,
}
DOCUMENTED = {  # all that an event can lead to; a pair that is not here does nothing at all
    "stopped": WISHED,
    "exited": WISHED,
    "failed": {kind: {"starting, spawn", "waiting", NOTHING} for kind in WISHED},  # nothing: it fails again
    "waiting": {Kind.DOWN: {"stopped"}, Kind.MET: {"starting, spawn"}, Kind.LOST: {NOTHING, "failed"}},
    "backoff": {**WISHED, Kind.DOWN: {"stopped"}, Kind.TIMEOUT: START},
    "starting": {
        Kind.RESTART: RESTART,
        Kind.DOWN: STOP,
        Kind.SPAWNED: {NOTHING, "starting", "ready"},  # nothing: a second time, or without a time limit
        Kind.SPAWN_FAILED: {"backoff", "failed"},
        Kind.READY: {"ready"},
        Kind.UNHEALTHY: CRASH,
        Kind.EXTENDED: {NOTHING, "starting"},  # nothing: where nothing is due
        Kind.EXITED: {*POLICY, *CRASH, NOTHING, "ready"},  # the last two: the command of an external one
        Kind.TIMEOUT: {NOTHING, *CRASH},
    },
    "ready": {
        Kind.RESTART: RESTART,
        Kind.DOWN: STOP,
        Kind.UNREADY: {"starting", *CRASH},  # an external one is taken down
        Kind.UNHEALTHY: CRASH,
        Kind.EXITED: {*POLICY, *CRASH, NOTHING},  # nothing: the command of an external one
    },
    **{
        f"stopping{why}": {
            Kind.DOWN: {"killing, SIGKILL" if not why else "stopping"},
            Kind.SPAWN_FAILED: after,
            Kind.EXTENDED: {f"stopping{why}"},
            Kind.EXITED: {*after, NOTHING, f"stopping{why}, stop signal"},  # left behind; an external one
            Kind.GONE: after,
            Kind.TIMEOUT: {f"killing{why}, SIGKILL"},
        }
        for why, after in ENDING.items()
    },
    **{
        f"killing{why}": {
            Kind.SPAWN_FAILED: after,
            Kind.EXITED: {*after, NOTHING, f"stopping{why}, stop signal"},
            Kind.GONE: after,
            Kind.TIMEOUT: {"failed"},
        }
        for why, after in ENDING.items()
    },
}
for state, why in itertools.product(("stopping", "killing"), ("", " after a crash")):
    DOCUMENTED[f"{state}{why}"] |= {kind: {f"{state} to restart"} for kind in (Kind.UP, Kind.RESTART)}
for why in (" to restart", " after a crash"):
    DOCUMENTED[f"killing{why}"][Kind.DOWN] = {"killing"}

KINDS = {  # every kind of event, with all that makes a difference
    **{kind: [Event(kind)] for kind in Kind},
    Kind.LOST: [Event(Kind.LOST), Event(Kind.LOST, reason="db failed")],
    Kind.EXTENDED: [Event(Kind.EXTENDED, seconds=60.0)],
    Kind.EXITED: [Event(Kind.EXITED, status, leftovers=left) for status in (0, 1) for left in (False, True)],
}
NEEDS = [MET, *KINDS[Kind.LOST]]


def reachable(column, policy):
    """Whether a service with `policy` comes into the state of `column`."""
    made, _ = machine(column, **policy)
    return label(made) == column


def ways(column):
    """Every service that is in the state of `column`, by each way that makes a difference; and the time."""
    for policy, needs in itertools.product(POLICIES, NEEDS):
        if not reachable(column, policy):
            continue
        made, now = machine(column, **policy)
        if column != "waiting":
            made.handle(needs, now)
        yield made, now
    if column == "starting":  # not executed yet, or with neither probe nor time limit
        for extra in ({}, {"probed": True}, {"probed": True, "start_timeout": 30.0}, {"external": True}):
            made = lifecycle(**extra)
            made.handle(UP, 0.0)
            yield made, 0.0
        made = lifecycle(external=True)
        made.handle(UP, 0.0)
        made.handle(SPAWNED, 0.0)
        yield made, 0.0
    if column.endswith(" after a crash"):  # its own end, which left others behind
        for on in ("never", "on_failure", "always"):
            made = lifecycle(on=on)
            for event in (UP, SPAWNED, KINDS[Kind.EXITED][1]):
                made.handle(event, 0.0)
            if column.startswith("killing"):
                made.handle(TIMEOUT, made.deadline)
            yield made, 0.0


def outcome(made, event, now):
    """What `event` does, as docs/lifecycle.md says it."""
    if event.kind is Kind.TIMEOUT and made.deadline is not None:
        now = made.deadline
    before = label(made), made.deadline
    done = [
        "spawn" if action.signal is None else SIGNALS[action.signal] for action in made.handle(event, now)
    ]
    return NOTHING if (label(made), made.deadline) == before and not done else ", ".join([label(made), *done])


def count(column):
    """How many `ways` there are."""
    return sum(1 for _ in ways(column))


def test_table_is_of_all_states():
    """The table names every state there is; with the kinds of event that is every pair."""
    assert set(DOCUMENTED) == set(STATES)
    assert {column.split()[0] for column in DOCUMENTED} == set(State)
    assert set(KINDS) == set(Kind)
    assert len(DOCUMENTED) * len(KINDS) == 13 * 14


@pytest.mark.parametrize("column", DOCUMENTED)
def test_every_pair_is_as_documented(column):
    """Each kind of event does in each state what the table has, all of it, and nothing else."""
    for kind, events in KINDS.items():
        seen = set()
        for event, number in itertools.product(events, range(count(column))):
            made, now = next(itertools.islice(ways(column), number, None))
            seen.add(outcome(made, event, now))

        assert seen == DOCUMENTED[column].get(kind, {NOTHING}), f"{column}: {kind.value}"


def test_page_is_of_the_table():
    """Every cell of docs/lifecycle.md is in the table here, which was written by hand."""
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    cells, columns = 0, []
    for name, *row in rows:
        if not name:
            columns = row
        elif set(name) != {"-"}:
            kind = EVENTS[name].kind
            for column, cell in zip(columns, row, strict=True):
                assert cell in DOCUMENTED[column].get(kind, set()) | {NOTHING}, (column, name)
                cells += cell != NOTHING

    assert cells == 76


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


def cases(column):
    """Each event, with each policy under which a service comes into the state of `column`."""
    for policy, event in itertools.product(POLICIES, EVENTS.values()):
        if reachable(column, policy):
            yield *machine(column, **policy), event


@pytest.mark.parametrize("late", [0.0, 1000.0])
@pytest.mark.parametrize("column", STATES)
def test_pair(column, late):
    """Each event is taken in each state, at most one thing is done, and the state's rules hold after it."""
    for made, begun, event in cases(column):
        before, deadline = made.state, made.deadline
        now = (begun if deadline is None or event is not TIMEOUT else deadline) + late
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
            longest = max(made.grace, KILL_PATIENCE, made.restart.max_delay, event.seconds)
            assert now <= made.deadline <= now + longest
        if made.state in {State.BACKOFF, State.STARTING, State.READY, State.WAITING}:
            assert made.wanted
        if event.kind is Kind.TIMEOUT and deadline is not None:
            assert made.deadline != deadline


@pytest.mark.parametrize("column", STATES)
def test_pair_is_settled(column):
    """A fact heard twice does nothing the second time, but for one of a new life or tree."""
    for made, now, event in cases(column):
        if made.handle(event, now) == [SPAWN] or event.kind is Kind.DOWN:
            continue
        after = made.state, made.wanted, made.deadline
        if event.kind in ENDS and made.state in RUNNING:
            continue  # leftovers: the next news of the kind is the tree's end
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
