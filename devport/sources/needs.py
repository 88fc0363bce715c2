"""What keeps a job from being spawned: dependencies that are not met, a connection that has not come.

`Needs` follows the job's dependencies: those of the same loop by their transitions, those of other
supervisors through `Far`, which the frame provides. Whatever holds the job back is gathered by its
`Blockers`, which tell the lifecycle one thing: met, or what is waited for, or why it never will be.
"""

from collections.abc import Callable, Mapping, Sequence

from devport.engine.job import Job, Transition
from devport.engine.lifecycle import AT_REST, Event, Kind
from devport.engine.loop import Loop
from devport.model import Dependency
from devport.sources.conditions import MET, Seen, judge


class Blockers:
    """The reasons why `job` must not be spawned now, each under a key of its own."""

    def __init__(self, loop: Loop, job: Job) -> None:
        self._loop, self._job = loop, job
        self._open: dict[str, str] = {}
        self._never: dict[str, str] = {}

    def block(self, key: str, needs: str, never: str = "") -> None:
        """It waits for `needs`; with `never`, for the reason that this says, in vain."""
        if self._open.get(key) != needs or self._never.get(key, "") != never:
            self._open[key] = needs
            self._never.pop(key, None)
            if never:
                self._never[key] = never
            self._tell()

    def clear(self, key: str) -> None:
        """Nothing to wait for under `key` any more."""
        self._never.pop(key, None)
        if self._open.pop(key, None) is not None:
            self._tell()

    def _tell(self) -> None:
        never = next(iter(self._never.values()), "")
        kind = Kind.LOST if self._open else Kind.MET
        self._loop.send(self._job, Event(kind, reason=never, needs=", ".join(self._open.values())))


def seen_of(job: Job) -> Seen:
    """What another job of the same loop sees of `job`."""
    lifecycle = job.lifecycle
    return Seen(
        lifecycle.state,
        lifecycle.begun,
        lifecycle.was_ready,
        lifecycle.status,
        lifecycle.fault,
        listening=bool(job.facts.get("listening")),
    )


class Needs:
    """The dependencies `after` of `job`.

    `jobs` are those of the same loop, by hash. Of any other, `far` tells what is seen of it now, and
    makes sure that `look` is called whenever that changes.
    """

    def __init__(
        self,
        job: Job,
        after: Sequence[Dependency],
        jobs: Mapping[str, Job],
        far: Callable[[Dependency], Seen],
        blockers: Blockers,
    ) -> None:
        self._job, self._after, self._jobs, self._far, self._blockers = job, after, jobs, far, blockers
        self._kept: set[Dependency] = set()  # met, and never to be taken back
        self._judges = False  # what has not been asked for yet is at rest, which means nothing
        for one in after:
            blockers.block(_key(one), _words(one))
            if one.hash in jobs:
                jobs[one.hash].observers.append(self.observe)

    def observe(self, transition: Transition) -> None:
        """Something happened to one of them."""
        hash_ = transition.job.command.token
        if transition.event.kind in {Kind.UP, Kind.RESTART} and transition.before in AT_REST:
            self.forget(hash_)
        self.look(hash_)

    def forget(self, hash_: str) -> None:
        """The service `hash_` was at rest, and is about to run: nothing that it did before counts now."""
        self._kept = {one for one in self._kept if one.hash != hash_ or one.condition == "started"}

    def look(self, hash_: str | None = None) -> None:
        """Judge again those on the service `hash_`; without it all, for the first time maybe."""
        self._judges |= hash_ is None
        for one in self._after if self._judges else ():
            if hash_ in {None, one.hash}:
                self._judge(one)

    def _judge(self, one: Dependency) -> None:
        verdict = MET if one in self._kept else judge(one.condition, self._seen(one))
        if verdict == MET:
            if one.condition != "ready":
                self._kept.add(one)
            self._blockers.clear(_key(one))
        else:
            self._blockers.block(
                _key(one), _words(one), f"{one.name} {verdict.never}" if verdict.never else ""
            )

    def _seen(self, one: Dependency) -> Seen:
        job = self._jobs.get(one.hash)
        return self._far(one) if job is None else seen_of(job)


def _key(one: Dependency) -> str:
    return f"{one.hash}@{one.condition}"


def _words(one: Dependency) -> str:
    match one.condition:
        case "ready":
            return one.name
        case "started":
            return f"{one.name} to start"
        case "completed":
            return f"{one.name} to end"
        case "succeeded":
            return f"{one.name} to succeed"
