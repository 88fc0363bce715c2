"""`devport run --key KEY -- COMMAND`: a supervisor in this terminal, as hayeah/devport's `run` is one."""

import json
import shlex
import signal
import termios

import pytest
from support import background, procs
from support.background import python, shell
from support.running import DEVPORT

plain = background.plain

CODE = "import os, signal, sys; print('life', os.getpid(), os.environ.get('PORT'), flush=True)"
LIVES = python(f"{CODE}; signal.pause()")
"""A service that says its pid and its PORT, and stays."""


def run(plain, *words, **options):
    """`devport run WORDS -- LIVES`."""
    return plain.devport.run(*words, "--", *LIVES, **options)


def lives(running, count):
    """The pids of its lives, once there have been `count`."""

    def check():
        running.read(0.05)
        found = [int(line.split()[1]) for line in running.output.splitlines() if line.startswith(b"life ")]
        assert len(found) >= count, running.shown()
        return found

    return procs.eventually(check)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_runs_until_it_is_stopped(plain, number):
    """It is listed with a port and obeys other terminals; INT and TERM end it, and it keeps its port."""
    running = run(plain, "--key", "web")
    [pid] = lives(running, 1)
    row = plain.row("web")

    assert (row["status"], row["pid"], row["key"], row["window"]) == ("running", pid, "web", None)
    assert b"life %d %d" % (pid, row["port"]) in running.output
    assert plain.do("restart", "web") == "web restarted\n"
    lives(running, 2)
    running.send(number)
    assert running.finish() == 0
    assert (plain.row("web")["status"], plain.row("web")["port"]) == ("stopped", row["port"])
    plain.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTSTP])
def test_restarts_in_place(plain, number):
    """HUP and TSTP restart the service, and devport stays."""
    running = run(plain, "--key", "web", "--no-port")
    first = lives(running, 1)
    running.send(number)
    second = lives(running, 2)

    assert first[0] != second[1]
    assert plain.row("web")["restarts"] == 1
    assert b" None\n" in running.output
    assert plain.do("stop", "web") == "web stopped\n"
    assert running.finish() == 0


def test_keys_of_the_terminal(plain):
    """Ctrl-Z restarts, anything else is the service's, Ctrl-C ends it; the terminal is as it was."""
    echo = python("import os; print('up', os.getpid(), flush=True)\nwhile True: print('got', input())")
    running = plain.devport.run("--key", "web", "--", *echo, terminal=(80, 24))
    running.expect(rb"up \d+")
    running.type(b"hello\n")
    running.expect(rb"got hello")
    running.type(b"\x1a")
    running.expect(rb"up \d+")
    running.type(b"\x03")

    assert running.finish() == 0
    assert termios.tcgetattr(running.keyboard) == running.modes


def test_behind_an_ampersand(plain):
    """A job in the background of a shell takes no keys from it."""
    words = shlex.join([DEVPORT, "run", "--key", "web", "--", *LIVES])
    running = plain.devport.spawn(["sh", "-c", f"set -m; {words} & wait"], terminal=(80, 24))
    running.expect(rb"life \d+")
    running.type(b"\x03")

    assert termios.tcgetattr(running.keyboard) == running.modes
    assert running.finish() == -signal.SIGINT
    assert plain.row("web")["status"] == "running"
    assert plain.do("stop", "web") == "web stopped\n"


def test_crashes_are_made_good(plain):
    """A service that fails is started again, a second later."""
    running = plain.devport.run("--key", "web", "--", *shell("echo life $$$$; exit 3"))
    running.expect(rb"exited with status 3")
    running.expect(rb"exited with status 3")

    def backs_off():
        assert plain.row("web")["state"] == "backoff"

    procs.eventually(backs_off)  # it is just starting now and then
    assert plain.do("stop", "web") == "web stopped\n"
    assert running.finish() == 0


def test_restart_policy_and_status(plain):
    """Without restarts its status is devport's, and its environment is that of this call."""
    done = plain.call(
        "run", "--key", "web", "--restart", "never", "--port-env", "HTTP", "--", *shell("exit 3")
    )
    assert done.status == 3

    environ = {"GREETING": "hello"}
    code = python("import os; print(os.environ['GREETING'], os.environ['HTTP'], 'PORT' in os.environ)")
    done = plain.call("run", "--key", "web", "--port-env", "HTTP", "--", *code, env=environ)
    assert done.status == 0
    assert done.output.endswith(b"devport: web exited with status 0\n")
    assert b"hello %d False" % plain.row("web")["port"] in done.output


@pytest.mark.parametrize("how", ["start", "run"])
def test_runs_once(plain, how):
    """What runs is not run again: `start` says so, `run` fails, and leaves what is known of it alone."""
    first = run(plain, "--key", "web")
    lives(first, 1)
    before = plain.row("web")
    if how == "start":
        assert plain.start("web", LIVES)["supervisor"] == before["supervisor"]
    else:
        assert "web: it is already running: pid" in plain.refused("run", "--key", "web", "--", *LIVES)

    assert plain.row("web")["pid"] == before["pid"]
    assert plain.record(before["hash"])["state"] == "ready"
    first.send(signal.SIGTERM)
    assert first.finish() == 0


@pytest.mark.parametrize("victim", ["devport", "supervisor"])
def test_kill_9(plain, victim):
    """Nothing survives, whichever is killed; the next start has the same port."""
    running = run(plain, "--key", "web")
    lives(running, 1)
    row = plain.row("web")
    procs.send(running.pid if victim == "devport" else row["supervisor"], signal.SIGKILL)
    plain.nothing_left()
    running.finish()

    assert plain.row("web")["status"] == "stopped"
    assert plain.start("web", LIVES)["port"] == row["port"]


def test_restart_in_the_background(plain):
    """Once it has ended, `restart` brings it back with the environment it had."""
    running = run(plain, "--key", "web", env={"MARK": "here"})
    lives(running, 1)
    running.send(signal.SIGTERM)
    running.finish()
    plain.do("restart", "--no-tmux", "web")

    assert json.loads(plain.do("env", "--json", "--all", "web"))["MARK"] == "here"
    assert plain.do("stop", "web") == "web stopped\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "web"], "cannot run: no NAME or COMMAND given"),
        (["--key", "a b", "--", "true"], "key"),
        (["--no-port", "-p", "5000", "true"], "option --port does not go with a service of its own"),
        (["--restart", "often", "true"], "--restart is on_failure, always or never, not often"),
    ],
)
def test_misuse(plain, words, said):
    """Nothing runs."""
    assert said in plain.refused("run", *words, status=2)
    assert plain.ls() == {}
