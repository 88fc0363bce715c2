"""The failure catalogue of reliability.md, F84 and F85, and that nothing leaks, through `devport start`."""

import os
import signal
import time

import pytest
from support import frames, live, procs
from support.frames import mark
from support.procs import eventually
from support.running import DEVPORT, need

frame, window = frames.frame, frames.window

FOREVER = "exec sleep 1000"
SLOW = (
    "trap 'echo TERM >> terms; until [ -e end ]; do sleep 0.02; done; exit 0' TERM;"
    " echo $$ >> runs; while :; do sleep 0.02; done"
)
"""Ends once there is a file `end`."""


def test_f84_own_doing(frame):
    """Who writes into its own watched tree is restarted thrice, then that file is left alone."""
    frame.devport.write("src/a.py", "")
    go = "until [ -e go ]; do sleep 0.02; done"
    script = f"{mark('runs')}; {go}; sleep 0.3; date +%N > src/made.py; {FOREVER}"
    frame.write({"web": {"exec": script, "watch": "src"}})
    frame.up()
    live.watched(frame.devport)
    frame.devport.write("go", "")
    frame.marked("runs", 2)
    frame.said("pauses watching src/made.py")
    frame.marked("runs", 4)
    frame.reached("web", "ready")
    count = len(frame.marks("runs"))
    assert count <= 7  # 4, but for what a busy machine has told of too late to be taken for its own doing
    procs.elapse(0.8)
    assert len(frame.marks("runs")) == count
    frame.devport.write("src/a.py", "by hand")
    frame.marked("runs", count + 1)
    frame.down()


def test_f84_bursts(frame):
    """A save by rename is one restart, 10,000 files of a checkout are few, a cycle of links is none."""
    tree = frame.devport.project / "src"
    frame.devport.write("src/a.py", "")
    frame.devport.write("src/.gitignore", "ignored\n")
    (tree / "loop").symlink_to("..")
    (tree / "self").symlink_to("self")
    frame.write({"web": {"exec": f"{mark('runs')}; {FOREVER}", "watch": "src"}})
    frame.up()
    frame.reached("web", "ready")
    live.watched(frame.devport)
    procs.elapse(0.3)
    assert len(frame.marks("runs")) == 1
    for number in (1, 2):
        frame.devport.write("src/.a.py.swp", f"{number}")
        os.replace(tree / ".a.py.swp", tree / "a.py")
        frame.marked("runs", number + 1)
        frame.reached("web", "ready")
        procs.elapse(0.4)
        assert len(frame.marks("runs")) == number + 1

    began = time.monotonic()
    for number in range(10_000):
        if number % 500 == 0:
            (tree / f"d{number}").mkdir()
        (tree / f"d{number - number % 500}" / f"{number}.py").touch()
    took = time.monotonic() - began
    frame.marked("runs", 4)
    procs.idle(frame.devport.tag)
    assert len(frame.marks("runs")) <= 6 + int(2 * took)  # a pause of a quarter of a second ends a burst
    frame.down()


def test_f84_kernel_has_no_more_watches(window):
    """Where inotify is used up devport says so, and looks itself."""
    need("unshare")
    script = "echo 0 > /proc/sys/user/max_inotify_instances && exec"
    window.devport.write("src/a.py", "")
    window.write({"web": {"exec": f"{mark('runs')}; {FOREVER}", "watch": "src"}})
    words = ["unshare", "-Ur", "sh", "-c", f'{script} "$@"', "sh", DEVPORT, "start"]
    window.run = window.devport.spawn(words)

    def begun():
        window.run.read(0)
        if window.run.popen.poll() is not None and b"unshare" in window.run.errors:
            pytest.skip("no user namespaces here")
        assert window.marks("runs"), window.run.shown()

    eventually(begun)
    window.said("max_user_instances")
    live.watched(window.devport, how="by polling")
    window.devport.write("src/a.py", "changed")
    window.marked("runs", 2)
    window.run.stop(signal.SIGTERM)


def test_f85_change_while_it_stops(frame):
    """A change while the old life is still ending is part of that restart: exactly one start."""
    frame.devport.write("src/a.py", "")
    frame.write({"web": {"exec": SLOW, "watch": "src", "stop": {"timeout": 30}}})
    frame.up()
    frame.reached("web", "ready")
    live.watched(frame.devport)
    frame.devport.write("src/a.py", "1")
    frame.marked("terms", 1)
    for number in range(5):
        frame.devport.write("src/a.py", f"more {number}")
    procs.elapse(1)  # in which devport looks
    frame.devport.write("end", "")
    frame.marked("runs", 2)
    procs.elapse(0.4)
    assert (len(frame.marks("runs")), len(frame.marks("terms"))) == (2, 1)
    frame.down()


def test_f85_change_while_it_is_told_to_stop(frame):
    """A change while the user's stop is under way starts nothing."""
    frame.devport.write("src/a.py", "")
    frame.write({"web": {"exec": SLOW, "watch": "src", "stop": {"timeout": 30}}, "other": FOREVER})
    frame.up()
    frame.reached("web", "ready")
    live.watched(frame.devport)
    stop = frame.devport.spawn([DEVPORT, "stop", "web"])
    frame.marked("terms", 1)
    frame.devport.write("src/a.py", "1")
    procs.elapse(1)
    frame.devport.write("end", "")
    assert stop.finish() == 0
    procs.elapse(0.4)
    assert len(frame.marks("runs")) == 1
    assert frame.row("web")["state"] == "stopped"
    frame.down()


def test_f85_change_while_it_backs_off(frame):
    """A change while it waits for its next try is that try, at once, and the only one."""
    frame.devport.write("src/a.py", "")
    script = f"{mark('runs')}; grep -q fine src/a.py || exit 1; {FOREVER}"
    frame.write({"web": {"exec": script, "watch": "src", "restart": {"delay": 6, "max_delay": 6}}})
    began = time.monotonic()
    frame.up()
    live.watched(frame.devport)
    frame.reached("web", "backoff")
    frame.devport.write("src/a.py", "fine")
    ended = time.monotonic()
    frame.marked("runs", 2)
    assert time.monotonic() - began < 6
    frame.reached("web", "ready")
    procs.elapse(6.1 - (time.monotonic() - ended))
    assert len(frame.marks("runs")) == 2
    frame.down()


def test_resources_after_200_restarts(window):
    """With a probe, a watchdog, sockets and watched files: descriptors and threads are what they were."""
    window.devport.write("src/a.py", "")
    window.write(
        {
            "web": {
                "exec": f"{mark('runs')}; {FOREVER}",
                "ready": {"exec": "true", "period": 0.05},
                "live": {"tcp": {"port": window.devport.ports.last}, "foreign": True, "period": 0.05},
                "watchdog": {"usec": 60_000_000},
                "listen": [
                    {"address": f"127.0.0.1:{window.devport.ports.last}"},
                    {"name": "x", "path": "web.sock"},
                ],
                "watch": {"paths": ["src"], "ignore": ["*.log"]},
                "restart": {"max": None, "delay": 0, "max_delay": 0},
            }
        }
    )
    window.up()
    supervisor = window.run.supervisor

    def kill(count):
        for number in range(len(window.marks("runs")), count):
            procs.send(int(window.marked("runs", number)[-1]), signal.SIGKILL)
        window.marked("runs", count)
        window.reached("web", "ready")

    def holds():
        folder = f"/proc/{supervisor}/fd"
        found = []
        for one in os.listdir(folder):
            try:
                found.append(os.readlink(f"{folder}/{one}").partition("[")[0])
            except OSError:
                continue
        return sorted(found), int(procs.status_field(supervisor, "Threads"))

    def steady():  # longer than a probe takes
        found = holds()
        for _ in range(5):
            procs.elapse(0.02)
            assert found == holds()
        return found

    window.marked("runs", 1)
    kill(10)
    before = eventually(steady)
    kill(200)

    def same():
        assert holds() == before

    eventually(same)
    assert live.row(window.devport, "web")["restarts"] == 199
    window.down()
