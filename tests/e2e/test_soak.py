"""Nothing grows: three days by a clock that leaps, and ten real minutes of many services (P40, P23)."""

import contextlib
import json
import os
import pathlib
import random
import re
import shlex
import signal
import socket
import statistics
import sys
import time

import pytest
from drill.books import Journals
from drill.clock import Days, weigh
from support import background, procs
from support.engine import engine, make_job, python, run_for, run_until, start
from support.running import PATIENCE, child, need

from devport.context import Context
from devport.engine.lifecycle import RESTART, State
from devport.engine.log import Log
from devport.model import Policy, Probe, StopPolicy, Watchdog
from devport.registry.store import Store
from devport.sources.assembly import Sources

windowed = background.windowed

DAY = 86400.0
DAYS = 3
LINES = ("/bin/sh", "-c", "seq 100000 101000; exit 3")
BEATS = """
import os, signal, socket
box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
box.connect(os.environ["NOTIFY_SOCKET"])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
box.send(b"READY=1\\nSTATUS=up")
while signal.sigwait([signal.SIGUSR1]):
    box.send(b"WATCHDOG=1\\nSTATUS=busy")
    print("beat" * 500, flush=True)
"""


class ThreeDays:
    """The engine with services that crash, print, are probed, restarted, watched over; and their log."""

    def __init__(self, folder, *, leak=False):
        self.days = days = Days()
        loop = self.loop = days.loop
        self.ports = procs.Ports()
        self.leaked = []
        self.log = Log(str(folder / "log"), lambda _: None, days.clock.wall, limit=200_000)
        context = Context({}, str(folder), str(folder), now=days.clock, wall=days.clock.wall)
        self.store = Store(str(folder), days.clock.wall)
        self.store.prepare()
        self.sources = Sources(loop, self.store, context)
        quick = {"on": "on_failure", "max": None, "delay": 1.0, "max_delay": 1800.0}
        self.brief = make_job(loop, LINES, name="brief", **quick)
        self.brief.stream = Both(self.log)
        self.port = self.ports.first
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", self.port))
        server.listen(4096)
        self.server = server
        self.probed = make_job(loop, ("sleep", "1000000"), name="probed", probed=True)
        probe = Probe("tcp", port=self.port, foreign=True, period=900.0, probe_timeout=5.0)
        self.attach(self.probed, Policy(ready=probe, live=probe))
        self.asked = make_job(loop, ("sleep", "1000000"), name="asked", probed=True)
        often = Probe("exec", command=("true",), period=3600.0, probe_timeout=5.0)
        self.attach(self.asked, Policy(ready=often))
        self.beats = make_job(loop, python(BEATS), name="beats", probed=True)
        self.beats.taps.append(lambda _: setattr(days, "owed", False))
        self.beats.observers.append(
            lambda _: setattr(days, "owed", False)
        )  # it may be ended before it answers
        self.attach(self.beats, Policy(ready=Probe("notify"), watchdog=Watchdog(int(3000e6))))
        if leak:
            loop.observers.append(lambda transition: self.leaked.append([transition.event]))
        for job in loop.jobs:
            start(loop, job)
        self.every(1200.0, self.beat)
        self.every(7200.0, lambda: loop.send(self.probed, RESTART))
        self.every(10800.0, lambda: loop.send(self.beats, RESTART))
        self.every(600.0, self.accept)

    def attach(self, job, policy):
        """As a supervisor does it."""
        self.sources.attach(job, policy, StopPolicy(), self.port)

    def every(self, seconds, act):
        """`act` again and again."""

        def again():
            act()
            self.loop.at(self.loop.now() + seconds, again)

        self.loop.at(self.loop.now() + seconds, again)

    def beat(self):
        """The service that is watched over says that it lives."""
        if self.beats.process is not None and self.beats.lifecycle.state is State.READY:
            procs.send(self.beats.process.pid, signal.SIGUSR1)
            self.days.owed = True

    def accept(self):
        """Take the probes' connections."""
        self.server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.server.accept()[0].close()

    def close(self):
        """The end."""
        self.sources.close()
        self.days.close()
        self.log.close()
        self.server.close()
        self.ports.release()


class Both:
    """The Verbatim of a supervisor, as far as the log goes."""

    def __init__(self, log):
        self.log = log

    def feed(self, chunk):
        """To the log."""
        self.log.write(chunk)

    def end(self):
        """Nothing is held back."""


def three_days(folder, *, day=DAY, leak=False):
    """What is weighed at the end of each day, and how many lives there were until then."""
    world = ThreeDays(folder, leak=leak)
    try:
        begun = world.days.clock()
        found = []
        for number in range(1, DAYS + 1):
            world.days.pass_until(begun + number * day + 500)  # between two restarts
            found.append((*weigh(), world.days.spawned))
            for job in (world.probed, world.asked, world.beats):
                assert job.lifecycle.state is State.READY, (number, job.name, job.lifecycle.state)
    finally:
        world.close()
    print(f"blocks, objects, descriptors, lives at the end of each day: {found}")
    return found


def grows(found):
    """Whether a day has left something behind for one in three of its lives, or a descriptor."""
    (_, _, _, _), (blocks, objects, descriptors, lives), last = found
    allowed = (last[3] - lives) / 3
    return last[0] - blocks > allowed or last[1] - objects > allowed or last[2] != descriptors


@pytest.fixture(autouse=True)
def few_marks(monkeypatch):
    """What is remembered of the output has its full size on the first day."""
    monkeypatch.setattr("devport.engine.backlog.MARKS", 8)


def test_p40_three_days_leave_nothing_behind(tmp_path):
    """P40: crashes, probes, restarts, watchdog, rotated logs. The third day adds nothing."""
    began = time.monotonic()
    found = three_days(tmp_path)

    assert found[-1][3] - found[-2][3] > 50  # lives of a day
    assert not grows(found), found
    assert time.monotonic() - began < 100  # 5 s on a quiet machine
    assert (tmp_path / "log.3").exists()  # the log went round
    assert sum(path.stat().st_size for path in tmp_path.glob("log*")) < 1_200_000
    assert not list((tmp_path / "run").glob("*")), "sockets left"


def test_p40_negative_control(tmp_path):
    """One small list kept for each transition is seen."""
    assert grows(three_days(tmp_path, day=DAY / 4, leak=True))


def test_nothing_closed_is_waited_for():
    """A sibling that has not executed yet holds the report of an earlier spawn: nothing waits for that.

    (Found by the soak: for as long as that took, the loop span.)
    """
    with engine() as loop:
        job = make_job(loop, ("sleep", "1000"))
        start(loop, job)
        loop._settle()
        held = os.dup(job.process.report)  # as a fork would have it
        try:
            run_until(loop, lambda: job.lifecycle.state is State.READY)
            run_for(loop, 0.05)
            assert loop._control._selector.poll(0) == []
        finally:
            os.close(held)


# the real thing


KID = pathlib.Path(__file__).parents[1] / "drill" / "kid.py"
KIDS = {
    "steady": ["every=0.2"],
    "crashing": ["every=0.1", "crash=1.1:3"],
    "dying": ["every=0.1", "kill=1.7"],
    "mortal": ["every=0.3"],  # its supervisor is killed, again and again
    "pane": ["every=0.3"],  # its tmux server is
}
"""Services that count their own lives, and what they do."""
COUNTED = ("steady", "crashing", "dying")
WARM = 1 / 4
"""Of the looks, until what is remembered of the output has its full size."""
MOST = 3072.0
"""KB an hour by which no supervisor may grow in these ten minutes.

Measured: 0 to 580 for most, up to 1,900 where what is remembered of the output (128 KB) has not its full
size yet, or a command is run as a probe twice a second. Both come to rest: Python keeps up to 2,000 freed
tuples of each size, and with five probes a second a supervisor grew by 360 KB in seven minutes, then by none
in thirteen.
The catalogue asks for 1,024 over a day.
"""


def memory(pid):
    """Kilobytes of memory that `pid` has written to: what it maps of files others have as well."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Anonymous:"))


def kids(folder):
    """The processes of devport.yaml that note their lives in `folder`."""
    python = [sys.executable, "-I", "-S", str(KID), str(folder)]
    restart = {"on": "always", "max": None, "delay": 0.3, "max-delay": 0.3}
    return {
        name: {"exec": f"exec {shlex.join([*python, name, *traits])}", "restart": restart}
        for name, traits in KIDS.items()
    }


def services_of_the_soak():
    """Ten services that print, crash, leave daemons behind, are probed."""
    steady = "while :; do echo tick; sleep 0.2; done"
    return {
        "chatty": {"exec": "while :; do seq 1 200; sleep 1; done"},
        "crash": {
            "exec": "seq 1 50; sleep 0.3; exit 3",
            "restart": {"max": None, "delay": 0.5, "max-delay": 2},
        },
        "always": {"exec": "sleep 1", "restart": {"on": "always", "max": None, "delay": 0.2, "max-delay": 1}},
        "tcp": {
            "exec": child("listener"),
            "ready": {"tcp": None, "period": 0.5},
            "live": {"tcp": None, "period": 1},
        },
        "exec": {"exec": steady, "ready": {"exec": "true", "period": 0.5}},
        "log": {"exec": steady, "ready": {"log": "tick"}, "watch": "src"},
        "daemons": {"exec": child("forker", "double", "stubborn"), "stop": {"timeout": 0.3}},
        "orphans": {"exec": child("orphans", 100), "restart": {"on": "always", "max": None, "delay": 1}},
        "deaf": {"exec": child("stubborn"), "stop": {"timeout": 0.2}},
        "later": {"exec": steady, "after": ["tcp@ready"]},
        "half": {"exec": "while :; do printf 'half a '; sleep 0.3; echo line; done"},
    }


VERBS = (
    ["restart", "deaf"],
    ["restart", "daemons"],
    ["restart", "log"],
    ["signal", "exec"],
    ["signal", "-s", "USR1", "tcp"],
    ["logs", "-n", "20", "chatty", "crash"],
    ["ls"],
    ["stop", "half"],
    ["start", "-d", "--no-tmux", "half"],
    ["wait", "-t", "1", "tcp"],
)


class Soak:
    """What the supervisors use, in as many looks as `look` is called."""

    def __init__(self, machine, names):
        self.pids = {name: machine.supervisor(machine.row(name)["hash"]) for name in names}
        self.seen = {name: [] for name in names}

    def look(self):
        """Once more: (seconds, KB, descriptors) of each."""
        for name, pid in self.pids.items():
            self.seen[name].append((time.monotonic(), memory(pid), len(os.listdir(f"/proc/{pid}/fd"))))

    def growth(self, name):
        """KB an hour, over all looks but the first ones; and descriptors, of the last less the first."""
        seen = self.seen[name][int(len(self.seen[name]) * WARM) :]
        third = len(seen) // 3
        first, last = seen[:third], seen[2 * third :]
        descriptors = statistics.median(one[2] for one in last) - statistics.median(one[2] for one in first)
        return slope([one[:2] for one in seen]), descriptors


def slope(points):
    """What the second value grows by in an hour, by least squares; the first is in seconds."""
    return statistics.linear_regression(*zip(*points, strict=True)).slope * 3600


def test_p40_a_slope_is_seen():
    """Ten minutes of a memory that goes up and down by 64 KB: a leak of 5 MiB an hour is seen."""
    dice = random.Random("slope")
    times = [3.0 * number for number in range(150)]
    noise = [(at, 20_000 + dice.choice((0, 64)) + dice.random() * 20) for at in times]

    assert slope(noise) < MOST
    assert slope([(at, size + at * 5120 / 3600) for at, size in noise]) > MOST


class Faults:
    """Kills, in turn: a service, the supervisor of `mortal`, the tmux server of `pane`."""

    def __init__(self, machine, journals):
        self.machine, self.journals, self.count = machine, journals, 0
        self.dice = random.Random("soak")

    def lives(self, name):
        """Those of one service, as it has noted them."""
        self.journals.update()
        return [life for life in self.journals.lives.values() if life.name == name]

    def alive(self, name):
        """The life that is there, once it is."""

        def check():
            found = [life for life in self.lives(name) if life.alive]
            assert len(found) == 1, f"{name}: {len(found)} lives"
            return found[0]

        return procs.eventually(check, PATIENCE)

    def inject(self):
        """The next one."""
        kind = ("service", "mortal", "service", "pane")[self.count % 4]
        self.count += 1
        if kind == "service":
            procs.send(self.alive(self.dice.choice(COUNTED)).pid, signal.SIGKILL)
            return
        life, hash_ = self.alive(kind), self.machine.row(kind)["hash"]
        if kind == "mortal":
            os.kill(self.machine.supervisor(hash_), signal.SIGKILL)
            flags = ["--no-tmux"]
        else:
            self.machine.tmux("kill-server")
            self.machine.ended(hash_, PATIENCE)
            flags = []
        procs.eventually(lambda: is_over(life), PATIENCE)
        self.machine.call("start", "-d", *flags, kind, timeout=60)
        self.alive(kind)

    def check(self):
        """No two lives at once, none that went by unnoticed: as many births as starts."""
        for name in COUNTED:
            procs.eventually(lambda name=name: self._check(name), 3 * PATIENCE)
        assert self.journals.faults == []

    def _check(self, name):
        before = self.machine.row(name)
        lives = self.lives(name)
        assert self.machine.row(name)["restarts"] == before["restarts"], "it goes on"
        assert lives[-1].pid == before["pid"], "a life is about to begin"
        assert len(lives) == before["restarts"] + 1, f"{name}: births and starts that were counted"


def is_over(life):
    """It has ended."""
    assert not life.alive


@pytest.mark.drill
@pytest.mark.drill_only
@pytest.mark.timeout(1500)
def test_p40_ten_real_minutes(windowed, tally):
    """P40: ten minutes of crashes, kills, probes, output, commands: nothing grows, no life is lost."""
    need("tmux")
    folder = windowed.devport.folder / "journals"
    folder.mkdir()
    windowed.devport.write("src/file", "")
    windowed.devport.write(
        "devport.yaml", json.dumps({"processes": {**services_of_the_soak(), **kids(folder)}})
    )
    others = sorted({**services_of_the_soak(), **KIDS}.keys() - {"pane"})
    windowed.call("start", "-d", "--no-tmux", *others, timeout=60)  # status 1 where one has crashed meanwhile
    windowed.call("start", "-d", "pane", timeout=60)
    names = sorted(set(windowed.ls()) - {"half", "mortal", "pane"})  # which get new supervisors
    soak, faults = Soak(windowed, names), Faults(windowed, Journals(folder))
    end, count = time.monotonic() + float(os.environ.get("DEVPORT_TEST_SOAK", "600")), 0
    while time.monotonic() < end:
        words = VERBS[count % len(VERBS)]
        done = windowed.call(*words, timeout=60)
        assert done.status in (0, 124), done.shown()
        windowed.devport.write("src/file", str(count))
        procs.elapse(1.5)
        soak.look()
        count += 1
        if count % 3 == 0:
            faults.inject()
        for pid in soak.pids.values():
            assert procs.is_alive(pid)
    faults.check()
    lives = {name: len(faults.lives(name)) for name in KIDS}
    print(f"{count} looks, {faults.count} faults, lives {lives}")
    for name in names:
        first, last = soak.seen[name][0], soak.seen[name][-1]
        kilobytes, descriptors = soak.growth(name)
        print(f"{name}: {first[1:]} -> {last[1:]}, {kilobytes:.0f} KB an hour, {descriptors} descriptors")
    for name in names:
        kilobytes, descriptors = soak.growth(name)
        assert kilobytes < MOST, name
        assert abs(descriptors) <= 1, name
        assert len(soak.seen[name]) > 10
    windowed.do("down")
    windowed.nothing_left()
    tally(faults.count)


@pytest.mark.drill
@pytest.mark.drill_only
@pytest.mark.timeout(600)
def test_p23_twelve_hundred_services(devport, tally):
    """P23: 1 200 services: started in a minute, idle at no cost, no line lost, stopped."""
    count = 1200
    devport.claim(count)
    program = "echo $$ begins; read x <../go; seq 1 20; exec sleep 1000"
    devport.procfile(**{f"s{number}": program for number in range(count)})
    os.mkfifo(devport.folder / "go")
    running = devport.start(setup=["nofile=256:8192"])
    began = time.monotonic()
    running.expect(rb"s%d started" % (count - 1), 90)

    def begun():
        running.read(0.2)
        assert running.output.count(b" begins\n") == count

    procs.eventually(begun, 90)
    started = time.monotonic() - began
    supervisor = running.supervisor
    procs.idle(devport.tag, timeout=60)
    before = procs.cpu_seconds(supervisor)
    procs.elapse(5)
    used = procs.cpu_seconds(supervisor) - before
    (devport.folder / "go").write_bytes(b"")  # whoever waits for a writer gets its end-of-file

    def printed():
        running.read(0.2)
        lines = re.findall(rb"s\d+ +\| (?:[1-9]|1\d|20)$", running.output, re.MULTILINE)
        assert len(lines) == 20 * count

    procs.eventually(printed, 90)
    status, seconds = running.stop(timeout=90)
    print(f"started in {started:.1f} s, idle CPU {used / 5:.2%}, stopped in {seconds:.1f} s")

    assert status == 143
    assert started < 60
    assert used < 0.15  # 3 % of 5 s
    assert procs.tree(devport.tag) == []
    tally(count)
