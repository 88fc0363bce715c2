"""On a real terminal (a pty that is the controlling terminal): colours, sizes, keys, job control."""

import os
import re
import signal
import termios

import pytest
from support import procs
from support.running import DEVPORT, child, need, python

SGR = rb"\x1b\[([0-9;]*)m"
CTRL_C, CTRL_Z, CTRL_D, CTRL_BACKSLASH = b"\x03", b"\x1a", b"\x04", b"\x1c"


def plain(data):
    """`data` without colours and carriage returns."""
    return re.sub(SGR, b"", data).replace(b"\r", b"")


def in_foreground(terminal):
    """The process group that the terminal's keys go to."""
    return os.tcgetpgrp(terminal)


@pytest.fixture
def shell(devport):
    """An interactive bash with job control on a terminal of its own."""
    need("bash")
    (devport.home / ".inputrc").write_text("set enable-bracketed-paste off\n")
    running = devport.spawn(["bash", "--norc", "--noprofile", "-i"], env={"PS1": "<> "}, terminal=(90, 24))
    running.expect(rb"<> ")
    yield running
    if running.popen.poll() is None:
        running.send(signal.SIGKILL)
    running.finish()
    procs.kill_all(devport.tag)


def states(tag, *without):
    """The state letters of what carries `tag`."""
    return {one.state for one in procs.tree(tag) if one.pid not in without}


# what is shown


def test_colours(devport):
    """On a terminal each service has a colour of its own, and each line ends in the terminal's own."""
    devport.procfile(
        web="echo one; until test -e said; do sleep 0.02; done",
        worker="echo two; touch said; exec sleep 1000",
    )
    running = devport.start(terminal=(80, 24))

    assert running.finish() == 0
    prefixes = dict(re.findall(rb"\x1b\[(\d+)m[\d:]+ (web|worker) +\|", running.output))
    assert len(prefixes) == 2
    for line in running.output.split(b"\r\n"):
        colours = re.findall(SGR, line)
        assert colours == [] or colours[-1] in {b"", b"0"}


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [
        ([], {}, True),
        (["--no-color"], {}, False),
        (["--no-colour"], {}, False),
        (["--color", "never"], {}, False),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"NO_COLOR": ""}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
    ],
)
def test_colour_choice_on_a_terminal(devport, words, env, expected):
    """Colour on a terminal, unless an option or NO_COLOR says no."""
    devport.procfile(web="echo plain")
    running = devport.start(*words, env=env, terminal=(80, 24))

    assert running.finish() == 0
    assert (re.search(SGR, running.output) is not None) == expected


@pytest.mark.parametrize(
    ("words", "env", "expected"),
    [([], {}, False), (["--color", "always"], {}, True), ([], {"CLICOLOR_FORCE": "1"}, True)],
)
def test_colour_choice_in_a_pipe(devport, words, env, expected):
    """No colour in a pipe, unless an option or CLICOLOR_FORCE says so."""
    devport.procfile(web="echo plain")
    running = devport.start(*words, env=env)

    assert running.finish() == 0
    assert (re.search(SGR, running.output) is not None) == expected


def test_escapes_are_stripped(devport):
    """What would move the cursor, clear, set the title or switch the screen is taken out; colours stay."""
    devport.procfile(web=r"printf '\033[2J\033]0;title\007\033[?1049h\033[5A\033[32mgreen\033[0m\r\n'")
    running = devport.start(terminal=(80, 24))

    assert running.finish() == 0
    assert b"| \x1b[0m\x1b[32mgreen\x1b[0m" in running.output
    assert b"title" not in running.output
    assert re.sub(SGR, b"", running.output).count(b"\x1b") == 0


def test_escape_that_comes_in_pieces(devport):
    """A sequence that arrives in pieces is taken out all the same."""
    devport.procfile(web=r"printf 'a\033'; sleep 0.3; printf '[2'; sleep 0.3; printf 'Jb\n'")
    running = devport.start(terminal=(80, 24))

    assert running.finish() == 0
    assert b"| ab\n" in plain(running.output)


# the services' terminals


def test_services_have_terminals(devport):
    """On a terminal a service has one of its own for stdout and stderr, as wide as ours less the prefix."""
    devport.procfile(web="test -t 1 && test -t 2 && ! test -t 0 && stty size <&1; tty <&1")
    running = devport.start(terminal=(100, 33))

    assert running.finish() == 0
    text = plain(running.output)
    rows, columns = map(int, re.search(rb"\| (\d+) (\d+)\n", text).groups())
    prefix = re.search(rb"^(.*web +\| )\d", text, re.MULTILINE)[1]
    assert rows == 33
    assert columns == 100 - len(prefix)
    assert re.search(rb"\| /dev/pts/\d+", text)


@pytest.mark.parametrize(
    ("terminal", "way", "expected"), [((80, 24), "--no-pty", False), (None, "--pty", True)]
)
def test_pty_choice(devport, terminal, way, expected):
    """--pty and --no-pty decide, whatever stdout is."""
    devport.procfile(web="if test -t 1; then echo is-terminal; else echo no-terminal; fi")
    running = devport.start(way, terminal=terminal)

    assert running.finish() == 0
    assert (b"is-terminal" in running.output) == expected


def test_window_size_changes(devport):
    """A service hears WINCH and sees the new size, less the prefix."""
    devport.procfile(web=child("size"), other=child("size"))
    running = devport.start(terminal=(100, 30))
    width = int(running.expect_all(rb"web.*size (\d+) 30", rb"other.*size (\d+) 30")[0][1])
    prefix = 100 - width
    for columns, rows in ((120, 40), (60, 10), (200, 50)):
        running.resize(columns, rows)
        size = rb"size %d %d" % (columns - prefix, rows)
        running.expect_all(rb"web.*" + size, rb"other.*" + size)

    assert running.stop(signal.SIGINT)[0] == 130


@pytest.mark.parametrize("size", [(1, 1), (0, 0), (10, 5)])
def test_tiny_terminal(devport, size):
    """A terminal narrower than the prefix, or of no size at all, is no reason to fail."""
    devport.procfile(web=child("size"))
    running = devport.start(terminal=size)
    columns, rows = map(int, running.expect(rb"size (\d+) (\d+)").groups())

    assert columns >= 20
    assert rows >= 1
    assert running.stop(signal.SIGINT)[0] == 130


# keys


def test_ctrl_c(devport):
    """Ctrl-C typed: an orderly stop, status 130, nothing left, the terminal as it was."""
    devport.procfile(web=child("signals"), worker=child("forker", "group"))
    running = devport.start(terminal=(80, 24))
    before = running.modes
    running.expect_all(rb"web.*ready", rb"worker.*ready")
    running.type(CTRL_C)

    assert running.finish() == 130
    text = plain(running.output)
    assert b"SIGINT received, stopping" in text
    assert b"got SIGINT" not in text  # the services are asked once, by devport
    assert text.count(b"got SIGTERM") == 1
    assert termios.tcgetattr(running.keyboard) == before
    assert procs.tree(devport.tag) == []


def test_ctrl_c_twice(devport):
    """A second Ctrl-C kills at once."""
    devport.procfile(web=child("stubborn"))
    running = devport.start("-t", "60", terminal=(80, 24))
    running.expect(rb"web.*ready")
    running.type(CTRL_C)
    running.expect(rb"SIGINT received, stopping")
    procs.elapse(procs.APART)
    running.type(CTRL_C)

    assert running.finish() == 130
    assert procs.tree(devport.tag) == []


def test_ctrl_backslash(devport):
    """Ctrl and backslash typed: an orderly stop too."""
    devport.procfile(web=child("signals"))
    running = devport.start(terminal=(80, 24))
    running.expect(rb"web.*ready")
    running.type(CTRL_BACKSLASH)

    assert running.finish() == 131
    assert procs.tree(devport.tag) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_modes_after_a_kill(devport, number):
    """However devport ends, the terminal's modes (`stty -g`) are what they were."""
    devport.procfile(web="stty raw -echo <&1; echo ready; exec sleep 1000")
    running = devport.start(terminal=(80, 24))
    before = running.modes
    running.expect(rb"ready")
    running.send(number)
    running.finish()

    assert termios.tcgetattr(running.keyboard) == before
    procs.gone(devport.tag, 10)


def test_typed_keys_are_nobodys(devport):
    """What is typed while many services run is echoed and harms nothing."""
    devport.procfile(web="if read x; then echo got $x; else echo end; fi; exec sleep 1000")
    running = devport.start(terminal=(80, 24))
    running.expect(rb"\| (\x1b\[0m)?end")
    running.type(b"hello\n")
    running.type(CTRL_C)

    assert running.finish() == 130
    assert b"got hello" not in running.output


# job control, under a shell that has it


def test_ctrl_z_and_fg(devport, shell):
    """Ctrl-Z suspends devport and all services; `fg` continues all; Ctrl-C then ends all."""
    devport.procfile(web="while :; do echo tick; sleep 0.1; done", worker=child("forker", "setsid"))
    shell.type(f"{DEVPORT} start\n".encode())
    shell.expect_all(rb"web.*tick", rb"worker.*ready")
    shell.type(CTRL_Z)
    shell.expect(rb"Stopped")

    def stopped():
        assert states(devport.tag, shell.pid) - {"D"} == {"T"}

    procs.eventually(stopped)
    shell.type(b"jobs\n")
    shell.expect(rb"Stopped.*devport start")
    shell.type(b"fg\n")
    shell.expect(rb"web.*tick")
    shell.expect(rb"web.*tick")

    def continued():
        assert "T" not in states(devport.tag)

    procs.eventually(continued)  # web may be the first of them
    shell.type(CTRL_C)
    shell.expect(rb"<> ")
    shell.type(b"echo status=$?\n")
    shell.expect(rb"status=130")
    assert [one.pid for one in procs.tree(devport.tag)] == [shell.pid]


def test_ctrl_z_and_kill(devport, shell):
    """A suspended devport that is asked to end does so once it is continued, as every job."""
    devport.procfile(web="echo ready; sleep 1000; true")
    shell.type(f"{DEVPORT} start\n".encode())
    shell.expect(rb"web.*ready")
    shell.type(CTRL_Z)
    shell.expect(rb"Stopped")
    shell.type(b"kill %1\n")
    shell.type(b"bg\n")
    shell.expect(rb"SIGTERM received")

    def check():
        assert [one.pid for one in procs.tree(devport.tag)] == [shell.pid]

    procs.eventually(check)


def test_background_job(devport, shell):
    """`devport start &` runs in the background, prints, and `kill %1` ends it."""
    devport.procfile(web="echo ready; exec sleep 1000")
    shell.type(f"{DEVPORT} start &\n".encode())
    shell.expect(rb"web.*ready")
    assert "T" not in states(devport.tag)
    # In one line: a prompt in between tells of the job's end, and then there is none to wait for.
    shell.type(b"kill %1; wait %1; echo status=$?\n")
    shell.expect(rb"SIGTERM received")
    shell.expect(rb"status=143")


def goes_on(devport, shell):
    """Wait until what `fg` has continued has the terminal, and goes on: bash names it before."""

    def check():
        group = in_foreground(shell.keyboard)
        found = [one for one in procs.tree(devport.tag) if one.group == group]
        assert found
        assert shell.pid not in [one.pid for one in found]
        assert "T" not in {one.state for one in found}

    procs.eventually(check)


@pytest.mark.parametrize("words", ["cat", "web"])
def test_run_reads_what_is_typed(devport, words):
    """`devport run` gives the terminal away: what is typed reaches the command, and end-of-file too."""
    devport.procfile(web="cat")
    running = devport.run(words, terminal=(80, 24))

    def asleep():
        cats = [one for one in procs.tree(devport.tag) if one.command == "cat"]
        assert [one.group for one in cats] == [in_foreground(running.keyboard)]

    procs.eventually(asleep)
    running.type(b"hello\n")
    running.expect(rb"hello\r\nhello\r\n")
    running.type(CTRL_D)

    assert running.finish() == 0


def test_run_passes_everything_through(devport):
    """`devport run`: no prefix, no colour, three streams as they are, stdin too."""
    read, write = devport.pipe()
    os.write(write, b"in\xff\0put\n")
    devport.close(write)
    running = devport.run("sh", "-c", "cat; echo error >&2; exit 3", stdin=read)

    assert running.finish() == 3
    assert running.output == b"in\xff\0put\n"
    assert running.errors == b"error\n"


def test_run_ctrl_c(devport):
    """Ctrl-C reaches the command once, from the terminal; it may go on."""
    devport.procfile(web=child("signals", "keep"))
    running = devport.run("web", terminal=(80, 24))
    running.expect(rb"ready")
    running.type(CTRL_C)
    running.expect(rb"got SIGINT\r")
    running.type(CTRL_BACKSLASH)
    running.expect(rb"got SIGQUIT\r")
    assert running.output.count(b"got SIGINT") == 1
    pids = [one.pid for one in procs.tree(devport.tag) if "signals.py" in one.command]
    os.kill(pids[0], signal.SIGKILL)

    assert running.finish() == 137


def test_run_ctrl_c_ends_it(devport):
    """A command that dies of Ctrl-C: status 130."""
    running = devport.run("sh", "-c", "echo ready; exec sleep 1000", terminal=(80, 24))
    running.expect(rb"ready")
    running.type(CTRL_C)

    assert running.finish() == 130


def test_run_ctrl_z_and_fg(devport, shell):
    """Ctrl-Z stops the command and devport, the shell has its prompt; `fg` goes on where it was."""
    devport.procfile(web="trap 'echo heard' INT; echo ready; while read line; do echo \"<$line>\"; done")
    shell.type(f"{DEVPORT} run web\n".encode())
    shell.expect(rb"ready")
    shell.type(b"one\n")
    shell.expect(rb"<one>")
    shell.type(CTRL_Z)
    shell.expect(rb"Stopped.*devport run web")
    shell.expect(rb"<> ")
    shell.type(b"echo prompt\n")
    shell.expect(rb"^prompt")
    shell.type(b"fg\n")
    shell.expect(rb"devport run web")
    goes_on(devport, shell)
    shell.type(b"two\n")
    shell.expect(rb"<two>")
    shell.type(CTRL_D)
    shell.expect(rb"<> ")
    shell.type(b"echo status=$?\n")
    shell.expect(rb"status=0")


def test_run_is_stopped_before_the_prompt(devport, shell):
    """What takes its time to stop, as vim does, is given it before the shell has the terminal."""
    slow = (
        "import os,signal,time;"
        "stop=lambda *_:(time.sleep(0.1),os.write(1,b'put away'),os.kill(os.getpid(),signal.SIGSTOP));"
        "signal.signal(signal.SIGTSTP,stop);os.write(1,b'ready');[signal.pause() for _ in range(9)]"
    )
    devport.procfile(web=python(slow))
    shell.type(f"{DEVPORT} run web\n".encode())
    shell.expect(rb"ready")
    shell.type(CTRL_Z)

    assert shell.expect(rb"(put away|Stopped)")[1] == b"put away"
    shell.expect(rb"Stopped.*devport run web")
    shell.type(b"fg\n")
    shell.expect(rb"devport run web")
    goes_on(devport, shell)
    shell.type(CTRL_C)
    shell.expect(rb"<> ")


def test_run_pipeline(devport, shell):
    """In a pipeline the reader has the terminal's keys, as `less` needs it; the end of it ends both."""
    need("less")
    shell.type(f"{DEVPORT} run seq 1 100000 | less; echo status=${{PIPESTATUS[*]}}\n".encode())
    shell.expect(rb"\b20\r?$")
    shell.type(b" ")
    shell.expect(rb"\b40\r?$")
    shell.type(b"q")
    shell.expect(rb"status=141 0")

    def check():
        assert [one.pid for one in procs.tree(devport.tag)] == [shell.pid]

    procs.eventually(check)


def test_run_reads_from_a_pipeline(devport, shell):
    """`... | devport run cat | ...` is a filter."""
    shell.type(f"seq 1 3 | {DEVPORT} run cat | tr '\\n' +; echo\n".encode())
    shell.expect(rb"1\+2\+3\+")


def test_run_editor_like(devport):
    """A full-screen program under `run` has the real terminal: its size, its modes, its keys, WINCH."""
    devport.procfile(web=child("size"))
    running = devport.run("web", terminal=(101, 37))
    running.expect(rb"size 101 37")
    running.resize(55, 20)
    running.expect(rb"size 55 20")
    running.type(CTRL_C)

    assert running.finish() == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_run_leaves_nothing(devport, number):
    """However `devport run` ends, nothing of the command's tree lives on."""
    devport.procfile(web="setsid sleep 1000 & sleep 1001 & echo ready; wait; true")
    running = devport.run("-t", "1", "web")
    running.expect(rb"ready")
    running.send(number)
    running.finish()

    procs.gone(devport.tag, 10)


def test_start_in_a_pipeline(devport, shell):
    """`devport start | less`-like: the reader has the keys, and its end ends the run."""
    need("less")
    devport.procfile(web="while :; do echo tick; sleep 0.05; done")
    shell.type(f"{DEVPORT} start | less; echo status=${{PIPESTATUS[*]}}\n".encode())
    shell.expect(rb"tick")
    shell.type(b"q")
    shell.expect(rb"status=141 0")

    def check():
        assert [one.pid for one in procs.tree(devport.tag)] == [shell.pid]

    procs.eventually(check)
