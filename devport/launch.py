"""From services to what is executed: ports registered, environments made, words expanded.

What every frame and the `env` and `port` verbs share, so that all tell the same truth. Starts nothing
and takes no lock but the registration's.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from devport.context import Context
from devport.model import BACKGROUND_RESTART, Project, RunOptions, Service
from devport.project.environment import environment, expand
from devport.project.load import read_env_files
from devport.registry.identity import hash_of_command
from devport.registry.locks import held
from devport.registry.record import Record
from devport.registry.register import Registration, register
from devport.registry.store import Store


class Launch(NamedTuple):
    """A service ready to be executed. `ports` by name, the one that is PORT first; empty for none."""

    service: Service
    hash: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    ports: Mapping[str, int]


def prepare(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions
) -> tuple[Launch, ...]:
    """Register `services` (and reserve ports for the whole project) and make each one's environment.

    Notices and warnings go to stderr. DevportError as `register` and the env files have it.
    """
    registration = _register(context, project, services, options)
    return tuple(_launch(context, project, service, registration, options) for service in services)


def enroll(
    context: Context, project: Project, services: Sequence[Service], options: RunOptions
) -> tuple[tuple[Record, ...], dict[str, int]]:
    """Register `services` for the background, with everything that running them again needs.

    Returns their records and, by hash, the PORT of this time where it is not the reserved one. The
    record of a service that runs is left as it is. DevportError as `prepare`.
    """
    services = [_for_background(service, options) for service in services]
    registration = _register(context, project, services, options)
    store = Store(context.state_dir, context.wall)
    launches = [_launch(context, project, service, registration, options) for service in services]
    snapshots = {
        one.hash: tuple(f"{name}={value}" for name, value in one.environment.items())
        for one in launches
        if held(store.lock_path(one.hash)) is None
    }
    stored = store.update_all(
        {hash_: lambda old, env=env: old._replace(env=env) for hash_, env in snapshots.items()}  # type: ignore[misc]
    )
    records = registration.records
    ports = {one.hash: next(iter(one.ports.values()), None) for one in launches}
    return (
        tuple(stored.get(one.hash, records[one.service.name]) for one in launches),
        {hash_: port for hash_, port in ports.items() if port and options.base is not None},
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
    made = environment(service, hash_, {}, ports, context.environ, project.env, {}, options.env_wins)
    if "PORT" in project.env:
        made["PORT"] = project.env["PORT"]
    elif "PORT" in context.environ:
        made["PORT"] = context.environ["PORT"]
    del made["PS"]
    return Launch(service, hash_, argv, made, {})


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


def _launch(
    context: Context, project: Project, service: Service, registration: Registration, options: RunOptions
) -> Launch:
    ports = registration.ports[service.name]
    hash_ = registration.records[service.name].hash
    own: Mapping[str, str] = {}
    if service.env_files:
        own, warnings = read_env_files(context, service.env_files)
        for warning in warnings:
            context.say(f"devport: warning: {warning}")
    made = environment(
        service, hash_, ports, registration.ports, context.environ, project.env, own, options.env_wins
    )
    argv = expand(service.command, made) if service.expand else service.command
    return Launch(service, hash_, argv, made, ports)
