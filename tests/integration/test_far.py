"""Services of other supervisors, as one that waits for them sees them, whatever state those are in."""

import _socket
import itertools
import json
import os
import socket

import pytest
from support.engine import engine, make_job, run_for, run_until

from devport.errors import DevportError
from devport.model import Dependency, Listen, Policy, Probe, StopPolicy
from devport.registry.locks import Holder, Lock, process_start
from devport.registry.record import Record
from devport.registry.store import Store
from devport.sources.assembly import Sources
from devport.sources.conditions import Seen
from devport.sources.far import Far

HASH = "0123456789"
DB = Dependency("db", "ready", HASH)


@pytest.fixture
def loop():
    """A loop of the test's own."""
    with engine() as made:
        yield made


@pytest.fixture
def store(tmp_path):
    """An empty state folder."""
    store = Store(str(tmp_path / "state"), lambda: 0.0)
    store.prepare()
    return store


@pytest.fixture
def far(loop, store):
    """What is seen of others; closed in the end."""
    made = Far(loop, store, (), lambda _hash, _again: None)
    yield made
    made.close()


@pytest.fixture
def hold(store):
    """Takes the lock of the service, as a process of some `mode` does."""
    locks = []

    def take(mode, path=""):
        holder = Holder(os.getpid(), process_start(os.getpid()) or "", mode=mode, socket=path)
        lock = Lock.acquire(store.lock_path(HASH), holder)
        assert isinstance(lock, Lock)
        locks.append(lock)

    yield take
    for lock in locks:
        lock.release()


def listener(path):
    """A socket that listens at `path`."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(64)
    made.setblocking(False)
    return made


def test_damaged_record(far, store):
    """A record that cannot be read is one that says nothing, and ends no loop."""
    with open(store.path(HASH), "w", encoding="ascii") as file:
        file.write("{")
    os.chmod(store.path(HASH), 0o600)

    assert far.seen(DB) == Seen()


def test_lock_that_cannot_be_looked_at(far, store):
    """Somebody may run it: it is waited for."""
    os.symlink("/nowhere", store.lock_path(HASH))

    assert far.seen(DB).coming
    far.look(HASH)
    far.greet([(HASH, "1" * 10)])


def test_run_alone_in_a_terminal(far, hold):
    """`devport run db` has no control socket: that it runs is all there is to know, and it counts."""
    hold("run")

    assert far.seen(DB).was_ready


def test_no_descriptors(loop, far, hold, store, monkeypatch):
    """Where there is no socket to be had, it is tried again."""
    path = f"{store.root}/run/x.sock"
    hold("background", path)
    with listener(path) as db:
        real, refused = _socket.socket, []

        def none(*_words):
            refused.append(True)
            raise OSError(24, os.strerror(24))

        monkeypatch.setattr(_socket, "socket", none)
        far.seen(DB)
        run_until(loop, lambda: len(refused) > 1)
        monkeypatch.setattr(_socket, "socket", real)
        asked = []
        loop.watch(db.fileno(), lambda: asked.append(db.accept()[0]))
        run_until(loop, lambda: asked)
        loop.unwatch(db.fileno())
        far.close()
        asked[0].close()


@pytest.mark.parametrize("answer", [b"", b'{"id": null, "ok": false, "error": "full"}\n', b"rubbish\n"])
def test_supervisor_that_hangs_up(loop, far, hold, store, answer):
    """One that takes no more clients is asked again, ever more rarely, and not as fast as the loop turns."""
    path = f"{store.root}/run/x.sock"
    hold("background", path)
    times = []
    least = [0.02 * 2**number for number in range(4)]  # seconds between two
    with listener(path) as db:

        def hang_up():
            times.append(loop.now())
            connection, _ = db.accept()
            connection.send(answer)
            connection.close()

        loop.watch(db.fileno(), hang_up)
        far.seen(DB)
        run_until(loop, lambda: len(times) > len(least))
        loop.unwatch(db.fileno())
        far.close()

    pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert [pause >= wanted for pause, wanted in zip(pauses, least, strict=True)] == [True] * len(least)


def test_greets_only_who_waits(loop, far, hold, store):
    """Each of those that wait hears of the service that it waits for, once."""
    path = f"{store.root}/run/x.sock"
    hold("background", path)
    heard = []
    with listener(path) as web:

        def take():
            connection, _ = web.accept()
            heard.append(json.loads(connection.recv(4096))["hash"])
            connection.close()

        loop.watch(web.fileno(), take)
        sources = Sources(loop, store, None)
        for token, dependents in (("a" * 10, (HASH,)), ("b" * 10, ()), ("c" * 10, ("d" * 10,))):
            job = make_job(loop, ("true",), name=token, token=token)
            sources.attach(job, Policy(dependents=dependents), StopPolicy(), None)
        sources.greet()
        run_until(loop, lambda: heard)
        run_for(loop, 0.1)
        loop.unwatch(web.fileno())
        sources.close()

    assert heard == ["a" * 10]


@pytest.mark.parametrize(
    "policy",
    [
        Policy(ready=Probe("http", host="example.com", port=80)),
        Policy(ready=Probe("tcp")),
        Policy(ready=Probe("log", pattern="(")),
        Policy(listen=(Listen("a", "unix_stream", "/tmp/\0"),)),
    ],
    ids=["host", "port", "pattern", "path"],
)
def test_policy_that_cannot_be(loop, store, tmp_path, policy):
    """A record edited by hand is an error for people, and leaves nothing of what was bound before."""
    sources = Sources(loop, store, None)
    first = make_job(loop, ("true",), name="first")
    path = str(tmp_path / "s")
    sources.attach(first, Policy(listen=(Listen("a", "unix_stream", path),)), StopPolicy(), None)
    assert os.path.exists(path)
    second = make_job(loop, ("true",), name="second")
    with pytest.raises(DevportError, match="cannot look after second: "):
        sources.attach(second, policy, StopPolicy(), None)

    assert not os.path.exists(path)


def test_owner_of_a_taken_port(loop, store, hold):
    """A port that cannot be listened on is somebody's, and a service of devport is called by its name."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        hold("background")
        store.write([Record(HASH, HASH[:3], port=port, name="api", entry="api", project="/x", cwd="/x")])
        sources = Sources(loop, store, None)
        job = make_job(loop, ("true",))
        with pytest.raises(DevportError, match=f"port {port} is in use by devport service api"):
            sources.attach(job, Policy(listen=(Listen("a", "tcp", f"127.0.0.1:{port}"),)), StopPolicy(), None)


def test_what_is_started_again_has_not_ended(loop, store, hold):
    """@succeeded stays met until the task is started again, wherever that runs."""
    path = f"{store.root}/run/x.sock"
    hold("background", path)
    with listener(path) as migrate:
        asked = []
        loop.watch(migrate.fileno(), lambda: asked.append(migrate.accept()[0]))
        sources = Sources(loop, store, None)
        job = make_job(loop, ("true",), blocked=True)
        after = (Dependency("migrate", "succeeded", HASH),)
        sources.attach(job, Policy(after=after), StopPolicy(), None)
        sources.hold_back()
        loop.then(sources.judge)
        run_until(loop, lambda: asked)

        def tell(**fields):
            asked[0].send(json.dumps({"id": 1, "begun": True, "status": 0, **fields}).encode() + b"\n")

        tell(services=[{"state": "exited", "begun": True, "status": 0}])
        run_until(loop, lambda: not job.lifecycle.blocked)
        tell(event="exited", before="starting", state="exited")
        run_for(loop, 0.1)
        assert not job.lifecycle.blocked
        tell(event="restart", before="exited", state="starting")
        run_until(loop, lambda: job.lifecycle.blocked)
        loop.unwatch(migrate.fileno())
        sources.close()
        asked[0].close()
