"""Plans whose services write down what they are given, to be run by other managers for real."""

import json
import os
import pathlib
import sys

from support.export_projects import VALUES, unit
from support.procs import eventually

from devport.encoding import encode
from devport.export.plan import Plan
from devport.model import Dependency, RestartPolicy

CHILD = str(pathlib.Path(__file__).parent / "children" / "told.py")
HOSTILE = {
    **VALUES,
    "QUOTED": "'whole'",
    "LATIN": "gr\udcfc\udcdfe\n",
    "LINES": "\n a\r\n\n\tb\n ",
    "SEPARATORS": "a\x0b\x0c\x1c\x85\u2028z",
    "HERE": "%(here)s %(ENV_HOME)s %%(here)s",
    "COMMENT": "x ;y #z\u00a0;w",
    "BOTH": "'\"",
    "END": "end script\n}\n",
    "LONG": "x" * 5000,
}
"""What any manager has to pass on as it is."""
ODD_NAMES = {"with.dot": "a b", "UID": "7", "OPTIND": "x", "IFS": "t"}
"""Names that a shell has its own ideas about."""


def plan(folder, *, restart=None, odd=True, **given):
    """A Plan in a hostile folder: web, a text for the shell, a group of two, a task, one that is off."""
    root = os.path.join(folder, "it's 100%n", "a  b\\c $HOME Grüße")
    os.makedirs(root, exist_ok=True)
    restart = restart or RestartPolicy("on_failure", reset_after=1.0)

    def one(name, *words, **more):
        path = os.path.join(folder, f"{name}.json")
        environment = {"WHO": name, **more.pop("environment", {})}
        return unit(
            name,
            (sys.executable, CHILD, path, *words),
            cwd=root,
            environment=environment,
            **{"restart": restart, **more},
        )

    text = one("text", ports={"http": 19101}, environment=HOSTILE)
    line = f"exec {sys.executable} {CHILD} {folder}/text.json"
    line += ' "$PORT" \'$PORT\' %n "$DOUBLE" # no ; word\necho "no"'
    units = (
        one(
            "web.1",
            *HOSTILE.values(),
            "--",
            "-n",
            ports={"http": 19100},
            environment={**HOSTILE, **(ODD_NAMES if odd else {})},
        ),
        text._replace(argv=("/bin/sh", "-c", line)),
        one("group", environment={"TOLD_CHILD": "1"}, after=(Dependency("web.1", "started"),)),
        one("task", task=True, environment={"TOLD_STATUS": "3"}, restart=RestartPolicy()),
        one("off", enable="false"),
    )
    return Plan("demo", root, units, **given)


def read(folder, name):
    """What `name` has written down, once it has; text as latin-1."""

    def check():
        try:
            return json.loads(pathlib.Path(folder, f"{name}.json").read_text())
        except FileNotFoundError:
            raise AssertionError(f"{name} has not started") from None

    return eventually(check, 20)


def check(found, one):
    """`found` is what the Unit `one` is to be given, byte for byte."""
    assert [word.encode("latin-1") for word in found["argv"]] == expected(one)
    wanted = {name: encode(value) for name, value in one.environment.items()}
    environment = {name: found["env"].get(name, "(none)").encode("latin-1") for name in wanted}
    wrong = {name: value for name, value in environment.items() if value != wanted[name]}
    assert wrong == {}, f"{one.name}: {wrong}"
    assert found["cwd"].encode("latin-1") == encode(one.cwd)


def expected(one):
    """The words of the program that `one` ends up as."""
    if one.name == "text":
        return [b"19101", b"$PORT", b"%n", encode(HOSTILE["DOUBLE"])]
    return [encode(word) for word in one.argv[3:]]
