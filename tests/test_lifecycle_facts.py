"""The rules about probes, extensions, `external` services and what others may know of a life, one a test."""

import pytest
from support.builders import GRACE, SIGKILL, exited, lifecycle, lost, spawn_failed

from devport.engine.lifecycle import (
    DOWN,
    GONE,
    KILL_PATIENCE,
    MET,
    READY,
    RESTART,
    SPAWN,
    SPAWNED,
    TIMEOUT,
    UP,
    Action,
    Cause,
    Event,
    Kind,
    State,
)

STOP, KILL = Action(15), Action(SIGKILL)
REFUSED = Event(Kind.UNREADY, reason="connection refused")


def extended(seconds):
    """It takes so much longer."""
    return Event(Kind.EXTENDED, seconds=seconds)


def fed(machine, now, *events):
    """Hand `events` over at `now`; returns the last one's actions."""
    actions = []
    for event in events:
        actions = machine.handle(event, now)
    return actions


def ready(now=0.0, **overrides):
    """A service with a probe, ready since `now`."""
    machine = lifecycle(**{"probed": True, "start_timeout": 30.0, **overrides})
    fed(machine, now, UP, SPAWNED, READY)
    assert machine.state is State.READY
    return machine


# what the documents have as numbers


def test_patience_after_sigkill():
    """What SIGKILL does not end is given up after 3 seconds."""
    assert KILL_PATIENCE == 3.0


def test_what_an_event_says_by_default():
    """An event says no more than it has to."""
    assert Event(Kind.UP) == (Kind.UP, 0, "", False, "", 0.0)
    assert Action() == (None,)


# a probe's answers


def test_not_ready_while_starting_is_a_reason():
    """What a probe says of a service that is not up yet changes nothing but what is told people."""
    machine = lifecycle(probed=True, start_timeout=30)
    fed(machine, 0, UP, SPAWNED)

    assert machine.handle(REFUSED, 1) == []
    assert (machine.state, machine.deadline, machine.unready) == (State.STARTING, 30, "connection refused")


def test_no_longer_ready_is_starting_again():
    """A service that is no longer ready goes on, with no deadline: it is not started again for this."""
    machine = ready()

    assert machine.handle(REFUSED, 100) == []
    assert (machine.state, machine.deadline, machine.unready) == (State.STARTING, None, "connection refused")
    assert machine.handle(READY, 101) == []
    assert (machine.state, machine.unready) == (State.READY, "")


def test_not_ready_says_why_it_is_stopped():
    """Who is not ready in time is stopped for what the probe found last."""
    machine = lifecycle(probed=True, start_timeout=2.5)
    fed(machine, 0, UP, SPAWNED, REFUSED, TIMEOUT)
    assert machine.handle(TIMEOUT, 2.5) == [STOP]

    assert machine.fault == "not ready after 2.5 s: connection refused"


def test_reason_is_of_this_life():
    """A new life does not inherit why the last one was not ready."""
    machine = lifecycle(probed=True, start_timeout=30)
    fed(machine, 0, UP, SPAWNED, REFUSED, RESTART, exited(-15))

    assert (machine.state, machine.unready) == (State.STARTING, "")


def test_flapping_is_not_staying_up():
    """Time up counts from when it was ready last: 4 s, a pause and 4 s are not 5 s."""
    machine = ready(start_timeout=None)
    fed(machine, 0.1, exited(1))
    fed(machine, 2, TIMEOUT, SPAWNED, READY)
    fed(machine, 6, REFUSED)
    fed(machine, 20, READY)
    fed(machine, 24, exited(1))

    assert machine.deadline == 24 + 2


def test_long_life_counts_when_it_is_no_longer_ready():
    """5 s of being ready make up for what was before, also when it ends long after them."""
    machine = ready(start_timeout=None)
    fed(machine, 0.1, exited(1))
    fed(machine, 2, TIMEOUT, SPAWNED, READY)
    fed(machine, 7, REFUSED, exited(1))

    assert machine.deadline == 7 + 1


@pytest.mark.parametrize("event", [READY, REFUSED, Event(Kind.UNHEALTHY, reason="no answer"), SPAWNED])
@pytest.mark.parametrize("wishes", [(DOWN,), (DOWN, DOWN), (RESTART,)])
def test_news_of_what_is_being_ended(event, wishes):
    """Nothing that is said of a service changes that it is being ended, or when."""
    machine = ready()
    fed(machine, 0, *wishes)
    before = machine.state, machine.deadline, machine.cause, machine.unready

    assert machine.handle(event, 1) == []
    assert before == (machine.state, machine.deadline, machine.cause, machine.unready)


def test_watchdog_chooses_the_signal():
    """A missed watchdog ends it by SIGABRT, after that by SIGKILL as any."""
    machine = ready()

    assert machine.handle(Event(Kind.UNHEALTHY, 6, "watchdog"), 1) == [Action(6)]
    assert machine.handle(TIMEOUT, 1 + GRACE) == [KILL]


# more time


def test_extended_start():
    """EXTEND_TIMEOUT_USEC moves the start deadline, counted from now."""
    machine = lifecycle(probed=True, start_timeout=30)
    fed(machine, 0, UP, SPAWNED)

    assert machine.handle(extended(60), 10) == []
    assert machine.deadline == 70


def test_extended_stop():
    """And the grace of a stop."""
    machine = ready()
    fed(machine, 0, DOWN, extended(20))

    assert machine.deadline == 20
    assert machine.handle(TIMEOUT, GRACE) == []
    assert machine.handle(TIMEOUT, 20) == [KILL]


def test_extended_is_never_shorter():
    """It brings no deadline nearer."""
    machine = lifecycle(probed=True, start_timeout=30)
    fed(machine, 0, UP, SPAWNED, extended(1))

    assert machine.deadline == 30


def test_extended_where_nothing_is_due():
    """It makes no deadline where there is none."""
    machine = ready()
    fed(machine, 0, extended(1))
    assert machine.deadline is None

    machine = lifecycle(probed=True)
    fed(machine, 0, UP, SPAWNED, extended(1))
    assert machine.deadline is None


def test_extended_puts_off_neither_a_kill_nor_a_restart():
    """SIGKILL is not waited for longer, nor is a delay longer than it was."""
    machine = ready()
    fed(machine, 0, DOWN, DOWN, extended(60))
    assert machine.deadline == KILL_PATIENCE

    machine = ready()
    fed(machine, 0, exited(1), extended(60))
    assert (machine.state, machine.deadline) == (State.BACKOFF, 1)


# what others may know


def test_begun():
    """A service has begun once it was spawned, until it is asked for anew; also through its backoff."""
    machine = lifecycle()
    assert machine.begun is False
    fed(machine, 0, UP)
    assert machine.begun is False
    fed(machine, 0, SPAWNED)
    assert machine.begun is True
    fed(machine, 0, exited(1))
    assert machine.begun is True
    fed(machine, 0.5, UP)
    assert (machine.state, machine.begun) == (State.STARTING, True)


@pytest.mark.parametrize("wish", [UP, RESTART])
@pytest.mark.parametrize("end", [(exited(0),), (DOWN, exited(0))])
def test_begun_is_over_at_rest(end, wish):
    """Whoever has ended and is asked for again has not begun before it is spawned."""
    machine = lifecycle()
    fed(machine, 0, UP, SPAWNED, *end)
    assert machine.begun is True
    fed(machine, 1, wish)
    assert machine.begun is False


def test_not_begun_by_a_failed_spawn():
    """What could not be executed has not begun."""
    machine = lifecycle(on="never")
    fed(machine, 0, UP, spawn_failed())

    assert (machine.state, machine.begun) == (State.FAILED, False)


def test_was_ready():
    """Whether the last life was ready is known after it, until the next one begins."""
    machine = ready()
    fed(machine, 0, exited(1))
    assert machine.was_ready is True
    fed(machine, 1, TIMEOUT)
    assert machine.was_ready is False


def test_what_is_waited_for():
    """What people are told a service waits for is what was said last."""
    machine = lifecycle(blocked=True)
    fed(machine, 0, UP, Event(Kind.LOST, needs="db to be ready"))
    assert machine.needs == "db to be ready"
    fed(machine, 1, MET)
    assert machine.needs == ""


def test_lost_for_good_while_it_runs():
    """It fails when it would be started again, with that reason."""
    machine = ready()
    fed(machine, 0, lost("db failed"), exited(1))

    assert machine.handle(TIMEOUT, 1) == []
    assert (machine.state, machine.fault) == (State.FAILED, "db failed")


def test_waiting_keeps_what_went_wrong():
    """Who waits after a crash still says of what."""
    machine = ready()
    fed(machine, 0, lost(), exited(1))
    fed(machine, 1, TIMEOUT)

    assert (machine.state, machine.fault) == (State.WAITING, "exited with status 1")


# external


def brought(**overrides):
    """An `external` service whose command has ended well; ready, unless a probe is to say so."""
    machine = lifecycle(external=True, **overrides)
    fed(machine, 0, UP, SPAWNED)
    assert (machine.state, machine.was_ready) == (State.STARTING, False)
    assert machine.handle(exited(0), 1) == []
    return machine


def test_external_is_up_when_its_command_has_ended():
    """The end of the command is no end: without a probe it is ready then."""
    machine = brought()

    assert (machine.state, machine.deadline, machine.status) == (State.READY, None, None)


def test_external_with_a_probe_is_up_when_that_says_so():
    """With one, only that makes it ready, before or after the end of the command."""
    machine = brought(probed=True, start_timeout=30)
    assert (machine.state, machine.deadline) == (State.STARTING, 30)
    fed(machine, 2, READY)
    assert machine.state is State.READY

    machine = lifecycle(external=True, probed=True)
    fed(machine, 0, UP, SPAWNED, READY)
    assert machine.handle(exited(0), 1) == []
    assert (machine.state, machine.ready_at) == (State.READY, 0)


def test_external_that_cannot_be_brought_up():
    """Where the command fails, what it may have brought up is taken down; then the policy decides."""
    machine = lifecycle(external=True)
    fed(machine, 0, UP, SPAWNED)

    assert machine.handle(exited(3), 1) == [STOP]
    assert (machine.state, machine.cause, machine.deadline) == (State.STOPPING, Cause.ENDED, 1 + GRACE)
    assert (machine.fault, machine.status) == ("exited with status 3", 3)
    assert machine.handle(GONE, 2) == []
    assert (machine.state, machine.deadline) == (State.BACKOFF, 3)


def test_external_that_is_no_longer_ready_is_brought_up_again():
    """There is no process whose end would tell that it is down."""
    machine = brought()

    assert machine.handle(REFUSED, 10) == [STOP]
    assert (machine.state, machine.cause, machine.fault) == (
        State.STOPPING,
        Cause.FAULT,
        "connection refused",
    )
    fed(machine, 11, GONE)
    assert machine.state is State.BACKOFF


def test_external_is_stopped_once_its_command_has_ended():
    """A stop while the command runs ends that first, and then what it brought up, in the same grace."""
    machine = lifecycle(external=True)
    fed(machine, 0, UP, SPAWNED)
    assert machine.handle(DOWN, 1) == [STOP]

    assert machine.handle(exited(-15), 2) == [STOP]
    assert (machine.state, machine.deadline) == (State.STOPPING, 1 + GRACE)
    fed(machine, 3, GONE)
    assert machine.state is State.STOPPED


def test_external_whose_command_had_to_be_killed():
    """What it brought up is taken down all the same, with a grace of its own."""
    machine = lifecycle(external=True)
    fed(machine, 0, UP, SPAWNED, DOWN, DOWN)
    assert machine.state is State.KILLING

    assert machine.handle(exited(-9), 2) == [STOP]
    assert (machine.state, machine.deadline, machine.status) == (State.STOPPING, 2 + GRACE, -9)
    fed(machine, 3, GONE)
    assert machine.state is State.STOPPED


@pytest.mark.parametrize("wish", [UP, RESTART])
def test_external_killed_to_be_started_again(wish):
    """A start that was asked for meanwhile is not forgotten by that."""
    machine = lifecycle(external=True)
    fed(machine, 0, UP, SPAWNED, DOWN, DOWN, wish, exited(-9))

    assert (machine.state, machine.cause) == (State.STOPPING, Cause.ASKED)
    assert machine.handle(GONE, 3) == [SPAWN]
