"""Every condition, for every way to end, of services and of tasks: who waits goes on, or fails.

Three times: in one window; each under a supervisor of its own, all at once; and against supervisors that
have been running for a while. All three agree.
"""

import json
import re

import pytest
from support import background
from support.procs import eventually

plain = background.plain

CONDITIONS = ("started", "ready", "completed", "succeeded")
ENDS = {"zero": "exit 0", "three": "exit 3", "killed": "kill -9 $$", "gave-up": "exit 3"}
CASES = [
    (kind, end, condition)
    for kind in ("service", "task")
    for end in ENDS
    for condition in CONDITIONS
    if (kind, end) != ("task", "gave-up")  # a task is never restarted
]
WHY = {
    "three": "exited with status 3",
    "killed": "killed by signal 9",
    "gave-up": "given up after 1 restart",
}


def goes_on(kind, end, condition):
    """Whether who waits is started in the end."""
    if kind == "task" and condition == "ready":
        condition = "succeeded"
    return condition != "succeeded" or end == "zero"


def names(case):
    """Who ends, and who waits for it."""
    return "-".join(case), "after-" + "-".join(case)


def text(*, gated):
    """devport.yaml of all cases; `gated`: nobody ends before a file called go is there."""
    gate = "until [ -e go ]; do sleep 0.05; done; " if gated else ""
    processes, tasks = ["processes:"], ["tasks:"]
    for case in CASES:
        kind, end, condition = case
        first, then = names(case)
        (tasks if kind == "task" else processes).append(f"  {first}:\n    exec: {gate}{ENDS[end]}")
        if kind == "service":
            policy = "{on: on_failure, max: 1, delay: 0.05}" if end == "gave-up" else "never"
            processes.append(f"    restart: {policy}")
        processes.append(f"  {then}:\n    exec: exec sleep 1000\n    after: {first}@{condition}")
    return "\n".join([*processes, *tasks, ""])


def expected():
    """Who waits: what is to become of it."""
    return {names(case)[1]: "runs" if goes_on(*case) else "failed" for case in CASES}


@pytest.mark.timeout(240)
def test_in_one_window(devport):
    """Cold, in the foreground."""
    devport.claim(100)
    devport.write("devport.yaml", text(gated=False))
    run = devport.start("--json")
    reasons = {}

    def decided():
        run.read(0.1)
        for line in run.output.rpartition(b"\n")[0].splitlines():
            event = json.loads(line)
            name = event.get("service", "")
            if name.startswith("after-") and event.get("event") in {"started", "failed"}:
                reasons[name] = event.get("reason", "runs")
        assert reasons.keys() == expected().keys(), run.shown()

    eventually(decided, 60)
    status, _ = run.stop(timeout=60)

    assert {name: "runs" if why == "runs" else "failed" for name, why in reasons.items()} == expected()
    for case in CASES:
        first, then = names(case)
        if not goes_on(*case):
            assert re.fullmatch(rf"{first} (failed: )?.*{WHY[case[1]]}", reasons[then])
    ends = [event for event in map(json.loads, run.output.splitlines()) if event.get("event") == "exited"]
    assert status == next(event["status"] for event in ends if event["status"])  # the first that failed


def outcome(machine):
    """Who waits: what has become of it."""
    rows = machine.ls()
    found = {}
    for case in CASES:
        first, then = names(case)
        state = rows[then]["state"]
        found[then] = "runs" if state == "ready" else state
        if state == "failed":
            assert re.fullmatch(rf"{first} (failed: )?.*{WHY[case[1]]}", rows[then]["error"])
    return found


@pytest.mark.timeout(240)
@pytest.mark.parametrize("gated", [False, True], ids=["cold", "running"])
def test_in_the_background(plain, devport, gated):
    """Each under a supervisor of its own: all at once, or only when who ends has been there for a while."""
    devport.claim(100)
    devport.write("devport.yaml", text(gated=gated))
    if gated:
        plain.detach("--mode", "single", *(names(case)[0] for case in CASES), timeout=60)
    plain.call("start", "-d", "--no-tmux", timeout=60)
    if gated:
        waiting = {
            names(case)[1] for case in CASES if case[2] in {"completed", "succeeded"} or case[0] == "task"
        }
        waiting -= {names(case)[1] for case in CASES if case[2] == "started"}

        def waits():
            found = outcome(plain)
            assert {name for name, state in found.items() if state == "waiting"} == waiting

        eventually(waits, 60)
        devport.write("go", "")

    def decided():
        assert outcome(plain) == expected()

    eventually(decided, 90)
    plain.call("down", timeout=60)
    plain.nothing_left()
