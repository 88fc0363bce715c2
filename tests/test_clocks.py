"""Which clock decides: the monotonic one. The time of day is only for what is shown or kept (F62)."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

HOUSE = Path(importlib.util.find_spec("devport").origin).parent

WALL = {  # who asks for the time of day, and what for
    "context.py": "hands it down",
    "registry/store.py": "names of damaged files that are kept; drafts of the dead that are old",
    "registry/register.py": "when a record was last up, and which port is long unused",
    "registry/holder.py": "since when a lock is held, for a message",
    "claim.py": "when a record was last up",
    "supervisor.py": "when a record was last up; the times of the log",
    "foreground.py": "the times before the lines",
    "passthrough.py": "the store",
    "background.py": "the store",
    "launch.py": "the store",
    "tailscale/exposure.py": "the store",
    "commands/targets.py": "the store",
    "commands/detached.py": "the store",
    "commands/following.py": "the store",
    "commands/standing.py": "the store",
    "commands/shell.py": "the store",
    "commands/view.py": "whether a form of the time is one",
    "engine/printer.py": "the times before the lines",
    "engine/backlog.py": "when a line came, for `logs -t`",
    "engine/log.py": "when a line came, for `logs -t`",
    "engine/status.py": "since when a service runs, for `ls`",
    "engine/control.py": "hands it to the status",
    "inventory/output.py": "the times before the lines",
    "inventory/usage.py": "how long a process lives, for `ls`: psutil tells its birth so",
    "inventory/readiness.py": "whether a record's failure is of this start",
}
CLOCKS = {"time", "time_ns", "CLOCK_REALTIME"}
NOW = {"now", "utcnow", "today"}  # of datetime and date
BARE = {"localtime": 1, "gmtime": 1, "ctime": 1, "asctime": 1, "strftime": 2}  # with fewer words: of now


def asks(tree):
    """The lines of a module that ask for the time of day."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            module = ast.unparse(node.value).rpartition(".")[2]
            if (module == "time" and node.attr in CLOCKS) or node.attr in {"wall", "_wall"}:
                yield node.lineno
            if node.attr in NOW and module in {"dt", "datetime", "date"}:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            if {alias.name for alias in node.names} & {*CLOCKS, *BARE}:
                yield node.lineno
        elif isinstance(node, ast.Call):
            module, _, name = ast.unparse(node.func).rpartition(".")
            if module == "time" and len(node.args) < BARE.get(name, 0):
                yield node.lineno


def test_f62_who_asks_for_the_time_of_day():
    """Only the modules above, each for what is shown or kept; every other time is the monotonic clock's."""
    found = {}
    for file in sorted(HOUSE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if re.search(r"time|wall|date", text) and (lines := sorted(set(asks(ast.parse(text))))):
            found[file.relative_to(HOUSE).as_posix()] = lines

    assert {name: lines for name, lines in found.items() if name not in WALL} == {}
    assert set(WALL) - set(found) == set(), "these need it no more"


@pytest.mark.parametrize(
    "text",
    [
        "time.time()",
        "until = time.time",
        "from time import time",
        "datetime.now()",
        "dt.datetime.utcnow()",
        "time.localtime()",
        "time.strftime('%H')",
        "time.clock_gettime(time.CLOCK_REALTIME)",
        "context.wall() + 5",
    ],
)
def test_f62_what_asks_for_the_time_of_day(text):
    """However it is written."""
    assert list(asks(ast.parse(text)))


def test_f62_what_does_not():
    """The monotonic clocks, and times that are only written in another way."""
    text = (
        "time.monotonic(); time.gmtime(stamp); time.strftime(form, moment); loop.now(); time.clock_gettime(7)"
    )

    assert list(asks(ast.parse(text))) == []
