"""Services that are ended by a command, and those that are nothing but what a command brought up."""

import os

import pytest
from support import procs
from support.engine import Latency, engine, make_job, run_until, start

from devport.engine.lifecycle import DOWN, READY, RESTART, Event, Kind, State
from devport.sources.stopper import Stopper

TRAP = "trap 'exit 0' USR1; trap '' TERM; echo up; while :; do sleep 0.02; done"


@pytest.fixture
def loop():
    """A loop of the test's own."""
    with engine() as made:
        tick = Latency(made, 0.02)  # so that files are looked at again
        yield made
        tick.close()


def sh(text):
    """The words for a shell."""
    return ("/bin/sh", "-c", text)


def is_reaped(pid):
    """Whether nothing is left of `pid`; a zombie is what the loop has still to see."""
    return not os.path.exists(f"/proc/{pid}")


def up(loop, job):
    """Start `job`, and wait until it is ready."""
    start(loop, job)
    run_until(loop, lambda: job.lifecycle.state is State.READY)


def down(loop, job):
    """Stop `job`, and wait until it is."""
    loop.send(job, DOWN)
    run_until(loop, lambda: job.lifecycle.state is State.STOPPED)


def test_command_instead_of_the_signal(loop, tmp_path):
    """The command ends the service; the signal, which it ignores, is not needed."""
    job = make_job(loop, sh(f"echo $$ > {tmp_path}/pid; {TRAP}"), grace=10.0)
    Stopper(loop, job, sh(f"kill -USR1 $(cat {tmp_path}/pid); echo asked"), external=False)
    up(loop, job)
    run_until(loop, lambda: b"up" in job.backlog.tail())
    down(loop, job)

    assert b"asked" in job.backlog.tail()
    assert job.lifecycle.status == 0


def test_failed_command(loop):
    """Where the command fails, the signal follows, and that is said."""
    job = make_job(loop, ("sleep", "1000"), grace=10.0)
    Stopper(loop, job, sh("exit 7"), external=False)
    up(loop, job)
    down(loop, job)

    assert job.lifecycle.status == -15
    assert "web was not stopped by its command (status 7)" in loop.said


def test_command_that_does_nothing(loop):
    """The grace counts for the command as well; then everything is killed."""
    job = make_job(loop, sh("trap '' TERM; sleep 1000"), grace=0.3)
    Stopper(loop, job, sh("sleep 1001"), external=False)
    up(loop, job)
    down(loop, job)

    assert job.lifecycle.status == -9
    run_until(loop, lambda: not loop._guests)


def external(loop, tmp_path, *, stop=None, begin=None, **policy):
    """A job whose command starts a daemon and returns; `pid` is where the daemon's is written."""
    pid = tmp_path / "daemon"
    daemon = f"setsid sh -c 'echo $$ > {pid}; exec sleep 1000' >/dev/null 2>&1 &"
    daemon += f" while ! [ -s {pid} ]; do sleep 0.01; done"
    job = make_job(loop, sh(begin or daemon), external=True, **policy)
    Stopper(loop, job, sh(stop or f"kill $(cat {pid}); rm {pid}"), external=True)
    return job, pid


def test_external_is_up_when_its_command_has_returned(loop, tmp_path):
    """The end of the command is the beginning of the service; its stop command ends it."""
    job, file = external(loop, tmp_path)
    up(loop, job)
    daemon = int(file.read_text())

    assert job.process is None
    assert procs.is_alive(daemon)
    down(loop, job)
    run_until(loop, lambda: is_reaped(daemon))


def test_external_restart(loop, tmp_path):
    """Down by its stop command, up by its command."""
    job, file = external(loop, tmp_path)
    up(loop, job)
    first = int(file.read_text())
    loop.send(job, RESTART)
    run_until(loop, lambda: job.spawns == 2 and job.lifecycle.state is State.READY)
    second = int(file.read_text())

    assert first != second
    run_until(loop, lambda: is_reaped(first))
    down(loop, job)
    run_until(loop, lambda: is_reaped(second))


def test_external_command_fails(loop, tmp_path):
    """A command that fails is a crash like any other."""
    job, _ = external(loop, tmp_path, begin="exit 4", on="never")
    start(loop, job)
    run_until(loop, lambda: job.lifecycle.state is State.EXITED)

    assert job.lifecycle.status == 4


def test_external_found_down(loop, tmp_path):
    """What its probe finds gone is taken down properly and brought up again."""
    job, file = external(loop, tmp_path, probed=True, delay=0.05)
    start(loop, job)
    run_until(loop, lambda: file.exists() and job.process is None)
    loop.send(job, READY)
    run_until(loop, lambda: job.lifecycle.state is State.READY)
    first = int(file.read_text())
    loop.send(job, Event(Kind.UNREADY, reason="connection refused"))
    run_until(loop, lambda: job.spawns == 2 and file.exists())

    run_until(loop, lambda: is_reaped(first))
    run_until(loop, lambda: file.exists() and job.process is None)
    second = int(file.read_text())
    loop.send(job, READY)
    down(loop, job)
    assert not file.exists()
    run_until(loop, lambda: is_reaped(second))


def test_external_stopped_on_its_way_up(loop, tmp_path):
    """A stop while the command still runs ends the command, and takes down what it has begun."""
    pid = tmp_path / "daemon"
    job, _ = external(loop, tmp_path, begin=f"setsid sh -c 'echo $$ > {pid}; exec sleep 1000' & sleep 1001")
    start(loop, job)
    run_until(loop, lambda: pid.exists() and pid.read_text())
    daemon = int(pid.read_text())
    down(loop, job)

    run_until(loop, lambda: is_reaped(daemon))


def test_external_without_a_stop_command(loop, tmp_path):
    """There is nothing to do, and it is over at once."""
    job = make_job(loop, ("true",), external=True)
    Stopper(loop, job, (), external=True)
    up(loop, job)
    down(loop, job)

    assert job.lifecycle.state is State.STOPPED
    assert os.path.exists(tmp_path)


def test_external_stop_that_hangs(loop, tmp_path):
    """A stop command that never ends is killed after the grace, and the service counts as gone."""
    job, file = external(loop, tmp_path, stop="sleep 1002", grace=0.3)
    up(loop, job)
    down(loop, job)

    run_until(loop, lambda: not loop._guests)
    procs_left = int(file.read_text())
    assert procs.is_alive(procs_left)  # nobody said how else to end it
    os.kill(procs_left, 9)
    run_until(loop, lambda: is_reaped(procs_left))


def test_external_failed_on_its_way_up(loop, tmp_path):
    """A command that fails half way: what it had brought up is taken down before anything else happens."""
    up_ = tmp_path / "up"
    job, _ = external(loop, tmp_path, begin=f"touch {up_}; exit 4", stop=f"rm {up_}", on="never")
    start(loop, job)
    run_until(loop, lambda: job.lifecycle.state is State.EXITED)

    assert not up_.exists()
    assert job.lifecycle.status == 4


def test_external_killed_on_its_way_up(loop, tmp_path):
    """A command that ignores the stop is killed, and what it had brought up is taken down all the same."""
    up_ = tmp_path / "up"
    job, _ = external(
        loop, tmp_path, begin=f"trap '' TERM; touch {up_}; sleep 1003", stop=f"rm {up_}", grace=0.3
    )
    start(loop, job)
    run_until(loop, up_.exists)
    down(loop, job)

    assert not up_.exists()
