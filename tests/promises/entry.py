"""One line of the catalogue, and all of them."""

import functools
import importlib
import pkgutil
import re
from typing import NamedTuple

import promises

NUMBERS = (
    *(f"F{n:02}" for n in range(1, 100)),
    *(f"S{n:02}" for n in range(1, 41)),
    *(f"P{n:02}" for n in range(1, 41)),
)
"""Failures, the security checklist, the drill."""


class Entry(NamedTuple):
    """`number` of the catalogue, the promise in one sentence, and the tests that hold it.

    `tests` are node ids without parameters, "tests/e2e/test_x.py::test_y". Where the failure cannot arise at
    all, `why` says so in one sentence, and there may be no test.
    """

    number: str
    promise: str
    tests: tuple[str, ...] = ()
    why: str = ""


@functools.cache
def every():
    """All entries by number, in the order of the catalogue."""
    found = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(promises.__path__)):
        for entry in getattr(importlib.import_module(f"promises.{module}"), "CATALOGUE", ()):
            assert entry.number not in found, f"two entries for {entry.number}"
            found[entry.number] = entry
    return dict(sorted(found.items(), key=lambda item: NUMBERS.index(item[0])))


def names_of(text):
    """The test functions that are defined in the `text` of a file."""
    return set(re.findall(r"^ *def (test_\w+)\(", text, re.MULTILINE))
