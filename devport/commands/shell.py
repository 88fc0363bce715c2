"""Open a shell with the project's environment, and services that end with it.

usage: devport shell [options] [--] [COMMAND [ARG...]]

The services whose start says interactive-shell, and what they need, are
started in the background unless they run; when the shell ends, those are
stopped again. The shell is $SHELL, in this folder, with the port of every
entry (WEB_PORT). Its status is devport's. A COMMAND, or a shell whose input or
output is no terminal, gets the environment, and no service is started for it.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; of several devport.yaml
                        the later wins, key by key
  --root DIR            the folder of the project, if not FILE's
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  --env-wins            the environment wins over env files
  --no-tmux             no windows for the services: daemons, with logs
  -t SECONDS, --timeout SECONDS
                        how long the end of a COMMAND may take (default 5)
  -h, --help            show this text

For example:
  devport shell
  devport shell make test
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence

from devport import launch, passthrough
from devport.commands import selection, standing
from devport.commands.arguments import Arguments, parse
from devport.commands.options import run_options
from devport.context import Context, is_tty
from devport.errors import DevportError
from devport.inventory.order import stop_in_order
from devport.inventory.rows import survey
from devport.model import Project, Service
from devport.registry.identity import hash_of
from devport.registry.locks import Holder
from devport.registry.record import Record
from devport.registry.store import Store

INSIDE = "DEVPORT_SHELL"
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(context: Context, argv: Sequence[str]) -> int:
    """Open the shell, or run the command; the status is its own."""
    arguments = parse(__doc__, argv, options_first=True)
    find = selection.project_if_any if arguments.words else selection.project
    project = find(arguments, context)
    selection.warn(context, project.warnings)
    names = [one.entry for one in project.services if one.enable == "interactive-shell"]
    started: dict[str, Holder] = {}
    if arguments.words or not (is_tty(context.stdin) and is_tty(context.stdout)):
        if names:
            why = "this is no interactive shell (devport start -d starts them)"
            context.say(f"devport: warning: {', '.join(names)} not started: {why}")
    elif context.environ.get(INSIDE):
        context.say("devport: this is a devport shell already: nothing more is started")
    elif names:
        started = _start(context, arguments, project, names)
    return _shell(context, arguments, project, started)


def _shell(context: Context, arguments: Arguments, project: Project, started: dict[str, Holder]) -> int:
    """The shell, or the command, to its end; then what was `started` for it is stopped."""
    inside = project._replace(env={**project.env, INSIDE: "1"})
    command = arguments.words or (context.environ.get("SHELL") or "/bin/sh",)
    # An interactive shell ignores TERM, and takes HUP as the end of its terminal.
    stop = signal.SIGTERM if arguments.words else signal.SIGHUP
    try:
        return passthrough.run_command(context, inside, command, run_options(arguments), stop)
    finally:
        # Two processes come out of `guarded`: first the child, then the parent, for which there is nothing
        # left to stop unless the child was killed. Neither can tell in time whether the other has been.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # the terminal may be another's by now
        _stop(context, started)


def _start(
    context: Context, arguments: Arguments, project: Project, names: Sequence[str]
) -> dict[str, Holder]:
    """Start `names` and what they need; who runs, by hash, what did not run before."""
    services, _ = selection.choose(project, names, (), None, None)
    before = standing.running(context, project, services)
    wanted = [one for one in standing.due(context, project, services, ()) if one.name not in before]
    if not wanted:
        return {}
    options = run_options(arguments, environ=context.environ, env_files=project.env)
    records, _ = launch.enroll(context, project, wanted, options)
    with _noted() as noted:
        failed = _begin(context, arguments, records)
        found = _fresh(context, project, wanted)
        if failed or noted:
            _stop(context, found)
    if noted:
        os.kill(os.getpid(), noted[0])
    if failed or noted:
        raise DevportError("cannot open a shell: not everything that belongs to it could be started")
    context.say(
        f"devport: started {', '.join(one.name for one in wanted)}, to be stopped when this shell ends"
    )
    return found


@contextlib.contextmanager
def _noted() -> Iterator[list[int]]:
    """Signals that ask for the end are noted: they count once all that is being started can be stopped."""
    noted: list[int] = []
    heard = [number for number in _ENDS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _: noted.append(number)) for number in heard}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _begin(context: Context, arguments: Arguments, records: Sequence[Record]) -> int:
    """Start `records` in the background; returns the status of that.

    In a process of its own: what is started must be no child of this one, which ends all its children
    together with the shell.
    """
    import subprocess  # noqa: PLC0415 - only for a shell that has services

    done = subprocess.run(
        [
            *(sys.executable, "-E", "-P", "-m", "devport", "restart"),
            *(["--no-tmux"] if arguments.flag("--no-tmux") else []),
            *(record.hash for record in records),
        ],
        stdout=subprocess.DEVNULL,
        env=dict(context.environ),
        cwd=context.cwd,
        process_group=0,  # what is typed is for us: we wait for it, and stop what it started
        check=False,
    )
    return done.returncode


def _fresh(context: Context, project: Project, services: Sequence[Service]) -> dict[str, Holder]:
    hashes = {one.name: hash_of(one, project.root) for one in services}
    holders = standing.running(context, project, services)
    return {hashes[name]: holder for name, holder in holders.items()}


def _stop(context: Context, started: dict[str, Holder]) -> None:
    """Stop what was started, if it is still the same that runs it."""
    if not started:
        return
    store = Store(context.state_dir, context.wall)
    records = store.records().records
    rows = survey(context, store, [records[hash_] for hash_ in started if hash_ in records])
    mine = [
        one
        for one in rows
        if one.holder and (one.holder.pid, one.holder.started) == _who(started[one.record.hash])
    ]
    outcomes = stop_in_order(context, store, mine, records)
    for one in outcomes:
        if one.error:
            context.say(f"devport: {one.error}")
    if stopped := [one.record.label for one in outcomes if not one.error]:
        context.say(f"devport: stopped {', '.join(stopped)}")


def _who(holder: Holder) -> tuple[int, object]:
    return holder.pid, holder.started
