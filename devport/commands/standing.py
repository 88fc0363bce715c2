"""What of a project runs already, and which tasks have to run again."""

from collections.abc import Iterable, Mapping, Sequence

from devport.context import Context
from devport.model import Project, Service
from devport.project import graph
from devport.registry.identity import hash_of
from devport.registry.locks import Holder, held
from devport.registry.store import Store


def running(context: Context, project: Project, services: Iterable[Service]) -> dict[str, Holder]:
    """Who runs those of `services` that run, in the background or in some terminal, by name."""
    store = Store(context.state_dir, context.wall)
    holders = {one.name: held(store.lock_path(hash_of(one, project.root))) for one in services}
    return {name: holder for name, holder in holders.items() if holder is not None}


def due(
    context: Context, project: Project, services: tuple[Service, ...], names: Sequence[str]
) -> tuple[Service, ...]:
    """`services` without the tasks that are there only for services that run already.

    Those that `names` (of the command line) mean stay.
    """
    if not any(one.policy.task for one in services):
        return services
    wanted = {name.partition("@")[0] for name in graph.members(names, project.groups)}
    return without_done(services, wanted, running(context, project, services))


def without_done(
    services: tuple[Service, ...], wanted: set[str], runs: Mapping[str, object]
) -> tuple[Service, ...]:
    """The same, given the entries that are `wanted` and who `runs`: pure."""
    kept: dict[str, bool] = {}
    for step in reversed(graph.levels(services)):
        for one in step:
            dependents = [other for other in services if _needs(other, one)]
            kept[one.name] = (
                not one.policy.task
                or one.entry in wanted
                or not dependents
                or any(kept[other.name] and other.name not in runs for other in dependents)
            )
    return tuple(one for one in services if kept[one.name])


def _needs(one: Service, other: Service) -> bool:
    return any(dependency.name in {other.name, other.entry} for dependency in one.policy.after)
