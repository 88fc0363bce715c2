"""Looking at real processes through /proc: whose tag they carry, their states; and free ports."""

import fcntl
import os
import signal
import socket
import time
from typing import NamedTuple

TAG = "DEVPORT_TEST_TAG"
"""The variable by which a test's processes are known; a word of the command line does as well (`env -i`)."""
SHORTEST_TAG = 16
BLOCK = 50
POOL = (20000, 32000)  # below ip_local_port_range, beside devport's own pool
TICK = 1 / os.sysconf("SC_CLK_TCK")


SOON = min(10.0, float(os.environ.get("DEVPORT_TEST_PATIENCE", "20")))
"""Seconds that `eventually` waits; less where a test is expected to fail (tests/controls)."""


def eventually(check, timeout=SOON):
    """What `check` returns once it raises no AssertionError; its last failure after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


APART = 0.15
"""Seconds after which the same signal again is a second request (devport.engine.signals.BOUNCE is less)."""


def elapse(seconds):
    """Let real time pass: for what must still hold after it, never for what is to happen in it."""
    end = time.monotonic() + seconds

    def check():
        assert time.monotonic() >= end

    eventually(check, seconds + 5)


class Process(NamedTuple):
    """One line of /proc/PID/stat, with the command line."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    command: str
    threads: int


def process(pid):
    """What the kernel says of `pid`; None for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    return Process(int(pid), fields[0].decode(), *map(int, fields[1:4]), command, int(fields[17]))


def everybody():
    """All pids there are."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def tree(tag):
    """The living processes (zombies are dead) that carry `tag` in their environment or command line.

    AssertionError for a short one: everybody carries the empty tag, and what is left over gets killed.
    """
    assert len(tag) >= SHORTEST_TAG, f"{tag!r} is no tag of a test: is it in tests/e2e or tests/integration?"
    return [found for pid in everybody() if _carries(pid, tag) and (found := process(pid)) and alive(found)]


def _carries(pid, tag):
    if pid == os.getpid():
        return False
    wanted = tag.encode()
    for name in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                if wanted in file.read():
                    return True
        except OSError:
            return False
    return False


def alive(found):
    """Whether `found`, a Process or None, can still do something: a thread of it may outlive the first."""
    return found is not None and (found.state not in "ZX" or found.threads > 1)


def is_alive(pid):
    """Whether `pid` is a process that can still do something."""
    return alive(process(pid))


def children(pid):
    """The children of `pid`, zombies included."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def descendants(pid):
    """All living processes below `pid`, parents first."""
    found = []
    for child in children(pid):
        if is_alive(child):
            found.append(child)
        found += descendants(child)
    return found


def zombies(pid):
    """The dead children of `pid` that nobody has reaped."""
    return [found for child in children(pid) if (found := process(child)) and not alive(found)]


def gone(tag, timeout=3.0):
    """Nothing that carries `tag` lives any more; AssertionError with a list if something does."""

    def check():
        assert tree(tag) == []

    eventually(check, timeout)


def is_locked(path):
    """Whether some process holds a lock (flock(2)) on the file `path`, which is there."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def hopping(folder):
    """The file that children/hopper.py keeps locked in `folder`, once it does; unlinked, it ends that."""
    life = folder / "hopper.life"

    def check():
        assert life.exists()
        assert is_locked(life)

    eventually(check)
    return life


def kill_all(tag):
    """SIGKILL to everything that carries `tag`, until nothing is left."""

    def check():
        left = tree(tag)
        for one in left:
            send(one.pid, signal.SIGKILL)
        assert left == []

    eventually(check, 20)


def send(pid, number):
    """Signal `pid`; one that is gone is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def status_field(pid, name):
    """A line of /proc/PID/status, without its name: `SigBlk`, `VmHWM`..."""
    with open(f"/proc/{pid}/status") as file:
        return next(line.split(":", 1)[1].strip() for line in file if line.startswith(f"{name}:"))


def peak_memory(pid):
    """The most bytes of memory that `pid` ever had resident."""
    return int(status_field(pid, "VmHWM").split()[0]) << 10


def cpu_seconds(pid):
    """Processor time that `pid` has used so far."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def idle(tag, quiet=0.3, timeout=20.0):
    """Return once nothing that carries `tag` has used the processor for `quiet` seconds: all are blocked.

    Who is not blocked and has to wait for a processor has used none either: its state tells.
    """
    last = {"used": -1.0, "since": 0.0}

    def check():
        used, now = 0.0, time.monotonic()
        for one in tree(tag):
            try:
                used += cpu_seconds(one.pid)
            except OSError:
                used += 1
            if one.state in "RD":
                last.update(used=-1.0)
        if used != last["used"]:
            last.update(used=used, since=now)
        assert now - last["since"] >= quiet

    eventually(check, timeout)


class Ports:
    """A range of free ports that no other test on this machine uses, until `release`."""

    def __init__(self, count=BLOCK):
        blocks = -(-count // BLOCK)
        total = (POOL[1] - POOL[0]) // BLOCK
        start = int.from_bytes(os.urandom(2)) % total
        for number in (n % total for n in range(start, start + total)):
            if number + blocks <= total and self._claim(number, blocks):
                self.first = POOL[0] + number * BLOCK
                self.last = self.first + count - 1
                return
        raise AssertionError(f"no {count} free ports between {POOL[0]} and {POOL[1]}")

    def __str__(self):  # noqa: D105
        return f"{self.first}-{self.last}"

    def __contains__(self, port):  # noqa: D105
        return self.first <= int(port) <= self.last

    def _claim(self, number, blocks):
        # An abstract socket is a name that one process at a time has, and that its end gives back.
        self._claims = []
        for block in range(number, number + blocks):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0devport-test-ports-{block}")
            except OSError:
                claim.close()
                self.release()
                return False
            self._claims.append(claim)
        first = POOL[0] + number * BLOCK
        # Nor may connections of an earlier test linger there (TIME_WAIT): not every server reuses a port.
        if all(is_free(port, lingering=False) for port in range(first, first + blocks * BLOCK)):
            return True
        self.release()
        return False

    def release(self):
        """Others may have them."""
        while self._claims:
            self._claims.pop().close()


def is_free(port, *, lingering=True):
    """Whether nothing listens on `port`, v4 or v6; old connections may be `lingering` there, or not."""
    with socket.socket(socket.AF_INET6) as both:
        both.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(lingering))
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            both.bind(("::", port))
        except OSError:
            return False
    return True


def is_listening(port):
    """Whether somebody accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex(("127.0.0.1", port)) == 0


def settable(mask):
    """The signals of a mask in /proc/PID/status, less 32 and 33, which are glibc's: nobody can reset them."""
    return int(mask, 16) & ~(0b11 << 31)
