"""Random walks of the real devport (tests/drill): whatever is done to it, what must hold holds.

A failure prints its seed: `pytest tests/e2e/test_walks.py --seed N` repeats it, and so does, from the
repository, `python -m tests.drill.walk --seed N`. A walk is a process of its own: as root it has a disk of
its own to fill.
"""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
import zlib

import pytest
from drill.books import JUNKED, Life, Note, Source
from drill.excuses import Excuses, Kill, Span
from support import background, procs
from support.background import argv
from support.procs import eventually
from support.running import PATIENCE

from devport.context import Context
from devport.inventory import restart
from devport.inventory.rows import survey
from devport.registry.record import Record
from devport.registry.store import Store
from devport.sources.assembly import notify_folders

plain = background.plain


WALK = os.path.join(os.path.dirname(os.path.dirname(__file__)), "drill", "walk.py")
SECONDS = 5.0
"""How long one of the short walks may take, its end not counted, once it has taken LEAST steps."""
LEAST = 12
"""Steps that one takes all the same: 4 s on a quiet machine with 2 cores, 45 s with 27 others at work."""
LONG = 900.0
"""Seconds of the walks of the drill, all together."""
SEEDS = (1, 2, 3)
PLANTED = ("orphan", "line", "tail", "second", "child")
PLANTED_IN_THE_DRILL = ("port", "record", "state", "swap", "zombie")


def walk(*words, timeout):
    """A walk: its status, and what it printed."""
    words = [sys.executable, WALK, *map(str, words)]
    done = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = done.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        procs.kill_all(os.environ[procs.TAG])
        said = done.communicate()[0] + b"\nand did not come to its end"
    return done.returncode, said.decode(errors="replace")


def counts(said):
    """Steps, commands, lives and lines of a walk that went well."""
    found = re.search(
        r"^seed \d+: (\d+) steps, (\d+) commands, (\d+) lives, (\d+) lines$", said, re.MULTILINE
    )
    assert found, said
    return [int(number) for number in found.groups()]


def pytest_generate_tests(metafunc):
    """A test for each seed, and for a fresh one, which the test draws: workers collect the same."""
    if "seed" in metafunc.fixturenames:
        given = metafunc.config.getoption("--seed")
        metafunc.parametrize("seed", [*SEEDS, "fresh"] if given is None else [given])


@pytest.mark.timeout(300)
def test_walk(seed, request):
    """P7 and F60: some steps from fixed seeds, and from one that nobody has walked."""
    again = request.config.getoption("--seed") is not None
    seed = random.randrange(10**6) if seed == "fresh" else seed
    words = ["--seed", seed, "--steps", 60, "--least", LEAST]
    status, said = walk(*words, "--seconds", 600 if again else SECONDS, timeout=900 if again else 200)

    assert status == 0, said
    steps, commands, lives, lines = counts(said)
    assert steps >= LEAST
    assert commands > steps  # `ls` after each, and what ends it
    assert lives > 0
    assert lines > 0


@pytest.mark.parametrize("plant", PLANTED)
def test_planted_fault_is_caught(plant):
    """Negative controls of the checks: what a walk is there to find is found when it is planted."""
    planted(plant)


@pytest.mark.drill
@pytest.mark.drill_only
@pytest.mark.parametrize("plant", PLANTED_IN_THE_DRILL)
def test_another_planted_fault_is_caught(plant):
    """More of them."""
    planted(plant)


@pytest.mark.drill
@pytest.mark.drill_only
@pytest.mark.parametrize("only", ["key,kill_supervisor,rest", "key,verb,kill_service,rest"])
def test_walk_of_some_kinds(only):
    """F04, F31: many kills, many ends; what the controls of the walks are tried on."""
    status, said = walk("--seed", 11, "--steps", 30, "--only", only, timeout=110)

    assert status == 0, said


def planted(plant):
    """A quiet world with one fault, which has to be caught."""
    status, said = walk("--seed", 7, "--steps", 0, "--plant", plant, timeout=90)

    assert status == 0, said
    assert f"caught {plant}: " in said


@pytest.mark.drill
@pytest.mark.drill_only
@pytest.mark.timeout(LONG + 300)
def test_walks_of_the_drill(tally):
    """P7: a quarter of an hour of walks, each of 60 steps, each from a fresh seed."""
    end = time.monotonic() + LONG
    walked = 0
    while time.monotonic() < end:
        status, said = walk("--seed", random.randrange(10**6), "--steps", 60, "--seconds", 120, timeout=300)
        assert status == 0, said
        walked += counts(said)[0]
    tally(walked)


# the books, and what excuses a loss


def line(run, number, pad=b"x" * 80):
    """A numbered line as tests/drill/kid.py writes it."""
    body = b"web:%s:%d:%s" % (run, number, pad)
    return b"<%s:%08x>\n" % (body, zlib.crc32(body))


def fed(*chunks, **options):
    """A Source that was given these."""
    source = Source("a log", **options)
    for chunk in chunks:
        source.feed(chunk)
    return source


def test_books_know_a_whole_line():
    """A line counts if all of it is there, wherever devport or another service have broken it."""
    run, first, second, other = b"7-ab", line(b"7-ab", 1), line(b"7-ab", 2), line(b"8-cd", 1)
    noted = first[:40] + b"\ndevport: one\ndevport: web started (pid 8)\n" + first[40:] + second
    broken = b"12:00:00 web | %s\n12:00:00 b   | %s12:00:00 web | %s" % (first[:40], other, first[40:])
    bare = first[:40] + b"\n" + other + first[40:]
    for cut in range(len(noted)):
        source = fed(noted[:cut], noted[cut:])
        assert (source.seen, source.begun, source.faults) == ({"7-ab": {1, 2}}, {8}, [])
    for data in (broken, bare):
        source = fed(data, mixed=True)
        assert (source.seen, source.faults) == ({"7-ab": {1}, "8-cd": {1}}, [])

    assert fed(first[:-30] + b"\n" + second).seen == {run.decode(): {2}}
    assert "a line was changed" in fed(first[:-30] + second[-30:]).faults[0]


def test_books_know_what_is_said_once():
    """A prompt that comes twice and junk of which a byte is missing are faults."""
    prompt, junk = b"prompt 7-ab> ", b"junk 7-ab %s junk 7-ab\n"
    source = fed(prompt + junk % JUNKED)

    assert (source.said, source.faults) == ({("prompt", "7-ab"), ("junk", "7-ab")}, [])
    assert "came twice" in fed(prompt + b"\n" + prompt + b"\n").faults[0]
    assert "was changed" in fed(junk % JUNKED[:-1]).faults[0]


def test_an_excuse_is_for_whom_it_hit_and_when():
    """A full disk excuses what was said in it, a kill the one that was killed, a dead record nobody else."""
    now = time.monotonic()
    web = Life("web", Note("birth", "7-ab", 7, now - 100, "1 70"))
    excuses = Excuses([])
    span = Span()
    span.begin = now - 50
    span.end = now - 40
    excuses.spans.append(span)
    excuses.kills.append(Kill(now, "api", 80))
    record = Record("0" * 10, "0", key="web")

    assert [excuses.lost(web, at) for at in (now - 60, now - 45, now - 30)] == [False, True, False]
    assert not excuses.killed(web)
    excuses.holders[record.hash] = (now - 45, 70)
    assert excuses.unwritten(record, [web])
    excuses.saw(record.hash, 70)
    assert not excuses.unwritten(record, [web])
    excuses.kills.append(Kill(now, "web", 70))
    assert excuses.killed(web)
    assert excuses.unwritten(record, [web])
    later = Life("web", Note("birth", "8-cd", 8, now + 5, "2 81"))
    assert not excuses.unwritten(record, [web, later])


# what walks have found


def test_rm_behind_a_kill_leaves_no_socket(plain):
    """A supervisor that was killed leaves the socket its service was to notify: `rm` removes that too."""
    plain.devport.write("devport.yaml", "processes:\n  web: {exec: exec sleep 1000, ready: {notify: true}}\n")
    hash_ = plain.detach()["web"]["hash"]
    context = Context(plain.environ, str(plain.project), str(plain.state))

    def sockets():
        return [
            name
            for folder in notify_folders(context)  # the first may be too long for a socket
            if os.path.isdir(folder)
            for name in os.listdir(folder)
            if name.startswith(f"{hash_}.{supervisor}.")
        ]

    supervisor = plain.supervisor(hash_)
    plain.reached(hash_, "starting")
    assert len(sockets()) == 1
    os.kill(supervisor, signal.SIGKILL)
    plain.ended(hash_)
    plain.do("rm", "web")

    assert sockets() == []


def test_restart_of_what_takes_its_time(plain, monkeypatch):
    """A service that is not ready in a minute is not ended and started again: `restart` says how it is."""
    plain.devport.write(
        "devport.yaml",
        "processes:\n  web: {exec: exec sleep 1000, ready: {log: never}, stop: {timeout: 0.2}}\n",
    )
    hash_ = plain.detach()["web"]["hash"]
    supervisor = plain.supervisor(hash_)
    monkeypatch.setattr(restart, "READY", 2.5)  # in which a busy supervisor has begun it again
    monkeypatch.setattr(restart, "LATE", 0.3)
    monkeypatch.setattr("devport.inventory.rows.PATIENCE", PATIENCE)  # and then says how it is
    context = Context(plain.environ, str(plain.project), str(plain.state))
    store = Store(str(plain.state))
    rows = survey(context, store, [store.record(hash_)])
    [outcome] = restart.restart(context, store, rows, windows=False)

    assert (
        outcome.error
        == "cannot restart web: it is not ready after 2.5 s: nothing like never in its output yet"
    )
    assert plain.supervisor(hash_) == supervisor

    def started_once_more():
        assert plain.row("web")["restarts"] == 1

    eventually(started_once_more)
    plain.do("stop", "web")


@pytest.mark.parametrize("how", ["stop", "TERM"])
@pytest.mark.parametrize("kind", ["setsid", "double", "group"])
def test_f42_a_tree_is_ended_without_a_descriptor(plain, kind, how):
    """A supervisor that cannot open anything more still finds the daemons of its service, and ends them."""
    hash_ = plain.start("web", argv("forker", kind, "stubborn"), "-t", "0.3")["hash"]
    plain.logged(hash_, rb"ready")
    supervisor = plain.supervisor(hash_)
    used = max(map(int, os.listdir(f"/proc/{supervisor}/fd"))) + 1
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (used, used))
    if how == "stop":
        plain.do("stop", "web")
    else:
        os.kill(supervisor, signal.SIGTERM)
        plain.ended(hash_)

    plain.nothing_left()
