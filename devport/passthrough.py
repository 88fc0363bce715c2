"""The frame of `devport run`: one job, with the caller's terminal, streams and exit status as its own.

The command runs in the terminal's foreground process group, as it would without devport: what is
typed reaches it alone, and pipelines and job control work. Values around the same engine.
"""

import os
import shlex
import signal
import termios
from typing import Any

from devport.claim import PortHold, hold_ports, lock_services, release
from devport.context import Context, is_tty
from devport.engine.group import shell_status
from devport.engine.guard import guarded
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import AT_REST, DOWN, UP, Kind, Lifecycle, State
from devport.engine.loop import Loop
from devport.engine.memory import settle
from devport.engine.printer import Printer
from devport.engine.process import Stdio
from devport.engine.signals import Debounce, Signals
from devport.engine.sink import Sink
from devport.engine.spawner import Spawner
from devport.errors import DevportError, ExitStatus, nearest
from devport.kernel.descendants import become_subreaper
from devport.launch import Launch, prepare, prepare_command
from devport.model import Policy, Project, RestartPolicy, RunOptions, Service, StopPolicy, View
from devport.registry.store import Store
from devport.sources.assembly import Sources

_KILLED = 128  # a shell's statuses above it: killed by a signal
_RESETS = "\x1b[?47l\x1b[?25h\x1b[0m"
"""The usual screen (47, not 1049, which would move the cursor where none was switched), cursor, no colour."""
_STOPS = {signal.SIGTERM, signal.SIGHUP}
_HANDED_ON = {signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT}


def run(
    context: Context, project: Project, service: Service, extra: tuple[str, ...], options: RunOptions
) -> int:
    """Run one entry alone, `extra` behind its own words; returns its status.

    DevportError, with nothing started, when it runs already or somebody else has its port.
    """
    group = os.getpgrp()
    service = service._replace(command=with_arguments(service.command, extra))

    def work(lifeline: int) -> int:
        [launch] = prepare(context, project, [service], options)
        locks, holders = lock_services(context, [launch], "run")
        if not locks:
            raise DevportError(f"cannot run {service.name}: it is already running: {holders[launch.hash]}")
        hold = hold_ports(context, [launch], options)[launch.hash]
        one = Passthrough(context, launch, hold, options.grace, lifeline=lifeline, group=group)
        status = one.run()
        is_task = service.policy.task and not extra  # with other words it did something else
        release(context, locks, {launch.hash: one.job.lifecycle} if is_task else {})
        return status

    return guarded(work, share_terminal=True)


def run_command(
    context: Context,
    project: Project,
    argv: tuple[str, ...],
    options: RunOptions,
    stop: int = signal.SIGTERM,
) -> int:
    """Run any command with the environment of `project`, to be stopped by the signal `stop`; its status."""
    group = os.getpgrp()

    def work(lifeline: int) -> int:
        launch = prepare_command(context, project, argv, options)
        launch = launch._replace(service=launch.service._replace(stop=StopPolicy(stop)))
        one = Passthrough(context, launch, PortHold(()), options.grace, lifeline=lifeline, group=group)
        status = one.run()
        if status == ExitStatus.NOT_FOUND and project.services and "/" not in argv[0]:
            entries = [service.entry for service in project.services]
            context.say(f"devport: no entry is called {argv[0]} either{nearest(argv[0], entries)}")
        return status

    return guarded(work, share_terminal=True)


def with_arguments(command: tuple[str, ...], extra: tuple[str, ...]) -> tuple[str, ...]:
    """`command` with more words; those of a shell's text go behind the text, quoted."""
    if not extra:
        return command
    if len(command) == 3 and command[1] == "-c":  # noqa: PLR2004 - SHELL -c TEXT
        return (*command[:2], f"{command[2]} {shlex.join(extra)}")
    return (*command, *extra)


def terminal_modes(descriptor: int) -> list[Any] | None:
    """The modes of the terminal that `descriptor` is, for tcsetattr; None where it is none."""
    try:
        return termios.tcgetattr(descriptor)
    except termios.error:
        return None


def restore_terminal(descriptor: int, modes: list[Any]) -> None:
    """Give the terminal its modes back; one that has hung up needs none."""
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, modes)
    except termios.error:
        pass


class Passthrough:
    """One run of `launch`, in process group `group`."""

    def __init__(
        self, context: Context, launch: Launch, hold: PortHold, grace: float, *, lifeline: int, group: int
    ) -> None:
        self.context, self.lifeline = context, lifeline
        settle()
        self.signals = Signals()
        self.debounce = Debounce()
        become_subreaper()
        spawner = Spawner()
        spawner.raise_nofile()
        printer = Printer(Sink(os.open(os.devnull, os.O_WRONLY)), View(prefix=False), [])
        self.loop = Loop(printer, spawner, context.now)
        self.loop.observers.append(self.observe)
        service = launch.service
        self.job = Job(
            service.name,
            command=launch.as_command(),
            stdio=Stdio(inherit=True, group=group),
            lifecycle=Lifecycle(
                RestartPolicy(),  # whatever the file says: `run` runs it once
                service.stop.signal,
                grace if service.stop.grace is None else service.stop.grace,
            ),
            stream=printer.stream(service.name, 0),
            hold=hold,
        )
        self.loop.jobs = [self.job]
        self.sources = Sources(self.loop, Store(context.state_dir, context.wall), context)
        # Of all that a file may ask for only the sockets: without them a server that expects some cannot run.
        self.sources.attach(self.job, Policy(listen=service.policy.listen), StopPolicy(), None)

    def run(self) -> int:
        """Start it, and wait until it and all it left behind have ended."""
        self.loop.watch(self.signals.descriptor, self._take_signals)
        self.loop.watch(self.lifeline, self._guardian_died)
        self.loop.send(self.job, UP)
        lifecycle = self.job.lifecycle
        modes = terminal_modes(self.context.stdin)
        try:
            self.loop.run(lambda: lifecycle.state in AT_REST)
        finally:
            self.sources.close()
        status = ExitStatus.FAILED if lifecycle.status is None else shell_status(lifecycle.status)
        if modes is not None and status > _KILLED:
            # It had no time to put back what it had changed. (Being in another process group does not
            # stop us: the guard lets us ignore SIGTTOU.)
            restore_terminal(self.context.stdin, modes)
            if is_tty(self.context.stdout):
                self.context.write(self.context.stdout, _RESETS)
        return status

    def observe(self, transition: Transition) -> None:
        """Say what the command cannot say itself."""
        lifecycle = self.job.lifecycle
        if lifecycle.state is State.FAILED and transition.before is not State.FAILED:
            self.context.say(f"devport: {lifecycle.fault}")
        elif lifecycle.state is State.KILLING and transition.event.kind is Kind.TIMEOUT:
            self.context.say(
                f"devport: {self.job.name} did not stop within {lifecycle.grace:g} s, killing it"
            )

    def _take_signals(self) -> None:
        for number in sorted(self.signals.take(), key=lambda number: number != signal.SIGCHLD):
            if number == signal.SIGCHLD:
                self.loop.reap()
            elif number == signal.SIGTSTP:
                self.loop.suspend()
            elif number in _STOPS:
                if self.debounce.counts(number, self.context.now()):
                    self.loop.send(self.job, DOWN)
            elif number in _HANDED_ON and self.job.process is not None:
                self.job.process.forward(number)

    def _guardian_died(self) -> None:
        self.loop.unwatch(self.lifeline)
        self.loop.send(self.job, DOWN)
