"""The drill of reliability.md, P19 to P22, P24 and P39: the output path and descriptors, many times over.

The long columns are those of the night's, cut where `make drill` as a whole has an hour; each says so.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import random
import re
import signal
import sys
import time
import zlib

import pytest
from support import background, frames, live, procs
from support.drill import trials
from support.engine import descriptors, engine, make_job, run_until, start
from support.procs import eventually
from support.running import DEVPORT, LATE, child, need

from devport.engine.lifecycle import State
from devport.engine.loop import QUIET

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]

frame = frames.frame


def test_p19_last_output(devport, tally):
    """200,000 lines and an immediate exit, with a reader of 1 MB/s: none is missing, in order (F31)."""
    # 30,000 lines are 170 kB, which is more than is on the way when their writer ends
    count, lines = trials((1, 60_000), (20, 200_000))
    for _ in range(count):
        devport.procfile(web=f"seq 1 {lines}")
        running = devport.start("--no-prefix", "--no-timestamp")
        running.chunk, running.pause = 20_000, 0.02
        assert running.finish(60) == 0
        found = [int(line) for line in running.output.splitlines() if line.isdigit()]
        assert found == [*range(1, lines + 1)]
    tally(count * lines)


def test_p20_lines_of_many(devport, tally):
    """50 services, each with lines of 1 to 4,096 bytes with a checksum: every line is whole (F39).

    Half of them write line by line, and each line is one to the reader too. The others' writes end within
    a line: its rest comes in time, so that hardly any is shown in parts.
    """
    # 10,000 lines of each, ten times over, in the catalogue: 1 GB each time
    rounds = trials(((40, 0.02),), ((40, 0.02), *((10_000, 0.001),) * 3))
    names = [f"w{n}" for n in range(50)]
    pieces, whole = names[::2], names[1::2]
    os.mkfifo(gate := devport.folder / "gate")
    for lines, pause in rounds:
        words = (lines, 12, 4096)
        services = {name: child("chatty", *words, name, pause, "../gate") for name in pieces}
        services |= {name: child("chatty", *words, name, pause, "../gate", "whole") for name in whole}
        devport.procfile(**services)
        running = devport.start("--keep-going", "--no-timestamp")
        running.expect_all(*(rb"\| %s started" % name.encode() for name in names))
        procs.idle(devport.tag)  # all of them wait
        with open(gate, "wb"):
            assert running.finish(300) == 0
        seen, parts = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
        begun = dict.fromkeys(names, b"")  # of a line whose end was more than 0.2 s late: shown in parts
        for part in re.finditer(rb"^(w\d+) *\| (.*)$", running.output, re.MULTILINE):
            name = part[1].decode()
            parts[name] += 1
            begun[name] += part[2]
            body, _, checksum = begun[name].rpartition(b" ")
            if checksum != b"%08x" % zlib.crc32(body):
                continue
            assert body.startswith(b"%s %d " % (part[1], seen[name]))
            seen[name] += 1
            begun[name] = b""
        assert set(begun.values()) == {b""}
        assert set(seen.values()) == {lines}
        assert {parts[name] for name in whole} == {lines}
        # If none came in time there were two parts to five lines; a busy machine is late now and then.
        assert sum(parts[name] - lines for name in pieces) <= lines * len(pieces) * 0.15
        del running.buffer[:]
    tally(sum(lines for lines, _ in rounds) * len(names))


CORPUS = (
    bytes(n for n in range(256) if n != 10)
    + "€äß日本🎉".encode() * 20
    + b"\x1b[31mred\x1b]0;title\x07\x1b[2J"
)


@pytest.mark.parametrize("way", ["--no-pty", "--pty"])
def test_p21_any_bytes(devport, way, tally):
    """A line of a gigabyte of any bytes, written in any pieces: the same hash, in bounded memory (F35)."""
    megabytes = trials(16, 1024)  # the terminal's line of the night has 128: it is slow
    megabytes = min(megabytes, 128) if way == "--pty" else megabytes
    code = (
        "import hashlib,os,random,sys;r=random.Random(7);h=hashlib.sha256()\n"
        "c=bytes.fromhex(sys.argv[2]); open('../go').close()\n"
        "for _ in range(int(sys.argv[1])):\n"
        "    data=b''.join([c[r.randrange(len(c)):] for _ in range(3000)])[:1<<20].ljust(1<<20,b'.')\n"
        "    h.update(data); m=memoryview(data)\n"
        "    while m: m=m[os.write(1,m[:r.choice((1,2,3,5,70000,1<<20))]):]\n"
        "os.write(1,b'\\n'); open('../hash','w').write(h.hexdigest())\n"
    )
    devport.write("write.py", code)
    devport.write("../hash", "")
    os.mkfifo(devport.folder / "go")
    words = f"{sys.executable} -I -S write.py {megabytes} {CORPUS.hex()}"
    devport.procfile(web=words, wait="exec sleep 1000")
    running = devport.start(way, "--no-prefix", "--keep-going", "--no-timestamp")
    running.expect_all(rb"^web started.*\n", rb"^wait started.*\n")
    running.buffer.clear()
    running.seen = 0
    (devport.folder / "go").write_bytes(b"")  # not before: what devport says would break the line
    left, seen = megabytes << 20, hashlib.sha256()
    while left:
        running.read(10)
        data = running.output[:left]
        running.buffer.clear()
        seen.update(data)
        left -= len(data)
    memory = procs.peak_memory(running.supervisor)

    def written():
        assert len((devport.folder / "hash").read_text()) == len(seen.hexdigest())

    eventually(written)
    assert running.stop()[0] == 143
    assert seen.hexdigest() == (devport.folder / "hash").read_text()
    assert memory < 64 << 20
    tally(megabytes << 20)


def test_p22_pipe_held_by_a_stranger(devport, tally):
    """A stranger holds the pipe: the end is told in time, and what comes soon is shown (F32).

    Where this test itself was too late with it, nothing was promised.
    """
    count, soon = trials(5, 100), 0
    devport.procfile(web="echo $$ here; exec sleep 1000", other="exec sleep 1000")
    while soon < count:
        running = devport.start("--no-pty", "--keep-going")
        pid = int(running.expect(rb"(\d+) here")[1])
        held = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY | os.O_NONBLOCK)
        began = time.monotonic()
        with open(f"/proc/{pid}/fd/1", "wb", buffering=0) as late:
            os.kill(pid, signal.SIGKILL)

            def dead(pid=pid):
                assert not procs.is_alive(pid)

            eventually(dead)
            with contextlib.suppress(BrokenPipeError):
                late.write(b"late line\n")
            in_time = time.monotonic() - began < QUIET
        running.expect(rb"web was killed by SIGKILL")
        assert time.monotonic() - began < 1 + LATE
        os.close(held)
        assert running.stop()[0] != 0
        if in_time:
            assert running.lines("web")[1:] == [b"late line"]
            soon += 1
    tally(count)


def test_p22_closed_stdout_and_prompt(devport, tally):
    """A closed stdout is no end and costs nothing; a prompt is seen, whoever else speaks (F33, F34)."""
    count = trials(5, 100)
    devport.procfile(
        mute="exec >&- 2>&-; while ! test -e ../end; do sleep 0.05; done; exit 7",
        ask="printf 'prompt> '; exec sleep 1000",
        clock="while :; do echo tick; sleep 0.1; done",
    )
    quickest = LATE
    for _ in range(count):
        running = devport.start()
        running.expect(rb"ask started")
        began = time.monotonic()
        running.expect(rb"ask +\| prompt> $")
        quickest = min(quickest, time.monotonic() - began)
        supervisor = running.supervisor
        before = procs.cpu_seconds(supervisor)
        for _ in range(6):
            running.expect(rb"clock +\| tick$")
        assert procs.cpu_seconds(supervisor) - before < 0.3
        devport.write("../end", "")
        assert running.finish() == 7
        assert set(running.lines("clock")) <= {b"tick"}
        (devport.folder / "end").unlink()
    assert quickest < 0.7
    tally(count)


# P24: what the kernel refuses, a test makes it refuse; nothing in devport knows of it

FAILED = "web exited with status 127"  # what a shell makes of a program that is not there
REFUSALS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE)


@pytest.mark.parametrize("terminal", [None, (80, 24)], ids=["pipe", "terminal"])
def test_p24_spawns_that_fail(monkeypatch, terminal, tally):
    """A third of all spawns is refused: each time for a reason, no descriptor is lost, it recovers (F16)."""
    count = trials(100, 2500)  # 5,000 in the night, over both
    chance = random.Random(24)
    refused = []

    def sometimes(function):
        def call(*words):
            if len(refused) < 10_000 and chance.random() < 0.15:
                refused.append(number := chance.choice(REFUSALS))
                raise OSError(number, os.strerror(number))
            return function(*words)

        return call

    with engine() as loop:
        web = make_job(loop, ("true",), on="always", max=None, delay=0.0, max_delay=0.0, terminal=terminal)
        before = descriptors()
        start(loop, web)
        run_until(loop, lambda: web.spawns >= 3)
        for name in ("fork", "pipe", "openpty"):
            monkeypatch.setattr(os, name, sometimes(getattr(os, name)))
        seen = set()
        loop.observers.append(lambda t: seen.add(t.job.lifecycle.fault))
        spawned = web.spawns
        run_until(loop, lambda: web.spawns - spawned + len(refused) >= count, 300)
        monkeypatch.undo()
        spawned = web.spawns
        run_until(loop, lambda: web.spawns > spawned + 3)
        web.lifecycle.restart = web.lifecycle.restart._replace(on="never")
        run_until(loop, lambda: web.lifecycle.state is State.EXITED)

        assert len(refused) > count * 0.15
        assert {one for one in seen if one} == {
            f"cannot run a new process: {os.strerror(number)}" for number in REFUSALS
        }
        assert descriptors() <= before
    tally(count)


def _descriptors_at_times(pid):
    """How many descriptors `pid` has open, fifty times in a second."""
    for _ in range(50):
        yield frames.open_descriptors(pid)
        procs.elapse(0.02)


def test_p24_services_that_fail_to_start(frame, tally):
    """The program is missing while it crash-loops: devport stays, loses no descriptor, and recovers (F16)."""
    count = trials(1, 30)
    program = frame.devport.write("server", "#!/bin/sh\necho $$ >> lives\nexit 3\n")
    program.chmod(0o700)
    rule = {"on": "always", "max": None, "delay": 0.02, "max-delay": 0.05}
    frame.write({"web": {"exec": "exec ./server", "restart": rule}, "other": {"exec": "exec sleep 1000"}})
    frame.up()
    frame.marked("lives", 2)
    supervisor = frame.supervisor("web")
    live.row(frame.devport, "web")  # by now it has its control socket
    before = min(_descriptors_at_times(supervisor))
    for number in range(count):
        failed = frame.text().count(FAILED)
        hidden = program.rename(program.with_name("hidden"))
        frame.said(FAILED, failed + 3)
        lives = len(frame.marks("lives"))
        hidden.rename(program)
        frame.marked("lives", lives + 2)
        assert frame.supervisor("web") == supervisor, number

    def none_lost():  # a spawn that is under way has some
        assert frames.open_descriptors(supervisor) <= before

    eventually(none_lost)
    frame.down()
    tally(count)


# P39


@pytest.mark.parametrize("windows", [True, False], ids=["tmux", "no-tmux"])
def test_p39_callers_descriptors(devport, windows, tally):
    """The caller has a lock and a pipe: `$(devport start)` returns, the lock is free, the pipe ends (F45)."""
    need("bash")
    count = trials(3, 25)  # 50 in the night, over both
    machines = background._machine(devport, windows=windows)
    machine = next(machines)
    try:
        for number in range(count):
            _call_with_descriptors(machine, f"web{number}")
            machine.call("stop", f"web{number}")
    finally:
        next(machines, None)
    tally(count)


def _call_with_descriptors(machine, key):
    """As a script or bats has it: 3 is a pipe that is read to its end, 9 holds a lock."""
    devport = machine.devport
    lock = devport.folder / "lock"
    read, write = devport.pipe()
    words = " ".join([DEVPORT, "start", *machine.flags, "--key", key, "--", "sleep", "1000"])
    pipe = f"/proc/{os.getpid()}/fd/{write}"
    script = f'exec 9>{lock}; flock 9; exec 3>{pipe}; x=$({words}) || exit 1; echo "$x"'
    began = time.monotonic()
    caller = devport.spawn(["bash", "-c", script])
    assert caller.finish() == 0
    assert time.monotonic() - began < 12
    assert b'"status": "running"' in caller.output
    devport.close(write)
    os.set_blocking(read, False)
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert os.read(read, 10) == b""
    devport.close(read)
