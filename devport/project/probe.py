"""`ready` and `live`: how devport sees whether a service is there, as devport.yaml says it.

Owns the keys of both and their defaults (those of model.Probe), and which of them go together. What a
probe does is the engine's.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from devport.errors import nearest
from devport.model import PortRequest, Probe, ProbeKind
from devport.project import schema
from devport.project.expansion import REFERENCE
from devport.project.schema import Key, Keys, Kind, either, fields
from devport.project.yaml_nodes import Node, Refusal, Scalar, Table, is_nothing, unexpected

KINDS: tuple[ProbeKind, ...] = ("exec", "http", "tcp", "notify", "log")
AUTOMATIC = Probe("tcp", automatic=True, period=0.1)
_LOOPBACK = re.compile(r"127(\.[0-9]{1,3}){3}|::1|localhost", re.IGNORECASE)
_PORT = f"(?:{REFERENCE})"
_MOST = 10_000


class DeclaredProbe(NamedTuple):
    """What `ready:` or `live:` says: `values` are fields of Probe, the rest needs the service around it."""

    kind: ProbeKind
    line: int
    values: dict[str, Any]
    exec: Scalar | None = None
    port: Scalar | None = None


def _port(node: Node) -> Scalar:
    """A number, the name of one of the service's ports, or `${NAME.port}`."""
    if not isinstance(node, Scalar) or node.kind in {"null", "bool"}:
        raise unexpected(node, "a port")
    if node.text[:1].isdecimal() or node.text[:1] in {"-", "+", "."}:
        schema.PORT.read(node)
    elif not re.fullmatch(_PORT, node.text) and not schema.NAME.fullmatch(node.text):
        raise unexpected(node, "a number, the name of a port, or ${NAME.port}")
    return node


def _host(node: Node) -> str:
    """An address of this machine: a name would have to be looked up, and other machines are not its own."""
    host = schema.scalar(node).text.strip("[]").lower()
    if not _LOOPBACK.fullmatch(host) or any(int(part) > 255 for part in re.findall("[0-9]+", host)):  # noqa: PLR2004
        problem = "expected an address of this machine (127.0.0.1, ::1, localhost)"
        raise Refusal(node.line, f"{problem}; a command in exec can ask any other")
    return host


def _path(node: Node) -> str:
    path = schema.text(node)
    if not re.fullmatch("/[!-~]*", path):
        raise unexpected(node, "a path that begins with / and holds no blanks")
    return path


def _pattern(node: Node) -> str:
    pattern = schema.scalar(node).text
    import warnings  # noqa: PLC0415 - only where there is a pattern

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Refusal(node.line, f"not a regular expression: {error}") from error
    return pattern


_HOST = Kind(_host, {"type": "string"})
_ANY_PORT = Kind(_port, {"type": ["integer", "string"]})

TCP_KEYS: Keys = {
    "port": Key(_ANY_PORT, "Where it has to listen; its own PORT if this is not said."),
    "host": Key(_HOST, "An address of this machine."),
}
HTTP_KEYS: Keys = {
    **TCP_KEYS,
    "path": Key(Kind(_path, {"type": "string", "pattern": "^/"}), "What is asked for."),
    "scheme": Key(schema.one_of({"http": "http", "https": "https"}), "Certificates are not checked."),
    "status": Key(
        schema.one_or_more(schema.count(100, 599)), "Which answers will do; if not said, 200 to 299."
    ),
}


def _tcp(node: Node) -> dict[str, Any]:
    if is_nothing(node):
        return {}
    return fields(node, TCP_KEYS) if isinstance(node, Table) else {"port": _port(node)}


def _get(node: Node) -> dict[str, Any]:
    return {} if is_nothing(node) else fields(node, HTTP_KEYS)


GET_KEYS: Keys = {
    "get": Key(
        Kind(_get, either(schema.mapping(HTTP_KEYS), {"type": "null"})), "A request that has to be answered."
    )
}


def _http(node: Node) -> dict[str, Any]:
    given = fields(node, GET_KEYS)
    if "get" not in given:
        raise Refusal(node.line, "get is missing")
    found: dict[str, Any] = given["get"]
    return found


LIVE_KEYS: Keys = {
    "exec": Key(schema.COMMAND, "A command that ends with status 0."),
    "http": Key(Kind(_http, schema.mapping(GET_KEYS)), "A request that is answered."),
    "tcp": Key(
        Kind(_tcp, either(_ANY_PORT.json, schema.mapping(TCP_KEYS), {"type": "null"})),
        "A port that takes connections.",
    ),
    "initial_delay": Key(schema.SECONDS, "Seconds before the first look."),
    "period": Key(schema.SOME_SECONDS, "Seconds between two looks."),
    "probe_timeout": Key(schema.SOME_SECONDS, "Seconds that one look may take."),
    "success_threshold": Key(schema.count(1, _MOST), "So many in a row have to succeed."),
    "failure_threshold": Key(schema.count(1, _MOST), "So many in a row have to fail."),
    "foreign": Key(schema.BOOLEAN, "Whether another process than the service itself may answer."),
}
READY_KEYS: Keys = {
    **LIVE_KEYS,
    "notify": Key(schema.BOOLEAN, "The service says READY=1 itself, as sd_notify(3) does."),
    "log": Key(Kind(_pattern, {"type": "string"}), "A regular expression found in a line of its output."),
    "timeout": Key(
        schema.optional(schema.SOME_SECONDS), "Seconds in which it has to be ready; null is for ever."
    ),
}


def _reader(keys: Keys) -> Callable[[Node], DeclaredProbe]:
    kinds = [kind for kind in KINDS if kind in keys]

    def read(node: Node) -> DeclaredProbe:
        given = fields(node, keys)
        if given.get("notify") is False:
            del given["notify"]
        found = [kind for kind in kinds if kind in given]
        if not found:
            raise Refusal(node.line, f"expected one of {', '.join(kinds)}")
        if len(found) > 1:
            raise Refusal(node.line, f"{found[0]} and {found[1]} exclude each other")
        return _declared(found[0], given, node.line)

    return read


def _declared(kind: ProbeKind, given: dict[str, Any], line: int) -> DeclaredProbe:
    asked = given.pop(kind)
    if "foreign" in given and kind not in {"http", "tcp"}:
        raise Refusal(line, "foreign goes with http or tcp")
    port = None
    if kind in {"http", "tcp"}:
        port = asked.pop("port", None)
        if "status" in asked:
            asked["statuses"] = asked.pop("status")
        given.update(asked)
    elif kind == "log":
        given["pattern"] = asked
    return DeclaredProbe(kind, line, given, asked if kind == "exec" else None, port)


READY = Kind(_reader(READY_KEYS), schema.mapping(READY_KEYS))
LIVE = Kind(_reader(LIVE_KEYS), schema.mapping(LIVE_KEYS))


def probe(
    declared: DeclaredProbe,
    entry: str,
    ports: Sequence[PortRequest],
    *,
    has_port: bool,
    command: Callable[[Scalar], tuple[str, ...]],
) -> Probe:
    """The Probe of the service `entry`, which has these `ports`, or at least one if it `has_port`.

    A port that is known only once it is given is `HOST:${NAME.ports.P}` in `host` until then
    (`expansion.expand_ports`). `command` makes words of the text of an exec.
    """
    made = Probe(declared.kind, **declared.values)
    if declared.exec:
        return made._replace(command=command(declared.exec))
    if declared.kind not in {"http", "tcp"}:
        return made
    if declared.port is None:
        if not has_port:
            raise Refusal(
                declared.line, f"{declared.kind}: port is missing, and it has none of its own (no-port)"
            )
        return made
    text = declared.port.text
    if text.isdecimal():
        return made._replace(port=int(text))
    if not text.startswith("${"):
        own = [one.name for one in ports]
        if text not in own:
            hint = nearest(text, own)
            raise Refusal(declared.port.line, f"{declared.kind}: port: it has no port {text}{hint}")
        text = f"${{{entry}.ports.{text}}}"
    host = f"[{made.host}]" if ":" in made.host else made.host
    return made._replace(host=f"{host}:{text}")
