"""How soon `web: echo hi` is seen, and when the whole run is over, in milliseconds after exec.

The goal was set as 40 ms where a bare `python -c pass` took 8, so the ratio of the two is shown as well.
Every start has a fresh home, so devport's first registration is in it. What is looked for in the output is a
word that the shell puts together, so that a manager which shows the command does not look faster than it is.
"""

import math
import time

from bench.runners import Runner
from bench.trial import FailedError, Trial
from bench.workload import Figures, Measure, Workload

COMMAND = "echo hi-47''11"
WORD = b"hi-4711"
TIMEOUT = 30.0


def trial(runner: Runner) -> Figures:
    """Start, wait for the word, wait for the exit. A screen never exits; a bare python says nothing."""
    with Trial(runner, {"web": COMMAND}, seconds=TIMEOUT) as started:
        first = math.nan
        tail = b""
        for chunk in started.chunks():
            if WORD in tail + chunk:
                first = time.monotonic() - started.started
                break
            tail = chunk[-len(WORD) :]
        if runner.terminal:
            return {"first": first * 1e3, "whole": math.nan}
        if not started.drain(TIMEOUT):
            raise FailedError(f"no exit within {TIMEOUT:.0f} s")
        whole = time.monotonic() - started.started
        if math.isnan(first) and not runner.limit:
            raise FailedError(started.last_words())
    return {"first": first * 1e3, "whole": whole * 1e3}


def workloads(rounds: int) -> list[Workload]:
    """The only workload here; cheap, so it has four times the rounds."""
    return [
        Workload(
            name="startup",
            title="start-up with `web: echo hi`",
            measures=(
                Measure(key="first", title="ms to the first line", goal=40),
                Measure(key="share", title="first line / bare python", digits=2, goal=5),
                Measure(key="whole", title="ms for the whole run"),
            ),
            trial=trial,
            rounds=4 * rounds,
            relative=("first", "python", "whole"),
        )
    ]
