"""Whether what a service waits for is so, is not so yet, or can never be: pure.

Knows what is seen of the other service, here or in another supervisor, and not who sees it.
"""

from typing import NamedTuple

from devport.engine.lifecycle import AT_REST, State
from devport.model import Condition

_OVER = {State.EXITED, State.FAILED}


class Seen(NamedTuple):
    """What is known of a service: its state, and how its last life ended.

    `begun`: it has been spawned since it was last wanted; `was_ready`: in this life, or the last one, so
    that it does not matter whether somebody looked in time. `status` is its last exit status, None where
    there was none; `fault` what went wrong. `listening`: it waits for its first connection, and its
    sockets are there. `coming`: it was asked for and its supervisor has not come up yet.
    """

    state: State = State.STOPPED
    begun: bool = False
    was_ready: bool = False
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
    if seen.listening and seen.state is State.WAITING and condition in {"started", "ready"}:
        return MET
    match condition:
        case "started":
            met = seen.begun and seen.state not in {State.WAITING, State.STOPPED}
            return _unless_over(seen, met=met)
        case "ready":
            met = seen.state is State.READY or (seen.state in _OVER and seen.was_ready)
            return _unless_over(seen, met=met)
        case "completed":
            return MET if seen.state in AT_REST else NOT_YET
        case "succeeded":
            if seen.state is State.STOPPED and seen.begun:
                return Verdict(False, "was stopped")
            return _unless_over(seen, met=seen.state is State.EXITED and seen.status == 0)


def _unless_over(seen: Seen, *, met: bool) -> Verdict:
    """`met`, or not yet; or never, where nothing is to come any more."""
    if met or seen.state not in _OVER:
        return MET if met else NOT_YET
    if seen.state is State.FAILED:
        return Verdict(False, f"failed: {seen.fault or 'for good'}")
    return Verdict(False, seen.fault or f"exited with status {seen.status or 0}")
