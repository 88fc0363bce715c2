"""What `devport start` does in the background: the entries of a project, or one command."""

import json
import os
import re
from collections.abc import Sequence
from typing import get_args

from devport import background, launch
from devport.commands.arguments import Arguments
from devport.commands.listing import show
from devport.commands.options import run_options
from devport.context import Context, is_tty
from devport.encoding import printable
from devport.errors import DevportError, ExitStatus
from devport.inventory.rows import fields, survey
from devport.model import Project, RestartOn, RestartPolicy, RunOptions, Service
from devport.project import load
from devport.registry.identity import check_key
from devport.registry.record import Record
from devport.registry.store import Store

_FOREGROUND_ONLY = (
    *("--quiet", "--no-prefix", "--no-timestamp", "--timestamp"),
    *("--pty", "--no-pty", "--keep-going"),
)
_PROJECT_ONLY = (
    *("--file", "--root", "--except", "--concurrency", "--formation", "--port"),
    *("--strict-ports", "--no-strict-ports", "--detach", "--mode", "--wait", "--manager"),
)


def start_entries(
    context: Context, arguments: Arguments, project: Project, services: Sequence[Service], options: RunOptions
) -> int:
    """Start `services` in the background, and show them; status 1 where one does not run as it should."""
    for name in _FOREGROUND_ONLY:
        if arguments.flag(name):
            raise arguments.wrong(f"option {name} does not go with -d")
    outcomes = launched(context, arguments, project, services, options)
    failed = say(context, outcomes)
    if arguments.flag("--wait"):
        failed = _wait(context, [one.record for one in outcomes if not one.error]) or failed
        store = Store(context.state_dir)  # some have ended by now
        outcomes = tuple(one._replace(record=store.record(one.record.hash) or one.record) for one in outcomes)
    rows = survey(context, Store(context.state_dir), _exposed(context, outcomes))
    if arguments.flag("--json") or not is_tty(context.stdout):
        context.write(context.stdout, json.dumps([fields(one) for one in rows], indent=2) + "\n")
    else:
        show(context, arguments, rows)
    return failed


def _wait(context: Context, records: Sequence[Record]) -> int:
    """Wait until `records` are settled; says which are not as they should be, and returns the status."""
    from devport.commands.progress import Progress  # noqa: PLC0415 - only where somebody waits
    from devport.commands.wait import TIMEOUT  # noqa: PLC0415
    from devport.inventory.readiness import wait  # noqa: PLC0415

    store = Store(context.state_dir, context.wall)
    with Progress(context) as progress:
        outcomes = wait(context, store, records, context.now() + TIMEOUT, show=progress.show)
    for one in outcomes:
        if one.error:
            context.say(f"devport: {one.error}")
    if any(one.late for one in outcomes):
        return ExitStatus.TIMEOUT
    return ExitStatus.FAILED if any(one.error for one in outcomes) else ExitStatus.OK


def launched(
    context: Context, arguments: Arguments, project: Project, services: Sequence[Service], options: RunOptions
) -> tuple[background.Outcome, ...]:
    """What came of starting `services` in the background."""
    records, ports = launch.enroll(context, project, services, options)
    return background.launch(context, records, windows=not arguments.flag("--no-tmux"), ports=ports)


def start_command(context: Context, arguments: Arguments, command: tuple[str, ...]) -> int:
    """Start any command in the background, and print its record."""
    if arguments.words or not command:
        reason = (
            f"unexpected word {arguments.words[0]} before --" if arguments.words else "no COMMAND behind --"
        )
        raise arguments.wrong(reason)
    record = _enrolled(context, arguments, command, "a COMMAND")
    outcomes = background.launch(context, [record], windows=not arguments.flag("--no-tmux"))
    failed = say(context, outcomes)
    [row] = survey(context, Store(context.state_dir), _exposed(context, outcomes))
    context.write(context.stdout, json.dumps(fields(row), indent=2) + "\n")
    return failed


def supervise_command(context: Context, arguments: Arguments, command: tuple[str, ...]) -> int:
    """Run any command as a service whose supervisor is this process, until it has ended; its status.

    DevportError where it runs already.
    """
    from devport.engine.guard import Guardian, guarded  # noqa: PLC0415 - what only starts needs no engine
    from devport.supervisor import supervise  # noqa: PLC0415

    record = _enrolled(context, arguments, command, "a service of its own")
    background.forget_last_life(context, record)
    pty = is_tty(context.stdout)
    if not _is_foreground(context.stdin):  # behind `&` in a shell, whose keys these are
        context = context._replace(stdin=os.open(os.devnull, os.O_RDONLY))
    return guarded(lambda lifeline: supervise(context, record.hash, lifeline, Guardian(None), pty=pty))


def _is_foreground(terminal: int) -> bool:
    """Whether what is typed at `terminal` is meant for us."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it is none, or not ours
        return False


def _enrolled(context: Context, arguments: Arguments, command: tuple[str, ...], what: str) -> Record:
    """The record of the service that `arguments` make of `command`; `what` it is called in errors."""
    for name in (*_FOREGROUND_ONLY, *_PROJECT_ONLY):
        if arguments.flag(name):
            raise arguments.wrong(f"option {name} does not go with {what}")
    service = _service(context, arguments, command)
    env, warnings = load.read_env_files(context, load.env_paths(context, arguments.texts("--env")))
    for warning in warnings:
        context.say(f"devport: warning: {warning}")
    project = Project(service.cwd, "", (), env=env)
    # There is one service only, which NAMES may call by its name, key or hash.
    reassign = frozenset({service.name} if arguments.names("--reassign") else ())
    options = run_options(arguments, reassign=reassign)
    [record], _ = launch.enroll(context, project, [service], options)
    return record


def _service(context: Context, arguments: Arguments, command: tuple[str, ...]) -> Service:
    key, policy = arguments.text("--key"), arguments.text("--restart")
    if key is not None:
        check_key(key)
    if policy is not None and policy.replace("-", "_") not in get_args(RestartOn):
        raise arguments.wrong(f"--restart is on_failure, always or never, not {policy}")
    port_env = arguments.text("--port-env")
    if port_env is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", port_env):
        raise arguments.wrong(f"--port-env: {printable(port_env)!r} is no name of a variable")
    cwd = load.existing_folder(context, arguments.text("--cwd") or ".", "--cwd")
    return Service(
        name=key or command[0],
        entry="",
        command=command,
        cwd=cwd,
        expand=True,
        key=key,
        port_env=port_env or "PORT",
        no_port=arguments.flag("--no-port"),
        tailnet=arguments.flag("--tailnet"),
        restart=None if policy is None else RestartPolicy(on=policy.replace("-", "_")),  # type: ignore[arg-type]
    )


def say(context: Context, outcomes: Sequence[background.Outcome]) -> int:
    """Tell what ran already and what does not run as it should; returns the status."""
    running = [one for one in outcomes if not one.fresh and not one.error]
    if len(running) > 1:  # the table that follows says where
        context.say(f"devport: {', '.join(one.record.label for one in running)} run already")
    for one in outcomes:
        beginning = f"cannot start {one.record.label}: "
        if one.error and not one.fresh and one.holder is not None:
            context.say(f"devport: {one.record.label} is already running, and fails: {one.error}")
        elif one.error:
            context.say(f"devport: {beginning}{one.error.removeprefix(beginning)}")
        elif running == [one]:
            context.say(f"devport: {one.record.label} is already running: {one.holder}")
    return ExitStatus.FAILED if any(one.error for one in outcomes) else ExitStatus.OK


def _exposed(context: Context, outcomes: Sequence[background.Outcome]) -> list[Record]:
    """The records of `outcomes`; what began to run just now and is meant to is on the tailnet.

    What cannot be brought there runs all the same.
    """
    records = {one.record.hash: one.record for one in outcomes}
    wanted = [one for one in outcomes if one.fresh and one.record.tailnet and not one.error]
    if wanted:
        from devport.tailscale import Tailnet  # noqa: PLC0415 - few services are exposed

        tailnet = Tailnet(context)
        for record, holder, *_ in wanted:
            try:
                port = (holder and holder.port) or record.port
                records[record.hash] = tailnet.up(record, port)
            except DevportError as error:
                context.say(
                    f"devport: warning: cannot expose {record.label}: {error.message};"
                    f" it runs, devport tailup {record.label} tries again"
                )
    return list(records.values())
