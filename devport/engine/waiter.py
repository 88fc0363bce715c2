"""A control request that is answered later: when what it wants is so for every service, or cannot be.

Pure: told of transitions, it decides; it sends nothing.
"""

from collections.abc import Iterable

from devport.engine.job import Job, Transition
from devport.engine.lifecycle import AT_REST, Event, Lifecycle, State, describe

GOALS = ("start", "restart", "stop", "ready", "stopped")
_PHRASES = {"ready": "wait for", "stopped": "wait for"}


class Waiter:
    """Waits for `goal`, one of GOALS, of `jobs`; `failures` says of which it cannot be, and why.

    With a `wish`, the very Event that was sent, only what comes of that wish counts: a job that becomes
    ready just before it is restarted has not been restarted.
    """

    def __init__(self, goal: str, jobs: Iterable[Job], wish: Event | None = None) -> None:
        self.goal, self.jobs, self._wish = goal, tuple(jobs), wish
        self.failures: list[str] = []
        self._open = dict.fromkeys(self.jobs, wish is None)  # whether what happens to it counts already
        if wish is None:
            for job in self.jobs:
                self._judge(job, job.lifecycle.state)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to wait for."""
        return not self._open

    def observe(self, transition: Transition) -> None:
        """Something happened to a service."""
        job = transition.job
        if job not in self._open:
            return
        if transition.event is self._wish:
            self._open[job] = True
        if self._open[job]:
            self._judge(job, transition.before)

    def give_up(self, why: str) -> None:
        """It is over for all that are left."""
        for job in list(self._open):
            self._close(job, why)

    def _judge(self, job: Job, before: State) -> None:
        if (why := verdict(self.goal, job.lifecycle, before)) is not None:
            self._close(job, why)

    def _close(self, job: Job, why: str) -> None:
        del self._open[job]
        if why:
            self.failures.append(f"cannot {_PHRASES.get(self.goal, self.goal)} {job.name}: {why}")


def verdict(goal: str, lifecycle: Lifecycle, before: State) -> str | None:
    """Whether `goal` is reached (empty), why it cannot be reached (words), or None: not known yet."""
    state = lifecycle.state
    match goal:
        case "stop":
            if lifecycle.wanted:
                return "it was started again"
            stuck = state is State.FAILED and before is State.KILLING
            return (lifecycle.fault if stuck else "") if state in AT_REST else None
        case "stopped":
            return "" if state in AT_REST else None
        case _:
            return _not_ready(goal, lifecycle)


def _not_ready(goal: str, lifecycle: Lifecycle) -> str | None:
    state, wished = lifecycle.state, goal != "ready"
    if wished and not lifecycle.wanted:
        return "it was stopped"
    if state is State.READY or (wished and state is State.WAITING):
        return ""  # where it waits for others, the wish is done, and its answer says for whom
    match state:
        case State.BACKOFF if wished:
            return f"it {_ended(lifecycle)}; it is tried again"
        case State.STOPPED:
            return "it is stopped"
        case State.EXITED | State.FAILED:
            return f"it {_ended(lifecycle)}"
    return None


def _ended(lifecycle: Lifecycle) -> str:
    if lifecycle.fault:
        return f"failed: {lifecycle.fault}"
    return "ended" if lifecycle.status is None else describe(lifecycle.status)
