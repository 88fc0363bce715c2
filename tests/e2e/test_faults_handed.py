"""The failure catalogue of reliability.md, F63 and F80 to F82: sockets handed on, and who is suspended."""

import os
import signal
import socket
import threading

import pytest
from support import frames, live, procs
from support.drill import trials
from support.frames import mark, told
from support.procs import eventually
from support.running import child

frame = frames.frame

FOREVER = "exec sleep 1000"


def port_of_nobody(frame):
    """A port that no service is given."""
    return frame.devport.ports.last


# F80, F81: sockets


def test_f80_who_is_to_accept(frame):
    """LISTEN_PID is the server's through a shell's exec and without one; its child gets no socket."""
    first = port_of_nobody(frame) - 3
    server = child("activated", "accept")
    bare = server.removeprefix("exec ")
    entries = {
        "simple": {"exec": bare},
        "script": {"exec": f"A=1; {server}"},
        "wrapped": {"exec": f"sh -c 'A=1; exec {bare}'"},
        "direct": {"exec": bare, "shell": False},
    }
    for number, entry in enumerate(entries.values()):
        entry["listen"] = [{"name": "http", "address": f"127.0.0.1:{first + number}"}]
    frame.write(entries)
    frame.up()
    frame.said("1 http AF_INET,SOCK_STREAM,blocking,listening", len(entries))
    frame.said("child 0", len(entries))

    frame.said("open 3", len(entries))
    assert "open 3 " not in frame.text()  # and no socket more
    for number, name in enumerate(entries):
        with socket.create_connection(("127.0.0.1", first + number), 20) as client:
            assert client.recv(100) == b"%d\n" % live.reached(frame.devport, name, "ready")["pid"]
    frame.down()


def test_f81_fifty_restarts_under_load(frame):
    """Clients that connect all the time while it is restarted: none is refused, all are answered."""
    port = port_of_nobody(frame)
    policy = {"on": "always", "max": None, "delay": 0, "max_delay": 0}
    frame.write(
        {
            "web": {
                "exec": f"{mark('runs')}; {child('activated', 'accept')}",
                "listen": [{"address": f"127.0.0.1:{port}"}],
                "restart": policy,
            }
        }
    )
    frame.up()
    frame.marked("runs", 1)
    served, failed, done = set(), [], threading.Event()

    def ask():
        while not done.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), 20) as client:
                    served.add(client.recv(100))
            except OSError as error:
                failed.append(error)
            done.wait(0.005)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        eventually(lambda: _served(served, frame.marks("runs")[0]))
        for number in range(1, 51):
            if number % 10 == 0:
                frame.do("restart", "--no-tmux", "web")
            else:
                procs.send(int(frame.marked("runs", number)[-1]), signal.SIGTERM)
            life = frame.marked("runs", number + 1)[-1]
            eventually(lambda pid=life: _served(served, pid))
    finally:
        done.set()
        for client in clients:
            client.join()
    assert failed == []
    assert b"" not in served
    assert len(served) == 51
    frame.down()


def _served(served, pid):
    assert f"{pid}\n".encode() in served


# F63, F82: who is suspended


def test_f82_service_that_hangs(frame):
    """Stopped by a debugger, say: SIGABRT once its period is over, which it hears, and a new life."""
    code = (
        "signal.signal(signal.SIGABRT, lambda *_: (mark('aborts', time.monotonic() - last), os._exit(6)))\n"
        "last = time.monotonic()\n"
        "mark('runs', os.getpid())\n"
        "say('READY=1')\n"
        "while True: now = time.monotonic(); say('WATCHDOG=1'); last = now; time.sleep(0.02)\n"
    )
    frame.write(
        {
            "web": {
                "exec": told(code),
                "ready": {"notify": True},
                "watchdog": {"usec": 2_500_000},
                "restart": {"delay": 0.02},
                "stop": {"timeout": 30},
            }
        }
    )
    frame.up()
    frame.reached("web", "ready")
    os.kill(int(frame.marked("runs", 1)[0]), signal.SIGSTOP)
    frame.marked("runs", 2)

    aborts = [float(line) for line in frame.marks("aborts")]  # seconds after the last of its pings
    assert len(aborts) == 1
    assert 2.5 < aborts[0] < 2.5 + 8
    assert live.reached(frame.devport, "web", "ready")["restarts"] == 1
    frame.down()


@pytest.mark.drill
def test_f63_f82_supervisor_that_was_suspended(frame):
    """Stopped for longer than a probe's deadline, its period and the watchdog, devport blames no service."""
    code = (
        "import http.server\n"
        "mark('runs', os.getpid())\n"
        "def answer():\n"
        "  http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Quiet).serve_forever()\n"
        "class Quiet(http.server.SimpleHTTPRequestHandler):\n"
        "  def log_message(self, *_): pass\n"
        "import threading\n"
        "threading.Thread(target=answer, daemon=True).start()\n"
        "say('READY=1')\n"
        "while True: say('WATCHDOG=1'); time.sleep(0.05)\n"
    )
    quick = {"period": 0.1, "probe_timeout": 2, "failure_threshold": 1}
    watched = {
        "exec": told(code),
        "watchdog": {"usec": 2_000_000},
        "ready": {"http": {"get": {"path": "/devport.yaml"}}, **quick},
        "live": {"exec": "sleep 0.3", **quick},
        "restart": {"max": 0},
    }
    pending = {"exec": FOREVER, "ready": {"exec": "test -e go", "period": 0.1, "timeout": 60}}
    frame.write({"web": watched, "other": pending})
    frame.up()
    pid = live.reached(frame.devport, "web", "ready")["pid"]
    frame.reached("other", "starting")
    supervisors = {frame.supervisor("web"), frame.supervisor("other")}
    for too in (False, True):  # the service as well: then it has been silent indeed
        for one in {*supervisors, *([pid] if too else [])}:
            os.kill(one, signal.SIGSTOP)
        procs.elapse(trials(3.0, 15.0))  # more than half a second late, by which devport knows it
        # In a window its guardian has stopped with it, as a shell wants to see; `fg` wakes that one.
        for one in {frame.run.pid} if frame.is_foreground else supervisors:
            os.kill(one, signal.SIGCONT)
        procs.elapse(0.2)
        procs.send(pid, signal.SIGCONT)
        procs.elapse(1)
        row = live.reached(frame.devport, "web", "ready")
        assert (row["pid"], row["restarts"]) == (pid, 0)
    assert "being stopped" not in frame.text()
    frame.devport.write("go", "")
    frame.reached("other", "ready")
    os.kill(pid, signal.SIGSTOP)  # and what really hangs is found out all the same
    frame.reached("web", "failed")
    frame.down()


def test_f63_time_to_become_ready(frame):
    """What is ready in time is not ended because devport was stopped when its time ran out."""
    ready = {"exec": "test -e there", "period": 0.1, "timeout": 4}
    script = f"{mark('runs')}; until [ -e go ]; do sleep 0.02; done; touch there; {FOREVER}"
    frame.write({"web": {"exec": script, "ready": ready, "restart": "never"}, "other": FOREVER})
    frame.up()
    frame.marked("runs", 1)
    supervisor = frame.supervisor("web")
    os.kill(supervisor, signal.SIGSTOP)
    frame.devport.write("go", "")
    procs.elapse(4.5)
    os.kill(frame.run.pid if frame.is_foreground else supervisor, signal.SIGCONT)

    frame.reached("web", "ready")
    assert "not ready after" not in frame.text()
    frame.down()
