"""The keys of a service that are mappings of their own: ports, environment, restart, stop, start, watch...

Each a node in, a value of the model out (or what it can be made of once paths and the shell are known).
"""

import re
from typing import Any, NamedTuple

from devport.model import DECLARED_MAX, Enable, PortRequest, RestartPolicy, Watchdog
from devport.project import schema
from devport.project.environment import variable
from devport.project.schema import Json, Key, Kind, fields
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, Table, is_nothing, unexpected

HIGHEST_STATUS = 255
A_DAY = 86_400_000_000  # in microseconds


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
    low, high = schema.PORT.read(ends[0]), schema.PORT.read(ends[1])
    if low > high:
        raise Refusal(node.line, f"a range from {low} down to {high} is empty")
    return low, high


def environment(node: Node) -> dict[str, str]:
    """A mapping of scalars, or a list of `NAME=value`; values are taken as they are written.

    No message shows a value, which may be a secret.
    """
    if is_nothing(node):
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


PORT_KEYS = {"allocate": Key(schema.PORT, "Where the search for this port begins.")}


def ports(node: Node) -> tuple[PortRequest, ...]:
    """`{NAME: {allocate: BASE}}`, `{NAME: {}}` or `{NAME: }`, the first one being PORT."""
    if is_nothing(node):
        return ()
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping NAME: {allocate: PORT}")
    requests: dict[str, PortRequest] = {}
    for key, value in node.pairs:
        own = variable(schema.name(key))
        if other := requests.get(own):
            raise Refusal(key.line, f"{other.name} and {key.text} would both be PORT_{own}")
        try:
            given = {} if is_nothing(value) else fields(value, PORT_KEYS)
        except Refusal as refusal:
            raise refusal.under(key.text) from None
        requests[own] = PortRequest(key.text, given.get("allocate"))
    return tuple(requests.values())


POLICIES = {"on-failure": "on_failure", "always": "always", "never": "never"}

RESTART_KEYS = {
    "on": Key(schema.one_of(POLICIES), "After which ends it is started again."),
    "max": Key(schema.optional(schema.count(0, 10**9)), "How often; null is without end."),
    "window": Key(schema.optional(schema.SOME_SECONDS), "Seconds in which max counts; null is all of them."),
    "delay": Key(schema.SECONDS, "Seconds before the first restart; each further one waits twice as long."),
    "max_delay": Key(schema.SECONDS, "The longest such wait."),
    "reset_after": Key(schema.SECONDS, "Seconds up after which all is forgotten."),
    "success": Key(
        schema.one_or_more(schema.count(0, HIGHEST_STATUS)), "Exit statuses beside 0 that are no failure."
    ),
}


def restart(node: Node) -> RestartPolicy:
    """A word, or `{on, max, window, delay, max-delay, reset-after, success}`."""
    if not isinstance(node, Table):
        return declared_restart()._replace(on=schema.word(node, POLICIES))  # type: ignore[arg-type]
    given = fields(node, RESTART_KEYS)
    given["success"] = frozenset({0, *given.get("success", ())})
    usual = declared_restart()
    if given.get("delay", usual.delay) > given.setdefault(
        "max_delay", max(usual.max_delay, given.get("delay", 0))
    ):
        raise Refusal(node.line, "max-delay is shorter than delay")
    return usual._replace(**given)


def declared_restart() -> RestartPolicy:
    """What a service of devport.yaml has that says nothing else."""
    return RestartPolicy(on="on_failure", max=DECLARED_MAX)


STOP_KEYS = {
    "exec": Key(schema.COMMAND, "A command that stops it, instead of the signal."),
    "signal": Key(schema.SIGNAL, "The signal that asks it to stop."),
    "timeout": Key(schema.SECONDS, "Seconds that it has before it is killed."),
}

MODES: dict[str, str] = {"true": "true", "false": "false", "interactive-shell": "interactive-shell"}


def enable(node: Node) -> Enable:
    """True, false or interactive-shell: whether it starts unless it is named."""
    if isinstance(node, Scalar) and node.kind == "bool":
        return "true" if schema.boolean(node) else "false"
    return schema.word(node, MODES)  # type: ignore[return-value]


ENABLE = Kind(enable, {"enum": [True, False, "interactive-shell"]})
START_KEYS = {"enable": Key(ENABLE, "Whether it starts unless it is named.")}


def start(node: Node) -> Enable | None:
    """`{enable: true}`, or the mode alone."""
    if isinstance(node, Table):
        found: Enable | None = fields(node, START_KEYS).get("enable")
        return found
    return enable(node)


WATCHDOG_KEYS = {
    "usec": Key(schema.count(1, A_DAY), "Microseconds within which WATCHDOG=1 has to come."),
    "require_ready": Key(schema.BOOLEAN, "Whether that counts from READY=1 on, or from the start."),
}


def watchdog(node: Node) -> Watchdog:
    """`{usec, require-ready}`."""
    given = fields(node, WATCHDOG_KEYS)
    if "usec" not in given:
        raise Refusal(node.line, "usec is missing")
    return Watchdog(**given)


class Watched(NamedTuple):
    """What `watch:` says; the paths are not yet absolute."""

    paths: tuple[Scalar, ...]
    extensions: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def _extension(node: Node) -> str:
    found = schema.scalar(node).text.removeprefix("*").removeprefix(".")
    if not found or "/" in found:
        raise unexpected(node, "the end of file names, such as py")
    return found


EXTENSION = Kind(_extension, {"type": "string"})
PATTERN = Kind(lambda node: schema.scalar(node).text, {"type": "string"})

WATCH_KEYS = {
    "paths": Key(schema.SCALARS, "Files and folders, relative to the project's root."),
    "extensions": Key(schema.one_or_more(EXTENSION), "Only files that end so."),
    "ignore": Key(schema.one_or_more(PATTERN), "Patterns as in a .gitignore."),
}


def watch(node: Node) -> Watched | None:
    """`{paths, extensions, ignore}`, or the paths alone; None where there is nothing to watch."""
    if isinstance(node, Table):
        given = fields(node, WATCH_KEYS)
        if "paths" not in given:
            raise Refusal(node.line, "paths is missing")
    else:
        given = {"paths": schema.SCALARS.read(node)}
    return Watched(**given) if given["paths"] else None


def _keyed(keys: schema.Keys, *, required: str = "") -> Json:
    found = schema.mapping(keys)
    return {**found, "required": [required]} if required else found


_VALUE: Json = {"type": ["string", "number", "boolean"]}
_NOTHING: Json = {"type": "null"}

PORTS = Kind(
    ports,
    {
        "type": ["object", "null"],
        "additionalProperties": schema.either(_keyed(PORT_KEYS), _NOTHING),
    },
)
PORT_RANGE = Kind(
    port_range,
    schema.either(
        {"type": "string", "pattern": "^ *[0-9]+ *- *[0-9]+ *$"},
        {"type": "array", "items": schema.PORT.json, "minItems": 2, "maxItems": 2},
    ),
)
ENVIRONMENT = Kind(
    environment,
    schema.either(
        {"type": "object", "additionalProperties": _VALUE},
        {"type": "array", "items": {"type": "string", "pattern": "="}},
        _NOTHING,
    ),
)
RESTART = Kind(restart, schema.either(RESTART_KEYS["on"].kind.json, _keyed(RESTART_KEYS)))
STOP = schema.table(STOP_KEYS)
START = Kind(start, schema.either(ENABLE.json, _keyed(START_KEYS)))
WATCHDOG = Kind(watchdog, _keyed(WATCHDOG_KEYS, required="usec"))
WATCH = Kind(watch, schema.either(schema.SCALARS.json, _keyed(WATCH_KEYS, required="paths")))


def stop_of(given: dict[str, Any], line: int) -> dict[str, Any]:
    """`exec`, `signal` and `timeout` of the keys of a service, however they are spelled."""
    found = dict(given.pop("stop", {}))
    for key in ("signal", "timeout"):
        if (short := f"stop_{key}") in given:
            if key in found:
                raise Refusal(line, f"stop: {key} and stop-{key} are the same: give one of them")
            found[key] = given.pop(short)
    return found
