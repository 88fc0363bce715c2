"""The foreground frame: many jobs in one window, until one of them ends or somebody stops them.

Values around the engine and nothing of its own: which jobs, what each signal means, what is said.
"""

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from devport.claim import PortHold, hold_ports, lock_services, obstacle, release, socket_path, sweep_sockets
from devport.context import Context, is_tty
from devport.engine.announcement import announcement, unready, waiting
from devport.engine.backlog import LIMIT, Backlog
from devport.engine.group import Group, shell_status
from devport.engine.guard import guarded, wake
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import AT_REST, DOWN, UP, Kind, State
from devport.engine.loop import Loop
from devport.engine.memory import settle
from devport.engine.order import StopOrder
from devport.engine.printer import Printer
from devport.engine.process import Stdio
from devport.engine.signals import AGAIN, AT_ONCE, ENDS, Debounce, Signals
from devport.engine.sink import Sink
from devport.engine.spawner import Spawner
from devport.errors import DevportError, ExitStatus
from devport.kernel.descendants import become_subreaper
from devport.launch import Launch, prepare
from devport.model import Project, RestartPolicy, RunOptions, Service
from devport.registry.store import Store
from devport.sources.assembly import Sources, lifecycle

if TYPE_CHECKING:
    from devport.engine.control import Control

STALLED = 1.0
"""Seconds that a reader who takes nothing is waited for once somebody asked for the end."""
CONTROL_AFTER = 0.03
"""Seconds until the control socket is there: loading it must not keep the first lines waiting."""
PATIENT = 5.0
"""Seconds after which it is said who still waits for others."""
NARROWEST = 20
"""Columns that a service's terminal has at least, however narrow the real one is."""
_PIPES = 16 << 20  # bytes that the pipes of all services may hold together
_BACKLOGS = 8 << 20  # and what is kept of their output


def start(context: Context, project: Project, services: Sequence[Service], options: RunOptions) -> int:
    """Run `services` until the run's end; returns its status.

    DevportError, with nothing started, when they cannot be registered, or run already, or a port is
    taken by somebody else.
    """
    return guarded(lambda lifeline: _start(context, project, services, options, lifeline))


def _start(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions, lifeline: int
) -> int:
    spawner = Spawner()
    spawner.raise_nofile()  # before the first lock: a service takes up to six descriptors
    launches = prepare(context, project, services, options)
    locks, holders = lock_services(context, launches, "foreground", socket_path(context))
    for one in launches:
        if (holder := holders.get(one.hash)) is not None:
            context.say(f"devport: {one.service.name} is already running: {holder}")
    if not locks:
        raise DevportError("nothing started: everything is running already")
    launches = tuple(one for one in launches if one.hash in locks)
    holds = hold_ports(context, launches, options)
    run = Foreground(context, launches, holds, options, spawner=spawner, lifeline=lifeline)
    status = run.run()
    tasks = [one.hash for one in launches if one.service.policy.task]
    release(context, locks, {hash_: run.jobs[hash_].lifecycle for hash_ in tasks})
    return status


class Foreground:
    """One run of `launches`."""

    def __init__(
        self,
        context: Context,
        launches: Sequence[Launch],
        holds: dict[str, PortHold],
        options: RunOptions,
        *,
        spawner: Spawner,
        lifeline: int,
    ) -> None:
        self.context, self.options, self.lifeline = context, options, lifeline
        settle()
        self.signals = Signals()
        self.debounce = Debounce()
        self.group = Group(keep_going=options.keep_going)
        self.requests = 0  # how often somebody asked for the end
        self.terminal = is_tty(context.stdout)
        self.printer = Printer(
            Sink(context.stdout),
            options.view,
            [one.service.name for one in launches],
            terminal=self.terminal,
            now=context.now,
            wall=context.wall,
        )
        spawner.pipe_bytes = max(64 << 10, min(256 << 10, _PIPES // len(launches)))
        become_subreaper()
        self.loop = Loop(self.printer, spawner, context.now)
        self.loop.observers.append(self.observe)
        self.loop.reader.on_gone = lambda: self._end(ExitStatus.PIPE)
        self.loop.reader.on_trouble = self._trouble
        self.loop.reader.patience = self._patience
        self.ports = {one.service.name: dict(one.ports) for one in launches}
        self.store = Store(context.state_dir, context.wall)
        self.sources = Sources(self.loop, self.store, context)
        self.launches = {one.hash: one for one in launches}
        self.loop.jobs = [self._job(i, one, holds[one.hash]) for i, one in enumerate(launches)]
        self.jobs = {job.command.token: job for job in self.loop.jobs}
        self.active = set(self.loop.jobs)
        self.order = StopOrder(
            {one.hash: [other.hash for other in one.service.policy.after] for one in launches}
        )
        self.control: Control | None = None

    def _open_control(self) -> None:
        """The control socket; what keeps us from having one is no reason not to run."""
        from devport.engine.control import Control  # noqa: PLC0415 - behind the first lines of output

        jobs = {job.name: job for job in self.loop.jobs}
        sweep_sockets(self.context)
        try:
            self.control = Control(
                socket_path(self.context),
                self.loop,
                jobs,
                self._facts,
                ending=lambda: self.group.stopping,
                greeted=self.sources.greeted,
            )
        except DevportError as error:
            self.context.say(f"devport: warning: {error.message}; other commands cannot reach this run")
        else:
            self.sources.greet()

    def _facts(self, job: Job) -> dict[str, object]:
        return {"port": self._port(job), "ports": self._named(job), "grace": job.lifecycle.grace}

    def _port(self, job: Job) -> int | None:
        return next(iter(self.ports[job.name].values()), None)

    def _named(self, job: Job) -> dict[str, int]:
        return {name: port for name, port in self.ports[job.name].items() if name}

    def _job(self, position: int, launch: Launch, hold: PortHold) -> Job:
        service, options = launch.service, self.options
        wants_pty = next((p for p in (options.pty, service.pty) if p is not None), self.terminal)
        grace = options.grace if service.stop.grace is None else service.stop.grace
        job = Job(
            service.name,
            command=launch.as_command(),
            stdio=Stdio(terminal=self._size() if wants_pty else None, hangup=not service.policy.external),
            lifecycle=lifecycle(
                service.restart or RestartPolicy(), service.stop._replace(grace=grace), service.policy
            ),
            stream=self.printer.stream(
                service.name,
                position,
                quiet=not options.view.quiet.isdisjoint({service.name, service.entry}),
            ),
            hold=hold,
        )
        job.check = lambda: obstacle(self.context, launch, options, self.sources.ports_of(job))
        job.backlog = Backlog(min(LIMIT, _BACKLOGS // len(self.ports)))
        job.say = lambda text: self.printer.say(f"{service.name} {text}", service.name, event="note")
        self.sources.attach(job, service.policy, service.stop, self._port(job), expands=service.expand)
        return job

    def _size(self) -> tuple[int, int]:
        """Columns and rows of a service's terminal: the real one's, less the prefix."""
        try:
            columns, rows = os.get_terminal_size(self.context.stdout)
        except OSError:
            columns, rows = 80, 24
        return max(NARROWEST, (columns or 80) - self.printer.prefix_columns), rows or 24

    def run(self) -> int:
        """Start everything, and wait until it has ended."""
        self.loop.watch(self.signals.descriptor, self._take_signals)
        self.loop.watch(self.lifeline, self._guardian_died)
        self.sources.hold_back()
        for job in self.loop.jobs:
            self.loop.send(job, UP)
        self.loop.then(self.sources.judge)
        self.loop.at(self.loop.now() + CONTROL_AFTER, self._open_control)
        if any(job.lifecycle.blocked or job.lifecycle.probed for job in self.loop.jobs):
            self.loop.at(self.loop.now() + PATIENT, self._say_who_waits)
        try:
            self.loop.run(lambda: self.requests >= AT_ONCE or not any(map(self._goes_on, self.active)))
        finally:
            self.sources.close()
        if self.control is not None:
            self.control.close()
        heard = not (self.printer.sink.stalled and self.context.is_one())
        for job in self.loop.jobs:
            if heard and job.process is not None:
                self.context.say(f"devport: {job.name} is left running: pid {job.process.pid}")
        if heard and (lost := self.printer.sink.dropped):
            self.context.say(f"devport: {lost} bytes of output dropped: nobody took them")
        self.printer.sink.close()
        return self.group.exit_status()

    # what happens to the services

    def observe(self, transition: Transition) -> None:
        """Say what happened, and see what it means for the run."""
        job, before, event = transition
        state = job.lifecycle.state
        self._say(transition)
        (self.active.add if self._goes_on(job) else self.active.discard)(job)
        if self.group.stopping and state in AT_REST:
            self._stop_next()
        ended = state in {State.EXITED, State.FAILED} and state is not before
        # A service that ends for good ends the run at once, and not only when its leftovers are gone.
        was_up, is_up = (one in {State.STARTING, State.READY} for one in (before, state))
        ended |= event.kind is Kind.EXITED and was_up and not is_up and self._never(job)
        if ended:
            self._ended(job)

    def _goes_on(self, job: Job) -> bool:
        """Whether something may come of `job` yet: an ended one whose files are watched runs again."""
        return job.lifecycle.state not in AT_REST or self.sources.may_revive(job)

    def _ended(self, job: Job) -> None:
        status, service = self._status(job), self._service(job)
        if service.name == self.options.goal and not self.group.stopping:
            self.group.reached(status)
            self._stop_next()
        elif self.group.ended(status, decisive=service.ends_run):
            self._stop_next()

    def _service(self, job: Job) -> Service:
        return self.launches[job.command.token].service

    @staticmethod
    def _never(job: Job) -> bool:
        return job.lifecycle.restart.on == "never"

    @staticmethod
    def _status(job: Job) -> int:
        lifecycle = job.lifecycle
        status = ExitStatus.FAILED if lifecycle.status is None else shell_status(lifecycle.status)
        return status or (ExitStatus.FAILED if lifecycle.state is State.FAILED else ExitStatus.OK)

    def _say(self, transition: Transition) -> None:
        name = transition.job.name
        if (said := announcement(transition, self._port(transition.job))) is not None:
            self.printer.say(f"{name} {said.text}", name, **said.fields)

    def _say_who_waits(self) -> None:
        """What is not started by now may look forgotten, and what it waits for may need help."""
        for job in self.loop.jobs:
            lifecycle = job.lifecycle
            if lifecycle.state is State.WAITING and not job.facts.get("listening"):
                said = waiting(lifecycle.needs)
            elif lifecycle.state is State.STARTING and lifecycle.unready:
                said = unready(lifecycle.unready)
            else:
                continue
            self.printer.say(f"{job.name} {said.text}", job.name, **said.fields)

    def _stop_all(self) -> None:
        for job in self.loop.jobs:
            self.loop.send(job, DOWN)

    def _stop_next(self) -> None:
        """Ask those to end that nobody needs any more; the others follow when those are gone."""
        for hash_ in self.order.next(lambda one: self.jobs[one].lifecycle.state in AT_REST):
            if self.jobs[hash_].lifecycle.wanted:  # a second DOWN would kill who is ending already
                self.loop.send(self.jobs[hash_], DOWN)

    # what comes from outside

    def _take_signals(self) -> None:
        # The end of a child first: whether it went before the signal or because of it decides the status.
        for number in sorted(self.signals.take(), key=lambda number: number != signal.SIGCHLD):
            self._take_signal(number)

    def _take_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self.loop.reap()
        elif number in ENDS:
            if self.debounce.counts(number, self.context.now()):
                self._interrupted(number)
        elif number in {signal.SIGUSR1, signal.SIGUSR2}:
            for process in self.loop.processes():
                process.forward(number)
        elif number == signal.SIGCONT:
            wake()
        elif number == signal.SIGTSTP:
            self.loop.suspend()
            self._resize()
        elif number == signal.SIGWINCH:
            self._resize()

    def _resize(self) -> None:
        columns, rows = self._size()
        for job in self.loop.jobs:
            if job.stdio.terminal is not None:
                job.stdio = job.stdio._replace(terminal=(columns, rows))
                if job.process is not None:
                    job.process.resize(columns, rows)

    def _interrupted(self, number: int) -> None:
        name = signal.Signals(number).name
        self.requests += 1
        if self.terminal and self.printer.open is None:
            self.printer.sink.write(b"\r")  # over the ^C that the terminal has just echoed
        if not self.group.stopping:
            self.printer.say(f"{name} received, stopping", event="stopping", signal=name)
            self._end(128 + number)
        elif self.requests >= AGAIN:
            self.printer.say(f"{name} received again, killing", event="interrupted", signal=name)
            self._stop_all()

    def _end(self, status: int) -> None:
        self.group.interrupted(status)
        self._stop_next()

    def _guardian_died(self) -> None:
        self.loop.unwatch(self.lifeline)
        self.requests += 1
        self._end(ExitStatus.HANGUP)

    def _patience(self) -> float | None:
        """Somebody asked for the end, and only the reader keeps us from it: wait a little, not for ever."""
        if self.requests >= AT_ONCE:
            return 0.0
        if not self.requests or any(not process.exited for process in self.loop.processes()):
            return None
        return STALLED

    def _trouble(self, number: int) -> None:
        self.context.say(f"devport: cannot write output: {os.strerror(number)}; the services go on")
