"""What `devport start --manager NAME` does: another program runs the entries, by their export.

The export lies in a private folder of the state's `run`, `manager-PID-BIRTH`, until the manager has ended;
what a devport that was killed has left there, the next one removes. The manager has the terminal, runs in the
project's folder, and is told to end when devport dies. The services are its own: devport holds no lock for
them, and looks after nothing.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import NamedTuple

from devport import launch
from devport.commands import standing
from devport.commands.arguments import Arguments
from devport.commands.export import app_name, unit
from devport.commands.start import COMMAND_ONLY
from devport.commands.start import plan as planned
from devport.context import Context, is_tty
from devport.encoding import decode, encode, printable
from devport.errors import DevportError, UsageError
from devport.export import formats
from devport.export.plan import Plan, UnitError
from devport.export.target import Target
from devport.kernel import descendants
from devport.kernel.birth import process_start
from devport.model import NOTHING, RestartPolicy
from devport.project.environment import common
from devport.registry.files import make_folder

_NOT_FOR_MANAGERS = (
    *COMMAND_ONLY,
    *("--detach", "--wait", "--no-tmux", "--quiet", "--no-prefix", "--no-timestamp", "--timestamp"),
    *("--color", "--no-color", "--json", "--pty", "--no-pty", "--keep-going", "--timeout", "--env-wins"),
)
_KILLED = 128  # a shell's statuses above it: killed by a signal


class Where(NamedTuple):
    """The folder of the export, the project's, and whether there is a terminal."""

    folder: str
    root: str
    is_terminal: bool


_LONGEST = 100  # of the path of a socket: 103 bytes on macOS, 107 on Linux


def _socket(at: Where) -> str:
    """Where overmind listens, in as few letters as needed; it runs in the project's folder."""
    path = f"{at.folder}/overmind.sock"
    return path if len(encode(path)) <= _LONGEST else os.path.relpath(path, at.root)


class Manager(NamedTuple):
    """A manager: the format that it reads, its words, where it can be had.

    `env_file` names the file of the export whose values are in its environment, since it does not read it;
    empty for none. `variables` are what else it needs to know.
    """

    format_: str
    words: Callable[[Where], Sequence[str]]
    source: str
    variables: Mapping[str, str] = {}
    env_file: str = ""


MANAGERS = {
    # Without its server it takes no port of its own (8080).
    "process-compose": Manager(
        "process-compose",
        lambda at: (
            *("-f", f"{at.folder}/process-compose.yaml", "--no-server"),
            *(() if at.is_terminal else ("--tui=false",)),
        ),
        "https://f1bonacc1.github.io/process-compose",
        {"PC_DISABLE_DOTENV": "1"},
    ),
    "overmind": Manager(
        "procfile",
        lambda at: (
            "start",
            "-f",
            f"{at.folder}/Procfile",
            "-d",
            at.root,
            "-s",
            _socket(at),
        ),
        "https://github.com/DarthSim/overmind",
        {"OVERMIND_SKIP_ENV": "1"},
        ".env",
    ),
    "hivemind": Manager(
        "procfile",
        lambda at: ("-d", at.root, f"{at.folder}/Procfile"),
        "https://github.com/DarthSim/hivemind",
        {"HIVEMIND_SKIP_ENV": "1"},
        ".env",
    ),
    "honcho": Manager(
        "procfile",
        lambda at: ("start", "-f", f"{at.folder}/Procfile", "-d", at.root, "-e", f"{at.folder}/.env"),
        "https://honcho.readthedocs.io",
    ),
    "mprocs": Manager(
        "mprocs", lambda at: ("--config", f"{at.folder}/mprocs.yaml"), "https://github.com/pvolok/mprocs"
    ),
}


def start(context: Context, arguments: Arguments) -> int:
    """Run what `arguments` ask for under another manager; its status."""
    name = arguments.choice("--manager", tuple(MANAGERS))
    assert name is not None
    for option in _NOT_FOR_MANAGERS:
        if arguments.flag(option):
            raise arguments.wrong(f"option {option} does not go with --manager")
    manager = MANAGERS[name]
    program = shutil.which(name, path=context.environ.get("PATH", os.defpath))
    if program is None:
        why = f"it is not installed (not on PATH); see {manager.source}"
        raise DevportError(f"cannot start with {name}: {why}")
    plan = _plan(context, arguments, name)
    try:
        files = formats.find(manager.format_).render(plan)
    except UnitError as error:  # nobody has asked for an export
        raise UsageError(f"cannot start with {name}: {printable(error.name)}: {error.why}") from error
    folder = _own_folder(context)
    try:
        Target(folder, plan.app, manager.format_).write(files)
        where = Where(folder, plan.root, is_tty(context.stdin) and is_tty(context.stdout))
        shared = next((file.content for file in files if file.path == manager.env_file), "")
        own = common(context.environ, NOTHING, {}, False)  # not what is addressed to devport
        return _run(
            [program, *manager.words(where)],
            plan.root,
            {**own, **_variables(shared), **manager.variables},
            is_terminal=any(map(is_tty, (context.stdin, context.stdout, context.stderr))),
        )
    finally:
        shutil.rmtree(encode(folder), ignore_errors=True)


def _plan(context: Context, arguments: Arguments, name: str) -> Plan:
    """What manager `name` is to run; DevportError where one of it is running already."""
    project, services, options = planned(context, arguments)
    for service, holder in standing.running(context, project, services).items():
        raise DevportError(f"cannot start with {name}: {service} is already running: {holder}")
    # What the command line names starts, whatever its `start:` says of a plain one. And nothing is started
    # again that does not say so: this is the foreground.
    services = tuple(
        service._replace(enable="true", restart=service.restart or RestartPolicy()) for service in services
    )
    units = tuple(map(unit, launch.for_export(context, project, services, options)))
    return Plan(app_name(arguments, project), project.root, units, groups=project.groups)


def _own_folder(context: Context) -> str:
    """A new private folder, after those of processes that are no more have been removed."""
    run = os.path.join(os.path.abspath(context.state_dir), "run")
    try:
        make_folder(run)
        for name in map(decode, os.listdir(encode(run))):
            pid = re.fullmatch("manager-([0-9]+)-[0-9a-f]+", name)
            if pid is not None and name != _folder_of(int(pid[1])):
                shutil.rmtree(encode(os.path.join(run, name)), ignore_errors=True)
        folder = os.path.join(run, _folder_of(os.getpid()))
        os.mkdir(encode(folder), 0o700)
    except OSError as error:
        raise DevportError(f"cannot make a folder in {printable(run)}: {error.strerror}") from error
    return folder


def _folder_of(pid: int) -> str:
    """What the folder of process `pid` is called; a later process with the same number has another one."""
    birth = process_start(pid) or ""
    return f"manager-{pid}-{hashlib.sha256(birth.encode()).hexdigest()[:16]}"


def _variables(text: str) -> dict[str, str]:
    """What the env file of an export says: plain words only."""
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


class _Relay:
    """Sends signals on to a process, once there is one: what came earlier is sent then."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def install(self, *, is_terminal: bool) -> None:
        """Take the signals that end a run; with a terminal, what is typed reaches the manager by itself."""
        typed = _leave if is_terminal else self._send
        for number, handler in (
            (signal.SIGINT, typed),
            (signal.SIGQUIT, typed),
            (signal.SIGTERM, self._send),
            (signal.SIGHUP, self._send),
        ):
            if signal.getsignal(number) is not signal.SIG_IGN:  # a handler ends with exec, ignoring would not
                signal.signal(number, handler)

    def begin(self, process: "subprocess.Popen[bytes]") -> None:
        """`process` takes the signals from now on."""
        self._process = process
        for missed in self._early:
            process.send_signal(missed)

    def _send(self, number: int, _: FrameType | None) -> None:
        if self._process is not None:
            self._process.send_signal(number)
        else:
            self._early.append(number)


def _leave(_: int, __: FrameType | None) -> None:
    """The terminal has told the manager itself."""


def _run(argv: Sequence[str], cwd: str, environ: Mapping[str, str], *, is_terminal: bool) -> int:
    """The status of `argv`, which is told to end when this process dies."""
    relay = _Relay()
    relay.install(is_terminal=is_terminal)
    parent = os.getpid()

    def end_with_devport() -> None:
        """By SIGTERM: a manager that is killed would leave its services behind."""
        if not descendants.die_with(parent, signal.SIGTERM):
            os._exit(_KILLED + signal.SIGTERM)

    try:
        process = subprocess.Popen(
            list(map(encode, argv)),
            cwd=encode(cwd),
            env={encode(name): encode(value) for name, value in environ.items()},
            preexec_fn=end_with_devport,  # noqa: PLW1509 - there are no threads
        )
    except OSError as error:
        raise DevportError(f"cannot run {argv[0]}: {error.strerror}") from error
    relay.begin(process)
    status = process.wait()
    return status if status >= 0 else _KILLED - status
