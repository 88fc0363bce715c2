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
from promises.asked import ASKED  # noqa: E402

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
(`tests/controls/`). *Trials* is how often `make drill` has done it (cases of a test, or what it has counted:
rounds, lines, bytes, messages), *failures* how many of its tests have failed then. `make test` runs each of
these tests too, with smaller numbers.

`make drill` takes a little over an hour on two cores: the long columns, random walks of a real devport, a
soak of ten minutes, all controls, and the other runners under the same faults. `make mutation` says what the
tests of the lifecycle are worth ([mutation.md](mutation.md)).

This page is generated: `python -m tests.support.promises_page > docs/promises.md`.
"""


def page():
    """The whole text."""
    counted = json.loads(COUNTED.read_text(encoding="utf-8")) if COUNTED.exists() else {}
    parts = [HEAD]
    if PEERS.exists():
        parts.append(_beside(json.loads(PEERS.read_text(encoding="utf-8"))))
    parts += [_part(*part, counted) for part in PARTS]
    parts.append(_asked())
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
        "| | promise | held by | control | trials | failures |",
        "|---|---|---|---|---|---|",
    ]
    for number, found in entry.every().items():
        if number[0] == letter:
            control_ = "yes" if number in controlled else ""
            cells = (number, found.promise, _held(found), control_, *_counted(found, counted))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _asked():
    """How much the research that the catalogue comes from asks of the drill, and how much is done."""
    lines = [
        "## Asked and done",
        "",
        "What the catalogue of the drill asks for, in rounds, and what is done; *why* where it is less.",
        "",
        "| | asked of `make test` | of `make drill` | done in `make test` | in `make drill` | why |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join((number, *cells))} |" for number, cells in sorted(ASKED.items())]
    return "\n".join([*lines, ""])


def _counted(found, counted):
    """Trials and failures of all tests of `found`, as cells."""
    both = [counted[test] for test in found.tests if test in counted]
    if not both:
        return "", ""
    return tuple(f"{sum(one[what] for one in both):,}" for what in ("trials", "failures"))


def _held(found):
    names = [re.sub(r".*/", "", test) for test in found.tests]
    said = ", ".join(f"`{name}`" for name in names)
    return "; ".join(filter(None, (said, found.why)))


def count(report):
    """Keep what `make drill` has told in the file `report`, a line of JSON a test and parameter, by test."""
    lines = pathlib.Path(report).read_text(encoding="utf-8").splitlines()
    told = {one["test"]: one for one in map(json.loads, lines)}  # of a test run again the last
    held = {test for one in entry.every().values() for test in one.tests}
    counted = {}
    for test, one in sorted(told.items()):
        name = test.partition("[")[0]
        if name in held:
            sums = counted.setdefault(name, {"trials": 0, "failures": 0})
            for what in sums:
                sums[what] += one[what]
    COUNTED.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        count(sys.argv[1])
    sys.stdout.write(page())
