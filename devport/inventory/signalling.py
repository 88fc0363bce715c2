"""Signals for services: HUP to the supervisor, which restarts; any other to the service's own processes."""

import signal
from collections.abc import Sequence

from devport.errors import DevportError
from devport.inventory.outcome import Outcome, refused
from devport.inventory.reach import Unanswered, ask, deliver
from devport.inventory.restart import READY, in_parallel
from devport.inventory.rows import Row, Status
from devport.inventory.stop import LATE, grace
from devport.registry.locks import Holder

PATIENCE = 5.0
RESTARTS = "restarts"
"""What HUP does, whoever it was that told the service so."""
_FORWARDED = {signal.SIGUSR1, signal.SIGUSR2}
"""What every supervisor hands on to its services."""


def send(rows: Sequence[Row], number: int) -> list[Outcome]:
    """Send signal `number` to `rows`; an Outcome for each."""
    return in_parallel(lambda one: _send(one, number), rows)


def _send(one: Row, number: int) -> Outcome:
    if one.holder is None or one.status is Status.STOPPED:
        return refused(one.record, "signal", one.why or "it is not running")
    try:
        return Outcome(one.record, _signal(one, one.holder, number))
    except DevportError as error:
        return refused(one.record, "signal", error.message)


def _signal(one: Row, holder: Holder, number: int) -> str:
    """What was done; DevportError when it could not be."""
    name = _name(number)
    if number == signal.SIGHUP and holder.mode == "foreground":
        # To a foreground run HUP means that its terminal is gone.
        ask(holder, "restart", [one.record.hash], patience=grace([one]) + LATE + READY)
        return RESTARTS
    if number == signal.SIGHUP:
        return _deliver(holder, number, RESTARTS)
    try:
        ask(holder, "signal", [one.record.hash], number=number, patience=PATIENCE)
    except Unanswered:
        if number not in _FORWARDED or holder.mode == "foreground":  # that would give it to all of them
            raise
        return _deliver(holder, number, f"got {name}")
    return f"got {name}"


def _deliver(holder: Holder, number: int, did: str) -> str:
    if not deliver(holder, number):
        raise DevportError(
            "its supervisor has just ended" if holder.pid else "its supervisor cannot be named"
        )
    return did


def _name(number: int) -> str:
    from devport.engine.announcement import signal_name  # noqa: PLC0415 - the one place that knows

    return signal_name(number)
