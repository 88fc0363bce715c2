"""Ending a service by a command of its own (`stop: {exec: ...}`), and ending what a command brought up.

The lifecycle asks for a signal; the Stopper runs the command instead. Where the process is the service, the
command has the grace to end it, and the signal follows only if the command fails. An `external` service
has no process: it is over when the command is, or at once where there is none.
"""

from collections.abc import Sequence

from devport.engine.job import Job, Transition
from devport.engine.lifecycle import GONE, SIGKILL, State
from devport.engine.loop import Loop
from devport.sources.errand import Errand

_ENDING = {State.STOPPING, State.KILLING}


class Stopper:
    """Runs `command` (words; empty: none) whenever `job` is to stop; `external` as Lifecycle has it."""

    def __init__(self, loop: Loop, job: Job, command: Sequence[str], *, external: bool) -> None:
        self._loop, self._job, self._command, self._external = loop, job, tuple(command), external
        self._errand: Errand | None = None
        job.stopper = self.stop
        job.observers.append(self.observe)
        if external:
            loop.reaper.spared.add(job.command.token)

    def stop(self, number: int) -> bool:
        """Whether this, and not the signal `number`, ends the service."""
        job = self._job
        if number == SIGKILL:
            if self._errand is not None:
                self._errand.cancel()
            elif self._external and job.process is None:
                self._loop.send(job, GONE)
            return self._external and job.process is None
        if self._external and job.process is not None:
            return False  # first the command that brings it up has to end
        if self._errand is not None:
            return True
        if not self._command:
            self._loop.send(job, GONE)
            return True
        return self._run(number)

    def _run(self, number: int) -> bool:
        job = self._job
        command = job.command._replace(argv=self._command)
        try:
            self._errand = Errand(
                self._loop,
                command,
                job.lifecycle.grace + 1.0,  # the lifecycle's own deadline comes first
                lambda status, output: self._done(number, status, output),
                self._show,
            )
        except (OSError, ValueError) as error:
            job.say(f"cannot be stopped by its command: {error}")
            if self._external:
                self._loop.send(job, GONE)
            return self._external
        return True

    def _show(self, output: bytes) -> None:
        """What the command printed, to a pipe: where the service has a terminal its lines end in CR LF."""
        self._job.feed(output.replace(b"\n", b"\r\n") if self._job.stdio.interactive else output)

    def _done(self, number: int, status: int | None, _output: bytes) -> None:
        self._errand = None
        job = self._job
        job.stream.end()
        if job.lifecycle.state not in _ENDING:
            return
        if status != 0:
            why = "it took too long" if status is None else f"status {status}"
            job.say(f"was not stopped by its command ({why})")
        if self._external:
            self._loop.send(job, GONE)
        elif status != 0 and job.process is not None and job.lifecycle.state is State.STOPPING:
            job.process.signal(number)

    def observe(self, transition: Transition) -> None:
        """The service has ended: the command that was to see to that has no more to do."""
        if self._errand is not None and not self._external and transition.job.process is None:
            self._errand.cancel()

    def close(self) -> None:
        """The frame ends."""
        if self._errand is not None:
            self._errand.cancel()
