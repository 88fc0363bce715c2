"""What each kind of value in devport.yaml may be: a node in, a plain value out, or a Refusal.

Owns the types, not the keys: which key takes which reader is in `config`. Knows neither files nor
services.
"""

import re
from collections.abc import Callable, Mapping
from signal import Signals, valid_signals
from typing import Any, Literal

from devport.errors import nearest
from devport.model import PortRequest
from devport.project.environment import variable
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, Table, shown, unexpected

Reader = Callable[[Node], Any]

NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
HIGHEST_PORT = 65535
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def canonical(key: str) -> str:
    """The name of a key as a field: kebab-case and snake_case are the same."""
    return key.replace("-", "_")


def fields(node: Node, readers: Mapping[str, Reader], hint: str = "") -> dict[str, Any]:
    """The values of a mapping by canonical key, each read by its reader.

    `hint` ends the message about an unknown key that is near none.
    """
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping")
    values: dict[str, Any] = {}
    for key, value in node.pairs:
        name = canonical(key.text)
        if name not in readers:
            close = nearest(key.text, [known.replace("_", "-") for known in readers])
            raise Refusal(key.line, f"unknown key {key.text}{close or hint}")
        if name in values:
            raise Refusal(key.line, f"duplicate key {key.text} (- and _ are the same in a key)")
        try:
            values[name] = readers[name](value)
        except Refusal as refusal:
            raise refusal.under(key.text) from None
    return values


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


def scalars(node: Node) -> tuple[Scalar, ...]:
    """A text or a list of them; nothing (a key whose items are all commented out) is none."""
    match node:
        case Scalar(_, "null"):
            return ()
        case Items(items):
            return tuple(scalar(item) for item in items)
        case _:
            return (scalar(node),)


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
    if isinstance(node, Scalar) and re.fullmatch("0|[1-9][0-9]{0,8}", node.text):
        value = int(node.text)
        if low <= value <= high:
            return value
    raise unexpected(node, f"a number from {low} to {high}")


def port(node: Node) -> int:
    """The number of a port."""
    return number(node, 1, HIGHEST_PORT)


def seconds(node: Node) -> float:
    """A time in seconds."""
    if isinstance(node, Scalar) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", node.text):
        return float(node.text)
    raise unexpected(node, "seconds (a number, 0 or more)")


def port_range(node: Node) -> tuple[int, int]:
    """`19000-19999`, or a list of the two."""
    ends: list[Node]
    match node:
        case Items(items):
            ends = list(items)
        case Scalar(words, _, line):
            ends = [Scalar(word.strip(), "str", line) for word in words.split("-")]
        case _:
            ends = []
    if len(ends) != 2:  # noqa: PLR2004 - a range has two ends
        raise unexpected(node, "a range like 19000-19999")
    low, high = port(ends[0]), port(ends[1])
    if low > high:
        raise Refusal(node.line, f"a range from {low} down to {high} is empty")
    return low, high


def signal_number(node: Node) -> int:
    """A signal by name, with or without SIG, or by number."""
    if not isinstance(node, Scalar) or node.kind == "null":
        raise unexpected(node, "a signal")
    known = {member.name.removeprefix("SIG"): member.value for member in Signals}
    word = node.text.upper().removeprefix("SIG")
    value = int(word) if re.fullmatch("[1-9][0-9]?", word) else known.get(word, 0)
    if value not in valid_signals():
        raise Refusal(node.line, f"expected a signal, found {shown(node)}{nearest(word, known)}")
    return value


def shell(node: Node) -> bool | Scalar:
    """True (/bin/sh), false (none) or the path of another shell."""
    if isinstance(node, Scalar) and node.kind == "bool":
        return boolean(node)
    if isinstance(node, Scalar) and node.kind == "str" and node.text.strip():
        return node
    raise unexpected(node, "true, false or the path of a shell")


def restart(node: Node) -> Literal["never"]:
    """`never`, or `{on: never}`: all that this version can do for a service."""
    if isinstance(node, Table):
        # Each key but `on` only shapes a restart, and there is none to shape.
        for key, value in node.pairs:
            if key.text != "on":
                raise Refusal(key.line, f"{key.text}: only 'on: never' is supported in this version")
            restart(value)
        if node.pairs:
            return "never"
    if not isinstance(node, Scalar) or node.text != "never":
        raise unexpected(node, "never (the only one supported in this version)")
    return "never"


def environment(node: Node) -> dict[str, str]:
    """A mapping of scalars, or a list of `NAME=value`; values are taken as they are written.

    No message shows a value, which may be a secret.
    """
    if isinstance(node, Scalar) and node.kind == "null":
        return {}
    values: dict[str, str] = {}
    for key, value in _assignments(node):
        if not re.fullmatch(r"[^=\s]+", key.text):
            raise Refusal(key.line, f"'{key.text}' cannot be the name of a variable")
        if key.text in values:
            raise Refusal(key.line, f"{key.text} is there twice")
        if not isinstance(value, Scalar) or value.kind == "null":
            problem = 'expected a value (write "" for an empty one)'
            raise Refusal(value.line, f"{key.text}: {problem}")
        values[key.text] = value.text
    return values


def _assignments(node: Node) -> tuple[tuple[Scalar, Node], ...]:
    match node:
        case Table(pairs):
            return pairs
        case Items(items):
            return tuple(_assignment(item) for item in items)
        case Scalar(_, _, line):
            raise Refusal(line, "expected a mapping NAME: value")


def _assignment(node: Node) -> tuple[Scalar, Node]:
    if not isinstance(node, Scalar) or "=" not in node.text:
        raise Refusal(node.line, "expected NAME=value in each item of the list")
    key, _, value = node.text.partition("=")
    return Scalar(key, "str", node.line), Scalar(value, "str", node.line)


def ports(node: Node) -> tuple[PortRequest, ...]:
    """`{NAME: {allocate: BASE}}`, `{NAME: {}}` or `{NAME: }`, the first one being PORT."""
    if isinstance(node, Scalar) and node.kind == "null":
        return ()
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping NAME: {allocate: PORT}")
    requests: dict[str, PortRequest] = {}
    for key, value in node.pairs:
        own = variable(name(key))
        if other := requests.get(own):
            raise Refusal(key.line, f"{other.name} and {key.text} would both be PORT_{own}")
        nothing = isinstance(value, Scalar) and value.kind == "null"
        try:
            given = {} if nothing else fields(value, {"allocate": port})
        except Refusal as refusal:
            raise refusal.under(key.text) from None
        requests[own] = PortRequest(key.text, given.get("allocate"))
    return tuple(requests.values())
