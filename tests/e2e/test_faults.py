"""The failure catalogue of reliability.md, F01 to F49, as far as it concerns a run in the foreground.

One test a failure (some have relatives); the docstring says the rule. The background has
test_faults_background.py, what needs no frame integration/test_faults_kernel.py.
"""

import datetime as dt
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import sys
import termios
import time
import zlib

import pytest
from support import procs, tmux
from support.drill import trials
from support.running import CHILDREN, DEVPORT, child, need, python

from devport.engine.signals import BOUNCE

GRACE = 1.0
T = ("-t", str(GRACE))
LATE = 8.0
"""Seconds that what is told to end may take longer, on a busy machine; who is not, stays for ever."""


def trace(devport, pid):
    """A tracer of `pid` that never looks: killed, `pid` stays, as in state D, until the tracer ends."""
    tracer = devport.spawn([sys.executable, "-I", str(CHILDREN / "tracer.py"), str(pid)])
    if b"cannot" in tracer.expect(rb"tracing|cannot.*")[0]:
        pytest.skip("tracing another process is not allowed here (ptrace)")
    return tracer


def states(pids):
    """The state letters of `pids`."""
    return {found.state for pid in pids if (found := procs.process(pid))}


# A. process tree and exits


def test_f01_grandchild_in_the_group_outlives_its_leader(devport):
    """The leader obeys TERM, its child in the same group does not: both are gone after the grace."""
    devport.procfile(web=child("forker", "group", "stubborn"))
    running = devport.start(*T)
    running.expect(rb"\| ready")

    status, seconds = running.stop()

    assert status == 143
    assert GRACE * 0.9 < seconds < GRACE + LATE
    assert procs.tree(devport.tag) == []


def test_f01_obedient_members_of_the_group(devport):
    """The stop signal goes to the whole group: nobody in it has to be killed, whoever the leader is."""
    devport.procfile(
        web="sleep 1000 & sleep 1001 & echo ready; wait; exit 0",
        other="sh -c 'echo ready; sleep 1000; true'; true",
    )
    running = devport.start("-t", "60")
    running.ready("web", "other")

    status, seconds = running.stop()

    assert status == 143
    assert seconds < LATE
    assert b"did not stop" not in running.output


@pytest.mark.parametrize("kind", ["setsid", "double", "bare"])
def test_f02_daemons_of_two_services(devport, kind):
    """Daemons of a service that is stopped go; and with --keep-going those of another one stay."""
    devport.procfile(
        web=child("forker", kind, "exit=0", devport.tag),
        other=child("forker", kind, devport.tag),
    )
    running = devport.start("--keep-going", *T)
    found = running.expect_all(
        rb"other +\| ready (\d+)", rb"web +\| ready (\d+)", rb"web exited with status 0"
    )
    daemon, ended = int(found[0][1]), int(found[1][1])

    def check():
        assert not procs.is_alive(ended)

    if kind != "bare":  # that one shows no more whose it is, and goes with the last service
        procs.eventually(check)
    procs.idle(devport.tag)
    assert procs.is_alive(daemon)

    assert running.stop()[0] == 143
    assert procs.tree(devport.tag) == []


def test_f03_rest_of_the_group_keeps_the_port(devport):
    """The leader crashes and leaves the listener: it is ended too, and the next run can bind."""
    devport.procfile(web=child("listener", "exit=3"))
    for _ in range(3):
        running = devport.start(*T)

        assert running.finish() == 3
        port = int(re.search(rb"ready (\d+)", running.output)[1])
        assert b"cannot bind" not in running.output
        assert procs.is_free(port)


def test_f04_supervisor_killed(devport):
    """Kill -9 on one of devport's processes: the other ends the rest, and a new start runs nothing twice."""
    devport.procfile(web=child("listener"), daemon=child("forker", "double", "stubborn"))
    ports = set()
    for number in range(trials(4, 100)):
        running = devport.start(*T)
        ports.add(running.expect_all(rb"web +\| ready (\d+)", rb"daemon +\| ready")[0][1])
        os.kill(running.supervisor if number % 2 else running.pid, signal.SIGKILL)
        running.finish()
        if number % 2:  # the guardian has seen to it that nothing is left: at once a new start
            assert procs.tree(devport.tag) == []
        else:  # nobody waits for the supervisor that it left behind, which is no faster than its services
            procs.gone(devport.tag, GRACE + LATE)

    assert len(ports) == 1


def test_f04_listener_that_survives_both(devport):
    """Both of devport's processes are killed and a listener stays: it is named, nothing starts beside it."""
    devport.procfile(web=child("listener", "shared"), other="touch ../started; echo up; exec sleep 1000")
    running = devport.start()
    survivor = int(running.expect_all(rb"shared with (\d+)$", rb"other +\| up")[0][1])
    (devport.folder / "started").unlink()
    supervisor = running.supervisor
    os.kill(running.pid, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    os.kill(running.pid, signal.SIGKILL)
    running.finish()

    def alone():
        assert [one.pid for one in procs.tree(devport.tag)] == [survivor]

    procs.eventually(alone)
    again = devport.call("start")
    assert again.status == 1
    said = rb"cannot start web: its port \d+ is in use by \S+ \(pid %d, user \S+\); --reassign web" % survivor
    assert re.search(said, again.errors)
    assert not (devport.folder / "started").exists()
    alone()
    procs.kill_all(devport.tag)
    after = devport.start()
    after.expect(rb"shared with")
    assert after.stop()[0] == 143


def test_f05_parent_death_signal_race(devport):
    """All of devport dies while it starts its services: none that it started itself is left."""
    names = [f"s{n}" for n in range(12)]
    devport.procfile(**dict.fromkeys(names, child("stubborn")))
    for number in range(trials(20, 200)):
        running = devport.start()
        supervisor = running.supervisor
        procs.elapse(0.05 + number % 20 * 0.004)
        assert len(os.listdir(f"/proc/{supervisor}/task")) == 1  # the signal goes with the thread that forked
        os.kill(running.pid, signal.SIGSTOP)
        procs.send(supervisor, signal.SIGKILL)
        os.kill(running.pid, signal.SIGKILL)
        running.finish()
        procs.gone(devport.tag, LATE)


def test_f06_orphans_are_reaped(devport):
    """Orphans are adopted; those that end at once are reaped at once, the others when they end."""
    os.mkfifo(devport.project / "gate")
    devport.procfile(web=child("orphans", 100, "gate"))
    running = devport.start()
    running.expect(rb"\| ready")
    running.services(1 + 50)
    with open(devport.project / "gate", "wb"):
        running.services(1)
    assert running.stop()[0] == 143


@pytest.mark.parametrize("code", [0, 42])
def test_f07_sigchld_ignored_by_the_caller(devport, code):
    """Started with SIGCHLD ignored, devport still knows how its services ended."""
    devport.procfile(web=f"exit {code}", other="exec sleep 1000")
    running = devport.start(setup=[f"ignore={signal.SIGCHLD:d}"])

    assert running.finish() == code


def test_f08_instant_exit(devport):
    """A service that ends before anybody looks is noticed every time."""
    devport.procfile(web="exit 1", other="exec sleep 1000")
    for _ in range(6):
        several = []
        for place in range(5):
            folder = devport.project / f"p{place}"
            devport.procfile(folder, web="exit 1", other="exec sleep 1000")
            several.append(devport.start(cwd=folder))
        assert [running.finish() for running in several] == [1] * 5
        assert all(b"web exited with status 1" in running.output for running in several)


def test_f09_signals_start_clean(devport):
    """Whatever the caller blocks or ignores, a service does not, and devport is stoppable."""
    devport.procfile(
        web="grep ^Sig /proc/self/status; echo end; exec sleep 1000",
        deep="sh -c 'grep Sig[BI] /proc/self/status; true'; true",
    )
    blocked = f"block={signal.SIGTERM:d},{signal.SIGINT:d},{signal.SIGUSR1:d},{signal.SIGCHLD:d}"
    ignored = f"ignore={signal.SIGINT:d},{signal.SIGQUIT:d},{signal.SIGPIPE:d},{signal.SIGTERM:d}"
    running = devport.start("--keep-going", setup=[blocked, ignored])
    running.expect(rb"\| end")

    assert running.stop()[0] == 143
    found = re.findall(rb"Sig(Blk|Ign):\s*([0-9a-f]+)", running.output)
    assert len(found) >= 2
    assert {procs.settable(mask) for _, mask in found} == {0}


def test_f09_nohup(devport):
    """Started deaf to HUP (nohup), devport stays so; INT still ends it; the services are not deaf."""
    devport.procfile(web="grep SigIgn /proc/self/status; exec sleep 1000")
    running = devport.start(setup=[f"ignore={signal.SIGHUP:d}"])
    running.expect(rb"SigIgn:\s*[0-9a-f]+$")
    assert procs.settable(re.search(rb"SigIgn:\s*([0-9a-f]+)", running.output)[1]) == 0
    running.send(signal.SIGHUP)
    os.kill(running.supervisor, signal.SIGHUP)
    procs.idle(devport.tag)
    assert running.popen.poll() is None

    assert running.stop(signal.SIGINT)[0] == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_f10_stop_in_the_first_milliseconds(devport, number):
    """A stop that comes while the services are being started leaves none, and none starts afterwards."""
    devport.claim(200)
    entries = dict.fromkeys([f"s{n}" for n in range(20)], child("forker", "setsid"))
    for place in range(8):
        folder = devport.project / str(place)
        devport.procfile(folder, **entries)
        running = devport.start(*T, cwd=folder)
        running.expect(rb"s%d started" % (place * 2))
        status, seconds = running.stop(number)

        assert status == 128 + number
        assert seconds < GRACE + LATE
        assert procs.tree(devport.tag) == []


def test_f10_stop_while_others_start_is_orderly(devport):
    """Who has started hears the stop signal, even if it comes while the others are being started."""
    polite = "trap 'echo clean end; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    devport.procfile(first=polite, **dict.fromkeys([f"s{n}" for n in range(30)], "exec sleep 1000"))
    for _ in range(trials(1, 10)):
        running = devport.start("-t", "30")  # of which a busy machine may need some
        running.expect(rb"first +\| ready")

        assert running.stop()[0] == 143
        assert b"clean end" in running.output
        assert procs.tree(devport.tag) == []


def test_f11_escalation_is_logged(devport):
    """A service that ignores its stop signal is killed after the grace, and that is said."""
    devport.procfile(web=child("stubborn"))
    running = devport.start(*T)
    running.expect(rb"\| ready")

    status, seconds = running.stop()

    assert status == 143
    assert GRACE * 0.9 < seconds < GRACE + LATE
    assert b"web did not stop within 1 s, killing it" in running.output


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_f12_second_request(devport, second):
    """The second request to end, of whatever kind, kills at once; the status is the first one's."""
    devport.procfile(web=child("stubborn"), daemon=child("forker", "setsid", "stubborn"))
    running = devport.start("-t", "60")
    running.ready("web", "daemon")
    running.send(signal.SIGTERM)
    running.expect(rb"SIGTERM received, stopping")
    if second == signal.SIGTERM:  # another signal needs no pause
        procs.elapse(procs.APART)

    status, seconds = running.stop(second)

    assert status == 143
    assert seconds < LATE
    assert procs.tree(devport.tag) == []


@pytest.mark.parametrize("stalled", [False, True], ids=["reader", "stalled reader"])
def test_f12_third_request(devport, stalled):
    """The third one ends devport at once, whoever does not die or read, and it says who is left."""
    devport.procfile(
        web=child("stubborn"),
        other="trap '' TERM; echo up; seq 1 1000000; exec sleep 1000",
        first=child("signals"),
    )
    running = devport.start("-t", "60")
    running.expect_all(rb"web +\| ready", rb"other +\| up", rb"first +\| ready")
    commands = {pid: procs.process(pid).command for pid in running.services(3)}
    [web] = [pid for pid in commands if "stubborn.py" in commands[pid]]
    [first] = [pid for pid in commands if "signals.py" in commands[pid]]
    [other] = commands.keys() - {web, first}
    tracer = trace(devport, web)
    if stalled:
        devport.descriptors.append(running.stall())
        procs.idle(devport.tag, 0.15)
    for obeys in (first, other):  # the request to stop, and the one to kill
        running.send(signal.SIGINT)
        procs.eventually(lambda pid=obeys: assert_dead(pid))
        procs.elapse(procs.APART)
    running.send(signal.SIGINT)
    status = running.finish()

    tracer.stop(signal.SIGKILL)
    assert status == 130
    assert b"web is left running: pid %d" % web in running.errors
    assert b"other is left" not in running.errors


def burst(devport):
    """A run that has had thirty Ctrl-C at once, and goes on; None where devport heard them over too long."""
    running = devport.start("-t", "60", "--json")
    running.expect(rb'"line": "ready"')
    for number in range(30):
        running.send(signal.SIGINT)
        if number % 10 == 9:  # what is sent without a pause is one signal to the kernel already
            procs.elapse(0.01)
    running.expect(rb'"event": "stopping"')
    procs.elapse(procs.APART)
    running.read(0)
    events = [json.loads(line) for line in running.output.splitlines()]
    asked = [one for one in events if one.get("event") in {"stopping", "interrupted"}]
    if len(asked) == 1:
        return running
    first, second = (dt.datetime.fromisoformat(one["time"]) for one in asked[:2])
    assert (second - first).total_seconds() > BOUNCE - 0.005
    running.finish()
    return None


def test_f12_thirty_at_once(devport):
    """A burst of Ctrl-C (foreman hangs) is one request, and one that goes on is a second."""
    devport.procfile(web=child("stubborn"), worker=child("signals"))
    while (running := burst(devport)) is None:  # which the machine has drawn out
        pass
    assert running.popen.poll() is None

    def check():
        running.send(signal.SIGINT)
        running.read(0.05)
        assert running.popen.poll() is not None

    procs.eventually(check)
    assert running.finish() == 130
    assert procs.tree(devport.tag) == []


def test_f13_stopped_process_hears_the_stop(devport):
    """A service in state T is continued behind its TERM, and needs no SIGKILL."""
    devport.procfile(web="echo $$; kill -STOP $$; exec sleep 1000", other="kill -STOP $$; true")
    running = devport.start("-t", "30")
    running.expect(rb"web +\| (\d+)")
    pids = running.services(2)

    def check():
        assert states(pids) == {"T"}

    procs.eventually(check)
    status, seconds = running.stop()

    assert status == 143
    assert seconds < LATE
    assert b"killing" not in running.output


def test_f14_unkillable_process(devport):
    """What not even SIGKILL ends is given up after 3 s, said, and keeps nobody else.

    A tracer that never looks stands in for state D: devport is not told of the end.
    """
    devport.procfile(web=child("stubborn"), other=child("forker", "setsid", "stubborn"))
    running = devport.start(*T)
    running.ready("web", "other")
    [web] = [pid for pid in running.services(2) if "stubborn.py" in procs.process(pid).command]
    tracer = trace(devport, web)

    status, seconds = running.stop()

    tracer.stop(signal.SIGKILL)
    assert status == 143
    assert GRACE + 2 < seconds < GRACE + 6 + LATE
    assert b"web failed: still running after SIGKILL" in running.output
    assert procs.tree(devport.tag) == []


def test_f15_pid_of_somebody_else(devport):
    """A lock file that names an innocent process (a reused pid) is no claim, and it is left alone."""
    devport.procfile(web="echo ready; exec sleep 1000")
    running = devport.start()
    running.expect(rb"\| ready")
    assert running.stop()[0] == 143
    innocent = devport.spawn(["sleep", "1000"])
    [lock] = [path for path in (devport.state / "locks").iterdir() if path.name != "register.lock"]
    holder = json.loads(lock.read_text())
    lock.write_text(json.dumps({**holder, "pid": innocent.pid}) + "\n")

    running = devport.start()
    running.expect(rb"\| ready")
    assert running.stop()[0] == 143
    assert innocent.popen.poll() is None
    innocent.stop()


@pytest.mark.parametrize(
    ("what", "expected", "said"),
    [
        ("exec: ./missing", 127, rb"cannot run \./missing: No such file"),
        ("exec: ./plain", 126, rb"cannot run \./plain: Permission denied"),
        ("exec: ./folder", 126, rb"cannot run \./folder: Permission denied"),
        ("exec: ./garbage", 126, rb"cannot run \./garbage: Exec format error"),
        ("exec: ./orphaned", 127, rb"cannot run \./orphaned: No such file"),
        ("exec: sleep 1000\n  cwd: nowhere", 1, rb"cannot change to .*nowhere: No such file"),
        ("exec: sleep 1000\n  cwd: plain", 1, rb"cannot change to .*plain: Not a directory"),
        (f"exec: 'true {'x' * 200_000}'", 126, rb"cannot run .*: Argument list too long"),
    ],
    ids=["ENOENT", "EACCES", "folder", "ENOEXEC", "interpreter", "cwd", "cwd is a file", "E2BIG"],
)
def test_f16_exec_fails(devport, what, expected, said):
    """A command that cannot be executed is reported with its path and errno; the others are stopped."""
    devport.write("plain", "text\n")
    devport.write("folder/file", "")
    devport.write("garbage", b"\x7fELF garbage").chmod(0o755)
    devport.write("orphaned", "#!/no/such/interpreter\n").chmod(0o755)
    devport.write("devport.yaml", f"- key: web\n  {what}\n- key: other\n  exec: sleep 1000\n")
    running = devport.start()

    assert running.finish() == expected
    assert re.search(said, running.everything())
    assert procs.tree(devport.tag) == []


def test_f17_exit_codes(devport):
    """Statuses pass through; all of them are in test_statuses.py."""
    devport.procfile(web="kill -USR1 $$", other="exec sleep 1000")
    running = devport.start()

    assert running.finish() == 128 + signal.SIGUSR1
    assert b"web was killed by SIGUSR1" in running.output


def test_f18_zombie_in_the_group(devport):
    """A zombie that its parent never reaps does not make a stop wait."""
    code = (
        "import os,signal;[os.fork() or os._exit(0) for _ in 'abc'];print('ready',flush=True);signal.pause()"
    )
    devport.procfile(web=python(code), other=f"{child('forker', 'setsid')} & {python(code)}")
    running = devport.start("-t", "30")
    running.expect_all(rb"web +\| ready$", rb"other +\| ready$")

    status, seconds = running.stop()

    assert status == 143
    assert seconds < LATE
    assert b"did not stop" not in running.output


# B. signals, terminal, job control


def test_f19_terminal_closed(devport):
    """The terminal closes: everything stops, the lock is free, the next start works."""
    devport.procfile(web=child("signals"), daemon=child("forker", "double"))
    running = devport.start(*T, terminal=(100, 30))
    running.expect_all(rb"web.*ready", rb"daemon.*ready")
    os.close(running.stall())
    devport.close(running.keyboard)
    began = time.monotonic()

    assert running.finish() in {129, 141}
    assert running.ended - began < GRACE + LATE
    procs.gone(devport.tag, LATE)
    again = devport.start()
    again.expect(rb"\| ready")
    assert again.stop()[0] == 143


def test_f20_tmux_server_killed(devport):
    """The tmux server around a run is killed: nothing survives, and the next start works."""
    devport.procfile(web=child("stubborn"), daemon=child("forker", "double", "stubborn"))
    window = tmux.Window(devport, f"{DEVPORT} start -t 1")
    window.expect(b"| ready", 2)
    os.kill(int(window.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)

    procs.gone(devport.tag, GRACE + 3 + LATE)
    again = devport.start(*T)
    again.expect(rb"\| ready")
    assert again.stop()[0] == 143


@pytest.mark.parametrize("what", ["pipe", "socket", "terminal"])
def test_f21_own_stdout_gone(devport, what):
    """Writing fails for good: an orderly stop, status 141, nothing said, nothing left."""
    devport.procfile(
        web="while :; do echo tick; sleep 0.1; done", other=child("forker", "setsid", "stubborn")
    )
    makers = {"pipe": devport.pipe, "socket": devport.socketpair, "terminal": pty.openpty}
    read, write = makers[what]()
    if what == "terminal":
        devport.descriptors += [read, write]
    running = devport.start(*T, stdout=write)
    devport.close(write)
    running.out = os.dup(read)
    running.expect(rb"tick")
    os.close(running.stall())
    devport.close(read)
    began = time.monotonic()

    assert running.finish() == 141
    assert running.ended - began < GRACE + LATE
    assert running.errors == b""
    assert procs.tree(devport.tag) == []


def test_f22_suspended_and_continued(devport):
    """TSTP stops all of the tree and devport itself; CONT continues all."""
    devport.procfile(web="echo ready; sleep 1000; true", other=child("forker", "group"))
    running = devport.start()
    running.ready("web", "other")
    running.send(signal.SIGTSTP)

    def stopped():
        # A shell that was stopped between vfork and exec waits for its child in state D.
        assert {one.state for one in procs.tree(devport.tag)} - {"D"} == {"T"}

    procs.eventually(stopped)
    running.send(signal.SIGCONT)

    def continued():
        assert "T" not in {one.state for one in procs.tree(devport.tag)}

    procs.eventually(continued)
    assert running.stop()[0] == 143


def test_f22_other_sessions(devport):
    """Descendants that left their group are stopped and continued like the rest."""
    devport.procfile(
        web=child("forker", "setsid"), daemon=child("forker", "double"), pgid=child("forker", "pgid")
    )
    running = devport.start()
    running.ready("web", "daemon", "pgid")
    running.send(signal.SIGTSTP)

    def stopped():
        assert {one.state for one in procs.tree(devport.tag)} == {"T"}

    procs.eventually(stopped)
    running.send(signal.SIGCONT)

    def continued():
        assert "T" not in {one.state for one in procs.tree(devport.tag)}

    procs.eventually(continued)
    assert running.stop()[0] == 143


def test_f22_grace_stands_still_while_suspended(devport):
    """A grace period that is running does not run out while devport is suspended."""
    slow = "trap 'echo stopping; for i in 1 2 3 4 5 6; do sleep 0.1; done; echo clean end; exit 0' TERM"
    devport.procfile(web=f"{slow}; echo ready; while :; do sleep 0.05; done")
    running = devport.start("-t", "5")
    running.expect(rb"web +\| ready")
    running.send(signal.SIGTERM)
    running.expect(rb"web +\| stopping")
    running.send(signal.SIGTSTP)

    def stopped():
        # A shell that was stopped between vfork and exec waits for its child in state D.
        assert {one.state for one in procs.tree(devport.tag)} - {"D"} == {"T"}

    procs.eventually(stopped)
    procs.elapse(5.5)
    running.send(signal.SIGCONT)

    assert running.finish() == 143
    assert b"clean end" in running.output
    assert b"did not stop" not in running.output


def test_f22_size_after_the_suspension(devport):
    """A terminal that was resized meanwhile, and of which no signal tells: the services have its size."""
    screen, ours = pty.openpty()  # not the controlling terminal: nobody gets a WINCH
    devport.descriptors += [screen, ours]
    termios.tcsetwinsize(ours, (30, 100))
    devport.procfile(web=child("size"))
    running = devport.start(*T, stdout=ours)
    running.out = os.dup(screen)
    prefix = 100 - int(running.expect(rb"size (\d+) 30")[1])
    running.send(signal.SIGTSTP)
    procs.eventually(lambda: assert_state(running.supervisor, "T"))
    procs.eventually(lambda: assert_state(running.pid, "T"))
    termios.tcsetwinsize(ours, (40, 120))
    running.send(signal.SIGCONT)

    running.expect(rb"size %d 40" % (120 - prefix))
    assert running.stop()[0] == 143
    assert 0 < prefix < 30


def test_f22_supervisor_alone_is_continued(devport):
    """Stopped and continued by its number, without its guardian: the run can still be ended, and tells it."""
    devport.procfile(web="echo ready; exec sleep 1000")
    running = devport.start(*T)
    running.ready("web")
    supervisor = running.supervisor
    os.kill(supervisor, signal.SIGSTOP)
    procs.eventually(lambda: assert_state(running.pid, "T"))
    os.kill(supervisor, signal.SIGCONT)
    procs.eventually(lambda: assert_state(running.pid, "S"))

    assert running.stop()[0] == 143


def assert_state(pid, state):
    """For `eventually`."""
    assert states([pid]) == {state}


def assert_dead(pid):
    """For `eventually`."""
    assert not procs.is_alive(pid)


@pytest.mark.parametrize("way", ["--pty", "--no-pty"])
def test_f23_child_wants_the_terminal(devport, way):
    """A service that reads /dev/tty or sets modes gets no terminal of ours: it may wait, the others go on."""
    devport.procfile(
        asks="stty sane </dev/tty 2>/dev/null; read x </dev/tty; sleep 1000",
        clock="while :; do echo tick; sleep 0.1; done",
    )
    running = devport.start(way, *T, terminal=(80, 24))
    for _ in range(4):
        running.expect(rb"clock[^|]*\|.*tick")
    assert "T" not in {one.state for one in procs.tree(devport.tag)}

    assert running.stop()[0] == 143


def test_f24_resize(devport):
    """Fifty resizes in a burst: the services' terminals have the last size, less the prefix."""
    devport.procfile(web=child("size"))
    running = devport.start(terminal=(100, 30))
    first = running.expect(rb"size (\d+) (\d+)")
    prefix = 100 - int(first[1])
    for number in range(50):
        running.resize(110 + number, 31)
    running.resize(200, 50)

    running.expect(rb"size %d 50" % (200 - prefix))
    assert running.stop(signal.SIGINT)[0] == 130
    assert 0 < prefix < 30


def test_f25_every_signal(devport):
    """Whichever of 1 to 31 the manager gets, it ends and leaves nothing, or it is documented to go on."""
    goes_on = {
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGCONT,
        signal.SIGCHLD,
        signal.SIGWINCH,
        signal.SIGURG,
        signal.SIGPIPE,  # ignored by Python
        signal.SIGXFSZ,
    }
    stops = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    stay = "trap '' USR1 USR2; echo ready; while :; do sleep 1000; done"
    for target in ("guardian", "supervisor"):
        numbers = [number for number in signal.Signals if number < 32]
        for batch in (numbers[n : n + 8] for n in range(0, len(numbers), 8)):
            several = []
            shutil.rmtree(devport.state, ignore_errors=True)  # the ports of the last batch
            for number in batch:
                folder = devport.project / f"{target}-{number:d}"
                devport.procfile(folder, web=stay, daemon=child("forker", "setsid"))
                several.append((number, devport.start(*T, "--no-pty", cwd=folder)))
            for number, running in several:
                running.ready("web", "daemon")
                os.kill(running.pid if target == "guardian" else running.supervisor, number)
            for number, running in several:
                if number in {signal.SIGSTOP, signal.SIGTSTP}:  # the others do not stop who has no terminal
                    procs.eventually(lambda pid=running.pid: assert_state(pid, "T"))
                if number in stops:
                    running.send(signal.SIGCONT)
                    procs.send(running.supervisor, signal.SIGCONT)
                if number in goes_on | stops:
                    assert running.popen.poll() is None, number
                    assert running.stop()[0] == 143, number
                else:
                    assert running.finish() != 0, number
            procs.gone(devport.tag, GRACE + LATE)


def test_f27_nothing_starts_after_a_stop(devport):
    """A stop that was accepted is final: what had not been started by then never is."""
    one = {"exec": "exec sleep 1000", "ready": {"exec": "sleep 0.1"}}  # each waits for the one before it
    chain = {f"s{n}": {**one, "after": [f"s{n - 1}"] if n else []} for n in range(40)}
    devport.write("devport.yaml", json.dumps({"processes": chain}))
    running = devport.start("--json", *T)
    running.expect(rb'"service": "s3".*started')
    assert running.stop()[0] == 143

    events = [json.loads(line) for line in running.output.splitlines()]
    lives = {
        name: [one["event"] for one in events if one.get("service") == name and "event" in one]
        for name in chain
    }
    assert set(map(tuple, lives.values())) <= {("started", "ready", "stopped"), ("started", "stopped"), ()}
    assert lives["s39"] == []
    asked = next(place for place, one in enumerate(events) if one.get("event") == "stopping")
    # Of one that has been forked by then that may still be news.
    assert [one.get("event") for one in events[asked:]].count("started") <= 1


def test_f28_terminal_left_raw_in_a_run_of_many(devport):
    """A service that sets its terminal raw and is killed leaves ours as it was, with no screen switched."""
    devport.procfile(web=r"stty raw -echo; printf '\033[?1049h\033[?25l'; echo ready; kill -9 $$")
    running = devport.start(terminal=(80, 24))
    before = termios.tcgetattr(running.keyboard)

    assert running.finish() == 137
    assert termios.tcgetattr(running.keyboard) == before
    assert b"\x1b[?" not in running.output


def test_f28_terminal_left_raw_by_run(devport):
    """`devport run` gives the terminal away, and puts its modes back if the command was killed."""
    devport.procfile(web="stty raw -echo; echo ready; kill -9 $$")
    running = devport.run("web", terminal=(80, 24))
    before = running.modes

    assert running.finish() == 137
    assert termios.tcgetattr(running.keyboard) == before
    for reset in (b"\x1b[?47l", b"\x1b[?25h", b"\x1b[0m"):  # screen, cursor, colour
        assert reset in running.output.rpartition(b"ready")[2]


@pytest.mark.parametrize("what", ["pipe", "socket", "terminal"])
def test_f29_shared_nonblocking_flag(devport, what):
    """O_NONBLOCK is never set on what devport did not open; set by somebody else it loses nothing."""
    makers = {"pipe": devport.pipe, "socket": devport.socketpair, "terminal": pty.openpty}
    last = 100_000 if what == "terminal" else 600_000
    for way in ("blocking", "nonblocking", "to and fro"):
        read, write = makers[what]()
        if what == "terminal":
            devport.descriptors += [read, write]
        os.set_blocking(write, way != "nonblocking")
        devport.procfile(web=f"seq 1 {last}")
        running = devport.start("--no-prefix", "--no-pty", stdout=write)
        running.out, running.chunk = os.dup(read), 16_000
        running.expect(rb"^1\r?$")
        flips = 0
        while way == "to and fro" and running.popen.poll() is None:
            wanted = not os.get_blocking(write)
            os.set_blocking(write, wanted)
            running.read(0.01)
            assert os.get_blocking(write) == wanted
            flips += 1
        if way == "to and fro":
            assert flips > 50
        else:
            assert os.get_blocking(write) == (way == "blocking")
        devport.close(write)
        assert running.finish(60) == 0
        devport.close(read)
        lines = [line.removesuffix(b"\r") for line in running.output.split(b"\n")]
        assert [int(line) for line in lines if line.isdigit()] == [*range(1, last + 1)]


# C. output path


def test_f30_back_pressure_keeps_the_control_plane(devport):
    """While nobody reads, a child's end and signals are heard; resumed, the output goes on whole."""
    devport.procfile(
        web="trap '' USR1; seq 1 300000; exec sleep 1000",
        usr="trap 'touch ../heard' USR1; touch ../up; while :; do sleep 0.1; done",
    )
    running = devport.start("--no-timestamp", *T)
    running.expect(rb"^web +\| 1$")
    unread = running.stall()

    def up():
        assert (devport.project / "../up").exists()

    procs.eventually(up)
    procs.idle(devport.tag, 0.15)
    running.send(signal.SIGUSR1)

    def heard():
        assert (devport.project / "../heard").exists()

    procs.eventually(heard)
    memory = procs.peak_memory(running.supervisor)
    running.out = unread
    running.expect(rb"^web +\| 300000$")

    assert running.stop()[0] == 143
    assert [int(line) for line in re.findall(rb"^web +\| (\d+)$", running.output, re.MULTILINE)] == [
        *range(1, 300_001)
    ]
    assert memory < 64 << 20


@pytest.mark.parametrize("late", [False, True], ids=["fast reader", "reader that comes late"])
def test_f31_last_output(devport, late):
    """What a service wrote before it ended is printed, and what it says about its stop too."""
    devport.procfile(
        web="trap 'seq 1 1000; exit 0' TERM; seq 1 30000; touch ../written; while :; do sleep 0.05; done",
    )
    running = devport.start("--no-timestamp", "-t", "10")
    if late:
        running.expect(rb"^web +\| 1$")
        unread = running.stall()

        def written():
            assert (devport.project / "../written").exists()

        procs.eventually(written)
        running.out = unread
    running.expect(rb"^web +\| 30000$")
    assert running.stop()[0] == 143

    found = [int(n) for n in re.findall(rb"^web +\| (\d+)$", running.output, re.MULTILINE)]
    assert found == [*range(1, 30001), *range(1, 1001)]


def test_f32_late_lines_of_a_holder(devport):
    """A daemon that holds the pipe of an ended service delays nothing; what it says at its end is shown."""
    daemon = "trap 'echo last words; exit 0' TERM; touch ../up; while :; do sleep 0.05; done"
    up = "while ! test -e ../up; do sleep 0.02; done"
    devport.procfile(web=f'setsid sh -c "{daemon}" & {up}; exit 5', other=child("signals"))
    running = devport.start("-t", "60")

    assert running.finish() == 5  # which has less patience
    assert b"last words" in running.output
    assert re.search(rb"web exited with status 5, leaving processes", running.output)


def test_f32_holder_that_never_falls_silent(devport):
    """A stranger that holds the output and never falls silent: the end is told in time all the same."""
    devport.procfile(web="echo $$ here; exec sleep 1000", other="exec sleep 1000")
    running = devport.start("--no-pty", "--keep-going", *T)
    pid = int(running.expect(rb"(\d+) here")[1])
    code = "import os,time\nwhile os.write(1, b'chatter\\n'): time.sleep(0.005)"
    held = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)
    stranger = devport.spawn([sys.executable, "-I", "-S", "-c", code], stdout=held)
    os.close(held)
    running.expect(rb"web +\| chatter$")
    os.kill(pid, signal.SIGKILL)

    running.expect(rb"web was killed by SIGKILL")
    assert stranger.finish() == 1  # nobody is left to read it
    assert running.stop()[0] != 0


def test_f33_child_closes_stdout(devport):
    """End-of-file is no exit: the service runs on, and its status is still caught."""
    devport.procfile(web="exec >&- 2>&-; sleep 0.5; exit 7", other="exec sleep 1000")
    began = time.monotonic()
    running = devport.start()

    assert running.finish() == 7
    assert running.ended - began > 0.5


def test_f34_partial_line(devport):
    """The beginning of a line is shown soon, blocks nobody, and is not glued to another service's text."""
    devport.procfile(
        ask=child("partial", "../answer"),
        clock="while :; do echo tick tock; sleep 0.1; done",
    )
    running = devport.start()
    running.expect(rb"ask +\| prompt> $", LATE)  # 0.2 s, and what a busy machine needs
    running.expect(rb"clock +\| tick tock$")
    running.expect(rb"clock +\| tick tock$")
    devport.write("../answer", "")
    running.expect(rb"answer$")
    assert running.stop()[0] == 143

    assert set(running.lines("clock")) == {b"tick tock"}
    assert running.lines("ask") == [b"prompt> ", b"answer"]


def test_f34_rest_of_the_line_joins_it(devport):
    """Where nobody spoke in between, the rest of a line continues it."""
    devport.procfile(ask=child("partial", "../answer"))
    running = devport.start()
    running.expect(rb"ask +\| prompt> ", LATE)
    devport.write("../answer", "")
    running.expect(rb"answer$")
    assert running.stop()[0] == 143

    assert running.lines("ask") == [b"prompt> answer"]


def test_f35_line_without_end(devport):
    """A line of 64 MB loses no byte, and costs bounded memory, however it is cut."""
    size = 64 << 20
    code = f"import sys;w=sys.stdout.buffer.write;[w(bytes([97+i%26])*65536) for i in range({size >> 16})]"
    devport.procfile(web=python(code) + "; echo", wait="exec sleep 1000")
    running = devport.start("--no-prefix", "--keep-going")
    seen = hashlib.sha256()
    running.expect(rb"^aaaa")
    del running.buffer[: running.buffer.index(b"aaaa")]
    count = 0
    while count < size:
        running.read(5)
        data = running.output[: size - count]
        running.buffer.clear()
        seen.update(data)
        count += len(data)
    memory = procs.peak_memory(running.supervisor)
    running.seen = 0

    assert running.stop()[0] == 143
    wanted = hashlib.sha256(b"".join(bytes([97 + i % 26]) * 65536 for i in range(size >> 16)))
    assert seen.digest() == wanted.digest()
    assert memory < 48 << 20


@pytest.mark.parametrize("way", ["--no-pty", "--pty"])
def test_f36_bytes_are_not_changed(devport, way):
    """All 256 byte values, and characters cut at each offset, arrive as they were written."""
    data = bytes(value for value in range(256) if value != 10) + b"\n" + "€äß日本🎉".encode() * 50 + b"\n"
    devport.write("data", data)
    devport.procfile(web="cat data; for n in 1 2 3 5 7; do dd if=data bs=$n status=none; done")
    running = devport.start(way)

    assert running.finish() == 0
    assert running.payload("web") == data * 6
    assert b"\r\n" not in running.output  # `payload` would not tell


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_f37_line_breaks_that_are_none(devport, terminal):
    """Only LF ends a line: VT, FF, FS, GS, RS, NEL, the Unicode separators and CR do not."""
    line = b"a\x0bb\x0cc\x1cd\x1de\x1ef\xc2\x85g\xe2\x80\xa8h\xe2\x80\xa9i\rj\r\n"
    devport.write("data", line)
    devport.procfile(web="cat data")
    running = devport.start("--no-color", terminal=(80, 24) if terminal else None)

    assert running.finish() == 0
    if terminal:  # which VT and FF move about in, and which takes NEL for a sequence and adds a CR of its own
        line = re.sub(rb"[\x0b\x0c]", b"", line)
        line = line.replace(b"\xc2\x85", "\ufffd".encode()).replace(b"\n", b"\r\n")
    body = [one for one in running.output.split(b"\n") if b"web" in one and b"| a" in one]
    assert [one.split(b"| ", 1)[1] + b"\n" for one in body] == [line]
    assert running.output.count(b"\n") == 3  # and two of devport's own


ESCAPES = [
    b"\x05\x0b\x0c\x0e\x0f",
    b"\x1b[2J\x1b[H",
    b"\x1b[10;10H",
    b"\x1b[A\x1b[B\x1b[C\x1b[D",
    b"\x1b[?1049h",
    b"\x1b[?25l",
    b"\x1b[?2004h",
    b"\x1b[?1000h\x1b[?1006h",
    b"\x1b]0;title\x07",
    b"\x1b]0;title\x1b\\",
    b"\x1b]52;c;aGVsbG8=\x07",
    b"\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    b"\x1bP1$r0m\x1b\\",
    b"\x1b_apc\x1b\\",
    b"\x1b^pm\x1b\\",
    b"\x1bXsos\x1b\\",
    b"\x1bc",
    b"\x1b7\x1b8",
    b"\x1b(0",
    b"\x1b)B",
    b"\x1b[6n",
    b"\x1b[c",
    b"\x1b[5i",
    b"\x1b[1;5r",
    b"\x1b[4h",
    b"\x1b[!p",
    b"\x1b#8",
    b"\x1bM",
    b"\x1bD",
    b"\x1b=",
    b"\x1b>",
    b"\x1b]0;never ended",
    b"\x1b[38;5",
    b"\x1bP never ended",
    b"\x1b",
    b"\xc2\x9b2J",
    b"\xc2\x9d0;title\x07",
    b"\xc2\x90dcs\xc2\x9c",
    b"\x1b]4;1;rgb:ff/00/00\x07",
    b"\x1b[s\x1b[u",
    b"\x1b[21t",
]
UNFINISHED = [b"\x1b]0;never ended", b"\x1bP never ended", b"\x1b[38;5", b"\x1b]52;c;aGVsbG8=\x1b", b"\x1b"]


def test_f38_escapes_on_a_terminal(devport):
    """On a terminal only colours pass; each next prefix begins clean, also behind unterminated sequences."""
    devport.write("data", b"".join(b"<%s\x1b[1;31m>\n" % one for one in ESCAPES))
    for number, one in enumerate(UNFINISHED):
        devport.write(f"part{number}", b"\x1b[1;31m<%d %s" % (number, one))
        os.mkfifo(devport.folder / f"shown{number}")
        os.mkfifo(devport.folder / f"said{number}")
    turns = f"for n in {' '.join(map(str, range(len(UNFINISHED))))}"
    devport.procfile(
        web=f"{turns}; do cat part$n; read x <../said$n; echo '>'; done; cat data; echo end",
        other=f"{turns}; do read x <../shown$n; echo $n is safe; done; exec sleep 1000",
    )
    running = devport.start("--timestamp", "", terminal=(120, 24))
    for number in range(len(UNFINISHED)):
        running.expect(rb"<%d " % number)  # the other one speaks behind what is unfinished
        devport.write(f"../shown{number}", "\n")
        running.expect(rb"other[^|\n]*\|.*%d is safe" % number)
        devport.write(f"../said{number}", "\n")
    running.expect(rb"end\r$")
    assert running.finish() == 0

    left = re.sub(rb"\x1b\[[0-9;:]*m", b"", running.output)
    assert b"\x1b" not in left
    assert re.search(rb"\xc2[\x80-\x9f]|[\x05\x0b\x0c\x0e\x0f]", left) is None
    for number in range(len(UNFINISHED)):
        assert re.search(rb"^other +\| %d is safe\r?$" % number, left, re.MULTILINE)
    for line in running.output.split(b"\n"):
        colours = re.findall(rb"\x1b\[([0-9;:]*)m", line)
        assert colours == [] or colours[-1] in {b"", b"0"}, line


def test_f38_escapes_in_a_pipe(devport):
    """In a pipe everything passes, but a colour is reset before the line ends."""
    devport.write("data", b"".join(b"<%s\x1b[1;31m>\n" % one for one in ESCAPES))
    devport.procfile(web="cat data")
    running = devport.start()

    assert running.finish() == 0
    assert running.lines("web") == [b"<%s\x1b[1;31m>\x1b[0m" % one for one in ESCAPES]


def is_whole(line):
    """Whether `line` of children/chatty.py has its checksum."""
    return b"%08x" % zlib.crc32(line[:-9]) == line[-8:]


def whole(pieces):
    """The lines of children/chatty.py, of which some may have been shown in pieces."""
    line = b""
    for piece in pieces:
        line += piece
        if is_whole(line):
            yield line
            line = b""
    assert line == b""


def test_f39_fragments_are_not_mixed(devport):
    """Eight writers of lines of 1 to 4,096 bytes and a slow reader: each line has its checksum."""
    devport.procfile(**{f"w{n}": child("chatty", 600, 12, 4096, f"w{n}") for n in range(8)})
    running = devport.start("--keep-going")
    running.chunk, running.pause = 50_000, 0.015

    assert running.finish(60) == 0
    broken = 0
    for n in range(8):
        pieces = running.lines(f"w{n}")
        lines = list(whole(pieces))
        broken += len(pieces) - len(lines)
        assert len(lines) == 600
        for number, line in enumerate(lines):
            assert line.startswith(b"w%d %d " % (n, number))
            assert is_whole(line)
    assert broken <= 16  # where the machine has kept a writer from its next piece for too long


def test_f39_reader_that_pauses(devport):
    """A reader that pauses for longer than a partial line is held back breaks no line in two."""
    for n in range(4):
        devport.write(f"d{n}", b"".join(b"%05d %08x\n" % (i, zlib.crc32(b"%d" % i)) for i in range(80_000)))
    # Whole lines in each write, which a pipe does not cut: who is kept from writing has ended a line.
    devport.procfile(**{f"w{n}": f"dd if=d{n} bs={15 * 272} status=none" for n in range(4)})
    running = devport.start("--keep-going", "--no-timestamp")
    for number in range(5):
        while running.count < 500_000 * (number + 1):
            running.read(5)
        unread = running.stall()
        procs.idle(devport.tag)
        running.out = unread

    assert running.finish(60) == 0
    for n in range(4):
        lines = re.findall(rb"^w%d +\| (.*)$" % n, running.output, re.MULTILINE)
        assert [line for line in lines if not re.fullmatch(rb"\d+ [0-9a-f]{8}", line)] == []
        assert [int(line.split()[0]) for line in lines] == [*range(80_000)]


def test_f40_pty_for_programs_that_buffer(devport):
    """With --pty a program that buffers when it writes to a pipe shows its first line at once."""
    devport.procfile(web=python("import time;print('first');time.sleep(1000)"))
    running = devport.start("--pty")
    running.expect(rb"web +\| first", LATE)
    assert running.stop()[0] == 143


def test_f41_output_to_a_full_disk(devport):
    """Output that cannot be written is said once, stops nobody, and goes on once there is room."""
    path = devport.write("../log", "")
    with path.open("ab") as log:
        devport.procfile(
            web="seq 1 20000; touch ../written; while ! test -e ../end; do sleep 0.1; done; exit 3"
        )
        running = devport.start(stdout=log.fileno(), setup=["fsize=50000"])

        def written():
            assert (devport.project / "../written").exists()

        procs.eventually(written)
        running.expect_error(rb"cannot write output")
        os.truncate(path, 0)
        devport.write("../end", "")

        assert running.finish() == 3
    assert running.errors.count(b"cannot write output") == 1
    assert b"bytes of output dropped" in running.errors
    assert b"web exited with status 3" in path.read_bytes()


def test_f42_few_descriptors(devport):
    """With 64 descriptors and 100 entries: an error that says so, no crash, nothing left."""
    devport.claim(100)
    devport.procfile(**{f"s{n}": "exec sleep 1000" for n in range(100)})
    running = devport.start(*T, setup=["nofile=64"])

    assert running.finish() != 0
    assert b"Too many open files" in running.everything()
    assert b"Traceback" not in running.errors
    assert procs.tree(devport.tag) == []


def test_f43_raised_limit_is_not_inherited(devport):
    """Devport raises its own limit of descriptors; a service has the caller's."""
    devport.procfile(web="ulimit -Sn; ulimit -Hn; umask")
    running = devport.start(setup=["nofile=333:4444", "umask=027"])

    assert running.finish() == 0
    assert running.lines("web") == [b"333", b"4444", b"0027"]


# D. descriptors, environment


def test_f44_lock_is_not_inherited(devport):
    """All of devport is killed and a daemon survives it: the service's lock is free all the same."""
    devport.procfile(web=child("forker", "double"))
    running = devport.start()
    daemon = int(running.expect(rb"\| ready (\d+)")[1])
    supervisor = running.supervisor
    os.kill(running.pid, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    os.kill(running.pid, signal.SIGKILL)
    running.finish()

    again = devport.start()
    again.expect(rb"\| ready")
    assert procs.is_alive(daemon)
    assert again.stop()[0] == 143
    procs.kill_all(devport.tag)


def opened(pid):
    """What `pid` has open, but for what it closes meanwhile."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:  # of its loader, say
            continue
    return found


def test_f45_callers_descriptors(devport):
    """A lock or a pipe that the caller holds open does not stay with a service or its daemon."""
    need("bash")
    devport.procfile(web="ls -l /proc/self/fd; echo ready; exec sleep 1000", daemon=child("forker", "double"))
    script = f"exec 9>lock 3>pipe; flock 9; exec {DEVPORT} start"
    running = devport.spawn(["bash", "-c", script])
    running.ready("web", "daemon")
    own = {running.pid, running.supervisor}
    for one in procs.tree(devport.tag):
        if one.pid not in own:
            assert not any(name.endswith(("/lock", "/project/pipe")) for name in opened(one.pid))

    assert running.stop()[0] == 143
    assert not any(line.endswith(b"/lock") for line in running.lines("web"))


@pytest.mark.parametrize("way", ["--pty", "--no-pty"])
def test_f46_descriptors_do_not_leak(devport, way):
    """A service has 0, 1 and 2 and nothing else, among fifty siblings and whatever the caller had open."""
    devport.procfile(
        **{f"s{n}": "echo ready; exec sleep 1000" for n in range(49)},
        web="echo $$ fds; exec sleep 1000",
    )
    running = devport.start(way, setup=["nofile=4000", "fd=7", "fd=77", "fd=2345"])
    pid = int(running.expect(rb"web +\| (\d+) fds")[1])

    def check():
        assert procs.process(pid).command == "sleep 1000"  # until then it has its loader's as well
        assert sorted(map(int, os.listdir(f"/proc/{pid}/fd"))) == [0, 1, 2]

    procs.eventually(check)
    assert running.stop()[0] == 143


def test_f46_run_leaks_nothing_either(devport):
    """Nor has the command of `devport run` any but its three."""
    devport.procfile(web="exec ls /proc/self/fd")
    running = devport.call("run", "web", setup=["fd=7", "fd=77"])

    assert running.status == 0
    assert running.output.split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder that ls reads


@pytest.mark.parametrize("way", ["--pty", "--no-pty"])
def test_f47_stdin(devport, way):
    """A service's stdin is at its end at once; devport's own is not touched."""
    read, write = devport.pipe()
    os.write(write, b"for nobody\n")
    devport.procfile(web="if read x; then echo got $x; else echo end; fi")
    running = devport.start(way, stdin=read)

    assert running.finish() == 0
    assert running.lines("web") == [b"end"]
    assert os.read(read, 100) == b"for nobody\n"


def test_f48_odd_environment(devport):
    """Values that are no text, or long, or hold newlines arrive as they were; odd names stop nothing."""
    script = 'printf \'%s|\' "$ODD" | od -An -tx1; printf %s "$LONG" | wc -c; printf \'%s\\n\' "$LINES2"'
    devport.procfile(web=script)
    env = [b"ODD=\xff\xfe\xe9 x", b"LONG=" + b"x" * 100_000, b"LINES2=a\nb", b"odd name=1", b"a.b=2"]
    # execve by hand: only so can names be odd
    environ = {name.encode(): value.encode() for name, value in devport.environ.items()}
    environ |= dict(one.split(b"=", 1) for one in env)
    read, write = devport.pipe()
    pid = os.posix_spawn(
        DEVPORT,
        [DEVPORT, "start", "--root", str(devport.project), "-f", str(devport.project / "Procfile")],
        environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)],
    )
    devport.close(write)
    output = b""
    while data := os.read(read, 65536):
        output += data

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"ff fe e9 20 78 7c" in output
    assert b"| 100000" in output
    assert re.search(rb"\| a\n.*\| b\n", output)


def test_f48_too_large_an_environment(devport):
    """A value longer than the kernel takes is an error of that service, with its reason."""
    devport.write(".env", "HUGE=" + "x" * 200_000 + "\n")
    devport.procfile(web="echo never", other="exec sleep 1000")
    running = devport.start()

    assert running.finish() == 126
    assert b"Argument list too long" in running.everything()


def test_f49_control_variables(devport):
    """What systemd, tmux or an outer devport told devport is not handed on; what the user set is."""
    mine = {
        "LISTEN_FDS": "1",
        "LISTEN_PID": "1",
        "LISTEN_FDNAMES": "x",
        "NOTIFY_SOCKET": "/x",
        "WATCHDOG_USEC": "1000",
        "WATCHDOG_PID": "1",
        "TMUX": "/x,1,0",
        "TMUX_PANE": "%1",
        "DEVPORT_HASH": "0123456789",
        "USERS_OWN": "kept",
    }
    devport.procfile(web="env")
    running = devport.start(env=mine)
    assert running.finish() == 0

    seen = dict(line.split(b"=", 1) for line in running.lines("web"))
    assert [name for name in mine if name.encode() in seen] == ["DEVPORT_HASH", "USERS_OWN"]
    assert seen[b"DEVPORT_HASH"] != b"0123456789"
    assert seen[b"DEVPORT_HOME"] == str(devport.state).encode()


def test_f49_devport_within_devport(devport):
    """A devport that a devport runs is its own: other ports, other identities, stopped with the outer one."""
    inner = devport.project / "inner"
    devport.procfile(inner, web="echo inner $PORT $PS $DEVPORT_HASH ready; exec sleep 1000")
    devport.procfile(web=f"cd inner && exec {DEVPORT} start", note="echo outer $PORT; exec sleep 1000")
    running = devport.start()
    outer, inner = running.expect_all(rb"outer (\d+)$", rb"inner (\d+) (\S+) \S+ ready")
    port, name = inner.groups()
    assert port not in {outer[1], b""}
    assert name == b"web"

    assert running.stop()[0] == 143
    assert procs.tree(devport.tag) == []
