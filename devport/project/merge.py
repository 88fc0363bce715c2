"""Several devport.yaml as one: the later file wins, key by key.

Owns what winning means: mappings are merged, everything else is replaced. Works on trees of nodes, whose
lines know their files, so that every refusal names the right one.
"""

from collections.abc import Sequence

from devport.project.probe import KINDS
from devport.project.schema import canonical
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, Table, is_nothing

_ENTRIES = frozenset({"processes", "tasks"})
_NAMES = frozenset({"environment", "ports"})
_PROBES = frozenset({"ready", "live"})
Path = tuple[str, ...]


def merge(trees: Sequence[Node | None]) -> Node | None:
    """One tree of several; Refusal for one that is no mapping."""
    found: Node | None = None
    for tree in trees:
        if tree is None or is_nothing(tree):
            continue
        if isinstance(tree, Items) and len(trees) > 1:
            raise Refusal(tree.line, "a list cannot be merged with other files; use processes:")
        found = tree if found is None else _merged(found, tree, ())
    return found


def _merged(first: Node, second: Node, path: Path) -> Node:
    if len(path) < 2 or _is_entry(path):  # noqa: PLR2004 - `processes:`, and what is directly below it
        if is_nothing(second):
            return first
        if is_nothing(first):
            return second
    if _is_entry(path):
        first, second = _command(first), _command(second)
    if not isinstance(first, Table) or not isinstance(second, Table):
        return second
    return Table(_pairs(first, second, path), second.line)


def _pairs(first: Table, second: Table, path: Path) -> tuple[tuple[Scalar, Node], ...]:
    """The pairs of both, in the order in which they first appear."""
    found = {_same(key.text, path): (key, value) for key, value in first.pairs}
    if path and path[-1] in _PROBES and _is_entry(path[:-1]):
        others = {_same(key.text, path) for key, _ in second.pairs}
        if others & {*KINDS}:  # a probe is of one kind: the later file's
            found = {name: pair for name, pair in found.items() if name not in KINDS or name in others}
    seen: set[str] = set()
    twice: list[tuple[Scalar, Node]] = []
    for key, value in second.pairs:
        name = _same(key.text, path)
        if name in seen:
            twice.append((key, value))  # `no-port` and `no_port`: whoever reads them says so
            continue
        seen.add(name)
        merged = value if (old := found.get(name)) is None else _merged(old[1], value, (*path, name))
        # What both files say something of is from the first, what the second replaces from the second.
        found[name] = (key if old is None or merged is value else old[0], merged)
    return (*found.values(), *twice)


def _same(key: str, path: Path) -> str:
    """`key` as it is compared: names as they are written, keys of devport with - and _ alike."""
    names = (len(path) == 1 and path[0] in {*_ENTRIES, "groups"}) or (
        len(path) == 3 and path[0] in _ENTRIES and path[2] in _NAMES  # noqa: PLR2004
    )
    return key if names else canonical(key)


def _is_entry(path: Path) -> bool:
    return len(path) == 2 and path[0] in _ENTRIES  # noqa: PLR2004


def _command(node: Node) -> Node:
    """The mapping that a command alone stands for."""
    if isinstance(node, Scalar) and node.kind in {"str", "bool"}:
        return Table(((Scalar("exec", "str", node.line), node),), node.line)
    return node
