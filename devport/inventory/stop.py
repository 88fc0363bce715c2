"""Stopping services until they are gone: lock free and ports free, or an error that names what is left.

A background supervisor and `devport run` get SIGTERM and end with their service. A foreground run goes
on without the service, so it is asked over its control socket. No second wish is sent to who is
stopping already: it would kill.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from devport.context import wait_until
from devport.errors import DevportError
from devport.inventory.outcome import Outcome, refused
from devport.inventory.reach import Unanswered, ask, deliver
from devport.inventory.rows import Row, Status, row, survey, together
from devport.model import GRACE
from devport.registry.locks import UNKNOWN, Holder, held
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.context import Context

SIGTERM = 15
LATE = 5.0
"""Seconds that an end may take longer than the grace."""
NAMING = 0.2
"""Seconds that who has just taken a lock may need to write down who it is."""


def grace(rows: Iterable[Row]) -> float:
    """The longest time that one of `rows` has between its stop signal and SIGKILL."""
    return max(map(_grace, rows), default=0)


def _grace(one: Row) -> float:
    # A foreground run knows of its `-t`, which no record does.
    told = one.live.get("grace")
    if isinstance(told, (int, float)):
        return told
    return GRACE if one.record.stop.grace is None else one.record.stop.grace


def stop(
    context: "Context", store: Store, rows: Sequence[Row], *, whole_runs: bool = False, late: float = LATE
) -> list[Outcome]:
    """Stop `rows`, all at once, and wait; an Outcome for each. `whole_runs` ends foreground runs too."""
    outcomes: dict[str, Outcome] = {}
    pending: dict[str, Row] = {}
    named = [_named(store, one) for one in rows]  # by now some may have ended
    for one in named:
        if one.holder is None or (one.status is Status.STOPPED and not whole_runs):
            outcomes[one.record.hash] = _idle(one)
    asked = [one for one in named if one.record.hash not in outcomes]
    # Signals first: whoever gets one ends while others are still being asked.
    groups = sorted(together(asked), key=lambda group: _by_request(group[0], whole_runs=whole_runs))
    for holder, group in groups:
        try:
            told = _tell(context, store, holder, group, late, whole_runs=whole_runs)
        except DevportError as error:
            outcomes.update({one.record.hash: refused(one.record, "stop", error.message) for one in group})
            continue
        pending.update({one.record.hash: one._replace(holder=None) if told else one for one in group})
    wait_until(lambda: all(_is_gone(store, one) for one in pending.values()), grace(rows) + late)
    outcomes.update({hash_: _result(store, one) for hash_, one in pending.items()})
    return [outcomes[one.record.hash] for one in rows]


def _idle(one: Row) -> Outcome:
    if one.status is Status.UNKNOWN:
        return refused(one.record, "stop", one.why)
    return Outcome(one.record, "is not running")


def _named(store: Store, one: Row) -> Row:
    """`one` with a holder that can be named, if it can."""
    if one.holder is None or one.holder.pid:
        return one
    path = store.lock_path(one.record.hash)
    wait_until(lambda: held(path) != UNKNOWN, NAMING)
    return row(store, one.record)


def _by_request(holder: Holder, *, whole_runs: bool) -> bool:
    """Whether the service is stopped by a request, because its supervisor is to go on."""
    return not holder.pid or (holder.mode == "foreground" and not whole_runs)


def _tell(
    context: "Context", store: Store, holder: Holder, group: Sequence[Row], late: float, *, whole_runs: bool
) -> bool:
    """Make `holder` stop its services in `group`; whether it has answered that they are at rest."""
    if not _by_request(holder, whole_runs=whole_runs):
        deliver(holder, SIGTERM)  # where it has just ended by itself, all the better
        return False
    if not holder.pid:  # who wrote no name may still listen where a background supervisor does
        holder = holder._replace(socket=store.socket_path(group[0].record.hash))
    try:
        ask(holder, "stop", [one.record.hash for one in group], patience=grace(group) + late)
    except Unanswered as error:
        if not holder.pid:
            raise DevportError("its lock is held by a process that cannot be named") from error
        if others := _others(context, store, holder, group):
            why = f"{error.message}, and a signal would end {', '.join(others)} as well"
            raise DevportError(why) from error
        deliver(holder, SIGTERM)
        return False
    return True


def _others(context: "Context", store: Store, holder: Holder, group: Sequence[Row]) -> list[str]:
    """What else `holder` runs."""
    asked = {one.record.hash for one in group}
    rows = survey(context, store, store.records().records.values(), live=False)
    return [
        one.label
        for one in rows
        if one.holder and one.holder.pid == holder.pid and one.record.hash not in asked
    ]


def _is_gone(store: Store, one: Row) -> bool:
    return not _is_held(store, one) and (_is_restarted(store, one) or not _taken(one))


def _is_held(store: Store, one: Row) -> bool:
    """Whether the holder that was told to stop is still there; a later one is somebody else's start."""
    now = held(store.lock_path(one.record.hash)) if one.holder else None
    return now is not None and (not now.pid or now == one.holder)


def _taken(one: Row) -> list[int]:
    """The ports of `one` that are in use."""
    from devport.registry.ports import is_free  # noqa: PLC0415 - only where something was stopped

    ports = {one.port, *one.record.ports.values()} if one.port else set()
    found = []
    for port in sorted(port for port in ports if port):
        try:
            if not is_free(port):
                found.append(port)
        except DevportError:
            continue  # this user may not bind it, so it cannot be told
    return found


def _result(store: Store, one: Row) -> Outcome:
    if _is_held(store, one):
        return refused(one.record, "stop", f"it is still running: {held(store.lock_path(one.record.hash))}")
    if one.status is Status.STOPPED:  # only the run that it had been stopped in has ended now
        return Outcome(one.record, "was not running")
    if _is_restarted(store, one) or not (ports := _taken(one)):
        return Outcome(one.record, "stopped")
    from devport.registry.owner import owner  # noqa: PLC0415 - on the way to an error

    who = "; ".join(f"{port} by {owner(port, store, one.record.hash)}" for port in ports)
    return Outcome(one.record, f"stopped; its port is in use: {who}")


def _is_restarted(store: Store, one: Row) -> bool:
    return one.holder is not None and held(store.lock_path(one.record.hash)) is not None
