"""Stops, restarts and restart policies, in both frames; A-numbers as in test_scenarios.py."""

import itertools
import os
import re
import signal
import time

import pytest
from support import asked, frames, procs
from support.frames import mark, told
from support.procs import eventually
from support.running import CHILDREN, DEVPORT, PATIENCE

from devport.remote import Remote

frame, window = frames.frame, frames.window

FOREVER = "exec sleep 1000"
IDLE = "while :; do sleep 0.02; done"
LATE = 3.0
"""Seconds by which a restart may come late on a busy machine."""


def test_a36_a37_handler_of_the_stop_signal(frame):
    """A36, A37: TERM comes exactly once, the stop waits for what is done then, and `ls` says stopping."""
    code = (
        "signal.signal(signal.SIGTERM, lambda *_: mark('terms', 'TERM'))\n"
        "mark('runs', os.getpid())\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "mark('done', 'tidied up')\n"
    )
    frame.write({"web": {"exec": told(code), "stop": {"timeout": 30}}, "other": FOREVER})
    frame.up()
    frame.marked("runs", 1)
    stop = frame.devport.spawn([DEVPORT, "stop", "web"])
    frame.marked("terms", 1)
    frame.reached("web", "stopping")
    frame.devport.write("go", "")
    assert stop.finish() == 0

    assert frame.marks("terms") == ["TERM"]
    assert frame.marks("done") == ["tidied up"]
    frame.reached("other", "ready")  # A33
    frame.down()


def test_a38_stdin_is_at_its_end(window):
    """A38: a service that reads its input gets the end of it (in the background it has a terminal)."""
    window.write({"web": f"cat; {mark('ended')}; {FOREVER}"})
    window.up()
    window.marked("ended", 1)
    window.down()


def test_a41_signal_of_the_stop(frame):
    """A39 to A41: the configured INT reaches every group and session of the tree."""
    trap = "trap 'echo INT >> ints; exit 0' INT; echo up >> ups; while :; do sleep 0.02; done"
    frame.devport.write("deaf.sh", trap)
    # A shell's background commands ignore INT; Python's children do not.
    code = (
        "import subprocess\n"
        "subprocess.Popen(['sh', 'deaf.sh'], process_group=0)\n"
        "subprocess.Popen(['sh', 'deaf.sh'], start_new_session=True)\n"
        "signal.signal(signal.SIGINT, lambda *_: (mark('ints', 'INT'), os._exit(0)))\n"
        "mark('ups', 'up')\n"
        "while True: time.sleep(1)\n"
    )
    frame.write({"web": {"exec": told(code), "stop": {"signal": "INT", "timeout": 30}}})
    frame.up()
    frame.marked("ups", 3)
    frame.down()

    assert frame.marks("ints") == ["INT"] * 3


def test_a42_one_grace_for_all(frame):
    """A35, A42: three stubborn groups of one service share its grace, and so do two services."""
    code = (
        "import subprocess\n"
        f"child = [sys.executable, '-I', '-S', {str(CHILDREN / 'stubborn.py')!r}]\n"
        "null = subprocess.DEVNULL\n"
        "for own in (False, True): subprocess.Popen(child, stdout=null, start_new_session=own)\n"
        "subprocess.Popen(child, stdout=null, process_group=0)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "mark('ups', 'up')\n"
        "while True: time.sleep(1)\n"
    )
    stubborn = {"exec": told(code), "stop": {"timeout": 3}}
    frame.write({"web": stubborn, "api": stubborn})
    frame.up()
    frame.marked("ups", 2)
    procs.idle(frame.devport.tag)
    began = time.monotonic()
    frame.down()

    assert 2.9 < time.monotonic() - began < 3 + 2.9  # not 2, and not 8 graces


ENDING = "trap 'echo TERM >> terms; until [ -e go ]; do sleep 0.02; done; exit 0' TERM"
"""Whoever is told to end does so only when it is let go."""


def unwanted(frame, name):
    """The supervisor of `name` has heard that it is to stop: `ls` shows no more than how that is going."""
    with Remote.connect(asked.holder(frame.devport, name), PATIENCE) as remote:
        wanted = {one["name"]: one["wanted"] for one in remote.request("status")["services"]}
    assert wanted[name] is False


def stopped_meanwhile(frame):
    """`devport stop web` arrives while the end that is under way is held up."""
    frame.marked("terms", 1)
    stop = frame.devport.spawn([DEVPORT, "stop", "web"])
    eventually(lambda: unwanted(frame, "web"), PATIENCE)
    frame.devport.write("go", "")
    assert stop.finish() == 0


def test_a43_stop_while_a_restart_is_in_flight(frame):
    """A43: the old life takes its time to end; a stop in between leaves no new one."""
    script = f"{ENDING}; {mark('runs')}; {IDLE}"
    frame.write({"web": {"exec": script, "stop": {"timeout": 30}}, "other": FOREVER})
    frame.up()
    frame.marked("runs", 1)
    restart = frame.devport.spawn([DEVPORT, "restart", "web"])
    stopped_meanwhile(frame)
    restart.finish()

    frame.reached("web", "stopped")
    frame.down()
    assert len(frame.marks("runs")) == 1


def test_a44_stop_while_the_rest_is_cleaned_up(frame):
    """A44: it has crashed, what it left behind still ends: a stop then is the end, not a restart."""
    # Not ended by the hangup that the end of a terminal's leader is.
    frame.devport.write("left.sh", f"trap '' HUP; {ENDING}; {mark('ups')}; {IDLE}")
    script = f"{mark('runs')}; sh left.sh & while [ ! -e ups ]; do sleep 0.02; done; exit 3"
    frame.write({"web": {"exec": script, "restart": {"delay": 0}, "stop": {"timeout": 30}}, "other": FOREVER})
    frame.up()
    stopped_meanwhile(frame)

    frame.reached("web", "stopped")
    frame.down()
    assert len(frame.marks("runs")) == 1


# restart policies

ENDS = {
    "zero": "exit 0",
    "one": "exit 1",
    "term": "kill -TERM $$; sleep 9",
    "kill": "kill -KILL $$; sleep 9",
    "dog": "exec sleep 1000",
}
WORDS = {
    "zero": "",
    "one": "exited with status 1",
    "term": "killed by signal 15",
    "kill": "killed by signal 9",
}


@pytest.mark.timeout(120)
def test_f83_truth_table(frame):
    """A46 to A51, F83: each policy with each kind of end: how often it ran, its state, its error."""
    processes = {}
    for policy in ("on_failure", "always", "never"):
        for end, script in ENDS.items():
            name = f"{policy}-{end}".replace("_", "-")
            processes[name] = {
                "exec": f"{mark(name)}; {script}",
                "restart": {"on": policy, "max": 2, "delay": 0.05},
                **({"watchdog": {"usec": 200_000, "require_ready": False}} if end == "dog" else {}),
            }
    processes["other"] = FOREVER
    frame.write(processes)
    frame.up()

    def settled():
        rows = frame.machine.ls()
        assert rows.keys() == processes.keys()
        assert {row["state"] for name, row in rows.items() if name != "other"} <= {"exited", "failed"}, rows
        return rows

    rows = eventually(settled, 30)
    for name in processes:
        if name == "other":
            continue
        policy, _, end = name.rpartition("-")
        again = policy == "always" or (policy == "on-failure" and end != "zero")
        failed = again or end == "dog"
        row = rows[name]
        why = "watchdog: no WATCHDOG=1 for 0.2 s" if end == "dog" else WORDS[end] or "exited with status 0"
        # The dog's time may be over before its shell has marked anything.
        lives = frame.text().count(f" {name} started (pid") if end == "dog" else len(frame.marks(name))
        assert (name, lives) == (name, 3 if again else 1)
        assert (name, row["state"]) == (name, "failed" if failed else "exited")
        assert (name, row["given_up"]) == (name, failed)
        if again:
            assert row["error"] == f"{why}; given up after 2 restarts"
        elif failed:
            assert row["error"] == why
    frame.reached("other", "ready")
    frame.down()


def pauses(frame, name):
    """The seconds of each pause, as they were announced."""
    return re.findall(rf" {name} exited with status 1, restarts in (\S+) s\n", frame.text())


def gaps(frame, name, count):
    """The seconds between the beginnings of the lives, each of which has noted its time."""
    times = [float(line) for line in frame.marked(name, count)]
    return [after - before for before, after in itertools.pairwise(times)]


def close_to(found, expected):
    """No pause is shorter than it should be, and none longer but for a busy machine.

    How long each was to be stands in `pauses`.
    """
    assert len(found) == len(expected), found
    for one, wanted in zip(found, expected, strict=True):
        assert wanted - 0.005 <= one < wanted + LATE, f"{found} instead of {expected}"


def test_f83_timeline(frame):
    """F83: min(max-delay, delay x 2^n), then given up, and nothing more; a long life begins anew."""
    now = "date +%s.%N"
    frame.write(
        {
            "storm": {
                "exec": f"{now} >> storm; exit 1",
                "restart": {"max": 4, "delay": 0.2, "max_delay": 0.9},
            },
            "steady": {
                "exec": f"{now} >> steady; sleep 0.5; exit 1",
                "restart": {"max": 2, "delay": 0.1, "reset_after": 0.3},
            },
        }
    )
    frame.up()
    found = gaps(frame, "storm", 5)

    close_to(found, [0.2, 0.4, 0.8, 0.9])
    frame.reached("storm", "failed")
    assert pauses(frame, "storm") == ["0.2", "0.4", "0.8", "0.9"]
    close_to(gaps(frame, "steady", 4)[:3], [0.6] * 3)
    frame.said("steady exited with status 1, restarts in", 3)
    assert set(pauses(frame, "steady")) == {"0.1"}
    frame.down()
    assert len(frame.marks("storm")) == 5


def test_f83_window(frame):
    """F83: with a window only what happened in it counts: a slow crasher goes on, a quick one is given up."""
    quick = {"exec": f"{mark('quick')}; exit 1", "restart": {"max": 2, "window": 30, "delay": 0.05}}
    slow = {
        "exec": f"{mark('slow')}; exit 1",
        "restart": {"max": 2, "window": 0.3, "delay": 0.25, "max_delay": 0.25},
    }
    frame.write({"quick": quick, "slow": slow})
    frame.up()
    frame.marked("slow", 5)

    assert frame.reached("quick", "failed")["error"].endswith("given up after 2 restarts")
    frame.down()
    assert len(frame.marks("quick")) == 3


def test_a54_without_limit(frame):
    """A54: `max: null` is more than any default; a stop is the end of it all the same."""
    policy = {"max": None, "delay": 0.01, "max_delay": 0.01}
    frame.write({"web": {"exec": f"{mark('runs')}; exit 1", "restart": policy}, "other": FOREVER})
    frame.up()
    frame.marked("runs", 8)
    frame.do("stop", "web")
    count = len(frame.marks("runs"))

    procs.elapse(0.3)
    assert len(frame.marks("runs")) == count
    frame.down()


def answered(frame, name):
    """What `ls` says of `name`, which runs, once its supervisor has had the time to tell it."""

    def check():
        row = frame.row(name)
        assert row["uptime"] is not None
        return row

    return eventually(check)


def test_a52_a53_restart_by_hand(frame):
    """A52, A53: of one that has ended, and of one that runs: a new budget, ready, and it stays so."""
    script = f"{mark('runs')}; if [ -e go ]; then {FOREVER}; fi; exit 1"
    frame.write({"web": {"exec": script, "restart": {"max": 1, "delay": 0.02}}, "other": FOREVER})
    frame.up()
    assert frame.reached("web", "failed")["given_up"]
    frame.machine.call("restart", "--no-tmux", "web")
    row = frame.reached("web", "failed")
    assert len(frame.marked("runs", 4)) == 4  # the budget was a new one
    assert row["error"].endswith("given up after 1 restart")

    frame.devport.write("go", "")
    for lives in (5, 6):
        frame.do("restart", "--no-tmux", "web")
        frame.marked("runs", lives)  # it is ready before it has said a word
        row = answered(frame, "web")
        assert (row["state"], row["error"], row["given_up"]) == ("ready", None, False)
    pid = row["pid"]
    procs.elapse(0.3)
    row = answered(frame, "web")
    assert (row["pid"], row["state"]) == (pid, "ready")
    os.kill(pid, signal.SIGKILL)
    frame.marked("runs", 7)
    frame.reached("web", "ready")
    frame.down()


def at_rest(frame, name):
    """`ls` says that `name` does not run; in a window nobody else knows."""
    assert frame.row(name)["state"] in {"exited", "stopped"}


def test_a110_stop_of_what_has_ended(frame):
    """A110, A111: a stop of what has ended, of what never ran, and of what there is not."""
    frame.write(
        {
            "web": {"exec": mark("runs"), "restart": "never"},
            "off": {"exec": "x", "start": False},
            "on": FOREVER,
        }
    )
    frame.up()
    frame.reached("web", "exited")
    frame.machine.call("stop", "web")
    eventually(lambda: at_rest(frame, "web"))
    assert "off is not running" in frame.machine.call("stop", "off").everything().decode()
    assert frame.machine.call("stop", "nobody").status == 3
    frame.down()
    assert len(frame.marks("runs")) == 1
