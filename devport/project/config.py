"""devport.yaml: bytes to services. Both forms: the list, and the mapping with `processes:`.

Owns the file as a whole: its top-level keys, the order of the services, what may be there only once, and
the one place where a refusal becomes an error. Opens no file: the Procfile that `procfile:` names is
fetched by a function that the caller passes in.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from devport.encoding import printable
from devport.errors import DevportError, UsageError
from devport.model import Enable, Service
from devport.project import dependency, expansion, graph, groups, process, schema, settings
from devport.project.merge import merge
from devport.project.places import Places
from devport.project.process import Process
from devport.project.procfile import Entry
from devport.project.schema import Key, Keys, Kind, either
from devport.project.service import service as made
from devport.project.yaml_nodes import (
    Items,
    Node,
    Refusal,
    Scalar,
    Table,
    compose,
    file_of,
    is_nothing,
    unexpected,
)

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
    groups: graph.Groups = MappingProxyType({})


class Source(NamedTuple):
    """A file: what is in it, and what messages call it."""

    data: bytes
    name: str


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
    more: Sequence[Source] = (),
    read_procfile: ReadProcfile = _no_entries,
    git_root: Callable[[], str | None] = _no_repository,
) -> Config:
    """What `data` says; raises UsageError, and DevportError with status 1 where nothing is declared.

    `file` is only for messages and sources. `more` are files whose keys win over it, the last most of all.
    `read_procfile` and `git_root` are asked only where the file needs them.
    """
    try:
        sources = [Source(data, file), *more]
        trees = [compose(one.data, one.name if more else None) for one in sources]
        config = _config(merge(trees), file, Places(root, home, git_root), read_procfile)
    except Refusal as refusal:
        # Pieces of the file are in the message, line ends and escape sequences with them.
        where = f"cannot read {file_of(refusal.line, file)}: line {refusal.line}"
        raise UsageError(f"{where}: {printable(refusal.message)}") from refusal
    if not config.services:
        what = "a list of commands, or processes: with a name and an exec"
        names = ", ".join(one.name for one in sources)
        raise DevportError(f"cannot read {names}: no services; it holds {what}")
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
    given = schema.fields(node, TOP, " (services go under processes:)")
    named: Scalar | None = given.get("procfile")
    procfile = places.path("procfile", named) if named else None
    entries = read_procfile(procfile) if procfile else ()
    env: tuple[Scalar, ...] | None = given.get("env")
    processes = [
        *_processes("processes", given.get("processes")),
        *_processes("tasks", given.get("tasks"), task=True),
    ]
    services = _services(
        processes, entries, file, named.text if named else "", places, start=given.get("process") or "true"
    )
    return Config(
        services=services,
        procfile=procfile,
        strict_ports=given.get("strict_ports"),
        port_range=given.get("port_range"),
        env_files=None if env is None else tuple(places.path("env", path) for path in env),
        groups=groups.resolve(given.get("groups", {}), [service.entry for service in services]),
    )


def _processes(key: str, node: Node | None, *, task: bool = False) -> list[Process]:
    if node is None or is_nothing(node):
        return []
    if not isinstance(node, Table):
        raise unexpected(node, "a mapping NAME: {exec: ...}").under(key)
    return [process.named(name, value, task=task) for name, value in node.pairs]


def _as_it_is(keys: Keys) -> Kind:
    """Services: a mistake in there is told with the service's name, without `processes:` before it."""
    of_one = either({"type": ["string", "null"]}, schema.mapping(keys))
    names = {"pattern": f"^{schema.NAME.pattern}$"}
    return Kind(
        lambda node: node,
        {"type": ["object", "null"], "propertyNames": names, "additionalProperties": of_one},
    )


PROCESS_KEYS: Keys = {"start": Key(settings.START, "Whether services start unless they are named.")}


def _process(node: Node) -> Enable | None:
    found: Enable | None = schema.fields(node, PROCESS_KEYS).get("start")
    return found


TOP: Keys = {
    "processes": Key(_as_it_is(process.KEYS), "The services."),
    "tasks": Key(_as_it_is(process.TASK_KEYS), "Commands that run once, before or after services."),
    "groups": Key(groups.GROUPS, "Names for several services."),
    "process": Key(Kind(_process, schema.mapping(PROCESS_KEYS)), "What holds for every service."),
    "procfile": Key(schema.SCALAR, "A Procfile whose entries are taken."),
    "strict_ports": Key(schema.BOOLEAN, "Whether a declared port is that number or an error."),
    "port_range": Key(settings.PORT_RANGE, "The pool of ports, LOW-HIGH."),
    "env": Key(schema.SCALARS, "Env files for every service, instead of .env."),
}


def _services(
    processes: Sequence[Process],
    entries: Sequence[Entry],
    file: str,
    procfile: str,
    places: Places,
    *,
    start: Enable = "true",
) -> tuple[Service, ...]:
    """The Procfile's entries in its order, with what the file adds to them, then the others, then tasks."""
    _check_unique(processes, entries)
    added = {item.name: item for item in processes}
    plain = [(added.get(entry.name) or Process(entry.name, entry.line), entry) for entry in entries]
    known = {entry.name for entry in entries}
    pairs = [*plain, *((item, None) for item in processes if item.name not in known)]
    services = []
    for position, (item, entry) in enumerate(pairs):
        source = os.path.basename(file_of(item.line, file))
        found = made(item, entry, source, position, places, start=start)
        if entry and item.exec is None:
            found = found._replace(source=f"{procfile}:{entry.line}")
        services.append(found)
    wishes = [dependency.Wishes(item.name, item.after, item.before) for item in processes]
    connected = dependency.connect(services, wishes)
    _check(processes, connected)
    return connected


def _check(processes: Sequence[Process], services: Sequence[Service]) -> None:
    """What can only be wrong with entries that are right one by one: cycles, ports and addresses."""
    if found := graph.cycle(services):
        item = next(one for one in processes if one.name in found and (one.after or one.before))
        place = found.index(item.name)
        turned = (*found[place:-1], *found[:place], found[place])
        line = (*item.after, *item.before)[0].line
        raise Refusal(line, f"{item.name}: after: {graph.circle(turned)}")
    known = {service.entry: service for service in services}
    for item in processes:
        for key, scalar in item.texts:
            for inner in expansion.references(scalar.text):
                if problem := expansion.problem(inner, known):
                    raise Refusal(scalar.line, f"{item.name}: {key}: {problem}")
    _check_addresses(processes, known)


def _check_addresses(processes: Sequence[Process], known: Mapping[str, Service]) -> None:
    taken: dict[tuple[str, str], str] = {}
    for item in processes:
        for said, one in zip(item.listen, known[item.name].policy.listen, strict=True):
            kind = "unix" if one.kind.startswith("unix") else one.kind
            if (first := taken.setdefault((kind, one.address), f"{item.name} ({one.name})")) != (
                f"{item.name} ({one.name})"
            ):
                problem = f"{one.address} is already that of {first}"
                raise Refusal(said.line, f"{item.name}: listen: {one.name}: {problem}")


def _check_unique(processes: Sequence[Process], entries: Sequence[Entry]) -> None:
    """Names are identities within the project, keys on the whole machine."""
    names: dict[str, Process] = {}
    keys: dict[str, Process] = {}
    plain = {entry.name for entry in entries}
    for item in processes:
        if (first := names.setdefault(item.name, item)) is not item:
            raise Refusal(item.line, f"duplicate name {item.name} (first on line {first.line})")
        if item.task and item.name in plain:
            raise Refusal(item.line, f"{item.name}: the Procfile has an entry of that name")
        if item.key and (first := keys.setdefault(item.key, item)) is not item:
            raise Refusal(
                item.line, f"{item.name}: key: {item.key} is already that of {first.name}, line {first.line}"
            )
