"""Whether what a service waits for is so, is not so yet, or can never be: pure.

Knows what is seen of the other service, here or in another supervisor, and not who sees it.
"""

from typing import NamedTuple

from devport.engine.lifecycle import State
from devport.model import Condition

_ENDING = {State.STOPPING, State.KILLING}


class Seen(NamedTuple):
    """What is known of a service: its state, and how its last life ended.

    `begun`: it has been spawned since it was last wanted. `status` is its last exit status, None where
    there was none; `fault` what went wrong. `listening`: it waits for its first connection, and its
    sockets are there. `coming`: it was asked for and its supervisor has not come up yet.
    """

    state: State = State.STOPPED
    begun: bool = False
    status: int | None = None
    fault: str = ""
    listening: bool = False
    coming: bool = False


class Verdict(NamedTuple):
    """`met`; or, where it can never be, `never`: why, in words that follow the service's name."""

    met: bool
    never: str = ""


MET, NOT_YET = Verdict(True), Verdict(False)


def judge(condition: Condition, seen: Seen) -> Verdict:
    """What `condition` (of a service) means where it is as `seen`."""
    return NOT_YET if seen.coming else _judge(condition, seen)


def _judge(condition: Condition, seen: Seen) -> Verdict:
    if seen.state is State.FAILED:
        # It is over, however: who only waits for that can go on.
        return MET if condition == "completed" else Verdict(False, f"failed: {seen.fault or 'for good'}")
    if seen.listening and condition in {"started", "ready"}:
        return MET
    match condition:
        case "started":
            return MET if _has_started(seen) else NOT_YET
        case "ready":
            return _ready(seen)
        case "completed":
            return MET if seen.state in {State.EXITED, State.STOPPED} else NOT_YET
        case "succeeded":
            return _succeeded(seen)


def _has_started(seen: Seen) -> bool:
    return seen.begun and seen.state not in {State.WAITING, State.STOPPED}


def _ready(seen: Seen) -> Verdict:
    if seen.state is State.EXITED:
        return Verdict(False, f"has ended: {_end(seen)}")
    return MET if seen.state is State.READY else NOT_YET


def _succeeded(seen: Seen) -> Verdict:
    if seen.state is State.EXITED:
        return MET if seen.status == 0 else Verdict(False, _end(seen))
    if seen.state is State.STOPPED and seen.begun:
        return Verdict(False, "was stopped")
    return NOT_YET


def _end(seen: Seen) -> str:
    return seen.fault or f"exited with status {seen.status or 0}"
