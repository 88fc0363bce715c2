"""Socket activation with real servers: what they are passed, that no client is refused, lazy and idle."""

import _socket
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading

import pytest
from support import engine, procs
from support.clock import Clock

from devport.engine.lifecycle import DOWN, MET, RESTART, Event, Kind, State
from devport.errors import DevportError
from devport.model import Listen
from devport.registry import owner as owners
from devport.sources.listen import Sockets
from devport.sources.shell import exec_simple

ACTIVATED = f"{pathlib.Path(__file__).parents[1]}/support/children/activated.py"
ACCEPT = (sys.executable, "-I", "-S", ACTIVATED, "accept")
LOCAL = "127.0.0.1:0"
TCP = Listen("http", "tcp", LOCAL)


@pytest.fixture
def folder():
    """A folder whose name is short enough for sockets, which pytest's may not be."""
    with tempfile.TemporaryDirectory(prefix="dp-", dir="/tmp") as path:
        yield pathlib.Path(path)


@pytest.fixture
def loop():
    """The engine."""
    with engine.engine() as made:
        yield made


@pytest.fixture
def service(loop):
    """Make a service with sockets."""
    made = []

    def make(*listens, argv=ACCEPT, lazy=False, idle=None, owner=None, **policy):
        job = engine.make_job(loop, argv, **{"on": "never", "grace": 3.0, "blocked": lazy, **policy})
        job.output, job.waits = b"", []

        def tap(chunk):
            job.output += chunk

        def blocked(waits):
            job.waits.append(waits)
            loop.send(job, Event(Kind.LOST, needs="a connection") if waits else MET)

        job.taps.append(tap)
        owner = owner or owners.owner
        job.sockets = Sockets(loop, job, listens, lazy=lazy, idle=idle, blocked=blocked, owner=owner)
        made.append(job.sockets)
        return job

    yield make
    for sockets in made:
        sockets.close()


def port(job):
    """Its one port."""
    (found,) = job.sockets.ports
    return found


def lines(job, count):
    """The first lines of its output."""
    return job.output.decode().splitlines()[:count]


def started(loop, job, count=3):
    """Start `job` and return its first lines."""
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.output.count(b"\n") >= count)
    return lines(job, count)


class Clients:
    """Threads that connect while the loop runs: `answers`, and the errors they met."""

    def __init__(self, address, family=socket.AF_INET):
        self.address, self.family = address, family
        self.answers, self.errors, self.threads = [], [], []
        self.end, self.connected = threading.Event(), threading.Event()

    def once(self, timeout=engine.PATIENCE):
        """Connect, wait for the answer."""
        try:
            with socket.socket(self.family, socket.SOCK_STREAM) as client:
                client.settimeout(timeout)
                client.connect(self.address)
                self.connected.set()
                self.answers.append(client.recv(100))
        except OSError as error:
            self.errors.append(error)

    def begin(self, pause=None):
        """Connect in a thread: once, or again and again every `pause` seconds."""

        def go():
            self.once()
            while pause is not None and not self.end.wait(pause):
                self.once()

        thread = threading.Thread(target=go)
        thread.start()
        self.threads.append(thread)

    def close(self):
        """No more connections."""
        self.end.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def clients():
    """Make clients of an address."""
    made = []

    def make(address, family=socket.AF_INET):
        made.append(Clients(address, family))
        return made[-1]

    yield make
    for one in made:
        one.close()


# what is passed


@pytest.mark.parametrize(
    "argv",
    [
        ACCEPT[:-1],
        exec_simple(("/bin/sh", "-c", " ".join(ACCEPT[:-1]))),
        ("/bin/sh", "-c", f"true && exec {' '.join(ACCEPT[:-1])}"),
        exec_simple(("bash", "-c", f"A=1 {' '.join(ACCEPT[:-1])}")),
    ],
)
def test_three_sockets(loop, service, folder, argv):
    """A78, A79: in their order from 3 on, with their names, blocking; only for the process, not its child."""
    job = service(
        TCP,
        Listen("admin", "unix_stream", f"{folder}/admin.sock"),
        Listen("stats", "udp", "[::1]:0"),
        argv=argv,
    )
    said = started(loop, job)

    described = (
        "3 http:admin:stats AF_INET,SOCK_STREAM,blocking,listening AF_UNIX,SOCK_STREAM,blocking,listening"
        " AF_INET6,SOCK_DGRAM,blocking,-"
    )
    assert said == [described, "child 0", "open 3 4 5"]
    assert len(job.sockets.ports) == 2


def test_shell_that_stays_is_who_is_told(loop, service):
    """F80: behind a shell that does not make way nobody is to take the sockets."""
    job = service(TCP, argv=("/bin/sh", "-c", f"{' '.join(ACCEPT[:-1])}; true"))

    assert started(loop, job)[0] == "0 http"


SPAWN = """
import json, os, socket, sys
from devport.engine.process import Command, Stdio
from devport.engine.spawner import Spawner
order = json.loads(sys.argv[1])
made = [socket.socket(socket.AF_INET, socket.SOCK_STREAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)]
for number, one in enumerate(made):
    os.dup2(one.fileno(), 50 + number)
for number in (3, 4, 5):
    os.dup2(47 + number, number)
environment = {**os.environ, "LISTEN_FDS": str(len(order)), "LISTEN_FDNAMES": "x"}
command = Command(sys.argv[2:], environment, "/", "t", descriptors=tuple(order))
process = Spawner().spawn(command, Stdio(inherit=True))
os.waitpid(process.pid, 0)
"""
KINDS = {3: "AF_INET,SOCK_STREAM", 4: "AF_INET,SOCK_DGRAM", 5: "AF_UNIX,SOCK_STREAM"}


@pytest.mark.parametrize("order", [[3], [4], [4, 3], [4, 5, 3], [5, 4, 3], [3, 4, 5]])
def test_sources_that_are_targets(order):
    """A socket that is itself 3, 4 or 5 in devport gets where it belongs; none is overwritten on the way."""
    argv = (sys.executable, "-c", SPAWN, json.dumps(order), *ACCEPT[:-1])
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0]

    assert re.findall(r"AF_\w+,SOCK_\w+", said) == [KINDS[number] for number in order]


# what is bound


def test_connects_before_anything_runs(loop, service, folder, clients):
    """A74, A75, A77: clients are let in while there is no process, and served by the first one."""
    job = service(TCP, Listen("admin", "unix_stream", f"{folder}/admin.sock"))
    local = clients(("127.0.0.1", max(job.sockets.ports)))
    path = clients(f"{folder}/admin.sock", socket.AF_UNIX)
    local.begin()
    path.begin()
    engine.run_for(loop, 0.1)
    engine.start(loop, job)
    engine.run_until(loop, lambda: local.answers and path.answers)

    assert local.answers == path.answers == [b"%d\n" % job.process.pid]


@pytest.mark.parametrize(("mode", "umask"), [(None, 0o022), (0o666, 0o077), (0o660, 0), (None, 0)])
def test_mode(service, folder, mode, umask):
    """A76: 0600 or what is asked for, whatever the umask; folders on the way are made."""
    before = os.umask(umask)
    try:
        service(Listen("a", "unix_stream", f"{folder}/sub/a.sock", mode=mode))
        service(Listen("b", "unix_dgram", f"{folder}/sub/b.sock", mode=mode), name="other")
    finally:
        os.umask(before)

    for name in "ab":
        assert stat.S_IMODE(os.stat(f"{folder}/sub/{name}.sock").st_mode) == (mode or 0o600)


def test_long_path(loop, service, folder, clients):
    """A path that no address can hold is bound and reached all the same."""
    path = f"{folder}/{'x' * 200}/a.sock"
    job = service(Listen("a", "unix_stream", path))
    started(loop, job)

    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert len(path) > 200
    short = f"{folder}/s"
    os.symlink(os.path.dirname(path), short)
    client = clients(f"{short}/a.sock", socket.AF_UNIX)
    client.begin()
    engine.run_until(loop, lambda: client.answers)


@pytest.mark.parametrize("kind", ["unix_stream", "unix_dgram"])
def test_what_a_killed_run_left(service, folder, kind):
    """A dead socket of ours is replaced; a living one and a file are not. What is bound goes at the end."""
    path = f"{folder}/a.sock"
    family = socket.SOCK_STREAM if kind == "unix_stream" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_UNIX, family) as dead:
        dead.bind(path)
    job = service(Listen("a", kind, path))
    with pytest.raises(
        DevportError, match=r"cannot listen on .*a\.sock for web: another process listens there"
    ):
        service(Listen("a", kind, path))
    job.sockets.close()
    assert not os.path.lexists(path)
    pathlib.Path(path).write_text("precious")
    with pytest.raises(DevportError, match="something that is no socket is there"):
        service(Listen("a", kind, path))
    assert pathlib.Path(path).read_text() == "precious"


def test_path_that_is_somebody_elses_by_now(service, folder):
    """At the end only what is still ours is removed."""
    path = folder / "a.sock"
    job = service(Listen("a", "unix_stream", str(path)))
    path.unlink()
    path.write_text("another's")
    job.sockets.close()

    assert path.read_text() == "another's"


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_port_is_taken(service, address):
    """The error names the address, the service and who has the port; nothing stays bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as other:
        other.bind((address.strip("[]"), 0))
        other.listen()
        number = other.getsockname()[1]
        before = engine.descriptors()
        with pytest.raises(DevportError) as caught:
            service(TCP, Listen("b", "tcp", f"{address}:{number}"))
        assert engine.descriptors() <= before

    assert re.fullmatch(
        rf"cannot listen on {re.escape(address)}:{number} for web: port {number} is in use by \S+ \(pid"
        rf" {os.getpid()}, user \S+\)",
        caught.value.message,
    )


def test_owner_is_asked(service):
    """Who has the port may be told by the frame, which knows devport's services."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(DevportError, match="in use by devport service api"):
            service(Listen("a", "tcp", address), owner=lambda _port: "devport service api")


def test_udp_port_is_shared_with_nobody(service):
    """Two of ours cannot both have a UDP port."""
    job = service(Listen("a", "udp", LOCAL))
    with pytest.raises(DevportError, match=r"for web: port \d+ is in use$"):
        service(Listen("a", "udp", f"127.0.0.1:{port(job)}"))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("8080", "expected HOST:PORT"),
        ("127.0.0.1:x", "expected HOST:PORT"),
        ("127.0.0.1:70000", "expected HOST:PORT"),
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("no such host:0", "."),
    ],
)
def test_address_that_is_none(service, address, why):
    """An address that cannot be had is an error that says which and why."""
    with pytest.raises(DevportError, match=rf"cannot listen on {address} for web: {why}"):
        service(Listen("a", "tcp", address))


def test_v4_and_v6_side_by_side(service):
    """A v6 socket takes no v4 connections, so that the same port can be declared for both."""
    ports = procs.Ports()
    service(Listen("a", "tcp", f"[::]:{ports.first}"))
    service(Listen("b", "tcp", f"0.0.0.0:{ports.first}"))
    ports.release()


def test_localhost(service, monkeypatch):
    """A name for two addresses is the v4 one, whichever comes first."""
    found = [(socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(_socket, "getaddrinfo", lambda *_: found)
    job = service(Listen("a", "tcp", "localhost:0"))
    monkeypatch.undo()
    with socket.create_connection(("127.0.0.1", port(job)), 5):
        pass


def test_port_of_a_run_that_has_just_ended(loop, service, clients):
    """Connections that the last run closed (TIME_WAIT) keep nobody from the port."""
    job = service(TCP)
    number = port(job)
    started(loop, job)
    client = clients(("127.0.0.1", number))
    client.begin()
    engine.run_until(loop, lambda: client.answers)
    loop.send(job, DOWN)
    engine.run_until(loop, lambda: job.lifecycle.state is State.STOPPED)
    job.sockets.close()

    assert port(service(Listen("a", "tcp", f"127.0.0.1:{number}"), name="again")) == number


def test_everything_is_given_back(loop, service, folder):
    """After the end no descriptor is left."""
    before = engine.descriptors()
    job = service(TCP, Listen("a", "unix_dgram", f"{folder}/a"), lazy=True)
    engine.start(loop, job)
    engine.run_until(loop, lambda: job.lifecycle.state is State.WAITING)
    job.sockets.close()

    assert engine.descriptors() <= before
    assert os.listdir(folder) == []


# across restarts


def restart(loop, job):
    """Restart `job`, and wait until the next process has said its first lines."""
    spawns, job.output = job.spawns, b""
    loop.send(job, RESTART)
    engine.run_until(loop, lambda: job.spawns > spawns and job.output.count(b"\n") >= 3)


def test_nobody_is_refused(loop, service, clients):
    """F81: clients that keep connecting during 100 restarts: none is refused, all are served."""
    job = service(TCP)
    started(loop, job)
    client = clients(("127.0.0.1", port(job)))
    for _ in range(3):
        client.begin(pause=0.005)
    for number in range(100):
        restart(loop, job)
        if number % 4 == 0:  # most are ended as soon as they can be, not all before they have served anybody
            engine.run_until(loop, lambda: b"%d\n" % job.process.pid in client.answers)
    client.end.set()
    engine.run_until(loop, lambda: not any(thread.is_alive() for thread in client.threads))

    assert client.errors == []
    assert len(set(client.answers)) >= 20
    assert b"" not in client.answers


SLOW = (
    "import os, signal; signal.signal(15, lambda *_: (os.write(1, b'ending\\n'), signal.pause()))\n"
    "os.write(1, b'up\\n')\nwhile True: signal.pause()"
)
"""Who is told to end, says so, and takes its time."""


def test_connection_during_a_restart(loop, service, clients):
    """Who connects while the old process ends is served by the new one, in order, waiting in the queue."""
    job = service(TCP, argv=engine.python(SLOW), grace=60.0)
    started(loop, job, 1)
    old = job.process.pid
    loop.send(job, RESTART)
    engine.run_until(loop, lambda: b"ending" in job.output)
    job.command = job.command._replace(argv=ACCEPT)
    client = clients(("127.0.0.1", port(job)))
    client.begin()
    engine.run_until(loop, client.connected.is_set)
    os.kill(old, signal.SIGKILL)
    engine.run_until(loop, lambda: client.answers or client.errors)

    assert client.answers == [b"%d\n" % job.process.pid]
    assert job.process.pid != old


@pytest.mark.parametrize(
    "harm", ["os.set_blocking(3, False)", "socket.socket(fileno=3).shutdown(0)", "os.unlink(PATH)"]
)
def test_next_life_gets_them_as_new(loop, service, folder, clients, harm):
    """What a process does to the sockets that it was given is undone for the next."""
    path = f"{folder}/a.sock"
    code = (
        f"import os, signal, socket\nPATH = {path!r}\n{harm}\nprint('1\\n2\\n3', flush=True)\nsignal.pause()"
    )
    job = service(Listen("a", "unix_stream", path), argv=engine.python(code))
    started(loop, job)
    job.command = job.command._replace(argv=ACCEPT)
    restart(loop, job)
    client = clients(path, socket.AF_UNIX)
    client.begin()
    engine.run_until(loop, lambda: client.answers or client.errors)

    assert lines(job, 1) == ["1 a AF_UNIX,SOCK_STREAM,blocking,listening"]
    assert client.answers == [b"%d\n" % job.process.pid]


def test_tcp_that_was_shut_down_listens_again(loop, service, clients):
    """The same for a port: some servers shut their listener down when they end."""
    code = (
        "import signal, socket\nsocket.socket(fileno=3).shutdown(0)\nprint('1\\n2\\n3', flush=True)\n"
        "signal.pause()"
    )
    job = service(TCP, argv=engine.python(code))
    number = port(job)
    started(loop, job)
    job.command = job.command._replace(argv=ACCEPT)
    restart(loop, job)
    client = clients(("127.0.0.1", number))
    client.begin()
    engine.run_until(loop, lambda: client.answers or client.errors)

    assert client.answers == [b"%d\n" % job.process.pid]


# lazy and idle


def waiting(loop, job):
    """Run until `job` waits for a connection."""
    engine.run_until(loop, lambda: job.lifecycle.state is State.WAITING)


def test_lazy(loop, service, clients):
    """Nothing is spawned before the first connection, which is served; a stop makes it lazy again."""
    job = service(TCP, lazy=True)
    engine.start(loop, job)
    engine.run_for(loop, 0.3)
    assert (job.lifecycle.state, job.spawns, job.lifecycle.needs) == (State.WAITING, 0, "a connection")
    client = clients(("127.0.0.1", port(job)))
    client.begin()
    engine.run_until(loop, lambda: client.answers)
    assert job.spawns == 1
    loop.send(job, DOWN)
    engine.run_until(loop, lambda: job.lifecycle.state is State.STOPPED)
    client.begin()
    engine.run_for(loop, 0.2)
    assert job.spawns == 1, "nobody wants it"
    engine.start(loop, job)
    engine.run_until(loop, lambda: len(client.answers) == 2)

    assert job.waits == [True, False, True, False]
    assert client.errors == []


@pytest.mark.parametrize("kind", ["udp", "unix_dgram"])
def test_lazy_by_datagram(loop, service, folder, kind):
    """A first datagram spawns it, and is there to be read."""
    path = f"{folder}/a"
    job = service(Listen("a", kind, LOCAL if kind == "udp" else path), lazy=True, idle=0.1)
    engine.start(loop, job)
    waiting(loop, job)
    family = socket.AF_INET if kind == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("127.0.0.1", port(job)) if kind == "udp" else path)
    engine.run_until(loop, lambda: b"got hello" in job.output)
    engine.run_for(loop, 0.5)

    assert job.lifecycle.state is State.READY, "datagrams are no connections that could end"


def turns_while(loop, seconds):
    """How often `loop` woke up."""
    turns, turn = [], loop.turn
    loop.turn = lambda timeout: (turns.append(timeout), turn(timeout))
    engine.run_for(loop, seconds)
    loop.turn = turn
    return len(turns)


def test_connection_nobody_takes_yet(loop, service):
    """It costs nothing while the service waits for something else too, nor while it runs and is slow."""
    job = service(TCP, lazy=True, argv=engine.python("import signal; signal.pause()"))
    job.sockets._blocked = job.waits.append  # there is something else
    engine.start(loop, job)
    waiting(loop, job)
    with socket.create_connection(("127.0.0.1", port(job)), 5):
        engine.run_until(loop, lambda: job.waits == [True, False])
        assert turns_while(loop, 0.3) < 50  # it would be thousands
        loop.send(job, MET)
        engine.run_until(loop, lambda: job.lifecycle.state is State.READY)
        assert turns_while(loop, 0.3) < 50


def test_lazy_restart_is_no_wait(loop, service, clients):
    """A restart of one that is awake starts at once."""
    job = service(TCP, lazy=True)
    engine.start(loop, job)
    client = clients(("127.0.0.1", port(job)))
    client.begin()
    engine.run_until(loop, lambda: client.answers)
    restart(loop, job)

    assert job.waits == [True, False]


def test_lazy_that_crashes(loop, service, clients):
    """A crash is followed by a restart, not by waiting."""
    job = service(TCP, lazy=True, on="on_failure", delay=0.05, argv=("/bin/sh", "-c", "exit 1"), max=2)
    engine.start(loop, job)
    waiting(loop, job)
    with socket.create_connection(("127.0.0.1", port(job)), 5):
        engine.run_until(loop, lambda: job.lifecycle.state is State.FAILED)

    assert job.spawns == 3


def test_lazy_that_ends_by_itself(loop, service):
    """One that is to be restarted and ends with success, as inetd's do, waits for the next connection."""
    once = "import socket; socket.socket(fileno=3).accept()[0].sendall(b'x')"
    job = service(TCP, lazy=True, on="always", delay=0.01, argv=engine.python(once))
    engine.start(loop, job)
    for number in (1, 2):
        waiting(loop, job)
        with socket.create_connection(("127.0.0.1", port(job)), 5):
            engine.run_until(loop, lambda number=number: job.spawns == number)
            engine.run_until(loop, lambda: job.process is None)
    waiting(loop, job)
    engine.run_for(loop, 0.2)

    assert job.spawns == 2


def test_socket_that_cannot_be_had_again(loop, service, folder):
    """Where the last life took the path away for good, the next spawn fails and says so; then all is well."""
    code = (
        "import os, shutil, sys; shutil.rmtree(sys.argv[1]); open(sys.argv[1], 'w').close()\n"
        "import socket; socket.socket(fileno=3).accept()"
    )
    path = folder / "sub" / "a.sock"
    job = service(
        Listen("a", "unix_stream", str(path)),
        lazy=True,
        on="always",
        delay=0.05,
        argv=engine.python(code, path.parent),
    )
    engine.start(loop, job)
    waiting(loop, job)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        engine.run_until(loop, lambda: job.lifecycle.fault)
    assert re.fullmatch(r"cannot listen on /.*/sub/a\.sock for web: .+", job.lifecycle.fault)
    path.parent.unlink()
    job.command = job.command._replace(argv=ACCEPT)
    engine.run_until(loop, lambda: job.output.count(b"\n") >= 3)


HOLDS = """
import os, socket, sys
listener = socket.socket(fileno=3)
kept = []
os.write(1, b"up\\n")
while True:
    connection, _ = listener.accept()
    connection.sendall(b"%d\\n" % os.getpid())
    if connection.recv(1) == b"":
        connection.close()
"""


@pytest.mark.parametrize("where", ["127.0.0.1", "::1", "/"])
def test_idle(loop, service, folder, where):
    """It runs on while a connection is open, stops once none has been for so long, and comes again."""
    path = f"{folder}/a.sock"
    listen = Listen("a", "unix_stream", path) if where == "/" else Listen("a", "tcp", f"[{where}]:0")
    job = service(listen, lazy=True, idle=0.4, argv=engine.python(HOLDS))
    engine.start(loop, job)
    waiting(loop, job)

    def connect():
        if where != "/":
            return socket.create_connection((where, port(job)), engine.PATIENCE)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(engine.PATIENCE)
        client.connect(path)
        return client

    with connect() as client:
        engine.run_until(loop, lambda: b"up" in job.output)
        engine.run_for(loop, 1.2)
        assert job.lifecycle.state is State.READY
        first, now = client.recv(20), loop.now()
        engine.run_until(loop, lambda: job.sockets._used >= now)
    closed = loop.now()
    waiting(loop, job)
    assert 0.2 <= loop.now() - closed <= 10.0
    assert job.lifecycle.wanted
    with connect() as client:
        engine.run_until(loop, lambda: job.spawns == 2 and job.lifecycle.state is State.READY)
        assert client.recv(20) != first

    assert job.waits == [True, False, True, False]
    assert loop.said == []


def test_short_connections_keep_it_up(loop, service, clients):
    """Each is over before anybody looks, and counts all the same."""
    job = service(TCP, lazy=True, idle=1.0)
    clock = Clock(loop)
    engine.start(loop, job)
    client = clients(("127.0.0.1", port(job)))
    for number in range(1, 11):
        client.begin()
        clock.until(lambda number=number: len(client.answers) == number)
        clock.go_on(0.3)

    assert job.spawns == 1
    assert job.lifecycle.state is State.READY
    clock.release()
    waiting(loop, job)


def test_idle_without_lazy(loop, service):
    """It is started at once, and stopped until somebody connects."""
    job = service(TCP, idle=0.3)
    started(loop, job)
    waiting(loop, job)

    assert job.waits == [True]


def test_connection_while_it_goes_to_sleep(loop, service, clients):
    """Who connects while it is being stopped for want of connections is served by the next run."""
    job = service(TCP, idle=0.2, argv=engine.python(SLOW), grace=60.0)
    clock = Clock(loop)
    engine.start(loop, job)
    clock.until(lambda: b"up" in job.output)
    clock.go_on(0.3)
    clock.until(lambda: b"ending" in job.output)
    clock.release()
    job.command = job.command._replace(argv=ACCEPT)
    client = clients(("127.0.0.1", port(job)))
    client.begin()
    engine.run_until(loop, client.connected.is_set)
    os.kill(job.process.pid, signal.SIGKILL)
    engine.run_until(loop, lambda: client.answers or client.errors)

    assert client.errors == []
    assert job.spawns == 2


# real servers

GUNICORN = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello from gunicorn"]
"""
UVICORN = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello from uvicorn"})
"""


class Web(Clients):
    """Clients that speak HTTP."""

    def once(self, timeout=20.0):
        """One request; the answer's last line."""
        try:
            with socket.create_connection(self.address, timeout) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                said = b""
                while chunk := client.recv(4096):
                    said += chunk
                self.answers.append(said.splitlines()[-1] if said else b"")
        except OSError as error:
            self.errors.append(error)


@pytest.mark.parametrize(
    ("code", "words"),
    [(GUNICORN, "-m gunicorn app:app"), (UVICORN, "-m uvicorn app:app --fd 3")],
)
def test_real_servers(loop, service, folder, code, words):
    """The first by LISTEN_FDS and LISTEN_PID, uvicorn by --fd 3: through a shell, lazy, and over restarts."""
    (folder / "app.py").write_text(code)
    argv = exec_simple(("/bin/sh", "-c", f"{sys.executable} {words}"))
    job = service(TCP, argv=argv, lazy=True, cwd=str(folder), environment={"HOME": str(folder)})
    engine.start(loop, job)
    waiting(loop, job)
    web = Web(("127.0.0.1", port(job)))
    web.begin()
    engine.run_until(loop, lambda: web.answers or web.errors)
    web.begin(pause=0.01)
    for _ in range(3):
        spawns, count = job.spawns, len(web.answers)
        loop.send(job, RESTART)
        engine.run_until(loop, lambda n=spawns, m=count: job.spawns > n and len(web.answers) > m + 3)
    web.end.set()
    engine.run_until(loop, lambda: not any(thread.is_alive() for thread in web.threads))

    # uvicorn closes what it has accepted and not read when it is told to end: that is not ours to help.
    assert [error for error in web.errors if not isinstance(error, ConnectionResetError)] == []
    assert set(web.answers) - {b""} == {b"hello from " + words.split()[1].encode()}
    assert procs.is_alive(job.process.pid)
