"""Commands and ports, the acceptance scenarios of devenv-pitchfork-portless.md by their numbers."""

import json
import os
import signal
import socket

from support import frames, procs
from support.frames import mark, open_descriptors, told
from support.procs import eventually
from support.running import DEVPORT

frame, window, back = frames.frame, frames.window, frames.back

FOREVER = "exec sleep 1000"
SERVE = (
    "import http.server\n"
    "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), "
    "http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)


def answers(port):
    """Whether an HTTP server on `port` answers with 200."""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"GET /devport.yaml HTTP/1.0\r\n\r\n")
        return b" 200 " in client.recv(100)


# up, down, start


def test_a02_a03_the_rest_is_started(back):
    """A2, A3: what was stopped starts again, by name alone or all of it; the others keep their processes."""
    back.write({"alpha": FOREVER, "beta": FOREVER, "gamma": FOREVER})
    back.up()
    pids = {name: back.reached(name, "ready")["pid"] for name in ("alpha", "beta", "gamma")}
    back.do("stop", "beta", "gamma")

    back.do("up", "-d", "--no-tmux", "beta")
    beta = back.reached("beta", "ready")["pid"]
    assert back.row("gamma")["state"] == "stopped"
    back.do("up", "-d", "--no-tmux")
    rows = {name: back.reached(name, "ready")["pid"] for name in pids}
    assert (rows["alpha"], rows["beta"]) == (pids["alpha"], beta)
    assert rows["gamma"] != pids["gamma"]


def test_a04_a06_beside_a_window(back):
    """A4, A6: what runs in a window is said and left alone; what was not asked for is listed as stopped."""
    back.write({"alpha": FOREVER, "beta": FOREVER, "gamma": FOREVER})
    run = back.devport.start("alpha")
    alpha = int(run.expect(rb"alpha started \(pid (\d+)")[1])
    back.reached("alpha", "ready")
    done = back.machine.call("up", "-d", "--no-tmux", "alpha", "beta")

    assert done.status == 0
    assert b"alpha is already running" in done.errors
    assert back.reached("beta", "ready")["mode"] == "background"
    assert back.row("gamma")["state"] == "stopped"

    def same():  # where its supervisor has no time for `ls`, the pid is missing
        row = back.row("alpha")
        assert (row["pid"], row["mode"]) == (alpha, "foreground")

    eventually(same)
    run.stop(signal.SIGINT)


def test_a09_unknown_name(frame):
    """A9: with the nearest one, and nothing is started."""
    frame.write({"alpha": f"{mark('runs')}; {FOREVER}"})
    done = frame.machine.call("start", *(() if frame.is_foreground else ("-d", "--no-tmux")), "alpha", "alpa")

    assert done.status in {2, 3}
    assert "alpa" in done.errors.decode()
    assert "did you mean alpha?" in done.errors.decode()
    assert frame.marks("runs") == []


def test_a11_attached_again_and_again(back):
    """A10, A11: five views, each ended by Ctrl-C: the supervisor lives, with no more descriptors."""
    back.write({"alpha": "echo here; exec sleep 1000"})
    back.up()
    row = back.reached("alpha", "ready")
    supervisor, before = back.supervisor("alpha"), None
    for _ in range(5):
        view = back.devport.spawn([DEVPORT, "up"], terminal=(100, 30))
        view.expect(rb"devport down stops everything")
        view.type(b"\x03")
        assert view.finish() == 0
        assert back.row("alpha")["pid"] == row["pid"]
        before = before or eventually(lambda: _steady(supervisor))

        def same(wanted=before):  # or fewer: of a busy one, the connection of an `ls` may have been counted
            assert open_descriptors(supervisor) <= wanted

        eventually(same)


def _steady(pid):
    found = open_descriptors(pid)
    procs.elapse(0.2)
    assert open_descriptors(pid) == found
    return found


def test_a14_new_service_in_the_file(back):
    """A14: there is no daemon with an old configuration: what is new starts, what runs goes on as it was."""
    back.write({"alpha": FOREVER})
    back.up()
    alpha = back.reached("alpha", "ready")["pid"]
    back.write({"alpha": "exec sleep 999", "beta": FOREVER})
    back.machine.call("start", "-d", "--no-tmux", "beta")

    back.reached("beta", "ready")
    assert back.row("alpha")["pid"] == alpha


def test_a16_supervisor_is_told_to_end(back):
    """A16: TERM to the supervisor while somebody looks: the view ends, port and socket are gone."""
    back.write({"alpha": {"exec": told(SERVE), "ports": {"http": {}}}})
    back.up()
    row = back.reached("alpha", "ready")
    view = back.devport.spawn([DEVPORT, "up"], terminal=(100, 30))
    view.expect(rb"devport down stops everything")
    os.kill(back.supervisor("alpha"), signal.SIGTERM)

    view.expect(rb"every service has ended")
    view.finish()
    back.machine.nothing_left()
    assert procs.is_free(row["port"])
    assert not (back.devport.state / "run" / f"{row['hash']}.sock").exists()


def test_a17_a19_down_and_up_again(frame):
    """A17, A19, A20: after `down` the port can be had, a second one fails politely, a start works."""
    slow = SERVE.replace("import http.server\n", "import http.server\nsignal.signal(signal.SIGTERM, bye)\n")
    code = f"def bye(*_): time.sleep(0.3); os._exit(0)\n{slow}"
    frame.write({"alpha": {"exec": told(code), "ports": {"http": {}}}})
    for _ in range(3):
        frame.up()
        port = frame.reached("alpha", "ready")["port"]
        assert answers(port)
        frame.do("down")
        with socket.socket() as mine:
            mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            mine.bind(("0.0.0.0", port))
        if frame.run is not None:
            frame.run.finish()
        assert frame.machine.call("down").errors == b"devport: nothing of this project is running\n"


# ports


def test_a23_a24_same_base(frame):
    """A23, A24: services of two projects with one base: each has its own port, all answer."""
    base = frame.devport.ports.last - 10
    web = {"exec": told(SERVE), "ports": {"http": {"allocate": base}}}
    other = frame.devport.write(
        "devport.yaml", json.dumps({"processes": {"two": web}}), frame.devport.folder / "b"
    )
    warm = frame.machine.call("start", "-d", "--no-tmux", cwd=other.parent)
    assert warm.status == 0
    assert frame.reached("two", "ready")["port"] == base
    frame.machine.call("down", cwd=other.parent)

    frame.write({"one": web, "more": web})
    frame.up()
    ports = {frame.reached(name, "ready")["port"] for name in ("one", "more")}
    assert len(ports) == 2
    assert frame.machine.call("start", "-d", "--no-tmux", cwd=other.parent).status == 0

    ports.add(frame.reached("two", "ready")["port"])
    assert len(ports) == 3
    assert ports <= set(range(base, base + 100))
    assert all(answers(port) for port in ports)
    frame.machine.call("down", cwd=other.parent)
    frame.down()
