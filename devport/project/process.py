"""One process of a devport.yaml: which keys it has, and the Service it becomes.

Owns the keys and their defaults in both forms, how a command is run, and what paths are relative to.
Opens no file, and knows no other process than the one at hand.
"""

import os
import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from devport.model import NOTHING, PortRequest, RestartPolicy, Service, StopPolicy
from devport.project import schema
from devport.project.procfile import SHELL, Entry
from devport.project.yaml_nodes import Node, Refusal, Scalar

_PLACE = re.compile(r"\$\{([^}]*)\}")


class Process(NamedTuple):
    """What the file says of one service, defaults where it says nothing."""

    name: str
    line: int
    exec: Scalar | None = None
    shell: bool | Scalar = True
    cwd: Scalar | None = None
    env: tuple[Scalar, ...] = ()
    environment: dict[str, str] | None = None
    key: str | None = None
    port_env: str = "PORT"
    no_port: bool = False
    ports: tuple[PortRequest, ...] = ()
    tailnet: bool = False
    pty: bool | None = None
    restart: Literal["never"] | None = None
    interactive: bool = False
    stop_signal: int = StopPolicy().signal
    stop_timeout: float | None = None
    description: str = ""
    named: bool = True


class Places(NamedTuple):
    """What paths of the file are relative to; `git_root` is asked only where a path needs it."""

    root: str
    home: str | None
    git_root: Callable[[], str | None]

    def path(self, key: str, scalar: Scalar) -> str:
        """`scalar`, the value of `key`, as an absolute path."""
        path = scalar.text
        if path == "~" or path.startswith("~/"):
            if not self.home:
                raise Refusal(scalar.line, f"{key}: HOME is not set, so there is no ~")
            path = self.home + path[1:]
        else:
            path = _PLACE.sub(lambda match: self._named(match[1], key, scalar.line), path)
        return os.path.normpath(os.path.join(self.root, path))

    def _named(self, name: str, key: str, line: int) -> str:
        # devenv writes ${config.git.root}, which is Nix; the words are the same.
        match name.removeprefix("config."):
            case "project.root":
                return self.root
            case "git.root":
                if (found := self.git_root()) is None:
                    raise Refusal(line, f"{key}: no git repository holds {self.root}")
                return found
        problem = "is not known here, only ${git.root}, ${project.root} and ~"
        raise Refusal(line, f"{key}: ${{{name}}} {problem}")


_KEYS: dict[str, schema.Reader] = {
    "exec": schema.command,
    "shell": schema.shell,
    "cwd": schema.scalar,
    "env": schema.scalars,
    "environment": schema.environment,
    "key": schema.name,
    "port_env": schema.variable_name,
    "no_port": schema.boolean,
    "ports": schema.ports,
    "tailnet": schema.boolean,
    "pty": schema.boolean,
    "restart": schema.restart,
    "interactive": schema.boolean,
    "stop_signal": schema.signal_number,
    "stop_timeout": schema.seconds,
    "description": schema.text,
}


def named(key: Scalar, node: Node) -> Process:
    """`NAME: {...}` of the mapping form; a text alone is its `exec`, and nothing says nothing."""
    if not schema.NAME.fullmatch(key.text):
        problem = "a name is made of A-Z a-z 0-9 _ . - (at most 63, a letter or digit first)"
        raise Refusal(key.line, f"'{key.text[:70]}': {problem}")
    try:
        given = {} if isinstance(node, Scalar) and node.kind == "null" else _given(node, _KEYS)
        return Process(key.text, key.line, **given)
    except Refusal as refusal:
        raise refusal.under(key.text) from None


def listed(nodes: tuple[Node, ...]) -> list[Process]:
    """The items of the list form; one without `key` is called like its program (`go`, `go-2`)."""
    found = [_item(node, number) for number, node in enumerate(nodes, start=1)]
    taken = {process.name for process in found}
    counts: dict[str, int] = {}
    for index, process in enumerate(found):
        if process.name:
            continue
        program = name = _derived(process)
        while name in taken:
            counts[program] = counts.get(program, 1) + 1
            name = f"{program}-{counts[program]}"
        taken.add(name)
        found[index] = process._replace(name=name, named=False)
    return found


def _item(node: Node, number: int) -> Process:
    """One item, its name empty where it has none of its own."""
    try:
        given = {"shell": False, **_given(node, {**_KEYS, "name": schema.name})}
    except Refusal as refusal:
        raise refusal.under(f"entry {number}") from None
    name = given.pop("name", None) or given.get("key", "")
    if "exec" not in given:
        raise Refusal(node.line, f"{name or f'entry {number}'}: exec is missing")
    return Process(name, node.line, **given)


def _given(node: Node, keys: dict[str, schema.Reader]) -> dict[str, Any]:
    if isinstance(node, Scalar):
        return {"exec": schema.command(node)}
    given = schema.fields(node, keys)
    if given.get("no_port") and given.get("ports"):
        raise Refusal(node.line, "no-port and ports exclude each other")
    return given


def _derived(process: Process) -> str:
    """A name for a process that has none: that of its program."""
    words = process.exec.text.split() if process.exec else []
    program = os.path.basename(words[0].strip("'\"")) if words else ""
    return re.sub("[^A-Za-z0-9_-]+", "-", program).strip("-_")[:50] or "service"


def service(process: Process, entry: Entry | None, file: str, position: int, places: Places) -> Service:
    """The Service that `process` is; `entry` is the line of the Procfile that it adds to."""
    try:
        command = _command(process, entry, places)
        return Service(
            name=process.name,
            entry=process.name,
            command=command,
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
            stop=StopPolicy(process.stop_signal, process.stop_timeout),
            restart=None if process.restart is None else RestartPolicy(on=process.restart),
            interactive=process.interactive,
            description=process.description,
            source=f"{file}:{process.line}",
            position=position,
            named=process.named,
        )
    except Refusal as refusal:
        raise refusal.under(process.name) from None


def _command(process: Process, entry: Entry | None, places: Places) -> tuple[str, ...]:
    """The words to execute: the shell and the text, or the text split into words."""
    if process.exec:
        text, line = process.exec.text, process.exec.line
    elif entry:
        text, line = entry.command, process.line
    else:
        raise Refusal(process.line, "exec is missing")
    if process.shell is True:
        return (SHELL, "-c", text)
    if isinstance(process.shell, Scalar):
        # A name without a slash is looked up in PATH, as any command is.
        bare = "/" not in process.shell.text and not process.shell.text.startswith("~")
        return (process.shell.text if bare else places.path("shell", process.shell), "-c", text)
    import shlex  # noqa: PLC0415 - only for commands without a shell

    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise Refusal(line, f"exec: cannot be split into words: {str(error).lower()}") from error
    if not words or not words[0]:
        raise Refusal(line, "exec: expected a command, found an empty word")
    return words
