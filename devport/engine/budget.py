"""How often a service may be started again, and how long that is put off: pure.

The RestartPolicy's numbers, and what has been used up of them.
"""

from collections import deque

from devport.model import RestartPolicy

MOST_DOUBLINGS = 64
"""2.0 ** 1024 overflows, and no delay needs more than this to reach its maximum."""


class Budget:
    """The restarts that `policy` allows. `failures`: those since the service last stayed up."""

    def __init__(self, policy: RestartPolicy) -> None:
        self.policy = policy
        self.failures = 0
        self.delay = 0.0  # of the last restart, in seconds
        self._spent: deque[float] = deque()  # when, within the policy's window

    @property
    def limit(self) -> str:
        """What it allows, in words."""
        return "1 restart" if self.policy.max == 1 else f"{self.policy.max} restarts"

    def renew(self) -> None:
        """Somebody asked for the service: nothing has happened yet."""
        self.failures = 0
        self._spent.clear()

    def forgive(self) -> None:
        """It stayed up for long enough to forget what went wrong before; a window forgets by itself."""
        self.failures = 0
        if self.policy.window is None:
            self._spent.clear()

    def spend(self, now: float) -> float | None:
        """The seconds until it is started again; None if it has been often enough."""
        policy = self.policy
        while policy.window is not None and self._spent and self._spent[0] <= now - policy.window:
            self._spent.popleft()
        if policy.max is not None and len(self._spent) >= policy.max:
            return None
        if policy.max is not None:
            self._spent.append(now)
        self.delay = min(policy.max_delay, policy.delay * 2.0 ** min(self.failures, MOST_DOUBLINGS))
        self.failures += 1
        return self.delay
