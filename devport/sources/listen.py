"""Socket activation: devport binds a service's sockets, keeps them, and hands them to each of its lives.

sd_listen_fds(3) is the protocol. What is bound here stays bound while the service is down, so that clients
wait in the queue instead of being refused; a lazy service is spawned by the first of them, and stopped
when nobody has been there for a while. Accepts nothing and reads nothing.
"""

from collections.abc import Callable, Sequence

from devport.engine.job import Job, Transition
from devport.engine.lifecycle import AT_REST, RESTART, Cause, State
from devport.engine.loop import Loop
from devport.engine.process import Command
from devport.errors import DevportError
from devport.kernel.connections import unused_for
from devport.model import Listen
from devport.sources.bound import Bound

LOOK = 5.0
"""Seconds between two looks for connections, at most."""


class Sockets:
    """Those that `listens` declare, bound for `job`; DevportError where one cannot be.

    `lazy`: it is not to be spawned before somebody connects; `blocked` is told whether it has to wait for
    that. `idle`: seconds without a connection after which it is stopped until the next (None: never).
    `owner` names who has a port.
    """

    def __init__(
        self,
        loop: Loop,
        job: Job,
        listens: Sequence[Listen],
        *,
        lazy: bool,
        idle: float | None,
        blocked: Callable[[bool], None],
        owner: Callable[[int], str | None],
    ) -> None:
        self._loop, self._job, self._lazy, self._blocked = loop, job, lazy, blocked
        self._bound: list[Bound] = []
        try:
            for listen in listens:
                self._bound.append(Bound(listen, job.name, owner))
        except (DevportError, ValueError):
            self._release()
            raise
        # A datagram is no connection: without one that could end, nothing tells when to stop.
        self._idle = idle if any(bound.is_stream for bound in self._bound) else None
        self._asleep = self._hears = self._counts = False
        self._used = 0.0  # when somebody was last seen to be connected
        job.additions.append(self._pass)
        job.observers.append(self.observe)
        if lazy:
            self._sleep()

    @property
    def ports(self) -> frozenset[int]:
        """The numbers of the TCP and UDP ports that are bound."""
        return frozenset(bound.port for bound in self._bound if bound.port is not None)

    def _pass(self, command: Command) -> Command:
        """The sockets for a new life, and the variables that tell of them; LISTEN_PID comes with the fork."""
        for bound in self._bound:
            bound.restore()
        descriptors = (*command.descriptors, *(bound.fileno() for bound in self._bound))
        variables = {
            "LISTEN_FDS": str(len(self._bound)),
            "LISTEN_FDNAMES": ":".join(bound.listen.name for bound in self._bound),
        }
        return command._replace(
            environment={**command.environment, **variables},
            descriptors=descriptors,
        )

    # waiting for somebody

    def observe(self, transition: Transition) -> None:
        """Follow the service's states."""
        state = transition.job.lifecycle.state
        if self._lazy and not self._asleep and self._is_over(state):
            self._sleep()
        self._hear(self._asleep and state is State.WAITING)
        self._count(state is State.READY and self._idle is not None)

    def _is_over(self, state: State) -> bool:
        """Whether the next start waits for somebody again: after a stop, or once it is done by itself."""
        lifecycle = self._job.lifecycle
        done = lifecycle.cause is Cause.ENDED and lifecycle.status in lifecycle.restart.success
        return state in AT_REST or (state is State.BACKOFF and done)

    def _sleep(self) -> None:
        self._asleep = True
        self._blocked(True)

    def _hear(self, hears: bool) -> None:
        """Watch the sockets while nobody else does."""
        if hears == self._hears:
            return
        if hears:
            try:
                for bound in self._bound:
                    bound.restore()  # the last life may have removed its path
            except DevportError:
                self._wake()  # the spawn will say what is wrong
                return
        self._hears = hears
        for bound in self._bound:
            if hears:
                self._loop.watch(bound.fileno(), self._wake)
            else:
                self._loop.unwatch(bound.fileno())

    def _wake(self) -> None:
        """Somebody is there; who it is, the service will see."""
        self._hear(False)
        if self._asleep:
            self._asleep = False
            self._blocked(False)

    # waiting for nobody

    def _count(self, counts: bool) -> None:
        if counts == self._counts:
            return
        self._counts = counts
        if counts:
            self._used = self._loop.now()
            self._look()
        else:
            self._loop.cancel(self._look)

    def _look(self) -> None:
        assert self._idle is not None
        process, now = self._job.process, self._loop.now()
        streams = [bound for bound in self._bound if bound.is_stream]
        v4 = {bound.port for bound in streams if bound.port and not bound.is_v6}
        v6 = {bound.port for bound in streams if bound.port and bound.is_v6}
        paths = {bound.address for bound in streams if bound.address}
        unused = unused_for(v4, v6, paths, process.pid if process else 0)
        if unused is not None:
            self._used = max(self._used, now - unused)
        if now - self._used < self._idle:
            step = min(self._idle / 2, LOOK, self._used + self._idle - now)
            self._loop.at(now + max(step, 0.01), self._look)
            return
        self._sleep()
        self._loop.send(self._job, RESTART)

    # the end

    def close(self) -> None:
        """The frame ends: nobody listens any more."""
        self._hear(False)
        self._count(False)
        self._release()

    def _release(self) -> None:
        while self._bound:
            self._bound.pop().close()
