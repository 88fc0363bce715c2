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

from devport.imports import hosts, words
from devport.imports.draft import Draft, Entry, quoted
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
_IMAGES = ("image", "build")
_LOST = {
    "ports": "it listens on this machine, on its own PORT if it asks for it",
    "extends": "merge the two first",
}
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_CHECK = ("test", "disable", "interval", "timeout", "retries", "start_period", "start_interval")
"""Keys of a `healthcheck`, which mean nothing where it is taken away."""
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
            made.leave_out(name, source, why)
            continue
        entry = made.entry(name, source)
        entry.keys["exec"] = command
        _read(entry, source)
        _depends_on(made, entry, source.at("depends_on"))
        for profile in source.at("profiles").items():
            if (group := profile.text()) is not None:
                entry.keys["start"] = False
                made.groups.setdefault(group, []).append(entry.name)
    _images(made, {name: source for name, source in services.items() if made.name(name) in made.entries})
    hosts.warn(made, services)
    return made


def _images(made: Draft, services: Mapping[str, Source]) -> None:
    """One line for all that ran what an image holds."""
    found = [
        (made.name(name), key, place)
        for name, source in services.items()
        for key in _IMAGES
        if (place := source.at(key)).is_there
    ]
    names, keys = (
        list(dict.fromkeys(one[0] for one in found)),
        sorted({one[1] for one in found}, reverse=True),
    )
    for _, _, place in found:
        place.drop()
    if found:
        are, they = ("are", "they run") if len(keys) > 1 else ("is", "it runs")
        they = they if len(names) == 1 else "they run"
        what = f"{' and '.join(keys)} {are} not carried over: {they} on this machine"
        made.say(f"{', '.join(names)}: {what}, with what is installed here", found[0][2].line)


def _command(source: Source) -> tuple[str | None, str]:
    """The script that is its command; or None, and why there is none."""
    if not source.is_mapping:
        return None, source.problem("a mapping")
    found: list[str] = []
    for key in ("entrypoint", "command"):
        try:
            found += command_words(source.at(key))
        except ValueError as error:
            return None, f"{key}: {error}"
    if not found:
        return None, _no_command(source)
    if len(found) == 3 and found[0] in {"sh", "/bin/sh"} and found[1] == "-c":  # noqa: PLR2004 - sh -c TEXT
        return words.script(found[2]), ""
    return words.command(found, words.BARE), ""


def _no_command(source: Source) -> str:
    if source.at("extends").is_there:
        return "it extends another one"
    if key := next((key for key in ("command", "entrypoint") if source.at(key).is_there), ""):
        return f"its {key} is empty"
    return "it has no command: what its image runs is not known"


def command_words(source: Source) -> list[str]:
    """A command: a list, or a text that is split as a shell splits it; ValueError says why it is none."""
    if source.is_list or not source.is_there:
        return source.words()
    if (text := source.text()) is None:
        raise ValueError(source.problem("a text or a list"))
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError("a quote is not closed") from error


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
    entry.keys["restart"] = _restart(entry, source.at("restart"))
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


def _restart(entry: Entry, source: Source) -> str | dict[str, Any]:
    said, _, most = (source.scalar() or "no").partition(":")
    if most and said != "on-failure":
        entry.say(f"restart: its limit is not carried over: {said} has none", source.line)
    if said in {"always", "unless-stopped"}:
        return {"on": "always", "max": None}
    if said == "on-failure":
        if most and not re.fullmatch("[0-9]{1,9}", most):
            entry.say(f"restart: its limit is not carried over: {most} is no number", source.line)
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
    test = given.at("test")
    if not given.is_mapping:
        return  # nothing, or named as what it is
    if given.at("disable").flag() or (test.is_list and test.texts() == ["NONE"]):
        for key in _CHECK:
            given.at(key).drop()
        return
    try:
        text = _asked(test)
    except ValueError as error:
        given.lose(f"test: {error}")
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


def _asked(test: Source) -> str:
    """The command of a `test`; ValueError says why there is none."""
    text = None if test.is_list else test.text()
    if text == "NONE":
        raise ValueError("NONE as a text is a command; [NONE] takes a check away")
    if text is None and test.is_there and not test.is_list:
        raise ValueError(test.problem("a text or a list"))
    how, *rest = test.words() if test.is_list else ["CMD-SHELL", text or ""]
    if how not in {"CMD", "CMD-SHELL"}:
        raise ValueError(f"a list begins with CMD, CMD-SHELL or NONE, not with {quoted(how)}")
    if not " ".join(rest).strip():
        raise ValueError("there is no command")
    return words.command(rest, words.BARE) if how == "CMD" else words.script(" ".join(rest)).strip()


def _depends_on(made: Draft, entry: Entry, given: Source) -> None:
    if given.is_list:
        for name in given.texts():
            entry.after[made.name(name)] = "started"
        return
    for name, source in given.pairs().items():
        if source.is_there and not source.is_mapping:
            source.lose(source.problem("a mapping"))
            continue
        condition = source.at("condition")
        said = condition.text()
        if source.at("required").flag() is False:
            source.at("required").lose("what is here is waited for")
        if not condition.is_there:
            line = source.line or given.line
            entry.say(
                f"waits until {quoted(name)} has been started: depends_on has no condition for it", line
            )
            said = "service_started"
        if said is None:
            continue  # named as what it is
        if said in CONDITIONS:
            entry.after[made.name(name)] = CONDITIONS[said]
        else:
            condition.lose(f"there is no condition {said}")
