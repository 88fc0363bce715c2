"""What follows from the answers to a probe: is it ready, is it no longer, and when to ask again.

Pure: knows no clock, no service and no connection.
"""

from devport.engine.lifecycle import READY, Event, Kind
from devport.model import Probe

EAGER = 1.0
"""Seconds between two looks at what is not ready yet, at most: somebody waits for it."""
AUTOMATIC = 0.1
"""The same for devport's own look at a declared port."""
FIRST, FIRST_RUN = 0.01, 0.02
"""Seconds after the first failed look at a service that has just begun; where a look is a command, each
costs a process or two. They double from one to the next."""
SHORTEST = 0.05
"""Seconds from the end of one look to the next, where each takes longer than its period."""


class Course:
    """What follows from the answers about one life: the event to send, and when to ask again.

    An answer is a text: why not, empty for well. `aim` as Prober has it.
    """

    def __init__(self, probe: Probe, aim: str) -> None:
        self._probe, self._aim = probe, aim
        self.good = aim == "live"  # what the lifecycle knows
        self._settled = self.good  # was good at least once
        self._over = False
        self._successes = 0
        self.failures = 0  # in a row
        self._told = ""  # the last reason
        first = FIRST_RUN if probe.kind == "exec" else FIRST
        self._most = AUTOMATIC if probe.automatic else min(probe.period, EAGER)
        self._pause = min(first, self._most)

    def take(self, failure: str) -> Event | None:
        """The next answer; what the lifecycle is to be told."""
        if not failure:
            self.failures = 0
            self._successes += 1
            if self.good or self._successes < self._probe.success_threshold:
                return None
            self.good = self._settled = True
            self._told = ""
            self._over = self._probe.automatic
            return READY
        self._successes = 0
        self.failures += 1
        if not self.good:
            return self._explain(failure)
        if self.failures < self._probe.failure_threshold:
            return None
        self.good = False
        if self._aim == "live":
            self._over = True
            return Event(Kind.UNHEALTHY, reason=f"live probe: {failure}")
        return self._explain(failure)

    def _explain(self, failure: str) -> Event | None:
        if failure == self._told:
            return None
        self._told = failure
        return Event(Kind.UNREADY, reason=failure)

    def wait(self, took: float) -> float | None:
        """Seconds until the next look, where the last one took `took`; None: no more of them."""
        if self._over:
            return None
        if self._settled:
            return max(self._probe.period - took, min(SHORTEST, self._probe.period))
        pause, self._pause = self._pause, min(2 * self._pause, self._most)
        return pause
