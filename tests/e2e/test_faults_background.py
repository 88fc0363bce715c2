"""The failure catalogue, F01 to F49, under the supervisors of background services.

What holds there is held by test_supervisor.py and others as well; here is what the catalogue asks besides.
"""

import json
import os
import shlex
import signal
import sys
import time

import pytest
from support import background, frames, procs
from support.background import argv, python, shell
from support.drill import trials
from support.procs import eventually
from support.running import CHILDREN, DEVPORT, child

machine, windowed, plain = background.machine, background.windowed, background.plain
frame = frames.frame

GRACE = 1.0
T = ("-t", str(GRACE))
LATE = 8.0
"""Seconds that what is told to end may take longer, on a busy machine; who is not, stays for ever."""


def stopped(machine, name):
    """Seconds that `devport stop NAME` takes; the log's text of it."""
    before = len(machine.log(machine.row(name)["hash"]))
    began = time.monotonic()
    machine.do("stop", name)
    seconds = time.monotonic() - began
    return seconds, machine.log(machine.row(name)["hash"])[before:]


@pytest.mark.parametrize("stubborn", ["obedient", "stubborn"])
def test_f01_f02_whole_tree(plain, stubborn):
    """A grandchild is gone with `stop`: in the group, in its own, in a session of its own, without a name."""
    kinds = ("group", "pgid", "setsid", "double", "bare")
    plain.devport.procfile(**{kind: child("forker", kind, stubborn, plain.tag) for kind in kinds})
    rows = plain.detach(*T)
    for row in rows.values():
        plain.logged(row["hash"], rb"ready \d+")
    began = time.monotonic()
    plain.do("down")

    assert time.monotonic() - began < (GRACE if stubborn == "stubborn" else 0) + LATE
    assert [one for one in plain.left() if plain.tag in one.command] == []  # not so its supervisors
    plain.nothing_left()


def test_f02_escape_artist(plain):
    """A process that takes a new session and pid all the time is caught all the same."""
    row = plain.start("web", argv("hopper", 1), *T)
    plain.logged(row["hash"], rb"ready")
    life = procs.hopping(plain.project)
    try:
        seconds, _ = stopped(plain, "web")

        assert seconds < GRACE + LATE
        assert plain.row("web")["state"] == "stopped"
        plain.nothing_left()
        assert not procs.is_locked(life), "it hops on"
    finally:
        life.unlink()


def test_f03_each_life_has_its_port(frame):
    """The leader crashes and leaves the listener: it is ended first, and each next life binds at once."""
    # A line of shell may hold no line break in a Procfile; here it is a file of its own.
    frame.devport.write(
        "serve.py",
        "import os, socket, sys, time\n"
        "one = socket.socket()\n"
        "one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "try:\n"
        "    one.bind(('127.0.0.1', int(os.environ['PORT'])))\n"
        "    one.listen()\n"
        "except OSError:\n"
        "    open('failed', 'a').write('x\\n')\n"
        "    sys.exit(98)\n"
        "open('lives', 'a').write('x\\n')\n"
        "if os.fork(): sys.exit(3)\n"
        "time.sleep(1000)\n",
    )
    web = f"exec {sys.executable} -I -S serve.py"
    frame.write({"web": {"exec": web, "restart": {"on": "always", "delay": 0.05, "max": None}}})
    frame.up()
    frame.marked("lives", 6)
    frame.down()

    assert frame.marks("failed") == []


def test_f04_listener_that_survives_both(plain):
    """Both of devport's processes are killed and a listener stays: it is named, and has to go first."""
    command = argv("listener", "shared")
    row = plain.start("web", command)
    survivor = int(plain.logged(row["hash"], rb"shared with (\d+)\r?\n")[1])

    def away():  # else the end of its terminal were its own
        assert procs.process(survivor).session == survivor

    eventually(away)
    guardian = plain.guardian(row["hash"])
    os.kill(guardian, signal.SIGSTOP)
    os.kill(row["supervisor"], signal.SIGKILL)
    os.kill(guardian, signal.SIGKILL)

    def alone():
        assert [one.pid for one in plain.left()] == [survivor]

    eventually(alone)
    again = plain.start("web", command, status=1)
    assert f"its port {row['port']} is in use by " in again["error"]
    assert f"(pid {survivor}, user " in again["error"]
    assert procs.children(again["supervisor"]) == []
    assert procs.is_alive(survivor)
    procs.send(survivor, signal.SIGKILL)
    plain.logged(row["hash"], rb"shared with", 2)
    assert b"cannot bind" not in plain.log(row["hash"])
    plain.do("stop", "web")
    plain.nothing_left()


def test_f06_orphans_are_reaped(plain):
    """Orphans are adopted; those that end at once are reaped at once, the others when they end."""
    count = trials(100, 1000)
    os.mkfifo(plain.project / "gate")
    row = plain.start("web", argv("orphans", count, "gate"))
    plain.logged(row["hash"], rb"ready")

    def has(number):
        assert len(procs.children(row["supervisor"])) == number

    eventually(lambda: has(1 + count // 2))
    with open(plain.project / "gate", "wb"):
        eventually(lambda: has(1))


@pytest.mark.parametrize("code", [0, 42])
def test_f07_sigchld_ignored_by_the_caller(plain, code):
    """Started with SIGCHLD ignored, a supervisor still knows how its service ended."""
    plain.devport.write(
        "devport.yaml", json.dumps({"processes": {"web": {"exec": f"exit {code}", "restart": "never"}}})
    )
    plain.call("start", "-d", *plain.flags, setup=[f"ignore={signal.SIGCHLD:d}"])
    [hash_] = [row["hash"] for row in plain.ls().values()]
    plain.ended(hash_)

    assert plain.record(hash_)["run"]["status"] == code


def test_f13_stopped_process_hears_the_stop(plain):
    """A service in state T is continued behind its TERM, and needs no SIGKILL."""
    row = plain.start("web", shell("echo ready; kill -STOP $$; exec sleep 1000"), "-t", "30")
    plain.logged(row["hash"], rb"ready")

    def check():
        assert procs.process(row["pid"]).state == "T"

    eventually(check)
    seconds, said = stopped(plain, "web")

    assert seconds < LATE
    assert b"killing" not in said


def test_f14_unkillable_process(plain):
    """What not even SIGKILL ends is given up after 3 s, and said; other services are stopped meanwhile."""
    row = plain.start("web", argv("stubborn"), "-t", "3")
    other = plain.start("other", argv("signals"))
    for one in (row, other):
        plain.logged(one["hash"], rb"ready")
    tracer = plain.devport.spawn([sys.executable, "-I", str(CHILDREN / "tracer.py"), str(row["pid"])])
    if b"cannot" in tracer.expect(rb"tracing|cannot.*")[0]:
        pytest.skip("tracing another process is not allowed here (ptrace)")
    os.kill(row["supervisor"], signal.SIGTERM)
    plain.do("stop", "other")
    assert plain.holder(row["hash"]) is not None  # for the grace, and 3 s
    plain.ended(row["hash"], 3 + 3 + LATE)
    tracer.stop(signal.SIGKILL)

    record = plain.record(row["hash"])
    assert (record["state"], record["error"]) == ("failed", "still running after SIGKILL")


def test_f15_pid_of_somebody_else(plain):
    """A record and a free lock that name an innocent process: no verb touches it (a held one: P28)."""
    command = argv("signals")
    for number in range(trials(4, 100)):
        verb = ("stop", "restart", "signal", "rm")[number % 4]
        if verb == "stop":  # the first, and the first after an rm
            row = plain.start("web", command)
            plain.do("stop", "web")
        innocent = plain.devport.spawn(["sleep", "1000"])
        lock = plain.state / "locks" / f"{row['hash']}.lock"
        holder = json.loads(lock.read_text())
        lock.write_text(json.dumps({**holder, "pid": innocent.pid}) + "\n")
        run = {**plain.record(row["hash"])["run"], "pid": innocent.pid}
        plain.rewrite(row["hash"], run=run, state="ready")
        unharmed(innocent, plain.devport.spawn([DEVPORT, verb, "web"]))
        assert unharmed(innocent, plain.devport.spawn([DEVPORT, "stop", "web"])) in {0, 3}
        innocent.stop()


def unharmed(innocent, command):
    """The status of `command`, during which `innocent` has lived; both are Running."""
    while command.popen.poll() is None:
        assert innocent.popen.poll() is None  # in time: a dead one that is not reaped is a pid in use
        command.read(0.02)
    assert innocent.popen.poll() is None
    return command.finish()


def test_f17_statuses_in_the_record(plain):
    """Each exit code and each deadly signal is in the record as it was."""
    codes = range(256) if trials(0, 1) else (0, 1, 42, 126, 127, 128, 255)
    numbers = [n for n in range(1, 32) if trials(0, 1) or n in {1, 9, 11, 15}]
    numbers = [n for n in numbers if n not in {17, 18, 19, 20, 21, 22, 23, 28}]  # these kill nobody
    kill = python("import os,resource,signal,sys;resource.setrlimit(4,(0,0));n=int(sys.argv[1]);"
                  "n in (9,) or signal.signal(n,0);os.kill(os.getpid(),n)")  # fmt: skip
    commands = [*((code, shell(f"exit {code}")) for code in codes), *((-n, [*kill, str(n)]) for n in numbers)]
    plain.devport.write(
        "devport.yaml",
        json.dumps(
            {
                "processes": {
                    f"s{n}": {"exec": f"exec {shlex.join(command)}", "restart": "never"}
                    for n, (_, command) in enumerate(commands)
                }
            }
        ),
    )
    plain.devport.claim(len(commands))
    for start in range(0, len(commands), 16):
        plain.call(
            "start", "-d", *plain.flags, *(f"s{n}" for n in range(start, min(start + 16, len(commands))))
        )
    rows = plain.ls()
    for n, (status, _) in enumerate(commands):
        plain.ended(rows[f"s{n}"]["hash"])
        assert plain.record(rows[f"s{n}"]["hash"])["run"]["status"] == status


def test_f18_zombie_in_the_group(plain):
    """A zombie that its parent never reaps does not make a stop wait."""
    code = (
        "import os,signal;[os.fork() or os._exit(0) for _ in 'abc'];print('ready',flush=True);signal.pause()"
    )
    row = plain.start("web", python(code), "-t", "30")
    plain.logged(row["hash"], rb"ready")
    seconds, said = stopped(plain, "web")

    assert seconds < LATE
    assert b"did not stop" not in said


@pytest.mark.parametrize("how", ["SIGKILL", pytest.param("kill-server", marks=pytest.mark.drill_only)])
def test_f20_ten_services_and_the_tmux_server(windowed, how):
    """The tmux server goes with ten services in it: nobody survives, no lock is held, all start again."""
    windowed.devport.procfile(**{f"s{n}": "echo ready; exec sleep 1000" for n in range(10)})
    rows = windowed.detach().values()
    for row in rows:
        windowed.logged(row["hash"], rb"ready")
    if how == "SIGKILL":
        os.kill(int(windowed.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)
    else:
        windowed.tmux(how)
    for row in rows:
        windowed.ended(row["hash"], GRACE + LATE + 5)
    windowed.nothing_left()

    assert {(one["status"], one["state"]) for one in windowed.ls().values()} == {("stopped", "stopped")}
    assert {one["status"] for one in windowed.detach().values()} == {"running"}


def test_f44_lock_is_not_inherited(plain):
    """All of devport is killed and a daemon survives it: the service's lock is free at once."""
    row = plain.start("web", argv("forker", "double"))
    daemon = int(plain.logged(row["hash"], rb"ready (\d+)")[1])
    guardian = plain.guardian(row["hash"])
    os.kill(guardian, signal.SIGSTOP)
    os.kill(row["supervisor"], signal.SIGKILL)
    os.kill(guardian, signal.SIGKILL)

    plain.ended(row["hash"])
    assert procs.is_alive(daemon)
    procs.send(daemon, signal.SIGKILL)
    plain.nothing_left()


def test_f47_nothing_to_read(plain):
    """Without a window a service reads no keys, and is not suspended for trying (F23)."""
    row = plain.start("web", shell("echo ready; read x; echo got $x"))
    plain.logged(row["hash"], rb"ready")
    procs.idle(plain.tag)

    assert procs.process(row["pid"]).state == "S"
    assert b"got" not in plain.log(row["hash"])


def test_f31_last_output(plain):
    """What a service prints up to its end, and what it says about its stop, is in the log."""
    script = "trap 'seq 1 1000; exit 0' TERM; seq 1 30000; echo ready; while :; do sleep 0.05; done"
    row = plain.start("web", shell(script), "-t", "10")
    plain.logged(row["hash"], rb"ready")
    plain.do("stop", "web")
    found = [int(line) for line in plain.log(row["hash"]).splitlines() if line.isdigit()]

    assert found == [*range(1, 30_001), *range(1, 1001)]


def test_f32_terminal_held_by_a_stranger(plain):
    """Who is no part of the tree has the service's terminal open: its end is noticed in time all the same."""
    row = plain.start("web", shell("echo ready; exec sleep 1000"))
    plain.logged(row["hash"], rb"ready")
    held = os.open(f"/proc/{row['pid']}/fd/1", os.O_RDWR | os.O_NOCTTY)
    began = time.monotonic()
    os.kill(row["pid"], signal.SIGKILL)
    plain.logged(row["hash"], rb"was killed by SIGKILL")

    assert time.monotonic() - began < 1 + LATE
    os.close(held)


def test_f33_child_closes_stdout(plain):
    """A service that closes its terminal runs on, costs nothing, and its status counts."""
    script = "exec >&- 2>&- <&-; while ! test -e end; do sleep 0.1; done; exit 7"
    row = plain.start("web", shell(script))

    def costs_nothing():  # once its start is over
        before = procs.cpu_seconds(row["supervisor"])
        procs.elapse(1)
        assert procs.cpu_seconds(row["supervisor"]) - before < 0.2

    eventually(costs_nothing)
    assert plain.row("web")["status"] == "running"
    (plain.project / "end").touch()

    def check():
        assert plain.record(row["hash"])["run"]["status"] == 7

    eventually(check)
