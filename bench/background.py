"""devport in the background: fifty services, and the commands that deal with them.

Services are `sleep`s under supervisors without windows (what tmux costs is tmux's). Memory is the mean of
what one supervisor and its guardian take of the machine (PSS, /proc/PID/smaps_rollup) once all are idle.
`ls` reads a thousand records with sixty variables each, none of them running. Each command is timed as a
whole process, from exec to exit.
"""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Sequence

from bench import tree
from bench.runners import Runner
from bench.trial import FailedError, Trial
from bench.workload import Figures, Measure, Workload

SERVICES = 50
RECORDS = 1000
TIMEOUT = 60.0


def trial(runner: Runner) -> Figures:
    """One life of fifty services."""
    entries = {f"e{number}": f"{tree.WORKLOAD}=1 exec sleep 1000" for number in range(SERVICES)}
    # `check` starts nothing: the trial gives us its folder, its environment and its clean end.
    with Trial(runner, entries, seconds=TIMEOUT) as home:
        home.interrupt()
        home.drain(TIMEOUT)
        devport = (runner.command[0],)
        start = timed(home, [*devport, "start", "-d", "--no-tmux"])
        time.sleep(1)
        memory = pss_mb(home)
        one = timed(
            home, [*devport, "start", "--no-tmux", "--no-port", "--key", "one", "--", "sleep", "1000"]
        )
        stop = timed(home, [*devport, "stop", "one"])
        down = timed(home, [*devport, "down"])
        write_records(home.folder)
        ls = statistics.median(timed(home, [*devport, "ls"]) for _ in range(3))
    return {
        "start": start,
        "memory": memory,
        "one": one * 1e3,
        "stop": stop * 1e3,
        "down": down * 1e3,
        "ls": ls * 1e3,
    }


def timed(home: Trial, argv: Sequence[str]) -> float:
    """Seconds of one command; it must succeed."""
    began = time.monotonic()
    done = subprocess.run(
        argv, cwd=home.folder, env=home.environment(), capture_output=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise FailedError(f"{' '.join(argv[1:4])}: {done.stderr.decode(errors='replace')[:120]}")
    return time.monotonic() - began


def pss_mb(home: Trial) -> float:
    """What one service's supervision takes, in MB: the mean of fifty."""
    total = 0
    for pid in tree.members(home.token, workload=False):
        _, _, rest = tree.read(pid, "smaps_rollup").partition(b"\nPss:")
        total += int(rest.split()[0]) if rest else 0
    return total / 1024 / SERVICES


def write_records(folder: str) -> None:
    """A thousand services that do not run."""
    environ = [f"VARIABLE_{number}=value-{number:040}" for number in range(60)]
    for number in range(RECORDS):
        hash_ = f"{number:010x}"
        record = {"hash": hash_, "hashid": hash_, "key": f"k{number}", "port": 20000 + number}
        record |= {"cwd": "/tmp", "cmd": ["sleep", "1"], "env": environ, "last_up": "2026-01-01T00:00:00Z"}
        path = os.path.join(folder, "services", f"{hash_}.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump(record, file)
        os.chmod(path, 0o600)


def workloads(rounds: int) -> list[Workload]:
    """The only workload here; no peer has the like, so it is devport's alone."""
    return [
        Workload(
            name="background",
            title=f"{SERVICES} services in the background",
            measures=(
                Measure(key="start", title="s for `start -d`", digits=2, goal=3),
                Measure(key="memory", title="PSS MB of one's supervision", goal=8),
                Measure(key="one", title="ms to start one more", digits=0, goal=300),
                Measure(key="stop", title="ms to stop it", digits=0),
                Measure(key="down", title="ms for `down`", digits=0),
                Measure(key="ls", title=f"ms for `ls` of {RECORDS:,} records", digits=0, goal=100),
            ),
            trial=trial,
            rounds=rounds,
            tools=frozenset({"devport"}),
        )
    ]
