"""What devport.yaml adds: a hundred services that wait for one another, and fifty that are probed.

The chain is timed from exec until the last has printed its word. Each service is a `sleep`, which is ready
as soon as it is started, or when a command (`true`) says so. Probes have the default period of 10 s, by
command, by HTTP and by TCP, the latter against small servers; counted is the CPU time of devport and of the
commands that it has run, not the servers'.
"""

import time
from dataclasses import replace

from bench import tree
from bench.runners import Runner, write
from bench.trial import FailedError, Trial
from bench.workload import Figures, Measure, Workload

LINKS = 100
PROBED = 50
IDLE = 20.0
TIMEOUT = 90.0
SLEEP = f"export {tree.WORKLOAD}=1; echo up-47''11; exec sleep 1000"
SERVER = f"export {tree.WORKLOAD}=1; echo up-47''11; exec python3 -m http.server --bind 127.0.0.1 $PORT"
WORD = b"up-4711"
READY = {
    "exec": "{exec: 'true'}",
    "http": "{http: {get: {path: /}}}",
    "tcp": "{tcp: {}}",
}


def chain(ready: str = "") -> str:
    """devport.yaml of services that each wait for the one before."""
    lines = ["processes:"]
    for number in range(LINKS):
        lines += [f"  n{number}:", f"    exec: {SLEEP}"]
        lines += [f"    ready: {ready}"] * bool(ready)
        lines += [f"    after: n{number - 1}"] * bool(number)
    return "\n".join([*lines, ""])


def probed(ready: str, command: str) -> str:
    """devport.yaml of services that are all probed in the same way."""
    lines = ["processes:"]
    for number in range(PROBED):
        lines += [f"  n{number}:", f"    exec: {command}", f"    ready: {ready}"]
    return "\n".join([*lines, ""])


def until(trial: Trial, count: int) -> float:
    """Seconds from exec until `count` services have said their word."""
    output = b""
    for chunk in trial.chunks():
        output += chunk
        if output.count(WORD) >= count:
            return time.monotonic() - trial.started
    raise FailedError(f"{output.count(WORD)} of {count} up; {trial.last_words(output)}")


def chain_trial(runner: Runner) -> Figures:
    """The chain without and with probes, and under supervisors."""
    figures = {}
    for key, ready in (("chain", ""), ("probed", "{exec: 'true'}")):
        with Trial(yaml(runner, chain(ready)), {}, seconds=TIMEOUT) as home:
            figures[key] = until(home, LINKS)
            asked = time.monotonic()
            home.interrupt()
            if not home.drain(TIMEOUT):
                raise FailedError(f"no exit within {TIMEOUT:.0f} s of SIGINT")
            figures[f"{key}-stop"] = time.monotonic() - asked
    return figures


def probe_trial(runner: Runner) -> Figures:
    """What fifty probed services cost while nothing else happens: percent of a core."""
    figures = {}
    for key, ready in READY.items():
        text = probed(ready, SLEEP if key == "exec" else SERVER)
        with Trial(yaml(runner, text), {}, seconds=TIMEOUT) as home:
            until(home, PROBED)
            home.drain(15)  # all are ready, and probed at their leisure
            before = cpu(home)
            home.drain(IDLE)
            figures[key] = (cpu(home) - before) / IDLE * 100
    return figures


def yaml(runner: Runner, text: str) -> Runner:
    """`runner` as it runs a devport.yaml of this `text`."""
    return replace(
        runner, arguments=lambda folder, _entries: ["start", "-f", write(folder, "devport.yaml", text)]
    )


def cpu(trial: Trial) -> float:
    """CPU seconds of the manager and of those of its children that it has reaped: its probes."""
    ticks = 0
    for pid in tree.members(trial.token, workload=False):
        fields = tree.read(pid, "stat").rpartition(b") ")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / tree.TICKS


def workloads(rounds: int) -> list[Workload]:
    """The chain and the probes; no peer reads the file, so they are devport's alone."""
    return [
        Workload(
            name="chain",
            title=f"{LINKS} services, each waiting for the one before",
            measures=(
                Measure(key="chain", title="s until the last has started", digits=2, goal=5),
                Measure(key="chain-stop", title="s from SIGINT to exit", digits=2),
                Measure(key="probed", title="the same with a command as probe, s", digits=2, goal=5),
                Measure(key="probed-stop", title="s from SIGINT to exit", digits=2),
            ),
            trial=chain_trial,
            rounds=rounds,
            tools=frozenset({"devport"}),
        ),
        Workload(
            name="probes",
            title=f"{PROBED} services probed every 10 s, % of a core",
            measures=(
                Measure(key="exec", title="by command", digits=2, goal=2),
                Measure(key="http", title="by HTTP", digits=2, goal=2),
                Measure(key="tcp", title="by TCP", digits=2, goal=2),
            ),
            trial=probe_trial,
            rounds=min(rounds, 3),
            tools=frozenset({"devport"}),
        ),
    ]
