"""Readiness, notifications, sockets and watched files in both frames; A-numbers as in test_scenarios.py."""

import os
import shlex
import signal
import socket

import pytest
from support import frames, procs
from support.frames import mark, told
from support.procs import eventually
from support.running import DEVPORT, child

frame = frames.frame

FOREVER = "exec sleep 1000"


def first_port(frame):
    """A port that no service is given."""
    return frame.devport.ports.last


def now(frame, name, **fields):
    """`ls` says `fields` of `name`; what its supervisor had no time to tell `ls` is missing there."""

    def check():
        row = frame.row(name)
        assert {one: row[one] for one in fields} == fields

    eventually(check)


# readiness


def test_a55_wait_ends_with_what_it_waits_for(frame):
    """A55: who waits for readiness is told when the service is stopped instead."""
    frame.write({"web": {"exec": FOREVER, "ready": {"exec": "exit 1", "period": 0.1}}, "other": FOREVER})
    frame.up()
    frame.reached("web", "starting")
    wait = frame.devport.spawn([DEVPORT, "wait", "web"], terminal=(100, 30))
    wait.expect(rb"web: (?!it does not run)")  # now it has seen it
    procs.elapse(0.3)
    assert wait.popen.poll() is None
    frame.do("stop", "web")

    assert wait.finish() == 1
    assert b"cannot wait for web" in wait.everything()
    frame.down()


@pytest.mark.parametrize("kind", ["exec", "http", "tcp", "log", "notify", "automatic"])
def test_a56_a57_not_before(frame, kind):
    """A56, A57: each kind of readiness comes when the service is, and then `after` goes on; not before."""
    serve = (
        "import http.server\n"
        "print('not yet', flush=True)\n"
        "mark('up', '1')\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "print('now I am there', flush=True)\n"
        "open('there', 'w').close()\n"
        "'NOTIFY_SOCKET' in os.environ and say('READY=1')\n"
        "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), "
        "http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    )
    ready = {
        "exec": {"exec": "test -e there"},
        "http": {"http": {"get": {"path": "/devport.yaml"}}},
        "tcp": {"tcp": None},
        "log": {"log": "now I .m there"},
        "notify": {"notify": True},
        "automatic": None,
    }[kind]
    web = {"exec": told(serve), "ready": {**ready, "period": 0.1}} if ready else {"exec": told(serve)}
    if kind == "automatic":
        web["ports"] = {"http": {}}
    frame.write({"web": web, "then": {"exec": f"{mark('then')}; {FOREVER}", "after": "web"}})
    frame.up()
    frame.marked("up", 1)
    procs.elapse(0.25)
    frame.reached("web", "starting")
    now(frame, "then", waiting_for="web")
    frame.devport.write("go", "")

    frame.reached("web", "ready")
    frame.marked("then", 1)
    frame.down()


def test_ready_in_time(frame):
    """`ready.timeout`: what is not ready by then has crashed: tried again, given up with the reason."""
    ready = {"exec": "echo no answer from it; exit 1", "period": 0.1, "timeout": 1.5}
    frame.write(
        {
            "web": {
                "exec": f"{mark('runs')}; {FOREVER}",
                "ready": ready,
                "restart": {"max": 1, "delay": 0.05},
            },
            "then": {"exec": FOREVER, "after": "web"},
            "other": FOREVER,
        }
    )
    frame.up()

    error = frame.reached("web", "failed")["error"]
    assert error == "not ready after 1.5 s: no answer from it; given up after 1 restart"
    assert frame.reached("then", "failed")["error"].startswith("web failed: not ready after 1.5 s")
    frame.down()
    assert len(frame.marks("runs")) == 2


# notifications


def test_a58_to_a70_what_a_service_says(frame):
    """A58 to A61, A63, A64, A68 to A70: variables, READY, STATUS in `ls`, junk; its socket goes."""
    code = (
        "mark('told', os.environ['NOTIFY_SOCKET'])\n"
        "mark('told', os.environ['WATCHDOG_USEC'])\n"
        "post.sendto(bytes(range(256)), os.environ['NOTIFY_SOCKET'])\n"
        "say('X\\n=\\nREADY=2\\nREADY=yes\\n')\n"
        "say('RELOADING=1')\nsay('STATUS=loading\\x1b[31m')\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "say('STATUS=42 served\\nREADY=1\\nWATCHDOG=1\\nNONSENSE')\n"
        "while not os.path.exists('end'): say('WATCHDOG=1'); time.sleep(0.05)\n"
        "say('STOPPING=1'); time.sleep(1000)\n"
    )
    frame.write({"web": {"exec": told(code), "ready": {"notify": True}, "watchdog": {"usec": 30_000_000}}})
    frame.up()
    address, usec = frame.marked("told", 2)[:2]
    assert usec == "30000000"
    assert frame.reached("web", "starting")["status_text"] in {None, "loading[31m", "loading\\x1b[31m"}
    frame.devport.write("go", "")
    now(frame, "web", state="ready", status_text="42 served")
    assert os.path.exists(address)
    frame.down()
    assert not os.path.exists(address)


def test_a65_a72_watchdog(frame):
    """A65 to A67, A72: pings keep it, their end restarts it, and before READY=1 nothing counts."""
    code = (
        "mark('runs', os.getpid())\n"
        "if not os.path.exists('hang'): time.sleep(1.8)\n"  # longer than its watchdog
        "say('READY=1')\n"
        "first = not os.path.exists('hang')\n"
        "while not (first and os.path.exists('hang')): say('WATCHDOG=1'); time.sleep(0.05)\n"
        "time.sleep(1000)\n"
    )
    frame.write(
        {
            "web": {
                "exec": told(code),
                "ready": {"notify": True},
                "watchdog": {"usec": 1_500_000},
                "restart": {"delay": 0.05},
            }
        }
    )
    frame.up()
    frame.reached("web", "ready")
    procs.elapse(1.8)
    assert len(frame.marks("runs")) == 1
    frame.devport.write("hang", "")
    frame.marked("runs", 2)
    frame.said("web is being stopped: watchdog: no WATCHDOG=1 for 1.5 s")
    now(frame, "web", state="ready", restarts=1)
    frame.down()


# sockets


def test_a73_to_a79_sockets(frame):
    """A73 to A79: bound before anybody accepts, 0600, in order, with names, and after a restart."""
    port = first_port(frame)
    path = frame.devport.project / "run" / "web.sock"
    script = "echo up >> ups; until [ -e go ]; do sleep 0.02; done; " + child("activated", "accept")
    listen = [
        {"name": "http", "kind": "tcp", "address": f"127.0.0.1:{port}"},
        {"name": "admin", "kind": "unix_stream", "path": "run/web.sock"},
    ]
    frame.write({"web": {"exec": script, "listen": listen, "restart": {"on": "always", "delay": 0}}})
    frame.up()
    frame.marked("ups", 1)

    assert path.stat().st_mode & 0o777 == 0o600
    with socket.create_connection(("127.0.0.1", port), 20) as early, socket.socket(socket.AF_UNIX) as local:
        local.settimeout(20)
        local.connect(str(path))
        frame.devport.write("go", "")
        first = early.recv(100)
        assert local.recv(100) == first
    pid = int(first)
    now(frame, "web", state="ready", pid=pid)
    frame.said("2 http:admin AF_INET,SOCK_STREAM,blocking,listening AF_UNIX,SOCK_STREAM,blocking,listening")
    frame.said("child 0")
    os.kill(pid, signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", port), 20) as late:
        assert late.recv(100) not in {b"", first}
    frame.down()
    assert procs.is_free(port)
    assert not path.exists()


def test_port_to_listen_on_is_taken(frame):
    """A socket that cannot be had is an error that names who has it, before anything starts."""
    port = first_port(frame)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        listen = [{"address": f"127.0.0.1:{port}"}]
        frame.write({"web": {"exec": mark("runs"), "listen": listen}})
        done = frame.up()
        done = frame.run if done is None else done
        assert (done.finish() if frame.is_foreground else done.status) == 1
    said = done.everything().decode()
    assert f"cannot listen on 127.0.0.1:{port} for web: port {port} is in use by " in said
    assert f"(pid {os.getpid()}," in said
    assert frame.marks("runs") == []


def test_first_connection_starts_it(frame):
    """`lazy`: listed as waiting, started by a connection, which it serves; and its dependents do not wait."""
    port = first_port(frame)
    listen = [{"address": f"127.0.0.1:{port}"}]
    frame.write(
        {
            "web": {
                "exec": f"{mark('runs')}; {child('activated', 'accept')}",
                "listen": listen,
                "lazy": True,
            },
            "then": {"exec": f"{mark('then')}; {FOREVER}", "after": "web"},
        }
    )
    frame.up()
    frame.marked("then", 1)
    now(frame, "web", state="waiting", waiting_for="a connection", listening=True, pid=None)
    assert frame.marks("runs") == []
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        assert client.recv(100)
    frame.reached("web", "ready")
    frame.down()
    assert len(frame.marks("runs")) == 1


def test_lazy_that_ends_says_what_it_waits_for(frame):
    """One that takes a connection and ends well waits for the next, which no time is told of."""
    port = first_port(frame)
    once = shlex.quote("import socket; socket.socket(fileno=3).accept()[0].sendall(b'x')")
    listen = [{"address": f"127.0.0.1:{port}"}]
    frame.write({"web": {"exec": f"exec python3 -c {once}", "listen": listen, "lazy": True, "no-port": True}})
    frame.up()
    frame.reached("web", "waiting")
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        assert client.recv(100) == b"x"
    frame.said("web exited with status 0, waits for a connection\n")
    frame.down()


# watched files


def test_a26_a80_a88_changes(frame):
    """A26, A80 to A85, A88: what counts restarts, once a burst, uncounted; what does not, does not."""
    watch = {"paths": ["src", "more.conf"], "extensions": ["py", "conf"], "ignore": ["*_test.py"]}
    frame.devport.write("src/a.py", "")
    frame.write({"web": {"exec": f"{mark('runs')}; {FOREVER}", "watch": watch, "restart": {"max": 1}}})
    frame.up()
    frame.reached("web", "ready")
    frame.marked("runs", 1)  # it is ready before it has said a word
    for name in ("src/a.log", "src/.hidden.py", "src/a_test.py", "elsewhere.py"):
        frame.devport.write(name, "changed")
    procs.elapse(0.5)
    assert len(frame.marks("runs")) == 1
    count = 1
    for name in ("src/a.py", "src/new/deep.py", "more.conf"):
        frame.devport.write(name, "changed")
        count = len(frame.marked("runs", count + 1))
        frame.reached("web", "ready")
    frame.said("web restarts: more.conf changed")
    for number in range(10):
        frame.devport.write("src/a.py", f"{number}")
    frame.marked("runs", count + 1)
    procs.elapse(0.5)
    assert len(frame.marks("runs")) <= count + 2
    frame.reached("web", "ready")
    frame.down()


def test_a87_a95_ended_runs_again(frame):
    """A86, A87, A95: what has ended runs again when its files change, until it is stopped."""
    frame.devport.write("src/a.py", "")
    frame.write({"web": {"exec": mark("runs"), "watch": "src"}})
    frame.up()
    for count in (1, 2, 3):
        frame.marked("runs", count)
        frame.reached("web", "exited")
        if count < 3:
            frame.devport.write("src/a.py", f"{count}")
    frame.down()
    frame.devport.write("src/a.py", "unwatched")
    procs.elapse(0.3)
    assert len(frame.marks("runs")) == 3


def test_given_up_and_revived(frame):
    """A change revives what was given up, with a new budget."""
    frame.devport.write("src/a.py", "")
    script = f"{mark('runs')}; grep -q fine src/a.py || exit 1; {FOREVER}"
    frame.write(
        {"web": {"exec": script, "watch": "src", "restart": {"max": 1, "delay": 0.05}}, "other": FOREVER}
    )
    frame.up()
    assert frame.reached("web", "failed")["given_up"]
    frame.devport.write("src/a.py", "fine")

    frame.marked("runs", 3)
    now(frame, "web", state="ready", error=None)
    frame.down()
    assert len(frame.marks("runs")) == 3


# external services


def test_a89_to_a94_external(frame):
    """A89 to A94: up by its probe without a process, no restart by itself; a stop, a start again."""
    start = f"{mark('runs')}; touch it-runs"
    frame.write(
        {
            "box": {
                "exec": start,
                "external": True,
                "ready": {
                    "exec": "test -e it-runs",
                    "period": 0.1,
                    "probe-timeout": 20,  # no look fails because the machine is busy
                    "failure_threshold": 1,
                },
                "stop": {"exec": "rm -f it-runs"},
                "restart": "never",
            },
            "other": FOREVER,
        }
    )
    frame.up()
    assert frame.reached("box", "ready")["pid"] is None
    procs.elapse(0.4)
    assert len(frame.marks("runs")) == 1
    frame.do("restart", "--no-tmux", "box")
    assert len(frame.marks("runs")) == 2
    frame.reached("box", "ready")
    os.unlink(frame.devport.project / "it-runs")
    frame.reached("box", "failed")
    assert len(frame.marks("runs")) == 2
    frame.down()
    assert not (frame.devport.project / "it-runs").exists()
