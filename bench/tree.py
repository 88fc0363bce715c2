"""The processes of one trial, read from /proc: which they are, what they cost, and their end.

Each trial has a token in its environment; whatever carries it belongs to the trial, even in a session of its
own or below a server that went to the background. What carries WORKLOAD as well is the load, not the manager.
All tokens of a run begin with RUN, so that RUN alone stands for whatever is left of any of them.
"""

import os
import secrets
import signal
import time
from dataclasses import dataclass

TOKEN = "DEVPORT_BENCH_TRIAL"
RUN = secrets.token_hex(8)
WORKLOAD = "DEVPORT_BENCH_WORKLOAD"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a manager has cost so far: CPU seconds, and the sum of its processes' peak resident memory."""

    cpu: float
    peak_mb: float


def read(pid: int, name: str) -> bytes:
    """A file of /proc/PID; empty when the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def members(token: str, *, workload: bool = True) -> list[int]:
    """The living processes of the trial; without workload only those of the manager."""
    wanted = f"{TOKEN}={token}".encode()
    load = f"{WORKLOAD}=1".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        variables = read(int(pid), "environ")
        if wanted in variables and (workload or load not in variables):
            found.append(int(pid))
    return found


def usage(token: str) -> Usage:
    """The manager's cost. The kernel keeps the peak (VmHWM), so one reading at the end is enough."""
    cpu = 0
    peak_kb = 0
    for pid in members(token, workload=False):
        fields = read(pid, "stat").rpartition(b") ")[2].split()
        cpu += int(fields[11]) + int(fields[12]) if fields else 0
        _, _, rest = read(pid, "status").partition(b"VmHWM:")
        peak_kb += int(rest.split()[0]) if rest else 0
    return Usage(cpu / TICKS, peak_kb / 1024)


def kill(token: str, patience: float = 10.0) -> None:
    """Kill every process of the trial, and what they start meanwhile, until none is left."""
    end = time.monotonic() + patience
    while left := members(token):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if time.monotonic() > end:
            msg = f"cannot kill processes {left}: they outlive SIGKILL"
            raise TimeoutError(msg)
        time.sleep(0.01)
