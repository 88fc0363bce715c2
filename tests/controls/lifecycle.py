"""Controls of the pure machine: what ends, what is started again and when, and what the run ends with."""

from controls.control import Control

LIFECYCLE, BUDGET, GROUP = (f"devport/engine/{name}.py" for name in ("lifecycle", "budget", "group"))
WALKS = (
    "tests/test_lifecycle_walks.py::test_walks_see_every_pair"  # 60,000 events, each held against the rules
)
RUNS = "tests/test_group_walks.py::test_runs_come_to_their_end"

CONTROLS = (
    Control(
        "starts-beside-leftovers",
        "F03",
        LIFECYCLE,
        "        if not event.leftovers:\n",
        "        if True:\n",
        (WALKS,),
    ),
    Control(
        "grace-without-end",
        "F11",
        LIFECYCLE,
        "self._enter(State.STOPPING, now + self.grace)",
        "self._enter(State.STOPPING)",
        (WALKS,),
    ),
    Control(
        "second-stop-waits",
        "F12 P15",
        LIFECYCLE,
        "case State.STOPPING if again:",
        "case State.STOPPING if again and self.grace < 0:",
        (RUNS,),
        quick=True,
    ),
    Control(
        "waits-for-the-unkillable",
        "F14",
        LIFECYCLE,
        "self._enter(State.KILLING, now + KILL_PATIENCE)",
        "self._enter(State.KILLING)",
        (WALKS,),
    ),
    Control(
        "stop-lost-in-backoff",
        "F27 P14",
        LIFECYCLE,
        "            case State.WAITING | State.BACKOFF:\n",
        "            case State.WAITING:\n",
        (WALKS,),
    ),
    Control(
        "starts-again-after-a-stop",
        "F27 P14",
        LIFECYCLE,
        "        if not self.wanted:\n",
        "        if not self.wanted and self.cause is Cause.ENDED:\n",
        (WALKS,),
    ),
    Control(
        "budget-without-end",
        "F83 P38",
        BUDGET,
        "        if policy.max is not None and len(self._spent) >= policy.max:\n",
        "        if policy.max is not None and len(self._spent) > 1000:\n",
        (WALKS,),
        quick=True,
    ),
    Control(
        "delay-that-does-not-grow",
        "F83 P38",
        BUDGET,
        "2.0 ** min(self.failures, MOST_DOUBLINGS)",
        "2.0 ** min(self.failures, 0)",
        (WALKS,),
    ),
    Control(
        "restart-before-its-time",
        "P38",
        LIFECYCLE,
        "if self.deadline is None or now < self.deadline:",
        "if self.deadline is None:",
        (WALKS,),
    ),
    Control(
        "last-failure-counts",
        "F17",
        GROUP,
        "            self.status = self.status or status\n            return False\n",
        "            self.status = status or self.status\n            return False\n",
        (RUNS,),
    ),
    Control(
        "a-goal-counts-behind-a-signal",
        "F17",
        GROUP,
        "        if not self.stopping:\n            self.stopping, self.status = True, status",
        "        if True:\n            self.stopping, self.status = True, status",
        ("tests/test_group_stateful.py::test_no_story_breaks_a_rule",),
        quick=True,
    ),
)
