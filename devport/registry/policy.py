"""A service's Policy as a record holds it: what is not at its default, in JSON, checked when it comes back.

Pure. Read where a service runs, and not by `ls`, which only asks whether a record is that of a task.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from devport.encoding import printable
from devport.model import Policy
from devport.registry.fields import MalformedError

_LARGEST = 10**15


def to_json(policy: Policy) -> dict[str, object]:
    """`policy` for json.dumps; empty for one that asks for nothing."""
    found: dict[str, object] = _plain(policy)
    return found


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        usual = value._field_defaults
        return {
            name: _plain(one)
            for name, one in value._asdict().items()
            if name not in usual or one != usual[name]
        }
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def from_json(given: Mapping[str, object]) -> Policy:
    """The Policy that `to_json` made `given` of; MalformedError for anything else."""
    policy: Policy = _read(Policy, given)
    return policy


def _read(kind: Any, value: Any) -> Any:
    """`value` as the annotation `kind` has it: a NamedTuple, a tuple, a union, a Literal or a plain type."""
    origin = get_origin(kind)
    if origin is UnionType:
        wanted = [one for one in get_args(kind) if one is not NoneType]
        return None if value is None else _read(wanted[0], value)
    if origin is Literal:
        return value if value in get_args(kind) else _malformed(value)
    if origin is tuple:
        each = get_args(kind)[0]
        return tuple(_read(each, one) for one in value) if isinstance(value, list) else _malformed(value)
    if hasattr(kind, "_fields"):
        return _tuple(kind, value)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < _LARGEST else None
    if type(value) is not kind or (kind in (int, float) and not 0 <= value < _LARGEST):
        _malformed(value)
    return value


def _tuple(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict) or value.keys() - kind.__annotations__.keys():
        _malformed(value)
    try:
        return kind(**{name: _read(kind.__annotations__[name], one) for name, one in value.items()})
    except TypeError:
        return _malformed(value)


def _malformed(value: object) -> Any:
    raise MalformedError(f"a policy: {printable(str(value)[:60])}")
