"""Waiting for services that other supervisors run: events over control sockets, whoever comes first."""

import signal

import pytest
from support import background, procs
from support.procs import eventually

machine, plain = background.machine, background.plain

PAIR = """
processes:
  db:
    exec: echo db is up; until [ -e ready ]; do sleep 0.02; done; echo now; exec sleep 1000
    ready: {log: now}
  web:
    exec: echo web is up; exec sleep 1000
    after: db
"""


def reached(machine, name, state):
    """Wait until the service `name` is in `state`; its row."""

    def check():
        row = machine.row(name)
        assert row["state"] == state, row
        return row

    return eventually(check, 20)


def test_parked_until_somebody_starts_it(machine, devport):
    """Who waits for what nobody starts is parked; it follows by itself when that is started later (A7)."""
    devport.write("devport.yaml", PAIR.replace("  db:\n", "  db:\n    start: false\n"))
    machine.detach("web")
    assert reached(machine, "web", "waiting")["waiting_for"] == "db"
    machine.detach("db")
    assert machine.row("web")["state"] == "waiting"
    devport.write("ready", "")
    reached(machine, "web", "ready")
    machine.do("down")
    machine.nothing_left()


def test_a_supervisor_that_is_killed(machine, devport):
    """Who waits goes on waiting, and follows the next life of what it waits for."""
    devport.write("devport.yaml", PAIR)
    machine.detach()
    db = reached(machine, "db", "starting")
    reached(machine, "web", "waiting")
    procs.send(machine.supervisor(db["hash"]), signal.SIGKILL)
    machine.ended(db["hash"])
    assert machine.row("web")["state"] == "waiting"
    devport.write("ready", "")
    machine.detach()
    reached(machine, "web", "ready")


def test_stopped_and_started_again(plain, devport):
    """A stop of what is waited for keeps the others waiting; a start lets them go."""
    devport.write("devport.yaml", PAIR)
    plain.detach()
    reached(plain, "web", "waiting")
    plain.do("stop", "db")
    assert plain.row("web")["state"] == "waiting"
    devport.write("ready", "")
    plain.do("restart", "db")
    reached(plain, "web", "ready")


def test_failed_for_good(plain, devport):
    """What is waited for gives up: who waits fails with the reason."""
    devport.write(
        "devport.yaml",
        PAIR.replace("echo now; exec sleep 1000", "exit 3").replace(
            "    ready: {log: now}",
            "    ready: {log: now}\n    restart: {on: on_failure, max: 1, delay: 0.05}",
        ),
    )
    plain.detach()
    reached(plain, "web", "waiting")
    devport.write("ready", "")
    row = reached(plain, "web", "failed")

    assert row["error"] == "db failed: exited with status 3; given up after 1 restart"


def test_foreground_waits_for_the_background(plain, devport):
    """What runs in the background counts for a run in a window, and is left alone by it."""
    devport.write("devport.yaml", PAIR)
    plain.detach("db")
    run = devport.start("web")
    run.expect_error(rb"db is already running")
    reached(plain, "web", "waiting")
    devport.write("ready", "")
    run.expect(rb"web is up")
    run.stop(signal.SIGINT)

    assert plain.row("db")["state"] == "ready"


def test_background_waits_for_the_foreground(plain, devport):
    """And the other way round."""
    devport.write("devport.yaml", PAIR)
    run = devport.start("db")
    run.expect(rb"db is up")
    plain.call("start", "-d", "--no-tmux", "web")
    reached(plain, "web", "waiting")
    devport.write("ready", "")
    reached(plain, "web", "ready")
    run.stop(signal.SIGINT)
    assert plain.row("web")["state"] == "ready"


def test_background_first(plain, devport):
    """Who waits is there before what it waits for, which then runs in a window."""
    devport.write("devport.yaml", PAIR.replace("  db:\n", "  db:\n    start: false\n"))
    devport.write("ready", "")
    plain.detach("web")
    reached(plain, "web", "waiting")
    run = devport.start("db")
    reached(plain, "web", "ready")
    run.stop(signal.SIGINT)


@pytest.mark.timeout(600)
def test_a_hundred_in_a_chain(plain, devport):
    """Each waits for the one before it, each under a supervisor of its own."""
    devport.claim(120)
    lines = ["processes:", "  n0: {exec: exec sleep 1000}"]
    lines += [f"  n{number}: {{exec: exec sleep 1000, after: n{number - 1}}}" for number in range(1, 100)]
    devport.write("devport.yaml", "\n".join([*lines, ""]))
    plain.call("start", "-d", "--no-tmux", timeout=240)

    def check():
        assert {row["state"] for row in plain.ls().values()} == {"ready"}

    eventually(check, 120)
    plain.call("down", timeout=240)
    plain.nothing_left()


@pytest.mark.parametrize("more", [", web: {exec: exec sleep 1000, after: db}", ""])
def test_what_is_not_ready_for_long_is_told_with_its_reason(devport, more):
    """Who waits is not enough: it helps to know why the other one keeps them waiting."""
    db = "db: {exec: exec sleep 1000, ready: {exec: exit 7}}"
    devport.write("devport.yaml", f"processes: {{{db}{more}}}")
    run = devport.start("--no-timestamp")
    run.expect(rb"db is not ready: exited with status 7\n")
    if more:
        run.expect(rb"web is waiting for db\n")
    run.stop(signal.SIGINT)
