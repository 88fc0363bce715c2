"""What each kind of value in devport.yaml may be: a node in, a plain value out, or a Refusal.

Owns the plain types, and how a table of keys is read. A Kind says in JSON Schema what it reads, so that
the file which editors use is made from the tables that read the keys. Knows neither files nor services.
"""

import re
from collections.abc import Callable, Mapping
from signal import Signals, valid_signals
from typing import Any, NamedTuple

from devport.errors import nearest
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, Table, is_nothing, shown, unexpected

Json = dict[str, Any]

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
HIGHEST_PORT = 65535
SHORTEST_TIME = 0.001
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Kind(NamedTuple):
    """A kind of value: what reads it, and what JSON Schema says of it."""

    read: Callable[[Node], Any]
    json: Json


class Key(NamedTuple):
    """One key of a mapping: the kind of its value, and a sentence on what it is for."""

    kind: Kind
    says: str


Keys = Mapping[str, Key]


def canonical(key: str) -> str:
    """The name of a key as a field: kebab-case and snake_case are the same."""
    return key.replace("-", "_")


def kebab(key: str) -> str:
    """The name of a key as messages and pages have it."""
    return key.replace("_", "-")


def fields(node: Node, keys: Keys, hint: str = "") -> dict[str, Any]:
    """The values of a mapping by canonical key, each read as its Kind says.

    `hint` ends the message about an unknown key that is near none.
    """
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping")
    values: dict[str, Any] = {}
    for key, value in node.pairs:
        name = canonical(key.text)
        if name not in keys:
            close = nearest(key.text, map(kebab, keys))
            raise Refusal(key.line, f"unknown key {key.text}{close or hint}")
        if name in values:
            raise Refusal(key.line, f"duplicate key {key.text} (- and _ are the same in a key)")
        try:
            values[name] = keys[name].kind.read(value)
        except Refusal as refusal:
            raise refusal.under(key.text) from None
    return values


def mapping(keys: Keys) -> Json:
    """JSON Schema for a mapping with `keys`: completed in kebab-case, accepted in snake_case as well."""
    found: Json = {
        "type": "object",
        "properties": {kebab(name): {"description": key.says, **key.kind.json} for name, key in keys.items()},
        "additionalProperties": False,
    }
    if both := {f"^{name}$": key.kind.json for name, key in keys.items() if "_" in name}:
        found["patternProperties"] = both
    return found


def table(keys: Keys) -> Kind:
    """A mapping with `keys`; its value is that of `fields`."""
    return Kind(lambda node: fields(node, keys), mapping(keys))


def either(*kinds: Json) -> Json:
    """JSON Schema for one of several."""
    return {"anyOf": list(kinds)}


def optional(kind: Kind) -> Kind:
    """The same, or nothing: None."""
    return Kind(
        lambda node: None if is_nothing(node) else kind.read(node), either(kind.json, {"type": "null"})
    )


def one_or_more(kind: Kind) -> Kind:
    """One, or a list of them, as a tuple; nothing (a key whose items are commented out) is none."""

    def read(node: Node) -> tuple[Any, ...]:
        if isinstance(node, Items):
            return tuple(map(kind.read, node.items))
        return () if is_nothing(node) else (kind.read(node),)

    listed = {"type": "array", "items": kind.json}
    return Kind(read, either(kind.json, listed, {"type": "null"}))


def boolean(node: Node) -> bool:
    """True or false, in any of YAML's spellings."""
    if isinstance(node, Scalar) and (value := _BOOLEANS.get(node.text.lower())) is not None:
        return value
    raise unexpected(node, "true or false")


def scalar(node: Node) -> Scalar:
    """Any word or number, never empty."""
    if not isinstance(node, Scalar) or node.kind == "null" or not node.text.strip():
        raise unexpected(node, "a text")
    return node


def text(node: Node) -> str:
    """Any word or number as it is written, an empty one too."""
    if not isinstance(node, Scalar) or node.kind == "null":
        raise unexpected(node, "a text")
    return node.text


def command(node: Node) -> Scalar:
    """A command: text, though `true` and `yes` are programs too."""
    if isinstance(node, Scalar) and node.kind in {"str", "bool"} and node.text.strip():
        return node
    raise unexpected(node, "a command")


def name(node: Node) -> str:
    """A name or key: `[A-Za-z0-9][A-Za-z0-9_.-]{0,62}`."""
    word = text(node)
    if not NAME.fullmatch(word):
        raise unexpected(node, "a name made of A-Z a-z 0-9 _ . - (at most 63)")
    return word


def variable_name(node: Node) -> str:
    """The name of a variable that a shell can use."""
    word = text(node)
    if not _VARIABLE.fullmatch(word):
        raise unexpected(node, "the name of a variable")
    return word


def number(node: Node, low: int, high: int) -> int:
    """A whole number from `low` to `high`, in decimal digits."""
    if isinstance(node, Scalar) and re.fullmatch("0|[1-9][0-9]{0,17}", node.text):
        value = int(node.text)
        if low <= value <= high:
            return value
    raise unexpected(node, f"a number from {low} to {high}")


def seconds(node: Node) -> float:
    """A time in seconds."""
    if isinstance(node, Scalar) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", node.text):
        return float(node.text)
    raise unexpected(node, "seconds (a number, 0 or more)")


def some_seconds(node: Node) -> float:
    """A time that is not nothing: to do something every 0 s would be to do nothing else."""
    if isinstance(node, Scalar) and (value := _time(node)) is not None and value >= SHORTEST_TIME:
        return value
    raise unexpected(node, f"seconds ({SHORTEST_TIME} or more)")


def _time(node: Scalar) -> float | None:
    try:
        return seconds(node)
    except Refusal:
        return None


def word(node: Node, words: Mapping[str, str]) -> str:
    """One of `words`, written with `-` or `_`; its value there."""
    if isinstance(node, Scalar) and (found := words.get(kebab(node.text.lower()))) is not None:
        return found
    names = list(words)
    expected = " or ".join([", ".join(names[:-1]), names[-1]])
    hint = nearest(node.text, words) if isinstance(node, Scalar) else ""
    raise Refusal(node.line, f"expected {expected}, found {shown(node)}{hint}")


def signal_number(node: Node) -> int:
    """A signal by name, with or without SIG, or by number."""
    if not isinstance(node, Scalar) or node.kind == "null":
        raise unexpected(node, "a signal")
    known = {member.name.removeprefix("SIG"): member.value for member in Signals}
    called = node.text.upper().removeprefix("SIG")
    value = int(called) if re.fullmatch("[1-9][0-9]?", called) else known.get(called, 0)
    if value not in valid_signals():
        raise Refusal(node.line, f"expected a signal, found {shown(node)}{nearest(called, known)}")
    return value


def shell(node: Node) -> bool | Scalar:
    """True (/bin/sh), false (none) or the path of another shell."""
    if isinstance(node, Scalar) and node.kind == "bool":
        return boolean(node)
    if isinstance(node, Scalar) and node.kind == "str" and node.text.strip():
        return node
    raise unexpected(node, "true, false or the path of a shell")


def count(low: int, high: int) -> Kind:
    """A whole number in a range."""
    return Kind(lambda node: number(node, low, high), {"type": "integer", "minimum": low, "maximum": high})


def one_of(words: Mapping[str, str]) -> Kind:
    """One of several words."""
    spelled = sorted({*words, *(canonical(one) for one in words)})
    return Kind(lambda node: word(node, words), {"enum": spelled})


BOOLEAN = Kind(boolean, {"type": "boolean"})
SCALAR = Kind(scalar, {"type": ["string", "number"]})
TEXT = Kind(text, {"type": ["string", "number"]})
COMMAND = Kind(command, {"type": "string"})
SCALARS = one_or_more(SCALAR)
NAMED = Kind(name, {"type": ["string", "number"], "pattern": f"^{NAME.pattern}$"})
VARIABLE = Kind(variable_name, {"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})
PORT = count(1, HIGHEST_PORT)
SECONDS = Kind(seconds, {"type": "number", "minimum": 0})
SOME_SECONDS = Kind(some_seconds, {"type": "number", "minimum": SHORTEST_TIME})
SIGNAL = Kind(signal_number, {"type": ["string", "integer"]})
SHELL = Kind(shell, {"type": ["boolean", "string"]})
