"""From services to what is executed: ports registered, environments made, words expanded.

What every frame and the `env` and `port` verbs share, so that all tell the same truth. Starts nothing
and takes no lock but the registration's.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from devport.context import Context
from devport.encoding import printable
from devport.engine import limits
from devport.engine.process import Command
from devport.errors import DevportError
from devport.model import BACKGROUND_RESTART, NOTHING, Project, RunOptions, Service
from devport.project.environment import common, expand, leading_variable, own
from devport.project.load import read_env_files
from devport.registry.changes import changes
from devport.registry.identity import hash_of_command
from devport.registry.locks import held
from devport.registry.policy import to_json
from devport.registry.record import Record
from devport.registry.register import Registration, register
from devport.registry.store import Store
from devport.sources.assembly import with_variables, words

if TYPE_CHECKING:
    from devport.export.parts import Word


class Launch(NamedTuple):
    """A service ready to be executed.

    Its environment is `own` over `common`, which it shares with the project's other services. `ports`
    by name, the one that is PORT first; empty for none. `parts` of the words are for exports.
    """

    service: Service
    hash: str
    argv: tuple[str, ...]
    own: Mapping[str, str]
    common: Mapping[str, str]
    ports: Mapping[str, int]
    parts: "tuple[Word, ...]" = ()

    @property
    def environment(self) -> dict[str, str]:
        """All that the service sees."""
        return {**self.common, **self.own}

    def as_command(self) -> Command:
        """What the spawner is given."""
        service = self.service
        shown = service.command[0] if service.expand else ""
        return Command(self.argv, self.own, service.cwd, self.hash, self.common, shown=shown)


def prepare(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions
) -> tuple[Launch, ...]:
    """Register `services` (and reserve ports for the whole project) and make each one's environment.

    Notices and warnings go to stderr. DevportError as `register` and the env files have it.
    """
    registration = _register(context, project, services, options)
    services = _resolve(context, project, services, registration)
    return _launches(context, project, services, registration, options)


def for_export(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions
) -> tuple[Launch, ...]:
    """As `prepare`, for another manager: nothing of the caller's own environment is in it."""
    registration = _register(context, project, services, options)
    services = _resolve(context, project, services, registration)
    launches = _launches(context, project, services, registration, options)
    shared = common(NOTHING, project.env, registration.ports, False)
    return tuple(_exported(one, shared) for one in launches)


def _exported(one: Launch, shared: Mapping[str, str]) -> Launch:
    """`one` with `shared` in common, without what devport knows its services by, all variables replaced."""
    from devport.export.parts import parts  # noqa: PLC0415 - for exports only

    seen = one.environment
    own_ = {name: value for name, value in one.own.items() if name != "DEVPORT_HASH"}
    found = one._replace(own=own_, common=shared)
    service = one.service
    if service.expand:
        policy, stop = with_variables(service.policy, service.stop, seen)
        found = found._replace(service=service._replace(policy=policy, stop=stop))
    return found._replace(parts=parts(service, one.argv, seen, found.environment))


def enroll(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions
) -> tuple[tuple[Record, ...], dict[str, int]]:
    """Register `services` for the background, with everything that running them again needs.

    Returns their records and, by hash, the PORT of this time where it is not the reserved one. The
    record of a service that runs is left as it is. DevportError as `prepare`.
    """
    services = [_for_background(service, options) for service in services]
    registration = _register(context, project, services, options)
    services = _resolve(context, project, services, registration)
    store = Store(context.state_dir, context.wall)
    launches = _launches(context, project, services, registration, options)
    snapshots = {
        one.hash: tuple(f"{name}={value}" for name, value in one.environment.items())
        for one in launches
        if held(store.lock_path(one.hash)) is None
    }
    umask = os.umask(0o077)  # there is no way to read it but to set it
    os.umask(umask)
    shell = {"umask": umask, "limits": limits.current()}
    policies = {one.hash: to_json(one.service.policy) for one in launches}
    stored = store.update_all(
        {
            hash_: lambda old, env=env, policy=policies[hash_]: old._replace(env=env, policy=policy, **shell)  # type: ignore[misc]
            for hash_, env in snapshots.items()
        }
    )
    records = registration.records
    _say_changes(context, project, [one for one in launches if one.hash not in snapshots], records)
    ports = {one.hash: next(iter(one.ports.values()), None) for one in launches}
    return (
        tuple(stored.get(one.hash, records[one.service.name]) for one in launches),
        {hash_: port for hash_, port in ports.items() if port and options.base is not None},
    )


def _say_changes(
    context: Context, project: Project, launches: Sequence[Launch], records: Mapping[str, Record]
) -> None:
    """Tell of each service that runs what it is declared as now and does not run as."""
    for one in launches:
        was, service = records[one.service.name], one.service
        declared = {*project.env, *service.environment} - {service.port_env}
        variables = {name: value for name, value in one.environment.items() if name in declared}
        if changed := changes(was, service, variables):
            context.say(
                f"devport: {was.label} runs as it was started; {', '.join(changed)} will count"
                f" after devport stop {was.label} and the next start"
            )


def _for_background(service: Service, options: RunOptions) -> Service:
    grace = options.grace if service.stop.grace is None else service.stop.grace
    return service._replace(
        restart=service.restart or BACKGROUND_RESTART, stop=service.stop._replace(grace=grace)
    )


def prepare_command(context: Context, project: Project, argv: tuple[str, ...], options: RunOptions) -> Launch:
    """Any command in the caller's folder, with the project's environment and no port of its own."""
    registration = _register(context, project, (), options) if project.services else None
    service = Service(name=argv[0], entry="", command=argv, cwd=context.cwd, no_port=True)
    hash_ = hash_of_command(context.cwd, argv)
    ports = {} if registration is None else registration.ports
    shared = common(context.environ, project.env, ports, options.env_wins)
    made = own(service, hash_, {}, {})
    del made["PS"]
    if (port := project.env.get("PORT", context.environ.get("PORT"))) is not None:
        made["PORT"] = port  # a command has no port of its own: to it, this is a variable like any other
    return Launch(service, hash_, argv, made, shared, {})


def _register(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions
) -> Registration:
    registration = register(
        context,
        Store(context.state_dir),
        project,
        services,
        strict=options.strict,
        reassign=options.reassign,
        base=options.base,
    )
    for notice in registration.notices:
        context.say(f"devport: {notice}")
    return registration


def _resolve(
    context: Context, project: Project, services: Sequence[Service], registration: Registration
) -> list[Service]:
    """`services` with what is known only now: whom they wait for, by hash, and the ports they name."""
    if project.kind != "devport.yaml":
        return list(services)
    from devport.project.expansion import expand_ports  # noqa: PLC0415 - a Procfile names no ports

    linked = _linked(project, services, registration)
    found = [expand_ports(one, registration.ports) for one in linked]
    store = Store(context.state_dir)
    records = registration.records
    store.update_all(
        {
            records[one.name].hash: lambda old, one=one: old._replace(  # type: ignore[misc]
                cmd=one.command, policy=to_json(one.policy)
            )
            for one in found
            if (records[one.name].cmd, records[one.name].policy) != (one.command, to_json(one.policy))
            and held(store.lock_path(records[one.name].hash)) is None  # what runs, runs as it was started
        }
    )
    return found


def _linked(project: Project, services: Sequence[Service], registration: Registration) -> tuple[Service, ...]:
    """`services` with the hashes of those they wait for, and of those that wait for them."""
    hashes = {name: record.hash for name, record in registration.records.items()}
    here = {one.entry for one in services}
    dependents: dict[str, list[str]] = {}
    for one in (*services, *(other for other in project.services if other.entry not in here)):
        for name in dict.fromkeys(dependency.name for dependency in one.policy.after):
            dependents.setdefault(hashes[name], []).append(hashes[one.name])
    linked = []
    for one in services:
        after = tuple(each._replace(hash=hashes[each.name]) for each in one.policy.after)
        policy = one.policy._replace(after=after, dependents=tuple(dependents.get(hashes[one.name], ())))
        linked.append(one._replace(policy=policy))
    return tuple(linked)


def _launches(
    context: Context,
    project: Project,
    services: Sequence[Service],
    registration: Registration,
    options: RunOptions,
) -> tuple[Launch, ...]:
    shared = common(context.environ, project.env, registration.ports, options.env_wins)
    beaten_by = context.environ if options.env_wins else NOTHING
    launches = []
    for service in services:
        hash_, ports = registration.records[service.name].hash, registration.ports[service.name]
        made = own(service, hash_, ports, _env_files(context, service), beaten_by)
        environment = {**shared, **made} if service.expand or service.policy.listen else NOTHING
        service = _with_paths(service, project.root, environment)  # noqa: PLW2901
        argv = words(service.command, service.policy, environment if service.expand else None)
        launches.append(Launch(service, hash_, argv, made, shared, ports))
    return tuple(launches)


def _with_paths(service: Service, root: str, environment: Mapping[str, str]) -> Service:
    """`service` with the paths of its unix sockets as they are: variables replaced, relative to `root`.

    DevportError where a path begins with a variable that is not set: it would begin with the root folder.
    """
    if not service.policy.listen:
        return service
    listens = []
    for one in service.policy.listen:
        if not one.kind.startswith("unix"):
            listens.append(one)
            continue
        first = leading_variable(one.address)
        if first and not environment.get(first):
            where = f"cannot listen on {printable(one.address)} for {service.name}"
            raise DevportError(f"{where}: {first} is not set")
        [address] = expand((one.address,), environment)
        listens.append(one._replace(address=os.path.join(root, address)))
    return service._replace(policy=service.policy._replace(listen=tuple(listens)))


def _env_files(context: Context, service: Service) -> Mapping[str, str]:
    if not service.env_files:
        return NOTHING
    said, warnings = read_env_files(context, service.env_files)
    for warning in warnings:
        context.say(f"devport: warning: {warning}")
    return said
