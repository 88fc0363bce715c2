"""`listen`: the sockets that devport binds for a service, as devport.yaml says it.

Owns the forms of an address and what must not be there twice. Binding them is the engine's.
"""

import re
from _socket import AF_INET, AF_INET6, inet_pton
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from devport.model import Listen, ListenKind
from devport.project import schema
from devport.project.expansion import REFERENCE
from devport.project.schema import Key, Keys, Kind, fields
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, is_nothing, unexpected

KINDS: tuple[ListenKind, ...] = get_args(ListenKind)
STREAMS = frozenset({"tcp", "unix_stream"})
_ADDRESS = re.compile(
    rf"(?P<alone>[0-9]+|{REFERENCE})"
    r"|(?:\[(?P<v6>[^\]]*)\]|(?P<bare>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)|(?P<host>[^:\[\]$]*))"
    rf"(?::(?P<port>[0-9]+|{REFERENCE}))?"
)


class DeclaredListen(NamedTuple):
    """One item of `listen:`; what it does not say is None."""

    line: int
    name: str | None = None
    kind: ListenKind | None = None
    address: Scalar | None = None
    path: Scalar | None = None
    backlog: int | None = None
    mode: int | None = None


def _mode(node: Node) -> int:
    if isinstance(node, Scalar) and re.fullmatch("(0o?)?[0-7]{3}", node.text):
        return int(node.text.replace("o", ""), 8)
    raise unexpected(node, "permissions such as 0600")


KEYS: Keys = {
    "name": Key(schema.NAMED, "What LISTEN_FDNAMES calls it; the service's name if this is not said."),
    "kind": Key(
        schema.one_of({schema.kebab(kind): kind for kind in KINDS}),
        "tcp, udp, unix_stream or unix_dgram.",
    ),
    "address": Key(schema.SCALAR, "HOST:PORT, or one of the two: of this machine, and its own PORT."),
    "path": Key(schema.SCALAR, "Of a unix socket, relative to the project's root."),
    "backlog": Key(schema.count(1, 65535), "Connections that wait to be taken."),
    "mode": Key(Kind(_mode, {"type": ["integer", "string"]}), "Permissions of a unix socket."),
}


def _item(node: Node) -> DeclaredListen:
    found = DeclaredListen(node.line, **fields(node, KEYS))
    kind = found.kind or ("unix_stream" if found.path else "tcp")
    unix = kind.startswith("unix")
    wanted, other = ("path", "address") if unix else ("address", "path")
    if getattr(found, wanted) is None:
        raise Refusal(node.line, f"{wanted} is missing")
    if getattr(found, other) is not None:
        raise Refusal(node.line, f"{other} does not go with {kind}")
    if found.mode is not None and not unix:
        raise Refusal(node.line, f"mode does not go with {kind}")
    if found.backlog is not None and kind not in STREAMS:
        raise Refusal(node.line, f"backlog does not go with {kind}")
    return found._replace(kind=kind)


def _items(node: Node) -> tuple[DeclaredListen, ...]:
    if is_nothing(node):
        return ()
    if not isinstance(node, Items):
        raise unexpected(node, "a list of sockets")
    return tuple(map(_item, node.items))


LISTEN = Kind(_items, {"type": ["array", "null"], "items": schema.mapping(KEYS)})


def sockets(
    declared: tuple[DeclaredListen, ...], entry: str, *, has_port: bool, path: Callable[[str, Scalar], str]
) -> tuple[Listen, ...]:
    """The Listens of the service `entry`; `path` makes absolute ones of the file's (`Places.path`)."""
    found: dict[str, Listen] = {}
    for one in declared:
        made = _listen(one, entry, has_port=has_port, path=path)
        if made.name in found:
            more = "" if one.name else ": give each a name"
            raise Refusal(one.line, f"duplicate name {made.name}{more}")
        found[made.name] = made
    return tuple(found.values())


def _listen(one: DeclaredListen, entry: str, *, has_port: bool, path: Callable[[str, Scalar], str]) -> Listen:
    given: dict[str, Any] = {
        key: value for key in ("backlog", "mode") if (value := getattr(one, key)) is not None
    }
    assert one.kind is not None  # `_item` has seen to it
    name = one.name or entry
    if one.path is not None:
        # What begins with a variable is whole once that is known, which only the launcher can tell.
        text = one.path.text
        whole = text if text.startswith("$") and not _is_place(text) else path("path", one.path)
        return Listen(name, one.kind, whole, **given)
    assert one.address is not None
    return Listen(name, one.kind, _address(one.address, entry, has_port=has_port), **given)


def _is_place(text: str) -> bool:
    return re.match(r"\$\{(config\.)?(git|project)\.root\}", text) is not None


def _address(scalar: Scalar, entry: str, *, has_port: bool) -> str:
    """`HOST:PORT`, where PORT may be `${NAME.port}` until ports are known."""
    match = _ADDRESS.fullmatch(scalar.text.strip())
    if match is None:
        raise unexpected(scalar, "HOST:PORT, :PORT, PORT or HOST").under("address")
    host = match["v6"] or match["bare"] or match["host"] or ""
    port = match["alone"] or match["port"]
    if port and port.isdecimal():
        try:
            schema.PORT.read(Scalar(port, "int", scalar.line))
        except Refusal as refusal:
            raise refusal.under("address") from None
    if not port:
        if not has_port:
            raise Refusal(scalar.line, "address: PORT is missing, and it has none of its own (no-port)")
        port = f"${{{entry}.port}}"
    return f"{_host(host, scalar)}:{port}"


def _host(host: str, scalar: Scalar) -> str:
    """An address in brackets where it is one of IPv6; names are not looked up."""
    host = "127.0.0.1" if host.lower() in {"", "localhost"} else host
    for family, shown in ((AF_INET, host), (AF_INET6, f"[{host}]")):
        try:
            inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return shown
    raise unexpected(scalar, "an IP address or localhost before the port").under("address")
