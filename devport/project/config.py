"""devport.yaml: bytes to services. Both forms: the list, and the mapping with `processes:`.

Owns the file as a whole: its top-level keys, the order of the services, what may be there only once, and
the one place where a refusal becomes an error. Opens no file: the Procfile that `procfile:` names is
fetched by a function that the caller passes in.
"""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from devport.encoding import printable
from devport.errors import DevportError, UsageError
from devport.model import Service
from devport.project import process, schema
from devport.project.process import Places, Process
from devport.project.procfile import Entry
from devport.project.yaml_nodes import Items, Node, Refusal, Scalar, Table, compose, unexpected

ReadProcfile = Callable[[str], tuple[Entry, ...]]


class Config(NamedTuple):
    """What a devport.yaml says; paths are absolute, None is what it does not say.

    `env_files` is None where there is no `env:`, and empty where there is one that names no file.
    """

    services: tuple[Service, ...] = ()
    procfile: str | None = None
    strict_ports: bool | None = None
    port_range: tuple[int, int] | None = None
    env_files: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()


def _no_entries(_: str) -> tuple[Entry, ...]:
    return ()


def _no_repository() -> None:
    return None


def parse(
    data: bytes,
    file: str,
    root: str,
    home: str | None,
    *,
    read_procfile: ReadProcfile = _no_entries,
    git_root: Callable[[], str | None] = _no_repository,
) -> Config:
    """What `data` says; raises UsageError, and DevportError with status 1 where nothing is declared.

    `file` is only for messages and sources. `read_procfile` and `git_root` are asked only where the file
    needs them.
    """
    try:
        config = _config(compose(data), os.path.basename(file), Places(root, home, git_root), read_procfile)
    except Refusal as refusal:
        # Pieces of the file are in the message, line ends and escape sequences with them.
        raise UsageError(
            f"cannot read {file}: line {refusal.line}: {printable(refusal.message)}"
        ) from refusal
    if not config.services:
        what = "a list of commands, or processes: with a name and an exec"
        raise DevportError(f"cannot read {file}: no services; it holds {what}")
    return config


def _config(node: Node | None, file: str, places: Places, read_procfile: ReadProcfile) -> Config:
    match node:
        case None | Scalar(_, "null"):
            return Config()
        case Items(items):
            return Config(_services(process.listed(items), (), file, "", places))
        case Table():
            return _mapping(node, file, places, read_procfile)
        case Scalar():
            raise unexpected(node, "a list of commands, or a mapping with processes:")


def _mapping(node: Table, file: str, places: Places, read_procfile: ReadProcfile) -> Config:
    given = schema.fields(node, _TOP, " (services go under processes:)")
    named: Scalar | None = given.get("procfile")
    procfile = places.path("procfile", named) if named else None
    entries = read_procfile(procfile) if procfile else ()
    env: tuple[Scalar, ...] | None = given.get("env")
    return Config(
        services=_services(
            _processes(given.get("processes")), entries, file, named.text if named else "", places
        ),
        procfile=procfile,
        strict_ports=given.get("strict_ports"),
        port_range=given.get("port_range"),
        env_files=None if env is None else tuple(places.path("env", path) for path in env),
    )


def _processes(node: Node | None) -> tuple[Process, ...]:
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        return ()
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping NAME: {exec: ...}").under("processes")
    return tuple(process.named(key, value) for key, value in node.pairs)


_TOP: dict[str, schema.Reader] = {
    # Left as it is: a mistake in there is told with the service's name, without `processes:` before it.
    "processes": lambda node: node,
    "procfile": schema.scalar,
    "strict_ports": schema.boolean,
    "port_range": schema.port_range,
    "env": schema.scalars,
}


def _services(
    processes: Sequence[Process], entries: Sequence[Entry], file: str, procfile: str, places: Places
) -> tuple[Service, ...]:
    """The entries of the Procfile in its order, with what the file adds to them, then the others."""
    _check_unique(processes)
    added = {item.name: item for item in processes}
    plain = [(added.get(entry.name) or Process(entry.name, entry.line), entry) for entry in entries]
    known = {entry.name for entry in entries}
    pairs = [*plain, *((item, None) for item in processes if item.name not in known)]
    services = []
    for position, (item, entry) in enumerate(pairs):
        found = process.service(item, entry, file, position, places)
        if entry and item.exec is None:
            found = found._replace(source=f"{procfile}:{entry.line}")
        services.append(found)
    return tuple(services)


def _check_unique(processes: Sequence[Process]) -> None:
    """Names are identities within the project, keys on the whole machine."""
    names: dict[str, Process] = {}
    keys: dict[str, Process] = {}
    for item in processes:
        if (first := names.setdefault(item.name, item)) is not item:
            raise Refusal(item.line, f"duplicate name {item.name} (first on line {first.line})")
        if item.key and (first := keys.setdefault(item.key, item)) is not item:
            raise Refusal(
                item.line, f"{item.name}: key: {item.key} is already that of {first.name}, line {first.line}"
            )
