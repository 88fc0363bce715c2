"""The control socket on a real loop, with services that a test makes begin, print and end."""

import contextlib
import json
import os
import resource
import select
import socket
import stat
import struct
import tempfile
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import procs
from support.builders import exited, lifecycle, policy, view

from devport import kernel
from devport.context import from_process
from devport.engine import client, control, unix
from devport.engine.backlog import LIMIT
from devport.engine.control import OWED, Control
from devport.engine.job import Job
from devport.engine.lifecycle import SPAWNED, UP, State
from devport.engine.loop import Loop
from devport.engine.printer import Printer
from devport.engine.process import Command, Process, Stdio
from devport.engine.sink import Sink
from devport.errors import DevportError
from devport.registry.holder import Holder, this_process
from devport.remote import Remote, Unreachable

PATIENCE = 20.0
NOBODY = 65534


class FakeProcess(Process):
    """A process that only notes its signals."""

    def __init__(self, pid, token, output, report):
        super().__init__(pid, token, output, report, shared_group=False)
        self.signals = []

    def forward(self, number):
        """Note it."""
        self.signals.append(number)

    signal = forward


class FakeSpawner:
    """Makes processes whose output a test writes; `refuse` makes the next spawns fail."""

    def __init__(self):
        self.pipes, self.next, self.refuse = {}, 1 << 29, False

    def spawn(self, command, _stdio):
        """A new life."""
        if self.refuse:
            raise FileNotFoundError(2, "No such file or directory", "nope")
        read, self.pipes[command.token] = os.pipe()
        os.set_blocking(read, False)
        report, write = os.pipe()
        os.close(write)  # it could be executed
        self.next += 1
        return FakeProcess(self.next, command.token, read, report)


class Lab:
    """Jobs, a loop and its Control, in this thread: they only move while the test turns the loop."""

    def __init__(self, folder, names=("web", "db"), **control_options):
        self.path = os.path.join(folder, "run", "test.sock")
        self.spawner = FakeSpawner()
        self.null = os.open(os.devnull, os.O_WRONLY)
        printer = Printer(Sink(self.null), view(), list(names))
        self.loop = Loop(printer, self.spawner, time.monotonic)
        self.jobs = {name: self._job(name, i, printer) for i, name in enumerate(names)}
        self.loop.jobs = list(self.jobs.values())
        self.control = Control(self.path, self.loop, self.jobs, **control_options)
        self.callers = []

    @staticmethod
    def _job(name, position, printer):
        return Job(
            name,
            command=Command(("true",), {}, "/", f"hash-of-{name}"),
            stdio=Stdio(),
            lifecycle=lifecycle(on="never"),
            stream=printer.stream(name, position),
        )

    def turn(self, times=1):
        """Let the loop go round."""
        for _ in range(times):
            self.loop.turn(0.01)

    def until(self, check):
        """Turn the loop until `check()` is true; returns that."""
        end = time.monotonic() + PATIENCE
        while not (found := check()):
            assert time.monotonic() < end, "it never came"
            self.turn()
        return found

    def tell(self, name, event):
        """Something happens to a service."""
        self.loop.send(self.jobs[name], event)
        self.turn()

    def up(self, *names):
        """These services run."""
        for name in names or self.jobs:
            self.tell(name, UP)
            self.until(lambda job=self.jobs[name]: job.lifecycle.state is State.READY)

    def end(self, name, status=-15):
        """The process of a service ends."""
        job = self.jobs[name]
        os.close(self.spawner.pipes.pop(job.command.token))
        self.loop._finish(job.process, exited(status))
        self.turn()

    def print(self, name, data):
        """A service prints."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.spawner.pipes[self.jobs[name].command.token], view[:65536]) :]
            self.turn()

    def connect(self):
        """A client that has been greeted."""
        caller = Caller(self)
        assert caller.hear()["devport"] == 1
        return caller

    def close(self):
        """The end."""
        self.control.close()
        for caller in self.callers:
            caller.socket.close()
        for job in self.loop.jobs:
            if job.process is not None:
                job.process.close()
        for pipe in self.spawner.pipes.values():
            os.close(pipe)
        self.loop.printer.sink.close()
        os.close(self.null)
        self.loop._control.close()
        self.loop._outputs.close()


class Caller:
    """A client without any manners."""

    def __init__(self, lab):
        self.lab = lab
        self.socket = socket.socket(socket.AF_UNIX)
        unix.at(lab.path, self.socket.connect)
        self.socket.setblocking(False)
        self.buffer, self.ended = bytearray(), False
        lab.callers.append(self)

    def say(self, data=b"", **fields):
        """Send bytes, or an object."""
        data = data or json.dumps(fields).encode() + b"\n"
        while data:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                self.lab.turn()

    def read(self):
        """Take what is there."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.buffer += data
        self.ended = not data

    def hear(self):
        """The next message."""

        def line():
            if b"\n" not in self.buffer:
                self.read()
            assert not self.ended or b"\n" in self.buffer, "it hung up"
            return b"\n" in self.buffer

        self.lab.until(line)
        cut = self.buffer.index(b"\n") + 1
        text = bytes(self.buffer[:cut])
        del self.buffer[:cut]
        return json.loads(text)

    def ask(self, **fields):
        """The reply to a request."""
        self.say(**fields)
        return self.hear()

    def silent(self):
        """Whether nothing more comes for now."""
        self.lab.turn(5)
        self.read()
        return not self.buffer and not self.ended

    def hung_up(self):
        """Wait until the other side has hung up."""
        self.lab.until(lambda: self.read() or self.ended)
        return True


@pytest.fixture
def lab(tmp_path):
    """Two services, web and db, which do not run yet."""
    before = _descriptors()
    made = Lab(str(tmp_path))
    yield made
    made.close()
    assert _descriptors() <= before  # less: the garbage of an earlier test was collected meanwhile


def _descriptors():
    return len(os.listdir("/proc/self/fd"))


def states(reply):
    """The state of each service in a reply."""
    return {one["name"]: one["state"] for one in reply["services"]}


# the verbs


def test_the_greeting(lab):
    """The first line says who speaks, and which protocol."""
    caller = Caller(lab)

    assert caller.hear() == {"devport": 1, "version": "0.1.0", "pid": os.getpid()}


def test_status(lab):
    """What there is to know of a service that runs, and of one that never did."""
    lab.up("web")

    reply = lab.connect().ask(id=1, do="status")

    web, db = reply["services"]
    uptime, since = web.pop("uptime"), web.pop("since")
    assert (reply["id"], reply["ok"]) == (1, True)
    assert web == {
        "name": "web",
        "hash": "hash-of-web",
        "state": "ready",
        "wanted": True,
        "pid": lab.jobs["web"].process.pid,
        "status": None,
        "error": "",
        "port": None,
        "ports": {},
        "restarts": 0,
        "begun": True,
        "was_ready": True,
        "waiting_for": "",
        "not_ready": "",
        "listening": False,
        "retry_in": None,
    }
    assert 0 <= uptime < PATIENCE
    assert len(since) == len("2024-05-06T07:08:09Z")
    assert (db["state"], db["pid"], db["since"], db["uptime"]) == ("stopped", None, None, None)


def test_status_after_ends(lab):
    """The last exit as a shell tells it, the restarts, and what went wrong."""
    lab.up("web", "db")
    lab.end("web", -9)
    lab.end("db", 3)
    lab.up("web")
    lab.end("web", -9)

    web, db = lab.connect().ask(do="status")["services"]

    assert (web["state"], web["status"], web["error"]) == ("exited", 137, "killed by signal 9")
    assert (web["restarts"], db["restarts"], db["status"]) == (1, 0, 3)
    assert (web["pid"], web["since"], web["uptime"]) == (None, None, None)


def test_facts_of_the_frame(tmp_path):
    """What only the frame knows is in the status."""
    lab = Lab(str(tmp_path), facts=lambda job: {"port": 19000, "label": job.name.upper()})
    with contextlib.closing(lab):
        assert lab.connect().ask(do="status")["services"][1].items() >= {("port", 19000), ("label", "DB")}


def test_services_by_name_and_hash(lab):
    """A service is named by its name or its hash, and no service is named twice."""
    caller = lab.connect()

    assert list(states(caller.ask(do="status", services=["db"]))) == ["db"]
    assert list(states(caller.ask(do="status", services=["hash-of-db", "web", "db"]))) == ["db", "web"]
    assert states(caller.ask(do="status", services=[])) == {}


def test_stop(lab):
    """The answer comes when the service is at rest, and not before."""
    lab.up()
    caller = lab.connect()

    caller.say(id=1, do="stop", services=["web"])
    assert caller.silent()
    assert lab.jobs["web"].process.signals == [15]
    lab.end("web")

    reply = caller.hear()
    assert (reply["id"], reply["ok"], states(reply)) == (1, True, {"web": "stopped"})
    assert lab.jobs["db"].lifecycle.state is State.READY


def test_stop_what_is_stopped(lab):
    """It is stopped already: done."""
    assert lab.connect().ask(do="stop")["ok"] is True


def test_start(lab):
    """The answer comes when it is ready."""
    reply = lab.connect().ask(id="x", do="start", services=["web"])

    assert (reply["id"], reply["ok"], states(reply)) == ("x", True, {"web": "ready"})
    assert lab.jobs["db"].process is None


def test_start_that_fails(lab):
    """The reason is the error, and the services that did start are told of too."""
    lab.up("db")
    lab.spawner.refuse = True

    reply = lab.connect().ask(do="start")

    assert reply["ok"] is False
    assert reply["error"] == "cannot start web: it failed: cannot run nope: No such file or directory"
    assert states(reply) == {"web": "failed", "db": "ready"}


def test_restart(lab):
    """The answer comes when the new life is ready."""
    lab.up("web")
    pid = lab.jobs["web"].process.pid
    caller = lab.connect()

    caller.say(do="restart", services=["web"])
    assert caller.silent()
    lab.end("web")

    web = caller.hear()["services"][0]
    assert (web["state"], web["restarts"]) == ("ready", 1)
    assert web["pid"] != pid


def test_restart_what_does_not_run(lab):
    """It starts."""
    assert states(lab.connect().ask(do="restart")) == {"web": "ready", "db": "ready"}


def test_nothing_starts_at_the_end(tmp_path):
    """While the run is ending only a stop is taken."""
    lab = Lab(str(tmp_path), ending=lambda: True)
    with contextlib.closing(lab):
        caller = lab.connect()

        assert caller.ask(do="start")["error"] == "cannot start: the run is ending"
        assert caller.ask(do="restart")["error"] == "cannot restart: the run is ending"
        assert caller.ask(do="stop")["ok"] is True


def test_signal(lab):
    """A signal goes to the service; one that does not run is an error."""
    lab.up("web")
    caller = lab.connect()

    assert caller.ask(do="signal", number=10, services=["web"])["ok"] is True
    assert caller.ask(do="signal", number=12)["error"] == "cannot signal db: it is not running"
    assert lab.jobs["web"].process.signals == [10, 12]


def test_signal_during_backoff(lab):
    """There is no process to signal, and the service is not said to be down."""
    lab.jobs["web"].lifecycle.restart = policy(on="on_failure")
    lab.up("web")
    lab.end("web", 3)

    assert lab.connect().ask(do="signal", number=10, services=["web"])["error"] == (
        "cannot signal web: it is in backoff, and has no process to signal: devport restart web starts it now"
    )


def test_wait(lab):
    """Ready is waited for through whatever comes before; what cannot be is said at once."""
    caller = lab.connect()

    assert caller.ask(do="wait")["error"] == (
        "cannot wait for web: it is stopped; cannot wait for db: it is stopped"
    )
    caller.say(id=1, do="start", services=["db"])
    caller.say(id=2, do="wait", services=["db"])
    caller.say(id=3, do="wait", services=["db"], state="stopped")
    assert [caller.hear()["id"] for _ in range(2)] == [1, 2]
    assert caller.silent()
    lab.end("db", 0)
    assert states(caller.hear()) == {"db": "exited"}


def test_events(lab):
    """Each change of state is told, after the states as they are."""
    caller = lab.connect()
    assert states(caller.ask(id=5, do="events", services=["web"])) == {"web": "stopped"}

    lab.up("db", "web")
    lab.end("web", 1)

    heard = [caller.hear() for _ in range(3)]
    assert [(one["id"], one["event"], one["before"], one["state"]) for one in heard] == [
        (5, "up", "stopped", "starting"),
        (5, "spawned", "starting", "ready"),
        (5, "exited", "ready", "exited"),
    ]
    assert heard[1]["pid"] == lab.spawner.next
    assert {one["service"] for one in heard} == {"web"}
    assert (heard[2]["status"], heard[2]["error"]) == (1, "exited with status 1")
    assert heard[2]["time"].endswith("Z")
    assert caller.silent()


def test_events_of_a_probed_service(lab):
    """Its spawn is told, although it is starting before and after: somebody may wait for its start alone."""
    lab.jobs["web"].lifecycle.probed = True
    caller = lab.connect()
    caller.ask(id=5, do="events", services=["web"])

    lab.tell("web", UP)

    heard = [caller.hear() for _ in range(2)]
    assert [(one["event"], one["state"], one["begun"]) for one in heard] == [
        ("up", "starting", False),
        ("spawned", "starting", True),
    ]
    assert caller.silent()


# logs


def test_logs(lab):
    """The last lines of each service, as text, an unfinished one included."""
    lab.up()
    lab.print("web", b"one\ntwo\nthr")
    lab.print("db", b"\xff\x1b[1m\n")
    caller = lab.connect()

    assert caller.ask(id=1, do="logs", lines=2)["logs"] == [
        {"service": "web", "text": "two\nthr"},
        {"service": "db", "text": "\udcff\x1b[1m\n"},
    ]
    assert caller.ask(do="logs", services=["web"])["logs"][0]["text"] == "one\ntwo\nthr"
    assert caller.ask(do="logs", services=["web"], lines=0)["logs"][0]["text"] == ""


def test_logs_of_many_services_share_an_answer(tmp_path):
    """However many services there are, an answer stays within its bound."""
    lab = Lab(str(tmp_path), names=[f"s{i}" for i in range(20)])
    with contextlib.closing(lab):
        for job in lab.jobs.values():
            job.feed(b"\x01 line\n" * 20000)

        logs = lab.connect().ask(do="logs")["logs"]

    assert {len(one["text"]) <= control.LOGS // 20 for one in logs} == {True}
    assert min(len(one["text"]) for one in logs) > control.LOGS // 20 - 10


def test_logs_after_the_end(lab):
    """What an ended service printed is still there."""
    lab.up("web")
    os.write(lab.spawner.pipes["hash-of-web"], b"last words")
    lab.end("web", 1)

    assert lab.connect().ask(do="logs", services=["web"])["logs"][0]["text"] == "last words"


def test_follow(lab):
    """First what is there, then what comes, without a gap; other services are not followed."""
    lab.up()
    lab.print("web", b"before\n")
    caller = lab.connect()
    reply = caller.ask(id=9, do="logs", services=["web"], follow=True)

    lab.print("db", b"other\n")
    lab.print("web", b"after\n")

    assert reply["logs"] == [{"service": "web", "text": "before\n"}]
    assert caller.hear() == {"id": 9, "service": "web", "text": "after\n"}
    assert caller.silent()


def test_follow_ends_with_the_client(lab):
    """When nobody follows any more, output costs nothing more than before."""
    lab.up()
    caller = lab.connect()
    caller.ask(do="logs", follow=True)
    assert len(lab.jobs["web"].taps) == 1

    caller.socket.close()

    lab.until(lambda: lab.jobs["web"].taps == [])
    assert lab.jobs["db"].taps == []


def test_a_slow_follower_loses_the_middle(lab):
    """A client that does not read costs bounded memory; it is told what it lost, and gets the newest."""
    lab.up("web")
    caller = lab.connect()
    caller.ask(do="logs", services=["web"], follow=True)
    [connected] = lab.control._clients
    chunk = b"".join(b"%07d\n" % number for number in range(32 << 10))
    largest = 0
    for _ in range(40):  # 10 MiB
        lab.jobs["web"].feed(chunk)
        largest = max(largest, connected.pending)
    lab.jobs["web"].feed(b"the end\n")

    text, lost = "", 0
    while not text.endswith("the end\n"):
        message = caller.hear()
        text += message["text"]
        lost += message.get("lost", 0)

    assert largest <= client.BOUND
    assert lost + len(text) == 40 * len(chunk) + 8
    assert lost > 5 << 20
    assert len(text) > LIMIT


def test_a_follower_that_reads_loses_nothing(lab):
    """Bursts of a megabyte do no harm to a client that takes them."""
    lab.up("web")
    caller = lab.connect()
    caller.ask(do="logs", services=["web"], follow=True)
    sent, heard = 0, ""
    for number in range(40):
        chunk = b"%d %s\n" % (number, b"x" * (256 << 10))
        lab.jobs["web"].feed(chunk)
        sent += len(chunk)
        while len(heard) < sent:
            message = caller.hear()
            assert "lost" not in message
            heard += message["text"]

    assert heard.count("\n") == 40


# clients that misbehave


def test_a_large_answer_is_no_reason_to_be_dropped(tmp_path):
    """The status of thousands of services is more than a client may leave unread, and arrives."""
    lab = Lab(str(tmp_path), facts=lambda job: {"more": "x" * client.BOUND})
    with contextlib.closing(lab):
        caller = lab.connect()

        assert len(caller.ask(do="status")["services"][1]["more"]) == client.BOUND
        assert caller.ask(id=2, do="status")["id"] == 2


def test_a_client_that_takes_no_events_is_dropped(lab):
    """Beyond its bound it is hung up on; everybody else is served."""
    lazy, other = lab.connect(), lab.connect()
    lazy.ask(do="events", services=["db"])
    lab.up("db")
    job = lab.jobs["db"]
    job.lifecycle.fault = "x" * 1000
    largest = 0
    for _ in range(3000):
        for event, state in ((UP, State.STOPPED), (SPAWNED, State.STARTING)):
            lab.control.observe(control.Transition(job, state, event))
            largest = max([largest, *(one.pending for one in lab.control._clients)])
        if len(lab.control._clients) == 1:
            break

    assert lazy.hung_up()
    assert largest <= client.BOUND + 4096
    assert other.ask(do="status")["ok"] is True


def test_requests_are_not_read_from_who_takes_no_answers(lab):
    """A client that asks and does not listen is not read from; what it asked is answered when it listens."""
    caller = lab.connect()
    requests, sent = json.dumps({"do": "status"}).encode() + b"\n", 0
    for _ in range(20000):
        try:
            sent += caller.socket.send(requests)
        except BlockingIOError:
            lab.turn()
            if lab.control._clients[0].pending >= client.FULL:
                break

    [connected] = lab.control._clients
    lab.turn(50)
    assert client.FULL <= connected.pending < 2 * client.FULL
    assert lab.loop._control.select(0) == []  # nor does it keep the loop busy
    assert sent // len(requests) > 100
    assert [caller.hear()["ok"] for _ in range(sent // len(requests))].count(False) == 0


def test_a_request_waits_behind_output(lab):
    """Who has much to read is not served further before most of it is read."""
    lab.up("web")
    caller = lab.connect()
    caller.ask(do="logs", services=["web"], follow=True)
    [connected] = lab.control._clients
    lab.jobs["web"].feed(b"x" * (client.ROOM * 2))
    caller.say(do="stop", services=["web"])

    while len(caller.buffer) < 200 << 10:
        caller.read()
        lab.turn()
    assert connected.pending >= client.FULL
    assert lab.jobs["web"].process.signals == []

    lab.until(lambda: caller.read() or lab.jobs["web"].process.signals == [15])


def test_one_request_a_turn(lab):
    """A thousand requests at once are taken one by one, between everything else that happens."""
    caller = lab.connect()
    caller.say(b'{"do": "status", "services": []}\n' * 100)
    lab.turn(10)
    caller.read()

    assert 1 <= caller.buffer.count(b"\n") <= 10


def test_requests_in_pieces(lab):
    """A request may come byte by byte, and two may come in one piece."""
    caller = lab.connect()
    for byte in b'{"id": 1, "do": "status"}\n':
        caller.say(bytes([byte]))
        lab.turn()
    assert caller.hear()["id"] == 1

    caller.say(b'\n  \n{"id": 2, "do": "status"}\r\n{"id": 3, "do": "status"}\n')
    assert [caller.hear()["id"], caller.hear()["id"]] == [2, 3]


def test_a_request_that_is_too_long(lab):
    """It is refused, and the client is hung up on."""
    caller = lab.connect()
    caller.say(b"x" * (client.LINE + 1))

    assert caller.hear() == {
        "id": None,
        "ok": False,
        "error": "cannot understand the request: it is longer than 65536 bytes",
    }
    assert caller.hung_up()


def test_the_longest_request(lab):
    """Just within the bound it is taken."""
    caller = lab.connect()
    request = b'{"do": "status"}'
    caller.say(request + b" " * (client.LINE - len(request) - 1) + b"\n")

    assert caller.hear()["ok"] is True


@pytest.mark.parametrize("line", [b"junk", b"[]", b'{"do": "stpo"}', b'{"do": "stop", "services": ["wbe"]}'])
def test_an_error_ends_nothing(lab, line):
    """The client is told, and may ask again."""
    caller = lab.connect()
    caller.say(line + b"\n")

    assert caller.hear()["ok"] is False
    assert caller.ask(id=1, do="status")["ok"] is True


def test_an_unknown_service(lab):
    """The nearest one is named, and nothing is done to the others."""
    lab.up()

    reply = lab.connect().ask(id=4, do="stop", services=["web", "ddb"])

    assert reply == {"id": 4, "ok": False, "error": "cannot stop: no such service: ddb (did you mean db?)"}
    assert lab.jobs["web"].process.signals == []


def test_a_mistake_of_ours_ends_nothing(tmp_path):
    """An exception while a request is answered is that client's error, and nobody else's."""

    def facts(job):
        raise ZeroDivisionError("oops")

    lab = Lab(str(tmp_path), facts=facts)
    with contextlib.closing(lab):
        caller = lab.connect()

        assert caller.ask(id=1, do="status")["error"] == "cannot answer: ZeroDivisionError: oops"
        assert caller.ask(id=2, do="logs")["ok"] is True


def test_too_many_unanswered_requests(lab):
    """One client has so many at a time, streams included."""
    lab.up()
    caller = lab.connect()
    for _ in range(OWED):
        caller.say(do="wait", state="stopped", services=["web"])
    assert caller.silent()

    assert caller.ask(do="events")["error"] == f"cannot follow events: {OWED} requests are not answered yet"
    lab.end("web")
    assert [caller.hear()["ok"] for _ in range(OWED)] == [True] * OWED


def test_too_many_clients(lab):
    """One too many is told so; when one leaves there is room again."""
    lab.control.most = 50
    callers = [lab.connect() for _ in range(50)]
    late = lab.connect()
    assert late.hear()["error"] == "cannot take another client: 50 are connected"
    assert late.hung_up()

    callers[0].socket.close()
    lab.turn(2)

    assert lab.connect().ask(do="status")["ok"] is True


@pytest.mark.parametrize(("descriptors", "most"), [(64, 16), (1024, 256), (8192, 1024), (-1, 1024)])
def test_how_many_clients(lab, monkeypatch, descriptors, most):
    """As many as wait for a service of a big project, and never most of the descriptors."""
    monkeypatch.setattr(control.resource, "getrlimit", lambda _number: (descriptors, -1))
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made = Control(f"{folder}/socket", lab.loop, lab.jobs)
        made.close()

    assert made.most == most


def test_half_closed(lab):
    """A client that has shut down its side still gets every answer, the late ones too."""
    lab.up()
    caller = lab.connect()
    caller.say(b'{"id": 1, "do": "stop", "services": ["web"]}\n{"id": 2, "do": "status"}')
    caller.socket.shutdown(socket.SHUT_WR)

    assert caller.hear()["id"] == 2
    lab.end("web")

    assert caller.hear()["id"] == 1
    assert caller.hung_up()
    assert lab.control._clients == []


def test_half_closed_and_idle_costs_nothing(lab):
    """One that waits for ever does not wake the loop."""
    lab.up()
    caller = lab.connect()
    caller.say(do="wait", state="stopped")
    caller.socket.shutdown(socket.SHUT_WR)
    lab.turn(5)

    assert lab.loop._control.select(0.05) == []


def test_a_hundred_clients_that_vanish(lab):
    """They leave no descriptor, whatever they had asked for."""
    lab.up()
    lab.turn()
    before = _descriptors()
    for number in range(100):
        caller = Caller(lab)
        caller.say(
            [b"", b'{"do": "status"', b'{"do": "wait", "state": "stopped"}\n', b"\n"][number % 4] or b" "
        )
        if number % 8 == 6:
            caller.socket.shutdown(socket.SHUT_WR)
        if number % 3:
            lab.turn(2)
        caller.socket.close()

    lab.until(lambda: lab.control._clients == [] or Caller(lab).socket.close())
    assert _descriptors() <= before
    assert lab.control._waiters == []


def test_half_closed_ones_that_vanish_later(lab):
    """They wake nobody when they go, and are found when the next one comes."""
    lab.up()
    callers = [lab.connect() for _ in range(lab.control.most)]
    for caller in callers:
        caller.say(do="wait", state="stopped")
        caller.socket.shutdown(socket.SHUT_WR)
    lab.turn(5)
    assert len(lab.control._clients) == lab.control.most
    for caller in callers:
        caller.socket.close()

    assert lab.connect().ask(do="status")["ok"] is True
    assert len(lab.control._clients) == 1
    assert lab.control._waiters == []


def test_out_of_descriptors(lab):
    """Who cannot be accepted waits, without keeping the loop busy, until somebody leaves."""
    first = lab.connect()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = Caller(lab)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), limits[1]))
    spare = []
    try:
        with contextlib.suppress(OSError):
            while True:
                spare.append(os.open(os.devnull, os.O_RDONLY))
        lab.turn(3)
        assert lab.loop._control.select(0) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in spare:
            os.close(descriptor)
    first.socket.close()

    assert waiting.hear()["devport"] == 1


NOISE = st.binary(max_size=200)
WORDS = st.sampled_from(
    [
        *control.PHRASES,
        "id",
        "do",
        "services",
        "number",
        "lines",
        "follow",
        "state",
        "web",
        "db",
        1,
        None,
        True,
    ]
)
REQUESTS = st.builds(
    lambda fields: json.dumps(fields).encode() + b"\n",
    st.dictionaries(WORDS.map(str), WORDS | st.lists(WORDS, max_size=3), max_size=5),
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(NOISE | REQUESTS, max_size=6), st.sampled_from(["close", "shut", "stay"]))
def test_noise(lab, pieces, end):
    """Whatever one client sends, the next one is answered."""
    caller = Caller(lab)
    for piece in pieces:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if piece:
                caller.say(piece)
        lab.turn()
    if end == "shut":
        with contextlib.suppress(OSError):
            caller.socket.shutdown(socket.SHUT_WR)
    elif end == "close":
        caller.socket.close()
    lab.turn(2)

    other = lab.connect()
    reply = other.ask(id="next", do="status")

    assert (reply["id"], reply["ok"], len(reply["services"])) == ("next", True, 2)
    for one in (caller, other):
        one.socket.close()
        lab.callers.remove(one)
    lab.turn(3)


def test_noise_by_the_megabyte(lab):
    """A megabyte of anything is refused without being kept."""
    caller = lab.connect()
    noise = os.urandom(1 << 16).replace(b"\n", b"")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(16):
            caller.say(noise)

    assert lab.connect().ask(do="status")["ok"] is True


# the end


def test_whoever_waits_is_told_of_the_end(lab):
    """The last answers are given before the socket is gone."""
    lab.up()
    caller = lab.connect()
    caller.say(id=1, do="wait", state="stopped", services=["web"])
    assert caller.silent()

    lab.control.close()

    reply = caller.hear()
    assert (reply["id"], reply["ok"]) == (1, False)
    assert reply["error"] == "cannot wait for web: devport is ending"
    assert caller.hung_up()
    assert not os.path.exists(lab.path)


def test_the_end_waits_for_slow_clients(lab, monkeypatch):
    """What is queued is handed over to a client that takes it slowly, while the supervisor ends."""
    monkeypatch.setattr(control, "FLUSH", PATIENCE)  # how long is another test's: this machine may be busy
    lab.up("web")
    caller = lab.connect()
    caller.say(do="logs", services=["web"], follow=True)
    lab.turn(3)
    lab.jobs["web"].feed(b"z" * (400 << 10))
    assert lab.control._clients[0].pending > 0
    heard = bytearray()

    def read():
        caller.socket.settimeout(PATIENCE)
        while data := caller.socket.recv(16 << 10):
            heard.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    lab.control.close()
    reader.join()

    assert heard.count(b"z") == 400 << 10


def test_the_end_does_not_wait_for_dead_clients(lab):
    """Half a second, however many there are."""
    lab.up("web")
    for _ in range(20):
        lab.connect().ask(do="logs", services=["web"], follow=True)
    lab.jobs["web"].feed(b"x" * (400 << 10))
    began = time.monotonic()

    lab.control.close()

    assert control.FLUSH * 0.9 < time.monotonic() - began < control.FLUSH + 3


# the socket's file


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_modes(tmp_path, umask):
    """The socket is 0600 in a folder of 0700, whatever the umask; the umask stays what it was."""
    before = os.umask(umask)
    try:
        with contextlib.closing(Lab(str(tmp_path))) as lab:
            modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (lab.path, os.path.dirname(lab.path))]
            kept = os.umask(umask)
    finally:
        os.umask(before)

    assert (modes, kept) == ([0o600, 0o700], umask)


def test_modes_where_the_folder_has_other_ideas(tmp_path):
    """A default ACL, which overrules the umask, does not open the socket."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    everything = b"".join(struct.pack("<HHI", tag, 7, 0xFFFFFFFF) for tag in (0x01, 0x04, 0x20))
    try:
        os.setxattr(run, "system.posix_acl_default", struct.pack("<I", 2) + everything)
    except OSError:
        pytest.skip("this file system has no access control lists")
    with contextlib.closing(Lab(str(tmp_path))) as lab:
        assert stat.S_IMODE(os.stat(lab.path).st_mode) == 0o600


def test_a_folder_that_is_open_to_others_is_closed(tmp_path):
    """A run folder of 0755 becomes 0700 before anything listens in it."""
    (tmp_path / "run").mkdir(mode=0o755)
    with contextlib.closing(Lab(str(tmp_path))) as lab:
        assert stat.S_IMODE(os.stat(os.path.dirname(lab.path)).st_mode) == 0o700


def test_a_stale_socket_is_replaced(tmp_path):
    """What a killed supervisor left behind is in nobody's way."""
    (tmp_path / "run").mkdir(mode=0o700)
    path = tmp_path / "run" / "test.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with contextlib.closing(Lab(str(tmp_path))) as lab:
        assert lab.connect().ask(do="status")["ok"] is True
    assert not path.exists()


def test_a_live_socket_is_not_stolen(lab):
    """Whoever listens there goes on; the second one is told."""
    with pytest.raises(DevportError) as caught:
        unix.Listener(lab.path)

    assert caught.value.message == f"cannot listen at {lab.path}: another process listens there"
    assert lab.connect().ask(do="status")["ok"] is True


def test_a_full_queue_is_alive(tmp_path):
    """A listener that is too busy to accept is not taken for a dead one."""
    (tmp_path / "run").mkdir(mode=0o700)
    path = str(tmp_path / "run" / "test.sock")
    callers = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                callers.append(socket.socket(socket.AF_UNIX))
                callers[-1].setblocking(False)
                callers[-1].connect(path)
        with pytest.raises(DevportError, match="another process listens there"):
            unix.Listener(path)
        assert unix.listener_pid(path) == 0
        for one in callers:
            one.close()

    assert os.path.exists(path)


def test_who_listens(lab, tmp_path, monkeypatch):
    """A listener is known by its pid; a path that is no address, and cannot be made one, has none."""
    assert unix.listener_pid(lab.path) == os.getpid()
    assert unix.listener_pid(f"{lab.path}.other") is None
    monkeypatch.setattr(kernel, "LINUX", False)  # which has another way to a long path

    assert unix.listener_pid(str(tmp_path / ("x" * unix.LONGEST))) is None


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_something_else_at_the_path(tmp_path, what):
    """What is no socket is left alone."""
    (tmp_path / "run").mkdir(mode=0o700)
    path = tmp_path / "run" / "test.sock"
    {"file": path.touch, "folder": path.mkdir, "link": lambda: path.symlink_to("/nowhere")}[what]()

    with pytest.raises(DevportError, match=r"cannot listen at .*: something that is no socket is there"):
        unix.Listener(str(path))
    assert path.is_symlink() or path.exists()


def test_only_its_own_socket_is_removed(lab, tmp_path):
    """A socket that somebody put in its place stays."""
    os.unlink(lab.path)
    with contextlib.closing(unix.Listener(lab.path)):
        lab.control.close()

        assert os.path.exists(lab.path)
        assert unix.is_alive(lab.path)


@pytest.mark.parametrize("length", [99, 100, 101, 107, 108, 109, 200, 1000])
def test_paths_of_any_length(length):
    """An address has 108 bytes, a path 4096: both ends manage."""
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        folder, end = top, len("/run/test.sock")
        while (rest := length - end - len(folder)) > 0:
            folder += "/" + "x" * (rest - 1 if rest < 150 else 100)
        with contextlib.closing(Lab(folder)) as lab:
            assert len(lab.path) == length
            assert lab.connect().ask(do="status")["ok"] is True
            assert unix.is_alive(lab.path)


def test_a_path_of_other_letters(tmp_path):
    """A path is bytes, of whatever language."""
    with contextlib.closing(Lab(str(tmp_path / "ünï \udcff"))) as lab:
        assert lab.connect().ask(do="status")["ok"] is True


def knock(path):
    """What user NOBODY hears at `path`: a process to wait for, and a descriptor to read."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(path)
                os.write(write, repr(caller.recv(100)).encode())
        except OSError as error:
            os.write(write, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(write)
    return pid, read


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("opened", "heard"), [(False, b"PermissionError"), (True, b"b''")])
def test_another_user_is_refused(opened, heard):
    """By the mode of the socket, and, should that be opened, by who the kernel says he is."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, contextlib.closing(Lab(folder)) as lab:
        os.chmod(folder, 0o755)
        if opened:
            os.chmod(os.path.dirname(lab.path), 0o755)
            os.chmod(lab.path, 0o666)
        pid, read = knock(lab.path)
        with open(read, "rb") as said:
            lab.until(lambda: select.select([said], [], [], 0)[0])
            words = said.read()
        os.waitpid(pid, 0)

        assert words == heard
        assert lab.control._clients == []
        assert lab.connect().ask(do="status")["ok"] is True


# the client side


@pytest.fixture
def remote_lab(lab):
    """A Lab whose loop turns by itself and runs what is appended to `todo`, and the holder that names it."""
    going = threading.Event()
    going.set()
    lab.todo = []

    def turn():
        while going.is_set():
            while lab.todo:
                lab.todo.pop(0)()
            lab.turn()

    thread = threading.Thread(target=turn)
    lab.holder = this_process(from_process(), "foreground")._replace(socket=lab.path)
    lab.up("web")
    lab.print("web", b"hello\n")
    thread.start()
    yield lab
    going.clear()
    thread.join()


def test_remote_requests(remote_lab):
    """Replies are matched; a refusal is raised with its reason."""
    with Remote.connect(remote_lab.holder) as remote:
        assert remote.request("status", services=["web"])["services"][0]["state"] == "ready"
        assert remote.request("logs", services=["web"])["logs"][0]["text"] == "hello\n"
        with pytest.raises(DevportError, match=r"no such service: wb \(did you mean web\?\)") as caught:
            remote.request("stop", services=["wb"])
        assert not isinstance(caught.value, Unreachable)
        assert remote.request("start")["ok"] is True


def test_remote_deadline(remote_lab):
    """A reply that does not come in time is not waited for, and a late one confuses nobody."""
    with Remote.connect(remote_lab.holder) as remote:
        remote.timeout = 0.05
        with pytest.raises(Unreachable, match="it does not answer"):
            remote.request("wait", state="stopped", services=["web"])
        remote.timeout = PATIENCE
        assert remote.request("status")["services"][0]["state"] == "ready"


def test_remote_stream(remote_lab):
    """A stream begins with the reply, and ends when the other side does."""
    web, todo = remote_lab.jobs["web"], remote_lab.todo
    with Remote.connect(remote_lab.holder) as remote:
        stream = remote.stream("logs", services=["web"], follow=True)
        assert next(stream)["logs"][0]["text"] == "hello\n"
        todo.append(lambda: web.feed(b"world\n"))
        assert next(stream)["text"] == "world\n"
        todo.append(lambda: web.feed(b"!"))
        assert select.select([remote], [], [], PATIENCE)[0] == [remote]
        assert [one["text"] for one in remote.take()] == ["!"]
        assert remote.take() == []
        todo.append(lambda: [connected.close() for connected in list(remote_lab.control._clients)])
        assert list(stream) == []
        assert remote.take() is None


def test_remote_of_somebody_without_a_socket(tmp_path):
    """There is nothing to connect to."""
    with pytest.raises(Unreachable, match="it has no control socket"):
        Remote.connect(this_process(from_process(), "run"))


def test_remote_of_the_dead(tmp_path):
    """A holder that is gone is not waited for."""
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"cannot reach devport \(pid 1\): it has ended"):
        Remote.connect(Holder(1, "earlier", socket=str(tmp_path / "x")), PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2


def test_remote_of_somebody_who_has_just_begun(tmp_path):
    """Its socket is waited for."""
    holder = this_process(from_process(), "foreground")._replace(socket=str(tmp_path / "run" / "test.sock"))
    labs = []

    def begin():
        procs.elapse(0.2)
        labs.append(Lab(str(tmp_path)))
        labs[0].until(lambda: labs[0].control._clients)
        labs[0].until(lambda: not labs[0].control._clients)

    thread = threading.Thread(target=begin)
    thread.start()
    try:
        with Remote.connect(holder, PATIENCE) as remote:
            assert remote.request("status")["ok"] is True
    finally:
        thread.join()
        labs[0].close()


def test_remote_of_the_absent(tmp_path):
    """Who lives and does not listen is given up after the timeout."""
    holder = this_process(from_process(), "foreground")._replace(socket=str(tmp_path / "none"))
    with pytest.raises(Unreachable, match="No such file or directory"):
        Remote.connect(holder, 0.1)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "it does not answer"),
        (None, "it hung up"),
        (b"HTTP/1.1 400 Bad Request\r\n", "it does not speak devport's protocol"),
        (b"[1]\n", "it does not speak devport's protocol"),
        (b'{"devport": 2, "version": "9.9"}\n', r"it speaks another protocol \(version 9.9\)"),
        (b'{"devport": 1, "version": "0.1.0", "pid": 1}\n', "another process listens there"),
        (b'{"id": null, "ok": false, "error": "cannot take"}\n', "cannot take"),
    ],
)
def test_remote_of_strangers(tmp_path, said, why):
    """Whoever greets otherwise is not talked to."""
    path = str(tmp_path / "sock")
    holder = this_process(from_process(), "foreground")._replace(socket=path)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(path)
        stranger.listen()

        def greet():
            other, _ = stranger.accept()
            with other:
                if said is not None:
                    other.sendall(said)
                    other.recv(1)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(Unreachable, match=why):
            Remote.connect(holder, 0.3 if said == b"" else PATIENCE)
        thread.join()


def test_remote_of_a_trickle(tmp_path):
    """A byte now and then does not keep a deadline from passing."""
    path = str(tmp_path / "sock")
    holder = this_process(from_process(), "foreground")._replace(socket=path)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(path)
        stranger.listen()

        def greet():
            other, _ = stranger.accept()
            with other, contextlib.suppress(OSError):
                while True:
                    other.send(b" ")
                    procs.elapse(0.01)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(Unreachable, match="it does not answer"):
            Remote.connect(holder, 0.3)
        thread.join()
