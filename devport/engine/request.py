"""What a control client may ask: one line of JSON in, a Request or an error for people out. Pure.

Strict on purpose: a field that is not known is an error, because `"service"` for `"services"` would
mean all of them.
"""

import json
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from devport.encoding import decode, printable
from devport.errors import DevportError, nearest
from devport.registry.identity import is_hash

VERBS: Mapping[str, frozenset[str]] = {
    "status": frozenset(),
    "start": frozenset(),
    "stop": frozenset(),
    "restart": frozenset(),
    "signal": frozenset({"number"}),
    "logs": frozenset({"lines", "follow", "times"}),
    "events": frozenset(),
    "wait": frozenset({"state"}),
    "hello": frozenset({"hash"}),
}
"""Every verb, and the fields it takes beside `id`, `do` and `services`."""
PHRASES: Mapping[str, str] = {verb: verb for verb in VERBS} | {
    "status": "show status",
    "logs": "show logs",
    "events": "follow events",
}
"""How each verb is called in an error."""
GOALS = ("ready", "stopped")
_EVERYWHERE = frozenset({"id", "do", "services"})
_SHOWN = 60

Id = str | int | None


class Request(NamedTuple):
    """A request that makes sense; `services` None: all, `lines` None: as many as there are."""

    id: Id
    do: str
    services: tuple[str, ...] | None = None
    number: int = 0
    lines: int | None = None
    follow: bool = False
    times: bool = False
    state: str = "ready"
    hash: str = ""


def load(line: bytes) -> dict[str, object]:
    """The object in `line`; DevportError for anything else."""
    try:
        fields = json.loads(decode(line))
    except (ValueError, RecursionError) as error:
        raise DevportError("cannot understand the request: it is not valid JSON") from error
    if not isinstance(fields, dict):
        raise DevportError("cannot understand the request: it is not a JSON object")
    return fields


def identify(fields: Mapping[str, object]) -> Id:
    """What the reply is to be known by; DevportError for what cannot be given back."""
    found = fields.get("id")
    if found is None or (isinstance(found, str | int) and not isinstance(found, bool)):
        return found
    raise DevportError("cannot understand the request: its id is neither a string nor an integer")


def parse(fields: Mapping[str, object]) -> Request:
    """The request in `fields`; DevportError saying what is wrong with it, and what may have been meant."""
    do = fields.get("do")
    if not isinstance(do, str):
        raise DevportError(f"cannot understand the request: its do is none of {', '.join(VERBS)}")
    if do not in VERBS:
        raise unknown("do that", "verb", do, VERBS)
    known = VERBS[do] | _EVERYWHERE
    values: dict[str, object] = {}
    for name, value in fields.items():
        if name not in known:
            raise unknown(do, "field", name, sorted(known))
        if name in _CHECKS and value is not None:
            check, wanted = _CHECKS[name]
            if not check(value):
                raise DevportError(f"cannot {PHRASES[do]}: {name} is not {wanted}")
            values[name] = tuple(value) if isinstance(value, list) else value
    for name in ("number", "hash"):
        if name in known and name not in values:
            raise DevportError(f"cannot {PHRASES[do]}: {name} is missing")
    return Request(identify(fields), do, **values)  # type: ignore[arg-type]


def unknown(do: str, kind: str, word: str, known: Iterable[str]) -> DevportError:
    """That there is no `kind` called `word`, and which one may have been meant."""
    word = word[:_SHOWN]  # comparing costs the square of the length
    what = f"no such {kind}: {printable(word)}{nearest(word, known)}"
    return DevportError(f"cannot {PHRASES.get(do, do)}: {what}")


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "services": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of names",
    ),
    "number": (lambda value: _is_number(value, 1) and value in signal.valid_signals(), "a signal's number"),
    "lines": (lambda value: _is_number(value, 0), "a number of lines"),
    "follow": (lambda value: isinstance(value, bool), "true or false"),
    "hash": (lambda value: isinstance(value, str) and is_hash(value), "10 lower-case hex digits"),
    "times": (lambda value: isinstance(value, bool), "true or false"),
    "state": (lambda value: value in GOALS if isinstance(value, str) else False, " or ".join(GOALS)),
}
