"""The fault drill for ports: whose they are, when they are free, and who is told if not."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from support import background, frames, procs
from support.background import argv, python
from support.crowd import crowd
from support.drill import trials
from support.frames import told
from support.procs import eventually

from devport.context import Context
from devport.kernel.birth import seconds_since
from devport.model import Project, Service
from devport.registry import ports
from devport.registry.locks import Lock, last_begun, this_process
from devport.registry.record import Record, utc
from devport.registry.register import register
from devport.registry.store import Store

plain, frame = background.plain, frames.frame

DAY = 86400.0

# Closes each connection before the client does, so that its own port goes to TIME_WAIT. It ends `late`
# seconds after TERM; with `child` it ends at once, and a child of its that listens does so.
SERVER = """
import os, signal, socket, sys, time
late, way = float(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["PORT"])))
server.listen(50)
if way == "child" and os.fork():
    server.close()
    print("ready", flush=True)
    signal.sigwait([signal.SIGTERM])
    os._exit(0)
if way != "child":
    print("ready", flush=True)
def end(*_):
    until = time.monotonic() + late
    while time.monotonic() < until:
        time.sleep(0.01)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
while True:
    one, _ = server.accept()
    one.sendall(str(os.getpid()).encode())
    one.shutdown(socket.SHUT_WR)
    one.close()
"""


def server(late=0.0, way="alone"):
    """The words of SERVER."""
    return python(SERVER, late, way)


def answer(port):
    """What the server on `port` says, read to the end that it makes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        said = b""
        while data := client.recv(100):
            said += data
    return said.decode()


def in_time_wait(port):
    """Whether a connection of `port` is in TIME_WAIT."""
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[3] == "06" and row.split()[1].endswith(f":{port:04X}") for row in rows)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p29_restarts_through_time_wait(plain, tally):
    """A service that closes its connections first is restarted on the same port at once, each time (F68)."""
    rounds = trials(4, 100)
    row = plain.start("web", server())
    seen = 0
    for number in range(1, rounds + 1):
        plain.logged(row["hash"], rb"ready", number)
        assert answer(row["port"]).isdecimal()
        seen += in_time_wait(row["port"])
        assert plain.do("restart", "web") == "web restarted\n"
    plain.logged(row["hash"], rb"ready", rounds + 1)
    now = plain.row("web")

    assert seen == rounds
    assert now["port"] == row["port"]
    assert b"Address already in use" not in plain.log(row["hash"])
    assert len(plain.log(row["hash"]).split(b"ready")) == rounds + 2
    tally(rounds)


@pytest.mark.drill
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["alone", "child"])
def test_f72_port_released_late(plain, way, tally):
    """Who keeps its port for a while after the stop signal is waited for: the next life has it, each time."""
    rounds, late = trials(2, 25), trials(0.4, 1.0)
    row = plain.start("web", server(late, way))
    plain.logged(row["hash"], rb"ready")
    for number in range(2, rounds + 2):
        before = answer(row["port"])
        assert plain.do("restart", "web", timeout=60) == "web restarted\n"
        plain.logged(row["hash"], rb"ready", number)
        assert answer(row["port"]) != before
    assert b"Address already in use" not in plain.log(row["hash"])
    began = time.monotonic()
    assert plain.do("stop", "web", timeout=60) == "web stopped\n"
    assert time.monotonic() - began > late * 0.9
    assert procs.is_free(row["port"])
    assert plain.start("web", server(0, way))["port"] == row["port"]
    assert plain.do("rm", "web").endswith(f"port {row['port']} is free\n")
    assert procs.is_free(row["port"])
    tally(rounds)


SHARED = """
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
server.bind(("127.0.0.1", int(os.environ["PORT"])))
server.listen()
mark("runs", os.getpid())
signal.pause()
"""


def test_f72_port_that_somebody_else_has_still(frame):
    """A stop is not over while the port is listened on, by whomever: here by this test, which shares it."""
    frame.write({"web": {"exec": told(SHARED)}, "other": "exec sleep 1000"})
    frame.up()
    frame.marked("runs", 1)
    port, ended = frame.row("web")["port"], []
    stranger = socket.socket()
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    stranger.bind(("127.0.0.1", port))
    stranger.listen()

    def end():
        ended.append(time.monotonic())
        stranger.close()

    leave = threading.Timer(2, end)
    leave.start()
    try:
        assert frame.do("stop", "web") == "web stopped\n"
    finally:
        after = time.monotonic()
        leave.join()
    assert after >= ended[0]
    assert procs.is_free(port)
    frame.down()


# two users

USERS = """
import importlib, json, os, pkgutil, sys
import devport, docopt, psutil, pwd  # now: a stranger may not be able to read this interpreter
from devport.cli import main
for module in pkgutil.walk_packages(devport.__path__, "devport."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
uids, folder = json.loads(sys.argv[1]), sys.argv[2]
words = ["port"] + [f"s{number}" for number in range(20)]

def as_user(uid, *commands, home=None):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.environ.clear()
        os.environ.update({"HOME": home or f"{folder}/{uid}", "PATH": os.defpath})
        os.chdir(f"{folder}/{uid}/project")
        os.dup2(write, 1)
        os.dup2(write, 2)
        os._exit(main(list(commands)))
    os.close(write)
    return read

def said(read):
    with open(read, "rb") as file:
        return file.read().decode()

print(json.dumps({
    "ports": [said(one) for one in [as_user(uid, *words) for uid in uids]],
    "intrusions": [
        said(as_user(uids[0], *words, home=f"{folder}/{uids[1]}")),
        said(as_user(uids[1], "ls", home=f"{folder}/{uids[0]}")),
        said(as_user(0, *words, home=f"{folder}/{uids[0]}")) if 0 not in uids else "",
    ] if len(uids) == 2 else [],
}))
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def users(uids):
    """What `devport port` of 20 services each says to users at one moment, and what intruders are told."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="devport-users-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        for uid in {*uids, 0}:
            (folder / str(uid) / "project").mkdir(parents=True)
            text = "".join(f"s{number}: true\n" for number in range(20))
            (folder / str(uid) / "project" / "Procfile").write_text(text)
            for path in (folder / str(uid), folder / str(uid) / "project"):
                os.chown(path, uid, uid)
        done = subprocess.run(
            [sys.executable, "-c", USERS, json.dumps(list(uids)), name],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.mark.drill
def test_f71_users_of_one_machine(tally):
    """Users who know nothing of each other's services get different ports, and cannot touch the others'."""
    rounds = trials(1, 10)
    for number in range(rounds):
        uids = (54321 + number, 54322 + number)
        found = users(uids)
        given = [[int(line.partition("=")[2]) for line in text.splitlines()] for text in found["ports"]]
        assert [len(set(one)) for one in given] == [20, 20]
        assert set(given[0]).isdisjoint(given[1])
        assert all(19000 <= port <= 19999 for one in given for port in one)
        for said in found["intrusions"]:
            assert said.startswith("devport: cannot "), said
            assert said.count("\n") == 1
    tally(rounds * 40)


def test_f71_where_each_user_begins():
    """The usual pool is gone through from one's own place, all of it; a chosen pool from its beginning."""
    usual = range(19000, 20000)
    for uid in (0, 501, 1000, 1001, 1019, 65534, 2**31):
        way = ports.order(usual, uid)
        assert sorted(way) == list(usual)
        assert way[0] == 19000 + 50 * uid % 1000
    assert [ports.order(usual, uid)[0] for uid in (0, 1000, 1001, 1002)] == [19000, 19000, 19050, 19100]
    assert list(ports.order(range(4000, 4010), 1001)) == list(range(4000, 4010))


# the pool


def shop(*names):
    """A project of these services."""
    services = tuple(
        Service(name, name, ("run", name), "/p", position=place) for place, name in enumerate(names)
    )
    return Project("/p", "/p/Procfile", services)


def registered(home, *names, pool, days=0.0):
    """The ports of these services, registered `days` from now as the time of day has it; the notices."""
    store, project = Store(str(home)), shop(*names)
    context = Context({"DEVPORT_PORT_RANGE": pool}, "/p", str(home), wall=lambda: time.time() + days * DAY)
    done = register(context, store, project, project.services, is_free=lambda port: True)
    return {name: done.records[name].port for name in names}, done.notices


def fill(home, first, count, days=40.0):
    """`count` records from port `first` on, each up `days` and a few minutes ago; by port."""
    store = Store(str(home))
    made = [
        Record(
            f"{number:010x}",
            f"{number:010x}",
            port=first + number,
            name=f"old{number}",
            project="/q",
            last_up=utc(time.time() - days * DAY - number * 60),
        )
        for number in range(count)
    ]
    store.write(made)
    return {one.port: one for one in made}


@pytest.mark.drill
def test_f73_a_full_pool(tmp_path, tally):
    """Of 1000 records that fill the pool the longest unused lose theirs, one each; no port is there twice."""
    count = trials(200, 1000)
    home = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else tmp_path)
    try:
        old = fill(home, 30000, count)
        store = Store(home)
        store.update(old[30000].hash, lambda was: was._replace(last_up=utc(time.time() - DAY)))
        lock = Lock.acquire(
            store.lock_path(old[30000 + count - 1].hash), this_process(Context({}, "/", home), "background")
        )
        given, notices = registered(home, "a", "b", "c", pool=f"30000-{30000 + count - 1}")
        lock.release()
        snapshot = store.records()
        reserved = [port for one in snapshot.records.values() for port in one.reserved]

        assert sorted(reserved) == list(range(30000, 30000 + count))
        # The last one runs, the first was up yesterday.
        assert sorted(given.values()) == [30000 + count - 4, 30000 + count - 3, 30000 + count - 2]
        assert len([one for one in notices if "is free again" in one]) == 3
    finally:
        subprocess.run(["rm", "-rf", home], check=True)
    tally(count)


def test_f62_a_clock_that_jumps_ahead_frees_no_port(tmp_path):
    """A month passes in a moment: what has run since the machine was started keeps its port."""
    fill(tmp_path, 30000, 3, days=0)
    store = Store(str(tmp_path))
    hashes = [f"{number:010x}" for number in range(3)]
    me = this_process(Context({}, "/", str(tmp_path)), "background")
    for hash_ in hashes[1:]:  # which would be the first to go
        Lock.acquire(store.lock_path(hash_), me).release()
    given, _ = registered(tmp_path, "a", pool="30000-30002", days=31)

    assert given == {"a": 30000}
    assert set(store.records().records) >= set(hashes[1:])
    assert last_begun(store.lock_path(hashes[1])) < DAY  # this process's own birth: the drill takes long
    assert last_begun(store.lock_path(hashes[0])) is None


def test_f62_another_boot_is_no_evidence():
    """How long ago a process of an earlier boot was born, the kernel does not know; nor of nonsense."""
    here = this_process(Context({}, "/", "/"), "run").started

    assert 0 <= seconds_since(here) < DAY
    for other in ("", "/", "x", f"x{here}", here.partition("/")[0], "00000000-0000/5"):
        assert seconds_since(other) is None


def test_f70_ports_that_any_program_may_have(tmp_path):
    """A port out of those of outgoing connections is given with a warning; the usual ones need none."""
    risky = ports.ephemeral()
    assert not set(risky) & set(range(19000, 20000))
    assert len(risky) > 1000
    first = risky[5]
    given, notices = registered(tmp_path / "risky", "web", pool=f"{first}-{first + 5}")
    _, again = registered(tmp_path / "risky", "web", pool=f"{first}-{first + 5}")
    _, usual = registered(tmp_path / "usual", "web", pool="19000-19999")

    assert given == {"web": first}
    assert [one for one in notices if "any program may have it" in one] == list(notices)
    assert len(notices) == 1
    assert (again, usual) == ((), ())


@pytest.mark.drill
def test_f65_registrations_in_a_pool_that_is_just_large_enough(tmp_path):
    """Forty at one moment in a project each: all of them get one, none twice."""
    for number in range(trials(1, 10)):
        home = tmp_path / str(number)
        given = [port for one in crowd(40, "registers", home, "web", "") for port in one]
        assert len(set(given)) == 40


# odd homes


@pytest.mark.parametrize(
    "home",
    [
        {"HOME": None, "DEVPORT_HOME": None},
        {"HOME": "", "DEVPORT_HOME": "", "XDG_DATA_HOME": "relative"},
        {"DEVPORT_HOME": "/proc/nothing"},
        {"DEVPORT_HOME": None, "HOME": "/dev/null"},
        {"DEVPORT_HOME": "/dev/full/x\ny"},
    ],
    ids=str,
)
def test_f97_no_place_for_the_state(plain, home):
    """No home, or one where nothing can be made: a line on stderr, status 1, and nothing is started."""
    plain.devport.procfile(web="touch started; exec sleep 1000")
    for words in (["start"], ["start", "-d", "--no-tmux"], ["port", "web"], ["run", "web"]):
        done = plain.call(*words, env=home)
        assert done.status == 1
        assert done.errors.startswith(b"devport: cannot ")
        assert done.errors.count(b"\n") == 1
    assert not (plain.project / "started").exists()


def test_f97_a_home_that_is_read_only(plain):
    """What is there can be listed; a start says why it cannot, in a line."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    row = plain.start("web", argv("signals"))
    plain.do("stop", "web")
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'

    def call(*words):
        devport = pathlib.Path(sys.executable).with_name("devport")
        return plain.devport.spawn(
            ["unshare", "-m", "/bin/sh", "-c", script, "sh", str(plain.state), str(devport), *words]
        )

    listing = call("ls")
    assert listing.finish() == 0, listing.shown()
    assert [one["hash"] for one in json.loads(listing.output)] == [row["hash"]]
    for words in (["start", "--no-tmux", "--key", "web", "--", *argv("signals")], ["rm", "web"]):
        refused = call(*words)
        assert refused.finish() == 1
        assert b"Read-only file system" in refused.errors, refused.shown()
        assert b"Traceback" not in refused.errors


@pytest.mark.parametrize("name", ["with blanks", "new\nline", "ü" * 60, "d" * 200])
def test_f97_homes_of_any_name(plain, name):
    """XDG_DATA_HOME with blanks, line breaks, 200 characters: a service starts, is found, and stops."""
    home = f"{plain.devport.folder}/{name}"
    plain.environ |= {"XDG_DATA_HOME": home}
    del plain.environ["DEVPORT_HOME"]
    plain.state = pathlib.Path(home) / "devport"
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")

    assert plain.do("signal", "-s", "USR1", "web") == "web got SIGUSR1\n"
    assert plain.do("stop", "web") == "web stopped\n"


# one name, two projects


def test_f99_one_name_in_two_projects(plain):
    """Two folders with a service `web`: each is its own, with its own port, and verbs hit the folder's."""
    other = plain.project / "other"
    for folder in (plain.project, other):
        plain.devport.procfile(folder, web="exec sleep 1000")
    rows = [
        json.loads(plain.do("start", "-d", "--no-tmux", cwd=folder))[0] for folder in (plain.project, other)
    ]
    assert len({row["hash"] for row in rows}) == len({row["port"] for row in rows}) == 2
    plain.do("stop", "web", cwd=other)

    assert procs.is_alive(rows[0]["pid"])
    assert not procs.is_alive(rows[1]["pid"])


def test_f99_one_key_in_two_projects(plain):
    """A key that runs in another folder with another command is refused there, and both are named."""
    other = plain.project / "other"
    other.mkdir()
    row = plain.start("shop", argv("signals"))
    words = ("start", "--no-tmux", "--key", "shop", "--", "sleep", "1000")
    said = plain.refused(*words, cwd=other)

    assert "shop" in said
    assert str(plain.project) in said

    def check():
        assert plain.row("shop")["pid"] == row["pid"]

    eventually(check)
