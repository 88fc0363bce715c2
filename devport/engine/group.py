"""What one service's end means for the run it is part of, and the run's exit status: pure.

Knows states and statuses, no processes and no clock. foreman's rule: the first end of any service
ends the run, and its status is the run's; with `keep_going` the rest runs on, and the status is the
first failure's. A signal that asks for the end decides the status only if nothing had failed before.
"""

from devport.engine.lifecycle import AT_REST, State
from devport.errors import ExitStatus


def shell_status(status: int) -> int:
    """A process's end as a shell reports it: its exit code, or 128 + n where signal n killed it."""
    return 128 - status if status < 0 else status


class Group:
    """The run as a whole: `stopping` once it is to end, `status` once something decided how."""

    def __init__(self, *, keep_going: bool) -> None:
        self.keep_going = keep_going
        self.stopping = False
        self.status: int | None = None

    def ended(self, status: int, *, decisive: bool = True) -> bool:
        """A service ended by itself with `status` (as `shell_status` gives it); is the run to stop now?

        Only one that is `decisive` ends the run.
        """
        if self.stopping:
            return False
        if self.keep_going or not decisive:
            self.status = self.status or status
            return False
        self.status = status
        self.stopping = True
        return True

    def reached(self, status: int) -> None:
        """What the run was for has ended with `status`."""
        if not self.stopping:
            self.stopping, self.status = True, status

    def interrupted(self, status: int) -> None:
        """Somebody asked for the end of the run (`status`: 128 + the signal, 141 for a reader that left)."""
        if not self.stopping:
            self.stopping = True
            self.status = self.status or status

    def exit_status(self) -> int:
        """What devport ends with."""
        return ExitStatus.OK if self.status is None else self.status

    @staticmethod
    def finished(states: "list[State] | set[State]") -> bool:
        """Whether every service is at rest."""
        return AT_REST.issuperset(states)
