"""A docker compose file: the commands of its services, to be run on this machine.

What is the image's (its files, its own command, volumes, networks) cannot be carried over, and is said.
`${NAME}` and `$NAME` are replaced in every text there, `$$` is a dollar; a command is words, given to no
shell; a list of variables may name one without a value, which is the caller's own.
"""

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from devport.imports import tree, words
from devport.imports.draft import Draft, Entry
from devport.project.yaml_nodes import Items, Node, Scalar, Table, is_nothing

TOP = {"version", "name", "services"}
KNOWN = {
    *(
        "command",
        "entrypoint",
        "working_dir",
        "environment",
        "env_file",
        "depends_on",
        "healthcheck",
        "profiles",
    ),
    *("restart", "stop_signal", "stop_grace_period", "tty", "stdin_open", "container_name", "init", "scale"),
}
CONDITIONS = {
    "service_started": "started",
    "service_healthy": "ready",
    "service_completed_successfully": "succeeded",
}
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_TIMES = {
    "period": "interval",
    "probe-timeout": "timeout",
}


def draft(root: Table) -> Draft:
    """What `root` says."""
    made = Draft()
    top = tree.pairs(root)
    for key in tree.rest(top, TOP):
        made.lose(key)
    services = tree.pairs(top.get("services"))
    made.reserve(services)
    for name, node in services.items():
        keys = tree.pairs(node)
        command = _command(keys)
        if command is None:
            what = (
                "extends another one"
                if "extends" in keys
                else "has no command: what its image runs is not known"
            )
            made.say(f"{name}: is left out: it {what}")
            continue
        entry = made.entry(name)
        entry.keys["exec"] = command
        _read(entry, keys)
        _depends_on(made, entry, keys.get("depends_on"))
        for profile in tree.texts(keys.get("profiles")):
            entry.keys["start"] = False
            made.groups.setdefault(profile, []).append(entry.name)
    return made


def _words(node: Node | None) -> list[str] | None:
    """A command: a list, or a text that is split as a shell splits it; None where it cannot be."""
    if isinstance(node, Items):
        return tree.texts(node)
    text = tree.text(node)
    if text is None:
        return []
    try:
        return shlex.split(text)
    except ValueError:
        return None


def _command(keys: Mapping[str, Node]) -> str | None:
    entrypoint, command = _words(keys.get("entrypoint")), _words(keys.get("command"))
    if not entrypoint and not command:
        return None
    found = [*(entrypoint or ()), *(command or ())]
    if len(found) == 3 and found[0] in {"sh", "/bin/sh"} and found[1] == "-c":  # noqa: PLR2004 - sh -c TEXT
        return words.script(found[2])
    return words.command(found, words.BARE)


def _read(entry: Entry, keys: Mapping[str, Node]) -> None:
    for key in tree.rest(keys, KNOWN):
        why = {
            "image": "it runs on this machine, with what is installed here",
            "build": "it runs on this machine, with what is installed here",
            "ports": "it listens on this machine, on its own PORT if it asks for it",
            "extends": "merge the two first",
        }
        entry.lose(key, why.get(key, ""))
    if (number := tree.count(keys.get("scale"))) is not None and number != 1:
        entry.lose("scale", f"devport start -c {entry.name}={number} does it")
    _folder(entry, keys)
    _values(entry, keys)
    if tree.flag(keys.get("tty")):
        entry.keys["pty"] = True
    entry.keys["restart"] = _restart(entry, keys.get("restart"))
    if found := _stop(entry, keys):
        entry.keys["stop"] = found
    _healthcheck(entry, tree.pairs(keys.get("healthcheck")))


def _fixed(entry: Entry, key: str, node: Node | None) -> str | None:
    text = tree.text(node)
    found = None if text is None else words.plain(text, words.BARE)
    if text is not None and found is None:
        entry.lose(key, "it has a variable")
    return found


def _folder(entry: Entry, keys: Mapping[str, Node]) -> None:
    folder = _fixed(entry, "working_dir", keys.get("working_dir"))
    if folder and folder.startswith("/"):
        entry.lose("working_dir", f"{folder} is a folder of the image")
    elif folder:
        entry.keys["cwd"] = folder
    node = keys.get("env_file")
    files = []
    for item in node.items if isinstance(node, Items) else [node]:
        one = _fixed(entry, "env_file", tree.pairs(item).get("path", item))
        if one:
            files.append(os.path.normpath(one))
    if files:
        entry.keys["env"] = files


def _values(entry: Entry, keys: Mapping[str, Node]) -> None:
    for name, text in tree.assignments(keys.get("environment")):
        if text is None:
            continue  # the caller's own, which devport hands on
        if (fixed := words.plain(text, words.BARE)) is not None:
            entry.environment[name] = fixed
        elif _VARIABLE.fullmatch(name) and not words.unknown(text, words.BARE):
            entry.before.append(f"export {name}={words.word(text, words.BARE)}")
        else:
            entry.lose(f"environment: {name}", "it has a variable")


def _restart(entry: Entry, node: Node | None) -> str | dict[str, Any]:
    said, _, most = (tree.text(node) or "no").partition(":")
    if said in {"always", "unless-stopped"}:
        return {"on": "always", "max": None}
    if said == "on-failure":
        return {"on": "on-failure", "max": int(most) if most.isdecimal() and int(most) else None}
    if said.lower() not in {"no", "false"}:
        entry.lose(f"restart: {said}")
    return "never"


def _stop(entry: Entry, keys: Mapping[str, Node]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said := _fixed(entry, "stop_signal", keys.get("stop_signal")):
        found["signal"] = said
    if (time := tree.seconds(keys.get("stop_grace_period"))) is not None:
        found["timeout"] = int(time) if time == int(time) else time
    return found


def _healthcheck(entry: Entry, given: Mapping[str, Node]) -> None:
    node = given.get("test")
    if is_nothing(node) or tree.flag(given.get("disable")):
        return
    said = tree.texts(node)
    if isinstance(node, Scalar):
        text = words.script(said[0])
    elif said[:1] == ["CMD-SHELL"]:
        text = words.script(" ".join(said[1:]))
    elif said[:1] == ["CMD"] and len(said) > 1:
        text = words.command(said[1:], words.BARE)
    else:
        return
    times: dict[str, float] = dict.fromkeys(_TIMES, 30.0)  # what docker does if nothing is said
    for name, key in _TIMES.items():
        if (value := tree.seconds(given.get(key))) is not None and value > 0:
            times[name] = value
    if (retries := tree.count(given.get("retries"))) is not None and retries > 0:
        times["failure-threshold"] = retries
    entry.probe("ready", {"exec": text}, times)


def _depends_on(made: Draft, entry: Entry, node: Node | None) -> None:
    if isinstance(node, Items):
        for name in tree.texts(node):
            entry.after[made.name(name)] = "started"
        return
    for name, one in tree.pairs(node).items():
        said = tree.text(tree.pairs(one).get("condition")) or "service_started"
        if said in CONDITIONS:
            entry.after[made.name(name)] = CONDITIONS[said]
        else:
            entry.lose("depends_on", f"there is no condition {said}")
