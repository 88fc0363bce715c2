"""What is said of a job to a control client: its state, and the present life of its process.

Knows no port and no record: what only a frame knows comes as `facts`.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from devport.engine.group import shell_status
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import Kind, State
from devport.registry.record import utc


class Life(NamedTuple):
    """When the process `pid` began, by the wall's clock and by the loop's."""

    pid: int
    wall: float
    now: float


class Statuses:
    """The status of jobs, by what was observed of them. `wall` and `now` are clocks.

    Those of `jobs` that run when nobody has been observing yet have just begun.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        facts: Callable[[Job], dict[str, object]],
        wall: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self._facts, self._wall, self._now = facts, wall, now
        self._lives: dict[Job, Life] = {}
        for job in jobs:
            self._begins(job)

    def observe(self, transition: Transition) -> None:
        """Take note of a new life."""
        if transition.event.kind is Kind.SPAWNED:
            self._begins(transition.job)

    def _begins(self, job: Job) -> None:
        if job.process is not None:
            self._lives[job] = Life(job.process.pid, self._wall(), self._now())

    def of(self, job: Job) -> dict[str, object]:
        """The status of `job`."""
        return {
            "name": job.name,
            "hash": job.command.token,
            **self._state(job),
            "port": None,
            "ports": {},
            **self._life(job),
            **job.facts,
            **self._facts(job),
        }

    def event(self, transition: Transition) -> dict[str, object]:
        """What a client that follows events is told."""
        return {
            "event": transition.event.kind.value,
            "service": transition.job.name,
            "before": str(transition.before),
            **self._state(transition.job),
            "time": utc(self._wall()),
        }

    @staticmethod
    def _state(job: Job) -> dict[str, object]:
        lifecycle = job.lifecycle
        return {
            "state": str(lifecycle.state),
            "wanted": lifecycle.wanted,
            "pid": None if job.process is None else job.process.pid,
            "status": None if lifecycle.status is None else shell_status(lifecycle.status),
            "error": lifecycle.fault,
            "begun": lifecycle.begun,
            "was_ready": lifecycle.was_ready,
            "listening": bool(job.facts.get("listening")),
            "waiting_for": lifecycle.needs if lifecycle.state is State.WAITING else "",
            "not_ready": lifecycle.unready if lifecycle.state is State.STARTING else "",
        }

    def _life(self, job: Job) -> dict[str, object]:
        life = self._lives.get(job)
        if job.process is None or (life is not None and life.pid != job.process.pid):
            life = None  # over, or not begun yet
        return {
            "since": utc(life.wall) if life else None,
            "uptime": round(self._now() - life.now, 3) if life else None,
            "restarts": job.restarts,
            "retry_in": self._retry(job),
        }

    def _retry(self, job: Job) -> float | None:
        """Seconds until it is started again, while that is what it waits for."""
        lifecycle = job.lifecycle
        if lifecycle.state is not State.BACKOFF or lifecycle.deadline is None:
            return None
        return max(0.0, round(lifecycle.deadline - self._now(), 1))
