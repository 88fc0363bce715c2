"""What is known of each service: its record, who holds its lock, and what that supervisor says.

The kernel's lock decides whether a service runs; only the supervisors of those that do are asked, one
question for each, with little patience: a supervisor that hangs costs details, never the list.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from devport.errors import DevportError
from devport.inventory.reach import ask, is_unanswered
from devport.registry.locks import Holder, held
from devport.registry.record import Record, is_task
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.context import Context

NOTHING: Mapping[str, object] = MappingProxyType({})
PATIENCE_EACH = 0.25
PATIENCE = 1.0
"""Seconds that one supervisor, and all of them together, may take to say how its services are."""
AT_ONCE = 0.06
"""Seconds within which a crash still counts as a start that failed."""
AT_REST = frozenset({"stopped", "exited", "failed"})


class Status(StrEnum):
    """Whether a service runs: as its lock says."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"  # its lock cannot be asked
    CORRUPT = "corrupt"  # its record cannot be read


class Row(NamedTuple):
    """One service. `live` is what its supervisor says of it, `why` what is wrong with record or lock.

    A `holder` does not make it running: a foreground run keeps the lock of a service that was stopped.
    """

    record: Record
    status: Status
    holder: Holder | None = None
    live: Mapping[str, object] = NOTHING
    why: str = ""

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.record.label

    @property
    def state(self) -> str:
        """Its lifecycle's state; without a supervisor that says so, what can be concluded."""
        if self.live:
            return str(self.live.get("state", ""))
        if self.status is Status.STOPPED:
            # What a killed supervisor wrote last may say that it runs.
            return self.record.state if self.record.state in AT_REST else "stopped"
        return self.record.state if self.status is Status.RUNNING else ""

    @property
    def error(self) -> str:
        """What is wrong with it, empty while nothing is."""
        if self.live:
            return str(self.live.get("error") or "")
        return self.why or self.record.error

    @property
    def pid(self) -> int | None:
        """The service's own process."""
        if self.status is not Status.RUNNING:
            return None
        pid = self._told("pid")
        return pid if isinstance(pid, int) else None

    @property
    def restarts(self) -> int | None:
        """How often it was started again since its supervisor began."""
        restarts = self._told("restarts") if self.holder else None
        return restarts if isinstance(restarts, int) else None

    @property
    def exit_status(self) -> int | None:
        """What it ended with last, as a shell has it; None where that is not known, or it has not ended."""
        if self.live:
            status = self.live.get("status")
        else:
            status = self.record.run.get("status") if self.state in {"exited", "failed"} else None
        if not isinstance(status, int):
            return None
        return 128 - status if status < 0 else status

    @property
    def status_text(self) -> str:
        """What the service says of itself (sd_notify(3))."""
        return str(self.live.get("status_text") or "")

    def _told(self, name: str) -> object:
        """What its supervisor says, or what a background supervisor that does not answer wrote last."""
        if not self.live and self.holder and self.holder.mode == "background":
            return self.record.run.get(name)
        return self.live.get(name)

    @property
    def port(self) -> int | None:
        """Its PORT: of this run, which `-p` may have moved, else the reserved one."""
        if self.record.no_port:
            return None
        return (self.holder.port if self.holder else None) or self.record.port


def survey(context: "Context", store: Store, records: Iterable[Record], *, live: bool = True) -> list[Row]:
    """A row for each of `records`; with `live` their supervisors are asked."""
    there = _locks(store)
    rows = [row(store, one) if one.hash in there else Row(one, Status.STOPPED) for one in records]
    return _with_answers(context, rows) if live else rows


def _locks(store: Store) -> set[str]:
    """The hashes that have a lock file: whoever runs has one."""
    try:
        return {name[:-5] for name in os.listdir(store.locks) if name.endswith(".lock")}
    except OSError:
        return set()


def row(store: Store, record: Record) -> Row:
    """`record` as its lock says."""
    try:
        holder = held(store.lock_path(record.hash))
    except DevportError as error:
        return Row(record, Status.UNKNOWN, why=error.message)
    return Row(record, Status.STOPPED if holder is None else Status.RUNNING, holder)


def together(rows: Iterable[Row]) -> Iterator[tuple[Holder, list[Row]]]:
    """The rows of each supervisor: a foreground run has many services, a background supervisor one."""
    groups: dict[tuple[int, str], list[Row]] = {}
    for one in rows:
        if one.holder is not None:
            # A holder that cannot be named may be a different one each time.
            key = one.record.hash if not one.holder.pid else ""
            groups.setdefault((one.holder.pid, key), []).append(one)
    for group in groups.values():
        holder = group[0].holder
        assert holder is not None
        yield holder, group


def _with_answers(context: "Context", rows: Sequence[Row]) -> list[Row]:
    """`rows` with what the supervisors say, as far as they say it in time."""
    said: dict[str, Mapping[str, object]] = {}
    until = context.now() + PATIENCE
    for holder, _ in together(one for one in rows if one.holder is not None and one.holder.socket):
        patience = min(PATIENCE_EACH, until - context.now())
        if patience <= 0:
            break
        try:
            reply = ask(holder, "status", patience=patience)
        except DevportError as error:
            if not is_unanswered(error):
                context.say(f"devport: warning: {error.message}")
            continue
        said.update(by_hash(reply))
    return [_told(one, said.get(one.record.hash, NOTHING)) for one in rows]


def by_hash(reply: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """What a supervisor's reply says of each service."""
    services = reply.get("services")
    found = services if isinstance(services, list) else []
    return {str(one["hash"]): one for one in found if isinstance(one, dict) and "hash" in one}


def _told(one: Row, live: Mapping[str, object]) -> Row:
    if not live or one.holder is None:
        return one
    status = Status.STOPPED if live.get("state") in AT_REST else Status.RUNNING
    return one._replace(status=status, live=live)


def told(holder: Holder, record: Record) -> Mapping[str, object]:
    """What its supervisor says of the service now; nothing where nobody answers."""
    try:
        return by_hash(ask(holder, "status", [record.hash], patience=PATIENCE)).get(record.hash, NOTHING)
    except DevportError:
        return NOTHING


def trouble(holder: Holder, record: Record) -> str:
    """What its supervisor says is wrong with the service now; empty where all is well, or nobody answers."""
    said = told(holder, record)
    return f"{said.get('error')} (it is tried again)" if said.get("state") == "backoff" else ""


def fields(one: Row) -> dict[str, object]:
    """A row for programs: the fields of hayeah/devport's `ls` first, then what it lacks. No environment."""
    record, live, holder = one.record, one.live, one.holder
    window = record.run.get("window")
    return {
        "hash": record.hash,
        "hashid": record.hashid,
        "key": record.key,
        "status": str(one.status),
        "port": one.port,
        "no_port": record.no_port,
        "tailnet": record.tailnet,
        "url": record.extra.get("url"),
        "cwd": record.cwd,
        "cmd": list(record.cmd or ()),
        "last_up": record.last_up or None,
        "name": record.name or record.label,
        "project": record.project,
        "ports": {} if record.no_port else dict(record.ports),
        "mode": holder.mode if holder else None,
        "state": one.state,
        "pid": one.pid,
        "supervisor": holder.pid or None if holder else None,
        "terminal": holder.terminal if holder else None,
        "window": window if holder and holder.mode == "background" else None,
        "since": live.get("since"),
        "uptime": live.get("uptime"),
        "restarts": one.restarts,
        "error": one.error or None,
        **_reasons(one),
    }


def _reasons(one: Row) -> dict[str, object]:
    """Why it is as it is; null where there is nothing to say."""
    live = one.live
    return {
        "exit_status": one.exit_status,
        "waiting_for": live.get("waiting_for") or None,
        "not_ready": live.get("not_ready") or None,
        "retry_in": live.get("retry_in"),
        "status_text": one.status_text or None,
        "listening": live.get("listening") is True,
        "given_up": one.state == "failed",
        "task": is_task(one.record),
        "external": one.record.policy.get("external") is True,
    }


def details(one: Row) -> dict[str, object]:
    """A row with the rest of its record: how it is started, restarted and stopped."""
    record = one.record
    return {
        **fields(one),
        "entry": record.entry or None,
        "file": record.file or None,
        "description": record.description,
        "port_env": record.port_env,
        "expand": record.expand,
        "pty": record.pty,
        "stop": {"signal": record.stop.signal, "grace": record.stop.grace},
        "restart": {**record.restart._asdict(), "success": sorted(record.restart.success)},
    }
