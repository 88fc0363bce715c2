"""Other processes steer `devport start` over its control socket."""

import contextlib
import glob
import json
import os
import select
import signal
import socket
import stat
import time

import pytest
from support import procs
from support.running import LATE, PATIENCE, child

from devport.engine import unix
from devport.errors import DevportError
from devport.registry.locks import held
from devport.remote import Remote, Unreachable

SLEEPER = "echo ready; exec sleep 1000"


def holder_of(devport, name, state=None):
    """Who holds the lock of the service called `name`."""

    def check():
        for path in glob.glob(f"{glob.escape(str(state or devport.state))}/locks/*.lock"):
            holder = held(path)
            if holder is not None and holder.name == name:
                return holder
        raise AssertionError(f"nobody holds {name}")

    return procs.eventually(check, PATIENCE)


@pytest.fixture
def remote(devport):
    """Connects to whoever runs a service; its requests may take their time on a busy machine."""
    with contextlib.ExitStack() as stack:
        yield lambda name="web": stack.enter_context(Remote.connect(holder_of(devport, name), PATIENCE))


def one(reply):
    """The only service in a reply."""
    [service] = reply["services"]
    return service


def test_status(devport, remote):
    """Each service's state, process and ports, as devport knows them."""
    devport.procfile(web=child("listener"), db=SLEEPER)
    running = devport.start()
    running.ready("web", "db")

    web, db = remote().request("status")["services"]

    assert (web["name"], web["state"], web["wanted"], web["restarts"]) == ("web", "ready", True, 0)
    assert {web["pid"], db["pid"]} == set(running.services(2))
    assert web["port"] in devport.ports
    assert db["port"] in devport.ports
    assert web["ports"] == {}
    assert web["uptime"] > 0
    assert holder_of(devport, "web").socket.endswith(f"/run/fg-{running.supervisor}.sock")
    assert running.stop()[0] == 143


def test_stop_and_start_of_one(devport, remote):
    """One service stops, its port is free when that is answered; the run goes on, and starts it again."""
    devport.procfile(web=child("listener"), db=SLEEPER)
    running = devport.start()
    running.ready("web", "db")
    control = remote()

    stopped = one(control.request("stop", services=["web"]))
    assert (stopped["state"], stopped["pid"]) == ("stopped", None)
    assert procs.is_free(stopped["port"])
    running.services(1)
    running.expect(rb"web stopped")

    started = one(control.request("start", services=["web"]))
    assert (started["state"], started["restarts"], started["port"]) == ("ready", 1, stopped["port"])
    running.ready("web")
    assert one(control.request("wait", services=["db"]))["state"] == "ready"
    assert running.stop()[0] == 143


@pytest.mark.parametrize("command", [SLEEPER, child("stubborn")], ids=["obedient", "stubborn"])
def test_the_reply_to_the_last_stop(devport, remote, command):
    """When the last service is stopped the run ends well, and who asked for it has been answered."""
    devport.procfile(web=command)
    running = devport.start("-t", "0.5")
    running.ready("web")
    control = remote()

    assert one(control.request("stop"))["state"] == "stopped"

    assert running.finish() == 0
    assert control.take(wait=True) is None
    assert os.listdir(devport.state / "run") == []


def test_a_hundred_last_stops(devport):
    """Everybody who asked for the end is answered before it."""
    devport.procfile(web=child("stubborn"))
    running = devport.start("-t", "0.5")
    running.ready("web")
    holder = holder_of(devport, "web")
    asked = [Remote.connect(holder, PATIENCE) for _ in range(50)]
    until = time.monotonic() + PATIENCE
    ids = [remote._send("wait", {"state": "stopped"}, until) for remote in asked]

    with Remote.connect(holder, PATIENCE) as control:
        control.request("stop")

    replies = [remote._receive(until) for remote in asked]
    for remote in asked:
        remote.close()
    assert [(reply["id"], reply["ok"]) for reply in replies] == [(id_, True) for id_ in ids]
    assert running.finish() == 0


def test_restart(devport, remote):
    """A new process, on the same port, that is said to be started; one life has no trace of the other."""
    devport.procfile(web=child("listener"), db=SLEEPER)
    running = devport.start()
    running.ready("web", "db")
    control = remote()
    before = one(control.request("status", services=["web"]))

    after = one(control.request("restart", services=["web"]))

    running.ready("web")
    assert (after["state"], after["port"], after["restarts"]) == ("ready", before["port"], 1)
    assert after["pid"] != before["pid"]
    assert not procs.is_alive(before["pid"])
    assert after["uptime"] <= before["uptime"] + PATIENCE
    assert running.stop()[0] == 143


def test_restart_of_what_cannot_start(devport, remote):
    """The reason comes back to who asked, and with --keep-going the others go on."""
    devport.procfile(web=child("listener"), db=SLEEPER)
    running = devport.start("--keep-going")
    running.ready("web", "db")
    control = remote()
    port = one(control.request("stop", services=["web"]))["port"]

    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        with pytest.raises(DevportError, match=rf"cannot start web: it failed: .*port {port}.* in use"):
            control.request("start", services=["web"])

    assert one(control.request("status", services=["db"]))["state"] == "ready"
    assert one(control.request("start", services=["web"]))["state"] == "ready"
    assert running.stop()[0] == 1  # a failure remains one


def test_signal(devport, remote):
    """Any signal reaches the service; one that ends it ends the run as its own end would."""
    devport.procfile(web=child("signals"), db=SLEEPER)
    running = devport.start()
    running.ready("web", "db")
    control = remote()

    control.request("signal", services=["web"], number=int(signal.SIGUSR1))
    running.expect(rb"web +\| got SIGUSR1")
    control.request("signal", services=["web"], number=int(signal.SIGKILL))

    assert running.finish() == 137


def test_logs(devport, remote):
    """What a service printed, without prefixes, a quiet one's too; then what it prints."""
    go = devport.folder / "go"
    devport.procfile(
        web=f"echo one; echo two; printf thr; while ! test -e {go}; do sleep 0.05; done; echo ee"
    )
    running = devport.start("--quiet", "web", "--keep-going")
    control = remote()

    def printed():
        assert control.request("logs")["logs"] == [{"service": "web", "text": "one\ntwo\nthr"}]

    procs.eventually(printed, PATIENCE)
    assert control.request("logs", lines=2)["logs"][0]["text"] == "two\nthr"
    with remote() as follower:
        stream = follower.stream("logs", services=["web"], follow=True, lines=1)
        assert next(stream)["logs"][0]["text"] == "thr"
        go.touch()
        assert next(stream)["text"] == "ee\n"
        assert list(stream) == []
    assert running.finish() == 0


def test_events(devport, remote):
    """Who follows events hears of each state of a restart, and of the end."""
    devport.procfile(web=SLEEPER)
    running = devport.start()
    running.ready("web")
    stream = remote().stream("events")
    assert one(next(stream))["state"] == "ready"

    remote().request("restart")
    assert [next(stream)["state"] for _ in range(3)] == ["stopping", "starting", "ready"]
    running.send(signal.SIGTERM)

    assert [event["state"] for event in stream] == ["stopping", "stopped"]
    assert running.finish() == 143


def test_nothing_starts_in_a_run_that_ends(devport, remote):
    """Once the run is ending a start is refused, and who waits for readiness is told."""
    devport.procfile(web=child("stubborn"), db=SLEEPER)
    running = devport.start("-t", "60")
    running.ready("web", "db")
    control, other = remote(), remote()
    running.send(signal.SIGTERM)
    running.expect(rb"SIGTERM received, stopping")

    with pytest.raises(DevportError, match="cannot start: the run is ending"):
        control.request("start", services=["db"])
    until = time.monotonic() + PATIENCE
    waits = other._send("wait", {"services": ["web"], "state": "ready"}, until)
    asks = other._send("status", {}, until)
    assert other._receive(until)["id"] == asks  # so the other request is known by now
    procs.elapse(procs.APART)
    running.send(signal.SIGTERM)
    reply = other._receive(until)
    assert (reply["id"], reply["ok"]) == (waits, False)
    assert reply["error"].startswith("cannot wait for web: it ")
    assert running.finish() == 143


@pytest.mark.parametrize("umask", ["0", "077"])
def test_modes(devport, umask):
    """Only this user reaches the socket, whatever the umask; the services get the caller's umask."""
    devport.procfile(web="umask; echo ready; exec sleep 1000")
    running = devport.start(setup=(f"umask={umask}",))
    running.expect(rb"web +\| 0" + umask.encode().rjust(3, b"0") + rb"\n")
    path = holder_of(devport, "web").socket
    with Remote.connect(holder_of(devport, "web"), PATIENCE):
        modes = [stat.S_IMODE(os.stat(one).st_mode) for one in (path, os.path.dirname(path))]

    assert modes == [0o600, 0o700]
    assert running.stop()[0] == 143


def test_a_state_folder_with_a_long_path(devport):
    """A path of more than 200 bytes is no obstacle."""
    state = devport.folder.joinpath(*["x" * 99] * 2)
    devport.procfile(web=SLEEPER)
    running = devport.start(env={"DEVPORT_HOME": str(state)})
    running.ready("web")
    holder = holder_of(devport, "web", state)

    with Remote.connect(holder, PATIENCE) as control:
        assert len(holder.socket) > 200
        assert one(control.request("status"))["state"] == "ready"
        assert one(control.request("stop"))["state"] == "stopped"
    assert running.finish() == 0
    assert os.listdir(state / "run") == []


def test_a_killed_run_leaves_a_socket_that_the_next_one_removes(devport):
    """Stale sockets do not pile up; that of a live run stays."""
    devport.procfile(web=SLEEPER, db=SLEEPER)
    first = devport.start("web")
    first.ready("web")
    dead = holder_of(devport, "web")
    Remote.connect(dead, PATIENCE).close()
    os.kill(first.supervisor, signal.SIGKILL)
    assert first.finish() == 137
    assert os.path.exists(dead.socket)
    with pytest.raises(Unreachable, match="it has ended"):
        Remote.connect(dead, PATIENCE)

    second = devport.start("db")
    second.ready("db")
    Remote.connect(holder_of(devport, "db"), PATIENCE).close()
    third = devport.start("web")
    third.ready("web")
    Remote.connect(holder_of(devport, "web"), PATIENCE).close()

    live = {f"fg-{running.supervisor}.sock" for running in (second, third)}
    assert set(os.listdir(devport.state / "run")) == live
    assert [second.stop()[0], third.stop()[0]] == [143, 143]


def test_without_a_control_socket(devport):
    """What is in the way of the socket is said, and the services run all the same."""
    devport.procfile(web="until test -e ../go; do sleep 0.05; done; exit 7")
    run = devport.state / "run"
    run.mkdir(parents=True, mode=0o700)
    # Python runs this first: each process that devport forks, the supervisor too, finds a folder there.
    place = f"lambda: os.makedirs({str(run)!r} + f'/fg-{{os.getpid()}}.sock', exist_ok=True)"
    devport.write("python/sitecustomize.py", f"import os\nos.register_at_fork(after_in_child={place})\n")
    path = os.pathsep.join(filter(None, (f"{devport.project}/python", os.environ.get("PYTHONPATH"))))

    running = devport.start(env={"PYTHONPATH": path})

    said = rb"/run/fg-\d+\.sock: something that is no socket is there; other commands cannot reach"
    running.expect_error(said)
    devport.write("../go", "")
    assert running.finish() == 7


def test_clients_that_vanish_leave_no_descriptor(devport):
    """A hundred who connect, ask and go, in every way: as many descriptors as before."""
    devport.procfile(web=SLEEPER)
    running = devport.start()
    running.ready("web")
    holder = holder_of(devport, "web")
    Remote.connect(holder, PATIENCE).close()
    supervisor = running.supervisor

    def descriptors():
        return len(os.listdir(f"/proc/{supervisor}/fd"))

    procs.idle(devport.tag)
    before = descriptors()
    asks = [b"", b"junk\n", b'{"do": "logs", "follow": true}\n', b'{"do": "wait", "state": "stopped"}\n']
    for number in range(100):
        with socket.socket(socket.AF_UNIX) as caller:
            unix.at(holder.socket, caller.connect)
            caller.send(asks[number % 4]) if asks[number % 4] else None
            if number % 5 == 0:
                caller.recv(1)

    def check():
        assert descriptors() <= before  # what was counted first may hold a client that was about to go

    procs.eventually(check)
    with Remote.connect(holder, PATIENCE) as control:
        assert one(control.request("status"))["state"] == "ready"
    assert running.stop()[0] == 143


def flood(running, size):
    """Read the next `size` bytes that the run prints."""
    until, end = time.monotonic() + 2 * PATIENCE, running.count + size
    while running.count < end:
        assert time.monotonic() < until, f"{end - running.count} of {size} bytes did not come"
        running.read(0.1)


def cost(running, size=100_000_000):
    """Seconds of the supervisor's processor time for the next `size` bytes that the run prints."""
    supervisor = running.supervisor
    flood(running, size // 4)  # what was asked for until now is done then
    before = procs.cpu_seconds(supervisor)
    flood(running, size)
    return procs.cpu_seconds(supervisor) - before


def test_hostile_clients_cost_a_flood_little(devport):
    """Clients that follow and do not read, or ask all the time: a flood goes on, in bounded memory."""
    devport.procfile(web="yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
    running = devport.start()
    running.keep = 1 << 20
    running.expect(rb"aaa")
    holder = holder_of(devport, "web")
    Remote.connect(holder, PATIENCE).close()
    alone = cost(running)
    with contextlib.ExitStack() as stack:
        for number in range(20):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            unix.at(holder.socket, caller.connect)
            caller.setblocking(False)
            asks = [{"do": "logs", "follow": True}] if number else [{"do": "status"}] * 1000
            caller.send(b"".join(json.dumps(ask).encode() + b"\n" for ask in asks))
        together = cost(running)
        with Remote.connect(holder, PATIENCE) as control:
            assert one(control.request("status"))["state"] == "ready"

    assert together < 4 * alone  # hardly more on an idle machine
    assert procs.peak_memory(running.supervisor) < 96 << 20
    assert running.stop()[1] < LATE


def test_answers_while_nobody_reads_the_output(devport, remote):
    """A stalled terminal does not keep the control socket from answering, nor a stop from its effect."""
    devport.procfile(web="yes", db=SLEEPER)
    _unread, out = devport.pipe()
    running = devport.start("--keep-going", stdout=out)
    running.services(2)
    procs.idle(devport.tag)
    control = remote()

    assert one(control.request("stop", services=["web"]))["state"] == "stopped"
    assert one(control.request("status", services=["db"]))["state"] == "ready"
    assert running.stop()[1] < 2 + LATE


def test_from_the_shell(devport):
    """`printf ... | nc -N`: one who shuts down its side after the last word is answered all the same."""
    devport.procfile(web=child("stubborn"), db=SLEEPER)
    running = devport.start("-t", "0.5")
    running.ready("web", "db")
    with socket.socket(socket.AF_UNIX) as caller:
        holder = holder_of(devport, "web")
        Remote.connect(holder, PATIENCE).close()
        unix.at(holder.socket, caller.connect)
        caller.sendall(b'{"do": "stop", "services": ["web"]}')
        caller.shutdown(socket.SHUT_WR)
        caller.settimeout(PATIENCE)
        said = b""
        while data := caller.recv(65536):
            said += data

    greeting, reply = map(json.loads, said.splitlines())
    assert (greeting["devport"], reply["ok"], one(reply)["state"]) == (1, True, "stopped")
    assert running.stop()[0] == 143


def test_an_idle_run_with_clients_does_not_wake(devport, remote):
    """Clients that only wait cost no processor time."""
    devport.procfile(web=SLEEPER)
    running = devport.start()
    running.ready("web")
    streams = [remote().stream("logs", services=["web"], follow=True), remote().stream("events")]
    for stream in streams:
        next(stream)
    procs.idle(devport.tag, quiet=1.0)

    assert select.select([], [], [], 0)[0] == []
    assert running.stop()[0] == 143
