"""The rules of one service's life, one a test; time is a number, and nothing here runs anything."""

import pytest
from support.builders import GRACE, SIGINT, SIGKILL, exited, lifecycle, lost, spawn_failed, unhealthy

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
    State,
    describe,
)

STOP, KILL = Action(15), Action(SIGKILL)


def feed(machine, now, *events):
    """Hand `events` over at `now`; returns the last one's actions."""
    actions = []
    for event in events:
        actions = machine.handle(event, now)
    return actions


def up(now=0.0, **overrides):
    """A service that is up since `now`."""
    machine = lifecycle(**overrides)
    feed(machine, now, UP, SPAWNED)
    if machine.probed:
        feed(machine, now, READY)
    assert machine.state is State.READY
    return machine


def crash(machine, now, status=1):
    """It exits at `now`; returns the seconds until the next start, None where there will be none."""
    feed(machine, now, exited(status))
    return None if machine.deadline is None else machine.deadline - now


def revive(machine):
    """The backoff passes and it is spawned again; returns when."""
    now = machine.deadline
    assert machine.handle(TIMEOUT, now) == [SPAWN]
    feed(machine, now, SPAWNED)
    return now


# starting


def test_begins_stopped():
    """Before anybody wants it, a service is stopped, and nothing is due."""
    machine = lifecycle()

    assert (machine.state, machine.wanted, machine.deadline) == (State.STOPPED, False, None)


def test_up_spawns():
    """UP spawns at once where nothing is in the way."""
    machine = lifecycle()

    assert machine.handle(UP, 0) == [SPAWN]
    assert (machine.state, machine.wanted) == (State.STARTING, True)


def test_spawned_is_ready_without_probe():
    """Without a readiness probe, a service is ready once it executes."""
    machine = lifecycle()
    feed(machine, 0, UP, SPAWNED)

    assert (machine.state, machine.deadline) == (State.READY, None)


def test_probed_waits_for_ready():
    """With a readiness probe, only READY makes it ready."""
    machine = lifecycle(probed=True)
    feed(machine, 0, UP, SPAWNED)
    assert machine.state is State.STARTING
    feed(machine, 1, READY)

    assert machine.state is State.READY


def test_probed_without_timeout_waits_for_ever():
    """start_timeout None is no limit."""
    machine = lifecycle(probed=True)
    feed(machine, 0, UP, SPAWNED)

    assert machine.deadline is None


def test_start_timeout_counts_from_spawned():
    """The start deadline runs from the moment the process executes."""
    machine = lifecycle(probed=True, start_timeout=30)
    feed(machine, 0, UP)
    assert machine.deadline is None
    feed(machine, 2, SPAWNED)

    assert machine.deadline == 32


def test_ready_ends_the_start_deadline():
    """A service that became ready in time cannot be hit by its start deadline."""
    machine = lifecycle(probed=True, start_timeout=30)
    feed(machine, 0, UP, SPAWNED, READY)

    assert machine.deadline is None
    assert machine.handle(TIMEOUT, 31) == []
    assert machine.state is State.READY


def test_ready_clears_the_fault():
    """Once it is ready, what went wrong before is no longer said of it."""
    machine = up()
    crash(machine, 0.1)
    assert machine.fault == "exited with status 1"
    revive(machine)

    assert machine.fault == ""


def test_up_while_up_changes_nothing():
    """A wish that is fulfilled already does nothing."""
    machine = up()

    assert machine.handle(UP, 1) == []
    assert machine.state is State.READY


@pytest.mark.parametrize("status", [126, 127])
def test_spawn_failed_fails(status):
    """What cannot be executed fails for good where the policy restarts nothing."""
    machine = lifecycle(on="never")
    feed(machine, 0, UP)

    assert feed(machine, 0, spawn_failed(status, "cannot run x")) == []
    assert (State.FAILED, status, "cannot run x") == (machine.state, machine.status, machine.fault)


def test_spawn_failed_backs_off():
    """What cannot be executed counts as a crash."""
    machine = lifecycle(on="on_failure")
    feed(machine, 0, UP, spawn_failed())

    assert (machine.state, machine.deadline) == (State.BACKOFF, 1)


def test_spawn_failed_keeps_doubling():
    """A spawn that fails after a long life does not count that life's time as its own."""
    machine = up()
    crash(machine, 100)
    delays = []
    for _ in range(4):
        now = machine.deadline
        feed(machine, now, TIMEOUT, spawn_failed())
        delays.append(machine.deadline - now)

    assert delays == [2, 4, 8, 16]


def test_spawn_failed_after_stop_was_asked():
    """A stop asked for between the spawn and the news that it failed is over at once."""
    machine = lifecycle()
    feed(machine, 0, UP, DOWN)
    assert machine.state is State.STOPPING

    assert feed(machine, 0, spawn_failed()) == []
    assert (machine.state, machine.deadline) == (State.STOPPED, None)


def test_spawn_failed_after_restart_was_asked():
    """A restart asked for before the news that the spawn failed spawns again."""
    machine = lifecycle()
    feed(machine, 0, UP, RESTART)

    assert feed(machine, 0, spawn_failed()) == [SPAWN]


# dependencies


def test_blocked_waits():
    """A service whose dependencies are not met waits, with nothing due."""
    machine = lifecycle(blocked=True)

    assert machine.handle(UP, 0) == []
    assert (machine.state, machine.deadline) == (State.WAITING, None)


def test_met_starts_who_waits():
    """It starts once they are met."""
    machine = lifecycle(blocked=True)
    feed(machine, 0, UP)

    assert machine.handle(MET, 3) == [SPAWN]


def test_met_starts_nobody_else():
    """A met dependency starts nothing that nobody wants."""
    machine = lifecycle(blocked=True)

    assert machine.handle(MET, 0) == []
    assert machine.state is State.STOPPED
    assert machine.handle(UP, 0) == [SPAWN]


def test_lost_leaves_the_running_alone():
    """A dependency that goes away does not take the service with it."""
    machine = up()

    assert machine.handle(lost(), 1) == []
    assert machine.state is State.READY


def test_lost_holds_the_next_start():
    """After a dependency was lost, the next start waits for it, restart or backoff alike."""
    machine = up()
    feed(machine, 1, lost(), RESTART)
    assert feed(machine, 1, exited(-15)) == []
    assert machine.state is State.WAITING

    machine = up()
    feed(machine, 1, lost(), exited(1))
    assert machine.handle(TIMEOUT, 2) == []
    assert (machine.state, machine.deadline) == (State.WAITING, None)


def test_lost_for_good_fails_who_waits():
    """A dependency that can never be met fails who waits for it, with the reason."""
    machine = lifecycle(blocked=True)
    feed(machine, 0, UP)

    assert machine.handle(lost("db failed"), 1) == []
    assert (machine.state, machine.fault, machine.wanted) == (State.FAILED, "db failed", True)


def test_lost_for_now_goes_on_waiting():
    """Without a reason, a lost dependency is waited for."""
    machine = lifecycle(blocked=True)
    feed(machine, 0, UP, lost())

    assert machine.state is State.WAITING


def test_stop_while_waiting():
    """A stop while waiting is immediate."""
    machine = lifecycle(blocked=True)
    feed(machine, 0, UP)

    assert machine.handle(DOWN, 0) == []
    assert machine.state is State.STOPPED
    assert machine.handle(MET, 1) == []


def test_restart_while_waiting_goes_on_waiting():
    """A restart does not jump the queue."""
    machine = lifecycle(blocked=True)
    feed(machine, 0, UP)

    assert machine.handle(RESTART, 0) == []
    assert machine.state is State.WAITING


# ends: the truth table

ENDS = [  # policy, exit status, the state it leads to
    ("never", 0, State.EXITED),
    ("never", 1, State.EXITED),
    ("never", -9, State.EXITED),
    ("on_failure", 0, State.EXITED),
    ("on_failure", 1, State.BACKOFF),
    ("on_failure", 255, State.BACKOFF),
    ("on_failure", -15, State.BACKOFF),
    ("always", 0, State.BACKOFF),
    ("always", 1, State.BACKOFF),
    ("always", -9, State.BACKOFF),
]


@pytest.mark.parametrize("leftovers", [False, True])
@pytest.mark.parametrize(("on", "status", "state"), ENDS)
def test_end_by_itself(on, status, state, leftovers):
    """A service's own end goes by the policy and the status, whatever it leaves behind."""
    machine = up(on=on)
    feed(machine, 1, exited(status, leftovers=leftovers))
    if leftovers:
        feed(machine, 2, GONE)

    assert (state, status) == (machine.state, machine.status)


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize(("on", "state"), [("never", State.FAILED), ("on_failure", State.BACKOFF)])
def test_end_while_starting(on, state, probed):
    """One that ends before it was ready is judged by its status like any other."""
    machine = lifecycle(on=on, probed=probed)
    feed(machine, 0, UP, SPAWNED, exited(3))

    assert machine.state is (State.EXITED if on == "never" else state)


@pytest.mark.parametrize("status", [0, 1, -15])
@pytest.mark.parametrize("on", ["never", "on_failure", "always"])
def test_end_by_fault(on, status):
    """A stop that a fault brought about is a crash whatever the status: failed, or backoff."""
    machine = up(on=on)
    feed(machine, 1, unhealthy(), exited(status))

    assert machine.state is (State.FAILED if on == "never" else State.BACKOFF)
    assert machine.fault == "no answer"


@pytest.mark.parametrize("status", [0, 1, -15, -9])
@pytest.mark.parametrize("on", ["never", "on_failure", "always"])
def test_end_asked_for(on, status):
    """A stop that somebody asked for ends stopped, whatever the policy and the status say."""
    machine = up(on=on)
    feed(machine, 1, DOWN, exited(status))

    assert (machine.state, machine.deadline) == (State.STOPPED, None)


@pytest.mark.parametrize("status", [0, 1, -15, -9])
@pytest.mark.parametrize("on", ["never", "on_failure", "always"])
def test_restart_asked_for(on, status):
    """A restart starts again at once, whatever the policy and the status say."""
    machine = up(on=on)

    assert machine.handle(RESTART, 1) == [STOP]
    assert feed(machine, 1, exited(status)) == [SPAWN]
    assert machine.state is State.STARTING


@pytest.mark.parametrize("status", [0, 3, -15])
def test_success_statuses(status):
    """What counts as success is the policy's to say."""
    machine = up(success=frozenset({0, 3, -15}))
    feed(machine, 1, exited(status))

    assert (machine.state, machine.fault) == (State.EXITED, "")


def test_zero_need_not_be_success():
    """A policy without 0 among its successes counts 0 as a crash."""
    machine = up(success=frozenset({3}))

    assert crash(machine, 1, 0) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exited with status 0"), (255, "exited with status 255"), (-9, "killed by signal 9")],
)
def test_describe(status, words):
    """A status in words."""
    assert words == describe(status)


def test_status_of_the_last_life_only():
    """A new life has no status until it ends."""
    machine = up()
    crash(machine, 1)
    assert machine.status == 1
    revive(machine)

    assert machine.status is None


# backoff


def test_backoff_doubles_up_to_the_maximum():
    """1, 2, 4, 8, 16, 30, 30 seconds: doubled with each failure, up to max_delay."""
    machine = up()
    now, delays = 0.1, []
    for _ in range(8):
        delays.append(crash(machine, now))
        now = revive(machine) + 0.1

    assert pytest.approx(delays) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_backoff_of_ten_thousand_failures():
    """No number of failures overflows the delay."""
    machine = up()
    for _ in range(10_000):
        crash(machine, machine.ready_at)
        revive(machine)

    assert crash(machine, machine.ready_at) == 30


def test_backoff_values_are_the_policys():
    """Another delay and another maximum."""
    machine = up(delay=0.25, max_delay=0.6)
    now, delays = 0.0, []
    for _ in range(4):
        delays.append(crash(machine, now))
        now = revive(machine)

    assert pytest.approx(delays) == [0.25, 0.5, 0.6, 0.6]


def test_no_delay_is_a_deadline_of_now():
    """With `delay: 0` the restart is due at once, and still goes through the deadline."""
    machine = up(delay=0)

    assert crash(machine, 7) == 0
    assert machine.handle(TIMEOUT, 7) == [SPAWN]


def test_early_timeout_changes_nothing():
    """A timeout before the deadline is no timeout."""
    machine = up()
    crash(machine, 10)

    assert machine.handle(TIMEOUT, 10.999) == []
    assert machine.state is State.BACKOFF
    assert machine.handle(TIMEOUT, 11) == [SPAWN]


def test_long_life_resets_the_delay():
    """After 5 seconds up, the next failure is the first again."""
    machine = up()
    crash(machine, 0.1)
    now = revive(machine)

    assert crash(machine, now + 5) == 1


def test_short_life_does_not():
    """Less than 5 seconds is not staying up."""
    machine = up()
    crash(machine, 0.1)
    now = revive(machine)

    assert crash(machine, now + 4.999) == pytest.approx(2)


def test_time_to_die_is_not_time_up():
    """A service that took long to stop after a fault has not stayed up for that time."""
    machine = up()
    crash(machine, 0.1)
    now = revive(machine)
    feed(machine, now + 1, unhealthy())
    feed(machine, now + 6, TIMEOUT, exited(-9))

    assert machine.deadline - (now + 6) == 2


def test_time_of_leftovers_is_not_time_up():
    """Neither has one whose leftovers took long to end."""
    machine = up()
    crash(machine, 0.1)
    now = revive(machine)
    feed(machine, now + 1, exited(1, leftovers=True))
    feed(machine, now + 7, GONE)

    assert machine.deadline - (now + 7) == 2


def test_time_until_ready_is_not_time_up():
    """A service that never became ready in 30 seconds has not been up for one of them."""
    machine = lifecycle(probed=True, start_timeout=30, max=3)
    machine.handle(UP, 0)
    now, delays = 0.0, []
    for _ in range(4):
        feed(machine, now, SPAWNED)
        now = machine.deadline
        feed(machine, now, TIMEOUT, exited(-15))
        if machine.state is State.BACKOFF:
            delays.append(machine.deadline - now)
            now = machine.deadline
            feed(machine, now, TIMEOUT)

    assert delays == [1, 2, 4]
    assert machine.fault == "not ready after 30 s; given up after 3 restarts"


def test_stop_during_backoff_is_immediate():
    """A stop during backoff takes effect at once, and nothing is due any more."""
    machine = up()
    crash(machine, 1)

    assert machine.handle(DOWN, 1.5) == []
    assert (machine.state, machine.deadline) == (State.STOPPED, None)
    assert machine.handle(TIMEOUT, 2) == []


@pytest.mark.parametrize("wish", [UP, RESTART])
def test_wish_during_backoff_starts_at_once(wish):
    """Somebody who wants it now does not wait for the backoff."""
    machine = up()
    crash(machine, 1)

    assert machine.handle(wish, 1.5) == [SPAWN]


@pytest.mark.parametrize("wish", [UP, RESTART])
def test_wish_forgives(wish):
    """A wish starts the delays and the budget afresh."""
    machine = up(max=2)
    crash(machine, 0.5)
    revive(machine)
    crash(machine, machine.ready_at)
    feed(machine, machine.deadline - 0.5, wish, SPAWNED)

    assert crash(machine, machine.ready_at) == 1
    revive(machine)
    assert crash(machine, machine.ready_at) == 2


# the budget


def failures(machine, gap=0.0):
    """Crash `gap` seconds after each start until it is given up; how many restarts there were."""
    count = 0
    while crash(machine, machine.ready_at + gap) is not None:
        revive(machine)
        count += 1
        if count > 1000:
            return None
    return count


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 17])
def test_budget(limit):
    """At most `max` restarts, then failed, and the fault says how it came to that."""
    machine = up(max=limit)

    assert failures(machine) == limit
    assert machine.state is State.FAILED
    assert machine.fault == f"exited with status 1; given up after {limit} restart{'' if limit == 1 else 's'}"


def test_no_budget():
    """`max: null` is no limit."""
    assert failures(up(max=None)) is None


def test_budget_is_refilled_by_staying_up():
    """Without a window, a life of 5 seconds refills the budget."""
    assert failures(up(max=3), gap=5) is None
    assert failures(up(max=3), gap=4.9) == 3


def test_budget_within_window():
    """With a window, only the restarts within it count."""
    machine = up(max=3, window=60, max_delay=1)

    assert failures(machine, gap=18) == 3
    assert failures(up(max=3, window=60, max_delay=1), gap=19) is None


def test_budget_of_window_survives_a_long_life():
    """With a window, staying up resets the delay but not the count."""
    machine = up(max=2, window=60)

    assert failures(machine, gap=6) == 2


def test_budget_counts_successes_restarted():
    """With `always`, a restart after a success is one of the budget too."""
    machine = up(on="always", max=1)
    crash(machine, 0, 0)
    revive(machine)
    crash(machine, machine.ready_at, 0)

    assert machine.state is State.FAILED
    assert machine.fault == "exited with status 0; given up after 1 restart"


@pytest.mark.parametrize("wish", ["restart", "stop and up"])
def test_wished_restarts_count_nothing(wish):
    """A restart by a user or a file change is none of the budget, and has no delay."""
    machine = up(max=1)
    for i in range(50):
        feed(machine, i, *([RESTART] if wish == "restart" else [DOWN, UP]))
        assert feed(machine, i, exited(-15)) == [SPAWN]
        feed(machine, i, SPAWNED)

    assert crash(machine, 50) == 1


@pytest.mark.parametrize("event", [unhealthy(), exited(1), exited(-9)])
def test_faults_count(event):
    """A failed probe is one of the budget as a crash is."""
    machine = up(max=1)
    for _ in range(2):
        feed(machine, 1, event)
        if machine.state is State.STOPPING:
            feed(machine, 1, exited(0))
        if machine.state is State.BACKOFF:
            revive(machine)

    assert machine.state is State.FAILED


@pytest.mark.parametrize("wish", [UP, RESTART])
def test_given_up_can_be_started_again(wish):
    """Who was given up starts again when somebody wants it, with a full budget."""
    machine = up(max=1)
    failures(machine)
    assert machine.handle(wish, 100) == [SPAWN]
    feed(machine, 100, SPAWNED)

    assert failures(machine) == 1


# health


def test_unhealthy_stops():
    """A service found unhealthy is stopped like any other: signal, grace, SIGKILL."""
    machine = up()

    assert machine.handle(unhealthy("no answer on :8080"), 10) == [STOP]
    assert (machine.state, machine.deadline, machine.cause) == (State.STOPPING, 10 + GRACE, Cause.FAULT)
    assert machine.fault == "no answer on :8080"


def test_not_ready_in_time_stops():
    """So is one that is not ready by its start deadline."""
    machine = lifecycle(probed=True, start_timeout=2.5)
    feed(machine, 0, UP, SPAWNED)

    assert machine.handle(TIMEOUT, 2.5) == [STOP]
    assert machine.fault == "not ready after 2.5 s"


def test_unhealthy_while_stopping_changes_nothing():
    """What is being stopped is not stopped again for being unhealthy."""
    machine = up()
    feed(machine, 1, DOWN)

    assert machine.handle(unhealthy(), 2) == []
    assert (machine.cause, machine.deadline) == (Cause.ASKED, 1 + GRACE)


def test_stop_wins_over_fault():
    """A stop asked for while a fault is being dealt with ends stopped, without backoff."""
    machine = up()
    feed(machine, 1, unhealthy())

    assert machine.handle(DOWN, 2) == []
    feed(machine, 3, exited(-15))
    assert machine.state is State.STOPPED


@pytest.mark.parametrize("wish", [UP, RESTART])
def test_wish_wins_over_fault(wish):
    """A start asked for while a fault is being dealt with comes without backoff."""
    machine = up()
    feed(machine, 1, unhealthy())

    assert machine.handle(wish, 2) == []
    assert feed(machine, 3, exited(-15)) == [SPAWN]
    assert machine.budget.failures == 0


# stopping


@pytest.mark.parametrize("number", [SIGINT, 15, 1, 10])
def test_stop_signal_is_the_services(number):
    """Stopping sends the service's own stop signal, and a deadline follows after its grace."""
    machine = up(stop_signal=number, grace=7)

    assert machine.handle(DOWN, 100) == [Action(number)]
    assert (machine.state, machine.wanted, machine.deadline) == (State.STOPPING, False, 107)


def test_grace_passed_kills():
    """Who has not ended within the grace is killed."""
    machine = up()
    feed(machine, 0, DOWN)

    assert machine.handle(TIMEOUT, GRACE) == [KILL]
    assert (machine.state, machine.deadline) == (State.KILLING, GRACE + KILL_PATIENCE)


def test_no_grace():
    """A grace of 0 kills with the next turn."""
    machine = up(grace=0)
    feed(machine, 3, DOWN)

    assert machine.handle(TIMEOUT, 3) == [KILL]


def test_second_stop_kills():
    """A second stop request while stopping kills at once."""
    machine = up()
    feed(machine, 0, DOWN)

    assert machine.handle(DOWN, 0.5) == [KILL]
    assert (machine.state, machine.deadline) == (State.KILLING, 0.5 + KILL_PATIENCE)


def test_third_stop_changes_nothing():
    """There is nothing stronger than SIGKILL, and its deadline is not put off."""
    machine = up()
    feed(machine, 0, DOWN, DOWN)

    assert machine.handle(DOWN, 1) == []
    assert machine.deadline == KILL_PATIENCE


def test_stop_during_restart_is_the_first():
    """The stop that a restart began is not the user's: the first DOWN only takes the wish back."""
    machine = up()
    feed(machine, 0, RESTART)

    assert machine.handle(DOWN, 1) == []
    assert (machine.state, machine.wanted, machine.deadline) == (State.STOPPING, False, GRACE)
    assert machine.handle(DOWN, 2) == [KILL]


def test_up_while_stopping_starts_afterwards():
    """A start asked for while stopping waits until the tree is empty."""
    machine = up()
    feed(machine, 0, DOWN)

    assert machine.handle(UP, 1) == []
    assert (machine.state, machine.deadline) == (State.STOPPING, GRACE)
    assert feed(machine, 2, exited(-15)) == [SPAWN]


def test_up_while_killing_starts_afterwards():
    """So does one asked for while killing."""
    machine = up()
    feed(machine, 0, DOWN, DOWN)

    assert machine.handle(UP, 1) == []
    assert feed(machine, 2, exited(-9)) == [SPAWN]


def test_last_wish_wins():
    """Stop, start, stop while stopping: it ends stopped."""
    machine = up()
    feed(machine, 0, DOWN, UP, DOWN)
    assert machine.state is State.STOPPING
    feed(machine, 1, exited(0))

    assert machine.state is State.STOPPED


def test_survives_sigkill():
    """A process that the kernel will not let die is given up, and that is said."""
    machine = up()
    feed(machine, 0, DOWN, DOWN)

    assert machine.handle(TIMEOUT, KILL_PATIENCE) == []
    assert (machine.state, machine.deadline) == (State.FAILED, None)
    assert machine.fault == "still running after SIGKILL"


def test_end_while_killing():
    """Who ends by SIGKILL ended because somebody asked for it."""
    machine = up()
    feed(machine, 0, DOWN, DOWN, exited(-9))

    assert (machine.state, machine.status) == (State.STOPPED, -9)


def test_stop_while_starting():
    """A stop while starting stops what was spawned."""
    machine = lifecycle(probed=True, start_timeout=30)
    feed(machine, 0, UP, SPAWNED)

    assert machine.handle(DOWN, 1) == [STOP]
    assert machine.deadline == 1 + GRACE


def test_news_of_the_spawn_while_stopping():
    """That it was spawned, or became ready, changes nothing for one that is being stopped."""
    machine = lifecycle()
    feed(machine, 0, UP, DOWN)

    assert feed(machine, 0, SPAWNED) == feed(machine, 1, READY) == []
    assert (machine.state, machine.deadline) == (State.STOPPING, GRACE)


@pytest.mark.parametrize("state", ["exited", "failed", "stopped"])
def test_stop_at_rest_changes_nothing(state):
    """A stop of what is at rest does nothing but take the wish back."""
    machine = {
        "exited": up,
        "failed": lambda: up(max=0),
        "stopped": lifecycle,
    }[state]()
    if state != "stopped":
        crash(machine, 1, 0 if state == "exited" else 1)
    before = machine.state

    assert machine.handle(DOWN, 2) == []
    assert (before, False, state) == (machine.state, machine.wanted, str(machine.state))


# leftovers


def test_leftovers_are_stopped_too():
    """What an ended process leaves behind gets the stop signal and the grace."""
    machine = up()

    assert machine.handle(exited(0, leftovers=True), 10) == [STOP]
    assert (machine.state, machine.deadline, machine.cause) == (State.STOPPING, 10 + GRACE, Cause.ENDED)


def test_leftovers_are_killed():
    """And SIGKILL after it."""
    machine = up()
    feed(machine, 0, exited(0, leftovers=True))

    assert machine.handle(TIMEOUT, GRACE) == [KILL]


def test_nothing_starts_before_the_tree_is_empty():
    """A crash that leaves others behind is followed by its backoff only once they are gone."""
    machine = up()
    feed(machine, 0, exited(1, leftovers=True))
    assert machine.state is State.STOPPING

    assert machine.handle(GONE, 3) == []
    assert (machine.state, machine.deadline) == (State.BACKOFF, 4)


def test_leftovers_of_a_stop():
    """A stop is finished when the tree is empty, not when its leader has ended, and its grace goes on."""
    machine = up()
    feed(machine, 0, DOWN)

    assert machine.handle(exited(-15, leftovers=True), 1) == []
    assert (machine.state, machine.deadline, machine.status) == (State.STOPPING, GRACE, -15)
    assert machine.handle(GONE, 2) == []
    assert machine.state is State.STOPPED


def test_leftovers_of_a_restart():
    """A restart waits for the whole tree."""
    machine = up()
    feed(machine, 0, RESTART)

    assert machine.handle(exited(0, leftovers=True), 1) == []
    assert machine.handle(GONE, 2) == [SPAWN]


def test_leftovers_while_killing():
    """Leftovers of a killed process keep the deadline that the kill set."""
    machine = up()
    feed(machine, 0, DOWN, DOWN)

    assert machine.handle(exited(-9, leftovers=True), 1) == []
    assert (machine.state, machine.deadline) == (State.KILLING, KILL_PATIENCE)
    feed(machine, 2, GONE)
    assert machine.state is State.STOPPED


def test_stop_asked_for_while_leftovers_end():
    """A stop asked for meanwhile ends stopped; asked for twice it kills them."""
    machine = up(on="always")
    feed(machine, 0, exited(1, leftovers=True))

    assert machine.handle(DOWN, 1) == []
    assert machine.handle(DOWN, 2) == [KILL]
    feed(machine, 2, GONE)
    assert machine.state is State.STOPPED


def test_restart_asked_for_while_leftovers_end():
    """A restart asked for meanwhile comes without backoff and counts nothing."""
    machine = up(max=0)
    feed(machine, 0, exited(1, leftovers=True), RESTART)

    assert machine.handle(GONE, 1) == [SPAWN]


@pytest.mark.parametrize("event", [exited(1), exited(0, leftovers=True), GONE, SPAWNED, READY, unhealthy()])
def test_facts_about_nothing_change_nothing(event):
    """A fact about a process that is not there is ignored."""
    machine = lifecycle()

    assert machine.handle(event, 1) == []
    assert (machine.state, machine.status, machine.deadline) == (State.STOPPED, None, None)
