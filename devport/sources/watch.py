"""Restarts a service when its files change.

The files are looked at by a `Lookout`, in the only thread that devport has; here are the decisions,
made in the loop: whether a change restarts anything now, and whether it is the service's own doing. A
restart for a change is a wish like the user's, so it is not counted against the restart budget; one that
comes while another is under way is the same restart.
"""

import os

from devport.encoding import printable
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import Event, Kind, State
from devport.engine.loop import Loop
from devport.model import Watch
from devport.sources.lookout import Lookout, Reports, rust_notify

OWN_DOING = 2.0
"""Seconds after a restart within which a change may be the service's own."""
ENOUGH = 3
"""Restarts in a row, each followed by a change of the same file, after which it is not watched any more."""
_WISHES = {Kind.UP, Kind.DOWN, Kind.RESTART}


class Guard:
    """Finds the files that a service changes itself whenever it starts; times in seconds."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Trust every file again: the user has a hand in it."""
        self.muted: frozenset[str] = frozenset()
        self._believed: frozenset[str] = frozenset()  # once, after they had been muted
        self._suspects: frozenset[str] = frozenset()
        self._count = 0
        self._armed = False  # a restart was for a change
        self._began: float | None = None

    def began(self, now: float) -> None:
        """The service runs, is ready, or has done its work."""
        if self._armed:
            self._began = now

    def judge(self, changed: frozenset[str], now: float) -> tuple[frozenset[str], frozenset[str]]:
        """Of `changed` what is to restart it, and what is found out to be its own doing.

        A muted file that changes long after a start is believed once more: somebody may have saved it
        often, and a service that writes while it starts is found out again.
        """
        is_starting = self._began is not None and now - self._began <= OWN_DOING
        if self._began is not None and not is_starting:
            believed = (changed & self.muted) - self._believed
            self._believed |= believed
            self.muted -= believed
        changed -= self.muted
        if not changed:
            return changed, changed
        if is_starting:
            again = self._suspects & changed
            self._count = self._count + 1 if again else 1
            self._suspects = again or changed
        else:
            self._count, self._suspects = 0, frozenset()
        found: frozenset[str] = frozenset()
        if self._count >= ENOUGH:
            found = self._suspects
            self._count, self._suspects = 0, frozenset()
            self.muted |= found
            changed -= found
        if changed:
            self._armed, self._began = True, None
        return changed, found


class Watcher:
    """Restarts `job` when a file changes that counts by `watch`. `active`: changes will be noticed."""

    def __init__(self, loop: Loop, job: Job, watch: Watch) -> None:
        self._loop, self._job, self._root = loop, job, watch.root
        self._wish = Event(Kind.RESTART)  # told from the user's by identity
        self._guard = Guard()
        self._reports: Reports | None = None
        self._lookout: Lookout | None = None
        self.active = False
        job.observers.append(self.observe)
        if watch.paths:
            self._begin(watch)

    def _begin(self, watch: Watch) -> None:
        self._reports = Reports()
        self._loop.watch(self._reports.descriptor, self._take)
        self.active = True
        self._lookout = Lookout(watch, self._reports, rust_notify)
        self._lookout.begin()

    def observe(self, transition: Transition) -> None:
        """Note when it began to run, and when the user has a hand in it."""
        kind = transition.event.kind
        if kind in _WISHES and transition.event is not self._wish:
            self._guard.reset()
        elif kind in {Kind.SPAWNED, Kind.READY, Kind.EXITED}:
            self._guard.began(self._loop.now())

    def close(self) -> None:
        """Notice nothing from now on; the thread ends by itself, within a tenth of a second."""
        self.active = False
        if self._lookout is not None:
            self._lookout.stop()
        if self._reports is not None:
            self._loop.unwatch(self._reports.descriptor)
            os.close(self._reports.descriptor)
            self._reports = None

    def _take(self) -> None:
        if self._reports is None:
            return
        changed: frozenset[str] = frozenset()
        for report in self._reports.take():
            if report.watched:
                self._job.facts["watching"] = report.watched
            if report.ended:
                self._unwatched(report.trouble)
            elif report.trouble:
                self._job.say(f"watches its files by polling, once a second: {printable(report.trouble)}")
            changed |= report.changed
        if changed:
            self._changed(changed)
        if not self.active:
            self.close()

    def _unwatched(self, reason: str) -> None:
        self.active = False
        self._job.facts["watching"] = "nothing"
        self._job.say(f"runs on with its files not watched: {printable(reason)}")

    def _changed(self, files: frozenset[str]) -> None:
        lifecycle = self._job.lifecycle
        if not lifecycle.wanted or lifecycle.state is State.WAITING or lifecycle.hopeless:
            return
        if lifecycle.state in {State.STOPPING, State.KILLING}:
            # Whatever it is stopped for, it starts again, with these changes.
            self._loop.send(self._job, self._wish)
            return
        files, own = self._guard.judge(files, self._loop.now())
        if own:
            self._job.say(
                f"pauses watching {self._named(own)}: changed after each of {ENOUGH} restarts; "
                "add it to watch.ignore, or restart by hand to watch it again"
            )
        if files:
            self._job.say(f"restarts: {self._named(files)} changed")
            self._loop.send(self._job, self._wish)

    def _named(self, files: frozenset[str]) -> str:
        first, more = min(files), len(files) - 1
        path = os.path.relpath(first, self._root) if first.startswith(f"{self._root}/") else first
        return printable(path) + (f" and {more} more" if more else "")
