"""docs/promises.md, made of the catalogue, the controls and what the drill has counted.

`python -m tests.support.promises_page [REPORT] > docs/promises.md`; REPORT is what `make drill` has counted
(.venv/counted) if that is to be kept.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(HERE))

from controls import control  # noqa: E402 - as a script it has to find them first
from promises import entry  # noqa: E402

COUNTED = HERE / "promises" / "counted.json"
"""What `make drill` has counted last: trials by test."""
PEERS = HERE / "promises" / "peers.json"
PARTS = (
    ("F", "Failures", "What goes wrong with the tools of this kind, and what devport does then."),
    ("S", "Security", "Whose files, sockets, words and processes are safe from whom."),
    ("P", "The drill", "The same in numbers: many times, at once, and under load."),
)
HEAD = """# Promises

Each line is one promise, and the tests that hold it. A test that could not fail would hold nothing: *control*
says that devport was also run with that protection taken out, and that the test failed then
(`tests/controls/`). *Trials* is how often `make drill` has done it (or how many lines, bytes or messages
there were); failures: 0, or it would not be here. `make test` runs each of these tests with a smaller number.

`make drill` takes one to two hours on two cores: the long columns, random walks of a real devport, a soak of
ten minutes, all controls, and the other runners under the same faults. `make mutation` says what the tests of
the lifecycle are worth ([mutation.md](mutation.md)).

This page is generated: `python -m tests.support.promises_page > docs/promises.md`.
"""


def page():
    """The whole text."""
    counted = json.loads(COUNTED.read_text(encoding="utf-8")) if COUNTED.exists() else {}
    parts = [HEAD]
    if PEERS.exists():
        parts.append(_beside(json.loads(PEERS.read_text(encoding="utf-8"))))
    parts += [_part(*part, counted) for part in PARTS]
    return "\n".join(parts)


def _beside(record):
    tools = list(record["tools"])
    versions = ", ".join(
        f"{name} {version}" for name, version in record["tools"].items() if name != "devport"
    )
    lines = [
        "## Beside others",
        "",
        f"The same faults, the same checks: {versions}; overmind and hivemind where they are installed.",
        "Each cell is failures of trials, and what was seen most often then. supervisord is told to stop and",
        "kill groups, with the same grace; a hyphen: the fault means nothing to a program that stays.",
        "",
        "| fault | " + " | ".join(tools) + " |",
        "|---" * (len(tools) + 1) + "|",
    ]
    for fault, row in record["faults"].items():
        cells = [fault, *(_cell(row[tool]) for tool in tools)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(found):
    if not found["trials"]:
        return "-"
    seen = f": {found['seen']}" if found["failures"] else ""
    return f"{found['failures']} of {found['trials']}{seen}"


def _part(letter, title, about, counted):
    controlled = {number for one in control.every().values() for number in one.numbers.split()}
    lines = [
        f"## {title}",
        "",
        about,
        "",
        "| | promise | held by | control | trials |",
        "|---|---|---|---|---|",
    ]
    for number, found in entry.every().items():
        if number[0] == letter:
            control_ = "yes" if number in controlled else ""
            trials = sum(counted.get(test, 0) for test in found.tests)
            cells = (number, found.promise, _held(found), control_, f"{trials:,}" if trials else "")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _held(found):
    names = [re.sub(r".*/", "", test) for test in found.tests]
    said = ", ".join(f"`{name}`" for name in names)
    return "; ".join(filter(None, (said, found.why)))


def count(report):
    """Keep what `make drill` has told in the file `report`, a line of JSON a test and parameter, by test."""
    lines = pathlib.Path(report).read_text(encoding="utf-8").splitlines()
    told = {one["test"]: one["trials"] for one in map(json.loads, lines)}  # of a test run again the last
    counted = {}
    for test, trials in told.items():
        name = test.partition("[")[0]
        counted[name] = counted.get(name, 0) + trials
    COUNTED.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        count(sys.argv[1])
    sys.stdout.write(page())
