"""The faults under which five Procfile runners were measured (reliability.md 2.0): devport passes each.

The stop grace is 1 s (`-t 1`); `running.LATE` seconds more are allowed, because the machine may be busy.
"""

import hashlib
import os
import pty
import re
import signal
import time

import pytest
from support import procs
from support.asked import answer, holder, reached
from support.running import LATE, child

GRACE = 1.0
QUIET_PAIR = {"web": child("signals"), "worker": "echo ready; exec sleep 1000"}


# a reader that takes nothing: no other tool can be stopped then


@pytest.mark.parametrize("reader", ["pipe", "socket", "terminal"])
@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "stubborn"])
def test_stalled_reader(devport, reader, stubborn):
    """Nobody reads our output: it answers, TERM ends all within the grace plus 2 s, in bounded memory."""
    trap = "trap '' TERM; " if stubborn else ""
    devport.procfile(
        a=f"{trap}yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b=f"{trap}yes", c=trap + "yes c"
    )
    if reader == "terminal":
        unread, out = pty.openpty()
        devport.descriptors += [unread, out]
    else:
        unread, out = devport.socketpair() if reader == "socket" else devport.pipe()
    running = devport.start("-t", str(GRACE), stdout=out)
    devport.close(out)
    running.services(3)
    procs.idle(devport.tag)
    answered = answer(holder(devport, "a"))
    memory = procs.peak_memory(running.supervisor)

    status, seconds = running.stop()

    assert answered < 0.2 + LATE
    assert status == 143
    assert seconds < GRACE * stubborn + 2 + LATE
    assert memory < 64 << 20
    procs.gone(devport.tag)


def test_stalled_terminal_that_is_all_there_is(devport):
    """Nobody reads the terminal, on which messages would be told too: two Ctrl-C end it all the same."""
    devport.procfile(a="exec yes", b="trap '' INT TERM; echo ready; exec yes")
    running = devport.start("-t", "60", terminal=(80, 24))
    running.expect(rb"ready")
    running.stall()
    interrupt_stalled(devport, running, "b")

    assert running.stop(signal.SIGINT, timeout=LATE + 5)[0] == 130


def interrupt_stalled(devport, running, stubborn):
    """A first Ctrl-C where nobody reads that it was heard; two that come at once would be one."""
    procs.idle(devport.tag)
    running.send(signal.SIGINT)
    reached(holder(devport, stubborn), stubborn, "stopping")
    procs.elapse(procs.APART)


def test_stalled_reader_and_second_interrupt(devport):
    """A second Ctrl-C ends it at once, reader or no reader."""
    devport.procfile(a="trap '' TERM INT; yes", b="yes")
    _unread, out = devport.pipe()
    running = devport.start("-t", "60", stdout=out)
    running.services(2)
    interrupt_stalled(devport, running, "a")

    status, seconds = running.stop(signal.SIGINT)

    assert status == 130
    assert seconds < LATE
    procs.gone(devport.tag)


def test_stalled_reader_sees_a_child_end(devport):
    """A child's end ends the run even while nobody reads; what it cost is said once the reader goes on."""
    devport.procfile(a="yes", b="exec sleep 1000", c="while ! test -e ../go; do sleep 0.3; done; exit 9")
    unread, out = devport.pipe()
    running = devport.start("-t", str(GRACE), stdout=out)
    devport.close(out)
    running.services(3)
    procs.idle(devport.tag, 0.15)
    devport.write("../go", "")

    def services_gone():
        assert procs.descendants(running.supervisor) == []

    procs.eventually(services_gone)
    running.out = os.dup(unread)

    assert running.finish() == 9
    procs.gone(devport.tag)


# the manager is killed


def big_family(devport):
    """Services with a child in the group, one in a group, one in a session of its own, and daemons."""
    devport.procfile(
        group=child("forker", "group", "stubborn"),
        pgid=child("forker", "pgid", "stubborn"),
        setsid=child("forker", "setsid", "stubborn"),
        daemon=child("forker", "double", "stubborn"),
        bare=child("forker", "bare", "stubborn", devport.tag),
        stubborn=child("stubborn"),
    )
    running = devport.start("-t", str(GRACE))
    running.ready("group", "pgid", "setsid", "daemon", "bare", "stubborn")
    assert len(procs.tree(devport.tag)) == 2 + 6 + 5
    return running


def test_manager_killed(devport):
    """A kill -9 on devport leaves no descendant, whatever session or group it is in."""
    running = big_family(devport)

    status, seconds = running.stop(signal.SIGKILL)
    procs.gone(devport.tag, GRACE + LATE)

    assert status == -signal.SIGKILL
    assert seconds < LATE


def test_supervisor_killed(devport):
    """Neither does kill -9 on the process that does the work; the status says so."""
    running = big_family(devport)
    os.kill(running.supervisor, signal.SIGKILL)

    assert running.finish() == 128 + signal.SIGKILL
    procs.gone(devport.tag)


def test_process_group_killed(devport):
    """Nor kill -9 on devport's process group, as a shell's `kill -9 %1` does it."""
    running = big_family(devport)
    running.send_group(signal.SIGKILL)

    assert running.finish() == -signal.SIGKILL
    procs.gone(devport.tag, GRACE + LATE)


def test_both_killed(devport):
    """A kill -9 on all of devport at once: what it started itself dies with it (PR_SET_PDEATHSIG)."""
    devport.procfile(a=child("stubborn"), b=child("stubborn"), c="echo ready; sleep 1000; true")
    running = devport.start()
    running.ready("a", "b", "c")
    supervisor = running.supervisor
    services = procs.children(supervisor)
    os.kill(running.pid, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    os.kill(running.pid, signal.SIGKILL)
    running.finish()

    def check():
        assert [pid for pid in services if procs.is_alive(pid)] == []

    procs.eventually(check)
    procs.kill_all(devport.tag)  # the shell's own child is nobody's any more: no process is left to end it


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGQUIT, 131)],
)
def test_asked_to_end(devport, number, expected):
    """TERM, HUP, INT and QUIT end everything in order; the status is 128 + the signal."""
    devport.procfile(**QUIET_PAIR)
    running = devport.start()
    running.ready("web", "worker")

    status, seconds = running.stop(number)

    assert status == expected
    assert seconds < LATE
    assert b"got SIGTERM" in running.output
    assert b"did not stop" not in running.output
    procs.gone(devport.tag)


def test_child_ignores_term_and_int(devport):
    """A child that ignores TERM and INT is killed after the grace, not before and not long after."""
    devport.procfile(a=child("stubborn"), b=child("stubborn"))
    running = devport.start("-t", str(GRACE))
    running.ready("a", "b")

    status, seconds = running.stop(signal.SIGINT)

    assert status == 130
    assert GRACE * 0.9 < seconds < GRACE + LATE
    procs.gone(devport.tag)


def test_second_interrupt(devport):
    """A second Ctrl-C kills at once, whatever the grace."""
    devport.procfile(a=child("stubborn"), b=child("stubborn"))
    running = devport.start("-t", "60")
    running.ready("a", "b")
    running.send(signal.SIGINT)
    running.expect(rb"SIGINT received, stopping")
    procs.elapse(procs.APART)

    status, seconds = running.stop(signal.SIGINT)

    assert status == 130
    assert seconds < LATE
    procs.gone(devport.tag)


@pytest.mark.parametrize("kind", ["group", "pgid", "setsid", "double", "bare"])
@pytest.mark.parametrize("stubborn", ["obedient", "stubborn"])
def test_grandchild(devport, kind, stubborn):
    """A grandchild is gone after a stop: in the group, in its own, in a session of its own."""
    devport.procfile(web=child("forker", kind, stubborn, devport.tag))
    running = devport.start("-t", str(GRACE))
    running.ready("web")

    status, seconds = running.stop()

    assert status == 143
    assert seconds < GRACE + LATE
    assert procs.tree(devport.tag) == []


@pytest.mark.parametrize("kind", ["group", "setsid", "double"])
def test_leader_crashes_with_background_job(devport, kind):
    """A service crashes and leaves a job behind: the job goes too, the status is the service's."""
    devport.procfile(web=child("forker", kind, "stubborn", "exit=3"), other="exec sleep 1000")
    running = devport.start("-t", str(GRACE))
    running.ready("web")
    began = time.monotonic()

    status = running.finish()

    assert status == 3
    assert running.ended - began < GRACE + LATE
    assert procs.tree(devport.tag) == []


def test_term_right_after_launch(devport):
    """TERM at any moment of the first 300 ms: nothing survives, nothing hangs, and the status says TERM."""
    devport.claim(150)
    statuses = []
    for batch in range(5):
        began = time.monotonic()
        waiting = []
        for place in range(8):
            folder = devport.project / f"{batch}-{place}"
            devport.procfile(folder, a="sleep 1000; true", b=child("forker", "setsid"), c="exec sleep 1000")
            delay = (batch + 5 * place) * 0.3 / 40
            waiting.append((time.monotonic() - began + delay, devport.start("-t", "2", cwd=folder)))
        for due, running in sorted(waiting, key=lambda pair: pair[0]):
            procs.elapse(max(0.0, began + due - time.monotonic()))
            running.send(signal.SIGTERM)
        statuses += [running.finish() for _, running in waiting]
        assert [running.shown() for _, running in waiting if running.popen.returncode not in {143, -15}] == []
        procs.gone(devport.tag)

    # Before Python has come up there is no handler, and the kernel does it: a shell shows 143 as well.
    assert {status % 256 if status >= 0 else 128 - status for status in statuses} == {143}


def test_prompt_without_newline(devport):
    """A prompt without a newline is shown, while others go on."""
    devport.procfile(ask=child("partial", "never"), other="while :; do echo tick; sleep 0.2; done")
    running = devport.start()
    running.expect(rb"ask +\| prompt> ")
    running.expect(rb"other +\| tick")
    running.expect(rb"other +\| tick")

    assert running.stop()[0] == 143


def test_stdout_held_by_a_daemon(devport):
    """The end of a service is its exit, even where a daemon keeps its stdout open."""
    devport.procfile(web=child("forker", "double", "exit=0"), other="exec sleep 1000")
    running = devport.start()
    running.ready("web")
    began = time.monotonic()

    assert running.finish() == 0
    assert running.ended - began < LATE
    assert procs.tree(devport.tag) == []


def test_line_of_200_megabytes(devport):
    """A line of 200 MB passes whole, in bounded memory."""
    size = 200_000_000
    devport.procfile(web=f"head -c {size} /dev/zero | tr '\\0' x; echo END; exec sleep 1000")
    running = devport.start()
    running.keep = 4096
    running.expect(rb"END$", 60)
    memory = procs.peak_memory(running.supervisor)

    assert running.stop()[0] == 143
    assert size < running.count < size + 2000
    assert memory < 48 << 20


def test_bytes_that_are_no_text(devport):
    """Invalid UTF-8 and NUL pass through unchanged."""
    devport.procfile(web=r"printf 'a\0b\377\376\303(\n\0\n'")
    running = devport.start()

    assert running.finish() == 0
    assert running.lines("web") == [b"a\0b\xff\xfe\xc3(", b"\0"]


@pytest.mark.parametrize("pause", [0.02, 0.3])
def test_character_written_byte_by_byte(devport, pause):
    """A character that arrives in pieces, however slowly, arrives whole."""
    slowly = f"sleep {pause}"
    devport.procfile(web=rf"printf '\342'; {slowly}; printf '\202'; {slowly}; printf '\254\n'")
    running = devport.start()

    assert running.finish() == 0
    assert running.lines("web") == ["€".encode()]


@pytest.mark.parametrize("chatter", ["yes", "sleep 1000"], ids=["flood", "silence"])
def test_reader_disappears(devport, chatter):
    """The reader of our pipe goes away: once something is to be said, the run ends, without a traceback."""
    devport.procfile(a=chatter, b=child("signals"), c="while :; do sleep 0.1; echo tick; done")
    running = devport.start("-t", str(GRACE))
    running.expect(rb"tick" if chatter != "yes" else rb"y$")
    os.close(running.stall())
    began = time.monotonic()

    assert running.finish() == 141
    assert running.ended - began < GRACE + LATE
    assert running.errors == b""
    procs.gone(devport.tag)


@pytest.mark.parametrize("controlling", [True, False], ids=["controlling", "not controlling"])
def test_terminal_disappears(devport, controlling):
    """The terminal goes away, with a HUP or without: the run ends and leaves nothing."""
    devport.procfile(a="while :; do echo tick; sleep 0.1; done", b=child("signals"))
    if controlling:
        running = devport.start("-t", str(GRACE), terminal=(80, 24))
        running.expect(rb"tick")
        os.close(running.stall())
        devport.close(running.keyboard)
    else:
        master, slave = pty.openpty()
        devport.descriptors += [master, slave]
        running = devport.start("-t", str(GRACE), stdout=slave)
        devport.close(slave)
        running.out = os.dup(master)
        running.expect(rb"tick")
        os.close(running.stall())
        devport.close(master)
    began = time.monotonic()

    assert running.finish() in ({129, 141} if controlling else {141})
    assert running.ended - began < GRACE + LATE
    assert b"Traceback" not in running.errors
    procs.gone(devport.tag)


def test_red_without_reset(devport):
    """A colour that a service leaves behind does not reach the next prefix."""
    devport.procfile(web=r"printf '\033[31mred\nstill\n\033[1;32mgreen'; sleep 0.4; echo; echo plain")
    running = devport.start()

    assert running.finish() == 0
    for line in running.output.split(b"\n"):
        colours = re.findall(rb"\x1b\[([0-9;]*)m", line)
        assert colours == [] or colours[-1] in {b"", b"0"}
    assert b"\x1b[31mred" in running.output


@pytest.mark.parametrize(("command", "expected"), [("exit 42", 42), ("kill -9 $$", 137)])
def test_status_of_a_child(devport, command, expected):
    """A child's status is devport's; 128 + n where signal n killed it."""
    devport.procfile(web=command, other="exec sleep 1000")

    assert devport.start().finish() == expected


def test_200000_lines_then_exit(devport):
    """Nothing of 200,000 lines is lost when their writer exits at once."""
    devport.procfile(web="seq 1 200000")
    running = devport.start("--no-timestamp", "--no-prefix")

    assert running.finish() == 0
    body = b"".join(line + b"\n" for line in running.output.splitlines() if line.isdigit())
    wanted = b"".join(b"%d\n" % n for n in range(1, 200_001))
    assert hashlib.sha256(body).digest() == hashlib.sha256(wanted).digest()


@pytest.mark.parametrize("terminal", ["--no-pty", "--pty"])
def test_child_closes_its_stdout(devport, terminal):
    """A child that closes its stdout and lives costs nothing, and its status still counts."""
    devport.procfile(
        web="exec >&- 2>&-; while ! test -e ../end; do sleep 0.2; done; exit 7",
        clock="echo first; sleep 2; echo second; exec sleep 1000",
    )
    running = devport.start(terminal)
    running.expect(rb"first")
    supervisor = running.supervisor
    before = procs.cpu_seconds(supervisor)
    running.expect(rb"second")
    used = procs.cpu_seconds(supervisor) - before
    assert procs.descendants(supervisor) != []
    devport.write("../end", "")

    assert running.finish() == 7
    assert used < 0.3
    assert re.search(rb"web exited with status 7", running.output)
