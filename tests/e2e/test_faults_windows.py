"""The failure catalogue of reliability.md, F94, F96 and F98: windows, upgrades, and a start that is none."""

import json
import os
import shutil
import signal
import socket
import sys
import time

import pytest
from controls import control
from support import background, procs
from support.background import argv, shell
from support.drill import trials
from support.procs import eventually
from support.running import CHILDREN

windowed, plain = background.windowed, background.plain

FOREVER = "exec sleep 1000"
LINES = "while :; do echo line; sleep 0.01; done"


# F94: what a user does to a window


def lives_on(machine, row, seconds):
    """For so long the service prints into its log, and every command is answered at once."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        size = len(machine.log(row["hash"]))
        began = time.monotonic()
        assert machine.row("web")["status"] == "running"
        assert machine.do("signal", "-s", "CONT", "web")
        assert time.monotonic() - began < 15
        machine.logged(row["hash"], rb"line", machine.log(row["hash"]).count(b"line") + 1)
        assert len(machine.log(row["hash"])) > size


def test_f94_copy_mode(windowed):
    """While the user reads back in the window the service goes on, is logged, restarts and stops."""
    row = windowed.start("web", shell(LINES))
    windowed.logged(row["hash"], rb"line", 5)
    windowed.tmux("copy-mode", "-t", row["window"])
    lives_on(windowed, row, trials(0.5, 10))

    assert windowed.tmux("display-message", "-p", "-t", row["window"], "#{pane_in_mode}") == "1"
    assert windowed.do("restart", "web") == "web restarted\n"
    assert windowed.do("stop", "web") == "web stopped\n"
    windowed.closed("web")


def test_f94_flow_control(windowed):
    """Ctrl-S in the window holds the output until Ctrl-Q; `ls`, `signal`, a restart and a stop still work."""
    row = windowed.start("web", shell(LINES))
    windowed.logged(row["hash"], rb"line", 5)
    windowed.type(row["window"], "C-s")

    def silent():
        before = len(windowed.log(row["hash"]))
        procs.elapse(0.3)
        assert len(windowed.log(row["hash"])) == before

    eventually(silent)
    end = time.monotonic() + trials(1, 10)
    while time.monotonic() < end:
        began = time.monotonic()
        assert windowed.row("web")["status"] == "running"
        assert windowed.do("signal", "-s", "CONT", "web")
        assert time.monotonic() - began < 15
    silent()
    windowed.type(row["window"], "C-q")
    windowed.logged(row["hash"], rb"line", windowed.log(row["hash"]).count(b"line") + 5)

    windowed.type(row["window"], "C-s")
    eventually(silent)
    assert windowed.do("restart", "web") == "web restarted\n"
    assert windowed.do("stop", "web") == "web stopped\n"
    windowed.ended(row["hash"])


# F96: devport is upgraded or removed under what runs


def removed(environment):
    """The virtual environment is there no more, at once: whoever still writes there finds nothing."""
    gone = environment.with_name("gone")
    environment.rename(gone)
    shutil.rmtree(gone)


def test_f96_environment_is_removed(plain, tmp_path):
    """The virtual environment is gone: what runs restarts by itself, is probed, watched, stopped."""
    server = f'exec {sys.executable} -I -S {CHILDREN / "server.py"} fine "$PORT"'
    probe = {"http": {"get": {"path": "/"}}, "period": 0.1}
    plain.devport.write("src/a.py", "")
    plain.devport.write(
        "devport.yaml",
        json.dumps(
            {
                "processes": {
                    "web": {
                        "exec": f"echo $$ >> runs; {server}",
                        "ready": probe,
                        "live": probe,
                        "watch": "src",
                        "restart": {"delay": 0.02},
                        "stop": {"exec": "echo stopping; kill -TERM $(tail -1 runs)", "timeout": 3},
                    }
                }
            }
        ),
    )
    python = control.environment(tmp_path / "venv")
    words = [python.with_name("devport"), "start", "-d", "--wait", *plain.flags]
    done = plain.devport.spawn(words)
    assert done.finish() == 0, done.shown()
    [row] = json.loads(done.output)
    removed(tmp_path / "venv")

    def ran(count):
        def check():
            runs = (plain.project / "runs").read_text().split()
            assert len(runs) == count, plain.log(row["hash"])[-2000:]
            assert plain.row("web")["state"] == "ready", plain.log(row["hash"])[-2000:]
            return int(runs[-1])

        return eventually(check)

    os.kill(ran(1), signal.SIGKILL)
    ran(2)
    plain.devport.write("src/a.py", "changed")
    ran(3)
    assert plain.do("restart", "web") == "web restarted\n"
    ran(4)
    assert plain.do("stop", "web") == "web stopped\n"
    assert b"Error" not in plain.log(row["hash"])
    plain.nothing_left()


def test_f96_environment_is_removed_and_the_port_taken(plain, tmp_path):
    """Who has the port of what is to restart is found out by what was loaded in time; then it restarts."""
    python = control.environment(tmp_path / "venv")
    words = ("start", *plain.flags, "--key", "web", "--", *argv("listener"))
    done = plain.devport.spawn([python.with_name("devport"), *words])
    assert done.finish() == 0, done.shown()
    row = json.loads(done.output)
    plain.logged(row["hash"], rb"ready")
    removed(tmp_path / "venv")
    os.kill(row["supervisor"], signal.SIGSTOP)
    os.kill(row["pid"], signal.SIGKILL)

    def is_free():
        assert procs.is_free(row["port"])

    eventually(is_free)
    with socket.create_server(("127.0.0.1", row["port"])):
        os.kill(row["supervisor"], signal.SIGCONT)

        def is_said():
            assert f"its port {row['port']} is in use by" in (plain.row("web")["error"] or "")

        eventually(is_said)
    plain.logged(row["hash"], rb"ready", 2)
    assert plain.do("stop", "web") == "web stopped\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f96_environment_is_removed_under_a_run(devport, tmp_path, number):
    """The same for a run in this terminal: it restarts what crashes, and ends in order."""
    process = {"exec": f"echo $$ >> runs; echo ready; {FOREVER}", "restart": {"delay": 0.02}}
    devport.write("devport.yaml", json.dumps({"processes": {"web": process, "other": FOREVER}}))
    python = control.environment(tmp_path / "venv")
    running = devport.spawn([python.with_name("devport"), "start"])
    running.ready("web")

    def begun():  # all of it: parts of devport are loaded while the first services start
        rows = json.loads(devport.call("ls", "--json").output)
        assert {row["state"] for row in rows} == {"ready"}

    eventually(begun)
    removed(tmp_path / "venv")
    os.kill(int((devport.project / "runs").read_text()), signal.SIGKILL)
    running.ready("web")

    assert running.stop(number)[0] == 128 + number
    assert b"Traceback" not in running.everything()
    assert procs.tree(devport.tag) == []


# F98: a start that did not succeed


@pytest.mark.parametrize(
    ("process", "said"),
    [
        ({"exec": "sleep 0.05; exit 3", "restart": "never"}, "exited with status 3"),
        ({"exec": "kill -9 $$", "restart": "never"}, "killed by signal 9"),
        ({"exec": "no-such-program", "restart": "never"}, "exited with status 127"),
        ({"exec": "/no/such/program", "shell": False, "restart": "never"}, "cannot run /no/such/program"),
        ({"exec": FOREVER, "ready": {"exec": "exit 7", "timeout": 0.5}, "restart": "never"}, "not ready"),
    ],
    ids=["soon", "killed", "shell", "missing", "never ready"],
)
def test_f98_start_that_waits(plain, process, said):
    """With --wait the start of what ends, or is never ready, fails with the reason; others run on."""
    plain.devport.write("devport.yaml", json.dumps({"processes": {"web": process, "other": FOREVER}}))
    done = plain.call("start", "-d", "--wait", *plain.flags)

    assert done.status == 1
    assert said in done.errors.decode(), done.shown()
    assert plain.row("other")["status"] == "running"
    assert said in (plain.row("web")["error"] or "")
    plain.do("down")


def test_f98_start_of_a_command_that_crashes(plain):
    """A COMMAND that ends 50 ms after it was executed: `ls` says so, and so does the start if it can."""
    done = plain.call(
        "start", *plain.flags, "--key", "web", "--restart", "never", "--", *shell("sleep 0.05; exit 3")
    )

    said = b"devport: cannot start web: exited with status 3\n"
    assert (done.status, done.errors) in {(0, b""), (1, said)}
    hash_ = json.loads(done.output)["hash"]
    assert plain.reached(hash_, "exited")["error"] == "exited with status 3"
    assert plain.row("web")["status"] == "stopped"
    assert plain.start("other", argv("signals"))["status"] == "running"
