"""Services that wait for others of the same run: held back, let go, or told that it is in vain."""

import itertools

import pytest
from support.engine import engine, make_job, python, run_until, start

from devport.engine.lifecycle import DOWN, READY, RESTART, State
from devport.model import Dependency
from devport.sources.needs import Blockers, Needs

FOREVER = ("sleep", "1000")


@pytest.fixture
def loop():
    """A loop of the test's own."""
    with engine() as made:
        yield made


def unknown(_dependency):
    """Nothing runs elsewhere."""
    raise AssertionError


def hash_of(job):
    """What a dependency on `job` says."""
    return job.command.token


def wait_for(loop, job, **conditions):
    """`job` waits for jobs of the loop, each in its condition."""
    jobs = {hash_of(other): other for other in loop.jobs}
    by_name = {other.name: other for other in loop.jobs}
    job.lifecycle.blocked = True
    after = [Dependency(name, condition, hash_of(by_name[name])) for name, condition in conditions.items()]
    return Needs(job, after, jobs, unknown, Blockers(loop, job))


def begin(loop, needs, *jobs):
    """Ask for all of them, and judge."""
    for job in jobs:
        start(loop, job)
    loop.at(loop.now(), needs.look)


def test_waits_until_it_is_ready(loop):
    """Ready, and not merely started."""
    db = make_job(loop, FOREVER, name="db", probed=True)
    web = make_job(loop, FOREVER, name="web")
    needs = wait_for(loop, web, db="ready")
    begin(loop, needs, web, db)
    run_until(loop, lambda: db.process is not None and db.process.report is None)

    assert web.lifecycle.state is State.WAITING
    assert web.lifecycle.needs == "db"
    assert web.process is None
    loop.send(db, READY)
    run_until(loop, lambda: web.lifecycle.state is State.READY)
    assert [name for name, _, state, _ in loop.transitions if state is State.READY] == ["db", "web"]


def test_waits_for_all(loop):
    """The last one lets it go; until then it says what is missing."""
    names = ["db", "queue"]
    others = [make_job(loop, FOREVER, name=name, probed=True) for name in names]
    web = make_job(loop, FOREVER, name="web")
    needs = wait_for(loop, web, db="ready", queue="ready")
    begin(loop, needs, web, *others)
    run_until(loop, lambda: all(job.lifecycle.state is State.STARTING for job in others))
    assert web.lifecycle.needs == "db, queue"
    loop.send(others[0], READY)
    run_until(loop, lambda: others[0].lifecycle.state is State.READY)
    run_until(loop, lambda: web.lifecycle.needs == "queue")
    loop.send(others[1], READY)
    run_until(loop, lambda: web.lifecycle.state is State.READY)


ENDS = {
    "0": (("sh", "-c", "exit 0"), 0),
    "3": (("sh", "-c", "exit 3"), 3),
    "killed": (("sh", "-c", "kill -9 $$"), -9),
    "given up": (("sh", "-c", "exit 3"), 3),
    "not there": (("/no/such/program",), 127),
}
GOES_ON = {
    "0": {"completed", "succeeded"},
    "3": {"completed"},
    "killed": {"completed"},
    "given up": {"completed"},
    "not there": {"completed"},
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("condition", ["ready", "completed", "succeeded"])
def test_ends(loop, condition, end):
    """What each end means for who waits for it: go on, or fail with the reason."""
    argv, _ = ENDS[end]
    policy = {"on": "always", "max": 1, "delay": 0.01} if end == "given up" else {"on": "never"}
    db = make_job(loop, argv, name="db", probed=True, **policy)
    web = make_job(loop, FOREVER, name="web")
    needs = wait_for(loop, web, db=condition)
    begin(loop, needs, web, db)
    run_until(loop, lambda: web.lifecycle.state in {State.READY, State.FAILED})

    assert (web.lifecycle.state is State.READY) == (condition in GOES_ON[end])
    if web.lifecycle.state is State.FAILED:
        assert web.lifecycle.fault.startswith("db ")
        assert web.process is None


def test_failure_travels(loop):
    """Who waits for somebody that waits in vain, does so too; @completed is where it ends."""
    make_job(loop, ("sh", "-c", "exit 3"), name="migrate", on="never")
    api = make_job(loop, FOREVER, name="api")
    web = make_job(loop, FOREVER, name="web")
    report = make_job(loop, FOREVER, name="report")
    for job, conditions in (
        (api, {"migrate": "succeeded"}),
        (web, {"api": "ready"}),
        (report, {"web": "completed"}),
    ):
        begin(loop, wait_for(loop, job, **conditions), job)
    start(loop, loop.jobs[0])
    run_until(loop, lambda: report.lifecycle.state is State.READY)

    assert api.lifecycle.fault == "migrate exited with status 3"
    assert web.lifecycle.fault == "api failed: migrate exited with status 3"


def test_down_while_waiting(loop):
    """A stop is immediate, and what it waited for changes nothing any more."""
    db = make_job(loop, FOREVER, name="db", probed=True)
    web = make_job(loop, FOREVER, name="web")
    begin(loop, wait_for(loop, web, db="ready"), web, db)
    run_until(loop, lambda: web.lifecycle.state is State.WAITING)
    loop.send(web, DOWN)
    loop.send(db, READY)
    run_until(loop, lambda: db.lifecycle.state is State.READY)

    assert web.lifecycle.state is State.STOPPED
    assert web.spawns == 0


def test_waits_again_for_a_restart(loop):
    """Who starts again while its dependency is down waits for it, however often it ran before."""
    db = make_job(loop, FOREVER, name="db", probed=True)
    web = make_job(loop, FOREVER, name="web")
    begin(loop, wait_for(loop, web, db="ready"), web, db)
    run_until(loop, lambda: db.process is not None)
    loop.send(db, READY)
    run_until(loop, lambda: web.lifecycle.state is State.READY)
    loop.send(db, RESTART)
    run_until(loop, lambda: db.spawns == 2)
    loop.send(web, RESTART)
    run_until(loop, lambda: web.lifecycle.state is State.WAITING)
    loop.send(db, READY)
    run_until(loop, lambda: web.lifecycle.state is State.READY)


def test_started_stays_so(loop):
    """Who was let go by a start is not held back by a later stop."""
    db = make_job(loop, FOREVER, name="db")
    queue = make_job(loop, FOREVER, name="queue", probed=True)
    web = make_job(loop, FOREVER, name="web")
    begin(loop, wait_for(loop, web, db="started", queue="ready"), web, db, queue)
    run_until(loop, lambda: db.lifecycle.state is State.READY and queue.process is not None)
    loop.send(db, DOWN)
    run_until(loop, lambda: db.lifecycle.state is State.STOPPED)
    loop.send(queue, READY)
    run_until(loop, lambda: web.lifecycle.state is State.READY)


def test_a_chain_of_a_hundred(loop):
    """Each lets the next one go."""
    jobs = [
        make_job(loop, python("import time; time.sleep(1000)") if n == 0 else FOREVER, name=f"n{n}")
        for n in range(100)
    ]
    everything = [wait_for(loop, job, **{before.name: "ready"}) for before, job in itertools.pairwise(jobs)]
    for job in jobs:
        start(loop, job)
    for needs in everything:
        loop.at(loop.now(), needs.look)
    run_until(loop, lambda: jobs[-1].lifecycle.state is State.READY, 60.0)

    ready = [
        name
        for name, before, state, _ in loop.transitions
        if before is State.STARTING and state is State.READY
    ]
    assert ready == [job.name for job in jobs]
