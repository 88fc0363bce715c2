"""What is said of a job when its state changes: pure, one sentence and its fields for `--json`."""

import signal
from typing import NamedTuple

from devport.engine.group import shell_status
from devport.engine.job import Transition
from devport.engine.lifecycle import Cause, Kind, State

_ALIVE = {State.STARTING, State.READY}
_ENDING = {State.STOPPING, State.KILLING}


class Announcement(NamedTuple):
    """`text` follows the service's name; `fields` are an event for programs."""

    text: str
    fields: dict[str, object]


def announcement(transition: Transition, port: int | None) -> Announcement | None:
    """What to say of `transition`; None where it is nobody's business. `port` is the service's PORT."""
    said = _announcement(transition, port)
    lifecycle = transition.job.lifecycle
    if said is None or lifecycle.state is not State.BACKOFF:
        return said
    if transition.job.facts.get("listening"):  # a lazy one that is done: nothing starts by itself
        return Announcement(f"{said.text}, waits for a connection", said.fields)
    delay = lifecycle.budget.delay
    return Announcement(f"{said.text}, restarts in {delay:g} s", {**said.fields, "retry_in": delay})


def _announcement(  # noqa: PLR0911 - one line for each thing there is to say
    transition: Transition, port: int | None
) -> Announcement | None:
    job, before, event = transition
    lifecycle, state = job.lifecycle, job.lifecycle.state
    if event.kind is Kind.SPAWNED and job.process is not None:
        return _started(job.process.pid, port)
    failed: dict[str, object] = {"event": "failed", "reason": lifecycle.fault}
    if lifecycle.status is not None:
        failed["status"] = shell_status(lifecycle.status)
    if state is State.FAILED and before is not state:
        return Announcement(f"failed: {lifecycle.fault}", failed)
    if (said := _readiness(transition)) is not None:
        return said
    if event.kind is Kind.SPAWN_FAILED and state is State.BACKOFF:
        return Announcement(f"did not start: {lifecycle.fault}", failed)
    if event.kind is Kind.EXITED and before in _ALIVE:
        return _exited(event.status, leftovers=event.leftovers)
    if state is State.KILLING and before is State.STOPPING and event.kind is Kind.TIMEOUT:
        text = f"did not stop within {lifecycle.grace:g} s, killing it"
        return Announcement(text, {"event": "killing", "grace": lifecycle.grace})
    if state is State.STOPPING and before in _ALIVE and lifecycle.cause is Cause.FAULT:
        return Announcement(f"is being stopped: {lifecycle.fault}", {"event": "unhealthy"})
    if before in _ENDING and state not in _ENDING and lifecycle.cause is not Cause.ENDED:
        return Announcement("stopped", {"event": "stopped", "status": shell_status(lifecycle.status or 0)})
    return None


def waiting(needs: str) -> Announcement:
    """What to say of a service that has waited for `needs` for a while."""
    return Announcement(f"is waiting for {needs}", {"event": "waiting", "needs": needs})


def unready(reason: str) -> Announcement:
    """What to say of a service that runs and is not ready, as its probe has it."""
    return Announcement(f"is not ready: {reason}", {"event": "not ready", "reason": reason})


def _readiness(transition: Transition) -> Announcement | None:
    """A probe's news; a service without one is ready when it is started, which is said anyway."""
    job, before, event = transition
    state = job.lifecycle.state
    if event.kind is Kind.READY and before is State.STARTING and state is State.READY:
        return Announcement("is ready", {"event": "ready"})
    if event.kind is Kind.UNREADY and before is State.READY and state is State.STARTING:
        return unready(event.reason)
    return None


def _started(pid: int, port: int | None) -> Announcement:
    if port is None:
        return Announcement(f"started (pid {pid})", {"event": "started", "pid": pid})
    return Announcement(f"started (pid {pid}, port {port})", {"event": "started", "pid": pid, "port": port})


def _exited(status: int, *, leftovers: bool) -> Announcement:
    text = f"exited with status {status}" if status >= 0 else f"was killed by {signal_name(-status)}"
    if leftovers:
        text += ", leaving processes that are stopped now"
    return Announcement(text, {"event": "exited", "status": shell_status(status)})


def signal_name(number: int) -> str:
    """`SIGTERM` for 15; a real-time signal by its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
