"""mprocs.yaml: what mprocs 0.9.6 takes it for.

A service is a text for /bin/sh, a list of words, or a mapping with one of the two. Nothing is replaced in
any text. `null` takes a variable away; `deps` waits until another one has been started; a choice by the
system (`$select: os`) may stand anywhere.
"""

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from devport.imports import tree
from devport.imports.draft import Draft, Entry
from devport.project.yaml_nodes import Items, Node, Scalar, Table, is_nothing

KNOWN = {"shell", "cmd", "cwd", "env", "add_path", "autostart", "autorestart", "stop", "deps"}
_HERE = "<CONFIG_DIR>"
_SIGNALS = {"SIGINT": "INT", "SIGTERM": "TERM", "SIGKILL": "KILL", "hard-kill": "KILL"}
_KEYS = {"<C-c>": "INT", "<C-\\>": "QUIT"}
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def draft(root: Table, system: str = "linux") -> Draft:
    """What `root` says on `system` (linux or macos)."""
    made = Draft()
    top = tree.pairs(root)
    for key in tree.rest(top, {"procs"}):
        made.lose(key)
    procs = tree.pairs(top.get("procs"))
    made.reserve(procs)
    for name, node in procs.items():
        found = _chosen(node, system)
        if is_nothing(found):
            made.say(f"{name}: is nothing there, and nothing here")
            continue
        entry = made.entry(name)
        keys = {key: _chosen(value, system) for key, value in tree.pairs(found).items()}
        if not isinstance(found, Table):
            keys = {"cmd" if isinstance(found, Items) else "shell": found}
        _read(entry, keys)
        for other in tree.texts(keys.get("deps")):
            entry.after[made.name(other)] = "started"
    return made


def _chosen(node: Node, system: str) -> Node:
    """`node`, or what it comes to where it is a choice."""
    keys = tree.pairs(node)
    if next(iter(keys), "") != "$select":
        return node
    nothing = Scalar("", "null", node.line)
    return _chosen(keys.get(system, keys.get("$else", nothing)), system)


def _read(entry: Entry, keys: Mapping[str, Node]) -> None:
    for key in tree.rest(keys, KNOWN):
        entry.lose(key)
    if text := tree.text(keys.get("shell")):
        entry.keys["exec"] = text
    elif found := tree.texts(keys.get("cmd")):
        entry.keys["exec"] = f"exec {shlex.join(found)}"
    else:
        entry.keys["exec"] = "true"
        entry.say("has no command")
    if cwd := tree.text(keys.get("cwd")):
        entry.keys["cwd"] = os.path.normpath(_relative(cwd))
    _values(entry, keys)
    if "autostart" in keys and not tree.flag(keys["autostart"]):
        entry.keys["start"] = False
    entry.keys["restart"] = "never"
    if tree.flag(keys.get("autorestart")):
        entry.keys["restart"] = {"on": "on-failure", "max": None, "delay": 0, "max-delay": 0}
    _stop(entry, keys.get("stop"))


def _relative(path: str) -> str:
    return f".{path.removeprefix(_HERE)}" if path.startswith(_HERE) else path


def _values(entry: Entry, keys: Mapping[str, Node]) -> None:
    for name, value in tree.assignments(keys.get("env")):
        if value is not None:
            entry.environment[name] = value
        elif _VARIABLE.fullmatch(name):
            entry.before.append(f"unset {name}")
        else:
            entry.lose(f"env: {name}", "no shell can take it away")
    for path in tree.texts(keys.get("add_path")):
        folder = f'"$PWD"/{shlex.quote(_relative(path))}' if not path.startswith("/") else shlex.quote(path)
        entry.before.append(f'export PATH="$PATH":{folder}')


def _stop(entry: Entry, node: Node | None) -> None:
    found: dict[str, Any] = {}
    keys = tree.pairs(node)
    said = tree.text(node)
    typed = tree.texts(keys.get("send-keys"))
    if command := tree.text(keys.get("cmd")):
        found["exec"] = command
    elif said in _SIGNALS:
        found["signal"] = _SIGNALS[said]
    elif len(typed) == 1 and typed[0] in _KEYS:
        found["signal"] = _KEYS[typed[0]]
    elif node is not None and not is_nothing(node):
        entry.lose("stop", "devport types nothing" if typed else "there is no such way")
    if found and found != {"signal": "TERM"}:
        entry.keys["stop"] = found
