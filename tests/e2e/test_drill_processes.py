"""The drill of reliability.md, P08 to P18 and P38: processes, signals and the terminal, many times over.

The long columns are those of the night's, cut where `make drill` as a whole has an hour; each says so.
"""

import itertools
import json
import os
import signal
import time

import pytest
from support import background, frames, procs, tmux
from support.background import argv
from support.drill import trials
from support.frames import mark
from support.procs import eventually
from support.running import DEVPORT, LATE, child

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]

GRACE = 1.0
T = ("-t", str(GRACE))

plain, window, back = background.plain, frames.window, frames.back


def exits(running):
    """(name, status) of every end that a run with --json has told of."""
    events = [json.loads(line) for line in running.output.splitlines()]
    kinds = {"exited", "failed"}
    return sorted((one["service"], one["status"]) for one in events if one.get("event") in kinds)


def test_p08_instant_exits(devport, tally):
    """Services that end before anybody looks: each end is told once, with its status."""
    count = trials(100, 2000)
    devport.claim(100)
    ends = (("false", 1), ("true", 0), ("exec ./missing", 127))
    wanted = {f"s{n}": ends[n % 3] for n in range(100)}
    devport.procfile(**{name: command for name, (command, _) in wanted.items()})
    for _ in range(count // 100):
        running = devport.start("--keep-going", "--json")
        assert running.finish(60) in {1, 127}
        assert exits(running) == sorted((name, status) for name, (_, status) in wanted.items())
    tally(count)


def test_p08_instant_exits_in_the_background(plain, tally):
    """The first start of `false` is noticed each time (42 of 60 were not, elsewhere)."""
    count = trials(2, 100)  # the night has 2,000: each is a supervisor of its own
    for _ in range(count):
        row = plain.json("start", "--no-tmux", "--key", "web", "--", "false", status=1)
        assert row["error"] == "exited with status 1"
        assert plain.reached(row["hash"], "backoff")["run"]["status"] == 1
        plain.do("stop", "web")
    tally(count)


def test_p09_exits_together(devport, tally):
    """Of 300 services that end at the same moment each is told of once, and no zombie stays (F08)."""
    count = trials(1, 50)  # 3 in the catalogue's short column: 4 s each
    devport.claim(301)
    entries = {f"s{n}": f"read x <../go; exit {n % 256}" for n in range(300)}
    devport.procfile(**entries, last="exec sleep 1000")
    os.mkfifo(devport.folder / "go")
    for _ in range(count):
        running = devport.start("--keep-going", "--json", "--no-pty")
        running.expect(rb'"service": "last".*started')
        supervisor = running.supervisor
        procs.idle(devport.tag)
        (devport.folder / "go").write_bytes(b"")  # whoever waits for a writer gets its end-of-file

        def reaped(running=running, supervisor=supervisor):
            running.read(0)
            assert len(procs.children(supervisor)) == 1

        eventually(reaped)
        assert running.stop(timeout=60)[0] in range(1, 256)
        wanted = sorted((name, int(name[1:]) % 256) for name in entries)
        assert exits(running) == wanted
    tally(count * 300)


def test_p10_orphan_rain(devport, tally):
    """1,000 double forks that live up to half a second: reaped within 2 s, nothing left after a stop."""
    count, each = trials((1, 200), (20, 1000))  # the catalogue's short column has 1,000 too
    for _ in range(count):
        devport.procfile(web=child("orphans", each))
        running = devport.start(*T)
        running.expect(rb"\| ready")
        supervisor = running.supervisor

        def reaped(supervisor=supervisor):
            assert len(procs.children(supervisor)) == 1

        eventually(reaped, 2 + LATE)
        assert running.stop()[0] == 143
        assert procs.tree(devport.tag) == []
    tally(count * each)


def test_p11_escapee(devport, tally):
    """A process that takes a new session and pid every 50, 5 or 1 ms is caught within the grace."""
    count = trials(3, 90)  # 300 in the night
    for number in range(count):
        devport.procfile(web=child("hopper", (50, 5, 1)[number % 3]), other="echo ready; exec sleep 1000")
        running = devport.start(*T)
        running.ready("web", "other")
        life = procs.hopping(devport.project)
        try:
            status, seconds = running.stop()

            assert status == 143
            assert seconds < GRACE + LATE
            procs.gone(devport.tag, 0.5)
            assert not procs.is_locked(life), "it hops on"
        finally:
            life.unlink()
    tally(count)


def test_p12_stop_right_after_launch(devport, tally):
    """TERM at any moment of the first 300 ms: nothing survives, nothing hangs, the status says TERM (F10)."""
    count = trials(16, 400)  # 40 in the catalogue's short column
    entries = {"a": "sleep 1000; true", "b": child("forker", "setsid"), "c": "exec sleep 1000"}
    for batch in range(count // 8):
        began, waiting = time.monotonic(), []
        for place in range(8):
            folder = devport.project / f"p{place}"
            devport.procfile(folder, **entries)
            delay = (batch % 5 + 5 * place) * 0.3 / 40
            waiting.append((time.monotonic() - began + delay, devport.start("-t", "2", cwd=folder)))
        for due, running in sorted(waiting, key=lambda pair: pair[0]):
            procs.elapse(max(0.0, began + due - time.monotonic()))
            running.send(signal.SIGTERM)
        # Before Python has come up there is no handler, and the kernel does it: a shell shows 143 as well.
        assert {running.finish() for _, running in waiting} <= {143, -15}
        procs.gone(devport.tag)
    tally(count)


FLOODS = [
    [signal.SIGHUP],
    [signal.SIGWINCH] * 1000,
    [signal.SIGUSR1] * 1000,
]


def test_p13_signals_in_a_row(devport, tally):
    """A TERM behind other signals, one or a thousand, ends the run (F26)."""
    count = trials(3, 200)  # 20 each in the catalogue's short column
    deaf = "trap '' USR1; "  # which are handed on
    ready = f"{deaf}echo ready"
    devport.procfile(web=f"{ready}; while :; do sleep 1000; done", other=f"{ready}; exec sleep 1000")
    for number in range(count):
        flood = FLOODS[number % len(FLOODS)]
        running = devport.start(*T)
        running.expect_all(rb"web +\| ready", rb"other +\| ready")
        supervisor = running.supervisor
        for each, one in enumerate(flood):
            procs.send(supervisor if each % 2 else running.pid, one)
        status, seconds = running.stop()

        assert status == (129 if signal.SIGHUP in flood else 143), flood[0]
        assert seconds < GRACE + LATE
        assert procs.tree(devport.tag) == []
    tally(count)


def test_p13_each_signal_in_the_background(plain, tally):
    """Each of 1 to 31 to a supervisor: it ends and leaves nothing, or goes on as documented (F25)."""
    goes_on = {
        signal.SIGHUP, signal.SIGTSTP,  # restart
        signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG,
        signal.SIGPIPE, signal.SIGXFSZ, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU,
    }  # fmt: skip
    some = (signal.SIGSEGV, signal.SIGUSR2)  # all of them in `make drill`
    numbers = [number for number in signal.Signals if number < 32 and (trials(0, 1) or number in some)]
    for number in numbers:
        row = plain.start("web", argv("forker", "setsid"), *T)
        plain.logged(row["hash"], rb"ready \d+")
        os.kill(row["supervisor"], number)
        procs.send(row["supervisor"], signal.SIGCONT)
        if number in goes_on:
            assert plain.row("web")["status"] == "running", number
            plain.do("stop", "web")
        plain.ended(row["hash"], GRACE + LATE)
        plain.nothing_left(GRACE + LATE)
        plain.do("rm", "web")
    tally(len(numbers))


# P14

STATES = {
    "starting": {"exec": f"{mark('starting')}; exec sleep 1000", "ready": {"exec": "false"}},
    "probed": {
        "exec": f"{mark('probed')}; exec sleep 1000",
        "ready": {"exec": "sleep 1000", "probe-timeout": 60},
    },
    "running": {"exec": f"{mark('running')}; exec sleep 1000"},
    "stopping": {"exec": f"trap '' TERM; {mark('stopping')}; while :; do sleep 1000; done"},
    "backoff": {"exec": f"{mark('backoff')}; exit 3", "restart": {"delay": 30, "max-delay": 30}},
    "fatal": {"exec": f"{mark('fatal')}; exit 3", "restart": "never"},
    "waiting": {"exec": mark("waiting"), "after": ["devenv:processes:starting@ready"]},
    "hook": {"exec": f"{mark('hook')}; exec sleep 1000", "stop": {"exec": "sleep 1000"}},
}
RESTING = {"backoff", "fatal", "waiting"}


def test_p14_stop_in_each_state(window, tally):
    """Stopped in any state: at once where no process is, else within the grace; nothing starts again."""
    _stops(window, trials(1, 15), tally)  # 3 and 50 in the catalogue; each is 8 stops


@pytest.mark.drill_only
def test_p14_stop_in_each_state_in_the_background(back, tally):
    """The same with a supervisor for each."""
    _stops(back, 10, tally)


def _stops(frame, count, tally):
    processes = {name: {"stop": {"timeout": GRACE}, **one} for name, one in STATES.items()}
    processes["hook"]["stop"] = {"exec": "sleep 1000", "timeout": GRACE}
    frame.write(processes)
    for _ in range(count):
        frame.up()
        for name in processes.keys() - {"waiting"}:
            frame.marked(name, 1)
        for name, state in (
            ("backoff", "backoff"),
            ("running", "ready"),
            ("stopping", "ready"),
            ("fatal", "exited"),
        ):
            frame.reached(name, state)
        for name in sorted(processes, key=lambda name: name not in RESTING):
            began = time.monotonic()
            frame.machine.call("stop", name)
            limit = 0.3 if name in RESTING else GRACE * (2 if name == "hook" else 1)
            assert time.monotonic() - began < limit + LATE, name
            assert frame.row(name)["status"] != "running" or name == "fatal", name
        frame.down()
        for name in processes:
            assert len(frame.marks(name)) == (name != "waiting"), name
            (frame.devport.project / name).unlink(missing_ok=True)
    tally(count * len(processes))


def test_p15_second_interrupt(devport, tally):
    """The second Ctrl-C ends everything within half a second, whatever the grace (F12)."""
    count = trials(2, 100)  # 5 in the catalogue's short column
    devport.procfile(web=child("stubborn"), daemon=child("forker", "setsid", "stubborn"))
    quickest = LATE
    for _ in range(count):
        running = devport.start("-t", "60")
        running.ready("web", "daemon")
        running.send(signal.SIGINT)
        running.expect(rb"SIGINT received, stopping")
        procs.elapse(procs.APART)
        status, seconds = running.stop(signal.SIGINT)

        assert status == 130
        assert seconds < LATE
        quickest = min(quickest, seconds)
        assert procs.tree(devport.tag) == []
    assert quickest < 0.5
    tally(count)


def test_p16_suspended_and_continued(devport, tally):
    """Suspended, or kept from running by SIGSTOP: no grace runs out, nobody is killed (F22, F63)."""
    count, pause = trials((1, 2), (10, 15))
    slow = "trap 'echo stopping; for i in 1 2 3 4 5; do sleep 0.1; done; echo clean end; exit 0' TERM"
    devport.procfile(web=f"{slow}; echo ready; while :; do sleep 0.05; done", other=child("forker", "setsid"))
    for number in range(count):
        running = devport.start("-t", "1.5", terminal=(80, 24))
        running.expect_all(rb"web.*ready", rb"other.*ready")
        supervisor = running.supervisor
        running.send(signal.SIGTERM)
        running.expect(rb"web.*stopping")
        victim, how = ((supervisor, signal.SIGSTOP), (running.pid, signal.SIGTSTP))[number % 2]
        os.kill(victim, how)

        def suspended(supervisor=supervisor):
            assert procs.process(supervisor).state == "T"

        eventually(suspended)
        procs.elapse(pause)
        os.kill(running.pid, signal.SIGCONT)
        procs.send(supervisor, signal.SIGCONT)

        assert running.finish() == 143
        assert b"clean end" in running.output
        assert b"did not stop" not in running.output
    tally(count)


def test_p17_stalled_reader(devport, tally):
    """Nobody reads: commands are answered, a stop is over in the grace plus 2 s, memory is bounded (F30)."""
    count = trials(1, 50)  # 3 in the catalogue's short column
    for _ in range(count):
        devport.procfile(
            web="echo up; head -c 100000000 /dev/zero | tr '\\0' x; exec sleep 1000", other=child("stubborn")
        )
        _unread, out = devport.pipe()
        running = devport.start(*T, stdout=out)
        running.services(2)
        procs.idle(devport.tag)
        began = time.monotonic()
        rows = json.loads(devport.call("ls", "--json").output)
        answered = time.monotonic() - began
        memory = procs.peak_memory(running.supervisor)
        status, seconds = running.stop()

        assert {row["status"] for row in rows} == {"running"}
        assert answered < 0.2 + LATE
        assert status == 143
        assert seconds < GRACE + 2 + LATE
        assert memory < 64 << 20
        procs.gone(devport.tag)
    tally(count)


@pytest.mark.parametrize("reader", ["pipe", "terminal", "tmux"])
def test_p18_reader_vanishes(devport, reader, tally):
    """The pipe's reader, the terminal or tmux goes away: an orderly end, nothing left (F19, F20, F21)."""
    count = trials(1, 50)
    devport.procfile(
        web="while :; do echo tick; sleep 0.1; done", other=child("forker", "setsid", "stubborn")
    )
    for _ in range(count):
        if reader == "tmux":
            window = tmux.Window(devport, f"{DEVPORT} start -t 1")
            window.expect(b"tick")
            window.tmux("kill-window", "-t", "s")
        else:
            running = devport.start(*T, terminal=(80, 24) if reader == "terminal" else None)
            running.expect(rb"tick")
            os.close(running.stall())
            if reader == "terminal":
                devport.close(running.keyboard)
            assert running.finish() in {141, 129}
            assert b"Traceback" not in running.errors
        procs.gone(devport.tag, GRACE + LATE)
    tally(count)


# P38

POLICIES = {
    "never": {"on": "never"},
    "on-failure": {"on": "on-failure", "max": None},
    "always": {"on": "always", "max": None},
    "failure-twice": {"on": "on-failure", "max": 2},
    "always-twice": {"on": "always", "max": 2},
    "three-is-fine": {"on": "on-failure", "max": None, "success": [3]},
}
CAUSES = {
    "zero": "exit 0",
    "three": "exit 3",
    "nine": "exit 9",
    "term": "kill -TERM $$; sleep 9",
    "segv": "ulimit -c 0; kill -SEGV $$; sleep 9",
    "exec": "exec ./missing",
    "late": "exec sleep 1000",  # not ready in time
}
DELAYS = (0.1, 0.2, 0.4, 0.4)
TOLERANCE = 0.05


def _again(policy, cause):
    """How many lives of five there are to be."""
    rule = POLICIES[policy]
    fine = cause == "zero" or (cause == "three" and 3 in rule.get("success", ()))
    if rule["on"] == "never" or (rule["on"] == "on-failure" and fine):
        return 1
    return 5 if rule["max"] is None else 1 + rule["max"]


def test_p38_restarts(window, tally):
    """Six policies with seven causes: who is started again, how often, and after how long (F83)."""
    _restarts(window, trials(1, 10), tally)


@pytest.mark.drill_only
def test_p38_restarts_in_the_background(back, tally):
    """The same with a supervisor for each."""
    _restarts(back, 3, tally)  # 10 in the night: 42 supervisors each


def _restarts(frame, count, tally):
    processes = {}
    for policy, rule in POLICIES.items():
        for cause, script in CAUSES.items():
            name = f"{policy}-{cause}"
            # The wait runs from the end, which the next life's beginning is behind.
            processes[name] = {
                "exec": f"echo $(date +%s.%N) >>{name}; {script}",
                "restart": {**rule, "delay": 0.1, "max-delay": 0.4},
                **({"ready": {"exec": "false", "timeout": 0.1}} if cause == "late" else {}),
            }
    processes["other"] = {"exec": "exec sleep 1000"}
    for _ in range(count):
        _timeline(frame)
        _one_table(frame, processes)
    tally(count * len(POLICIES) * len(CAUSES))


def _late(times, extra=0.0):
    """By how many seconds each life of a service came later than its policy says."""
    pairs = zip(itertools.pairwise(times), DELAYS, strict=False)
    return [second - first - delay - extra for (first, second), delay in pairs]


def _timeline(frame):
    """One service alone: 0.1, 0.2, 0.4, 0.4 s; to 50 ms, in one of ten tries on a busy machine."""
    rule = {"on": "always", "max": None, "delay": 0.1, "max-delay": 0.4}
    frame.write({"web": {"exec": "echo $(date +%s.%N) >>alone; exit 3", "restart": rule}})
    for _ in range(10):
        frame.up()
        late = _late([float(line) for line in frame.marked("alone", 5)])
        frame.down()
        (frame.devport.project / "alone").unlink()
        assert min(late) > -0.01, late
        if min(late) < TOLERANCE:
            return
    raise AssertionError(late)


def _one_table(frame, processes):
    frame.write(processes)
    frame.up()
    for name in processes.keys() - {"other"}:
        policy, _, cause = name.rpartition("-")
        wanted = _again(policy, cause)
        times = [float(line) for line in frame.marked(name, wanted)][:wanted]
        late = _late(times, 0.1 if cause == "late" else 0.0)
        assert all(-0.01 < one < LATE for one in late), (name, late)
    rows = frame.machine.ls()
    frame.down()
    for name in processes.keys() - {"other"}:
        policy, _, cause = name.rpartition("-")
        wanted = _again(policy, cause)
        if wanted < 5:
            assert len(frame.marks(name)) == wanted, name
            assert rows[name]["state"] in {"exited", "failed"}, rows[name]
        else:
            assert len(frame.marks(name)) >= wanted, name
        (frame.devport.project / name).unlink()
