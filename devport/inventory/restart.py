"""Restarting services: in place where a supervisor runs them, else under a new one in the background."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from devport.context import wait_until
from devport.errors import DevportError
from devport.inventory.outcome import Outcome, refused
from devport.inventory.reach import Unanswered, ask
from devport.inventory.rows import AT_ONCE, NOTHING, Row, Status, by_hash, told, trouble
from devport.inventory.stop import LATE, grace, stop
from devport.registry.record import Record
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.context import Context

READY = 60.0
"""Seconds that a service may take to be ready again after it has stopped."""

BEAT = 0.1

T = TypeVar("T")
R = TypeVar("R")


def restart(context: "Context", store: Store, rows: Sequence[Row], *, windows: bool = True) -> list[Outcome]:
    """Restart `rows`, all at once; an Outcome for each, once it is ready or has failed.

    Without `windows` what has to be started gets none.
    """
    found = in_parallel(lambda one: _in_place(context, store, one), rows)
    outcomes = {outcome.record.hash: outcome for outcome in found if outcome is not None}
    idle = [one.record for one in rows if one.record.hash not in outcomes]
    outcomes.update(start(context, idle, windows=windows))
    return [outcomes[one.record.hash] for one in rows]


def _in_place(  # noqa: PLR0911 - one line for each thing that may come of it
    context: "Context", store: Store, one: Row
) -> Outcome | None:
    """What its supervisor made of the wish; None where there is none (any more), so it has to be started."""
    if one.why:
        return refused(one.record, "restart", one.why)
    if one.holder is None:
        return None
    try:
        reply = ask(one.holder, "restart", [one.record.hash], patience=grace([one]) + LATE + READY)
    except Unanswered as error:
        if one.holder.mode != "background":
            return refused(one.record, "restart", error.message)
        if said := told(one.holder, one.record):  # it is well, and its service takes its time
            why = said.get("not_ready") or said.get("state")
            return refused(one.record, "restart", f"it is not ready after {READY:g} s: {why}")
        [outcome] = stop(context, store, [one])
        return outcome if outcome.error else None
    except DevportError as error:
        return refused(one.record, "restart", error.message)
    said = by_hash(reply).get(one.record.hash, NOTHING)
    if said.get("state") == "waiting":
        return Outcome(one.record, f"waits for {said.get('waiting_for')}")
    wait_until(lambda: False, AT_ONCE)
    why = trouble(one.holder, one.record)
    if why:
        return refused(one.record, "restart", why)
    return Outcome(one.record, "restarted" if one.status is Status.RUNNING else "started")


def start(context: "Context", records: Sequence[Record], *, windows: bool = True) -> dict[str, Outcome]:
    """Start `records` in the background, from what is stored of them; an Outcome for each, by hash."""
    # A record of the foreground has no environment: it was the terminal's, and nobody wrote it down.
    able = [record for record in records if record.cmd and record.env]
    outcomes = {
        one.hash: refused(one, "restart", "it never ran in the background (devport start -d starts it there)")
        for one in records
        if one not in able
    }
    # What was started without tmux stays without; what never ran here gets a window like everything else.
    daemons = [one for one in able if not windows or (one.run and "window" not in one.run)]
    for group, windowed in (([one for one in able if one not in daemons], True), (daemons, False)):
        if group:
            outcomes.update(_launch(context, group, windows=windowed))
    return outcomes


def _launch(context: "Context", records: Sequence[Record], *, windows: bool) -> dict[str, Outcome]:
    from devport import background  # noqa: PLC0415 - only where something is to be started

    try:
        results = background.launch(context, records, windows=windows)
    except DevportError as error:
        return {one.hash: refused(one, "start", error.message) for one in records}
    return {
        one.record.hash: refused(one.record, "start", one.error)
        if one.error
        else Outcome(one.record, "started")
        for one in results
    }


def in_parallel(
    work: Callable[[T], R], items: Sequence[T], meanwhile: Callable[[], object] | None = None
) -> list[R]:
    """`work` of each item, all at once; what one of them raises is raised when all have ended.

    `meanwhile` is called ten times a second until then.
    """
    if len(items) <= 1 and meanwhile is None:
        return [work(item) for item in items]
    import threading  # noqa: PLC0415 - only for several

    results: dict[int, R] = {}
    errors: list[BaseException] = []

    def one(place: int) -> None:
        try:
            results[place] = work(items[place])
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    # Daemons: Ctrl-C ends the command, whoever has not answered yet.
    threads = [threading.Thread(target=one, args=(place,), daemon=True) for place in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(None if meanwhile is None else BEAT)
            if meanwhile is not None:
                meanwhile()
    if errors:
        raise errors[0]
    return [results[place] for place in range(len(items))]
