"""Which project and which of its entries a command line means; shared by the verbs that read a project."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from devport.commands.arguments import Arguments
from devport.context import Context
from devport.encoding import encode
from devport.errors import DevportError, ExitStatus, UsageError
from devport.model import Project, Service
from devport.project import formation, graph, load


def project(arguments: Arguments, context: Context) -> Project:
    """The project that `-f`, `--root` and `-e` name, or the one around the working directory."""
    return load.load(
        context,
        file=arguments.texts("--file"),
        root=arguments.text("--root"),
        env_files=arguments.texts("--env"),
    )


def project_if_any(arguments: Arguments, context: Context) -> Project:
    """The project, or where there is none one without entries: a command needs no more than env files."""
    try:
        return project(arguments, context)
    except load.NoProject:
        pass
    root = context.path(arguments.text("--root") or ".")
    default = os.path.join(root, ".env")
    paths = load.env_paths(context, arguments.texts("--env")) or [default] * os.path.isfile(encode(default))
    env, warnings = load.read_env_files(context, paths)
    return Project(root, "", (), env=env, warnings=warnings)


def warn(context: Context, warnings: tuple[str, ...]) -> None:
    """Say what the project's files hold that is no error."""
    for warning in warnings:
        context.say(f"devport: warning: {warning}")


def instance(services: tuple[Service, ...], name: str) -> Service:
    """The service that `name` means: an entry, or with `.N` its instance N (`web.1` is `web`)."""
    entries = {service.entry: service for service in services}
    if (found := split(entries, name)) is None:
        return _entry(entries, name)
    chosen, _ = formation.select(
        services, (found.entry,), concurrency={found.entry: found.number}, mode="single"
    )
    return chosen[-1]


def found(services: tuple[Service, ...], name: str) -> Service | None:
    """The same, None where `name` means no service."""
    entries = {service.entry for service in services}
    return instance(services, name) if name in entries or split(entries, name) else None


class Instance(NamedTuple):
    """What a name such as `web.2` means."""

    entry: str
    number: int


def split(entries: Collection[str], name: str) -> Instance | None:
    """The instance that `name` means; None for the name of an entry, or of nothing."""
    entry, _, number = name.rpartition(".")
    if name in entries or entry not in entries or not re.fullmatch("[1-9][0-9]{0,2}", number):
        return None
    return Instance(entry, int(number))


class Names:
    """The names that a command line gives for entries, and for single instances of them."""

    def __init__(self, services: Iterable[Service], names: Sequence[str]) -> None:
        known = {service.entry for service in services}
        self.instances = [found for name in names if (found := split(known, name)) is not None]
        self.whole = [name for name in names if split(known, name) is None]
        self.entries = tuple(dict.fromkeys([*self.whole, *(one.entry for one in self.instances)]))

    def most(self) -> dict[str, int]:
        """How often an entry runs at least where these instances of it do."""
        return {
            entry: max(one.number for one in self.instances if one.entry == entry)
            for entry in dict.fromkeys(one.entry for one in self.instances)
        }

    def have(self, service: Service) -> bool:
        """Whether `service` is named."""
        return service.entry in self.whole or Instance(service.entry, service.instance + 1) in self.instances


def called(names: Sequence[str], project: Project, chosen: Iterable[Service], option: str) -> frozenset[str]:
    """`names` that `option` was given: entries, and instances as they are called in the run of `chosen`."""
    given = Names(project.services, graph.members(names, project.groups, option))
    formation.check_names(given.entries, project.services, option)
    running = {Instance(one.entry, one.instance + 1): one.name for one in chosen}
    for one in given.instances:
        if one not in running:
            raise UsageError(f"cannot use {option}: {_is_missing(one)}")
    return frozenset([*given.whole, *(running[one] for one in given.instances)])


def choose(
    project: Project,
    names: Sequence[str],
    except_: Sequence[str],
    concurrency: Mapping[str, int] | None,
    numbers: Mapping[str, int] | None,
    *,
    mode: graph.Mode = "before",
) -> tuple[tuple[Service, ...], tuple[str, ...]]:
    """The instances to run and notices, as `formation.select` has it (`numbers` are those of -m).

    `names` and `except_` may be groups and single instances too. One that is named is there, unless -c or
    -m say how often its entry runs.
    """
    wanted = Names(project.services, graph.members(names, project.groups))
    unwanted = Names(project.services, graph.members(except_, project.groups, "--except"))
    if numbers is not None:
        numbers = numbers if formation.ALL in numbers else {**wanted.most(), **numbers}
    elif wanted.instances:
        concurrency = {**wanted.most(), **(concurrency or {})}
    services, notices = formation.select(
        project.services,
        wanted.entries,
        except_=tuple(unwanted.whole),
        concurrency=concurrency,
        formation=numbers,
        mode=mode,
    )
    there = {Instance(one.entry, one.instance + 1) for one in services}
    for one in (*wanted.instances, *unwanted.instances):
        if one not in there and one.entry not in unwanted.whole:
            raise UsageError(f"cannot find {one.entry}.{one.number}: {_is_missing(one)}")
    run = [
        one
        for one in services
        if (one.entry not in wanted.entries or wanted.have(one)) and not unwanted.have(one)
    ]
    if not run:
        raise UsageError("nothing to run: the names and numbers given leave nothing")
    left_out = {one.name for one in services} - {one.name for one in run}
    return tuple(graph.without(one, left_out) for one in run), notices


def _is_missing(one: Instance) -> str:
    return f"this run has no {one.entry}.{one.number} (-c {one.entry}={one.number} has it)"


def _entry(entries: Mapping[str, Service], name: str) -> Service:
    try:
        formation.check_names((name,), tuple(entries.values()), "")
    except UsageError as error:  # the command line is well formed: what it names is not there
        raise DevportError(error.message, ExitStatus.NO_SUCH_SERVICE) from error
    return entries[name]
