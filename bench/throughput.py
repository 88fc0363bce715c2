"""How fast lines pass, and what that costs the manager in CPU and memory.

Each entry writes down the time, `cat`s a prepared file and ends with a marker line; then it sleeps, so that
the manager is still there to be read from /proc once all markers have arrived at our end of the pipe. The
clock runs from the first entry's start to the last marker: start-up is not in it, all buffering is. After the
marker come a few KB more, which push it out of a block buffer such as sed's.
"""

import os
import time
from dataclasses import dataclass

from bench import tree
from bench.runners import Runner, write
from bench.trial import FailedError, Trial
from bench.workload import Figures, Measure, Workload

MARKER = b"<the end 7f3a9c>"
BLOCK = 10_000
TIMEOUT = 240.0


@dataclass(frozen=True, slots=True)
class Payload:
    """A file that each of so many processes writes once."""

    path: str
    size: int
    lines: int
    processes: int

    def trial(self, runner: Runner) -> Figures:
        """Run it once and read everything."""
        starts = f"{self.path}.starts"
        script = (
            f"export {tree.WORKLOAD}=1\ndate +%s%N >> {starts}\ncat {self.path}\n"
            f"echo '{MARKER.decode()}'\nseq 2000\nexec sleep 1000\n"
        )
        work = write(os.path.dirname(self.path), "work.sh", script)
        write(os.path.dirname(starts), os.path.basename(starts), "")
        entries = {f"web{number}": f"exec sh {work}" for number in range(1, self.processes + 1)}
        with Trial(runner, entries, seconds=TIMEOUT) as trial:
            self.read_all(trial)
            end = time.time_ns()
            usage = trial.usage()
        with open(starts, encoding="ascii") as file:
            seconds = (end - min(map(int, file))) / 1e9
        total = self.processes * self.size
        rate = self.processes * self.lines / seconds / 1e6
        return {
            "rate": rate,
            "speed": total / seconds / 1e6,
            "seconds": seconds,
            "cpu": usage.cpu,
            "memory": usage.peak_mb,
        }

    def read_all(self, trial: Trial) -> None:
        """Read until every process's marker is here; looking costs, so only where one can be."""
        total = markers = 0
        tail = b""
        for chunk in trial.chunks():
            total += len(chunk)
            if total >= self.size:
                text = tail + chunk
                markers += text.count(MARKER)
                tail = text[-len(MARKER) + 1 :]
                if markers >= self.processes:
                    return
            else:
                tail = chunk[-len(MARKER) + 1 :]
        raise FailedError(trial.last_words())


def payload(folder: str, name: str, *, lines: int, width: int, processes: int = 1) -> Payload:
    """Write a file of numbered lines of so many bytes, the newline among them."""
    path = os.path.join(folder, name)
    size = lines * width
    block = b"".join(b"line %0*d\n" % (width - 6, number) for number in range(min(BLOCK, lines)))
    with open(path, "wb") as file:
        file.writelines(block for _ in range(max(1, lines // BLOCK)))
    return Payload(path, size, lines, processes)


def workloads(folder: str, rounds: int, *, quick: bool) -> list[Workload]:
    """One chatty process, four of them, and one that never ends its line."""
    part = 10 if quick else 1
    one = payload(folder, "one", lines=5_000_000 // part, width=22)
    four = payload(folder, "four", lines=1_000_000 // part, width=100, processes=4)
    long = payload(folder, "long", lines=1, width=300_000_000 // part)
    cpu = Measure(key="cpu", title="CPU s of the manager", digits=2)
    memory = Measure(key="memory", title="peak MB of the manager", goal=30)
    return [
        Workload(
            name="throughput",
            title=f"{one.lines / 1e6:g} M lines of 22 bytes from one process",
            measures=(
                Measure(key="rate", title="M lines/s", digits=2, goal=15, more_is_better=True),
                Measure(key="share", title="of cat", digits=3, goal=0.4, more_is_better=True),
                cpu,
                memory,
            ),
            trial=one.trial,
            rounds=rounds,
            relative=("rate", "cat", "rate"),
        ),
        Workload(
            name="four",
            title=f"4 processes of {four.lines / 1e6:g} M lines of 100 bytes",
            measures=(
                Measure(key="speed", title="MB/s of payload", goal=400, more_is_better=True),
                Measure(key="share", title="of cat", digits=3),
                cpu,
                memory,
            ),
            trial=four.trial,
            rounds=rounds,
            relative=("speed", "cat", "speed"),
        ),
        Workload(
            name="long-line",
            title=f"a line of {long.size / 1e6:g} MB without a newline",
            measures=(Measure(key="seconds", title="s", digits=2), cpu, memory),
            trial=long.trial,
            rounds=rounds,
        ),
    ]
