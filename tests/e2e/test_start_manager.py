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
folder = os.path.dirname(next(word for word in sys.argv if word.startswith({{state!r}})))
facts = {{{{
    "argv": sys.argv[1:], "cwd": os.getcwd(), "files": {{{{}}}}, "mode": os.stat(folder).st_mode,
    "env": dict(os.environ), "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
}}}}
for name in os.listdir(folder):
    path = os.path.join(folder, name)
    facts["files"][name] = [open(path).read(), os.stat(path).st_mode]
open({{out!r}}, "w").write(json.dumps(facts))
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


def begun(devport, running, manager, *names):
    """Wait until `manager` is at rest: a signal breaks honcho 2.0 before or while it tells of a start."""
    if manager == "honcho":
        running.expect_all(*(rb"%s\.1 started \(pid=" % name.encode() for name in names))
        procs.idle(devport.tag, 0.15)


def left(devport):
    """The folders of managers, and what is left in the temporary folder."""
    run = devport.state / "run"
    own = sorted(run.glob("manager-*")) if run.exists() else []
    return [*own, *(one for one in devport.tmp.iterdir() if one.name.startswith("devport-"))]


@pytest.mark.parametrize("manager", ["honcho", "overmind", "hivemind", "mprocs", "process-compose"])
def test_runs(devport, path, manager):
    """Each manager that is here runs both, with devport's ports; Ctrl-C or Q ends it, and nothing is left."""
    if not os.path.exists(os.path.join(BESIDE, manager)):
        need(manager)
    project(devport)
    running = devport.start("--manager", manager, "web", "api", terminal=(100, 30))
    begun(devport, running, manager, "web", "api")
    check(devport)

    [folder] = left(devport)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
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
    script.write_text(FAKE.format(state=str(devport.state), out=str(out)))
    script.chmod(0o755)
    done = devport.call("start", "--manager", manager, env={"NOTIFY_SOCKET": "/x", "MINE": "1"})
    assert done.status == 0, done.shown()
    facts = json.loads(out.read_text())
    folder = os.path.dirname(next(word for word in facts["argv"] if word.startswith(str(devport.state))))

    names = {str(devport.project): "ROOT"}
    # The path of a socket may not be long: it is relative where that helps.
    said = [os.path.normpath(devport.project / word) if "../" in word else word for word in facts["argv"]]
    assert [names.get(word, word.replace(folder, "DIR")) for word in said] == WORDS[manager]
    assert facts["cwd"] == str(devport.project)
    assert facts["sigint"]
    assert facts["env"]["MINE"] == "1"
    assert "NOTIFY_SOCKET" not in facts["env"]
    assert {stat.S_IMODE(mode) for _, mode in facts["files"].values()} == {0o600}
    if manager in {"overmind", "hivemind"}:
        assert facts["env"]["SHARED"] == "from.file"
    assert "./serve" in "".join(text for text, _ in facts["files"].values())


def test_killed(devport, path):
    """SIGKILL of devport ends the manager, and by it the services; the next start removes the folder."""
    if not os.path.exists(os.path.join(BESIDE, "honcho")):
        need("honcho")
    devport.procfile(web=f"echo $$ >'{devport.folder}/web.pid'; exec sleep 1000")
    running = devport.start("--manager", "honcho")
    begun(devport, running, "honcho", "web")

    def started():
        pid = devport.folder / "web.pid"
        assert pid.exists()
        assert pid.read_text().strip()
        return [*procs.children(running.popen.pid), int(pid.read_text())]

    def ended():
        assert [pid for pid in both if procs.is_alive(pid)] == []

    both = procs.eventually(started, 20)
    assert len(both) == 2
    running.popen.kill()
    procs.eventually(ended, 20)
    running.finish()
    [stale] = left(devport)
    assert [one.name for one in stale.iterdir() if one.name == "Procfile"] == ["Procfile"]

    script = path / "hivemind"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    assert devport.call("start", "--manager", "hivemind").status == 0
    assert left(devport) == []


def test_the_folder_of_another_one_stays(devport, path):
    """What belongs to a devport that still runs is not swept, nor what only looks like it."""
    devport.procfile(web="exec sleep 100")
    for name, lines in (("hivemind", "echo up\nexec sleep 100\n"), ("overmind", "exit 0\n")):
        (path / name).write_text(f"#!/bin/sh\n{lines}")
        (path / name).chmod(0o755)
    running = devport.start("--manager", "hivemind")
    running.expect(rb"up")
    [own] = left(devport)
    (devport.state / "run" / "manager-notes").mkdir()
    assert devport.call("start", "--manager", "overmind").status == 0

    assert [one.name for one in left(devport)] == [own.name, "manager-notes"]
    running.stop(signal.SIGTERM)


@pytest.mark.parametrize("manager", ["honcho", "mprocs"])
def test_a_service_without_a_port(devport, path, manager):
    """It sees neither the manager's PORT nor that of the caller's shell."""
    if not os.path.exists(os.path.join(BESIDE, manager)):
        need(manager)
    command = shlex.join([sys.executable, str(CHILDREN / "told.py"), str(devport.folder / "web.json")])
    devport.write("devport.yaml", f"processes:\n  web: {{exec: {command}, no-port: true}}\n")
    running = devport.start("--manager", manager, terminal=(100, 30), env={"PORT": "7000"})

    begun(devport, running, manager, "web")
    assert "PORT" not in told(devport, "web")["env"]
    running.type(b"Q" if manager == "mprocs" else b"\x03")
    running.finish()


def test_what_has_ended_stays_ended(devport, path):
    """An entry of a Procfile that ends is not started again: this is the foreground."""
    need("mprocs")
    devport.procfile(
        web=f"echo run >>'{devport.folder}/runs'; sleep 1.2; exit 1",
        other=f"sleep 3; touch '{devport.folder}/later'; exec sleep 1000",
    )
    running = devport.start("--manager", "mprocs", terminal=(100, 30))

    def later():
        assert (devport.folder / "later").exists()

    procs.eventually(later, 20)
    assert (devport.folder / "runs").read_text() == "run\n"
    running.type(b"Q")
    running.finish()


@pytest.mark.parametrize(
    ("manager", "never", "always"),
    [
        ("mprocs", "autorestart: false", "autorestart: true"),
        ("process-compose", 'restart: "no"', "restart: always"),
    ],
)
def test_restart_is_only_what_is_said(devport, path, manager, never, always):
    """An entry of a Procfile has none, as in devport's foreground; `restart:` of a devport.yaml counts."""
    out = devport.folder / "facts.json"
    (path / manager).write_text(FAKE.format(state=str(devport.state), out=str(out)))
    (path / manager).chmod(0o755)

    def restarts():
        assert devport.call("start", "--manager", manager).status == 0
        text = json.loads(out.read_text())["files"][f"{manager}.yaml"][0]
        return [line.strip() for line in text.splitlines() if "restart: " in line and "#" not in line]

    devport.procfile(web="sleep 1")
    assert restarts() == [never]
    devport.write("devport.yaml", "processes:\n  api: {exec: sleep 1, restart: always}\n")
    assert restarts() == [always]


@pytest.mark.parametrize(
    ("manager", "where"),
    [("overmind", "https://github.com/DarthSim/overmind"), ("honcho", "https://honcho.readthedocs.io")],
)
def test_missing(devport, manager, where):
    """A manager that is not there is named, with where it can be had; nothing is registered before."""
    devport.procfile(web="exec sleep 100")
    done = devport.call("start", "--manager", manager, env={"PATH": "/nowhere"})

    said = f"devport: cannot start with {manager}: it is not installed (not on PATH); see {where}\n"
    assert done.errors.decode() == said
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


@pytest.mark.parametrize("manager", ["honcho", "mprocs", "process-compose"])
def test_what_a_manager_cannot_do(devport, path, manager):
    """The message is of the start and the service: nobody has asked for an export."""
    (path / manager).write_text("#!/bin/sh\n")
    (path / manager).chmod(0o700)
    listen = "listen: [{address: '127.0.0.1:18091'}], no-port: true"
    devport.write("devport.yaml", f"processes:\n  sock: {{exec: run, {listen}}}\n")
    done = devport.call("start", "--manager", manager)
    why = "what `listen` declares is not passed on there (--except sock leaves it out)"

    assert (done.status, done.errors.decode()) == (2, f"devport: cannot start with {manager}: sock: {why}\n")
    assert left(devport) == []


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
