"""One process or task of a devport.yaml: which keys it has, and what they say.

Owns the keys and their defaults in both forms, what an entry without a name is called, and which keys
exclude each other. Opens no file, and knows no other process than the one at hand.
"""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from devport.model import (
    Enable,
    PortRequest,
    RestartPolicy,
    Watchdog,
)
from devport.project import dependency, listen, probe, schema, settings
from devport.project.listen import DeclaredListen
from devport.project.probe import DeclaredProbe
from devport.project.schema import Key, Keys
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, Table, is_nothing


class Process(NamedTuple):
    """What the file says of one service or task, defaults where it says nothing.

    `texts` are those in which `${NAME.port}` counts, each with its key.
    """

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
    restart: RestartPolicy | None = None
    interactive: bool = False
    description: str = ""
    after: tuple[dependency.Reference, ...] = ()
    before: tuple[dependency.Reference, ...] = ()
    ready: DeclaredProbe | None = None
    live: DeclaredProbe | None = None
    watchdog: Watchdog | None = None
    listen: tuple[DeclaredListen, ...] = ()
    lazy: bool = False
    idle: float | None = None
    watch: settings.Watched | None = None
    external: bool = False
    stop: dict[str, Any] | None = None
    start: Enable | None = None
    status: Scalar | None = None
    task: bool = False
    listed: bool = False
    named: bool = True
    texts: tuple[tuple[str, Scalar], ...] = ()


_COMMON: Keys = {
    "exec": Key(schema.COMMAND, "The command."),
    "shell": Key(schema.SHELL, "What runs it: true is /bin/sh, false no shell, a text another one."),
    "cwd": Key(schema.SCALAR, "The folder it runs in, relative to the project's root."),
    "env": Key(schema.SCALARS, "Env files of its own."),
    "environment": Key(settings.ENVIRONMENT, "Variables of its own."),
    "description": Key(schema.TEXT, "A sentence for people."),
    "after": Key(dependency.REFERENCES, "What has to be there first, as NAME or NAME@CONDITION."),
    "before": Key(dependency.REFERENCES, "What waits for this one."),
}
KEYS: Keys = {
    **_COMMON,
    "key": Key(schema.NAMED, "An identity for the whole machine, instead of project and name."),
    "port_env": Key(schema.VARIABLE, "The variable that holds its port."),
    "no_port": Key(schema.BOOLEAN, "Whether it needs no port."),
    "ports": Key(settings.PORTS, "Named ports; the first is PORT."),
    "tailnet": Key(schema.BOOLEAN, "Whether it gets a name in the tailnet."),
    "pty": Key(schema.BOOLEAN, "Whether it gets a terminal."),
    "interactive": Key(schema.BOOLEAN, "Whether Ctrl-C and Ctrl-Z in its window reach it."),
    "start": Key(settings.START, "Whether it starts unless it is named."),
    "restart": Key(settings.RESTART, "When it is started again after it has ended."),
    "stop": Key(settings.STOP, "How it is stopped."),
    "stop_signal": Key(schema.SIGNAL, "The same as signal under stop."),
    "stop_timeout": Key(schema.SECONDS, "The same as timeout under stop."),
    "ready": Key(probe.READY, "How to see that it is ready."),
    "live": Key(probe.LIVE, "How to see that it still works; it is restarted if not."),
    "watchdog": Key(settings.WATCHDOG, "How often it has to say that it still works."),
    "listen": Key(listen.LISTEN, "Sockets that devport binds and passes on."),
    "lazy": Key(schema.BOOLEAN, "Whether it starts with the first connection to one of them."),
    "idle": Key(schema.SOME_SECONDS, "Seconds without a connection after which it stops again."),
    "watch": Key(settings.WATCH, "Files whose change restarts it."),
    "external": Key(schema.BOOLEAN, "Whether exec brings something up and returns."),
}
ITEM_KEYS: Keys = {**KEYS, "name": Key(schema.NAMED, "What it is called.")}
TASK_KEYS: Keys = {
    **_COMMON,
    "status": Key(schema.COMMAND, "A command whose status 0 says that there is nothing to do."),
}
_EXPANDED = frozenset({"exec", "environment", "ready", "live", "listen", "stop", "status"})


def named(key: Scalar, node: Node, *, task: bool = False) -> Process:
    """`NAME: {...}` of the mapping form; a text alone is its `exec`, and nothing says nothing."""
    if not schema.NAME.fullmatch(key.text):
        problem = "a name is made of A-Z a-z 0-9 _ . - (at most 63, a letter or digit first)"
        raise Refusal(key.line, f"'{key.text[:70]}': {problem}")
    try:
        given = {} if is_nothing(node) else _given(node, TASK_KEYS if task else KEYS)
        return Process(key.text, key.line, **given, task=task)
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
        given = {"shell": False, **_given(node, ITEM_KEYS)}
    except Refusal as refusal:
        raise refusal.under(f"entry {number}") from None
    name = given.pop("name", None) or given.get("key", "")
    if "exec" not in given:
        raise Refusal(node.line, f"{name or f'entry {number}'}: exec is missing")
    return Process(name, node.line, **given, listed=True)


def _given(node: Node, keys: Keys) -> dict[str, Any]:
    if isinstance(node, Scalar):
        found = schema.command(node)
        return {"exec": found, "texts": (("exec", found),)}
    given = schema.fields(node, keys)
    assert isinstance(node, Table)
    given["stop"] = settings.stop_of(given, node.line)
    given["texts"] = tuple(
        (key.text, scalar)
        for key, value in node.pairs
        if schema.canonical(key.text) in _EXPANDED
        for scalar in _scalars(value)
        if "${" in scalar.text
    )
    if problem := _contradiction(given):
        raise Refusal(node.line, problem)
    return given


def _contradiction(given: dict[str, Any]) -> str:
    """What is wrong with keys that are right one by one; empty for nothing."""
    ready, live, sockets = given.get("ready"), given.get("live"), given.get("listen", ())
    external = given.get("external")
    streams = any(one.kind in listen.STREAMS for one in sockets)
    rules = (
        (given.get("no_port") and given.get("ports"), "no-port and ports exclude each other"),
        (given.get("lazy") and not sockets, "lazy needs listen: a connection is what starts it"),
        (
            given.get("idle") and not given.get("lazy"),
            "idle needs lazy: a connection is what starts it again",
        ),
        (given.get("idle") and not streams, "idle needs a socket with connections (tcp or unix_stream)"),
        (
            external and not ready and not live,
            "external needs ready or live: nothing else says that it is up",
        ),
        (external and sockets, "external and listen exclude each other"),
        (external and given.get("watchdog"), "external and watchdog exclude each other"),
        (
            external and ready and ready.kind in {"notify", "log"},
            "external needs a ready of exec, http or tcp: what it brings up says nothing to devport",
        ),
    )
    return next((problem for applies, problem in rules if applies), "")


def _scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case Items(items):
            for item in items:
                yield from _scalars(item)
        case Table(pairs):
            for _, value in pairs:
                yield from _scalars(value)


def _derived(process: Process) -> str:
    """A name for a process that has none: that of its program."""
    words = process.exec.text.split() if process.exec else []
    program = os.path.basename(words[0].strip("'\"")) if words else ""
    return re.sub("[^A-Za-z0-9_-]+", "-", program).strip("-_")[:50] or "service"
