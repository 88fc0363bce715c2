"""mprocs.yaml: what mprocs 0.9.6 takes it for.

A service is a text for /bin/sh, a list of words, or a mapping with one of the two. Nothing is replaced in
any text. `null` takes a variable away; `deps` waits until another one has been started; a choice by the
system (`$select: os`) may stand anywhere.
"""

import os
import re
import shlex
from collections.abc import Callable
from typing import Any

from devport.imports import commands
from devport.imports.draft import Draft, Entry, quoted
from devport.imports.tree import Book, Source
from devport.project.yaml_nodes import Table

WORDS = {"after": "deps", "exec": "shell", "environment": "env", "start": "autostart"}
_HERE = "<CONFIG_DIR>"
_SIGNALS = {"SIGINT": "INT", "SIGTERM": "TERM", "SIGKILL": "KILL", "hard-kill": "KILL"}
_KEYS = {"<C-c>": "INT", "<C-\\>": "QUIT"}
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def draft(root: Table, system: str = "linux") -> Draft:
    """What `root` says on `system` (linux or macos)."""
    book = Book(root)
    made = Draft(book, "procs", WORDS)
    procs = Source(root, book).at("procs").pairs()
    made.reserve(procs)
    for name, source in procs.items():
        found = _chosen(source, system)
        if not found.is_there:
            made.say(f"{quoted(name)}: is nothing there, and nothing here", source.line)
            source.drop()
            continue
        command = _command(found, system)
        if command.missing:
            made.leave_out(name, source, command.missing)
            continue
        entry = made.entry(name, source)
        entry.keys["exec"] = command.script or f"exec {shlex.join(command.words)}"
        _read(entry, made, found, system)
    return made


def _chosen(source: Source, system: str) -> Source:
    """`source`, or what it comes to where it is a choice; what other systems have means nothing here."""
    names = source.names()
    if names[:1] != ["$select"]:
        return source
    chosen = system if system in names else "$else"
    for name in names:
        if name != chosen:
            source.at(name).drop()
    return _chosen(source.at(chosen), system)


def _read(entry: Entry, made: Draft, found: Source, system: str) -> None:
    def at(key: str) -> Source:
        return _chosen(found.at(key), system)

    if found.is_mapping:
        if cwd := at("cwd").text():
            entry.keys["cwd"] = os.path.normpath(_relative(cwd))
        _values(entry, at)
        if at("autostart").flag() is False:
            entry.keys["start"] = False
        for other in at("deps").texts():
            entry.after[made.name(other)] = "started"
        _stop(entry, at("stop"))
    entry.keys["restart"] = "never"
    if found.is_mapping and at("autorestart").flag():
        entry.keys["restart"] = {"on": "on-failure", "max": None, "delay": 0, "max-delay": 0}


def _command(found: Source, system: str) -> commands.Command:
    """The text for the shell, or the words."""
    if found.is_mapping:
        shell, cmd = _chosen(found.at("shell"), system), _chosen(found.at("cmd"), system)
        return commands.read(shell, cmd, ("shell", "cmd"))
    try:
        words, text = (tuple(found.words()), None) if found.is_list else ((), found.text())
    except ValueError as error:
        return commands.Command(missing=str(error))
    if words or (text and text.strip()):
        return commands.Command(text or "", words)
    is_empty = found.is_list or text is not None
    return commands.Command(
        missing="it is empty" if is_empty else found.problem("a text, a list or a mapping")
    )


def _relative(path: str) -> str:
    return f".{path.removeprefix(_HERE)}" if path.startswith(_HERE) else path


def _values(entry: Entry, at: Callable[[str], Source]) -> None:
    for name, value, source in at("env").assignments():
        if value is not None:
            entry.set(name, value, source)
        elif _VARIABLE.fullmatch(name):
            entry.before.append(f"unset {name}")
        else:
            source.lose("no shell can take it away")
    for path in at("add_path").texts():
        folder = f'"$PWD"/{shlex.quote(_relative(path))}' if not path.startswith("/") else shlex.quote(path)
        entry.before.append(f'export PATH="$PATH":{folder}')


def _stop(entry: Entry, source: Source) -> None:
    found: dict[str, Any] = {}
    if source.is_mapping:
        keys = source.at("send-keys")
        typed = keys.texts()
        if command := source.at("cmd").text():
            found["exec"] = command
            keys.lose("there is a cmd")
        elif len(typed) == 1 and typed[0] in _KEYS:
            found["signal"] = _KEYS[typed[0]]
        elif typed:
            keys.lose("devport types nothing")
    elif (said := source.text()) is not None:
        if said in _SIGNALS:
            found["signal"] = _SIGNALS[said]
        else:
            source.lose(f"there is no way to stop called {said}")
    if found and found != {"signal": "TERM"}:
        entry.keys["stop"] = found
