"""python -m bench: measure devport and every peer on PATH, in turns, and print and save the figures."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence

from bench import background, crowd, latency, report, startup, throughput, tree, waiting
from bench.results import Results
from bench.runners import Runner, found_runners
from bench.trial import FailedError
from bench.workload import Workload

BUDGET = 120.0
NAMES = (
    *("throughput", "four", "long-line", "startup", "latency", "latency-flooded"),
    *("crowd", "background", "chain", "probes"),
)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="of each workload; start-up has four times as many (5)")
    parser.add_argument("--only", metavar="NAME,...", help=f"workloads: {', '.join(NAMES)}")
    parser.add_argument("--tools", metavar="NAME,...", help="devport, cat, sed, sh, python, honcho ...")
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, one round")
    return parser.parse_args()


def chosen(text: str | None, names: Sequence[str]) -> list[str]:
    """The names of a comma list, each of which must exist; all without a list."""
    wanted = text.split(",") if text else list(names)
    for name in wanted:
        if name not in names:
            sys.exit(f"bench: {name} is not among {', '.join(names)}")
    return wanted


def run(workload: Workload, runners: Sequence[Runner]) -> Results:
    """The rounds of one workload: every tool once, then every tool again.

    A tool that failed, or that has used its budget of time, has no further turns.
    """
    results = Results(workload)
    spent = dict.fromkeys((runner.name for runner in runners), 0.0)
    for number in range(1, workload.rounds + 1):
        for runner in runners:
            name = runner.name
            if workload.tools is not None and name not in workload.tools:
                continue
            if workload.name in runner.left_out:
                if not runner.limit:
                    results.reasons[name] = f"left out: {runner.left_out[workload.name]}"
            elif name not in results.reasons and spent[name] < BUDGET:
                started = time.monotonic()
                say(f"{workload.name} {number}/{workload.rounds} {name}")
                try:
                    results.add(name, number, workload.trial(runner))
                except FailedError as reason:
                    results.reasons[name] = f"failed in round {number}: {reason}"
                spent[name] += time.monotonic() - started
    say("")
    return results


def say(text: str) -> None:
    """Progress on stderr: one line that is written over on a terminal, else a line each."""
    start, end = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
    print(f"{start}{text}", end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print, save."""
    options = arguments()
    rounds = options.rounds or (1 if options.quick else 5)
    # A killed run must still kill its trials and remove its files: SystemExit unwinds them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))
    found = found_runners()
    tools = chosen(options.tools, [runner.name for runner in found])
    # In the order of found_runners: cat has its turn before those that are compared with it.
    runners = [runner for runner in found if runner.name in tools]
    only = chosen(options.only, NAMES)
    versions = {runner.name: runner.version_text() for runner in runners}
    with tempfile.TemporaryDirectory(prefix="dpb-") as folder, contextlib.ExitStack() as end:
        end.callback(tree.kill, tree.RUN)
        tempfile.tempdir = folder
        groups = [
            *(throughput.workloads(folder, rounds, quick=options.quick) if {*only} & {*NAMES[:3]} else []),
            *startup.workloads(rounds),
            *latency.workloads(folder, rounds),
            *crowd.workloads(rounds),
            *background.workloads(rounds),
            *waiting.workloads(rounds),
        ]
        everything = [run(workload, runners) for workload in groups if workload.name in only]
    print(report.markdown(everything, versions))
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
    report.save(target, everything, versions)
    print(f"Saved in {target}: table.md, plot.svg, raw.json")


if __name__ == "__main__":
    main()
