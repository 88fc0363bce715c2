"""Ports and identities as their users meet them: the same tomorrow, another one elsewhere, nothing twice."""

import json
import os
import re
import signal
import socket
import threading

import pytest
from support import procs
from support.running import child, python

from devport.context import Context
from devport.registry.locks import Lock, acquire_all, held, this_process

SHOW = "echo port=$PORT; exec sleep 1000"


def port_of(running, name="web"):
    """The port that a service says it has."""
    return int(running.expect(name.encode() + rb" +\| port=(\d+)")[1])


@pytest.fixture
def listen():
    """Somebody else's listener on a port, v4 or v6, loopback or wildcard."""
    listeners = []

    def listen_on(port, address="127.0.0.1"):
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()

    yield listen_on
    for listener in listeners:
        listener.close()


def record_of(devport, key="name", value="web"):
    """The path of a service's record."""
    for path in (devport.state / "services").glob("*.json"):
        if json.loads(path.read_bytes()).get(key) == value:
            return path
    raise AssertionError([path.read_text() for path in (devport.state / "services").iterdir()])


def test_twenty_checkouts(devport):
    """Twenty concurrent first starts in twenty checkouts of one project get twenty ports."""
    folders = [devport.project / f"checkout{n}" for n in range(20)]
    for folder in folders:
        devport.procfile(folder, web=SHOW)
    several = [devport.start(cwd=folder) for folder in folders]
    ports = [port_of(running) for running in several]
    for running in several:
        running.send(signal.SIGTERM)

    assert [running.finish() for running in several] == [143] * 20
    assert len(set(ports)) == 20
    assert all(port in devport.ports for port in ports)


def test_two_starts_in_one_checkout(devport):
    """Of two at the same moment one runs; the other says that it runs already, where and since when."""
    devport.procfile(web="echo ready; exec sleep 1000", worker="echo ready; exec sleep 1000")
    for _ in range(3):
        several = [devport.start() for _ in range(4)]

        def decided(several=several):
            for running in several:
                running.read(0.01)
            assert sum(running.popen.poll() is not None for running in several) == 3

        procs.eventually(decided, 20)
        [winner] = [running for running in several if running.popen.poll() is None]
        winner.ready("web", "worker")
        for loser in several:
            if loser is not winner:
                assert loser.finish() == 1
                assert b"started" not in loser.output
                where = f"pid {winner.supervisor} in {devport.project}".encode()
                for name in (b"web", b"worker"):
                    said = rb"devport: " + name + rb" is already running: " + re.escape(where)
                    assert re.search(
                        said + rb" \(foreground.*\), since \d{4}-\d\d-\d\dT[\d:]+[+-]", loser.errors
                    )
                assert b"nothing started" in loser.errors
        assert winner.stop()[0] == 143


def test_of_two_who_want_the_same_one_gets_all(tmp_path):
    """Who waits for the first of several locks keeps none of the others from who has that."""
    me = this_process(Context({}, "/somewhere", "/"), "foreground", "web", None)
    first, second = (str(tmp_path / f"{name}.lock") for name in "ab")
    mine, got = Lock.acquire(first, me), []
    waiting = threading.Thread(target=lambda: got.append(acquire_all({second: me, first: me}, 20)))
    waiting.start()
    procs.elapse(0.1)

    assert held(second) is None
    mine.release()
    waiting.join()
    [(locks, others)] = got
    assert (set(locks), others) == ({first, second}, {})
    for one in locks.values():
        one.release()


def test_second_start_runs_what_does_not(devport):
    """Where one of two runs already, the other is started and nothing twice."""
    devport.procfile(web="echo ready $$; exec sleep 1000", worker="echo ready $$; exec sleep 1000")
    first = devport.start("web")
    first.ready("web")
    second = devport.start()
    second.expect_error(rb"web is already running")
    second.ready("worker")

    assert second.stop()[0] == 143
    assert b"web started" not in second.output
    assert first.popen.poll() is None
    assert first.stop()[0] == 143


def test_run_of_what_runs_already(devport):
    """`devport run web` while web runs is refused as well."""
    devport.procfile(web="echo ready; exec sleep 1000")
    first = devport.start()
    first.ready("web")
    second = devport.call("run", "web")

    assert second.status == 1
    assert b"already running" in second.errors
    assert first.stop()[0] == 143


@pytest.mark.parametrize("damage", ["half", "empty", "zeros", "text"])
def test_damaged_record(devport, damage):
    """A record cut in half is a warning that names the file, and nobody else gets its port."""
    devport.procfile(web=SHOW, worker=SHOW)
    running = devport.start()
    found = running.expect_all(rb"web +\| port=(\d+)", rb"worker +\| port=(\d+)")
    ports = dict(zip(("web", "worker"), (int(match[1]) for match in found), strict=True))
    running.stop()
    path = record_of(devport)
    data = path.read_bytes()
    path.write_bytes(
        {"half": data[: len(data) // 2], "empty": b"", "zeros": b"\0" * 300, "text": b"hello"}[damage]
    )

    other = devport.project / "other"
    devport.procfile(other, web=SHOW)
    stranger = devport.start(cwd=other)
    port = port_of(stranger)
    stranger.stop()
    again = devport.start()
    mine = port_of(again)
    again.stop()

    assert path.name.encode() in stranger.errors + again.errors
    if damage == "half":  # what it still says counts
        assert port not in ports.values()
        assert mine == ports["web"]
    assert b"Traceback" not in stranger.errors + again.errors


def test_same_port_tomorrow(devport):
    """The port is the same at each start, whatever the command has become and whoever came in between."""
    other = devport.project / "other"
    devport.procfile(other, **{f"s{n}": "true" for n in range(5)})
    devport.procfile(web=SHOW)
    running = devport.start()
    first = port_of(running)
    running.stop()
    devport.call("start", cwd=other)
    devport.procfile(new=SHOW, web=f": changed; {SHOW}", last=SHOW)
    running = devport.start()

    found = running.expect_all(*(name + rb" +\| port=(\d+)" for name in (b"web", b"new", b"last")))
    ports = [int(match[1]) for match in found]
    assert ports[0] == first
    assert len(set(ports)) == 3
    assert running.stop()[0] == 143
    assert int(devport.call("port", "web").output) == first


def test_other_checkout_other_port(devport):
    """Two checkouts of one project run at the same time on ports of their own."""
    other = devport.project / "other"
    devport.procfile(web=child("listener"))
    devport.procfile(other, web=child("listener"))
    first, second = devport.start(), devport.start(cwd=other)
    ports = [int(running.expect(rb"ready (\d+)")[1]) for running in (first, second)]

    assert ports[0] != ports[1]
    assert all(procs.is_listening(port) for port in ports)
    assert [running.stop()[0] for running in (first, second)] == [143, 143]


def test_link_to_the_checkout(devport):
    """Through a link it is the same project: the same identity, the same port."""
    devport.procfile(web=SHOW)
    link = devport.folder / "link"
    link.symlink_to(devport.project)
    running = devport.start()
    first = port_of(running)
    second = devport.call("start", cwd=link)

    assert second.status == 1
    assert b"already running" in second.errors
    assert running.stop()[0] == 143
    assert int(devport.call("port", "web", cwd=link).output) == first


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_port_in_use_by_a_stranger(devport, listen, address):
    """A reserved port that somebody else has is an error that names the owner; nothing is started."""
    devport.procfile(web=SHOW, worker="touch started; exec sleep 1000")
    port = int(devport.call("port", "web").output)
    listen(port, address)
    running = devport.call("start")

    assert running.status == 1
    assert f"cannot start web: its port {port} is in use by".encode() in running.errors
    assert f"(pid {os.getpid()}, user ".encode() in running.errors
    assert b"--reassign web" in running.errors
    assert not (devport.project / "started").exists()


def test_port_in_use_by_another_service(devport):
    """Where a devport service has it, that is named."""
    other = devport.project / "other"
    devport.procfile(web=child("listener"))
    running = devport.start()
    port = int(running.expect(rb"ready (\d+)")[1])
    devport.procfile(other, api=SHOW)
    second = devport.call("start", "-p", str(port), cwd=other)

    assert second.status == 1
    assert re.search(
        rb"cannot start api: its port %d is in use by devport service .*web" % port, second.errors
    )
    assert running.stop()[0] == 143


def test_reassign(devport, listen):
    """--reassign moves it, and it stays there."""
    devport.procfile(web=SHOW)
    port = int(devport.call("port", "web").output)
    listen(port)
    running = devport.start("--reassign", "web")
    moved = port_of(running)
    assert running.stop()[0] == 143

    assert moved != port
    assert int(devport.call("port", "web").output) == moved


def test_taken_ports_are_passed_over(devport, listen):
    """At the first start a port that anything listens on is passed over."""
    first = devport.ports.first
    listen(first)
    listen(first + 1, "::1")
    listen(first + 2, "0.0.0.0")
    devport.procfile(web=SHOW)

    assert int(devport.call("port", "web").output) == first + 3


def test_base(devport):
    """-p BASE: foreman's numbers, BASE + 100 an entry + 1 an instance; the reservation stays."""
    devport.claim(400)
    base = devport.ports.first + 50
    devport.procfile(web=SHOW, worker=SHOW)
    reserved = int(devport.call("port", "web").output)
    running = devport.start("-p", str(base), "-c", "worker=2")
    names = (rb"web", rb"worker(?:\.1)?", rb"worker\.2")
    ports = [int(match[1]) for match in running.expect_all(*(name + rb" +\| port=(\d+)" for name in names))]
    assert running.stop()[0] == 143

    assert ports == [base, base + 100, base + 101]
    assert int(devport.call("port", "web").output) == reserved


def test_ports_of_the_others(devport):
    """Each service sees the others' ports as <SERVICE>_PORT, and `devport port` and `env` say the same."""
    devport.procfile(web="echo $WEB_PORT $API_V2_PORT; exec sleep 1000", api_v2="echo $WEB_PORT $API_V2_PORT")
    running = devport.start("--keep-going")
    found = running.expect_all(rb"web +\| (\d+) (\d+)", rb"api-v2 +\| (\d+) (\d+)")
    assert running.stop()[0] in {0, 143}

    assert found[0].groups() == found[1].groups()
    ports = devport.call("port", "web", "api-v2").output
    assert ports == b"web=%s\napi-v2=%s\n" % found[0].groups()
    environment = json.loads(devport.call("env", "web", "--json").output)
    assert environment["PORT"] == environment["WEB_PORT"] == found[0][1].decode()
    assert environment["API_V2_PORT"] == found[0][2].decode()


def test_port_is_free_for_its_service(devport):
    """The port is held until the spawn and not longer: the service binds at the first try, every time."""
    devport.procfile(web=child("listener"))
    for _ in range(5):
        running = devport.start()
        port = int(running.expect(rb"ready (\d+)")[1])
        with socket.create_connection(("127.0.0.1", port)):
            pass
        assert running.stop()[0] == 143
        assert b"cannot bind" not in running.output


def test_environment_precedence(devport):
    """Environment, env files in order, the entry's own, PORT: the later wins; --env-wins turns it."""
    devport.write(".env", "A=file\nB=file\nC=file\n")
    devport.write("more.env", "B=more\nC=more\n")
    devport.write("show.sh", 'echo "seen: $A $B $C $D"\n')
    devport.write("devport.yaml", "- key: web\n  exec: sh show.sh\n  environment:\n    C: entry\n")
    env = {"A": "shell", "B": "shell", "C": "shell", "D": "shell"}

    def seen(*words):
        running = devport.call("start", *words, env=env)
        assert running.status == 0, running.errors
        return running.lines("web")[0].decode()

    assert seen() == "seen: file file entry shell"
    assert seen("-e", ".env,more.env") == "seen: file more entry shell"
    assert seen("-e", "more.env", "-e", ".env") == "seen: file file entry shell"
    assert seen("--env-wins") == "seen: shell shell entry shell"


@pytest.mark.parametrize(
    "text",
    [
        b"\0\0\0\0",
        b"\xff" * 1000,
        b"'" * 5000,
        b"A=" + b"\\" * 5000,
        b"=\n==\n#\n\n\n = \n",
        b"A=${A}${B:-${C}}\nB=${A}\nC=${C}\n",
        b"PATH=\nSHELL=/bin/false\n",
        b"export\nexport A\nexport A=1\n",
        b"A='unterminated\nB=2\n",
        b"DEVPORT_HASH=x\nPS=y\nWEB_PORT=1\nIFS=abc\n",
        os.urandom(4000).replace(b"\0", b"x").replace(b"PATH", b"path"),
    ],
    ids=range(11),
)
def test_env_file_cannot_break_a_start(devport, text):
    """Whatever stands in .env: the service starts on its port, or one clear error; never a traceback."""
    devport.write(".env", text)
    devport.procfile(web="echo port=$PORT ps=$PS")
    running = devport.call("start")

    assert b"Traceback" not in running.errors
    if running.status == 0:
        assert re.search(rb"port=\d+ ps=web", running.output)
    else:
        assert b"devport: " in running.errors


def test_port_of_the_environment_is_not_handed_down(devport):
    """A service without a port does not inherit the PORT that devport was given."""
    devport.write("show.sh", 'echo "port=[$PORT]"\n')
    devport.write("devport.yaml", "- key: web\n  exec: sh show.sh\n  no-port: true\n")
    running = devport.call("start", env={"PORT": str(devport.ports.first + 3)})

    assert running.status == 0
    assert running.lines("web") == [b"port=[]"]


def test_state_folder_that_cannot_be_written(devport):
    """No place for records: one clear error, status 1, nothing started."""
    devport.procfile(web="touch started")
    devport.write("file", "")
    for env in ({"DEVPORT_HOME": str(devport.project / "file")}, {"DEVPORT_HOME": "/proc/nowhere"}):
        running = devport.call("start", env=env)
        assert running.status == 1
        assert running.errors.count(b"\n") == 1
        assert running.errors.startswith(b"devport: cannot ")
    running = devport.call("start", env={"DEVPORT_HOME": None, "HOME": None})
    assert running.status == 1
    assert not (devport.project / "started").exists()


def test_modes_are_private(devport):
    """Folders 0700 and files 0600, whatever the umask."""
    devport.procfile(web=SHOW)
    running = devport.start(setup=["umask=000"])
    port_of(running)
    assert running.stop()[0] == 143
    for folder, _, files in os.walk(devport.state):
        assert os.stat(folder).st_mode & 0o777 == 0o700
        for name in files:
            assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600


def test_pool_exhausted(devport):
    """No port left: an error that says so and what to do; nothing started."""
    devport.procfile(**{f"s{n}": "touch started" for n in range(4)})
    first = devport.ports.first
    running = devport.call("start", env={"DEVPORT_PORT_RANGE": f"{first}-{first + 2}"})

    assert running.status == 1
    assert b"all taken" in running.errors
    assert not (devport.project / "started").exists()


def test_killed_while_registering(devport):
    """Kill -9 at any moment of the start: the next one works, the ports stay, and no record is damaged."""
    names = [f"s{n}" for n in range(12)]
    devport.procfile(**dict.fromkeys(names, "exec sleep 1000"))
    for place in range(12):
        running = devport.start()
        procs.elapse(0.02 + place * 0.008)
        running.send(signal.SIGKILL)
        running.finish()
        procs.gone(devport.tag, 10)
    running = devport.call("port", *names)

    assert running.status == 0
    assert running.errors == b""
    ports = dict(line.split("=") for line in running.output.decode().split())
    assert len(set(ports.values())) == 12
    assert all(json.loads(path.read_bytes()) for path in (devport.state / "services").glob("*.json"))


def test_no_traces_in_the_project(devport):
    """A run writes nothing into the project's folder."""
    devport.procfile(web=python("print(1)"))
    assert devport.call("start").status == 0

    assert [path.name for path in devport.project.iterdir()] == ["Procfile"]
