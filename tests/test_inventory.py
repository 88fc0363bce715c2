"""What services there are, and what is done to them: rows, stops, removals, logs; supervisors are faked."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devport
from devport import background
from devport.context import Context
from devport.errors import DevportError
from devport.inventory import logs, order, output, reach, readiness, removal, restart, rows, signalling, stop
from devport.inventory.display import Display, Plain
from devport.inventory.logs import LogFile
from devport.inventory.reach import Unanswered, deliver
from devport.inventory.readiness import Waiting
from devport.inventory.rows import Row, Status, details, fields, survey
from devport.inventory.usage import usage
from devport.model import StopPolicy
from devport.registry.holder import UNKNOWN, Holder, process_start, this_process
from devport.registry.locks import Lock, held
from devport.registry.record import Record, utc
from devport.registry.store import Store

SEEDS = ["hash", "hashid", "key", "status", "port", "no_port", "tailnet", "url", "cwd", "cmd", "last_up"]
CANARY = "s3cr3t-c4n4ry"


@pytest.fixture
def context(tmp_path):
    """A context with files as streams; `said(context)` is what its stderr got."""
    streams = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in ("in", "out", "err")]
    yield Context({}, str(tmp_path), str(tmp_path / "state"), *streams)
    for stream in streams:
        os.close(stream)


def said(context):
    return os.pread(context.stderr, 65536, 0).decode()


def printed(context):
    return os.pread(context.stdout, 1 << 20, 0)


@pytest.fixture
def store(context):
    made = Store(context.state_dir)
    made.prepare()
    return made


@pytest.fixture
def record(store):
    """Make records of services, numbered, and store them."""
    count = iter(range(1, 100))

    def make(name="web", **overrides):
        hash_ = f"{next(count):010x}"
        values = {
            "name": name,
            "entry": name,
            "project": "/shop",
            "cwd": "/shop",
            "cmd": ("true",),
            "env": (f"SECRET={CANARY}",),
        }
        made = Record(hash_, hash_, **{**values, **overrides})
        store.write([made])
        return made

    return make


@pytest.fixture
def hold(context, store):
    """Hold the lock of a record, as this process or as another that is made up."""
    locks = []

    def take(record, **overrides):
        holder = this_process(context, "background", record.label)._replace(**overrides)
        lock = Lock.acquire(store.lock_path(record.hash), holder)
        assert isinstance(lock, Lock)
        locks.append(lock)
        return lock

    yield take
    for lock in locks:
        lock.release()


class Sleeper(NamedTuple):
    """A process, and what a lock that it held would say."""

    process: subprocess.Popen
    holder: Holder


@pytest.fixture
def sleeper():
    """A process that only waits, as a holder of locks."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield Sleeper(process, Holder(process.pid, process_start(process.pid), mode="background"))
        process.kill()


class Supervisor:
    """A fake of the other side: what it is asked, and what it replies (a dict, or an error to raise)."""

    def __init__(self):
        self.asked, self.launched = [], []
        self.replies = {}
        self.silent = False
        self.streams = []

    def connect(self, holder, _patience):
        """Stands for `reach.connect`."""
        if self.silent or not holder.socket:
            raise Unanswered(f"cannot reach pid {holder.pid}")
        self.timeout = 0
        return self

    def request(self, do, **more):
        """Note the request, give the reply."""
        self.asked.append((do, more))
        reply = self.replies.get(do, {"ok": True})
        if isinstance(reply, Exception):
            raise reply
        return reply(more) if callable(reply) else reply

    def take(self):
        """The next messages of the stream."""
        return self.streams.pop(0) if self.streams else None

    def launch(self, _context, records, *, windows=True):
        """Stands for `background.launch`."""
        self.launched.append(([record.name for record in records], windows))
        return tuple(background.Outcome(record, None, fresh=True) for record in records)

    def close(self):
        """Hang up."""


@pytest.fixture
def supervisor(monkeypatch):
    fake = Supervisor()
    monkeypatch.setattr(reach, "connect", fake.connect)
    monkeypatch.setattr(output, "connect", fake.connect)
    monkeypatch.setattr(background, "launch", fake.launch)
    return fake


def status(*records, **overrides):
    """A supervisor's reply to `status`."""
    one = {"state": "ready", "pid": 4242, "uptime": 1.5, "restarts": 2, "since": "2024-01-01T00:00:00Z"}
    return {"ok": True, "services": [{"hash": record.hash, **one, **overrides} for record in records]}


# rows


def test_service_without_a_lock_file_is_stopped(context, store, record):
    """Nothing was ever held: nothing is asked, nothing is made."""
    [row] = survey(context, store, [record()])

    assert (row.status, row.holder, row.state, row.pid) == (Status.STOPPED, None, "stopped", None)
    assert os.listdir(store.locks) == []


def test_free_lock_is_a_stopped_service(context, store, record, hold):
    """The kernel's lock decides, not the file, nor what a killed supervisor wrote last."""
    web = record(state="ready")
    hold(web).release()

    [row] = survey(context, store, [web])

    assert (row.status, row.state) == (Status.STOPPED, "stopped")


@pytest.mark.parametrize("state", ["failed", "exited"])
def test_supervisors_last_word(context, store, record, state):
    """A service that ended for good is shown as it ended, with the reason."""
    [row] = survey(context, store, [record(state=state, error="exited with status 3")])

    assert (row.status, row.state, row.error) == (Status.STOPPED, state, "exited with status 3")


def test_running_service_tells_how_it_is(context, store, record, hold, supervisor):
    """A held lock is a running service; its supervisor knows the rest."""
    web = record()
    hold(web, socket="/s", port=19007)
    supervisor.replies["status"] = status(web)

    [row] = survey(context, store, [web])

    assert (row.status, row.state, row.pid, row.restarts, row.port) == ("running", "ready", 4242, 2, 19007)
    assert fields(row)["uptime"] == 1.5


def test_supervisor_that_does_not_answer(context, store, record, hold, supervisor):
    """It costs the details: what it last wrote into the record stands for them."""
    web = record(run={"pid": 77, "restarts": 1}, state="ready")
    hold(web, socket="/s")
    supervisor.silent = True

    [row] = survey(context, store, [web])

    assert (row.status, row.state, row.pid, row.restarts) == ("running", "ready", 77, 1)
    assert said(context) == ""


def test_foreground_run_is_asked_once(context, store, record, hold, supervisor):
    """Two services of one process are one question; one that it has stopped does not run, though locked."""
    web, api = record("web"), record("api")
    for one in (web, api):
        hold(one, socket="/s", mode="foreground")
    reply = status(web)
    reply["services"] += status(api, state="stopped", pid=None)["services"]
    supervisor.replies["status"] = reply

    found = survey(context, store, [web, api])

    assert [do for do, _ in supervisor.asked] == ["status"]
    assert [row.status for row in found] == [Status.RUNNING, Status.STOPPED]
    assert found[1].holder is not None


def test_all_supervisors_together_have_a_second(context, store, record, hold, monkeypatch):
    """Hundreds that hang cost no more than a few; the rest are still listed as running."""
    records = [record(f"web{n}") for n in range(20)]
    for number, one in enumerate(records):
        hold(one, socket=f"/s{number}", pid=os.getpid())
    clock = iter(range(100))
    asked = []

    def ask(_holder, _do, *, patience):
        asked.append(patience)
        raise Unanswered("hangs")

    monkeypatch.setattr(rows, "ask", ask)
    monkeypatch.setattr(rows, "together", lambda found: ((row.holder, [row]) for row in found))
    context = context._replace(now=lambda: next(clock) * 0.1)

    found = survey(context, store, records)

    assert len(asked) < 20
    assert max(asked) <= rows.PATIENCE_EACH
    assert {row.status for row in found} == {Status.RUNNING}


def test_lock_that_cannot_be_asked_is_unknown(context, store, record):
    """Neither running nor stopped, and the reason is told."""
    web = record()
    os.mkdir(store.lock_path(web.hash))

    [row] = survey(context, store, [web])

    assert row.status is Status.UNKNOWN
    assert row.why.startswith("cannot lock ")


def test_fields_are_the_seeds_first(context, store, record):
    """Scripts written for hayeah/devport find their fields; nothing tells the environment."""
    web = record(port=19003, ports={"http": 19003}, last_up="2024-05-06T07:08:09Z")

    [row] = survey(context, store, [web])

    assert list(fields(row))[: len(SEEDS)] == SEEDS
    assert CANARY not in json.dumps(details(row))
    assert "env" not in details(row)


def test_service_without_port_has_none(context, store, record):
    """no_port: the reserved port is not shown as one that is used."""
    [row] = survey(context, store, [record(port=19003, no_port=True, ports={"a": 19003})])

    assert (fields(row)["port"], fields(row)["ports"]) == (None, {})


# reaching a process


def test_signal_reaches_the_holder_only(sleeper):
    """A pid with another start time is somebody else's, however often it is tried."""
    forged = sleeper.holder._replace(started="another")

    assert not any(deliver(forged, signal.SIGKILL) for _ in range(100))
    assert sleeper.process.poll() is None
    assert deliver(sleeper.holder, signal.SIGKILL)
    assert sleeper.process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("pid", [0, 1, -1, None])
def test_pids_that_are_never_signalled(pid):
    """Nobody, init, everybody and this very process."""
    pid = os.getpid() if pid is None else pid
    assert not deliver(Holder(pid, process_start(pid) or "" if pid > 0 else ""), signal.SIGTERM)


def test_signal_without_pidfd(sleeper, monkeypatch):
    """Where there is no pidfd the start time is compared just before."""
    monkeypatch.delattr(os, "pidfd_open")

    assert not deliver(sleeper.holder._replace(started="another"), signal.SIGKILL)
    assert deliver(sleeper.holder, signal.SIGTERM)


def test_signal_to_somebody_who_is_gone():
    """It is told, and nobody else gets it."""
    with subprocess.Popen(["true"]) as process:
        started = process_start(process.pid)
        process.wait()

    assert not deliver(Holder(process.pid, started), signal.SIGTERM)


# stop


def stopped(context, store, *records, **options):
    """`stop` on `records`; what was done or why not."""
    found = stop.stop(context, store, survey(context, store, records), **options)
    return [outcome.error or outcome.did for outcome in found]


def test_stop_of_what_does_not_run(context, store, record):
    """It is so already, and that is no failure."""
    assert stopped(context, store, record()) == ["is not running"]


def test_stop_of_what_ends_before_it_can_be_named(context, store, record):
    """Its lock was held without a name when it was looked at, and is free when the name is asked for."""
    web = record()
    [row] = survey(context, store, [web])
    outcomes = stop.stop(context, store, [row._replace(status=Status.RUNNING, holder=UNKNOWN)])

    assert [outcome.did for outcome in outcomes] == ["is not running"]


def holder_process(store, record, program):
    """A process that holds the lock of `record` as a background supervisor, runs `program`, and ends."""
    code = (
        "import sys, os, signal\n"
        "from devport.registry.locks import Lock, this_process\n"
        "from devport.context import Context\n"
        "me = this_process(Context({}, '/', ''), 'background')\n"
        "lock = Lock.acquire(sys.argv[1], me)\n" + program
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, store.lock_path(record.hash)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    return process


OBEDIENT = "print('ready', flush=True); signal.pause()"
STUBBORN = "signal.signal(15, signal.SIG_IGN); print('ready', flush=True); signal.pause()"


def test_stop_returns_when_the_lock_is_free(context, store, record):
    """A background supervisor gets SIGTERM; the stop is over when nobody holds the lock."""
    web = record()
    with holder_process(store, web, OBEDIENT) as process:
        assert stopped(context, store, web) == ["stopped"]
        assert held(store.lock_path(web.hash)) is None
        assert process.wait() == -signal.SIGTERM


def test_end_of_a_run_that_a_service_was_stopped_in(context, store, record):
    """It ends with the run, and was not running before."""
    web = record()
    with holder_process(store, web, OBEDIENT) as process:
        [row] = survey(context, store, [web])
        outcomes = stop.stop(context, store, [row._replace(status=Status.STOPPED)], whole_runs=True)
        process.wait()

    assert [outcome.did for outcome in outcomes] == ["was not running"]


def test_stop_that_fails_names_what_is_left(context, store, record):
    """After the grace and a little more it is an error with the pid of who is still there."""
    web = record(stop=StopPolicy(grace=0.0))
    with holder_process(store, web, STUBBORN) as process:
        [error] = stopped(context, store, web, late=0.05)
        process.kill()

    assert error.startswith(f"cannot stop web: it is still running: pid {process.pid} ")


def test_stop_is_asked_of_a_foreground_run(context, store, record, hold, supervisor):
    """Its other services go on, so there is a request, one for all, and no signal; the lock stays."""
    web, api = record("web"), record("api")
    for one in (web, api):
        hold(one, socket="/s", mode="foreground")
    supervisor.replies["status"] = status(web, api)

    assert stopped(context, store, web, api) == ["stopped", "stopped"]
    assert [(do, more["services"]) for do, more in supervisor.asked if do == "stop"] == [
        ("stop", [web.hash, api.hash])
    ]


def test_foreground_run_that_does_not_answer(context, store, record, hold, supervisor):
    """A signal would end its other services as well, so it is an error that names them."""
    web, api = record("web"), record("api")
    for one in (web, api):
        hold(one, socket="/s", mode="foreground")
    supervisor.silent = True

    [error] = stopped(context, store, web)

    assert error == (f"cannot stop web: cannot reach pid {os.getpid()}, and a signal would end api as well")


def test_refusal_of_a_supervisor_is_the_error(context, store, record, hold, supervisor):
    """What it says is passed on, and not said twice."""
    web = record()
    hold(web, socket="/s", mode="foreground")
    supervisor.replies = {
        "status": status(web),
        "stop": DevportError("cannot stop web: it was started again"),
    }

    assert stopped(context, store, web) == ["cannot stop web: it was started again"]


def test_lock_of_nobody_that_can_be_named(context, store, record, hold, supervisor):
    """Garbage in a held lock: nobody is signalled."""
    web = record()
    supervisor.silent = True
    hold(web, started="another")

    [error] = stopped(context, store, web)

    assert error == "cannot stop web: its lock is held by a process that cannot be named"


@pytest.fixture
def obedient(hold, monkeypatch):
    """Runs a record as somebody who has ended as soon as he is told to, however busy the machine is."""

    def run(record):
        lock = hold(record)
        monkeypatch.setattr(stop, "deliver", lambda *_: lock.release())

    return run


def test_stop_waits_for_the_port(context, store, record, obedient):
    """A service is gone when its port is free too; a stranger who has it is named."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        web = record(port=port, stop=StopPolicy(grace=0.0))
        obedient(web)
        [did] = stopped(context, store, web, late=0.2)

    assert did.startswith(f"stopped; its port is in use: {port} by ")


def test_stop_does_not_wait_for_the_next_start(context, store, record):
    """Somebody starts it again at once: the old one is gone, and that was the wish."""
    web = record(stop=StopPolicy(grace=0.0))
    successor = []
    with holder_process(store, web, OBEDIENT) as process:

        def take_over():
            process.wait()
            successor.append(holder_process(store, web, OBEDIENT))

        thread = threading.Thread(target=take_over)
        thread.start()
        assert stopped(context, store, web) == ["stopped"]
        thread.join()
    assert held(store.lock_path(web.hash)).pid == successor[0].pid
    successor[0].kill()
    successor[0].communicate()


# restart


def restarted(context, store, *records):
    """`restart` of `records`; what was done or why not."""
    found = restart.restart(context, store, survey(context, store, records))
    return [outcome.error or outcome.did for outcome in found]


def test_restart_in_place(context, store, record, hold, supervisor):
    """Who runs it restarts it; nothing new is launched."""
    web = record()
    hold(web, socket="/s")
    supervisor.replies["status"] = status(web)

    assert restarted(context, store, web) == ["restarted"]
    assert ("restart", {"services": [web.hash]}) in supervisor.asked
    assert supervisor.launched == []


def test_restart_of_what_crashes_at_once(context, store, record, hold, supervisor):
    """It was up for a moment, and that is no restart."""
    web = record()
    hold(web, socket="/s")
    supervisor.replies["status"] = status(web, state="backoff", error="exited with status 1")

    assert restarted(context, store, web) == ["cannot restart web: exited with status 1 (it is tried again)"]


def test_restart_of_what_does_not_run(context, store, record, supervisor):
    """It is started in the background as it was before: in a window, or without tmux."""
    web, api = record("web", run={"window": "@1"}), record("api", run={"pid": 7})

    assert restarted(context, store, web, api) == ["started", "started"]
    assert supervisor.launched == [(["web"], True), (["api"], False)]


@pytest.mark.parametrize("windows", [True, False])
def test_restart_without_tmux(context, store, record, supervisor, windows):
    """Whoever has tmux no more asks for no windows."""
    web = record(run={"window": "@3"})
    restart.restart(context, store, survey(context, store, [web]), windows=windows)

    assert supervisor.launched == [(["web"], windows)]


def test_restart_of_what_only_ran_in_a_terminal(context, store, record, supervisor):
    """Its environment was never stored, so nothing is started with a wrong one."""
    [error] = restarted(context, store, record(env=()))

    assert error.startswith("cannot restart web: it never ran in the background")
    assert supervisor.launched == []


def test_restart_where_the_supervisor_hangs(context, store, record, supervisor):
    """A background supervisor that does not answer is ended, and a new one started."""
    web = record()
    supervisor.silent = True
    with holder_process(store, web, OBEDIENT):
        assert restarted(context, store, web) == ["started"]
    assert supervisor.launched == [(["web"], True)]


def test_one_that_fails_does_not_stop_the_others(context, store, record, hold, supervisor):
    """Each has its own outcome."""
    web, api = record("web"), record("api")
    hold(web, socket="/s")
    supervisor.replies["status"] = status(web)
    supervisor.replies["restart"] = DevportError("cannot restart web: it exited with status 1")

    assert restarted(context, store, web, api) == ["cannot restart web: it exited with status 1", "started"]


def test_errors_of_parallel_work_are_raised():
    """An unforeseen one is not lost in its thread."""
    with pytest.raises(ZeroDivisionError):
        restart.in_parallel(lambda number: 1 // number, [1, 0])
    assert restart.in_parallel(lambda number: number * 2, [3, 1, 2]) == [6, 2, 4]


# rm


def removed(context, store, *records, force=False):
    found = removal.remove(context, store, survey(context, store, records, live=False), force=force)
    return [outcome.error or outcome.did for outcome in found]


def test_rm_leaves_nothing(context, store, record, hold):
    """Record, damaged copies, lock, socket, log and its old files; nothing of another service."""
    web, api = record("web", port=19003), record("api")
    hold(web).release()
    logfile = store.log_path(web.hash)
    others = [store.log_path(api.hash), store.path(api.hash)]
    logs_ = (f"{logfile}{end}" for end in ("", ".1", ".3", ".times", ".1.times"))
    for path in (store.socket_path(web.hash), *logs_, others[0]):
        with open(path, "w", encoding="utf-8"):
            pass

    assert removed(context, store, web) == ["removed, port 19003 is free"]
    assert [name for folder in os.walk(store.root) for name in folder[2] if web.hash in name] == []
    assert all(map(os.path.exists, others))


def test_rm_keeps_the_record_while_it_is_exposed(context, store, record, monkeypatch):
    """A failed withdrawal must not leave an exposure that nothing tells of."""

    class Tailscale:
        @staticmethod
        def down(_context, _record):
            raise DevportError("cannot withdraw svc:0000000001: tailscale is not running")

    monkeypatch.setitem(sys.modules, "devport.tailscale", Tailscale)
    monkeypatch.setattr(devport, "tailscale", Tailscale, raising=False)
    web = record(tailnet=True)

    [error] = removed(context, store, web)

    assert error == "cannot remove web: cannot withdraw svc:0000000001: tailscale is not running"
    assert store.record(web.hash) == web


def test_rm_refuses_what_runs_in_a_terminal(context, store, record, hold):
    """Somebody sits in front of it; --force is for those who mean it."""
    web = record()
    hold(web, mode="foreground")

    [error] = removed(context, store, web)

    assert error.startswith("cannot remove web: it runs in a terminal (pid ")
    assert store.record(web.hash) == web


def test_rm_of_a_running_service(context, store, record):
    """It is stopped first."""
    web = record()
    with holder_process(store, web, OBEDIENT) as process:
        assert removed(context, store, web) == ["removed"]
        assert process.wait() == -signal.SIGTERM
    assert store.record(web.hash) is None


def test_f72_rm_does_not_call_a_port_free_that_somebody_has(context, store, record, obedient, monkeypatch):
    """Who it is, as a stop says it."""
    monkeypatch.setattr(order, "LATE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        web = record(port=port, stop=StopPolicy(grace=0.0))
        obedient(web)
        [did] = removed(context, store, web)

    assert did.startswith(f"removed; its port is in use: {port} by ")
    assert store.record(web.hash) is None


def test_rm_does_not_remove_what_was_started_meanwhile(context, store, record, hold, monkeypatch):
    """Whoever took the lock between stop and removal keeps service and record."""
    web = record()
    monkeypatch.setattr(removal, "stop_in_order", lambda *_, **__: hold(web) and [])

    [error] = removed(context, store, web)

    assert error.startswith("cannot remove web: it has been started again: pid ")
    assert store.record(web.hash) == web


# signal


def signalled(context, store, number, *records):
    found = signalling.send(survey(context, store, records), number)
    return [outcome.error or outcome.did for outcome in found]


def test_signal_goes_to_the_service(context, store, record, hold, supervisor):
    """Any but HUP is for its processes, and their supervisor passes it on."""
    web = record()
    hold(web, socket="/s")

    assert signalled(context, store, signal.SIGUSR2, web) == ["got SIGUSR2"]
    assert supervisor.asked[-1] == ("signal", {"services": [web.hash], "number": signal.SIGUSR2})


def test_hangup_goes_to_the_supervisor(context, store, record):
    """HUP means: restart in place."""
    web = record()
    with holder_process(store, web, OBEDIENT) as process:
        assert signalled(context, store, signal.SIGHUP, web) == ["restarts"]
        assert process.wait() == -signal.SIGHUP


def test_hangup_of_a_foreground_run(context, store, record, hold, supervisor):
    """There HUP would end everything, so the one service is restarted by request."""
    web = record()
    hold(web, socket="/s", mode="foreground")

    assert signalled(context, store, signal.SIGHUP, web) == ["restarts"]
    assert supervisor.asked[-1][0] == "restart"


def test_signal_for_what_does_not_run(context, store, record):
    """Nobody got it, which is a failure."""
    assert signalled(context, store, signal.SIGUSR1, record()) == ["cannot signal web: it is not running"]


# wait


def waited(context, store, *records, seconds=0.0):
    found = readiness.wait(context, store, records, context.now() + seconds)
    return [outcome.error or outcome.did for outcome in found]


def test_wait_asks_until_ready(context, store, record, hold, supervisor):
    """The supervisor answers when it is so."""
    web = record()
    hold(web, socket="/s")

    assert waited(context, store, web) == ["is ready"]
    assert supervisor.asked[0] == ("wait", {"services": [web.hash], "state": "ready"})


def test_wait_is_not_taken_in_by_a_moment(context, store, record, hold, supervisor):
    """Who is up and crashes at once is not ready, and that is what is said in the end."""
    web = record()
    hold(web, socket="/s")
    supervisor.replies["status"] = status(web, state="backoff", error="exited with status 1")

    assert waited(context, store, web, seconds=0.02) == [
        "cannot wait for web: it is not ready in time: exited with status 1 (it is tried again)"
    ]


def test_wait_times_out(context, store, record):
    """Really, and says what it was waiting for."""
    assert waited(context, store, record(), seconds=0.02) == [
        "cannot wait for web: it is not ready in time: it does not run"
    ]


@pytest.mark.parametrize("state", ["failed", "exited"])
def test_wait_gives_up_on_what_failed(context, store, record, state):
    """At once, however much time there is."""
    web = record(state=state, error="exited with status 3", last_up=utc(context.wall()))

    assert waited(context, store, web, seconds=1000) == [
        "cannot wait for web: it failed: exited with status 3"
    ]


def standing(context):
    """The same at a moment that lasts: what is to come within a second does, whenever the threads run."""
    return context._replace(now=lambda: 0.0)


def test_wait_does_not_give_up_on_yesterdays_failure(context, store, record, hold, supervisor):
    """Another terminal may be just about to start it; if none does, it is believed."""
    web = record(state="failed", error="given up", last_up=utc(context.wall() - 86400))
    clock = iter([0.0, 0.0, 0.5, 0.9, 1.1, 2.0])
    soon = Waiting(context._replace(now=lambda: next(clock)), store, web, 1000)

    found = [soon._settled(None) for _ in range(4)]

    assert found[:3] == [None, None, None]
    assert found[3].error == "cannot wait for web: it failed: given up"
    timer = threading.Timer(0.05, lambda: hold(web, socket="/s"))
    timer.start()
    assert waited(standing(context), store, web, seconds=20) == ["is ready"]
    timer.join()


def test_wait_for_what_ended_well(context, store, record):
    """It is settled: nothing more is to come of it, and that is no failure."""
    web = record(state="exited", last_up=utc(context.wall()))

    assert waited(context, store, web, seconds=0.02) == ["has completed"]


def test_wait_does_not_believe_an_earlier_end(context, store, record, hold, supervisor):
    """Another terminal may be just about to start it again, however recent the success is."""
    web = record(state="exited", last_up=utc(context.wall()))
    clock = iter([0.0, 0.0, 0.5, 0.9, 1.1])
    soon = Waiting(context._replace(now=lambda: next(clock)), store, web, 1000)

    assert [soon._settled(None) and soon._record.state for _ in range(4)] == [None, None, None, "exited"]
    timer = threading.Timer(0.05, lambda: hold(web, socket="/s"))
    timer.start()
    assert waited(standing(context), store, web, seconds=20) == ["is ready"]
    timer.join()


@pytest.mark.parametrize("gone", [True, False])
def test_wait_for_what_ends_well_meanwhile(store, hold, supervisor, gone, request):
    """What its supervisor says of it, or has written down where it is gone, is that it has completed."""
    context, record = map(request.getfixturevalue, ("context", "record"))
    web = record()
    lock = hold(web, socket="/s")

    def end(_more):
        store.update(web.hash, lambda old: old._replace(state="exited"))
        if gone:
            lock.release()
        raise DevportError("cannot wait for web: it exited with status 0")

    supervisor.replies["wait"] = end
    if not gone:
        supervisor.replies["status"] = status(web, state="exited", error=None, pid=None)

    assert waited(context, store, web, seconds=1000) == ["has completed"]


def test_wait_gives_up_when_it_is_told_so(context, store, record, hold, supervisor):
    """The supervisor knows that it will never be ready."""
    web = record()
    hold(web, socket="/s")
    supervisor.replies["wait"] = DevportError("cannot wait for web: it exited with status 1")

    assert waited(context, store, web, seconds=1000) == ["cannot wait for web: it exited with status 1"]


def test_wait_for_what_is_only_just_started(context, store, record, hold, supervisor):
    """It need not run yet."""
    web = record()
    timer = threading.Timer(0.05, lambda: hold(web, socket="/s"))
    timer.start()

    assert waited(context, store, web, seconds=20) == ["is ready"]
    timer.join()


def test_wait_ends_when_the_service_ends(context, store, record, hold, supervisor):
    """It ran, and now nobody holds its lock: it will not become ready by itself."""
    web = record()
    lock = hold(web, socket="/s")

    def hang_up(_more):
        lock.release()
        raise Unanswered("it hung up")

    supervisor.replies["wait"] = hang_up

    assert waited(context, store, web, seconds=1000) == ["cannot wait for web: it ended"]


# logs


@given(
    pieces=st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"a", b"\n")), max_size=4),
    lines=st.integers(0, 6),
    chunk=st.integers(1, 5),
)
def test_tail_of_rotated_files(tmp_path_factory, pieces, lines, chunk):
    """The last lines, whatever the size of chunks and files, are those of all files put together."""
    path = str(tmp_path_factory.mktemp("log") / "log")
    for number, piece in enumerate(reversed(pieces)):
        name = f"{path}.{number}" if number else path
        with open(name, "wb") as file:
            file.write(piece)
    everything = b"".join(pieces).split(b"\n")
    ended = everything[-1:] == [b""]
    kept = everything[-(lines + ended) :] if lines + ended else []
    expected = b"\n".join(kept) if lines else b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "CHUNK", chunk)
        log = LogFile(path)
        found = log.tail(lines)
        log.close()

    assert found == expected


def test_tail_without_a_log(tmp_path):
    """A service that never printed has none."""
    assert LogFile(str(tmp_path / "log")).tail(5) == b""


def test_log_of_somebody_elses_making_is_not_read(tmp_path):
    """A link there could lead anywhere."""
    (tmp_path / "log").symlink_to("/etc/passwd")

    with pytest.raises(DevportError, match="it is a symbolic link"):
        LogFile(str(tmp_path / "log"))


def test_log_is_followed_through_a_rotation(tmp_path):
    """Nothing is lost and nothing twice: the rest of the old file, then the new one."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    log = LogFile(str(path))

    assert log.tail(9) == b"one\n"
    assert log.more() == b""
    with path.open("ab") as file:
        file.write(b"two\n")
    path.rename(f"{path}.1")
    path.write_bytes(b"three\n")
    assert [log.more() for _ in range(4)] == [b"two\n", b"", b"three\n", b""]
    log.close()


def test_log_rotated_before_its_tail_is_read(tmp_path):
    """The file that was opened is `.1` by now, and is not read twice."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    log = LogFile(str(path))
    path.rename(f"{path}.1")
    path.write_bytes(b"two\n")

    assert log.tail(9) == b"one\n"
    assert [log.more() for _ in range(3)] == [b"", b"two\n", b""]
    log.close()


def test_log_that_comes_into_being(tmp_path):
    """Followed from its beginning."""
    log = LogFile(str(tmp_path / "log"))

    assert log.more() == b""
    (tmp_path / "log").write_bytes(b"one\n")
    assert log.more() == b"one\n"
    log.close()


def test_log_that_was_emptied(tmp_path):
    """What is written after it is shown."""
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    log = LogFile(str(path))
    path.write_bytes(b"")

    assert log.more() == b""
    path.write_bytes(b"two\n")
    assert log.more() == b"two\n"
    log.close()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"a\x1b[31mred\x1b[0m\r\n", b"ared\n"),
        (b"\x1b]0;title\x07x\r\n", b"x\n"),
        (b"50%\r100%\r\n", b"50%\r100%\n"),
        (b"\xff\x00\n", b"\xff\x00\n"),
        ("ä\n".encode(), "ä\n".encode()),
    ],
)
def test_plain_text_for_pipes(data, shown):
    """No escape sequences, no CR before an LF, however the bytes come; everything else as it is."""
    for size in (1, 2, 100):
        plain = Plain()
        pieces = [data[i : i + size] for i in range(0, len(data), size)]

        assert b"".join(map(plain.feed, pieces)) + plain.end() == shown


def shown(context, *fed, names=("web",), as_json=False):
    display = Display(context, list(names), as_json=as_json, colour=False)
    for name, data in fed:
        display.feed(name, data)
    display.end()
    return printed(context)


def test_one_service_is_shown_without_prefix(context):
    """As it was printed; an unfinished last line is ended."""
    assert shown(context, ("web", b"one\r\ntw"), ("web", b"o")) == b"one\ntwo\n"


def test_several_services_are_shown_as_in_the_foreground(context):
    """Prefixed, lines whole."""
    text = shown(context, ("web", b"one\n"), ("worker", b"two\n"), names=("web", "worker"))

    assert text == b"web    | one\nworker | two\n"


def test_lines_as_json(context):
    """An object a line, without escape sequences."""
    text = shown(context, ("web", b"\x1b[1mone\x1b[0m\r\ntw"), ("web", b"o"), as_json=True)

    assert [json.loads(line) for line in text.splitlines()] == [
        {"service": "web", "line": "one"},
        {"service": "web", "line": "two"},
    ]


def test_reader_that_has_gone(context):
    """`| head` ends a display even while nothing is printed."""
    reading, writing = os.pipe()
    display = Display(context._replace(stdout=writing), ["web"], as_json=False, colour=False)

    assert not display.closed
    os.close(reading)
    assert display.closed
    display.feed("web", b"x\n")
    display.end()
    os.close(writing)


def test_output_of_a_foreground_run(context, store, record, hold, supervisor):
    """One connection for all its services; what the run calls web.1 is shown under our name for it."""
    web, api = record("web"), record("api")
    for one in (web, api):
        hold(one, socket="/s", mode="foreground")
    logged = [
        {"service": "web.1", "text": "a\nd\n", "times": [[0, 1000.0], [2, 1002.0]]},
        {"service": "api", "text": "b\n", "times": [[0, 1001.0]]},
    ]
    supervisor.replies["logs"] = {"ok": True, "logs": logged}
    supervisor.streams = [[{"id": 1, "service": "web.1", "text": "c\udcff\n"}], [], None]
    names = {web.hash: "web", api.hash: "api"}
    display = output.Dated(context, ["web", "api"], as_json=True, colour=False)

    found = survey(context, store, [web, api], live=False)
    [source] = output.sources(store, found, names, follow=True)
    for piece in output.merged([source], 5):
        display.show(piece)
    assert [source.more(display) for _ in range(3)] == [True, False, False]
    assert source.ended
    display.end()

    asked = {"services": [web.hash, api.hash], "lines": 5, "follow": True, "times": True}
    assert supervisor.asked == [("logs", asked)]
    lines = [json.loads(line) for line in printed(context).splitlines()]
    assert [(one["service"], one["line"]) for one in lines] == [
        ("web", "a"),
        ("api", "b"),
        ("web", "d"),
        ("web", "c\udcff"),
    ]
    assert [one["time"] for one in lines[:3]] == [f"1970-01-01T00:16:4{n}.000Z" for n in range(3)]


def test_output_of_a_run_of_an_older_devport(context, store, record, hold, supervisor):
    """One that cannot say when its lines came is shown without times."""
    web = record("web")
    hold(web, socket="/s", mode="foreground")

    def reply(more):
        if "times" in more:
            raise DevportError("cannot show logs: no such field: times")
        return {"ok": True, "logs": [{"service": "web", "text": "a\nb\n"}]}

    supervisor.replies["logs"] = reply
    found = survey(context, store, [web], live=False)
    [source] = output.sources(store, found, {web.hash: "web"}, follow=False)

    assert list(output.merged([source], 5)) == [output.Piece("web", None, b"a\nb\n")]


def test_output_that_goes_to_a_terminal(context, store, record, hold):
    """`devport run` keeps nothing: an error says where to look."""
    web = record()
    hold(web, mode="run")
    rows_ = survey(context, store, [web], live=False)

    with pytest.raises(DevportError, match="cannot show the output of web: it goes to a terminal"):
        list(output.sources(store, rows_, {web.hash: "web"}, follow=False))


# what they use


def test_usage_counts_descendants():
    """A process with all that it has started; one that is gone is missing."""
    mine = usage({os.getpid()})[os.getpid()]
    with subprocess.Popen(["sleep", "1000"]) as child:
        small = usage({child.pid, os.getpid()})
        child.kill()

    assert mine.memory > small[child.pid].memory > 0
    assert small[os.getpid()].memory > small[child.pid].memory
    assert usage({child.pid}) == {}
    assert usage(()) == {}


def test_rows_of_unnamed_holders_are_not_one():
    """Two locks whose holders cannot be named may have two holders."""
    unknown = Holder(0, "")
    found = [Row(Record(hash_, hash_), Status.RUNNING, unknown) for hash_ in ("a" * 10, "b" * 10)]

    assert len(list(rows.together(found))) == 2
