"""The Service that a process or task of a devport.yaml becomes.

Owns what paths are relative to, how a command is run, and the defaults that depend on other keys. Opens
no file, and knows no other process than the one at hand.
"""

from typing import Any

from devport.model import (
    NOTHING,
    Enable,
    Policy,
    Probe,
    RestartPolicy,
    Service,
    StopPolicy,
    Watch,
)
from devport.project import expansion, listen, probe, settings
from devport.project.places import Places
from devport.project.probe import DeclaredProbe
from devport.project.process import Process
from devport.project.procfile import SHELL, Entry
from devport.project.yaml_nodes import Refusal, Scalar


def service(
    process: Process,
    entry: Entry | None,
    file: str,
    position: int,
    places: Places,
    *,
    start: Enable = "true",
) -> Service:
    """The Service that `process` is; `entry` is the line of the Procfile that it adds to."""
    try:
        made = Service(
            name=process.name,
            entry=process.name,
            command=_command(process, entry, places),
            cwd=places.path("cwd", process.cwd) if process.cwd else places.root,
            expand=process.shell is False,
            environment=process.environment or NOTHING,
            env_files=tuple(places.path("env", path) for path in process.env),
            key=process.key,
            port_env=process.port_env,
            no_port=process.no_port,
            ports=process.ports,
            tailnet=process.tailnet,
            pty=process.pty,
            stop=_stop(process, places),
            restart=process.restart,
            interactive=process.interactive,
            policy=_policy(process, places),
            enable=process.start or start,
            description=process.description,
            source=f"{file}:{process.line}",
            position=position,
            named=process.named,
        )
    except Refusal as refusal:
        raise refusal.under(process.name) from None
    if process.task:
        return made._replace(no_port=True, restart=RestartPolicy(), ends_run=False, enable="true")
    if process.listed or (entry and not process.exec):
        # foreman's rules, unless it is said what is to happen when it ends.
        return made._replace(ends_run=made.restart is None or made.restart.on == "never")
    # A lazy one that has ended is started by the next connection, however often, as inetd does.
    usual = RestartPolicy(on="always") if process.lazy else settings.declared_restart()
    said = made.restart is not None
    return made._replace(restart=made.restart or usual, restart_said=said, ends_run=False)


def _policy(process: Process, places: Places) -> Policy:
    has_port = not process.no_port
    watch = process.watch
    return Policy(
        ready=_probe("ready", process.ready, process, places) or _automatic(process),
        live=_probe("live", process.live, process, places),
        watchdog=process.watchdog,
        listen=_sockets(process, places, has_port=has_port),
        lazy=process.lazy,
        idle=process.idle,
        watch=watch
        and Watch(
            tuple(places.path("watch: paths", path) for path in watch.paths),
            watch.extensions,
            watch.ignore,
            places.root,
        ),
        external=process.external,
        task=process.task,
        skip=_words("status", process.status, process, places) if process.status else (),
    )


def _automatic(process: Process) -> Probe | None:
    """The check of a port that is declared; of a socket that devport binds itself, it would say nothing."""
    plain = process.ports and not process.listen and not process.external
    return probe.AUTOMATIC if plain else None


def _probe(key: str, declared: DeclaredProbe | None, process: Process, places: Places) -> Probe | None:
    if declared is None:
        return None
    try:
        return probe.probe(
            declared,
            process.name,
            process.ports,
            has_port=not process.no_port,
            command=lambda text: _words("exec", text, process, places),
        )
    except Refusal as refusal:
        raise refusal.under(key) from None


def _sockets(process: Process, places: Places, *, has_port: bool) -> tuple[Any, ...]:
    try:
        return listen.sockets(process.listen, process.name, has_port=has_port, path=places.socket)
    except Refusal as refusal:
        raise refusal.under("listen") from None


def _stop(process: Process, places: Places) -> StopPolicy:
    said = process.stop or {}
    command = said.get("exec")
    return StopPolicy(
        said.get("signal", StopPolicy().signal),
        said.get("timeout"),
        _words("stop: exec", command, process, places) if command else (),
    )


def _command(process: Process, entry: Entry | None, places: Places) -> tuple[str, ...]:
    if process.exec:
        return _words("exec", process.exec, process, places)
    if entry is None:
        raise Refusal(process.line, "exec is missing")
    text = Scalar(expansion.protect(entry.command), "str", process.line)
    return _words("exec", text, process, places)


def _words(key: str, text: Scalar, process: Process, places: Places) -> tuple[str, ...]:
    """The words to execute for `text`: the shell and the text, or the text split into words."""
    if process.shell is True:
        return (SHELL, "-c", text.text)
    if isinstance(process.shell, Scalar):
        # A name without a slash is looked up in PATH, as any command is.
        bare = "/" not in process.shell.text and not process.shell.text.startswith("~")
        return (process.shell.text if bare else places.path("shell", process.shell), "-c", text.text)
    import shlex  # noqa: PLC0415 - only for commands without a shell

    try:
        words = tuple(shlex.split(text.text))
    except ValueError as error:
        raise Refusal(text.line, f"{key}: cannot be split into words: {str(error).lower()}") from error
    if not words or not words[0]:
        raise Refusal(text.line, f"{key}: expected a command, found an empty word")
    return words
