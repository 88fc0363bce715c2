"""Reaching the process that runs a service: a question over its control socket, or a signal.

A pid is believed with its start time only, and signalled through a descriptor of that very process
where the system has one, so that nobody else is ever hit.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from devport.errors import DevportError
from devport.kernel import birth
from devport.registry.locks import Holder

if TYPE_CHECKING:
    from devport.remote import Remote

FIRST_USER_PID = 2
CONNECT = 2.0
"""Seconds in which a supervisor must at least greet; a request may take longer."""


class Unanswered(DevportError):  # noqa: N818 - the cause is said by the base class
    """Nobody answers at the control socket of who holds the lock."""


def is_unanswered(error: DevportError) -> bool:
    """Whether `error` says that there is no talking to the supervisor, rather than that it refuses."""
    return isinstance(error, Unanswered)


def ask(
    holder: Holder, do: str, services: Sequence[str] = (), *, patience: float, **more: object
) -> Mapping[str, Any]:
    """What the supervisor replies to `do` for `services` (none: all of its) within `patience` seconds.

    Unanswered where it does not, DevportError with its reason where it refuses or fails.
    """
    named = {"services": list(services)} if services else {}
    try:
        remote = connect(holder, min(patience, CONNECT))
        try:
            remote.timeout = patience
            return remote.request(do, **named, **more)
        finally:
            remote.close()
    except _unreachable() as error:
        raise Unanswered(error.message) from error


def connect(holder: Holder, patience: float) -> "Remote":
    """A connection to `holder`; Unanswered where nobody answers within `patience` seconds."""
    from devport.remote import Remote  # noqa: PLC0415 - only for what runs

    try:
        return Remote.connect(holder, patience)
    except _unreachable() as error:
        raise Unanswered(error.message) from error


def _unreachable() -> type[DevportError]:
    from devport.remote import Unreachable  # noqa: PLC0415

    return Unreachable


def deliver(holder: Holder, number: int) -> bool:
    """Whether signal `number` was sent to the very process that holds the lock; DevportError if forbidden."""
    if holder.pid < FIRST_USER_PID or holder.pid == os.getpid():
        return False
    try:
        return birth.deliver(holder.pid, holder.started, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise DevportError(f"cannot signal {holder}: {error.strerror}") from error
