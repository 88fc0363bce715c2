"""The one loop: waits for output, signals, exits and deadlines, and feeds the lifecycles.

Both frames run it; they differ in the values they give it. Two selectors: `_control` for what must
always be heard, and inside it `_outputs` for the services' output, which is left alone while the sink
is full, so that a stalled reader stalls the services and nothing else. Knows no policy.
"""

import os
import selectors
import signal
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from devport.engine.job import Job, Transition, read
from devport.engine.lifecycle import GONE, SPAWNED, TIMEOUT, Event, Kind, State
from devport.engine.printer import Printer
from devport.engine.process import Process
from devport.engine.reader import Reader
from devport.engine.reaper import Reaper
from devport.engine.spawner import Spawner

QUIET = 0.05
"""Seconds without output after which an ended service whose pipe somebody holds open counts as silent."""
LINGER = 0.5
"""Seconds that such a service's output is waited for at most."""
LONGEST = 86400.0  # seconds of one wait; epoll_wait(2) counts milliseconds, and takes 24 days of them
LATE = 0.5  # seconds by which a turn may take longer than it was to wait before devport was kept from it
HOARD = 8 << 20
"""Bytes waiting for the reader from which the last words of ended services wait in their pipes."""


class Ending(NamedTuple):
    """An ended service whose output has not come to an end: `event` is held back until it has."""

    event: Event
    quiet: float
    until: float


class Guest(NamedTuple):
    """A process that is no job's: who is told of its end, and how it ended."""

    ended: Callable[[int], None]
    status: int = 0


class Loop:
    """Runs `jobs`; `printer` prints, `now` is monotonic seconds.

    Observers are called with each Transition. `reader` is whoever reads what is printed.
    """

    def __init__(self, printer: Printer, spawner: Spawner, now: Callable[[], float]) -> None:
        self.printer, self.spawner, self._clock = printer, spawner, now
        self.jobs: list[Job] = []
        self.reaper = Reaper()
        self.observers: list[Callable[[Transition], None]] = []
        self._events: deque[Callable[[], None]] = deque()
        self._deadlines: dict[Job, float] = {}
        self._timers: dict[Callable[[], None], float] = {}
        self._endings: dict[Job, Ending] = {}
        self._owners: dict[Process, Job] = {}
        self._guests: dict[Process, Guest] = {}
        self._ready: deque[Job] = deque()  # has output that was not read because the sink was full
        self._suspended = 0.0  # seconds spent stopped, which no deadline shall count
        self._looked = now()  # when deadlines were last looked at
        self._control = selectors.DefaultSelector()
        self._outputs = selectors.DefaultSelector()
        self._control.register(self._outputs, selectors.EVENT_READ, None)
        self.reader = Reader(printer.sink, self)
        self._listening = True

    def now(self) -> float:
        """Seconds of the loop's own time, which stands still while devport is suspended."""
        return self._clock() - self._suspended

    def watch(
        self, descriptor: int, callback: Callable[[], object], events: int = selectors.EVENT_READ
    ) -> None:
        """Call `callback` whenever `descriptor` is readable, or what else `events` says."""
        self._control.register(descriptor, events, callback)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching `descriptor`."""
        self._control.unregister(descriptor)

    def at(self, when: float, callback: Callable[[], None]) -> None:
        """Call `callback` once, at `when` of the loop's time; asking again moves it."""
        self._timers[callback] = when

    def cancel(self, callback: Callable[[], None]) -> None:
        """Do not call `callback` after all; nothing if it is not due."""
        self._timers.pop(callback, None)

    def send(self, job: Job, event: Event) -> None:
        """Tell `job`'s lifecycle; taken up in order, after the transition under way."""
        self._events.append(lambda: self._handle(job, event))

    def then(self, callback: Callable[[], None]) -> None:
        """Call `callback` when what was sent until now has been taken up, before anything else can happen."""
        self._events.append(callback)

    def run(self, finished: Callable[[], bool]) -> None:
        """Until `finished`, and until the reader has taken all of the output or has been given up."""
        self._settle()
        while not finished():
            self.turn(self._timeout())
        sink = self.printer.sink
        while sink.queue and not sink.closed:
            self.turn(self._timeout())

    def turn(self, timeout: float | None) -> None:
        """Wait for something to happen, at most `timeout` seconds, and deal with all of it."""
        self._listen(not self.printer.sink.full)
        for key, _ in self._control.select(0 if self._ready and self._listening else timeout):
            if key.data is not None:
                key.data()
        self._read_outputs()
        self._pass_deadlines(timeout)
        self._settle()
        self.reader.look()
        self._settle()

    # time

    def _excuse(self, began: float) -> None:
        """Since `began` devport was kept from running (SIGSTOP): each deadline has left what it had then."""
        for job, due in self._deadlines.items():
            self.send(job, Event(Kind.EXTENDED, seconds=due - began))
        self._settle()

    def _timeout(self) -> float | None:
        dues = [*self._deadlines.values(), *self._timers.values()]
        if not self.printer.sink.full:
            dues += [ending.quiet for ending in self._endings.values()]
            if (partial := self.printer.deadline) is not None:
                dues.append(partial - self._suspended)
        if (due := self.reader.due()) is not None:
            dues.append(due)
        return min(LONGEST, max(0.0, min(dues) - self.now())) if dues else None

    def _pass_deadlines(self, waited: float | None) -> None:
        began, now = self._looked, self.now()
        self._looked = now
        if waited is not None and now - began > waited + LATE:
            self._excuse(began)
        self._show_partial()
        for job in [job for job, due in self._deadlines.items() if due <= now]:
            self.send(job, TIMEOUT)
        for callback in [callback for callback, when in self._timers.items() if when <= now]:
            if self._timers.get(callback, now + 1) <= now:  # not cancelled or moved by another
                del self._timers[callback]
                callback()
        if self._endings and not self.printer.sink.full:
            for job, ending in [one for one in self._endings.items() if one[1].quiet <= now]:
                said = self._read(job)  # we may have been kept from it for longer than it was quiet
                if job in self._endings and (not said or ending.until <= now):
                    self._end(job)

    # events

    def _settle(self) -> None:
        while self._events:
            self._events.popleft()()

    def _handle(self, job: Job, event: Event) -> None:
        lifecycle = job.lifecycle
        before = lifecycle.state
        actions = lifecycle.handle(event, self.now())
        if lifecycle.deadline is None:
            self._deadlines.pop(job, None)
        else:
            self._deadlines[job] = lifecycle.deadline
        if before is State.KILLING and lifecycle.state is State.FAILED:
            self._abandon(job)
        transition = Transition(job, before, event)
        for observer in (*job.observers, *self.observers):
            observer(transition)
        for action in actions:
            job.apply(action, self.spawner, self.send)
        if job.process is not None and job.process not in self._owners:
            self._take(job, job.process)

    def _take(self, job: Job, process: Process) -> None:
        """Watch a process that has just been forked: whether it executes, what it writes, its end."""
        self.reaper.add(process)
        self._owners[process] = job
        if process.output is not None:
            self._outputs.register(process.output, selectors.EVENT_READ, job)
        if process.report is not None:
            self.watch(process.report, lambda: self._executes(process))

    def _executes(self, process: Process) -> None:
        """The news whether `process` could be executed; of one that could not, its end tells the rest."""
        if process.report is None or not process.take_report(self.unwatch):
            return
        if process.refusal is None:
            self.send(self._owners[process], SPAWNED)

    # output

    def _listen(self, listen: bool) -> None:
        """Hear the services' output, or leave it where it is."""
        if listen != self._listening:
            self._listening = listen
            if listen:
                self._control.register(self._outputs, selectors.EVENT_READ, None)
            else:
                self._control.unregister(self._outputs)

    def _read_outputs(self) -> None:
        """Read once from each service that has something, in turn, while the sink takes it.

        Who was not reached this time comes first next time: a flood cannot starve a whisper.
        """
        sink = self.printer.sink
        if sink.full:
            return
        if not self._ready:
            self._ready.extend(key.data for key, _ in self._outputs.select(0))
        while self._ready and not sink.full:
            self._read(self._ready.popleft())

    def _read(self, job: Job) -> bool:
        """Print what there is of `job`, at most a chunk; whether there was anything."""
        process = job.process
        if process is None or process.output not in self._outputs.get_map():
            return False  # it has none, or that has come to its end
        assert process.output is not None
        self._executes(process)
        self._settle()  # "started" comes before the first line
        chunk = read(process.output)
        if chunk:
            job.feed(chunk)
            if (ending := self._endings.get(job)) is not None:
                self._endings[job] = ending._replace(quiet=min(self.now() + QUIET, ending.until))
        elif chunk is not None:
            # The end of its output, not its own. The descriptor stays open: closing the master of a
            # pty would hang up on a service that has only redirected its output.
            self._outputs.unregister(process.output)
            job.stream.end()
            if job in self._endings:
                self._end(job)
        return bool(chunk)

    def _show_partial(self) -> None:
        """Show the beginnings of lines whose rest does not come: not those that we have not read on."""
        while not self.printer.sink.full and (stream := self.printer.due()) is not None:
            job = next((job for job in self.jobs if job.stream is stream), None)
            if job is None or not self._read(job):
                stream.show()

    def _close_output(self, job: Job) -> None:
        process = job.process
        if process is not None and process.output is not None:
            if process.output in self._outputs.get_map():
                self._outputs.unregister(process.output)
            process.close()
        job.stream.end()

    # exits

    def reap(self) -> None:
        """After SIGCHLD: see whose process ended, and whose tree is empty."""
        for process in self.reaper.gone():
            if process in self._guests:
                self._dismiss(process)
            else:
                self._finish(process, GONE)
        for process, status in self.reaper.collect():
            if process in self._guests:
                self._guests[process] = self._guests[process]._replace(status=status)
                self._dismiss(process)
                continue
            self._executes(process)
            self._settle()
            event = Event(Kind.EXITED, status, leftovers=bool(process.leftovers))
            if process.refusal is not None:
                event = self._owners[process].refused(process.refusal)
            if event.leftovers:
                job = self._owners[process]
                self._drain(job)
                self.send(job, event)
            else:
                self._finish(process, event)
        if self.reaper.overlooks:
            self.at(self.now() + QUIET, self.reap)

    def adopt(self, process: Process, ended: Callable[[int], None]) -> None:
        """Reap `process`, which is no job's, and kill what it leaves behind; then `ended(status)`."""
        self.reaper.add(process)
        self._guests[process] = Guest(ended)

    def _dismiss(self, process: Process) -> None:
        if process.report is not None:
            process.take_report()
        if process.leftovers:
            process.signal(signal.SIGKILL)
            return
        guest = self._guests.pop(process)
        guest.ended(guest.status)

    def _finish(self, process: Process, event: Event) -> None:
        """The tree is empty: take what it wrote, then say so."""
        job = self._owners.pop(process)
        now = self.now()
        self._endings[job] = Ending(event, now + QUIET, now + LINGER)
        if self._drain(job):
            self._end(job)

    def _drain(self, job: Job) -> bool:
        """Take what the ended process wrote; whether that was all, and its end was seen.

        Past HOARD bytes nobody took yet, it stays in its pipe until the reader goes on.
        """
        return self.printer.sink.pending < HOARD and job.drain()

    def _end(self, job: Job) -> None:
        ending = self._endings.pop(job)
        self._close_output(job)
        job.process = None
        self.send(job, ending.event)

    def _abandon(self, job: Job) -> None:
        """Give up on a process that survived SIGKILL."""
        if job.process is not None:
            self.reaper.forget(job.process)
            self._owners.pop(job.process, None)
            self._close_output(job)
            job.process = None

    # the whole

    def processes(self) -> Iterable[Process]:
        """The processes of all jobs that have one."""
        return (job.process for job in self.jobs if job.process is not None)

    def suspend(self) -> None:
        """Stop all services and devport itself, until somebody continues it."""
        for process in self.processes():
            process.forward(signal.SIGSTOP)
        strays = self.reaper.suspend()  # what has left its group
        began = self._clock()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._suspended += self._clock() - began
        for process in self.processes():
            process.forward(signal.SIGCONT)
        self.reaper.resume(strays)
