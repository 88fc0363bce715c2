"""A docker compose file: the commands of its services, to be run on this machine.

What is the image's (its files, its own command, volumes, networks) cannot be carried over, and is said.
`${NAME}` and `$NAME` are replaced in every text there, `$$` is a dollar; a command is words, given to no
shell; a list of variables may name one without a value, which is the caller's own.
"""

import os
import re
import shlex
from typing import Any

from devport.imports import hosts, words
from devport.imports.draft import Draft, Entry
from devport.imports.tree import Book, Source
from devport.project.schema import signal_number
from devport.project.yaml_nodes import Refusal, Table

WORDS = {
    "after": "depends_on",
    "exec": "command",
    "cwd": "working_dir",
    "env": "env_file",
    "ready": "healthcheck",
}
CONDITIONS = {
    "service_started": "started",
    "service_healthy": "ready",
    "service_completed_successfully": "succeeded",
}
_HERE = "it runs on this machine, with what is installed here"
_LOST = {
    "image": _HERE,
    "build": _HERE,
    "ports": "it listens on this machine, on its own PORT if it asks for it",
    "extends": "merge the two first",
}
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_TIMES = {
    "period": "interval",
    "probe-timeout": "timeout",
}
_SHORTEST = 0.001
"""Seconds: what devport counts in a probe."""


def draft(root: Table) -> Draft:
    """What `root` says."""
    book = Book(root)
    made = Draft(book, "services", WORDS)
    top = Source(root, book)
    top.at("version").drop()
    services = top.at("services").pairs()
    made.reserve(services)
    for name, source in services.items():
        command, why = _command(source)
        if command is None:
            made.say(f"{name}: is left out: {why}", source.line)
            source.drop()
            continue
        entry = made.entry(name, source)
        entry.keys["exec"] = command
        _read(entry, source)
        _depends_on(made, entry, source.at("depends_on"))
        for profile in source.at("profiles").texts():
            entry.keys["start"] = False
            made.groups.setdefault(profile, []).append(entry.name)
    hosts.warn(made, services)
    return made


def _command(source: Source) -> tuple[str | None, str]:
    """The script that is its command; or None, and why there is none."""
    if not source.is_mapping:
        return None, "it is no mapping"
    found: list[str] = []
    for key in ("entrypoint", "command"):
        try:
            found += command_words(source.at(key))
        except ValueError:
            return None, f"a quote is not closed in its {key}"
    if not found:
        return None, _no_command(source)
    if len(found) == 3 and found[0] in {"sh", "/bin/sh"} and found[1] == "-c":  # noqa: PLR2004 - sh -c TEXT
        return words.script(found[2]), ""
    return words.command(found, words.BARE), ""


def _no_command(source: Source) -> str:
    if source.at("extends").is_there:
        return "it extends another one"
    if any(source.at(key).is_there for key in ("entrypoint", "command")):
        return "its command is neither a text nor a list of texts"
    return "it has no command: what its image runs is not known"


def command_words(source: Source) -> list[str]:
    """A command: a list, or a text that is split as a shell splits it; ValueError where it cannot be."""
    return source.texts() if source.is_list else shlex.split(source.text() or "")


def _read(entry: Entry, source: Source) -> None:
    for key, why in _LOST.items():
        source.at(key).lose(why)
    if (number := source.at("scale").count()) is not None and number != 1:
        source.at("scale").lose(f"devport start -c {entry.name}={number} does it")
    if source.at("init").flag() is False:
        source.at("init").lose("devport waits for every process that it leaves")
    _folder(entry, source)
    _values(entry, source.at("environment"))
    if source.at("tty").flag():
        entry.keys["pty"] = True
    entry.keys["restart"] = _restart(source.at("restart"))
    if found := _stop(source):
        entry.keys["stop"] = found
    _healthcheck(entry, source.at("healthcheck"))


def _fixed(source: Source) -> str | None:
    text = source.text()
    found = None if text is None else words.plain(text, words.BARE)
    if text is not None and found is None:
        source.lose("it has a variable")
    return found


def _folder(entry: Entry, source: Source) -> None:
    place = source.at("working_dir")
    folder = _fixed(place)
    if folder and folder.startswith("/"):
        place.lose(f"{folder} is a folder of the image")
    elif folder:
        entry.keys["cwd"] = folder
    given = source.at("env_file")
    files = []
    for item in given.items() if given.is_list else [given]:
        one = _fixed(item.at("path") if item.is_mapping else item)
        if item.is_mapping and item.at("required").flag() is False:
            item.at("required").lose("a file that is missing is an error")
        if one:
            files.append(os.path.normpath(one))
    if files:
        entry.keys["env"] = files


def _values(entry: Entry, given: Source) -> None:
    for name, text, source in given.assignments():
        if text is None:
            continue  # the caller's own, which devport hands on
        if (fixed := words.plain(text, words.BARE)) is not None:
            entry.set(name, fixed, source)
        elif _VARIABLE.fullmatch(name) and not words.unknown(text, words.BARE):
            entry.before.append(f"export {name}={words.word(text, words.BARE)}")
        else:
            source.lose("it has a variable")


def _restart(source: Source) -> str | dict[str, Any]:
    said, _, most = (source.text() or "no").partition(":")
    if said in {"always", "unless-stopped"}:
        return {"on": "always", "max": None}
    if said == "on-failure":
        if most and not re.fullmatch("[0-9]{1,9}", most):
            source.lose(f"{most} is no number")
            most = ""
        return {"on": "on-failure", "max": int(most or 0) or None}
    if said.lower() not in {"no", "false"}:
        source.lose(f"there is no such policy: {said}")
    return "never"


def _stop(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = {}
    given = source.at("stop_signal")
    if (said := _fixed(given)) and given.node is not None:
        try:
            signal_number(given.node)
            found["signal"] = said
        except Refusal as refusal:
            given.lose(refusal.message)
    if (time := source.at("stop_grace_period").seconds()) is not None:
        found["timeout"] = int(time) if time == int(time) else time
    return found


def _healthcheck(entry: Entry, given: Source) -> None:
    if not given.is_there:
        return
    test = given.at("test")
    said = test.texts()
    if given.at("disable").flag() or said[:1] == ["NONE"]:
        given.drop()
        return
    if not (text := _asked(said, is_list=test.is_list).strip()):
        given.lose("there is no command in its test")
        return
    times: dict[str, float] = dict.fromkeys(_TIMES, 30.0)  # what docker does if nothing is said
    for name, key in _TIMES.items():
        value = given.at(key).seconds()
        if value is not None and value >= _SHORTEST:
            times[name] = value
        elif value:
            given.at(key).lose(f"devport counts {_SHORTEST} s at least")
    if retries := given.at("retries").count():
        times["failure-threshold"] = retries
    entry.probe("ready", {"exec": text}, times)


def _asked(said: list[str], *, is_list: bool) -> str:
    """The command of a `test`; empty where there is none."""
    if not is_list:
        return words.script(" ".join(said))
    if said[:1] == ["CMD-SHELL"]:
        return words.script(" ".join(said[1:]))
    return words.command(said[1:], words.BARE) if said[:1] == ["CMD"] and len(said) > 1 else ""


def _depends_on(made: Draft, entry: Entry, given: Source) -> None:
    if given.is_list:
        for name in given.texts():
            entry.after[made.name(name)] = "started"
        return
    for name, source in given.pairs().items():
        condition = source.at("condition")
        said = condition.text() or "service_started"
        source.at("required").flag()  # what is not here is not waited for
        if said in CONDITIONS:
            entry.after[made.name(name)] = CONDITIONS[said]
        else:
            condition.lose(f"there is no condition {said}")
