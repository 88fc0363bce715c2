"""What is stored about a service, and its JSON form, which hayeah/devport reads and writes as well.

Pure: bytes in, a Record out, and back. It knows no folder and no lock. Fields that this version does
not know are kept and written back.
"""

import json
import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from devport.encoding import decode, printable
from devport.errors import DevportError
from devport.model import BACKGROUND_RESTART, RestartPolicy, StopPolicy
from devport.registry.fields import READERS, RFC3339, MalformedError

SCHEMA = 1

NO_PORTS: Mapping[str, int] = MappingProxyType({})
NOTHING: Mapping[str, object] = MappingProxyType({})


class Record(NamedTuple):
    """One service as it is stored; the file is named after `hash`.

    `port` is what PORT will be, `ports` what each declared name has; both stay reserved while `no_port`
    only keeps them from being used. `name` is `web`, or `web.2` for a further instance. `env` holds
    `NAME=value` strings, empty for a service that only ever ran in the foreground. `last_up` is
    RFC 3339, empty when unknown. `policy` is a Policy as `registry.policy` writes it. `umask` and
    `limits` (setrlimit(2): soft and hard, -1 for none) are those of the shell it was started from.
    `state` and `error` are the background supervisor's last word, `run` is what it is about itself:
    `window` (`@3`), `tmux` (the server's socket), `pid`, `restarts`.
    """

    hash: str
    hashid: str
    key: str | None = None
    port: int | None = None
    ports: Mapping[str, int] = NO_PORTS
    no_port: bool = False
    tailnet: bool = False
    last_up: str = ""
    state: str = ""
    error: str = ""
    schema: int = SCHEMA
    project: str | None = None
    name: str = ""
    entry: str = ""
    file: str = ""
    port_env: str = "PORT"
    expand: bool = False
    pty: bool | None = None
    stop: StopPolicy = StopPolicy()
    restart: RestartPolicy = BACKGROUND_RESTART
    interactive: bool = False
    policy: Mapping[str, object] = NOTHING
    umask: int | None = None
    limits: Mapping[str, tuple[int, int]] = MappingProxyType({})
    description: str = ""
    run: Mapping[str, object] = NOTHING
    cwd: str = ""
    cmd: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    extra: Mapping[str, object] = NOTHING

    @property
    def label(self) -> str:
        """What a message calls it: its name, else its key, else its hashid."""
        return self.name or self.key or self.hashid

    @property
    def reserved(self) -> tuple[int, ...]:
        """Every port that belongs to it, the one called PORT first."""
        first = (self.port,) if self.port else ()
        return (*first, *(port for port in self.ports.values() if port != self.port))


def dependencies(record: Record) -> dict[str, str]:
    """What `record` waits for: hashes, and the condition that each has to be in."""
    after = record.policy.get("after")
    found = [one for one in after if isinstance(one, dict)] if isinstance(after, list | tuple) else []
    return {str(one["hash"]): str(one.get("condition", "ready")) for one in found if one.get("hash")}


def is_task(record: Record) -> bool:
    """Whether it is to end, once."""
    return record.policy.get("task") is True


class UnreadableError(DevportError):
    """A record file that cannot be believed; `newer` when a later devport wrote it."""

    def __init__(self, message: str, *, newer: bool = False) -> None:
        super().__init__(message)
        self.newer = newer


def utc(wall: float) -> str:
    """`wall` (seconds since the epoch) as records have it: RFC 3339 in UTC, ending in Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall))


def seconds(stamp: str) -> float | None:
    """`stamp` (RFC 3339) as seconds since the epoch; None for one that is no time."""
    import datetime as dt  # noqa: PLC0415 - only reclaiming a port and `ls` compute with times

    if not RFC3339.fullmatch(stamp):
        return None
    try:
        # Go writes nanoseconds, and year 1 for "never"; neither is beyond fromisoformat and arithmetic.
        moment = dt.datetime.fromisoformat(stamp.upper())
        return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None


def to_json(record: Record) -> bytes:
    """`record` as a file: ASCII, a field a line, what reserves ports near the top, long things last."""
    fields = record._asdict()
    extra = fields.pop("extra")
    fields["port"] = record.port or 0
    fields["ports"] = dict(record.ports)
    fields["last_up"] = record.last_up or None
    fields["run"] = dict(record.run)
    fields["policy"] = dict(record.policy)
    fields["limits"] = dict(record.limits)
    fields["stop"] = record.stop._asdict()
    fields["restart"] = {**record.restart._asdict(), "success": sorted(record.restart.success)}
    lines = [f"  {_dump(name)}: {_dump(value)}" for name, value in {**fields, **extra}.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode("ascii")


_dump = json.JSONEncoder(ensure_ascii=True).encode


def from_json(data: bytes, file: str) -> Record:
    """The record in `data`, the content of `file` (`.../<hash>.json`); UnreadableError for anything else."""
    try:
        fields = _load(decode(data))
    except (ValueError, RecursionError) as error:
        why = "it is empty" if not data.strip(b"\0 \r\n\t") else f"{_line(error)}it is not valid JSON"
        raise _unreadable(file, why) from error
    if not isinstance(fields, dict):
        raise _unreadable(file, "it is not a JSON object")
    try:
        record = _record(fields)
    except MalformedError as error:
        raise _unreadable(file, str(error)) from error
    if f"{record.hash}.json" != file.rpartition("/")[2]:
        raise _unreadable(file, "it is about another service than its name says")
    return record


def _line(error: Exception) -> str:
    """Where it is, as far as json tells it: not for a number that is too long, or depth."""
    return f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""


def _unreadable(file: str, why: str) -> UnreadableError:
    newer = why == NEWER
    return UnreadableError(f"cannot read record {printable(file)}: {why}", newer=newer)


NEWER = "a newer version of devport wrote it"


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("no number")


def _finite(text: str) -> float:
    # 1e999 would come back as a word that JSON does not have.
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


_load = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode


def _record(fields: dict[str, object]) -> Record:
    schema = fields.pop("schema", SCHEMA)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise MalformedError("its schema is no version")
    if schema > SCHEMA:
        raise MalformedError(NEWER)
    known: dict[str, object] = {}
    extra: dict[str, object] = {}
    for name, value in fields.items():
        reader = READERS.get(name)
        if reader is None:
            extra[name] = value
        elif value is not None:  # null is the absence of a field, as it is in Go
            try:
                known[name] = reader(value)
            except MalformedError as error:
                raise MalformedError(f"its {name} is not {error}") from error
    if "hash" not in known or not known.get("hashid"):
        raise MalformedError("it has no hash or no hashid")
    if not str(known["hash"]).startswith(str(known["hashid"])):
        raise MalformedError("its hashid does not begin its hash")
    return Record(**known, extra=extra or NOTHING)  # type: ignore[arg-type]
