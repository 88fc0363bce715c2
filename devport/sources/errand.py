"""Short commands beside the services: a probe that is a command, or one that stops a service.

Each is a process in a group of its own, with a deadline; the one reaper reaps it, what it leaves behind
is killed, and of its output the last is kept. Knows nothing of what it is good for.
"""

from collections.abc import Callable
from itertools import count

from devport.engine.job import read
from devport.engine.lifecycle import SIGKILL
from devport.engine.loop import Loop
from devport.engine.process import Command, Process, Stdio
from devport.kernel import descendants

KEPT = 4 << 10
"""Bytes of an errand's output that are kept: its last."""
_MOST = 64  # pieces that are read at its end; who holds the pipe open and writes on is not waited for
_numbers = count(1)


class Errand:
    """One run of `command`, killed with all it started after `timeout` seconds.

    `done` is called once, when its tree is gone: with its exit status (minus n: killed by signal n; None:
    it took too long, or was cancelled) and the last of its output. `took` is given all of its output.
    Raises OSError where it cannot be started, ValueError where a word of it holds a NUL.
    """

    def __init__(
        self,
        loop: Loop,
        command: Command,
        timeout: float,
        done: Callable[[int | None, bytes], None],
        took: Callable[[bytes], None] = lambda _chunk: None,
    ) -> None:
        self._loop, self._done, self._took = loop, done, took
        self._kept = b""
        self._late = False
        # A token of its own: what the service itself has left behind is not the errand's.
        token = f"{command.token}.{next(_numbers)}"
        own = {**command.environment, descendants.MARK: token}
        self.process: Process | None = loop.spawner.spawn(
            command._replace(token=token, environment=own, descriptors=()), Stdio()
        )
        loop.adopt(self.process, self._ended)
        assert self.process.output is not None
        loop.watch(self.process.output, self._read)
        loop.at(loop.now() + timeout, self.cancel)

    def cancel(self) -> None:
        """End it now; `done` is told None."""
        if self.process is not None:
            self._late = True
            self.process.signal(SIGKILL)

    def _read(self) -> bool:
        """Take what there is now; whether there was anything."""
        process = self.process
        if process is None or process.output is None:
            return False
        chunk = read(process.output)
        if chunk:
            self._took(chunk)
            self._kept = (self._kept + chunk)[-KEPT:]
        elif chunk is not None:
            self._close(process)
        return bool(chunk)

    def _close(self, process: Process) -> None:
        if process.output is not None:
            self._loop.unwatch(process.output)
            process.close()

    def _ended(self, status: int) -> None:
        process = self.process
        assert process is not None
        for _ in range(_MOST):
            if not self._read():
                break
        self._close(process)
        self._loop.cancel(self.cancel)
        self.process = None
        # Who waits for this has it, too: such a ring would be garbage after each of thousands of probes.
        done, self._done, self._took = self._done, _nobody, _nothing
        done(None if self._late else status, self._kept)


def _nobody(_status: int | None, _output: bytes) -> None:
    """Has been told."""


def _nothing(_chunk: bytes) -> None:
    """Takes no more."""
