"""The failure catalogue of reliability.md, F30 and F74 to F79, through `devport start` and `start -d`.

F63 and F80 to F82 are in test_faults_handed.py, F83 in test_scenarios_lives.py, F84 and F85 in
test_faults_watching.py.
"""

import os
import shutil
import signal
import socket
import statistics
import tempfile
import time

import pytest
from support import frames, live, procs
from support.drill import trials
from support.frames import mark, open_descriptors, told
from support.procs import eventually
from support.running import CHILDREN, child

frame, window = frames.frame, frames.window

FOREVER = "exec sleep 1000"
PYTHON = frames.python("").split(" -c ")[0]


def port_of_nobody(frame):
    """A port that no service is given."""
    return frame.devport.ports.last


# F30: back-pressure


def test_f30_probes_and_watchdogs_while_nobody_reads(window):
    """While the window takes nothing, a probe makes ready, pings keep a service, their end restarts it."""
    code = (
        "mark('runs', os.getpid())\n"
        "say('READY=1')\n"
        "while not os.path.exists('hang'): say('WATCHDOG=1'); time.sleep(0.05)\n"
        "os.unlink('hang')\n"
        "time.sleep(1000)\n"
    )
    window.write(
        {
            "web": {"exec": FOREVER, "ready": {"exec": "test -e go", "period": 0.1, "timeout": 60}},
            "dog": {
                "exec": told(code),
                "ready": {"notify": True},
                "watchdog": {"usec": 2_500_000},
                "restart": {"delay": 0.02},
            },
            "flood": "while ! test -e flow; do sleep 0.05; done; exec yes",
        }
    )
    window.up()
    window.reached("dog", "ready")
    unread = window.run.stall()
    window.devport.write("flow", "")
    flood = live.reached(window.devport, "flood", "ready")["pid"]

    def blocked():
        before = procs.cpu_seconds(flood)
        assert procs.process(flood).command == "yes"
        procs.elapse(0.5)
        assert procs.process(flood).state == "S"  # and does not just wait for the processor
        assert procs.cpu_seconds(flood) == before

    eventually(blocked)
    used = procs.cpu_seconds(flood)
    assert live.row(window.devport, "web")["state"] == "starting"
    window.devport.write("go", "")
    window.reached("web", "ready")
    procs.elapse(3)  # longer than its watchdog
    assert len(window.marks("runs")) == 1
    window.devport.write("hang", "")
    window.marked("runs", 2)
    assert live.reached(window.devport, "dog", "ready")["restarts"] == 1
    assert procs.cpu_seconds(flood) == used
    window.run.out = unread
    window.down()


# F74: readiness is this life's own


def test_f74_stranger_on_the_port(frame):
    """A stranger that answers on the port makes nothing ready and is named; the service's own answer does."""
    port = port_of_nobody(frame)
    code = (
        "server = socket.socket()\nserver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "while True:\n"
        f"  try: server.bind(('127.0.0.1', {port})); break\n"
        "  except OSError: mark('tries', 1); time.sleep(0.02)\n"
        "server.listen()\n"
        "while True: server.accept()[0].close()\n"
    )
    frame.write({"web": {"exec": told(code), "ready": {"tcp": port, "period": 0.1}}})
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        frame.up()
        frame.marked("tries", 10)

        def named():
            row = frame.row("web")
            assert f"port {port} is served by" in (row["not_ready"] or ""), row
            assert f"pid {os.getpid()}" in row["not_ready"]
            assert row["state"] == "starting"

        eventually(named)
    frame.reached("web", "ready")
    frame.down()


def test_f74_line_of_an_earlier_life(frame):
    """The pattern in the output of the life before, at its very end too, makes no later one ready."""
    script = (
        f"{mark('runs')}; if [ ! -e second ]; then touch second; printf 'up and well'; {FOREVER}; fi;"
        f" echo not yet; until [ -e go ]; do sleep 0.02; done; echo up and well; {FOREVER}"
    )
    frame.write({"web": {"exec": script, "ready": {"log": "up and well"}, "restart": {"delay": 0.02}}})
    frame.up()
    first = live.reached(frame.devport, "web", "ready")["pid"]
    os.kill(first, signal.SIGKILL)
    frame.marked("runs", 2)
    frame.reached("web", "starting")
    procs.elapse(0.4)
    assert live.row(frame.devport, "web")["state"] == "starting"
    frame.devport.write("go", "")
    assert live.reached(frame.devport, "web", "ready")["pid"] != first
    frame.down()


def test_f74_answer_of_an_earlier_life(frame):
    """What an old life left on the port (another session, no parent) does not make the next one ready."""
    port = port_of_nobody(frame)
    served = (
        "import subprocess\n"
        "mark('runs', os.getpid())\n"
        "while len(open('runs').readlines()) > 1 and not os.path.exists('go'): time.sleep(0.02)\n"
        "server = socket.socket()\n"
        "server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"server.bind(('127.0.0.1', {port}))\n"
        "server.listen()\n"
        "if os.fork() == 0:\n"
        "  os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True: server.accept()[0].close()\n"
    )
    frame.write(
        {
            "web": {
                "exec": told(served),
                "ready": {"tcp": port, "period": 0.1},
                "restart": {"delay": 0.02},
                "stop": {"timeout": 0.5},
            }
        }
    )
    frame.up()
    first = live.reached(frame.devport, "web", "ready")["pid"]
    os.kill(first, signal.SIGKILL)
    frame.marked("runs", 2)
    procs.elapse(0.3)
    assert live.row(frame.devport, "web")["state"] == "starting"
    frame.devport.write("go", "")
    assert live.reached(frame.devport, "web", "ready")["pid"] != first
    frame.down()


# F75: hostile servers

HOSTILE = ("silent", "drip", "redirect", "head", "body", "close", "half", "garbage", "alert")


def test_f75_hostile_servers(window):
    """None of them is ready but the one that answers; another service's output is not held up meanwhile."""
    probe = {"http": {"get": {"path": "/"}}, "period": 0.1, "probe_timeout": 0.3}
    server = f'{PYTHON} {CHILDREN / "server.py"} %s "$PORT"'
    processes = {mode: {"exec": server % mode, "ready": probe} for mode in (*HOSTILE, "fine")}
    ticker = "while True: print(time.monotonic(), flush=True); time.sleep(0.005)\n"
    window.write({**processes, "ticker": {"exec": told(ticker), "no_port": True}})
    window.up()
    window.reached("fine", "ready")
    window.reached("body", "ready")  # 200 is an answer, however long its body is

    def judged():
        rows = window.machine.ls()
        assert {rows[name]["not_ready"] for name in ("silent", "drip")} == {"no answer within 0.3 s"}
        assert all(rows[name]["not_ready"] for name in HOSTILE if name != "body")
        return rows

    rows = eventually(judged)
    assert {rows[name]["state"] for name in HOSTILE if name != "body"} == {"starting"}
    for left in reversed(range(5)):  # other tests may have the machine
        late = sorted(lateness(window.run, 2))
        if len(late) > 50 and statistics.median(late) < 0.02 and late[int(len(late) * 0.95)] < 0.1:
            break
        assert left, late
    window.down()


def lateness(run, seconds):
    """By how many seconds each line of the ticker is read late, for so long."""
    run.read(0)
    late, seen = [], len(run.output)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run.read(0.1)
        now = time.monotonic()
        lines = run.output[seen:].rpartition(b"\n")[0]
        seen += len(lines)
        late += [now - float(line.split()[-1]) for line in lines.splitlines() if b" ticker " in line]
    return late


# F76: commands that probe


@pytest.mark.drill
@pytest.mark.timeout(300)
def test_f76_probes_leave_nothing(frame, tally):
    """Slower than its deadline, with children of its own: one at a time, all gone, no descriptor more."""
    probe = f"{mark('asked')}; sleep 61.25 & setsid sleep 61.25 & sleep 61.25"
    frame.write(
        {
            "web": {"exec": FOREVER, "ready": {"exec": probe, "period": 0.1, "probe_timeout": 0.15}},
            "other": FOREVER,
        }
    )
    frame.up()
    frame.marked("asked", 2)
    supervisor = frame.supervisor("web")
    most, counts = 0, []

    def sleepers():
        found = [one for one in procs.tree(frame.devport.tag) if one.command == "sleep 61.25"]
        return [one for one in found if procs.is_alive(one.pid)]  # all at once: looking takes its time

    def asked():
        nonlocal most
        most = max(most, len(sleepers()))
        counts.append(open_descriptors(supervisor))
        assert len(frame.marks("asked")) >= before + times

    before, times = len(frame.marks("asked")), trials(8, 120)
    eventually(asked, 200)
    assert 1 <= most <= 3
    assert max(counts) - min(counts) <= 4  # of the one probe
    frame.do("stop", "web")
    assert sleepers() == []
    frame.down()
    tally(times)


# F77, F78: notifications


def test_f77_short_lived_senders(frame):
    """Of 1,000 processes each says one thing and is gone; the last was gone long before devport looked."""
    code = (
        "def tell(text):\n"
        "  if os.fork() == 0: say(text); os._exit(0)\n"
        "  os.wait()\n"
        "for number in range(1, 1001): tell(f'STATUS={number}')\n"
        "mark('sent', 1000)\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "tell('READY=1')\n"
        "mark('sent', 'READY')\n"
        "time.sleep(1000)\n"
    )
    frame.write({"web": {"exec": told(code), "ready": {"notify": True}}})
    frame.up()
    frame.marked("sent", 1)

    def heard():
        assert live.reached(frame.devport, "web", "starting")["status_text"] == "1000"

    eventually(heard)
    supervisor = frame.supervisor("web")
    os.kill(supervisor, signal.SIGSTOP)
    frame.devport.write("go", "")
    frame.marked("sent", 2)
    if frame.is_foreground:
        eventually(lambda: suspended(frame.run.pid))
    os.kill(frame.run.pid if frame.is_foreground else supervisor, signal.SIGCONT)

    assert live.reached(frame.devport, "web", "ready")["status_text"] == "1000"
    frame.down()


def suspended(pid):
    """For `eventually`: the guardian, say, which follows its supervisor."""
    assert procs.process(pid).state == "T"


def test_f78_hostile_notifier(frame):
    """A flood with descriptors, binary data, strangers' MAINPID: nothing leaks, others run, a stop works."""
    code = (
        "import array, errno\n"  # of descriptors under way a user has so many, other tests' among them
        "address = os.environ['NOTIFY_SOCKET']\n"
        "say('READY=1')\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "null = os.open('/dev/null', os.O_RDONLY)\n"
        "passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [null, null]))]\n"
        "junk = [b'MAINPID=1', b'X' * 4000, bytes(range(256)) * 8, b'READY=', b'=\\n=\\n' * 900,"
        " b'\\0' * 100, b'WATCHDOG_USEC=' + b'9' * 3000, b'EXTEND_TIMEOUT_USEC=-1',"
        " f'MAINPID={os.getppid()}'.encode()]\n"
        "try: post.sendto(b'X' * 200000, address)\n"
        "except OSError: pass\n"
        "count = 0\n"
        "while True:\n"
        "  for one in junk:\n"
        "    try: post.sendmsg([one], passed, 0, address)\n"
        "    except OSError as error: error.errno == errno.ETOOMANYREFS or mark('errors', error)\n"
        "  count += len(junk)\n"
        "  if count % 9000 == 0: mark('sent', count)\n"
    )
    frame.write(
        {
            "web": {"exec": told(code), "ready": {"notify": True}},
            "other": f"while :; do {mark('ticks')}; sleep 0.05; done",
        }
    )
    frame.up()
    frame.reached("web", "ready")
    supervisor = frame.supervisor("web")
    before = open_descriptors(supervisor)
    frame.devport.write("go", "")
    frame.marked("sent", 1)
    ticks = len(frame.marks("ticks"))
    frame.marked("sent", 4, 60)

    assert open_descriptors(supervisor) <= before + 8  # one batch that is just being read
    assert len(frame.marks("ticks")) > ticks
    assert live.row(frame.devport, "web")["state"] == "ready"
    assert frame.marks("errors") == []
    frame.do("stop", "web")
    frame.down()


# F79: long paths


def test_f79_home_of_200_characters(frame):
    """Control socket, notifications and a unix socket to listen on work, however long the paths are."""
    runtime = tempfile.mkdtemp(prefix="devport-run-", dir="/tmp")
    home = frame.devport.folder / ("h" * (200 - len(str(frame.devport.folder)) - 1))
    assert len(str(home)) == 200
    frame.devport.state = frame.machine.state = home
    frame.devport.environ |= {"DEVPORT_HOME": str(home), "XDG_RUNTIME_DIR": runtime}
    code = "say('READY=1\\nSTATUS=well'); mark('told', os.environ['NOTIFY_SOCKET']); time.sleep(1000)\n"
    deep = "d" * 120 + "/web.sock"
    try:
        frame.write(
            {
                "web": {"exec": told(code), "ready": {"notify": True}, "watchdog": {"usec": 60_000_000}},
                "api": {"exec": child("activated", "accept"), "listen": [{"path": deep}]},
            }
        )
        frame.up()
        row = live.reached(frame.devport, "web", "ready")
        assert row["status_text"] == "well"
        assert frame.marked("told", 1)[0].startswith(f"{runtime}/devport/")
        assert frame.do("restart", "--no-tmux", "web")
        folder = os.open((frame.devport.project / deep).parent, os.O_PATH)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(f"/proc/self/fd/{folder}/web.sock")
            assert client.recv(100) == b"%d\n" % live.reached(frame.devport, "api", "ready")["pid"]
        os.close(folder)
        frame.down()
        assert os.listdir(f"{runtime}/devport") == []
    finally:
        shutil.rmtree(runtime)
