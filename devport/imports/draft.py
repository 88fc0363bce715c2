"""A devport.yaml in the making: services with their keys, and what is to be said about what they lose.

Pure. Owns the form of the result, names that devport takes, ports out of PORT, and which service is a task.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from devport.imports.tree import Book, Source
from devport.project import expansion
from devport.project.schema import HIGHEST_PORT, NAME
from devport.project.yaml_writer import dump

_TASK = {"exec", "shell", "cwd", "env", "environment", "after", "description", "restart", "no-port"}
_ORDER = (
    *("description", "exec", "shell", "cwd", "env", "environment", "ports", "no-port", "after", "start"),
    *("restart", "stop", "ready", "live", "watch", "external", "pty", "interactive"),
)
_MENTION = re.compile(r"\$(PORT\b|\{PORT\b)")

MOST_FAILURES = 10_000
"""The largest `failure-threshold` of a devport.yaml."""


class Entry:
    """One service: `keys` are those of devport.yaml, `before` lines of shell that run before its command.

    `label` is what messages call it: all replicas have one.
    """

    def __init__(self, draft: "Draft", name: str, line: int, label: str) -> None:
        self._draft = draft
        self.name, self.line, self.label = name, line, label
        self.keys: dict[str, Any] = {}
        self.before: list[str] = []
        self.environment: dict[str, str] = {}
        self.after: dict[str, str] = {}

    def say(self, what: str, line: int = 0) -> None:
        """A line about what becomes of it, or of what stands on `line`."""
        self._draft.say(f"{self.label}: {what}", line or self.line)

    def set(self, name: str, value: str, source: Source) -> None:
        """The variable `name`, which stands at `source`."""
        if re.fullmatch(r"[^=\s]+", name):
            self.environment[name] = value
        else:
            source.lose("that cannot be the name of a variable")

    @property
    def has_port(self) -> bool:
        """Whether it is given a PORT: it was told of one, or asks for it."""
        return "PORT" in self.environment or any(
            _MENTION.search(one) for one in (self.keys["exec"], *self.before)
        )

    def finished(self) -> dict[str, Any]:
        """Its keys, in the order in which a reader expects them."""
        self._port()
        if self.environment:
            self.keys["environment"] = {
                name: expansion.protect(value) for name, value in self.environment.items()
            }
        if self.before:
            self.keys["exec"] = "\n".join([*self.before, self.keys["exec"]])
        self.keys["exec"] = expansion.protect(self.keys["exec"])
        return {key: self.keys[key] for key in _ORDER if key in self.keys}

    def _port(self) -> None:
        """PORT=8080 is where devport's search begins; who does not know PORT is given none."""
        if not self.has_port:
            self.keys["no-port"] = True
            return
        text = self.environment.get("PORT")
        if text is not None and re.fullmatch("[1-9][0-9]{0,4}", text) and int(text) <= HIGHEST_PORT:
            del self.environment["PORT"]
            self.keys["ports"] = {"http": {"allocate": int(text)}}
            return
        if text is not None:
            self.environment.pop("PORT")
            self.say(f"environment: PORT is not carried over: {quoted(text)} is no port, devport finds one")

    def probe(self, key: str, asked: Mapping[str, Any], times: Mapping[str, float]) -> None:
        """`ready` or `live`: its own PORT goes without saying."""
        for kind in ("http", "tcp"):
            inner = asked.get(kind, {})
            inner = inner.get("get", inner)
            if inner and str(inner.get("port")) == self.environment.get("PORT"):
                del inner["port"]
        times = dict(times)
        if times.get("failure-threshold", 0) > MOST_FAILURES:
            self.say(f"{key}: gives up after {MOST_FAILURES} failures, the most that devport counts")
            times["failure-threshold"] = MOST_FAILURES
        self.keys[key] = {**asked, **{name: _number(value) for name, value in times.items()}}


class Draft:
    """The file as a whole: `book` knows what of it was taken, `section` is the key that services stand under.

    `words` are the format's own names for keys of devport.yaml, for messages.
    """

    def __init__(self, book: Book, section: str, words: Mapping[str, str]) -> None:
        self.entries: dict[str, Entry] = {}
        self.groups: dict[str, list[str]] = {}
        self.env_files: list[str] = []
        self._book, self._section, self._words = book, section, words
        self._lines: dict[str, int] = {}
        self._names: dict[str, str] = {}

    def say(self, what: str, line: int) -> None:
        """A line for the user about what stands on `line`; none twice."""
        self._lines.setdefault(what, line)

    def said(self) -> list[str]:
        """All lines, and one for each thing that was not taken, in the order of the file."""
        for loss in self._book.rest():
            keys = loss.path
            if len(keys) > 1 and keys[0] == self._section:
                keys = (self._names.get(keys[1], keys[1]), *keys[2:])
            # A hint begins with a blank, a reason does not.
            because = loss.why if not loss.why or loss.why.startswith(" ") else f": {loss.why}"
            self.say(f"{': '.join(map(quoted, keys))} is not carried over{because}", loss.line)
        return sorted(self._lines, key=lambda what: self._lines[what])

    def place(self, message: str) -> str:
        """A refusal of the result, `web: after: WHY`, as one of the file: `line 3: web: depends_on: WHY`."""
        name, _, rest = message.partition(": ")
        if name not in self.entries:
            return message
        key, colon, why = rest.partition(": ")
        return f"line {self.entries[name].line}: {name}: {self._words.get(key, key)}{colon}{why}"

    def entry(self, original: str, source: Source, replica_of: str | None = None) -> Entry:
        """A new service, from `source`; a name that devport does not take is changed."""
        name = self.name(original)
        label = name if replica_of is None else quoted(replica_of)
        is_first = label not in {entry.label for entry in self.entries.values()}
        self.entries[name] = Entry(self, name, source.line, label)
        if name != original and is_first:
            was = f"was called {quoted(original)}"
            self.entries[name].say(was if replica_of is None else f"the first of them is called {name}")
        return self.entries[name]

    def leave_out(self, original: str, source: Source, why: str) -> None:
        """No service comes of `source`; who waits for it is told by `text`."""
        self.say(f"{quoted(original)}: is left out: {why}", source.line)
        source.drop()

    def reserve(self, originals: Iterable[str]) -> None:
        """Names that are to stay as they are, where devport takes them."""
        self._names.update({one: one for one in originals if NAME.fullmatch(one)})

    def name(self, original: str) -> str:
        """What `original` is called here."""
        if original not in self._names:
            name = stem = re.sub("[^A-Za-z0-9_.-]+", "-", original).lstrip("-_.")[:55] or "service"
            number = 2
            while name in self._names.values():
                name, number = f"{stem}-{number}", number + 1
            self._names[original] = original if NAME.fullmatch(original) else name
        return self._names[original]

    def text(self, source: str) -> str:
        """The devport.yaml."""
        done = {name: entry.finished() for name, entry in self.entries.items()}
        self._connect(done)
        tasks = self._tasks(done)
        document: dict[str, Any] = {}
        allocated = [port["allocate"] for one in done.values() for port in one.get("ports", {}).values()]
        if allocated and len({*allocated}) == len(allocated):
            document["strict-ports"] = True
        if self.env_files:
            document["env"] = self.env_files
        document["processes"] = {name: keys for name, keys in done.items() if name not in tasks}
        if tasks:
            document["tasks"] = {name: _without(done[name], ("restart", "no-port")) for name in tasks}
        if groups := self._groups(done):
            document["groups"] = groups
        return f"# written by `devport import` from {source}\n" + dump(document, blocks=True)

    def _groups(self, done: Mapping[str, Any]) -> dict[str, list[str]]:
        """Groups with somebody in them; the name of one is nobody else's."""
        found: dict[str, list[str]] = {}
        for original, members in self.groups.items():
            if not members:
                continue
            name = stem = re.sub("[^A-Za-z0-9_.-]+", "-", original).lstrip("-_.")[:55] or "group"
            if name in done:
                name = stem = f"{stem}-group"
            number = 2
            while name in found or name in done:
                name, number = f"{stem}-{number}", number + 1
            found[name] = list(dict.fromkeys(members))
            if name != original:
                self.say(f"group {name}: was called {quoted(original)}", self.entries[members[0]].line)
        return found

    def _connect(self, done: dict[str, dict[str, Any]]) -> None:
        originals = {name: original for original, name in self._names.items()}
        for name, entry in self.entries.items():
            found = []
            for other, condition in entry.after.items():
                if other in done:
                    found.append(f"{other}@{condition}")
                else:
                    entry.say(f"does not wait for {quoted(originals.get(other, other))}, which is not here")
            if found:
                done[name] = {
                    key: value
                    for key in _ORDER
                    if (value := {**done[name], "after": found}.get(key)) is not None
                }

    def _tasks(self, done: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Services that end once, as others wait for them to do."""
        awaited = {
            name
            for entry in self.entries.values()
            for name, condition in entry.after.items()
            if condition == "succeeded"
        }
        others = {
            name
            for entry in self.entries.values()
            for name, condition in entry.after.items()
            if condition in {"started", "ready"}
        }
        return [
            name
            for name, keys in done.items()
            if name in awaited - others and keys.get("restart") == "never" and {*keys} <= _TASK
        ]


def quoted(name: str) -> str:
    """`name` for a message, in which an empty one would not be seen."""
    return name or "''"


def _without(keys: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key not in names}


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value
