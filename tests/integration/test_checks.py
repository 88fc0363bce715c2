"""Probes with real servers, commands and output: what they make of each, and what it costs the loop."""

import contextlib
import gc
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from support import procs
from support.engine import Latency, debugger, descriptors, engine, make_job, python, run_for, run_until, start
from support.running import CHILDREN, need

from devport.engine.lifecycle import DOWN, READY, RESTART, Kind, State
from devport.kernel import sockdiag
from devport.kernel.descriptors import sockets
from devport.model import Probe
from devport.sources import listeners
from devport.sources.checks import Http, Target, Tcp, addresses
from devport.sources.probe import Prober
from devport.sources.stopper import Stopper
from devport.sources.tls import Tls

LOCAL = ("127.0.0.1", "::1")
HTTP = Probe("http", probe_timeout=1.0)
TCP = Probe("tcp", probe_timeout=1.0)
BARE = (sys.executable, "-I", "-S")


@pytest.fixture
def ports():
    """Ports of this test's own."""
    ports = procs.Ports()
    yield ports
    ports.release()


@pytest.fixture
def loop():
    """A loop that is ended with the test."""
    with engine() as loop:
        yield loop


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Key and certificate of localhost, in one file. Made before there is a loop, which reaps everything."""
    need("openssl")
    folder = tmp_path_factory.mktemp("certificate")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    subprocess.run(
        [*words.split(), "-keyout", "key", "-out", "certificate"], cwd=folder, check=True, capture_output=True
    )
    both = folder / "both"
    both.write_bytes((folder / "key").read_bytes() + (folder / "certificate").read_bytes())
    return str(both)


def server(mode, port, host="127.0.0.1"):
    """The words of a server that answers as `mode` has it."""
    return (*BARE, str(CHILDREN / "server.py"), mode, str(port), host)


def serve(loop, mode, port, host="127.0.0.1", **how):
    """A job of `loop` that serves, once it listens."""
    job = make_job(loop, server(mode, port, host), **how)
    start(loop, job)
    run_until(loop, lambda: b"listening" in printed(job))
    return job


def ask(loop, make, timeout=20):
    """What the check says that `make(done)` makes, and how many seconds it took."""
    said, began = [], loop.now()
    make(said.append).start()
    run_until(loop, lambda: said, timeout)
    return said[0], loop.now() - began


def http(loop, port, done, *, timeout=10.0, hosts=LOCAL, **more):
    """An http check of `port`, with time for a server that is starved of the processor."""
    return Http(loop, Target(hosts, port, timeout), done, **more)


def printed(job):
    """What `job` has printed."""
    return job.backlog.since(0)


def reasons(loop, name="web"):
    """The reasons why it was not ready, in order."""
    return [event.reason for job, *_, event in loop.transitions if job == name and event.kind is Kind.UNREADY]


def is_ready(job):
    """A predicate: `job` is ready."""
    return lambda: job.lifecycle.state is State.READY


DEAF = {"silent", "drip"}
"""Servers that never come to an answer."""
BOUNDED = 5.0
"""Seconds within which a deadline of less than one has been kept, on a busy machine; without, it is 20."""


def patience(mode):
    """The deadline for a server that answers as `mode` has it."""
    return 0.5 if mode in DEAF else 10.0


def calm(loop, act):
    """Whether the loop is nowhere 50 ms late while `act` runs; once in three times will do."""
    for _ in range(3):
        latency = Latency(loop)
        act()
        latency.close()
        if latency.worst < 0.05:
            return True
    return False


HOSTILE = {
    "silent": r"no answer within 0\.5 s",
    "drip": r"no answer within 0\.5 s",
    "redirect": r"answered with status 302",
    "head": r"its headers are too long",
    "body": r"",
    "close": r"closed the connection without an answer",
    "half": r"closed the connection without a whole answer",
    "garbage": r"does not speak HTTP: \\x00\\udcff\+OK redis says hello",
    "alert": r"does not speak HTTP, but TLS",
    "failing": r"answered with status 503",
    "fine": r"",
    "hints": r"",
}


@pytest.mark.parametrize("mode", HOSTILE)
def test_servers(loop, ports, mode):
    """Each kind of server is judged within the deadline, and the loop goes on as if nothing were."""
    serve(loop, mode, ports.first)

    def look():
        said, took = ask(loop, lambda done: http(loop, ports.first, done, timeout=patience(mode)))
        assert re.fullmatch(HOSTILE[mode], said)
        assert took < BOUNDED

    assert calm(loop, look)


def test_tls(certificate, loop, ports):
    """TLS is spoken with https only, and any certificate will do."""
    serve(loop, "tls", ports.first, environment={"CERTIFICATE": certificate})

    def look():
        assert ask(loop, lambda done: http(loop, ports.first, done, secure=True))[0] == ""
        assert ask(loop, lambda done: http(loop, ports.first, done, secure=True, name="localhost"))[0] == ""

    assert calm(loop, look)
    assert ask(loop, lambda done: http(loop, ports.first, done))[0] in {
        "does not speak HTTP, but TLS",
        "closed the connection without an answer",  # OpenSSL
    }


def test_tls_in_one_piece(certificate):
    """An answer in several records that come at once is taken as a whole."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context.wrap_bio(incoming, outgoing, server_side=True)
    client = Tls("localhost", b"hello")
    said = client.take(None)
    while said:
        incoming.write(said)
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.do_handshake()
        said = client.take(outgoing.read())
    assert peer.read() == b"hello"

    peer.write(b"one ")
    peer.write(b"two")
    client.take(outgoing.read())

    assert client.plain == b"one two"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("fine", "no TLS connection: .+"),
        ("garbage", "no TLS connection: .+"),
        ("close", "no TLS connection: .+|closed the connection without an answer"),
        ("silent", r"no answer within 0\.5 s"),
    ],
)
def test_https_of_a_plain_server(loop, ports, mode, reason):
    """Who asks a server for TLS that speaks none is told so."""
    serve(loop, mode, ports.first)

    said, took = ask(loop, lambda done: http(loop, ports.first, done, timeout=patience(mode), secure=True))

    assert re.fullmatch(reason, said)
    assert took < BOUNDED


def test_statuses(loop, ports):
    """A status that is asked for is well, and then 200 is not."""
    serve(loop, "failing", ports.first)
    serve(loop, "fine", ports.first + 1, name="other")

    assert ask(loop, lambda done: http(loop, ports.first, done, statuses=(200, 503)))[0] == ""
    said, _ = ask(loop, lambda done: http(loop, ports.first + 1, done, statuses=(204,)))
    assert said == "answered with status 200"


def test_request(loop, ports, monkeypatch):
    """One plain request with the path as it is meant, straight to the server whatever proxy there is."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    job = serve(loop, "echo", ports.first)

    assert ask(loop, lambda done: http(loop, ports.first, done, path="/a b\r\né?x=1"))[0] == ""
    run_until(loop, lambda: b"GET" in printed(job))
    expected = (
        rb"GET /a%20b%0D%0A%C3%A9?x=1 HTTP/1.1\r\nHost: 127.0.0.1:" + str(ports.first).encode() + rb"\r\n"
        rb"User-Agent: devport\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    assert expected in printed(job)


def test_only_ipv6(loop, ports):
    """A server that listens on ::1 alone is found by the usual host, and not by an address of IPv4."""
    job = serve(loop, "echo", ports.first, "::1")

    target = Target(addresses("localhost"), ports.first, 10.0)
    assert ask(loop, lambda done: Tcp(loop, target, done))[0] == ""
    assert ask(loop, lambda done: http(loop, ports.first, done))[0] == ""
    run_until(loop, lambda: b"Host: [::1]:" in printed(job))
    said, _ = ask(loop, lambda done: http(loop, ports.first, done, hosts=("127.0.0.2",)))
    assert said == "connection refused"


@pytest.mark.parametrize("probe", [HTTP, TCP])
@pytest.mark.parametrize("host", [("127.0.0.1",), ("0.0.0.0",), ("::1",), ("::",), ("::", "dual")])
def test_f67_listener_of_any_kind_makes_ready(loop, ports, host, probe):
    """v4, v6 or both, wildcard or loopback: it answers, and it is known to be the service's own."""
    job = make_job(loop, (*BARE, str(CHILDREN / "server.py"), "fine", str(ports.first), *host), probed=True)
    prober = Prober(loop, job, probe, ports.first, aim="ready")
    start(loop, job)

    run_until(loop, is_ready(job))
    prober.close()


def test_closed_port(loop, ports):
    """Nobody listens: known at once, and nothing is left open."""
    before = descriptors()

    said, took = ask(loop, lambda done: Tcp(loop, Target(LOCAL, ports.first, 15.0), done))

    assert (said, took < BOUNDED) == ("connection refused", True)
    assert descriptors() <= before


def test_connection_to_itself(loop, ports):
    """A connection that TCP made to its own port is nobody's."""
    check = Tcp(loop, Target((), ports.first, 1.0), (said := []).append)
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("127.0.0.1", ports.first))
    own.connect(("127.0.0.1", ports.first))
    check._socket = own
    loop.watch(own.fileno(), lambda: None)

    check._dialled("127.0.0.1")

    assert said == ["connection refused"]
    assert own.fileno() == -1


def test_full_backlog(loop, ports):
    """A server that does not accept any more is no worse than one that does not answer."""
    with socket.socket() as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", ports.first))
        full.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for one in fill:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", ports.first))
        said, took = ask(loop, lambda done: http(loop, ports.first, done, timeout=0.3))
        for one in fill:
            one.close()

    assert said == "no answer within 0.3 s"
    assert took < BOUNDED


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "0.0.0.0", "::", "fe80::1", "127.1", "", "::2"])
def test_no_host_elsewhere(host):
    """Only this machine is asked, and no name is looked up."""
    with pytest.raises(ValueError, match="is not an address of this machine alone"):
        addresses(host)


def test_hosts():
    """The usual hosts stand for both families, any other for itself."""
    assert addresses("localhost") == addresses("127.0.0.1") == LOCAL
    assert addresses("127.3.2.1") == ("127.3.2.1",)
    assert addresses("::1") == addresses("[::1]") == ("::1",)


# whose port it is


class Stranger:
    """A server on `port` that no job started: this process."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        """Answer until the end."""
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def close(self):
        """No more."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


LATER = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.execv(sys.argv[2], sys.argv[2:])
"""
SLEEPER = python("import time; time.sleep(1000)")


@pytest.mark.parametrize("probe", [HTTP, TCP, Probe("tcp", automatic=True)])
def test_stranger_on_the_port(loop, ports, tmp_path, probe):
    """Who else answers is named, and the service is not ready until it answers itself."""
    stranger = Stranger(ports.first)
    go = tmp_path / "go"
    job = make_job(loop, python(LATER, go, *server("fine", ports.first)), probed=True)
    prober = Prober(loop, job, probe, ports.first, aim="ready")
    start(loop, job)
    try:
        run_until(loop, lambda: any("pid" in one for one in reasons(loop)))
        name = procs.process(os.getpid())
        assert reasons(loop)[-1].startswith(f"port {ports.first} is served by ")
        assert reasons(loop)[-1].endswith(f" (pid {name.pid}), not by web")
    finally:
        stranger.close()
    go.touch()
    run_until(loop, is_ready(job))
    prober.close()


def test_foreign_and_external_do_not_ask_whose(loop, ports):
    """Where somebody else is to answer, it counts whoever does."""
    stranger = Stranger(ports.first)
    try:
        foreign = make_job(loop, SLEEPER, probed=True)
        external = make_job(loop, python("pass"), name="db", probed=True, external=True)
        Stopper(loop, external, (), external=True)
        probers = [
            Prober(loop, foreign, HTTP._replace(foreign=True), ports.first, aim="ready"),
            Prober(loop, external, HTTP, ports.first, aim="ready"),
        ]
        start(loop, foreign)
        start(loop, external)
        run_until(loop, lambda: foreign.lifecycle.state is external.lifecycle.state is State.READY)
        run_until(loop, lambda: external.process is None)
        assert external.lifecycle.state is State.READY
    finally:
        stranger.close()
    for prober in probers:
        prober.close()


AWAY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    os.execv(sys.argv[1], sys.argv[1:])
time.sleep(1000)
"""
ORPHANED = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.argv[1], sys.argv[1:])
    os._exit(0)
time.sleep(1000)
"""


@pytest.mark.parametrize("code", [AWAY, ORPHANED])
def test_server_that_left_its_group(loop, ports, code):
    """A server of another session, whose parent lives or has gone, is still the service."""
    job = make_job(loop, python(code, *server("fine", ports.first)), probed=True)
    prober = Prober(loop, job, HTTP, ports.first, aim="ready")
    start(loop, job)

    run_until(loop, is_ready(job))

    prober.close()


def test_left_over_by_an_earlier_life(loop, ports):
    """A server that an earlier life left behind has the same token, and is not the service."""
    left = serve(loop, "fine", ports.first, name="left", token="the-same")
    process, left.process = left.process, left.process
    job = make_job(loop, SLEEPER, probed=True, token="the-same")
    prober = Prober(loop, job, HTTP, ports.first, aim="ready")
    del loop.reaper.leaders[process.pid]  # as if it had been adopted

    start(loop, job)
    run_until(loop, lambda: any("pid" in one for one in reasons(loop)))
    loop.reaper.leaders[process.pid] = process

    assert f"(pid {process.pid}), not by web" in reasons(loop)[-1]
    assert job.lifecycle.state is State.STARTING
    prober.close()


def test_restart_with_a_slow_end(loop, ports):
    """Each life is ready by its own server, although the one before keeps the port for a while."""
    code = (
        "import os,signal,sys,time\n"
        "pid = os.fork()\n"
        "if not pid: os.execv(sys.argv[1], sys.argv[1:])\n"
        "def end(*_):\n time.sleep(0.2)\n os.kill(pid, 9)\n os._exit(0)\n"
        "signal.signal(15, end)\n"
        "while True: signal.pause()"
    )
    job = make_job(loop, python(code, *server("fine", ports.first)), probed=True)
    prober = Prober(loop, job, TCP, ports.first, aim="ready")
    start(loop, job)
    lives = set()
    for _ in range(5):
        run_until(loop, is_ready(job))
        assert job.process.pid not in lives
        lives.add(job.process.pid)
        owner = sockdiag.listeners(ports.first, "127.0.0.1")
        assert any(owner <= (sockets(pid) or set()) for pid in procs.descendants(job.process.pid))
        loop.send(job, RESTART)
        run_until(loop, lambda: job.lifecycle.state is not State.READY)
    run_until(loop, is_ready(job))
    prober.close()


@pytest.mark.parametrize(
    "hosts", [("127.0.0.1",), ("0.0.0.0",), ("::1",), ("::",), ("0.0.0.0", "127.0.0.1", "::1"), ()]
)
def test_who_is_given_a_connection(ports, hosts):
    """The kernel tells the same in both ways; the exact address comes before the wildcard."""
    made = {}
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made[host] = one = socket.socket(family)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if host == "::1":
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, ports.first))
        one.listen()
    inodes = {host: {os.fstat(one.fileno()).st_ino} for host, one in made.items()}
    with contextlib.ExitStack() as stack:
        for one in made.values():
            stack.enter_context(one)
        for host, choices in {
            "127.0.0.1": ["127.0.0.1", "0.0.0.0", "::"],
            "127.0.0.2": ["0.0.0.0", "::"],
            "::1": ["::1", "::"],
        }.items():
            expected = next((inodes[choice] for choice in choices if choice in inodes), set())
            assert sockdiag.listeners(ports.first, host) == expected
        assert sockdiag.ask_kernel(ports.first) in [None, sockdiag.read_tables(ports.first)]


def test_one_question_costs_little(loop, ports):
    """Who listens is known in less than two milliseconds of work, and nothing stays open."""
    serve(loop, "fine", ports.first)
    before, began = descriptors(), time.process_time()
    for _ in range(100):
        sockdiag.ask_kernel(ports.first)

    assert time.process_time() - began < 0.2
    assert descriptors() <= before


def test_psutil_tells_the_same(loop, ports):
    """Where there is no /proc, psutil knows who listens."""
    job = serve(loop, "fine", ports.first)
    other = make_job(loop, SLEEPER, name="other")
    start(loop, other)
    run_until(loop, is_ready(other))

    assert listeners.pids_listening(ports.first, job.process) == {job.process.pid}
    assert listeners.pids_listening(ports.first, other.process) == set()


# commands


def marks(path):
    """What the probes wrote into `path`."""
    return path.read_text().split() if path.exists() else []


def test_command(loop, tmp_path):
    """A command with the service's environment and folder: its last line is the reason, 0 is well."""
    marker = tmp_path / "ready"
    probe = Probe(
        "exec",
        ("sh", "-c", 'test -e "$MARK" || { pwd; echo; printf "\\033[31mno $MARK\\n\\n"; exit 3; }'),
        probe_timeout=20.0,
    )
    job = make_job(loop, SLEEPER, cwd=str(tmp_path), environment={"MARK": "ready"}, probed=True)
    prober = Prober(loop, job, probe, None, aim="ready")
    start(loop, job)

    run_until(loop, lambda: reasons(loop))
    assert reasons(loop) == ["no ready"]
    marker.touch()
    run_until(loop, is_ready(job))
    assert job.process is not None
    prober.close()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("sh", "-c", "exit 7"), "exited with status 7"),
        (("sh", "-c", "kill -9 $$"), "killed by signal 9"),
        (("sleep", "60"), "no answer within 0.2 s"),
        (("/nonexistent/probe",), "cannot run /nonexistent/probe: No such file or directory"),
        (("a\0b",), r"cannot run a\\x00b: Invalid argument"),
    ],
)
def test_commands_that_fail(loop, command, reason):
    """Each way in which a command can fail has its words."""
    job = make_job(loop, SLEEPER, probed=True)
    limit = 0.2 if command[0] == "sleep" else 20.0
    prober = Prober(loop, job, Probe("exec", command, probe_timeout=limit), None, aim="ready")
    start(loop, job)

    run_until(loop, lambda: reasons(loop))

    assert re.fullmatch(reason, reasons(loop)[0])
    prober.close()


def test_commands_leave_nothing(loop, tag):
    """One that is slower than its period, and forks: one at a time, all gone in the end."""
    probe = Probe("exec", ("sh", "-c", "sleep 60 & sleep 61"), period=0.05, probe_timeout=0.15)
    job = make_job(loop, SLEEPER, probed=True)
    prober = Prober(loop, job, probe, None, aim="ready")
    start(loop, job)
    run_until(loop, lambda: reasons(loop))
    most, counts = 0, set()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        run_for(loop, 0.02)
        alive = {one.group for one in procs.tree(tag) if "sleep 6" in one.command}
        most = max(most, len(alive))
        counts.add(len(descriptors()))

    assert most == 1
    assert max(counts) - min(counts) <= 2  # its output and its report while it runs
    assert calm(loop, lambda: run_for(loop, 1.0))
    prober.close()
    run_until(loop, lambda: not [one for one in procs.tree(tag) if "sleep 6" in one.command])
    assert reasons(loop) == ["no answer within 0.15 s"]


def test_command_ends_with_the_life(loop, tag):
    """The end of a life ends its probe; the next life's does not begin before that is gone."""
    probe = Probe("exec", ("sleep", "60"), period=0.05, probe_timeout=30)
    job = make_job(loop, SLEEPER, probed=True)
    prober = Prober(loop, job, probe, None, aim="ready")
    start(loop, job)

    def probes():
        return [one.pid for one in procs.tree(tag) if one.command == "sleep 60"]

    seen = set()
    for _ in range(5):
        run_until(loop, lambda: len(probes()) == 1 and seen.isdisjoint(probes()))
        seen.update(probes())
        loop.send(job, RESTART)
    loop.send(job, DOWN)
    run_until(loop, lambda: job.lifecycle.state is State.STOPPED and not probes())
    assert reasons(loop) == []
    prober.close()


def test_liveness(loop, tmp_path):
    """A service that was ready and fails as often as is said is ended as one that crashed."""
    marker = tmp_path / "alive"
    marker.touch()
    probe = Probe("exec", ("test", "-e", str(marker)), period=0.1, probe_timeout=20.0, failure_threshold=3)
    job = make_job(loop, SLEEPER, delay=0.01)
    prober = Prober(loop, job, probe, None, aim="live")
    start(loop, job)
    run_for(loop, 0.4)
    assert job.lifecycle.state is State.READY
    marker.unlink()
    run_until(loop, lambda: "live-failing" in job.facts)
    assert re.fullmatch(r"exited with status 1 \([12] of 3\)", job.facts["live-failing"])
    run_until(loop, lambda: any(event.kind is Kind.UNHEALTHY for *_, event in loop.transitions))
    marker.touch()
    run_until(loop, lambda: job.spawns == 2 and is_ready(job)())
    assert "live-failing" not in job.facts
    prober.close()


# output


PRINTER = """
import sys, time
from os import write
for word in sys.argv[1:]:
    if word == "-":
        time.sleep(0.05)
    else:
        write(1, word.encode().decode("unicode_escape").encode("latin-1"))
time.sleep(1000)
"""


def test_f82_liveness_of_what_is_debugged(loop, tmp_path):
    """While a debugger holds it nothing is held against it; once it has gone, failures count."""
    probe = Probe("exec", ("false",), period=0.05, failure_threshold=2, initial_delay=0.05)
    job = make_job(loop, (*BARE, "-c", "import signal; signal.pause()"), delay=60, probed=True)
    start(loop, job)
    run_until(loop, lambda: job.process is not None)
    prober = Prober(loop, job, probe, None, aim="live")
    with debugger(loop, job.process.pid):
        loop.send(job, READY)
        run_for(loop, 0.8)
        assert [event for *_, event in loop.transitions if event.kind is Kind.UNHEALTHY] == []
    run_until(loop, lambda: any(event.kind is Kind.UNHEALTHY for *_, event in loop.transitions))
    prober.close()


@pytest.mark.parametrize(
    "words",
    [
        ("Listening on 8080\\n",),
        ("Lis", "-", "tening on", "-", " 8080", "-", "\\nmore"),
        ("\\x1b[3", "-", "2mListening\\x1b[0m on \\x1b[1m", "-", "8080\\x1b[0m\\r\\n"),
        ("x" * 5000 + "\\nListening on 8080",),  # a prompt
        ("\\xff\\xfe Listening on 8080\\n",),
    ],
)
def test_pattern_in_the_output(loop, words):
    """The pattern is found in a line, in whatever pieces and colours it comes."""
    job = make_job(loop, python(PRINTER, *words), probed=True)
    prober = Prober(loop, job, Probe("log", pattern=r"Listening on \d+$"), None, aim="ready")
    start(loop, job)

    run_until(loop, is_ready(job))

    assert reasons(loop) == [r"nothing like Listening on \d+$ in its output yet"]
    assert job.taps == []
    prober.close()


@pytest.mark.parametrize(
    "words", [("Listening", "-", "\\non 8080\\n"), ("a" * 20000 + "Listening on 8080\\n",)]
)
def test_pattern_that_is_not_there(loop, words):
    """Lines are not joined, and of a long one the beginning counts."""
    job = make_job(loop, python(PRINTER, *words), probed=True)
    prober = Prober(loop, job, Probe("log", pattern=r"Listening on \d+"), None, aim="ready")
    start(loop, job)

    run_until(loop, lambda: b"on 8080\n" in printed(job))
    run_for(loop, 0.4)  # longer than an unfinished line is waited for

    assert job.lifecycle.state is State.STARTING
    prober.close()
    assert job.taps == []


def test_line_of_the_earlier_life(loop, tmp_path):
    """What an earlier life printed, at its very end as well, makes no later one ready."""
    code = """
import os, signal, sys, time
def end(*_):
    os.write(1, b"Listening\\n")
    os._exit(0)
signal.signal(15, end)
if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    os.write(1, b"Listening\\n")
os.write(1, b"up\\n")
time.sleep(1000)
"""
    job = make_job(loop, python(code, str(tmp_path / "once")), probed=True)
    prober = Prober(loop, job, Probe("log", pattern="Listening"), None, aim="ready")
    start(loop, job)
    run_until(loop, is_ready(job))
    run_until(loop, lambda: b"up" in printed(job))
    loop.send(job, RESTART)
    run_until(loop, lambda: job.spawns == 2 and printed(job).count(b"up") == 2)

    run_for(loop, 0.4)

    assert printed(job).count(b"Listening") == 2
    assert job.lifecycle.state is State.STARTING
    prober.close()


@pytest.mark.parametrize("kind", ["exec", "tcp", "http"])
def test_questions_leave_no_garbage(loop, ports, kind):
    """What asked is gone with its answer: in days of probes nothing waits for the garbage collector."""
    port = ports.first
    job = serve(loop, "fine", port)
    asked = []
    prober = Prober(loop, job, Probe(kind, ("true",), period=0.01), port, aim="live")
    made = prober._make
    prober._make = lambda done: asked.append(None) or made(done)
    loop.send(job, READY)
    run_until(loop, lambda: len(asked) > 3)
    gc.collect()
    gc.disable()
    try:
        run_until(loop, lambda: len(asked) > 23)
        found = gc.collect()
    finally:
        gc.enable()

    assert found < 20
    prober.close()
    run_until(loop, lambda: not loop._guests)  # the command of the last question is reaped by the loop
