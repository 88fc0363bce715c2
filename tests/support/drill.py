"""How often a thing is tried: a few times in `make test`, many times in `make drill`; and what it counted."""

import json
import os

LONG = "DEVPORT_TEST_DRILL"
"""Set by `pytest --drill` for itself and its workers: the long columns."""
REPORT = "DEVPORT_TEST_DRILL_REPORT"
"""The file that takes a line of JSON for each count that a test tells."""


def is_long():
    """Whether this is the drill and not `make test`."""
    return os.environ.get(LONG) == "1"


def trials(short, long):
    """How often: `short` in `make test`, `long` in the drill."""
    return long if is_long() else short


def tell(test, count, *, failures=0):
    """Note for docs/promises.md that `test` has done a thing `count` times, and how often it has failed."""
    if path := os.environ.get(REPORT):
        line = json.dumps({"test": test, "trials": count, "failures": failures})
        with open(path, "a", encoding="utf-8") as file:  # one write of a short line: workers do not mix
            file.write(line + "\n")
