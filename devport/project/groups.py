"""`groups:` of a devport.yaml: one name for several entries.

Pure. Groups may hold groups; what the project keeps of each are its entries.
"""

from collections.abc import Collection

from devport.errors import nearest
from devport.project import schema
from devport.project.graph import MARK, Groups
from devport.project.schema import Kind
from devport.project.yaml_nodes import DEEPEST, Node, Refusal, Scalar, Table, is_nothing, unexpected

_Declared = dict[str, tuple[Scalar, tuple[Scalar, ...]]]


def _read(node: Node) -> _Declared:
    if is_nothing(node):
        return {}
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping NAME: [ENTRY...]")
    found: _Declared = {}
    for key, value in node.pairs:
        schema.name(key)
        try:
            found[key.text] = key, schema.SCALARS.read(value)
        except Refusal as refusal:
            raise refusal.under(key.text) from None
    return found


GROUPS = Kind(
    _read,
    {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{schema.NAME.pattern}$"},
        "additionalProperties": schema.SCALARS.json,
    },
)


def resolve(declared: _Declared, entries: Collection[str]) -> Groups:
    """The entries of each group, in the order in which they are named; Refusal for what is none."""
    for name, (key, _) in declared.items():
        if name in entries:
            raise Refusal(key.line, f"groups: {name} is the name of a service or task")
    done: dict[str, tuple[str, ...]] = {}
    for name in declared:
        _resolve(name, declared, entries, done, ())
    return done


def _resolve(
    name: str,
    declared: _Declared,
    entries: Collection[str],
    done: dict[str, tuple[str, ...]],
    way: tuple[str, ...],
) -> tuple[str, ...]:
    if name in done:
        return done[name]
    key, members = declared[name]
    if name in way:
        circle = " -> ".join([*way[way.index(name) :], name])
        raise Refusal(key.line, f"groups: {circle}: a group cannot hold itself")
    if len(way) == DEEPEST:
        raise Refusal(key.line, f"groups: nested more than {DEEPEST} levels deep")
    found: list[str] = []
    for member in members:
        inner = member.text.removeprefix(MARK)
        if inner in declared:
            found.extend(_resolve(inner, declared, entries, done, (*way, name)))
        elif inner in entries and inner == member.text:
            found.append(inner)
        else:
            hint = nearest(inner, [*entries, *declared])
            problem = f"no service, task or group is called {inner}{hint}"
            raise Refusal(member.line, f"groups: {name}: {problem}")
    if not found:
        raise Refusal(key.line, f"groups: {name}: expected at least one entry")
    done[name] = tuple(dict.fromkeys(found))
    return done[name]
