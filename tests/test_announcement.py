"""Every sentence that is said of a service, word for word, with the fields that programs get."""

from types import SimpleNamespace

import pytest
from support.builders import exited, lifecycle, lost, spawn_failed, unhealthy
from support.lifecycle_table import EVENTS, STATES, machine

from devport.engine.announcement import announcement, signal_name, waiting
from devport.engine.job import Transition
from devport.engine.lifecycle import DOWN, GONE, READY, RESTART, SPAWNED, TIMEOUT, UP, Event, Kind

KNOWN = {"started", "ready", "not ready", "exited", "stopped", "failed", "killing", "unhealthy"}


def say(made, event, now=0.0, *, port=None, pid=4711, **facts):
    """Hand `event` to `made`; what is said of it: text and fields, None for nothing."""
    before = made.state
    made.handle(event, now)
    process = None if pid is None else SimpleNamespace(pid=pid)
    job = SimpleNamespace(name="web", lifecycle=made, process=process, facts=facts)
    said = announcement(Transition(job, before, event), port)
    return None if said is None else tuple(said)


def up(*events, **overrides):
    """A service that is up, and then met with `events`."""
    made = lifecycle(**overrides)
    for event in (UP, SPAWNED, *events):
        made.handle(event, 0)
    return made


def test_started():
    """A spawn is told with its pid."""
    made = lifecycle()
    made.handle(UP, 0)

    assert say(made, SPAWNED) == ("started (pid 4711)", {"event": "started", "pid": 4711})


def test_started_with_port():
    """And with its port, where it has one."""
    made = lifecycle()
    made.handle(UP, 0)

    assert say(made, SPAWNED, port=19000) == (
        "started (pid 4711, port 19000)",
        {"event": "started", "pid": 4711, "port": 19000},
    )


@pytest.mark.parametrize("status", [0, 1, 255])
def test_exited(status):
    """An end by itself is told with its status."""
    assert say(up(on="never"), exited(status)) == (
        f"exited with status {status}",
        {"event": "exited", "status": status},
    )


@pytest.mark.parametrize(("number", "name"), [(15, "SIGTERM"), (9, "SIGKILL"), (11, "SIGSEGV")])
def test_killed_by(number, name):
    """A death by signal is told by the signal's name, and for programs as a shell has it."""
    assert say(up(on="never"), exited(-number)) == (
        f"was killed by {name}",
        {"event": "exited", "status": 128 + number},
    )


def test_exited_while_starting():
    """An end before it was ready is told in the same words."""
    assert say(up(probed=True, on="never"), exited(3)) == (
        "exited with status 3",
        {"event": "exited", "status": 3},
    )


def test_exited_to_come_back():
    """What is started again after a while says when, so that the silence is no riddle."""
    assert say(up(delay=2.0), exited(3)) == (
        "exited with status 3, restarts in 2 s",
        {"event": "exited", "status": 3, "retry_in": 2.0},
    )


def test_exited_until_somebody_connects():
    """What the next connection starts does not say a time, which nothing happens at."""
    assert say(up(on="always"), exited(0), listening=True) == (
        "exited with status 0, waits for a connection",
        {"event": "exited", "status": 0},
    )


def test_stopped_to_come_back():
    """The same where devport ended it for a fault."""
    assert say(up(unhealthy()), exited(-15)) == (
        "stopped, restarts in 1 s",
        {"event": "stopped", "status": 143, "retry_in": 1.0},
    )


def test_exited_leaving_others():
    """What it leaves behind is mentioned, because stopping it may take a while."""
    assert say(up(), exited(0, leftovers=True)) == (
        "exited with status 0, leaving processes that are stopped now",
        {"event": "exited", "status": 0},
    )


def test_leftovers_gone():
    """Nothing more is said when they are gone."""
    assert say(up(exited(0, leftovers=True)), GONE) is None


@pytest.mark.parametrize("status", [126, 127])
def test_failed_to_start(status):
    """What cannot be executed fails, with the reason."""
    made = lifecycle(on="never")
    made.handle(UP, 0)

    assert say(made, spawn_failed(status, "cannot run x: Permission denied"), pid=None) == (
        "failed: cannot run x: Permission denied",
        {"event": "failed", "reason": "cannot run x: Permission denied", "status": status},
    )


def test_did_not_start():
    """What could not be executed and is tried again is not passed over in silence."""
    made = lifecycle(on="on_failure")
    made.handle(UP, 0)

    assert say(made, spawn_failed(127, "cannot run x: Permission denied"), pid=None) == (
        "did not start: cannot run x: Permission denied, restarts in 1 s",
        {"event": "failed", "reason": "cannot run x: Permission denied", "status": 127, "retry_in": 1.0},
    )


def test_given_up():
    """That it is not restarted any more is said together with how it ended."""
    reason = "exited with status 1; given up after 0 restarts"

    assert say(up(max=0), exited(1)) == (
        f"failed: {reason}",
        {"event": "failed", "reason": reason, "status": 1},
    )


def test_dependency_lost():
    """Who waited for what will never come hears why."""
    made = lifecycle(blocked=True)
    made.handle(UP, 0)

    assert say(made, lost("db failed")) == ("failed: db failed", {"event": "failed", "reason": "db failed"})


def test_unhealthy():
    """A stop that a probe brought about says what was wrong."""
    assert say(up(), unhealthy("no answer on :80")) == (
        "is being stopped: no answer on :80",
        {"event": "unhealthy"},
    )


def test_not_ready_in_time():
    """So does one that a start deadline brought about."""
    assert say(up(probed=True, start_timeout=30), TIMEOUT, 30) == (
        "is being stopped: not ready after 30 s",
        {"event": "unhealthy"},
    )


@pytest.mark.parametrize(("grace", "words"), [(5, "5 s"), (0.5, "0.5 s"), (90.0, "90 s")])
def test_killing(grace, words):
    """That somebody is killed for not having stopped is said with the grace they had."""
    assert say(up(DOWN, grace=grace), TIMEOUT, grace) == (
        f"did not stop within {words}, killing it",
        {"event": "killing", "grace": grace},
    )


def test_killing_on_request():
    """A second stop request is announced by whoever took it, not once for each service."""
    assert say(up(DOWN), DOWN) is None


@pytest.mark.parametrize("wishes", [(DOWN,), (RESTART,), (DOWN, DOWN)])
@pytest.mark.parametrize(("status", "shells"), [(0, 0), (3, 3), (-15, 143)])
def test_stopped(wishes, status, shells):
    """An end that devport brought about is `stopped`, whatever comes after it."""
    assert say(up(*wishes), exited(status)) == ("stopped", {"event": "stopped", "status": shells})


def test_stopped_when_the_tree_is_empty():
    """A stop is not told before the last of the tree has ended."""
    made = up(DOWN)

    assert say(made, exited(-15, leftovers=True)) is None
    assert say(made, GONE) == ("stopped", {"event": "stopped", "status": 143})


def test_immortal():
    """A process that survives SIGKILL is told as a failure."""
    assert say(up(DOWN, DOWN), TIMEOUT, 3) == (
        "failed: still running after SIGKILL",
        {"event": "failed", "reason": "still running after SIGKILL"},
    )


@pytest.mark.parametrize("event", [DOWN, RESTART, UP])
def test_nobodys_business(event):
    """That a service is asked to stop is not worth a line."""
    assert say(up(probed=True), event) is None


def test_readiness():
    """What a probe finds is told; without one a service is ready when it is started, which is said anyway."""
    refused = Event(Kind.UNREADY, reason="connection refused")

    assert say(up(probed=True), READY) == ("is ready", {"event": "ready"})
    assert say(up(READY, probed=True), refused) == (
        "is not ready: connection refused",
        {"event": "not ready", "reason": "connection refused"},
    )
    assert say(up(probed=True), refused) is None
    assert say(up(), READY) is None


def test_long_wait():
    """Whom it waits for."""
    assert waiting("db, migrate to succeed") == (
        "is waiting for db, migrate to succeed",
        {"event": "waiting", "needs": "db, migrate to succeed"},
    )


def test_signal_names():
    """Signals have their names, real-time ones their numbers."""
    assert [signal_name(number) for number in (1, 2, 15, 40)] == ["SIGHUP", "SIGINT", "SIGTERM", "signal 40"]


@pytest.mark.parametrize("column", STATES)
@pytest.mark.parametrize("name", EVENTS)
def test_any_transition(column, name):
    """Whatever happens in whatever state, what is said is one line with an event of a known name."""
    made, now = machine(column)
    event = EVENTS[name]
    before = made.state
    said = say(made, event, now if event is not TIMEOUT or made.deadline is None else made.deadline, pid=None)

    if said is not None:
        text, fields = said
        assert text
        assert "\n" not in text
        assert fields["event"] in KNOWN
    if made.state is not before and event.kind is Kind.EXITED:
        assert said is not None, "no end in silence"
