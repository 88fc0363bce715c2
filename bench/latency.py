"""How much later a line arrives than it was written: idle, and while another child floods.

A child writes its CLOCK_MONOTONIC every 10 ms, 200 times, taken just before the write; we compare with our
own as we read. A line that has not arrived after 15 s counts as 15 s late.
"""

import functools
import re
import statistics
import sys
import time

from bench import tree
from bench.runners import Runner, write
from bench.trial import FailedError, Trial
from bench.workload import Figures, Measure, Workload

LINES = 200
TIMEOUT = 15.0
STAMP = re.compile(rb"stamp=(\d+);")
TICKER = f"""
import os, time
time.sleep(0.5)
for _ in range({LINES}):
    os.write(1, b"stamp=%d;\\n" % time.monotonic_ns())
    time.sleep(0.01)
"""


def late(folder: str, runner: Runner, *, flood: bool) -> Figures:
    """The median and the 99th percentile of one series."""
    ticker = write(folder, "ticker.py", TICKER)
    script = f"export {tree.WORKLOAD}=1\n{sys.executable} {ticker}\nexec sleep 1000\n"
    entries = {"tick": f"exec sh {write(folder, 'tick.sh', script)}"}
    if flood:
        entries["flood"] = f"exec env {tree.WORKLOAD}=1 yes flooding-flooding-flo"
    with Trial(runner, entries, seconds=TIMEOUT) as trial:
        delays = read_delays(trial)
    delays += [TIMEOUT * 1e3] * (LINES - len(delays))
    return {"median": statistics.median(delays), "p99": sorted(delays)[LINES * 99 // 100 - 1]}


def read_delays(trial: Trial) -> list[float]:
    """The delay in milliseconds of each line, until all are here or the time is up."""
    delays: list[float] = []
    tail = b""
    for chunk in trial.chunks():
        now = time.monotonic_ns()
        text = tail + chunk
        found = list(STAMP.finditer(text)) if b"stamp=" in text else []
        delays += [(now - int(match[1])) / 1e6 for match in found]
        if len(delays) >= LINES:
            return delays
        tail = text[max(found[-1].end() if found else 0, len(text) - 40) :]
    if not delays:
        raise FailedError(trial.last_words())
    return delays


def workloads(folder: str, rounds: int) -> list[Workload]:
    """The two conditions."""
    goals = {False: 1, True: 5}
    return [
        Workload(
            name=f"latency{'-flooded' if flood else ''}",
            title="added latency of a line, " + ("while another child floods" if flood else "idle"),
            measures=(
                Measure(key="median", title="ms, median", digits=3, goal=goals[flood]),
                Measure(key="p99", title="ms, 99th percentile", digits=3),
            ),
            trial=functools.partial(late, folder, flood=flood),
            rounds=rounds,
        )
        for flood in (False, True)
    ]
