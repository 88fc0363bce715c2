"""docs/lifecycle.md from the code: every state a service can be in, every event, and what comes of it.

python -m tests.support.lifecycle_table > docs/lifecycle.md
"""

import sys

from devport.engine.lifecycle import (
    DOWN,
    GONE,
    MET,
    READY,
    RESTART,
    SPAWNED,
    TIMEOUT,
    UP,
    Cause,
    Event,
    Kind,
    Lifecycle,
)
from devport.model import RestartPolicy

CRASH = Event(Kind.EXITED, 1)
HURT = Event(Kind.UNHEALTHY, reason="no answer")
LOST = Event(Kind.LOST)

RUN = (UP, SPAWNED, READY)
AT_REST = {  # a column: how to get there
    "stopped": (),
    "waiting": (LOST, UP),
    "backoff": (*RUN, CRASH),
    "exited": (*RUN, Event(Kind.EXITED, 0)),
    "failed": (*RUN, HURT, TIMEOUT, TIMEOUT),
}
RUNNING = {
    "starting": (UP, SPAWNED),
    "ready": RUN,
    "stopping": (*RUN, DOWN),
    "stopping to restart": (*RUN, RESTART),
    "stopping after a crash": (*RUN, HURT),
    "killing": (*RUN, DOWN, DOWN),
    "killing to restart": (*RUN, RESTART, TIMEOUT),
    "killing after a crash": (*RUN, HURT, TIMEOUT),
}
STATES = AT_REST | RUNNING

EVENTS = {  # a row: the event
    "**up**": UP,
    "**restart**, file change": RESTART,
    "**down**": DOWN,
    "dependencies met": MET,
    "dependency lost": LOST,
    "dependency lost for good": Event(Kind.LOST, reason="db failed"),
    "spawned": SPAWNED,
    "spawn failed": Event(Kind.SPAWN_FAILED, 127, "cannot run nope"),
    "ready": READY,
    "not ready": Event(Kind.UNREADY, reason="connection refused"),
    "unhealthy": HURT,
    "takes longer": Event(Kind.EXTENDED, seconds=60.0),
    "exited, success": Event(Kind.EXITED, 0),
    "exited, failure": CRASH,
    "exited, others left behind": Event(Kind.EXITED, 1, leftovers=True),
    "all of the tree gone": GONE,
    "deadline passed": TIMEOUT,
}

NOTHING = "·"
SIGNALS = {15: "stop signal", 9: "SIGKILL"}

TEXT = """\
# The life of a service

Generated from `devport/engine/lifecycle.py` by `python -m tests.support.lifecycle_table`; a test compares.

A service is in one state, and is wanted up or not. What happens to it are events: wishes (bold) and facts.
Each may change the state and ask for one thing to be done: a spawn, or a signal to the process tree. The
service in these tables restarts on failure and has a readiness probe with a time limit; without a probe,
*spawned* makes it ready at once.

No process:

%s

A process, or some of its tree, is there; `stopping` and `killing` end in three ways: for good, because
somebody wants a restart, or, after a crash (its own end with others left behind, a failed probe, a missed
start deadline), by the restart policy:

%s

A cell is the next state and what is done; `·` is no change, also where the event cannot occur, and an event
that changes nothing in a whole table is not in it; `backoff` stands for the restart policy's answer (`failed`
once its budget is spent, `exited` or `failed` where it restarts nothing), and where a start would follow
while dependencies are not met, `waiting` follows instead.
"""


def machine(column, **policy):
    """A Lifecycle in the state of `column`, and the time."""
    external = policy.pop("external", False)
    made = Lifecycle(
        RestartPolicy(**{"on": "on_failure", **policy}),
        15,
        5.0,
        probed=True,
        start_timeout=30.0,
        external=external,
    )
    now = 0.0
    for event in STATES[column]:
        if event is TIMEOUT:
            now = made.deadline
        made.handle(event, now)
    return made, now


def label(made):
    """The state of `made`, as the columns call it."""
    state = str(made.state)
    if made.wanted and state in {"stopping", "killing"}:
        state += " to restart" if made.cause is Cause.ASKED else " after a crash"
    return state


def cell(column, event):
    """What `event` does in the state of `column`."""
    made, now = machine(column)
    if event is TIMEOUT and made.deadline is not None:
        now = made.deadline
    before = label(made), made.deadline
    done = [
        "spawn" if action.signal is None else SIGNALS[action.signal] for action in made.handle(event, now)
    ]
    return NOTHING if (label(made), made.deadline) == before and not done else ", ".join([label(made), *done])


def table(columns):
    """One table, in Markdown."""
    rows = [[name, *(cell(column, event) for column in columns)] for name, event in EVENTS.items()]
    rows = [["", *columns], *(row for row in rows if set(row[1:]) != {NOTHING})]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(map(str.ljust, row, widths)).join(["| ", " |"]) for row in rows]
    lines.insert(1, "|".join("-" * (width + 2) for width in widths).join("||"))
    return "\n".join(lines)


def page():
    """docs/lifecycle.md."""
    return TEXT % (table(AT_REST), table(RUNNING))


if __name__ == "__main__":
    sys.stdout.write(page())
