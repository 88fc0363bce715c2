"""Many services, few descriptors, no room: slow is allowed where the machine is, wrong and silent are not."""

import json
import os
import re
import resource
import signal
import time

import pytest
from support import procs
from support.running import child, need

GRACE = 1.0
T = ("-t", str(GRACE))
LATE = 8.0
"""Seconds that what is told to end may take longer, on a busy machine; who is not, stays for ever."""


def many(count, command="exec sleep 1000"):
    """A Procfile's entries."""
    return {f"s{n}": command for n in range(count)}


def test_500_entries(devport):
    """500 entries start, are idle at no cost, and stop, all of it in seconds."""
    devport.claim(500)
    devport.procfile(**many(500))
    began = time.monotonic()
    running = devport.start()
    running.expect(rb"s499 started", 60)
    started = time.monotonic() - began
    supervisor = running.supervisor
    procs.idle(devport.tag)
    before = procs.cpu_seconds(supervisor)
    procs.elapse(1)
    used = procs.cpu_seconds(supervisor) - before
    memory = procs.peak_memory(supervisor)

    status, seconds = running.stop(timeout=60)

    assert status == 143
    assert started < 60
    assert seconds < 30
    assert used < 0.1
    assert memory < 64 << 20
    assert running.output.count(b" stopped\n") == 500
    assert procs.tree(devport.tag) == []


def test_500_entries_that_end_by_themselves(devport):
    """The first of 500 that ends stops the other 499."""
    devport.claim(500)
    entries = many(500)
    entries["s250"] = "sleep 1; exit 6"
    devport.procfile(**entries)
    running = devport.start()

    assert running.finish(100) == 6, running.shown()
    assert procs.tree(devport.tag) == []


@pytest.mark.parametrize("limit", [16, 24, 64])
def test_few_descriptors(devport, limit):
    """With 64 descriptors and 100 entries: an error that says so, no crash, nothing left, nobody hangs."""
    devport.claim(100)
    devport.procfile(**many(100))
    running = devport.start(*T, setup=[f"nofile={limit}"])

    assert running.finish(30) not in {0, 143}
    said = running.everything()
    assert b"Too many open files" in said
    assert b"Traceback" not in said
    assert procs.tree(devport.tag) == []


def test_few_descriptors_and_keep_going(devport):
    """With --keep-going those that could be started run, and the others are failures with a reason."""
    devport.claim(100)
    devport.procfile(**many(100, "echo ready; exec sleep 1000"))
    running = devport.start("--keep-going", *T, setup=["nofile=220"])

    def decided():
        running.read(0.05)
        assert b"Too many open files" in running.everything() or b"s99 started" in running.output

    procs.eventually(decided, 30)
    if running.popen.poll() is None:
        running.send(signal.SIGTERM)

    assert running.finish(30) != 0
    assert b"Traceback" not in running.everything()


def test_soft_limit_is_raised(devport):
    """A soft limit of 64 with room above it (a Mac's 256) is no limit for devport."""
    devport.claim(100)
    devport.procfile(**many(100, "echo ready; exec sleep 1000"))
    running = devport.start(*T, setup=["nofile=64:4096"])
    running.ready(*many(100))

    assert running.stop(timeout=30)[0] == 143


def test_full_disk(devport):
    """/dev/full as stdout: said once on stderr, the services run, and their status counts."""
    devport.procfile(web="seq 1 10000; exit 3", other=child("forker", "setsid"))
    with open("/dev/full", "wb") as full:
        running = devport.start(*T, stdout=full.fileno())

        assert running.finish() == 3
    assert running.errors.count(b"cannot write output: No space left on device") == 1
    assert b"Traceback" not in running.errors
    assert procs.tree(devport.tag) == []


def test_closed_streams(devport):
    """Started without stdin, stdout or stderr, devport runs or says why not; nothing is left either way."""
    devport.procfile(web="echo hello; exit 3")
    for closed in (["closed=0"], ["closed=1"], ["closed=2"], ["closed=0", "closed=1", "closed=2"]):
        running = devport.start(setup=closed)
        assert running.finish() == 3, closed
        assert b"Traceback" not in running.everything()
        assert procs.tree(devport.tag) == []


@pytest.fixture
def few_processes(devport):
    """Name a cgroup in which only so many processes may be, and give it back."""
    folders = []

    def make(count):
        folder = f"/sys/fs/cgroup/pids/devport-{devport.tag}"
        try:
            os.mkdir(folder)
            with open(f"{folder}/pids.max", "w") as file:
                file.write(str(count))
        except OSError as error:
            pytest.skip(f"the kernel's pids cgroup cannot be used here: {error.strerror}")
        folders.append(folder)
        return f"cgroup={folder}"

    yield make
    procs.kill_all(devport.tag)
    for running in devport.running:
        running.popen.wait()
    for folder in folders:
        procs.eventually(lambda folder=folder: _remove(folder))


def _remove(folder):
    try:
        os.rmdir(folder)
    except OSError as error:
        raise AssertionError(error) from error


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_few_processes(devport, few_processes, count):
    """What cannot be forked is an error with its reason; the run ends and leaves nothing."""
    devport.procfile(**many(30, "exec sleep 1000"))
    running = devport.start(*T, setup=[few_processes(count)])

    assert running.finish() not in {0, 143}
    assert b"Resource temporarily unavailable" in running.everything()
    assert b"Traceback" not in running.everything()
    assert procs.tree(devport.tag) == []


def test_long_line_and_little_memory(devport):
    """A line of 64 MB under a limit of 200 MB of address space: nothing but the line passes."""
    need("head")
    devport.procfile(web="head -c 64000000 /dev/zero | tr '\\0' x; echo; echo END; exec sleep 1000")
    running = devport.start()
    resource.prlimit(running.supervisor, resource.RLIMIT_AS, (200 << 20, 200 << 20))
    running.keep = 4096
    running.expect(rb"END$", 60)

    assert running.stop()[0] == 143


def test_long_names_and_commands(devport):
    """A name of 63 characters and a command of 100,000 are passed on."""
    name = "n" * 63
    devport.write("Procfile", f"{name}: echo {'x' * 100_000} | wc -c\nweb: exec sleep 1000\n")
    running = devport.call("start")

    assert running.status == 0
    assert re.search(rb"n{63} \| 100001\n", running.output)


def test_many_events_as_json(devport):
    """200 services with --json: each line parses, and each service starts, prints and ends, in that order."""
    devport.claim(200)
    devport.procfile(**many(200, "echo one line"))
    running = devport.start("--json", "--keep-going")

    assert running.finish(60) == 0
    seen = {}
    for one in map(json.loads, running.output.splitlines()):
        if "service" in one:
            seen.setdefault(one["service"], []).append(one.get("event") or one.get("line"))
    assert len(seen) == 200
    assert set(map(tuple, seen.values())) == {("started", "one line", "exited")}


def test_stop_of_many_that_are_stubborn(devport):
    """100 services that ignore TERM: all at once they are killed after one grace, not after a hundred."""
    devport.claim(100)
    devport.procfile(**many(100, "trap '' TERM INT; echo ready; while :; do sleep 1000; done"))
    running = devport.start(*T)
    running.ready(*many(100))

    status, seconds = running.stop(signal.SIGINT, timeout=60)

    assert status == 130
    assert seconds < GRACE + 2 + LATE
    assert procs.tree(devport.tag) == []
