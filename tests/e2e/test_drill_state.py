"""The fault drill for who runs what: starts at once, kills, forged locks, clocks that jump, descriptors."""

import json
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import time

import pytest
from controls import control
from support import background, frames, live, procs, running
from support.background import SUPERVISOR, argv, python, shell
from support.drill import is_long, trials
from support.frames import mark, told
from support.procs import eventually
from support.running import DEVPORT

plain, windowed = background.plain, background.windowed

KID = pathlib.Path(__file__).parents[1] / "drill" / "kid.py"
LATE = 10.0
"""Seconds by which what is timed may come late on a busy machine; never early, and a jump is far longer."""


def supervisors(machine):
    """The living supervisors of this test; their guardians are not among them."""
    return [one for one in machine.left() if SUPERVISOR in one.command]


# many at once


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p01_starts_of_one_service_at_once(plain, tally):
    """Of 16 at one moment one starts it: all succeed, with the same answer, and one life is there (F58)."""
    rounds = trials(5, 25)
    words = ["start", "--no-tmux", "--key", "web", "--", *shell("echo $$ >>births; exec sleep 1000")]
    for number in range(1, rounds + 1):
        several = [plain.devport.spawn([DEVPORT, *words]) for _ in range(16)]
        assert [one.finish(60) for one in several] == [0] * 16, [one.errors for one in several]
        rows = [json.loads(one.output) for one in several]
        assert len({(row["pid"], row["port"], row["supervisor"]) for row in rows}) == 1
        births = eventually(lambda number=number: born(plain.project / "births", number))
        assert (len(births), births[-1]) == (number, str(rows[0]["pid"]))
        assert plain.do("stop", "web") == "web stopped\n"
        plain.devport.running.clear()
    tally(rounds * 16)


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_p02_starts_of_different_services_at_once(windowed, tally):
    """16 or 64 keys at one moment, and no tmux server yet: all run, each on a port of its own (F59)."""
    rounds, count = trials(1, 6), trials(16, 64)
    windowed.devport.claim(100)
    keys = [f"k{number}" for number in range(count)]
    for _ in range(rounds):
        several = [
            windowed.devport.spawn([DEVPORT, "start", "--key", key, "--", "sleep", "1000"]) for key in keys
        ]
        assert [one.finish(90) for one in several] == [0] * count, [one.errors for one in several]
        rows = [json.loads(one.output) for one in several]
        assert {row["status"] for row in rows} == {"running"}
        for name in ("port", "pid", "window", "supervisor"):
            assert len({row[name] for row in rows}) == count, name
        windowed.do("rm", *keys)
        windowed.devport.running.clear()
        windowed.tmux("kill-server", status=None)
    tally(rounds * count)


def born(path, count):
    """The lines of `path` once there are `count`: a shell that has been started may not have come to its."""
    assert path.exists()
    births = path.read_text().split()
    assert len(births) >= count
    return births


# killed


def journal(machine, word):
    """The lines that the services of `crew` have noted and that begin with `word`."""
    text = "".join(path.read_text() for path in machine.project.glob("*.journal"))
    return [line for line in text.splitlines() if line.startswith(f"{word} ")]


@pytest.mark.drill
@pytest.mark.timeout(900)
def test_p27_everything_is_killed(windowed, tally):
    """SIGKILL to supervisors, services, the tmux server, to all: no second life, and all start again."""
    rounds, count = trials(1, 8), trials(5, 10)
    command = f"exec {sys.executable} -I -S {KID} {windowed.project}"
    # The end of its terminal ends a service that is not deaf, whatever becomes of its supervisor.
    traits = ("", " deaf")
    windowed.devport.procfile(
        **{f"s{number}": f"{command} s{number}{traits[number % 2]}" for number in range(count)}
    )
    dice = random.Random(27)
    kinds = ("supervisor", "service", "server", "all") * rounds
    for kind in kinds:
        rows = {row["name"]: row for row in windowed.json("start", "-d", "-t", "0.3")}
        assert len(rows) == count
        everything_runs(windowed, count)
        hit = dice.sample(sorted(rows), dice.randint(1, count))
        if kind == "server":
            procs.send(int(windowed.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
        elif kind == "all":
            windowed.kill()
        for name in hit if kind in {"supervisor", "service"} else ():
            row = windowed.row(name)
            procs.send(row["supervisor" if kind == "supervisor" else "pid"], signal.SIGKILL)
        settled(windowed, kind)
    windowed.do("restart", *sorted(windowed.ls()))
    everything_runs(windowed, count)
    assert journal(windowed, "overlap") == []
    windowed.do("down")
    windowed.nothing_left()
    tally(len(kinds))


def everything_runs(machine, count):
    """Each service is ready, and has one process."""

    def check():
        rows = machine.ls()
        assert [row["state"] for row in rows.values()] == ["ready"] * count, rows
        kids = {
            one.pid
            for one in machine.left()
            if KID.name in one.command and one.command.startswith(sys.executable)
        }
        assert kids == {row["pid"] for row in rows.values()}

    eventually(check, 20)


def settled(machine, kind):
    """Nothing of what was killed lives on unsupervised, and `ls` says what there is."""

    def check():
        rows = machine.ls()
        living = {row["supervisor"] for row in rows.values() if row["status"] == "running"}
        assert living == {one.pid for one in supervisors(machine)}
        pids = {row["pid"] for row in rows.values() if row["status"] == "running"}
        kids = {
            one.pid
            for one in machine.left()
            if KID.name in one.command and one.command.startswith(sys.executable)
        }
        assert kids == pids
        if kind in {"server", "all"}:
            assert living == set()
        if kind == "service":
            assert len(living) == len(rows)

    eventually(check, 20)


@pytest.mark.parametrize("words", [(), ("--no-port",)], ids=["port", "no-port"])
def test_f54_a_removed_lock_file_does_not_let_a_second_life_in(plain, words):
    """Somebody has deleted the lock of a running service: its supervisor's socket is as good a witness."""
    row = plain.start("web", ["sleep", "1000"], *words)
    os.unlink(plain.state / "locks" / f"{row['hash']}.lock")
    (first,) = supervisors(plain)
    done = plain.call("start", "--no-tmux", *words, "--key", "web", "--", "sleep", "1000")

    assert done.status == 1
    assert b"already running: pid %d answers at" % first.pid in done.errors + done.output

    def alone():
        assert [one.pid for one in supervisors(plain)] == [first.pid]

    eventually(alone)
    os.kill(first.pid, signal.SIGTERM)
    plain.nothing_left()


# forged locks


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p28_forged_locks(plain, tally):
    """Whatever a held lock says, and while others look at it: no stranger is ever signalled (F15, F57)."""
    rounds = trials(20, 300)
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")
    victim = plain.devport.spawn(python("import signal\nwhile True: signal.sigwait(range(1, 32))"))
    looker = plain.devport.spawn(["/bin/sh", "-c", 'while :; do "$0" ls >/dev/null; done', DEVPORT])
    lock = plain.state / "locks" / f"{row['hash']}.lock"
    genuine = json.loads(lock.read_bytes())
    boot, _, ticks = genuine["started"].partition("/")
    dice = random.Random(28)
    forgeries = [
        lambda: json.dumps({**genuine, "pid": victim.pid}),
        lambda: json.dumps({**genuine, "pid": victim.pid, "started": f"{boot}/{int(ticks) + 1}"}),
        lambda: json.dumps({**genuine, "pid": victim.pid, "started": f"{boot[::-1]}/{ticks}"}),
        lambda: json.dumps({**genuine, "pid": victim.pid, "started": ""}),
        lambda: json.dumps({**genuine, "pid": dice.choice([1, 0, -1, -victim.pid, 2**40, os.getpid()])}),
        lambda: json.dumps({**genuine, "pid": str(victim.pid)}),
        lambda: json.dumps(genuine)[: dice.randrange(len(json.dumps(genuine)))],
        lambda: dice.randbytes(200).decode("latin-1"),
        lambda: "",
    ]
    for number in range(rounds):
        lock.write_text(forgeries[number % len(forgeries)]() + "\n")
        assert plain.call("signal", "-s", dice.choice(["HUP", "TERM", "USR1"]), "web").status in {0, 1}
        if number % 5 == 0:
            assert plain.row("web")["status"] == "running"
        assert victim.popen.poll() is None
        assert looker.popen.poll() is None
    lock.write_text(json.dumps(genuine) + "\n")
    plain.call("stop", "web")
    assert procs.status_field(victim.pid, "SigPnd") == "0" * 16
    looker.stop(signal.SIGKILL)
    victim.stop(signal.SIGKILL)
    tally(rounds)


# clocks

DAY = 86400.0
JUMPY = """
import time
_day, _mono = time.time, time.monotonic
def _jumpy():
    try:
        with open({path!r}) as file: text = file.read()
    except OSError: text = ""
    if text == "jitter": return _day() + (1 if int(_mono() * 20) % 2 else -1)
    return _day() + float(text or 0)
time.time = _jumpy
"""
KINDS = frames.FRAMES if is_long() else frames.FRAMES[1:]


@pytest.fixture
def beginning(devport, tmp_path, monkeypatch):
    """From its call on every devport of this test begins with that code."""

    def begin(code):
        first = control.text_of("devport/__init__.py").splitlines()[0]
        made = control.environment(tmp_path / "venv", ("devport/__init__.py", first, code + first))
        monkeypatch.setattr(running, "DEVPORT", str(made.with_name("devport")))
        monkeypatch.setitem(devport.environ, "PYTHONSAFEPATH", "1")

    return begin


@pytest.fixture
def jumpy(beginning, tmp_path):
    """Lets the time of day of every devport of this test jump: by so many seconds, or back and forth."""
    clock = tmp_path / "clock"
    beginning(JUMPY.format(path=str(clock)))

    def jump(by):
        new = clock.with_suffix(".new")
        new.write_text(str(by))
        new.replace(clock)

    return jump


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_p37_clock_jumps(devport, jumpy, kind, tally):
    """A month ahead or back, an hour, a second to and fro: restarts, graces, probes, watchdog go on (F62)."""
    beat = "say('READY=1')\nwhile True: say('WATCHDOG=1'); time.sleep(0.05)\n"
    stubborn = "trap '' TERM INT; echo up >>ups; while :; do sleep 0.02; done"
    uptime = "read up rest </proc/uptime; echo $up >>births; exit 1"
    frame_ = frames._frame(devport, kind)
    frame = next(frame_)
    try:
        frame.write(
            {
                "crash": {"exec": uptime, "restart": {"max": None, "delay": 0.4, "max_delay": 0.4}},
                "guarded": {"exec": told(beat), "watchdog": {"usec": 6_000_000}},
                "probed": {
                    "exec": f"{mark('probed')}; exec sleep 1000",
                    "live": {"exec": "true", "period": 0.1, "probe_timeout": 5},
                },
                "stubborn": {"exec": stubborn, "stop": {"timeout": 1}},
            }
        )
        jumpy(0)
        frame.up()
        frame.marked("ups", 1)
        pids = {
            name: live.reached(frame.devport, name, "ready")["pid"]
            for name in ("guarded", "probed", "stubborn")
        }
        jumps = (31 * DAY, -31 * DAY, -3600.0, "jitter") * trials(1, 5)
        for jump in jumps:
            begin = len(frame.marks("births"))
            jumpy(jump)
            times = [float(one) for one in frame.marked("births", begin + 2)]
            gaps = [after - before for before, after in zip(times[begin - 1 :], times[begin:], strict=False)]
            assert all(0.38 <= gap < 0.4 + LATE for gap in gaps), (jump, gaps)
        for name, pid in pids.items():
            row = live.row(frame.devport, name)
            assert (row["state"], row["pid"], row["restarts"]) == ("ready", pid, 0), name
        jumpy(-31 * DAY)
        began = time.monotonic()
        frame.do("stop", "stubborn")
        assert 0.95 < time.monotonic() - began < 1 + LATE + 1
        frame.down()
    finally:
        next(frame_, None)
    tally(len(jumps))


# no locks

NO_LOCKS = """
import errno, fcntl, os
def _refuse(*_): raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = _refuse
"""


def test_f61_no_locks_on_the_disk_of_the_state(plain, beginning):
    """No command starts, stops or removes anything where nobody can be kept out: a line with the way out."""
    plain.devport.procfile(web="touch started; exec sleep 1000")
    plain.start("old", argv("signals"))
    plain.do("stop", "old")
    beginning(NO_LOCKS)
    command = ("--", "sleep", "1000")
    for words in (
        ("start",),
        ("start", "-d", *plain.flags),
        ("start", *plain.flags, "--key", "new", *command),
        ("run", "web"),
        ("stop", "old"),
        ("restart", "old"),
        ("rm", "old"),
    ):
        said = plain.refused(*words)
        assert said.endswith("its file system has no locks (DEVPORT_HOME names another place)\n"), words
        assert said.count("\n") == 1, words
    assert {name: row["status"] for name, row in plain.ls().items()} == {"old": "unknown"}
    assert not (plain.project / "started").exists()
    assert plain.left() == []


# descriptors


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_f42_1024_descriptors(devport):
    """With 1024 descriptors and no more to be had 250 services run; too many are refused in one line."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as home:
        devport.environ["DEVPORT_HOME"] = home
        count = trials(250, 500)
        devport.claim(count)
        devport.procfile(**{f"s{number}": "exec sleep 1000" for number in range(250)})
        run = devport.start("-t", "1", setup=["nofile=1024:1024"])
        run.expect(rb"s249 started", 60)
        assert len(os.listdir(f"/proc/{run.supervisor}/fd")) < 1000
        assert run.stop(timeout=60)[0] == 143
        if is_long():
            devport.procfile(**{f"s{number}": "exec sleep 1000" for number in range(500)})
            run = devport.start("-t", "1", setup=["nofile=1024:1024"])
            assert run.finish(60) == 1
            assert re.fullmatch(rb"devport: .*Too many open files\n", run.errors)
