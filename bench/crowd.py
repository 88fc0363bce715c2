"""Five hundred entries: how soon all are up, what they cost while nothing happens, how soon all are gone.

Each entry prints a word and then sleeps; the count of words says when all are up. Idle CPU is the manager's
(all processes but the sleeps), over three seconds, one second after the last word. Stopping is SIGINT to the
manager alone, until it has exited; what it leaves behind half a second later is counted too.
"""

import time

from bench import tree
from bench.runners import Runner
from bench.trial import FailedError, Trial
from bench.workload import Figures, Measure, Workload

ENTRIES = 500
COMMAND = f"export {tree.WORKLOAD}=1; echo up-47''11; exec sleep 1000"
WORD = b"up-4711"
TIMEOUT = 60.0
IDLE = 3.0


def trial(runner: Runner) -> Figures:
    """One life of a crowd."""
    entries = {f"e{number}": COMMAND for number in range(ENTRIES)}
    with Trial(runner, entries, seconds=TIMEOUT) as crowd:
        wait_until_up(crowd)
        up = time.monotonic() - crowd.started
        crowd.drain(1)
        before = crowd.usage()
        crowd.drain(IDLE)
        after = crowd.usage()
        asked = time.monotonic()
        crowd.interrupt()
        if not crowd.drain(TIMEOUT):
            raise FailedError(f"up in {up:.1f} s, but no exit within {TIMEOUT:.0f} s of SIGINT")
        stopped = time.monotonic() - asked
        time.sleep(0.5)
        left = len(tree.members(crowd.token))
    return {
        "up": up,
        "idle": (after.cpu - before.cpu) * 1e3,
        "memory": after.peak_mb,
        "stop": stopped,
        "left": left,
    }


def wait_until_up(crowd: Trial) -> None:
    """Count words until every entry has said it."""
    output = b""
    for chunk in crowd.chunks():
        output += chunk
        if output.count(WORD) >= ENTRIES:
            return
    raise FailedError(f"{output.count(WORD)} of {ENTRIES} up; {crowd.last_words(output)}")


def workloads(rounds: int) -> list[Workload]:
    """The only workload here."""
    return [
        Workload(
            name="crowd",
            title=f"{ENTRIES} entries of `echo up; exec sleep 1000`",
            measures=(
                Measure(key="up", title="s until all are up", digits=2, goal=2),
                Measure(key="idle", title=f"CPU ms in {IDLE:.0f} idle s", digits=0, goal=0),
                Measure(key="memory", title="peak MB of the manager"),
                Measure(key="stop", title="s from SIGINT to exit", digits=2, goal=1),
                Measure(key="left", title="processes left behind", digits=0, goal=0),
            ),
            trial=trial,
            rounds=rounds,
        )
    ]
