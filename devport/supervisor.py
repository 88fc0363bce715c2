"""The background frame: one job, everything about it from its record, its terminal a window or nothing.

Values around the same engine as the foreground: one job on a pty that is typed into, another signal
map, the record and the log as observers. Needs nothing but the hash: whatever environment, folder and
descriptors it was started with, the service gets what was registered.
"""

import os
import signal
import termios
from typing import Any

from devport.context import Context, is_tty
from devport.encoding import encode, printable
from devport.engine.announcement import announcement
from devport.engine.control import Control
from devport.engine.group import shell_status
from devport.engine.guard import Guardian
from devport.engine.job import Job, Transition
from devport.engine.keyboard import Keyboard
from devport.engine.lifecycle import AT_REST, DOWN, RESTART, UP, Event, Kind, State
from devport.engine.log import Log
from devport.engine.loop import Loop
from devport.engine.memory import settle
from devport.engine.printer import Printer, Verbatim
from devport.engine.process import Command, Stdio
from devport.engine.signals import Debounce, Signals
from devport.engine.sink import Sink
from devport.engine.spawner import Spawner
from devport.engine.unix import listener_pid
from devport.errors import DevportError, ExitStatus
from devport.kernel.descendants import become_subreaper
from devport.model import Policy, View
from devport.project.environment import own_variables
from devport.registry.fields import MalformedError
from devport.registry.locks import Holder, Lock, held, this_process
from devport.registry.owner import check_free  # now: devport may be gone from the disk when it is needed
from devport.registry.policy import from_json
from devport.registry.ports import is_free
from devport.registry.record import Record, utc
from devport.registry.store import Store
from devport.sources.assembly import Sources, lifecycle, words

HEARTBEAT = 30.0
"""Seconds between two notes of `last_up`; the only thing that wakes an idle supervisor."""
STALLED = 1.0
"""Seconds that the window may take nothing once the service has ended."""
_ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT}


def supervise(context: Context, hash_: str, lifeline: int, guardian: Guardian, *, pty: bool = True) -> int:
    """Run the service registered as `hash_` until it is stopped or has failed for good.

    Status 0 after a stop, else the service's own. `lifeline` ends with the guardian. The service has a
    terminal, or without `pty` a pipe. DevportError when there is no such record, or it runs already.
    """
    store = Store(context.state_dir, context.wall)
    try:
        return _supervise(context, store, hash_, lifeline, guardian, pty=pty)
    except DevportError as error:
        # Whoever waits for the start reads the record; stderr is a window, or nothing at all.
        message = error.message
        if held(store.lock_path(hash_)) is None:
            record = store.update(hash_, lambda old: old._replace(state=str(State.FAILED), error=message))
            if record is not None:
                from devport.herald import announce  # noqa: PLC0415 - on the way to an error

                announce(store, record)
        raise


def _supervise(
    context: Context, store: Store, hash_: str, lifeline: int, guardian: Guardian, *, pty: bool
) -> int:
    record = store.record(hash_)
    if record is None or not record.cmd:
        raise DevportError(f"cannot supervise {hash_}: no such service", ExitStatus.NO_SUCH_SERVICE)
    me = this_process(context, "background", record.label, port_of(record))
    me = me._replace(cwd=record.cwd, socket=store.socket_path(hash_))
    lock = Lock.acquire(store.lock_path(hash_), me)
    if isinstance(lock, Holder):
        raise DevportError(f"cannot supervise {record.label}: it is already running: {lock}")
    try:
        _check_alone(record, me.socket)
        return Supervisor(context, store, record, lifeline, guardian, pty=pty).run()
    finally:
        lock.release()


def _check_alone(record: Record, socket: str) -> None:
    """DevportError if another supervisor runs the service, although its lock is to be had.

    Somebody has removed the lock file (or its file system keeps none): the socket is as good a witness.
    """
    pid = listener_pid(socket)
    if pid is not None:
        who = f"pid {pid}" if pid else "its supervisor"
        raise DevportError(
            f"cannot supervise {record.label}: it is already running: {who} answers at {socket}, but its lock"
            " was removed; end it with kill, and start again"
        )


def environment(record: Record) -> dict[str, str]:
    """What the service of `record` sees: what was registered, and the ports as they are now."""
    made = dict(variable.split("=", 1) for variable in record.env if "=" in variable)
    named = {} if record.no_port else record.ports
    return {**made, **own_variables(record.label, record.hash, record.port_env, port_of(record), named)}


def port_of(record: Record) -> int | None:
    """The PORT of this run: the reserved one, unless `-p` asked for another this time."""
    if record.no_port:
        return None
    given = record.run.get("port")
    return given if isinstance(given, int) else record.port


def _policy(record: Record) -> Policy:
    try:
        return from_json(record.policy)
    except MalformedError as error:
        raise DevportError(f"cannot supervise {record.label}: its record has not {error}") from error


class Supervisor:
    """One run of `record`, whose lock is held."""

    def __init__(
        self, context: Context, store: Store, record: Record, lifeline: int, guardian: Guardian, *, pty: bool
    ) -> None:
        self.context, self.store, self.record = context, store, record
        self.lifeline, self.guardian, self.pty = lifeline, guardian, pty
        settle(floods=False)  # one of many, and a window takes no more than tmux does
        self.signals = Signals()
        self.debounce = Debounce()
        become_subreaper()
        spawner = Spawner()
        spawner.raise_nofile()  # whoever waits for the service has a connection
        self.window = is_tty(context.stdin) and is_tty(context.stdout)
        self.log = Log(store.log_path(record.hash), self._say_in_window, context.wall)
        self.sink = Sink(context.stdout)
        self.loop = Loop(Printer(self.sink, View(prefix=False), []), spawner, context.now)
        self.loop.observers.append(self.observe)
        self.stream = Verbatim(self.sink, self.log.write, b"\r\n" if pty else b"\n")
        self.policy = _policy(record)
        self.sources = Sources(self.loop, store, context)
        self.job = self._job()
        self.loop.jobs = [self.job]
        self.keyboard = Keyboard(
            self.loop, self.job, context.stdin if self.window else None, interactive=record.interactive
        )
        # A window that takes nothing (a stopped tmux server) keeps nobody from ending.
        self.loop.reader.patience = lambda: STALLED if self.job.lifecycle.state in AT_REST else None
        self.control = self._control()

    def _control(self) -> Control | None:
        """The control socket; what keeps us from having one is no reason not to run."""
        record = self.record
        port = port_of(record)
        facts: dict[str, object] = {"port": port, "ports": dict(record.ports) if port else {}}
        try:
            return Control(
                self.store.socket_path(record.hash),
                self.loop,
                {self.job.name: self.job},
                lambda _job: facts,
                ending=self._is_over,
                greeted=self.sources.greeted,
            )
        except DevportError as error:
            self._say(f"{error.message}; other commands can only signal this supervisor")
            return None

    def _job(self) -> Job:
        record = self.record
        made = environment(record)
        if self.window and "TERM" in self.context.environ:
            made["TERM"] = self.context.environ["TERM"]  # the window is tmux's, whatever was registered
        assert record.cmd is not None
        argv = words(record.cmd, self.policy, made if record.expand else None)
        port = port_of(record)
        ports = {port, *record.ports.values()} if port else set()
        terminal = Stdio(terminal=self._size(), interactive=True, hangup=not self.policy.external)
        job = Job(
            record.label,
            command=Command(
                argv,
                made,
                record.cwd,
                record.hash,
                umask=record.umask,
                limits=record.limits,
                shown=record.cmd[0] if record.expand else "",
            ),
            stdio=terminal if self.pty else Stdio(),
            lifecycle=lifecycle(record.restart, record.stop, self.policy),
            stream=self.stream,
        )
        job.check = lambda: self._obstacle(ports - self.sources.ports_of(job))
        job.say = lambda text: self._say(f"{job.name} {text}")
        self.sources.attach(job, self.policy, record.stop, port, expands=record.expand)
        return job

    def _is_over(self) -> bool:
        """Nothing is to come any more."""
        return self.job.lifecycle.state in AT_REST and not self.sources.may_revive(self.job)

    def _obstacle(self, ports: set[int]) -> str | None:
        if all(map(is_free, ports)):
            return None
        label = self.record.label
        taken = check_free(label, ports, self.store, self.record.hash, movable=False)
        if taken is None:
            return None
        hint = f"devport stop {label}, then start it with --reassign {label}, gives it another"
        return f"{taken.removeprefix(f'cannot start {label}: ')}; {hint}"

    def _size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self.context.stdout)
        except OSError:
            columns, rows = 80, 24
        return columns or 80, rows or 24

    def run(self) -> int:
        """Start the service, and supervise it until its end."""
        self.loop.watch(self.signals.descriptor, self._take_signals)
        self.loop.watch(self.lifeline, self._guardian_died)
        self.keyboard.open()
        self.loop.at(self.loop.now() + HEARTBEAT, self._heartbeat)
        self.sources.hold_back()
        self.loop.send(self.job, UP)
        self.loop.then(self.sources.judge)
        self.sources.greet()
        lifecycle = self.job.lifecycle
        try:
            self.loop.run(lambda: self._is_over() and self.loop.now() >= self.keyboard.stay_until)
        finally:
            self.sources.close()
            if self.control is not None:
                self.control.close()
            self.keyboard.close()
            self.log.close()
        if lifecycle.state is State.STOPPED:
            return ExitStatus.OK
        status = ExitStatus.FAILED if lifecycle.status is None else shell_status(lifecycle.status)
        return status or (ExitStatus.FAILED if lifecycle.state is State.FAILED else ExitStatus.OK)

    # what happens to the service

    def observe(self, transition: Transition) -> None:
        """Note the new state in the record, and say in window and log what happened."""
        lifecycle = self.job.lifecycle
        if (said := announcement(transition, port_of(self.record))) is not None:
            self._say(f"{self.job.name} {said.text}")
        if transition.event.kind is Kind.SPAWNED and self.job.process is not None:
            self.guardian.tell("group", self.job.process.pid)
        if lifecycle.state is not transition.before or transition.event.kind is Kind.SPAWNED:
            self._note(state=str(lifecycle.state), error=lifecycle.fault)

    def _note(self, **fields: Any) -> None:
        process = self.job.process
        run = {
            "pid": None if process is None else process.pid,
            "restarts": self.job.restarts,
            "status": self.job.lifecycle.status,
            "begun": self.job.lifecycle.begun,
            "was_ready": self.job.lifecycle.was_ready,
        }
        now = utc(self.context.wall())
        try:
            self.store.update(
                self.record.hash,
                lambda old: old._replace(last_up=now, run={**old.run, **run}, **fields),
            )
        except DevportError as error:
            self._say(error.message)  # a full disk: the next note tries again

    def _heartbeat(self) -> None:
        self._note()
        self.loop.at(self.loop.now() + HEARTBEAT, self._heartbeat)

    def _say(self, text: str) -> None:
        self.stream.note(encode(f"devport: {printable(text)}"))

    def _say_in_window(self, text: str) -> None:
        self.stream.note_in_window(encode(f"devport: {printable(text)}"))

    # what comes from outside

    def _take_signals(self) -> None:
        # Exits first, ends last: no restart that came with it may take a stop back.
        for number in sorted(self.signals.take(), key=lambda n: (n != signal.SIGCHLD, n in _ENDS)):
            if number == signal.SIGCHLD:
                self.loop.reap()
            elif number in _ENDS or (number == signal.SIGHUP and self._hung_up()):
                self._end(number)
            elif number in {signal.SIGHUP, signal.SIGTSTP}:
                self._wish(RESTART)
            elif number == signal.SIGWINCH and self.job.process is not None:
                self.job.process.resize(*self._size())
            elif number in {signal.SIGUSR1, signal.SIGUSR2} and self.job.process is not None:
                self.job.process.forward(number)

    def _end(self, number: int) -> None:
        counts = self.debounce.counts(number, self.context.now())
        if counts or self.job.lifecycle.wanted:  # a restart between the two has taken the first back
            self._wish(DOWN)
            # Noting it in the record may take longer than a bounce, where the disk is busy.
            self.loop.then(lambda: self.debounce.obeyed(self.context.now()))

    def _wish(self, event: Event) -> None:
        self.loop.send(self.job, event)

    def _hung_up(self) -> bool:
        """Whether the window is gone (tmux(1) sends HUP when one is closed); restarting needs one alive."""
        if not self.window:
            return False
        try:
            termios.tcgetattr(self.context.stdin)
        except termios.error:
            return True
        return False

    def _guardian_died(self) -> None:
        self.loop.unwatch(self.lifeline)
        self._wish(DOWN)
