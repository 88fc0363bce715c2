"""Reading what another manager's YAML holds: plain values out of nodes, None for what is something else.

Works on the nodes of `yaml_nodes`, which keep the text of every scalar: `no` is the word that it is, `8080`
a text where one is expected.
"""

import math
import re
from collections.abc import Iterator, Mapping

from devport.project.yaml_nodes import Items, Node, Scalar, Table, is_nothing

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d)"
_TRUE = {"true", "yes", "on", "1", "y"}


def pairs(node: Node | None) -> dict[str, Node]:
    """A mapping; empty for anything else."""
    return {key.text: value for key, value in node.pairs} if isinstance(node, Table) else {}


def text(node: Node | None) -> str | None:
    """A scalar as it is written; None for nothing."""
    return node.text if isinstance(node, Scalar) and not is_nothing(node) else None


def texts(node: Node | None) -> list[str]:
    """A list of scalars, or a single one."""
    if isinstance(node, Items):
        return [found for item in node.items if (found := text(item)) is not None]
    found = text(node)
    return [] if found is None else [found]


def flag(node: Node | None) -> bool:
    """Whether a scalar means yes, in any spelling."""
    return (text(node) or "").lower() in _TRUE


def number(node: Node | None) -> float | None:
    """A number, 0 or more."""
    found = text(node)
    return float(found) if found is not None and re.fullmatch(r"[0-9]{1,12}(\.[0-9]*)?", found) else None


def count(node: Node | None) -> int | None:
    """A whole number, 0 or more."""
    found = number(node)
    return None if found is None else int(found)


def seconds(node: Node | None) -> float | None:
    """A time as Go writes it (`1m30s`, `1.5h`), or a number of seconds."""
    found = text(node)
    if found is None:
        return None
    if re.fullmatch(f"(?:{_DURATION})+", found):
        total = math.fsum(float(match[1]) * _UNITS[match[2]] for match in re.finditer(_DURATION, found))
        return round(total, 9)
    return number(node)


def assignments(node: Node | None) -> Iterator[tuple[str, str | None]]:
    """NAME and value of a mapping, or of a list of `NAME=value`; the value is None where there is none."""
    if isinstance(node, Items):
        for item in texts(node):
            name, equals, value = item.partition("=")
            yield name, value if equals else None
    else:
        for name, found in pairs(node).items():
            yield name, text(found)


def rest(keys: Mapping[str, Node], known: frozenset[str] | set[str]) -> list[str]:
    """The keys that are not among `known`; those of users (`x-...`) do not count."""
    return [key for key in keys if key not in known and not key.startswith("x-")]
