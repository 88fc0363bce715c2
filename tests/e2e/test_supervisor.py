"""The supervisor of one background service: signals, crashes, kill -9, its window and its keyboard."""

import calendar
import itertools
import os
import re
import signal
import sys
import time
import zlib

import pytest
from support import background, procs
from support.background import argv, python, shell, variables
from support.drill import trials
from support.procs import eventually
from support.running import DEVPORT, PATIENCE

from devport.engine.signals import BOUNCE
from devport.registry.store import Store

machine, windowed, plain = background.machine, background.windowed, background.plain

QUICK = {"delay": 0.05, "max_delay": 0.05}
SLOW = {"delay": 25.0, "max_delay": 30.0}

COUNTED = 'date +%s.%N >>"$1"; exit 3'
"""A service that notes when it was started, and crashes."""


def lives(path):
    """When a COUNTED service was started, in seconds."""
    try:
        return [float(line) for line in path.read_text().split()]
    except FileNotFoundError:
        return []


def begun(path, count, timeout=20.0):
    """The same, once there are `count`."""

    def check():
        found = lives(path)
        assert len(found) >= count
        return found

    return eventually(check, timeout)


def crashing(machine, tmp_path, **policy):
    """A service that crashes again and again under another restart policy: its hash, and its notes."""
    notes, gate = tmp_path / "notes", tmp_path / "gate"
    script = 'test -e "$2" || exec sleep 1000; ' + COUNTED
    hash_ = machine.start("crash", shell(script, notes, gate))["hash"]
    machine.do("stop", "crash")
    machine.rewrite(hash_, restart={**machine.record(hash_)["restart"], **policy})
    gate.touch()
    machine.call("restart", "crash")
    begun(notes, 1)
    return hash_, notes


# signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_int_and_term_end_it(machine, number):
    """INT, TERM and QUIT stop the service with its stop signal, and the supervisor ends: nothing is left."""
    hash_ = machine.start("web", argv("signals"))["hash"]
    machine.logged(hash_, rb"ready")
    os.kill(machine.supervisor(hash_), number)
    machine.ended(hash_)

    assert machine.reached(hash_, "stopped")["error"] == ""
    assert re.findall(rb"got \w+", machine.log(hash_)) == [b"got SIGTERM"]
    machine.nothing_left()
    assert machine.row("web")["status"] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTSTP])
def test_hup_and_tstp_restart_in_place(machine, number):
    """HUP and TSTP restart the service: another pid, the same supervisor, window and port, no crash."""
    before = machine.start("web", argv("listener"))
    hash_ = before["hash"]
    machine.logged(hash_, rb"ready")
    os.kill(before["supervisor"], number)
    machine.logged(hash_, rb"ready", 2)
    after = machine.row("web")

    assert after["pid"] != before["pid"]
    same = ("supervisor", "window", "port", "terminal", "hashid")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert (after["status"], after["restarts"], after["error"]) == ("running", 1, None)
    assert b"exited" not in machine.log(hash_)
    assert not procs.is_alive(before["pid"])
    assert procs.is_listening(before["port"])


def test_stubborn_service_is_killed_after_its_grace(machine):
    """What ignores its stop signal is killed when the grace is over, a grandchild of the group as well."""
    hash_ = machine.start("web", argv("forker", "group", "stubborn"), "-t", "0.5")["hash"]
    machine.logged(hash_, rb"ready")
    began = time.monotonic()
    machine.do("stop", "web")

    assert time.monotonic() - began >= 0.5
    assert re.search(rb"web .*within 0\.5 s, killing", machine.log(hash_))
    machine.nothing_left()


def test_second_wish_to_end_kills_at_once(plain):
    """TERM while it stops already: no more grace (G19)."""
    hash_ = plain.start("web", argv("stubborn"), "-t", "60")["hash"]
    plain.logged(hash_, rb"ready")
    supervisor = plain.supervisor(hash_)
    os.kill(supervisor, signal.SIGTERM)
    plain.reached(hash_, "stopping")
    os.kill(supervisor, signal.SIGINT)

    plain.ended(hash_, PATIENCE)
    plain.nothing_left()


def test_f12_same_signal_at_once(plain):
    """The same signal again, at once, is no second wish: the service has its grace."""
    last_words = "trap 'for i in 1 2 3 4 5 6; do sleep 0.05; done; echo cleaned; exit 7' TERM"
    command = shell(f"{last_words}; echo ready; while :; do sleep 0.02; done")

    def twice(lives):
        """The seconds between two signals to the service's next life, and how often that cleaned up."""
        hash_ = plain.start("web", command, "-t", "15")["hash"]
        plain.logged(hash_, rb"ready", lives)
        before, supervisor = plain.log(hash_).count(b"cleaned"), plain.supervisor(hash_)
        os.kill(supervisor, signal.SIGTERM)
        began = time.monotonic()
        procs.elapse(0.01)
        os.kill(supervisor, signal.SIGTERM)
        seconds = time.monotonic() - began
        plain.ended(hash_, 20)
        return seconds, plain.log(hash_).count(b"cleaned") - before

    # What we are kept from sending at once is a second wish, and says nothing of an echo.
    found = (twice(lives) for lives in itertools.count(1))
    assert next(cleaned for seconds, cleaned in found if seconds < BOUNCE / 2) == 1
    plain.nothing_left()


def test_restart_of_a_stubborn_service(plain):
    """A restart waits for the old life's end, killing it, and never has two."""
    hash_ = plain.start("web", argv("stubborn"), "-t", "0.3")["hash"]
    plain.logged(hash_, rb"ready")
    first = plain.service(hash_)
    assert plain.do("restart", "web") == "web restarted\n"
    plain.logged(hash_, rb"ready", 2)

    assert not procs.is_alive(first)
    assert plain.service(hash_) != first


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGHUP, signal.SIGTERM),
        (signal.SIGTSTP, signal.SIGHUP, signal.SIGINT),
        (*[signal.SIGWINCH] * 1000, signal.SIGTERM),
        (*[signal.SIGUSR1] * 1000, signal.SIGTERM),
        (*[signal.SIGHUP] * 1000, signal.SIGTERM),
    ],
    ids=["hup-term", "tstp-hup-int", "winch", "usr1", "hup"],
)
def test_no_signal_hides_an_end(plain, numbers):
    """However many signals come before it, an INT or TERM ends the supervisor (F26, G04)."""
    hash_ = plain.start("web", argv("signals"))["hash"]
    plain.logged(hash_, rb"ready")
    supervisor = plain.supervisor(hash_)
    for number in numbers:
        os.kill(supervisor, number)

    plain.ended(hash_)
    plain.nothing_left()


def test_usr1_and_usr2_reach_the_service(machine):
    """The supervisor hands both on, and itself goes on."""
    hash_ = machine.start("web", argv("signals"))["hash"]
    machine.logged(hash_, rb"ready")
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        os.kill(machine.supervisor(hash_), number)
        machine.logged(hash_, b"got " + number.name.encode())

    assert machine.row("web")["restarts"] == 0


def test_end_in_the_first_milliseconds(plain):
    """TERM at any moment of its beginning leaves no process and no lock (F10, G10)."""
    hash_ = plain.start("web", argv("stubborn"), "-t", "0.1")["hash"]
    plain.do("stop", "web")
    words = [sys.executable, "-P", "-m", "devport", "supervise", hash_, os.fsencode(plain.state).hex()]
    count, number, begun, usual = trials(12, 60), 0, 0, 0.0
    while number <= count or not begun:  # the first one tells how long it takes until the service is there
        lives = plain.log(hash_).count(b"web started")
        running = plain.devport.spawn(words)
        supervisor, began = running.supervisor, time.monotonic()
        if not usual:
            plain.logged(hash_, rb"web started", lives + 1)
            usual = time.monotonic() - began
        procs.elapse(max(trials(0.1, 0.3), 1.5 * usual) * number / count)
        procs.send(supervisor, signal.SIGTERM)
        running.finish()
        plain.nothing_left()
        assert plain.holder(hash_) is None
        begun += number > 0 and plain.log(hash_).count(b"web started") > lives
        number += 1
        assert number < 10 * count


# what a supervisor is started with


def test_a_second_supervisor(plain):
    """There is one for a service: a second ends with status 1 and names the first, which goes on."""
    hash_ = plain.start("web", argv("signals"))["hash"]
    plain.logged(hash_, rb"ready")
    said = plain.refused("supervise", hash_, status=1)

    assert said.startswith(
        f"devport: cannot supervise web: it is already running: pid {plain.supervisor(hash_)} "
    )
    assert len(re.findall(rb"ready", plain.log(hash_))) == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [((), 2), (("nonsense",), 2), (("../../../x",), 2), (("0123456789", "zz"), 2), (("0123456789",), 3)],
)
def test_nothing_to_supervise(plain, words, status):
    """No hash, no state folder, no record: a sentence and a status, nothing started."""
    said = plain.refused("supervise", *words, status=status)

    assert said.startswith("devport: cannot supervise")
    assert said.count("\n") == 1


def test_needs_nothing_but_the_hash(plain):
    """In whatever environment, folder and limits it is started, the service gets what was registered."""
    out = plain.project / "out"
    # DEVPORT_RUN, where there is one, is another in each run
    script = '{ env | grep -v ^DEVPORT_RUN=; pwd; ulimit -n; } >"$1"; echo ready; exec sleep 1000'
    hash_ = plain.start("web", shell(script, out))["hash"]
    plain.logged(hash_, rb"ready")
    before = out.read_text()
    plain.do("stop", "web")
    words = [sys.executable, "-P", "-m", "devport", "supervise", hash_, os.fsencode(plain.state).hex()]
    env = dict.fromkeys(plain.environ) | {"FOO": "bar", "PORT": "1", "TMUX": "/x,1,0", "LC_ALL": "C"}
    running = plain.devport.spawn(words, cwd="/", env=env, setup=["umask=0777", "fd=7"])
    plain.logged(hash_, rb"ready", 2)

    assert out.read_text() == before
    os.kill(running.supervisor, signal.SIGTERM)
    assert running.finish() == 0


# crashes


def test_what_start_registers(plain):
    """In the background: on failure, no limit, 1 s doubling to 30 s, forgotten after 5 s up."""
    hash_ = plain.start("web", argv("signals"))["hash"]

    assert plain.record(hash_)["restart"] == {
        "on": "on_failure",
        "max": None,
        "window": None,
        "delay": 1.0,
        "max_delay": 30.0,
        "reset_after": 5.0,
        "success": [0],
    }


def test_backoff_doubles(plain, tmp_path):
    """A service that crashes is started again after 1, 2 and 4 seconds; meanwhile `ls` tells why."""
    notes = tmp_path / "notes"
    plain.call("start", "--no-tmux", "--key", "crash", "--", *shell(COUNTED, notes))
    hash_ = plain.row("crash")["hash"]
    times = begun(notes, 4, 30)
    record = plain.reached(hash_, "backoff")
    row = plain.row("crash")

    pauses = [later - earlier for earlier, later in itertools.pairwise(times[:4])]
    for pause, delay in zip(pauses, (1, 2, 4), strict=True):
        # Late it may be, on a busy machine, but not twice as late.
        assert delay - 0.05 <= pause < delay + 3.5
    assert record["error"] == "exited with status 3"
    assert record["run"]["restarts"] == 3
    assert (row["status"], row["state"], row["restarts"]) == ("running", "backoff", 3)
    assert (row["error"], row["pid"]) == ("exited with status 3", None)


def test_staying_up_resets_the_backoff(plain, tmp_path):
    """A life that lasts for longer than `reset_after` lets the next crash wait the first delay again."""
    notes, gate = tmp_path / "notes", tmp_path / "gate"
    script = 'test -e "$2" || exec sleep 1000; test $(wc -l <"$1") = 5 && sleep 2; ' + COUNTED
    notes.touch()
    hash_ = plain.start("crash", shell(script, notes, gate))["hash"]
    plain.do("stop", "crash")
    policy = {**plain.record(hash_)["restart"], "delay": 0.1, "reset_after": 1.8}
    plain.rewrite(hash_, restart=policy)
    gate.touch()
    plain.call("restart", "crash")
    times = begun(notes, 7)

    # 0.1, 0.2, 0.4, 0.8, then 1.6 and a life of 2, which is forgiven: 0.1 again and not 3.2.
    assert times[5] - times[4] > 3.5
    assert times[6] - times[5] < 3.2


def test_a_killed_service_is_a_crash(machine):
    """Somebody kills the service: it is started again, and `ls` says by what it was killed meanwhile."""
    hash_ = machine.start("web", argv("listener"))["hash"]
    machine.logged(hash_, rb"ready")
    os.kill(machine.service(hash_), signal.SIGKILL)
    machine.logged(hash_, rb"was killed by SIGKILL")
    machine.logged(hash_, rb"ready", 2)

    assert machine.row("web")["restarts"] == 1
    assert b"cannot bind" not in machine.log(hash_)


def test_leftovers_of_a_crash_are_ended_first(plain):
    """The leader crashes, its child keeps the port: that is ended before the next life (F03, G08)."""
    hash_ = plain.start("web", argv("listener"))["hash"]
    plain.do("stop", "web")
    policy = {**plain.record(hash_)["restart"], **QUICK}
    plain.rewrite(hash_, restart=policy, cmd=argv("listener", "exit=3"))
    plain.call("restart", "web")
    plain.logged(hash_, rb"leaving processes that are stopped now", 3)
    plain.logged(hash_, rb"ready", 3)

    assert b"cannot bind" not in plain.log(hash_)
    assert plain.do("stop", "web") == "web stopped\n"
    plain.nothing_left()


def test_a_clean_end_is_no_crash(machine):
    """Status 0 under the usual policy: the service has ended, is not started again, and stays known."""
    row = machine.start("once", shell("echo all done"))
    machine.ended(row["hash"])

    assert machine.reached(row["hash"], "exited")["error"] == ""
    machine.nothing_left()
    machine.logged(row["hash"], rb"all done\r?\n")
    assert machine.row("once")["status"] == "stopped"
    if machine.windows:
        machine.closed("once")


@pytest.mark.parametrize("policy", ["always", "never", "on_failure", "on-failure"])
def test_restart_policies(plain, tmp_path, policy):
    """--restart: an end with status 0 is followed by another life only with `always`."""
    notes = tmp_path / "notes"
    hash_ = plain.start("once", shell('echo >>"$1"', notes), "--restart", policy)["hash"]

    def lived(count):
        assert notes.read_text().count("\n") >= count

    assert plain.record(hash_)["restart"]["on"] == policy.replace("-", "_")
    if policy == "always":
        eventually(lambda: lived(2))
        return
    plain.reached(hash_, "exited")
    plain.ended(hash_)
    assert notes.read_text() == "\n"


def test_limit_of_restarts(plain, tmp_path):
    """After `max` restarts it is given up: failed, with the reason, its lock free."""
    hash_, notes = crashing(plain, tmp_path, max=2, **QUICK)
    plain.ended(hash_)
    record = plain.reached(hash_, "failed")

    assert record["error"] == "exited with status 3; given up after 2 restarts"
    assert len(lives(notes)) == 3
    row = plain.row("crash")
    assert (row["status"], row["state"], row["error"]) == ("stopped", "failed", record["error"])


def test_failed_respawn_is_tried_again(plain):
    """A program that is missing for a moment (being rebuilt) costs a delay, not the supervisor (G11)."""
    program = plain.devport.write("server", "#!/bin/sh\necho ready\nexec sleep 1000\n")
    program.chmod(0o700)
    hash_ = plain.start("web", [str(program)])["hash"]
    plain.logged(hash_, rb"ready")
    hidden = program.rename(program.with_name("hidden"))
    supervisor = plain.supervisor(hash_)
    os.kill(supervisor, signal.SIGHUP)
    plain.logged(hash_, rb"did not start: cannot run .*server: No such file")

    def waits():
        assert plain.row("web")["state"] == "backoff"

    eventually(waits)  # between two tries
    hidden.rename(program)
    plain.logged(hash_, rb"ready", 2)

    assert plain.supervisor(hash_) == supervisor


@pytest.mark.parametrize("how", ["stop", "term", "int", "rm", "down"])
def test_end_during_backoff(plain, tmp_path, how):
    """Nothing has to be waited for: it ends at once, and no life follows (F27, G03)."""
    hash_, notes = crashing(plain, tmp_path, **SLOW)
    plain.reached(hash_, "backoff")
    supervisor = plain.supervisor(hash_)
    began = time.monotonic()
    if how in {"term", "int"}:
        os.kill(supervisor, getattr(signal, f"SIG{how.upper()}"))
        plain.ended(hash_)
    elif how == "down":
        plain.devport.procfile(web="sleep 1000")
        os.kill(supervisor, signal.SIGTERM)
        plain.do("down")
        plain.ended(hash_)
    else:
        plain.do(how, "crash")
        assert plain.holder(hash_) is None

    assert time.monotonic() - began < 15  # and not the 25 s of the backoff
    assert len(lives(notes)) == 1
    plain.nothing_left()


@pytest.mark.parametrize("how", ["restart", "signal", "hup"])
def test_restart_during_backoff(plain, tmp_path, how):
    """A restart does not wait for the backoff's end, and forgets about it."""
    hash_, notes = crashing(plain, tmp_path, **SLOW)
    plain.reached(hash_, "backoff")
    supervisor = plain.supervisor(hash_)
    began = time.monotonic()
    if how == "hup":
        os.kill(supervisor, signal.SIGHUP)
    else:
        plain.call(how, "crash")
    begun(notes, 2)

    assert time.monotonic() - began < 15
    assert plain.supervisor(hash_) == supervisor
    plain.reached(hash_, "backoff")


# kill -9


@pytest.mark.parametrize("victim", ["supervisor", "guardian", "both"])
@pytest.mark.parametrize("kind", ["group", "setsid", "bare"])
def test_kill_9(machine, victim, kind):
    """One of devport's two processes is killed: no process of the service survives, no daemon of it (G06).

    Both: the service itself does not, and what it has started is no more devport's. `ls` says stopped at
    once, and `start` brings it back on the same port.
    """
    command = argv("forker", kind, "stubborn", machine.tag)
    row = machine.start("web", command, "-t", "0.2")
    hash_ = row["hash"]
    daemon = int(machine.logged(hash_, rb"ready (\d+)\s")[1])
    supervisor, guardian = machine.supervisor(hash_), machine.guardian(hash_)
    if victim != "supervisor":
        os.kill(guardian, signal.SIGSTOP if victim == "both" else signal.SIGKILL)
    if victim != "guardian":
        os.kill(supervisor, signal.SIGKILL)
    if victim == "both":
        os.kill(guardian, signal.SIGKILL)
        _dead(row["pid"])
    if victim != "guardian":
        _dead(supervisor)
        after = machine.row("web")
        assert (after["status"], after["pid"], after["supervisor"]) == ("stopped", None, None)
    machine.ended(hash_)
    if victim == "both":  # nobody of devport lives who could do it
        procs.send(daemon, signal.SIGKILL)
    _dead(daemon)
    machine.nothing_left()
    again = machine.start("web", command, "-t", "0.2")

    assert (again["status"], again["port"]) == ("running", row["port"])
    machine.logged(hash_, rb"ready \d+", 2)


def _dead(pid):
    def check():
        assert not procs.is_alive(pid)

    eventually(check)


def test_kill_9_while_it_starts(plain):
    """At whatever moment of its beginning the supervisor is killed, no service is left (F05)."""
    hash_ = plain.start("web", argv("stubborn"), "-t", "0.1")["hash"]
    plain.do("stop", "web")
    words = [sys.executable, "-P", "-m", "devport", "supervise", hash_, os.fsencode(plain.state).hex()]
    for number in range(16):
        running = plain.devport.spawn(words)
        supervisor = running.supervisor
        procs.elapse(0.02 + number * 0.006)
        procs.send(supervisor, signal.SIGKILL)
        assert running.finish() == 137
        plain.nothing_left()


def test_suspended_supervisor(plain):
    """One that is stopped with SIGSTOP costs `ls` its details and no more; `start` believes the lock."""
    command = argv("listener")
    row = plain.start("web", command)
    plain.logged(row["hash"], rb"ready")
    os.kill(row["supervisor"], signal.SIGSTOP)
    began = time.monotonic()
    assert plain.row("web")["status"] == "running"
    assert time.monotonic() - began < 5  # a quarter of a second, and what `ls` takes on a busy machine
    assert plain.start("web", command)["supervisor"] == row["supervisor"]
    os.kill(row["supervisor"], signal.SIGCONT)

    assert plain.do("stop", "web") == "web stopped\n"


# what it costs, and what it notes


def test_no_wake_up_while_idle(machine):
    """An idle supervisor and its guardian sleep: no system call in a second."""
    hash_ = machine.start("web", shell("echo ready; exec sleep 1000"))["hash"]
    machine.logged(hash_, rb"ready")
    pids = [machine.supervisor(hash_), machine.guardian(hash_)]
    procs.idle(machine.tag, 1.0)

    def switches():
        return [int(procs.status_field(pid, "voluntary_ctxt_switches")) for pid in pids]

    before = switches()
    procs.elapse(1.0)
    assert switches() == before


def test_heartbeat(plain):
    """`last_up` is noted every so many seconds (30; here shortened), whatever the service does."""
    hash_ = plain.start("web", shell("echo ready; exec sleep 1000"))["hash"]
    plain.do("stop", "web")
    code = (
        "import sys; import devport.supervisor as one; assert one.HEARTBEAT == 30.0; one.HEARTBEAT = 0.1;"
        "from devport.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, "supervise", hash_, os.fsencode(plain.state).hex()]
    running = plain.devport.spawn(words)
    plain.logged(hash_, rb"ready", 2)
    store = Store(str(plain.state))
    for _ in range(2):
        store.update(hash_, lambda old: old._replace(last_up="2001-02-03T04:05:06Z"))  # it writes as well

        def check():
            assert plain.record(hash_)["last_up"].startswith(time.strftime("%Y"))

        eventually(check)
    os.kill(running.supervisor, signal.SIGTERM)
    assert running.finish() == 0


def test_record_tells_what_runs(machine):
    """`run` has the service's pid while it lives and none afterwards; stamps are UTC, RFC 3339 (G63)."""
    hash_ = machine.start("web", argv("signals"))["hash"]
    machine.logged(hash_, rb"ready")
    record = machine.reached(hash_, "ready")
    assert record["run"]["pid"] == machine.service(hash_)
    assert ("window" in record["run"]) == machine.windows
    machine.do("stop", "web")
    record = machine.reached(hash_, "stopped")

    assert record["run"]["pid"] is None
    stamp = time.strptime(record["last_up"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(time.time() - calendar.timegm(stamp)) < 60


def test_signals_of_the_service_start_clean(machine):
    """Nothing is blocked or ignored in the service, and it inherits no descriptor but 0, 1 and 2."""
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls -C /proc/self/fd; echo end; exec sleep 1000"
    hash_ = machine.start("web", shell(script))["hash"]
    machine.logged(hash_, rb"end")
    log = machine.log(hash_)

    assert {procs.settable(mask) for mask in re.findall(rb"Sig(?:Blk|Ign):\s*([0-9a-f]+)", log)} == {0}
    assert re.search(rb"^0 +1 +2 +3\r$", log, re.MULTILINE), log


# the window


def test_typing_reaches_the_service(windowed):
    """What is typed into the window arrives, umlauts too, and the answer is seen there and in the log."""
    row = windowed.start("cat", shell("echo ready; exec cat"))
    windowed.shows(row["window"], "ready")
    windowed.type(row["window"], "hello ünï", "Enter")

    windowed.logged(row["hash"], "hello ünï".encode(), 2)
    windowed.shows(row["window"], r"hello ünï\s+hello ünï")


def test_debugger_prompt(windowed):
    """A service that stops in pdb can be asked, and goes on."""
    script = windowed.devport.write("buggy.py", "answer = 6 * 7\nbreakpoint()\nprint('went on')\ninput()\n")
    row = windowed.start("buggy", [sys.executable, str(script)])
    windowed.shows(row["window"], r"\(Pdb\)")
    windowed.type(row["window"], "p answer + 1000", "Enter")
    windowed.shows(row["window"], r"(?m)^1042$")
    windowed.type(row["window"], "c", "Enter")
    windowed.shows(row["window"], r"(?m)^went on$")


def test_ctrl_c_ends_it(windowed):
    """Ctrl-C in the window stops the service with its stop signal, ends the supervisor, closes the window."""
    windowed.start("other", argv("signals"))
    row = windowed.start("web", argv("signals"))
    windowed.logged(row["hash"], rb"ready")
    windowed.type(row["window"], "C-c")
    windowed.ended(row["hash"])

    assert re.findall(rb"got \w+", windowed.log(row["hash"])) == [b"got SIGTERM"]
    windowed.closed("web")
    assert windowed.opened() == ["other"]
    assert windowed.reached(row["hash"], "stopped")


def test_ctrl_z_restarts_it(windowed):
    """Ctrl-Z in the window restarts the service in place."""
    row = windowed.start("web", argv("signals"))
    windowed.logged(row["hash"], rb"ready")
    windowed.type(row["window"], "C-z")
    windowed.logged(row["hash"], rb"ready", 2)
    after = windowed.row("web")

    assert after["pid"] != row["pid"]
    assert (after["supervisor"], after["window"]) == (row["supervisor"], row["window"])


def test_interactive_service_gets_both_keys(windowed):
    """With `interactive: true` Ctrl-C and Ctrl-Z are the service's own business."""
    windowed.devport.write(
        "devport.yaml", f"processes:\n  repl:\n    exec: {KEYS!r}\n    interactive: true\n"
    )
    row = windowed.detach()["repl"]
    windowed.logged(row["hash"], rb"ready")
    windowed.type(row["window"], "C-c", "C-z", "x", "Enter")

    windowed.logged(row["hash"], rb"\^C\^Zx")
    after = windowed.row("repl")
    assert (after["pid"], after["restarts"]) == (row["pid"], 0)
    assert windowed.do("stop", "repl") == "repl stopped\n"


KEYS = "stty -isig -icanon -echo; echo ready; exec cat -v"


def test_ctrl_c_of_an_interactive_service_is_a_signal(windowed):
    """Its terminal is its controlling one: Ctrl-C interrupts what runs in it, as in any terminal."""
    script = "trap 'echo interrupted' INT; echo ready; while :; do sleep 0.05; done"
    windowed.devport.write("devport.yaml", f"processes:\n  web: {{exec: {script!r}, interactive: true}}\n")
    row = windowed.detach()["web"]
    windowed.logged(row["hash"], rb"ready")
    windowed.type(row["window"], "C-c")

    windowed.logged(row["hash"], rb"interrupted")
    assert windowed.row("web")["restarts"] == 0


def test_flow_control_typed_into_the_window(windowed):
    """Ctrl-S stops the service's output and nothing else: stop works (F94)."""
    row = windowed.start("web", shell("echo ready; while :; do echo line; sleep 0.01; done"), "-t", "15")
    windowed.logged(row["hash"], rb"ready")
    windowed.type(row["window"], "C-s")
    began = time.monotonic()

    assert windowed.do("stop", "web") == "web stopped\n"
    assert time.monotonic() - began < 15  # the grace was not needed


def test_typed_ahead(windowed):
    """A large paste into a service that does not read is bounded, and the supervisor stays responsive."""
    row = windowed.start("web", shell("stty raw -echo; echo ready; exec sleep 1000"), "-t", "15")
    windowed.logged(row["hash"], rb"ready")
    paste = windowed.devport.write("paste", "0123456789abcde\n" * (20 << 10))
    windowed.tmux("load-buffer", str(paste))
    windowed.tmux("paste-buffer", "-t", row["window"])
    began = time.monotonic()

    assert windowed.row("web")["status"] == "running"
    assert windowed.do("stop", "web") == "web stopped\n"
    assert time.monotonic() - began < 15  # the grace was not needed


def test_typed_for_nothing(windowed):
    """What is more than is kept is dropped, and that is said, once, in the window and in the log."""
    row = windowed.start("web", shell("stty raw -echo; echo ready; exec sleep 1000"))
    windowed.logged(row["hash"], rb"ready")
    windowed.tmux("load-buffer", str(windowed.devport.write("paste", "0123456789abcde\n" * (10 << 10))))
    windowed.tmux("paste-buffer", "-t", row["window"])
    found = windowed.logged(
        row["hash"], rb"devport: web does not read its input: (\d+) bytes typed ahead were dropped"
    )

    assert 80_000 < int(found[1]) <= (160 << 10) - (64 << 10)
    windowed.shows(row["window"], "bytes typed ahead were dropped")
    windowed.type(row["window"], "x", "y")
    procs.elapse(1.5)
    assert windowed.log(row["hash"]).count(b"were dropped") == 1


def test_large_paste_arrives(windowed):
    """A service that reads gets every byte of a paste of 40 KB."""
    code = (
        "import os, sys, tty; tty.setraw(0); print('ready', flush=True); got = b''\n"
        "while not got.endswith(b'!'): got += os.read(0, 65536)\n"
        "import zlib; print('sum', len(got), zlib.crc32(got), end='\\r\\n', flush=True); os.read(0, 1)"
    )
    row = windowed.start("web", python(code))
    windowed.logged(row["hash"], rb"ready")
    text = "".join(chr(97 + n * 7 % 26) for n in range(40_000)) + "!"
    windowed.tmux("load-buffer", str(windowed.devport.write("paste", text)))
    windowed.tmux("paste-buffer", "-t", row["window"])
    found = windowed.logged(row["hash"], rb"sum (\d+) (\d+)\r")

    assert (int(found[1]), int(found[2])) == (len(text), zlib.crc32(text.encode()))


def test_window_size_follows(windowed):
    """The service's terminal has the window's size, also after that has changed."""
    row = windowed.start("size", argv("size"))
    windowed.logged(row["hash"], rb"size \d+ \d+")
    windowed.tmux("resize-window", "-t", row["window"], "-x", "97", "-y", "31")
    windowed.logged(row["hash"], rb"size 97 31\r")
    windowed.tmux("resize-window", "-t", row["window"], "-x", "61", "-y", "13")
    windowed.logged(row["hash"], rb"size 61 13\r")


def test_terminal_of_the_service(windowed):
    """All three streams are a terminal of its own; it knows nothing of tmux but TERM."""
    script = 'tty; tty <&1; tty <&2; exec "$@"'
    row = windowed.start("web", shell(script, *variables("TMUX", "TMUX_PANE", "TERM")))
    windowed.logged(row["hash"], rb"ready")
    log = windowed.log(row["hash"])
    ttys = re.findall(rb"/dev/pts/\d+", log)

    assert len(ttys) == 3
    assert len(set(ttys)) == 1
    assert ttys[0].decode() != row["terminal"]
    term = windowed.tmux("show-options", "-gv", "default-terminal")
    assert f"[||{term}]\r\n".encode() in log


def test_terminal_without_a_window(plain):
    """The service has one too, of a usual size: colours and line buffering do not depend on tmux."""
    row = plain.start("size", argv("size"))

    plain.logged(row["hash"], rb"size 80 24\r")


def test_window_of_a_failed_service_stays(windowed):
    """Failed for good: the window stays with its last output, and with the status."""
    script = "read line; echo last words; exit 7"
    row = windowed.start("web", shell(script), "--restart", "never")
    windowed.type(row["window"], "Enter")
    windowed.ended(row["hash"])

    windowed.shows(row["window"], "last words")
    windowed.shows(row["window"], "exited with status 7")

    def check():
        dead = windowed.tmux("display-message", "-p", "-t", row["window"], "#{pane_dead} #{pane_dead_status}")
        assert dead == "1 7"

    eventually(check)
    after = windowed.row("web")
    assert (after["status"], after["error"]) == ("stopped", "exited with status 7")


def test_windows_of_failed_services_do_not_pile_up(windowed):
    """The next start has a new window, and the dead one is not kept for ever."""
    script = "read line; exit 7"
    for _ in range(3):
        row = windowed.start("web", shell(script), "--restart", "never")
        windowed.type(row["window"], "Enter")
        windowed.ended(row["hash"])
    row = windowed.start("web", shell(script), "--restart", "never")

    def check():
        assert windowed.opened("#{window_id}") == [row["window"]]

    eventually(check)


def test_rm_closes_the_window_of_a_failed_service(windowed):
    """`rm` leaves nothing of it, the window with its last words neither."""
    row = windowed.start("web", shell("read line; exit 7"), "--restart", "never")
    windowed.start("other", argv("signals"))
    windowed.type(row["window"], "Enter")
    windowed.ended(row["hash"])
    windowed.do("rm", "web")

    windowed.closed("web")
    assert windowed.opened() == ["other"]


@pytest.mark.parametrize("how", ["stop", "down", "rm"])
def test_a_clean_stop_closes_the_window(windowed, how):
    """Only its own: those of other services and of the user, in this session and in others, stay."""
    windowed.tmux("new-session", "-d", "-s", "devport", "-n", "mine", "sleep", "1000")
    windowed.tmux("new-session", "-d", "-s", "devport-old", "-n", "web", "sleep", "1000")
    windowed.tmux("new-session", "-d", "-s", "work", "-n", "web-admin", "sleep", "1000")
    others = windowed.opened("#{session_name} #{window_id} #{window_name} #{pane_pid}")
    windowed.devport.procfile(web="exec sleep 1000")
    windowed.detach()
    assert len(windowed.opened()) == 4
    windowed.do(how, *(() if how == "down" else ("web",)))

    def check():
        assert windowed.opened("#{session_name} #{window_id} #{window_name} #{pane_pid}") == others

    eventually(check)


def test_split_window(windowed):
    """A pane that the user adds survives the stop of the service."""
    row = windowed.start("web", argv("signals"))
    windowed.tmux("split-window", "-d", "-t", row["window"], "sleep", "1000")
    windowed.do("stop", "web")

    def check():
        assert windowed.tmux("list-panes", "-a", "-F", "#{pane_current_command}") == "sleep"

    eventually(check)
    windowed.do("rm", "web")
    assert windowed.tmux("list-panes", "-a", "-F", "#{pane_current_command}") == "sleep"


def test_renamed_and_moved_window(windowed):
    """What the user does to the window changes nothing: stop still ends the service and closes it."""
    windowed.tmux("new-session", "-d", "-s", "work", "-n", "shell", "sleep", "1000")
    row = windowed.start("web", argv("signals"))
    windowed.tmux("rename-window", "-t", row["window"], "other")
    windowed.tmux("move-window", "-s", row["window"], "-t", "work:7")
    assert windowed.do("restart", "web") == "web restarted\n"
    windowed.do("stop", "web")

    def check():
        assert windowed.opened() == ["shell"]

    eventually(check)


HOSTILE = """\
set -g default-command 'echo pwned; exec sleep 1000'
set -g default-shell /bin/false
set -g destroy-unattached on
set -g exit-unattached on
set -g exit-empty on
set -g remain-on-exit on
set -g base-index 5
set -g renumber-windows on
set -g automatic-rename on
set -g allow-rename on
set -g history-limit 0
set -g update-environment 'FOO BAR'
set-environment -g FOO hostile
set-environment -g PATH /nonexistent
set-environment -g PYTHONPATH /nonexistent
set-environment -g PYTHONSTARTUP /nonexistent
set-environment -g HOME /nonexistent
set-environment -g DEVPORT_HOME /nonexistent
set-hook -g after-new-window 'rename-window pwned'
set-hook -g after-new-session 'set -g @pwned yes'
set-hook -g window-linked 'set -g @linked yes'
set -s exit-unattached on
"""


@pytest.mark.parametrize("private", [True, False], ids=["private", "usual"])
def test_hostile_configuration(windowed, private):
    """Whatever ~/.tmux.conf says, services run, with their own environment, and stop."""
    if not private:
        del windowed.environ["DEVPORT_TMUX"]
    (windowed.devport.home / ".tmux.conf").write_text(HOSTILE)
    names = ("FOO", "PATH", "HOME", "PYTHONPATH", "PORT")
    rows = [windowed.start(key, variables(*names)) for key in ("one", "two")]
    for row in rows:
        windowed.logged(row["hash"], rb"ready")
        wanted = f"[|{windowed.environ['PATH']}|{windowed.environ['HOME']}||{row['port']}]\r\n"
        assert wanted.encode() in windowed.log(row["hash"])
    windowed.tmux("send-keys", "-t", rows[0]["window"], "C-c")
    windowed.ended(rows[0]["hash"])
    windowed.do("stop", "two")

    windowed.nothing_left()


# tmux goes away


@pytest.mark.parametrize(
    "how", ["kill-window", "kill-server", "kill-session", "kill-pane", "SIGKILL", "SIGTERM"]
)
def test_tmux_goes_away(windowed, how):
    """The window is closed, the server is ended or killed: the service stops, and a start simply works."""
    rows = [windowed.start(key, argv("listener")) for key in ("web", "api")]
    for row in rows:
        windowed.logged(row["hash"], rb"ready")
    if how.startswith("SIG"):
        server = int(windowed.tmux("display-message", "-p", "#{pid}"))
        os.kill(server, getattr(signal, how))
    elif how in {"kill-window", "kill-pane"}:
        for row in rows:
            windowed.tmux(how, "-t", row["window"])
    else:
        windowed.tmux(how)
    for row in rows:
        windowed.ended(row["hash"])
    windowed.nothing_left()

    assert {(one["status"], one["state"]) for one in windowed.ls().values()} == {("stopped", "stopped")}
    again = [windowed.start(key, argv("listener")) for key in ("web", "api")]
    assert [one["port"] for one in again] == [one["port"] for one in rows]
    assert sorted(windowed.opened()) == ["api", "web"]
    for row in rows:
        windowed.logged(row["hash"], rb"ready", 2)
        assert procs.is_listening(row["port"])


def test_restart_after_tmux_was_killed(windowed):
    """`restart` opens a window on a new server, with what was registered."""
    row = windowed.start("web", argv("listener"))
    windowed.logged(row["hash"], rb"ready")
    windowed.tmux("kill-server")
    windowed.ended(row["hash"])
    assert windowed.do("restart", "web") == "web started\n"

    assert windowed.opened() == ["web"]
    windowed.logged(row["hash"], rb"ready", 2)


def test_stop_with_a_hanging_tmux_server(windowed):
    """State does not live in tmux: with its server suspended `ls` and `stop` work, and `rm`, later."""
    row = windowed.start("web", argv("signals"))
    windowed.logged(row["hash"], rb"ready")
    server = int(windowed.tmux("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        assert windowed.row("web")["status"] == "running"
        began = time.monotonic()
        windowed.do("stop", "web")
        assert time.monotonic() - began < 5  # the least that asking tmux would take
        began = time.monotonic()
        assert windowed.do("rm", "web").startswith("web removed")
        assert 4 < time.monotonic() - began < 15  # it has waited five seconds for the window
    finally:
        os.kill(server, signal.SIGCONT)
    windowed.nothing_left()


def test_stalled_window_does_not_stall_the_service(windowed):
    """A tmux server that takes no output: `stop` still works, however much the service prints."""
    flood = shell("echo ready; exec yes 0123456789012345678901234567890123456789")
    row = windowed.start("web", flood, "-t", "15")
    windowed.logged(row["hash"], rb"ready")
    server = int(windowed.tmux("display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGSTOP)
    try:
        procs.elapse(0.5)
        began = time.monotonic()
        windowed.do("stop", "web")
        assert time.monotonic() - began < 15  # the grace was not needed
    finally:
        os.kill(server, signal.SIGCONT)
    windowed.nothing_left()


def test_output_has_its_colours_in_the_window(windowed):
    """Escape sequences reach the window as they are, a full screen program's too; the log keeps them."""
    script = r"printf '\033[31mred\033[0m \033[2J\033[5;10Hhere\033[?25l'; echo; echo ready; exec sleep 1000"
    row = windowed.start("web", shell(script))
    windowed.shows(row["window"], r"(?m)^ {9}here")

    windowed.logged(row["hash"], rb"\x1b\[31mred\x1b\[0m \x1b\[2J\x1b\[5;10Hhere\x1b\[\?25l\r\n")


def test_devport_by_path(plain):
    """A supervisor is the devport that started it, wherever PATH leads."""
    row = plain.start("web", argv("signals"), env={"PATH": "/nonexistent"})

    # python, python3: whichever of them the devport on this PATH begins with
    program = procs.process(row["supervisor"]).command.split()[0]
    assert os.path.dirname(program) == os.path.dirname(sys.executable)
    assert DEVPORT not in procs.process(row["supervisor"]).command
