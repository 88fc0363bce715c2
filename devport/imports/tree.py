"""Reading what another manager's YAML holds, and keeping a book of what was taken, so that the rest is said.

Works on the nodes of `yaml_nodes`, which keep the text of every scalar: `no` is the word that it is, `8080`
a text where one is expected. Nothing is lost in silence: what nobody read as what it is comes out of `rest`.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from devport.errors import nearest
from devport.project.yaml_nodes import Items, Node, Scalar, Table, is_nothing, shown

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(ns|us|µs|ms|s|m|h|d)"
_LONGEST = 999_999_999
"""Seconds: the longest time of a devport.yaml."""
_Value = TypeVar("_Value", str, bool, float)
_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1", "y"), True),
    **dict.fromkeys(("false", "no", "off", "0", "n"), False),
}


class Loss(NamedTuple):
    """What was not taken: the keys that lead to it, its line, and why (empty: nobody knows the key)."""

    path: tuple[str, ...]
    line: int
    why: str


class Book:
    """What of one file was read. Nodes are told apart by identity: equal ones stand in many places."""

    def __init__(self, root: Node) -> None:
        self.root = root  # keeps all nodes alive, so that an id is one node's
        self.taken: set[int] = set()
        self.lost: dict[int, str] = {}
        self.wanted: dict[int, str] = {}
        self.asked: dict[int, set[str]] = {}
        self.listed: set[int] = set()

    def rest(self) -> Iterator[Loss]:
        """What was not taken, in the order of the file; each as high up as nothing below it was."""
        return self._rest(self.root, (), "")

    def _rest(self, node: Node, path: tuple[str, ...], hint: str) -> Iterator[Loss]:
        me = id(node)
        looked_into = me in self.asked or me in self.listed
        if me in self.lost:
            yield Loss(path, node.line, self.lost[me])
        elif is_nothing(node) or me in self.taken:
            return
        elif isinstance(node, Scalar) or not looked_into:
            yield Loss(path, node.line, self.wanted.get(me, hint))
        elif isinstance(node, Items):
            for number, item in enumerate(node.items, start=1):
                place = (*path, f"item {number}")
                if is_nothing(item) and id(item) not in self.lost:
                    yield Loss(place, item.line, "there is nothing")
                yield from self._rest(item, place, "")
        else:
            yield from self._rest_of(node, path)

    def _rest_of(self, table: Table, path: tuple[str, ...]) -> Iterator[Loss]:
        """The same for a mapping that was looked into. A key that nobody knows needs no value to be named."""
        is_listed, asked = id(table) in self.listed, self.asked.get(id(table), set())
        for key, value in table.pairs:
            is_known = is_listed or key.text in asked
            if not is_known and key.text.startswith("x-"):
                continue
            close = "" if key.text in asked else nearest(key.text, asked)
            if not is_known and is_nothing(value):
                yield Loss((*path, key.text), key.line, close)
            else:
                yield from self._rest(value, (*path, key.text), close)


class Source:
    """A place in the file: a node, or none. Whoever reads it as what it is has taken it."""

    def __init__(self, node: Node | None, book: Book) -> None:
        self.node, self._book = node, book

    @property
    def line(self) -> int:
        """Where it stands; 0 for what is not there."""
        return self.node.line if self.node is not None else 0

    @property
    def is_there(self) -> bool:
        """Whether anything is there: `key:` alone is nothing."""
        return not is_nothing(self.node)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, Items)

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.node, Table)

    def at(self, key: str) -> "Source":
        """What stands under a key that the format has; nothing where this is no mapping."""
        if not isinstance(self.node, Table):
            self._wants("a mapping")
            return Source(None, self._book)
        self._book.asked.setdefault(id(self.node), set()).add(key)
        return Source(next((value for name, value in self.node.pairs if name.text == key), None), self._book)

    def peek(self, key: str) -> str | None:
        """The text under `key`, which is not taken by that."""
        pairs = self.node.pairs if isinstance(self.node, Table) else ()
        return next((one.text for name, one in pairs if name.text == key and isinstance(one, Scalar)), None)

    def pairs(self) -> dict[str, "Source"]:
        """A mapping whose keys are the user's; empty for anything else."""
        if not isinstance(self.node, Table):
            self._wants("a mapping")
            return {}
        self._book.listed.add(id(self.node))
        return {key.text: Source(value, self._book) for key, value in self.node.pairs}

    def names(self) -> list[str]:
        """The keys of a mapping, none of them taken by that."""
        return [key.text for key, _ in self.node.pairs] if isinstance(self.node, Table) else []

    def items(self) -> "list[Source]":
        """A list; empty for anything else."""
        if not isinstance(self.node, Items):
            self._wants("a list")
            return []
        self._book.listed.add(id(self.node))
        return [Source(item, self._book) for item in self.node.items]

    def text(self) -> str | None:
        """A text; None for nothing and for anything else, a number too."""
        is_one = isinstance(self.node, Scalar) and self.node.kind == "str"
        return self._found("a text", self._written() if is_one else None)

    def scalar(self) -> str | None:
        """A text, a number, true or false: as it is written; None for nothing and for anything else."""
        return self._found("a text", self._written())

    def words(self) -> list[str]:
        """The words of a command: a list, in which 100 is a word, too; none where nothing is.

        ValueError, with the reason, for anything else: a command that lacks a word is another command.
        """
        if self.is_there and not self.is_list:
            raise ValueError(self.problem("a list"))
        found = []
        for number, item in enumerate(self.items() if self.is_there else (), start=1):
            if (text := item.scalar()) is None:
                raise ValueError(f"item {number}: {item.problem('a text')}")
            found.append(text)
        return found

    def texts(self) -> list[str]:
        """A list of texts, or a single one."""
        if self.is_list:
            return [found for item in self.items() if (found := item.text()) is not None]
        found = self.text()
        return [] if found is None else [found]

    def flag(self) -> bool | None:
        """Whether a scalar means yes or no, in any spelling; None for anything else."""
        return self._found("true or false", _FLAGS.get((self._written() or "").lower()))

    def number(self) -> float | None:
        """A number, 0 or more."""
        text = self._written()
        is_one = text is not None and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?", text)
        return self._found("a number", float(text) if text is not None and is_one else None)

    def count(self) -> int | None:
        """A whole number, 0 or more."""
        text = self._written()
        is_one = text is not None and re.fullmatch(r"[0-9]{1,9}(\.0{0,9})?", text)
        found = self._found("a whole number", float(text) if text is not None and is_one else None)
        return None if found is None else int(found)

    def seconds(self) -> float | None:
        """A time as Go writes it (`1m30s`, `1.5h`), or a number of seconds."""
        text = self._written()
        if text is None or not re.fullmatch(f"(?:{_DURATION})+", text):
            found = self.number()
            self._wants("a time")
            return found
        total = math.fsum(float(match[1]) * _UNITS[match[2]] for match in re.finditer(_DURATION, text))
        return self._found("a time", round(total, 9) if total <= _LONGEST else None)

    def assignments(self) -> "Iterator[tuple[str, str | None, Source]]":
        """NAME, value and place of a mapping, or of a list of `NAME=value`; None where there is no value."""
        if self.is_list:
            for item in self.items():
                if (found := item.text()) is not None:
                    name, equals, value = found.partition("=")
                    yield name, value if equals else None, item
            return
        if self.is_there and not self.is_mapping:
            self.lose("expected a mapping NAME: value")  # what is there may be a secret
            return
        for name, item in self.pairs().items():
            text = item.scalar()
            if text is not None or not item.is_there:
                yield name, text, item

    def problem(self, expected: str) -> str:
        """What is wrong with what is here."""
        return f"expected {expected}, found {'nothing' if self.node is None else shown(self.node)}"

    def lose(self, why: str) -> None:
        """What is here is understood, and not carried over."""
        if self.node is not None:
            self._book.lost[id(self.node)] = why

    def drop(self) -> None:
        """What is here means nothing to devport, or has been told of otherwise."""
        if self.node is not None:
            self._book.taken.add(id(self.node))

    def _written(self) -> str | None:
        return self.node.text if isinstance(self.node, Scalar) and self.is_there else None

    def _found(self, expected: str, found: _Value | None) -> _Value | None:
        if not self.is_there:
            return None
        if found is None:
            self._wants(expected)
        else:
            self._book.taken.add(id(self.node))
        return found

    def _wants(self, expected: str) -> None:
        """It is something else; the last reader knows best what it should have been."""
        if self.node is not None:
            self._book.wanted[id(self.node)] = self.problem(expected)
