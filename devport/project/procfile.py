"""The Procfile: bytes to entries and warnings.

Owns the grammar: one entry a line, `NAME: COMMAND` from column 0. Knows neither files nor services,
and never looks into a command: that is the shell's text, to the last byte.
"""

import re
from typing import NamedTuple

from devport.encoding import decode, printable
from devport.errors import DevportError

BOM = b"\xef\xbb\xbf"
LONGEST_NAME = 63
SHELL = "/bin/sh"  # what a command is text for
_SHOWN = 60

_ENTRY = re.compile(r"([A-Za-z0-9_-]+):(.*)", re.DOTALL)


class Entry(NamedTuple):
    """One line of a Procfile: `command` is the shell's text, `line` counts from 1."""

    name: str
    command: str
    line: int


def parse(data: bytes, file: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries of `data` in file order, and a warning for each line that is no entry.

    `file` is only for messages. Raises DevportError for a duplicate name and where there is no entry.
    """
    entries: dict[str, Entry] = {}
    warnings: list[str] = []
    # Only LF ends a line: str.splitlines would also split at VT, FF, NEL and others inside a command.
    for number, raw in enumerate(data.removeprefix(BOM).split(b"\n"), start=1):
        line = decode(raw.removesuffix(b"\r"))
        if not (text := line.strip(" \t")) or text.startswith("#"):
            continue
        if (entry := _entry(line, number)) is None:
            warnings.append(_warning(line, number, file))
        elif first := entries.get(entry.name):
            where = f"line {number}: duplicate name {entry.name} (first on line {first.line})"
            raise DevportError(f"cannot read {file}: {where}")
        else:
            entries[entry.name] = entry
    if not entries:
        raise DevportError(f"cannot read {file}: no entries{_because(warnings)}")
    return tuple(entries.values()), tuple(warnings)


def _entry(line: str, number: int) -> Entry | None:
    match = _ENTRY.fullmatch(line)
    if match is None or "\0" in line:
        return None
    name, command = match[1], match[2].strip(" \t")
    if not command or name.startswith("-") or len(name) > LONGEST_NAME:
        return None
    return Entry(name, command, number)


def _warning(line: str, number: int, file: str) -> str:
    reason = _reason(line)
    shown = line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."
    because = f" ({reason})" if reason else ""
    return f"{file}:{number}: ignored, not 'NAME: COMMAND'{because}: {printable(shown)}"


def _reason(line: str) -> str:
    """Why `line` is no entry, as far as that can be told; empty where it looks like nothing at all."""
    name, colon, command = line.partition(":")
    bare = name.rstrip(" \t")
    rules = (
        ("\0" in line, "it holds a NUL byte"),
        (line[0] in " \t", "starts with a blank"),
        (not colon, ""),
        (not name, "no name before the colon"),
        (name != bare and _ENTRY.fullmatch(bare + ":"), "a blank before the colon"),
        (not _ENTRY.fullmatch(name + ":"), "names are made of A-Z a-z 0-9 _ -"),
        (name.startswith("-"), "a name cannot start with -"),
        (len(name) > LONGEST_NAME, f"a name has at most {LONGEST_NAME} characters"),
        (not command.strip(" \t"), f"no command after {name}:"),
    )
    return next((reason for applies, reason in rules if applies), "")


def _because(warnings: list[str]) -> str:
    """What the message about an empty file adds: the grammar, or why the first line was not taken."""
    return f"; {warnings[0]}" if warnings else ", a line is NAME: COMMAND"
