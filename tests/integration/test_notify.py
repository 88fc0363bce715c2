"""sd_notify(3) and the watchdog, with real senders: what is heard, what is not, and when silence counts."""

import os
import pathlib
import re
import select
import signal
import socket
import stat
import sys
import tempfile

import pytest
from support import engine, procs
from support.clock import Clock

from devport.engine.lifecycle import DOWN, RESTART, Kind, State
from devport.errors import DevportError
from devport.model import Watchdog
from devport.sources.mailbox import Mailbox
from devport.sources.notify import FACTS, Notify, parse

SAY = """
import array, os, select, signal, socket, sys
box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
box.connect(os.environ["NOTIFY_SOCKET"])
def say(*lines):
    box.send("\\n".join(lines).encode())
def wait(seconds):
    select.select([], [], [], seconds)
def done():
    print("done", flush=True)
    signal.pause()
"""


@pytest.fixture
def folder():
    """A folder whose name is short enough for sockets, which pytest's may not be."""
    with tempfile.TemporaryDirectory(prefix="dp-", dir="/tmp") as path:
        yield pathlib.Path(path)


@pytest.fixture
def loop():
    """The engine."""
    with engine.engine() as made:
        yield made


@pytest.fixture
def clock(loop):
    """The loop's time stands still but where the test lets it pass; it goes on by itself for the end."""
    made = Clock(loop)
    yield made
    made.release()


@pytest.fixture
def service(loop, folder):
    """Make a service that runs `code`, with a Notify of the given kind."""
    made = []

    def make(code, *, ready=True, watchdog=None, folders=(f"{folder}/run",), argv=None, **policy):
        job = engine.make_job(
            loop,
            argv or engine.python(SAY + code),
            **{"on": "never", "probed": ready, "grace": 2.0, **policy},
        )
        job.output = b""

        def tap(chunk):
            job.output += chunk

        job.taps.append(tap)
        job.notify = Notify(loop, job, folders, ready=ready, watchdog=watchdog)
        made.append(job.notify)
        return job

    yield make
    for notify in made:
        notify.close()
    assert not list(folder.rglob("*.notify")), "sockets left"


def is_done(job):
    """Whether its program has said all it had to say."""
    return b"done" in job.output


def is_drained(job):
    """Whether all that it has said has been heard."""
    return not select.select([job.notify._mailbox], [], [], 0)[0]


def heard(loop, job, timeout=engine.PATIENCE):
    """Start `job` and let it say everything."""
    engine.start(loop, job)
    engine.run_until(loop, lambda: is_done(job), timeout)
    engine.run_until(loop, lambda: is_drained(job))
    return job


def faults(loop):
    """What was held against the services."""
    return [event for _, _, _, event in loop.transitions if event.kind is Kind.UNHEALTHY]


# the socket


def test_socket_and_variables(loop, service, folder):
    """A58 to A60: a private socket in a private folder, and the two variables; no WATCHDOG_PID."""
    job = service(
        "print(*sorted(n for n in os.environ if n.startswith('WATCHDOG')), os.environ['WATCHDOG_USEC']);"
        "print(os.environ['NOTIFY_SOCKET']); done()",
        watchdog=Watchdog(30_000_000),
    )
    heard(loop, job)

    variables, path = job.output.decode().split("\n")[:2]
    assert variables == "WATCHDOG_USEC 30000000"
    assert os.path.dirname(path) == f"{folder}/run"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_each_life_has_a_socket_of_its_own(loop, service, folder):
    """A61, A62: it goes with the life, and the next has another; without a watchdog no WATCHDOG_USEC."""
    job = service(
        "print(os.environ['NOTIFY_SOCKET'], os.environ.get('WATCHDOG_USEC')); say('READY=1'); done()"
    )
    heard(loop, job)
    first = os.listdir(folder / "run")
    loop.send(job, RESTART)
    engine.run_until(loop, lambda: job.output.count(b"done") == 2)
    second = os.listdir(folder / "run")
    loop.send(job, DOWN)
    engine.run_until(loop, lambda: job.lifecycle.state is State.STOPPED)

    assert len(first) == len(second) == 1
    assert first != second
    assert os.listdir(folder / "run") == []
    assert b"None" in job.output


def test_folder_that_does_not_fit_is_passed_over(loop, service, folder):
    """A state folder with a long name: the next candidate is used; a link to a folder is not."""
    (folder / "real").mkdir()
    (folder / "link").symlink_to(folder / "real")
    folders = (f"{folder}/{'x' * 100}", f"{folder}/link", f"{folder}/short")
    job = service("say('READY=1'); done()", folders=folders)
    heard(loop, job)

    assert job.lifecycle.state is State.READY
    assert len(os.listdir(folder / "short")) == 1


def test_no_folder_will_do(loop, service, folder):
    """The error names the service and what is wrong with each folder."""
    (folder / "file").write_text("")
    with pytest.raises(
        DevportError, match=r"cannot make a notify socket for web: .*x is too long.*; .*file.*"
    ):
        service("", folders=(f"{folder}/{'x' * 100}", f"{folder}/file"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_somebody_else_is_passed_over(loop, service, folder):
    """/tmp/devport-1000 may have been made by another user: it is not used."""
    (folder / "theirs").mkdir()
    os.chown(folder / "theirs", 65534, 65534)
    job = service("say('READY=1'); done()", folders=(f"{folder}/theirs", f"{folder}/own"))
    heard(loop, job)

    assert os.listdir(folder / "theirs") == []
    assert job.lifecycle.state is State.READY


def test_what_a_killed_run_left_is_removed(loop, service, folder):
    """A dead socket of the same service goes; a living one, and those of others, stay."""
    run = folder / "run"
    run.mkdir()
    token = f"web-{os.getpid()}-0"[:10]
    left = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
    for one, name in zip(
        left, (f"{token}.1.1.notify", f"{token}.1.2.notify", "other.1.1.notify"), strict=True
    ):
        one.bind(f"{run}/{name}")
    left[0].close()
    left[2].close()
    service("", argv=("true",))

    assert sorted(os.listdir(run)) == sorted(["other.1.1.notify", f"{token}.1.2.notify"])
    left[1].close()
    for path in run.iterdir():
        path.unlink()


def test_folder_is_lost_while_it_runs(loop, service, folder):
    """A folder that somebody cleaned away is made again; where that cannot be, the spawn fails."""
    job = service("say('READY=1'); done()")
    (folder / "run").rmdir()
    heard(loop, job)
    assert job.lifecycle.state is State.READY
    loop.send(job, DOWN)
    engine.run_until(loop, lambda: job.lifecycle.state is State.STOPPED)
    (folder / "run").rmdir()
    (folder / "run").write_text("")
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.lifecycle.state is State.FAILED)

    assert job.lifecycle.fault.startswith("cannot make a notify socket for web: ")
    (folder / "run").unlink()


# what is said


def test_ready_by_sdnotify(loop, service):
    """A63: the client of PyPI; "spawned" is told before "ready"."""
    code = "import sdnotify, signal; sdnotify.SystemdNotifier().notify('READY=1'); signal.pause()"
    job = service("", argv=(sys.executable, "-c", code))
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.lifecycle.state is State.READY)

    assert [event.kind for _, _, _, event in loop.transitions][1:] == [Kind.SPAWNED, Kind.READY]


def test_nobody_is_ready_before_being_spawned(loop, service):
    """Who speaks has been executed; that is told first, although the message may be seen before."""
    job = service("say('READY=1'); done()")
    engine.start(loop, job)
    loop._settle()
    assert select.select([job.notify._mailbox], [], [], engine.PATIENCE)[0]
    job.notify._read()
    engine.run_until(loop, lambda: job.lifecycle.state is State.READY)

    assert [event.kind for _, _, _, event in loop.transitions][1:] == [Kind.SPAWNED, Kind.READY]


def test_ready_counts_only_where_it_was_asked_for(loop, service):
    """With another probe READY=1 makes nothing ready."""
    job = service("say('READY=1'); done()", ready=False, probed=True)

    assert heard(loop, job).lifecycle.state is State.STARTING


def test_status_text(loop, service):
    """A64: kept, without control characters, bounded, and gone with the life."""
    job = heard(loop, service("say('STATUS=copying \\x1b[31m 3 of 9' + 'x' * 999); done()"))

    assert re.fullmatch(r"copying \\x1b\[31m 3 of 9x{150,}", job.facts["status_text"])
    assert len(job.facts["status_text"]) < 250
    loop.send(job, DOWN)
    engine.run_until(loop, lambda: job.lifecycle.state is State.STOPPED)
    assert job.facts == {}


def test_reloading_and_stopping(loop, service):
    """A68: both are facts; READY=1 ends the first."""
    job = service(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [10]); say('READY=1'); say('RELOADING=1');"
        "print('r', flush=True); signal.sigwait([10]); say('READY=1'); say('STOPPING=1'); done()"
    )
    engine.start(loop, job)
    engine.run_until(loop, lambda: "reloading" in job.facts and b"r" in job.output)
    os.kill(job.process.pid, signal.SIGUSR1)
    engine.run_until(loop, lambda: is_done(job) and "stopping" in job.facts)

    assert "reloading" not in job.facts
    assert job.lifecycle.state is State.READY


def test_several_lines(loop, service):
    """A69: one message, several assignments, one of them broken."""
    job = service("box.send(b'STATUS=one\\nX=\\xff\\nnonsense\\nREADY=1\\n'); done()")
    heard(loop, job)

    assert job.lifecycle.state is State.READY
    assert job.facts == {"status_text": "one"}


JUNK = [
    "b''",
    "b'\\xff\\xfe\\x00\\x01'",
    "b'READY'",
    "b'READY=0'",
    "b'=1'",
    "b'ready=1'",
    "b'READY=1 '",
    "b'X' * 4096 + b'\\nREADY=1'",
    "b'READY=1\\n' + b'X' * 4096",
    "b'\\n' * 100 + b'READY=1'",
    "b'X' * (1 << 20) + b'\\nREADY=1'",
    "b'MAINPID=1\\nMAINPID=-1\\nMAINPID=x\\nMAINPID=99999999999999999999999'",
    "b'WATCHDOG_USEC=-1\\nEXTEND_TIMEOUT_USEC=inf\\nWATCHDOG_USEC=' + b'9' * 4000",
    "'WATCHDOG_USEC=\u00b2'.encode()",  # a digit to Python, and no number
    "b'ERRNO=2\\nFDSTORE=1\\nBUSERROR=x'",
]


@pytest.mark.parametrize("message", JUNK)
def test_junk_is_ignored(loop, service, message):
    """A70: it changes nothing, and what comes behind it is heard."""
    job = service(
        f"try:\n  box.send({message})\nexcept OSError:\n  pass\nsay('STATUS=after'); done()",
        watchdog=Watchdog(10**9),
    )
    heard(loop, job)

    assert job.lifecycle.state is State.STARTING
    assert job.facts == {"status_text": "after"}
    assert faults(loop) == []


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (b"READY=1", [("READY", "1")]),
        (b"READY=1\0", [("READY", "1")]),
        (b"A=b=c\n\nB=", [("A", "b=c"), ("B", "")]),
        (b"\xff=1\nA=\xff\nB=\xc3\xa4", [("B", "ä")]),
        (b"A=1\n" * 1000, [("A", "1")] * 64),
    ],
)
def test_parse(message, found):
    """Assignments by lines, at most 64."""
    assert list(parse(message)) == found


def test_main_pid(loop, service):
    """A child may be the main process; init and whoever else is not of the tree may not."""
    job = service(
        "child = os.fork()\nif not child:\n  os.setsid(); signal.pause()\n"
        "say(f'MAINPID={child}'); print(child)\n"
        f"for stranger in (0, 1, {os.getpid()}): say(f'MAINPID={{stranger}}')\n"
        "done()"
    )
    heard(loop, job)

    assert job.facts == {"main_pid": int(job.output.split()[0])}


def test_senders_that_are_gone(loop, service):
    """F77: each of 1,000 processes says one thing and ends: all are heard, in order."""
    job = service(
        "for n in range(1000):\n  pid = os.fork()\n  if not pid:\n    say(f'STATUS={n}'); os._exit(0)\n"
        "  os.waitpid(pid, 0)\ndone()"
    )
    said = []
    hear = job.notify._hear
    job.notify._hear = lambda name, value: (said.append(int(value)), hear(name, value))
    heard(loop, job, 90.0)  # so many forks

    assert said == list(range(1000))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_else(loop, service):
    """A message with another user's credentials is ignored, even if the socket was reached before."""
    job = service(
        "say('STATUS=own'); os.setresuid(65534, 65534, 65534); say('READY=1'); print('done', flush=True)\n"
        "while True: wait(60)"
    )
    heard(loop, job)

    assert job.facts == {"status_text": "own"}
    assert job.lifecycle.state is State.STARTING


MESSAGES = 100_000
"""About 4 s of sending."""


def test_passed_descriptors_are_closed(loop, service):
    """F78: messages with two descriptors each: not one of them stays."""
    job = service(
        "pair = array.array('i', [0, 1])\n"
        f"for n in range({MESSAGES}):\n"
        "  box.sendmsg([b'STATUS=%d' % n], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, pair)])\n"
        "done()"
    )
    engine.start(loop, job)
    engine.run_until(loop, lambda: "status_text" in job.facts)
    before, most = len(engine.descriptors()), 0
    while not is_done(job):
        engine.run_until(
            loop, lambda seen=job.facts["status_text"]: is_done(job) or job.facts["status_text"] != seen
        )
        if len(job.facts["status_text"]) % 100 == 0:
            most = max(most, len(engine.descriptors()))
    engine.run_until(loop, lambda: job.facts["status_text"] == str(MESSAGES - 1))

    assert max(most, len(engine.descriptors())) <= before


def test_f78_takes_no_more_than_is_asked_for(folder):
    """However many messages wait, or come meanwhile: the rest is for the next turn of the loop."""
    mailbox = Mailbox(f"{folder}/box.notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for number in range(6):
            sender.sendto(b"%d" % number, mailbox.path)
        assert list(mailbox.take(4)) == [b"0", b"1", b"2", b"3"]
        assert list(mailbox.take(4)) == [b"4", b"5"]
    mailbox.close()


def test_barrier(loop, service):
    """sd_notify_barrier(3): the descriptor is closed once everything before has been taken up."""
    job = service(
        "read, write = os.pipe()\nsay('STATUS=before')\n"
        "box.sendmsg([b'BARRIER=1'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [write]))])\n"
        "os.close(write); assert os.read(read, 1) == b''; done()"
    )

    assert heard(loop, job).facts == {"status_text": "before"}


def test_flood(loop, service):
    """A service that does nothing but talk keeps nobody else waiting, and can be stopped."""
    job = service("print('done', flush=True)\nwhile True: box.send(b'STATUS=x\\n' + b'\\n' * 4000)")
    engine.start(loop, job)
    engine.run_until(loop, lambda: is_done(job))
    worst = []
    for _ in range(3):  # the machine may stall us; what it talks, it talks all the time
        latency = engine.Latency(loop)
        engine.run_for(loop, 0.2)
        latency.close()
        worst.append(latency.worst)
    loop.send(job, DOWN)
    engine.run_until(loop, lambda: job.lifecycle.state is State.STOPPED)

    assert min(worst) < 0.25


def test_extend(loop, service, clock):
    """EXTEND_TIMEOUT_USEC moves the deadline by which it has to be ready."""
    job = service(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [10]); say('EXTEND_TIMEOUT_USEC=20000000')\n"
        "print('said', flush=True); signal.sigwait([10]); say('READY=1'); done()",
        start_timeout=0.4,
    )
    engine.start(loop, job)
    clock.until(lambda: b"said" in job.output and is_drained(job))
    clock.go_on(0.8)
    assert job.lifecycle.state is State.STARTING
    os.kill(job.process.pid, signal.SIGUSR1)
    clock.until(lambda: job.lifecycle.state is State.READY)
    clock.release()

    late = service("signal.pause()", start_timeout=0.4, name="late")
    engine.start(loop, late)
    engine.run_until(loop, lambda: late.lifecycle.state is State.FAILED)
    assert late.lifecycle.fault == "not ready after 0.4 s"


def test_nothing_counts_for_the_next_life(loop, service):
    """What was said just before the end is not meant for the process that comes after."""
    job = service(
        "if os.path.exists(sys.argv[1]): done()\nopen(sys.argv[1], 'w').close()\n"
        "signal.signal(15, lambda *_: (say('READY=1', 'STATUS=old'), os._exit(0)))\n"
        "print('up', flush=True)\nwhile True: wait(60)"
    )
    argv = (*job.command.argv, f"{os.path.dirname(job.notify._folders[0])}/seen")
    job.command = job.command._replace(argv=argv)
    engine.start(loop, job)
    engine.run_until(loop, lambda: b"up" in job.output)
    # As when the end of the process is seen before its last words.
    loop.unwatch(job.notify._mailbox.fileno())
    loop.watch(job.notify._mailbox.fileno(), lambda: None)
    end = loop._end
    loop._end = lambda ended: (end(ended), job.notify._read())
    loop.send(job, RESTART)
    engine.run_until(loop, lambda: is_done(job))
    engine.run_for(loop, 0.05)

    assert job.lifecycle.state is State.STARTING
    assert job.facts == {}


# the watchdog

PINGS = "\nwhile True:\n  say('WATCHDOG=1'); wait(0.1)"


def renewals(loop, job):
    """When its silence was broken, from now on."""
    renewed, renew = [], job.notify._silence.renew
    job.notify._silence.renew = lambda: (renewed.append(loop.now()), renew())
    return renewed


def stopped(clock, job):
    """Suspend `job`, and hear what it had said before."""

    def is_stopped():
        assert procs.process(job.process.pid).state == "T"

    os.kill(job.process.pid, signal.SIGSTOP)
    procs.eventually(is_stopped)
    clock.until(lambda: is_drained(job))


def restarts(loop, job, count=1):
    """Run until `job` has been started again so often."""
    engine.run_until(loop, lambda: job.restarts >= count)


@pytest.mark.parametrize("ready", [True, False])
def test_pings(loop, service, clock, ready):
    """A65: as long as they come nothing happens; also where ready is not a matter of notification."""
    job = service("say('READY=1')" + PINGS, watchdog=Watchdog(600_000), ready=ready)
    renewed = renewals(loop, job)
    engine.start(loop, job)
    for _ in range(5):
        count = len(renewed)
        clock.until(lambda count=count: len(renewed) > count)
        clock.go_on(0.4)

    assert job.lifecycle.state is State.READY
    assert faults(loop) == []


@pytest.mark.parametrize("ready", [True, False])
def test_no_pings(loop, service, ready):
    """A66: SIGABRT once the period is over, and a restart."""
    job = service(
        "say('READY=1'); signal.pause()", watchdog=Watchdog(300_000), ready=ready, on="on_failure", delay=0.05
    )
    engine.start(loop, job)
    restarts(loop, job)

    assert faults(loop)[0].status == signal.SIGABRT
    assert faults(loop)[0].reason == "watchdog: no WATCHDOG=1 for 0.3 s"
    ended = [event.status for _, _, _, event in loop.transitions if event.kind is Kind.EXITED]
    assert ended == [-signal.SIGABRT]


def test_require_ready(loop, service):
    """A67: before READY=1 no silence counts, not even after a ping."""
    job = service("say('WATCHDOG=1'); done()", watchdog=Watchdog(100_000))
    heard(loop, job)
    engine.run_for(loop, 0.5)

    assert job.lifecycle.state is State.STARTING
    assert faults(loop) == []


def test_without_require_ready(loop, service):
    """From the spawn on; the first ping makes it ready."""
    job = service("signal.pause()", watchdog=Watchdog(200_000, require_ready=False))
    engine.start(loop, job)
    engine.run_until(loop, lambda: faults(loop))
    job = service(PINGS, watchdog=Watchdog(10**7, require_ready=False), name="other")
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.lifecycle.state is State.READY)


def test_first_ping_arms_where_ready_is_no_notification(loop, service):
    """A service without `ready.notify` need not say READY=1: a ping shows that it knows the watchdog."""
    silent = service("done()", watchdog=Watchdog(200_000), ready=False)
    heard(loop, silent)
    engine.run_for(loop, 0.5)
    assert faults(loop) == []
    job = service("say('WATCHDOG=1'); signal.pause()", watchdog=Watchdog(200_000), ready=False, name="other")
    engine.start(loop, job)
    engine.run_until(loop, lambda: faults(loop))


def test_gives_up(loop, service):
    """A71: the restarts count against the budget."""
    job = service(
        "say('READY=1'); signal.pause()", watchdog=Watchdog(100_000), on="on_failure", delay=0.01, max=2
    )
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.lifecycle.state is State.FAILED)

    assert job.restarts == 2
    assert job.lifecycle.fault == "watchdog: no WATCHDOG=1 for 0.1 s; given up after 2 restarts"


def test_hangs_after_a_while(loop, service):
    """A72: pings for a while, then none."""
    job = service(
        "say('READY=1')\nfor _ in range(8): say('WATCHDOG=1'); wait(0.05)\nsignal.pause()",
        watchdog=Watchdog(300_000),
        on="on_failure",
        delay=0.01,
    )
    engine.start(loop, job)
    restarts(loop, job)

    assert len(faults(loop)) == 1


def test_trigger(loop, service):
    """WATCHDOG=trigger ends it at once, also where there is no watchdog."""
    job = service("say('READY=1'); say('WATCHDOG=trigger'); signal.pause()")
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.lifecycle.state is State.FAILED)

    assert faults(loop)[0].reason == "watchdog: it asked to be restarted (WATCHDOG=trigger)"
    assert job.lifecycle.status == -signal.SIGABRT


@pytest.mark.parametrize(("first", "then", "fault"), [(10**9, 200_000, True), (200_000, 0, False)])
def test_period_is_changed(loop, service, first, then, fault):
    """WATCHDOG_USEC= shortens the period, or ends the watch, for this life."""
    job = service(f"say('READY=1', 'WATCHDOG_USEC={then}'); done()", watchdog=Watchdog(first))
    engine.start(loop, job)
    engine.run_until(loop, lambda: is_done(job) and job.lifecycle.state is not State.STARTING)
    if fault:
        engine.run_until(loop, lambda: faults(loop))
    engine.run_for(loop, 0.4)

    assert bool(faults(loop)) is fault


def test_stopping_disarms(loop, service):
    """Who says STOPPING=1 is not killed for being silent from then on."""
    job = service("say('READY=1', 'STOPPING=1'); say('WATCHDOG=1'); done()", watchdog=Watchdog(200_000))
    heard(loop, job)
    engine.run_for(loop, 0.5)

    assert faults(loop) == []


def test_stopped_child(loop, service, clock):
    """F82: a child that hangs gets SIGABRT at the limit, at most 0.2 s later, and ends of it."""
    job = service("say('READY=1')" + PINGS, watchdog=Watchdog(500_000))
    renewed = renewals(loop, job)
    engine.start(loop, job)
    clock.until(lambda: job.lifecycle.state is State.READY and len(renewed) > 1)
    stopped(clock, job)
    clock.go_on(renewed[-1] + 0.45 - loop.now())
    assert faults(loop) == []
    clock.go_on(0.25)
    assert faults(loop)
    clock.release()
    engine.run_until(loop, lambda: job.lifecycle.state is State.FAILED)

    assert job.lifecycle.status == -signal.SIGABRT


def test_f82_deaf_to_the_abort(loop, service):
    """Who ignores SIGABRT is killed once the grace is over."""
    code = "signal.signal(signal.SIGABRT, signal.SIG_IGN); say('READY=1')\nwhile True: wait(60)"
    job = service(code, watchdog=Watchdog(200_000), grace=0.3)
    engine.start(loop, job)
    engine.run_until(loop, lambda: faults(loop))
    began = loop.now()
    engine.run_until(loop, lambda: job.lifecycle.state is State.FAILED)

    assert loop.now() - began >= 0.3
    assert job.lifecycle.status == -signal.SIGKILL


def test_devport_itself_is_late(loop, service, clock):
    """F63: after devport and the service were both stopped, the service has a whole period to speak."""
    job = service("say('READY=1')" + PINGS, watchdog=Watchdog(400_000))
    renewed = renewals(loop, job)
    engine.start(loop, job)
    clock.until(lambda: job.lifecycle.state is State.READY)
    stopped(clock, job)
    clock.jump(1.2)
    clock.go_on(0.35)
    assert faults(loop) == []
    count = len(renewed)
    os.kill(job.process.pid, signal.SIGCONT)
    clock.until(lambda: len(renewed) > count)
    clock.go_on(0.35)

    assert faults(loop) == []


def test_what_was_said_in_time_is_heard_first(loop, service, clock):
    """Messages that wait when the deadline is judged count, however late devport came to read them."""
    job = service("say('READY=1')" + PINGS, watchdog=Watchdog(300_000))
    engine.start(loop, job)
    clock.until(lambda: job.lifecycle.state is State.READY)
    loop.unwatch(job.notify._mailbox.fileno())  # nothing but the deadline reads it
    for _ in range(3):
        clock.until(lambda: faults(loop) or not is_drained(job))
        clock.go_on(0.35)
    loop.watch(job.notify._mailbox.fileno(), job.notify._read)

    assert faults(loop) == []


@pytest.mark.parametrize("below", [False, True], ids=["itself", "child"])
def test_f82_debugged(loop, service, folder, below):
    """While a debugger holds one of its processes no silence counts; once it has gone it does."""
    fork = "child = os.fork()\nif not child: signal.pause()\nprint('child', child)\n" if below else ""
    # Nothing may signal it meanwhile: this debugger never has it go on.
    ready = (
        f"print('done', flush=True)\nwhile not os.path.exists('{folder}/go'): wait(0.02)\nsay('READY=1')\n"
    )
    job = service(fork + ready + "while True: wait(60)", watchdog=Watchdog(300_000))
    heard(loop, job)
    pid = int(job.output.split()[1]) if below else job.process.pid
    with engine.debugger(loop, pid):
        (folder / "go").touch()
        engine.run_until(loop, lambda: job.lifecycle.state is State.READY)
        engine.run_for(loop, 0.8)
        assert faults(loop) == []
    engine.run_until(loop, lambda: faults(loop))

    assert faults(loop)[0].reason == "watchdog: no WATCHDOG=1 for 0.3 s"


def test_facts_are_all_listed():
    """What is cleared with a life is what can be set in one."""
    assert set(FACTS) == {"status_text", "reloading", "stopping", "main_pid"}
