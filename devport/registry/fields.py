"""What each field of a record may hold, for files that anything may have written.

Pure. Each reader takes what JSON gave and returns the Record's value, or raises MalformedError.
"""

import re
from collections.abc import Callable, Mapping
from typing import NoReturn

from devport.model import RestartPolicy, StopPolicy
from devport.registry.identity import is_hash

MAX_PORT = 65535
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class MalformedError(Exception):
    """What a field should have been."""


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise MalformedError("text without NUL")
    if not value.isascii():
        try:
            value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise MalformedError("valid text") from error
    return value


def _optional_text(value: object) -> str | None:
    return _text(value) or None


def _hash(value: object) -> str:
    if isinstance(value, str) and is_hash(value):
        return value
    raise MalformedError("10 lower-case hex digits")


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise MalformedError("true or false")


def _whole(value: object, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise MalformedError(f"a whole number from 0 to {most}")


def _port(value: object) -> int | None:
    return _whole(value, MAX_PORT) or None


def _number(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12:  # noqa: PLR2004
        return value
    raise MalformedError("a number of seconds")


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise MalformedError("a list of texts")
    try:
        together = "".join(value)
    except TypeError as error:
        raise MalformedError("text without NUL") from error
    # All at once: an environment has a hundred variables, and `ls` reads a thousand records.
    if together.isascii() and "\0" not in together:
        return tuple(value)
    return tuple(map(_text, value))


def _ports(value: object) -> Mapping[str, int]:
    return {_text(name): _port(port) or _no_port() for name, port in _object(value).items()}


def _no_port() -> NoReturn:
    raise MalformedError("ports from 1 up")


def _object(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise MalformedError("an object")


def _stop(value: object) -> StopPolicy:
    given = _object(value)
    grace = given.get("grace")
    return StopPolicy(
        _whole(given.get("signal", StopPolicy().signal), 64),
        None if grace is None else _number(grace),
        _texts(given.get("command", [])),
    )


def _restart(value: object) -> RestartPolicy:
    given = _object(value)
    usual = RestartPolicy()
    on = given.get("on", usual.on)
    limit, window, success = given.get("max"), given.get("window"), given.get("success", [0])
    if not isinstance(success, list) or on not in ("never", "on_failure", "always"):
        raise MalformedError("a restart policy")
    return RestartPolicy(
        on,
        None if limit is None else _whole(limit, 10**9),
        None if window is None else _number(window),
        _number(given.get("delay", usual.delay)),
        _number(given.get("max_delay", usual.max_delay)),
        _number(given.get("reset_after", usual.reset_after)),
        frozenset(_whole(status, 255) for status in success),
    )


def _stamp(value: object) -> str:
    text = _text(value)
    if text and not RFC3339.fullmatch(text):
        raise MalformedError("a time (RFC 3339)")
    return text


def _limits(value: object) -> Mapping[str, tuple[int, int]]:
    return {_text(name): _limit(limit) for name, limit in _object(value).items()}


def _limit(value: object) -> tuple[int, int]:
    match value:
        case [soft, hard]:
            return _bound(soft), _bound(hard)
    raise MalformedError("a soft and a hard limit for each name")


def _bound(value: object) -> int:
    return -1 if value == -1 else _whole(value, 2**63 - 1)


def _run(value: object) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise MalformedError("an object")


READERS: Mapping[str, Callable[[object], object]] = {
    "hash": _hash,
    "hashid": _text,
    "key": _optional_text,
    "port": _port,
    "ports": _ports,
    "no_port": _flag,
    "tailnet": _flag,
    "last_up": _stamp,
    "state": _text,
    "error": _text,
    "project": _optional_text,
    "name": _text,
    "entry": _text,
    "file": _text,
    "port_env": _text,
    "expand": _flag,
    "pty": _flag,
    "stop": _stop,
    "restart": _restart,
    "interactive": _flag,
    "run": _run,
    "limits": _limits,
    "policy": _object,
    "umask": lambda value: _whole(value, 0o777),
    "description": _text,
    "cwd": _text,
    "cmd": _texts,
    "env": _texts,
}
