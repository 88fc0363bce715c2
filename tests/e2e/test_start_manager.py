"""`devport start --manager NAME`: other programs run the entries, with devport's ports."""

import json
import os
import shlex
import signal
import stat
import sys

import pytest
from support import procs
from support.running import CHILDREN, need

BESIDE = os.path.dirname(sys.executable)
FAKE = f"""#!{sys.executable}
import json, os, signal, sys
folder = os.path.dirname(next(word for word in sys.argv if word.startswith({{tmp!r}})))
facts = {{{{
    "argv": sys.argv[1:], "cwd": os.getcwd(), "files": {{{{}}}}, "mode": os.stat(folder).st_mode,
    "env": dict(os.environ), "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
}}}}
for name in os.listdir(folder):
    path = os.path.join(folder, name)
    facts["files"][name] = [open(path).read(), os.stat(path).st_mode]
open({{out!r}}, "w").write(json.dumps(facts))
{{end}}
"""


@pytest.fixture
def path(devport):
    """PATH with the programs beside Python's own, and the folder for those of a test."""
    folder = devport.folder / "bin"
    folder.mkdir()
    devport.environ["PATH"] = f"{folder}:{BESIDE}:{devport.environ['PATH']}"
    return folder


def told(devport, name):
    """What children/told.py writes down for `name`; it then waits."""

    def check():
        try:
            return json.loads((devport.folder / f"{name}.json").read_text())
        except FileNotFoundError:
            raise AssertionError(f"{name} has not started") from None

    return procs.eventually(check, 20)


def project(devport):
    """Two services that write down what they got."""

    def command(name):
        return shlex.join([sys.executable, str(CHILDREN / "told.py"), str(devport.folder / f"{name}.json")])

    devport.write(
        "devport.yaml",
        f"processes:\n  web:\n    exec: exec {command('web')} $PORT\n    cwd: sub\n"
        f'    environment: {{ODD: "it\'s $HOME {{{{x}}}} %n"}}\n'
        f"  api: {{exec: exec {command('api')}, start: false}}\n",
    )
    devport.write(".env", "SHARED=from.file\n")
    (devport.project / "sub").mkdir()


def check(devport):
    """Both have what devport would give them."""
    web, api = told(devport, "web"), told(devport, "api")
    port = devport.call("port", "web").output.decode().strip()

    assert web["argv"] == [port] == [web["env"]["PORT"]] == [api["env"]["WEB_PORT"]]
    assert web["env"]["ODD"] == "it's $HOME {{x}} %n"
    assert web["env"]["SHARED"] == api["env"]["SHARED"] == "from.file"
    assert web["cwd"] == str(devport.project / "sub")
    assert "DEVPORT_HASH" not in web["env"]
    return web, api


def left(devport):
    """What is left in the temporary folder."""
    return [one.name for one in devport.tmp.iterdir() if one.name.startswith("devport-")]


@pytest.mark.parametrize("manager", ["honcho", "overmind", "hivemind", "mprocs", "process-compose"])
def test_runs(devport, path, manager):
    """Each manager that is here runs both, with devport's ports; Ctrl-C or Q ends it, and nothing is left."""
    if not os.path.exists(os.path.join(BESIDE, manager)):
        need(manager)
    project(devport)
    running = devport.start("--manager", manager, "web", "api", terminal=(100, 30))
    check(devport)

    [folder] = left(devport)
    assert stat.S_IMODE((devport.tmp / folder).stat().st_mode) == 0o700
    running.type(b"Q" if manager == "mprocs" else b"\x03")
    running.finish()
    assert left(devport) == []


def test_status_and_signals(devport, path):
    """The manager's status is devport's; SIGTERM is sent on, and a manager that dies of it is 143."""
    devport.procfile(web="exec sleep 100")
    script = path / "hivemind"
    script.write_text("#!/bin/sh\nexit 7\n")
    script.chmod(0o755)
    assert devport.call("start", "--manager", "hivemind").status == 7

    script.write_text("#!/bin/sh\necho up\nexec sleep 100\n")
    running = devport.start("--manager", "hivemind")
    running.expect(rb"up")
    assert running.stop(signal.SIGTERM)[0] == 143
    running = devport.start("--manager", "hivemind")
    running.expect(rb"up")
    assert running.stop(signal.SIGINT)[0] == 130  # nobody typed it: it is sent on as well
    assert left(devport) == []


WORDS = {
    "process-compose": ["-f", "DIR/process-compose.yaml", "--no-server", "--tui=false"],
    "overmind": ["start", "-f", "DIR/Procfile", "-d", "ROOT", "-s", "DIR/overmind.sock"],
    "hivemind": ["-d", "ROOT", "DIR/Procfile"],
    "honcho": ["start", "-f", "DIR/Procfile", "-d", "ROOT", "-e", "DIR/.env"],
    "mprocs": ["--config", "DIR/mprocs.yaml"],
}


@pytest.mark.parametrize("manager", WORDS)
def test_how_it_is_called(devport, path, manager):
    """In the project's folder, on files that only their owner reads, with Ctrl-C as a program expects it."""
    devport.procfile(web="exec ./serve")
    devport.write(".env", "SHARED=from.file\n")
    out = devport.folder / "facts.json"
    script = path / manager
    script.write_text(FAKE.format(tmp=str(devport.tmp), out=str(out), end=""))
    script.chmod(0o755)
    done = devport.call("start", "--manager", manager)
    assert done.status == 0, done.shown()
    facts = json.loads(out.read_text())
    folder = os.path.dirname(next(word for word in facts["argv"] if word.startswith(str(devport.tmp))))

    names = {str(devport.project): "ROOT"}
    assert [names.get(word, word.replace(folder, "DIR")) for word in facts["argv"]] == WORDS[manager]
    assert facts["cwd"] == str(devport.project)
    assert facts["sigint"]
    assert {stat.S_IMODE(mode) for _, mode in facts["files"].values()} == {0o600}
    if manager in {"overmind", "hivemind"}:
        assert facts["env"]["SHARED"] == "from.file"
    assert "./serve" in "".join(text for text, _ in facts["files"].values())


def test_missing(devport):
    """A manager that is not there is named, with where it can be had; nothing is registered before."""
    devport.procfile(web="exec sleep 100")
    done = devport.call("start", "--manager", "overmind", env={"PATH": "/nowhere"})

    said = "devport: cannot start with overmind: it is not installed (not on PATH);"
    assert done.errors.decode() == f"{said} see https://github.com/DarthSim/overmind\n"
    assert done.status == 1


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("-d", "--detach"),
        ("--json", "--json"),
        ("--no-prefix", "--no-prefix"),
        ("--timeout=3", "--timeout"),
        ("--pty", "--pty"),
        ("--no-colour", "--no-color"),
        ("--keep-going", "--keep-going"),
        ("--env-wins", "--env-wins"),
        ("--key=x", "--key"),
    ],
)
def test_options_that_do_not_apply(devport, option, name):
    """What only devport itself does is refused."""
    devport.procfile(web="exec sleep 100")
    done = devport.call("start", "--manager", "honcho", option)

    assert done.status == 2
    assert f"option {name} does not go with --manager" in done.errors.decode()


def test_with_a_command(devport):
    """A command behind -- is no project."""
    done = devport.call("start", "--manager", "honcho", "--", "true")

    assert (done.status, b"--manager does not go with" in done.errors) == (2, True)


def test_what_runs_already(devport, path):
    """A service that runs under devport is not started a second time by somebody else."""
    devport.procfile(web="echo up; exec sleep 100")
    running = devport.start()
    running.expect(rb"up")
    done = devport.call("start", "--manager", "honcho")
    running.stop(signal.SIGINT)

    assert done.status == 1
    assert done.errors.startswith(b"devport: cannot start with honcho: web is already running: ")
    assert left(devport) == []
