"""Who waits for whom, and who belongs together: cycles, groups, who starts with whom, the order of a stop.

Pure. An edge is a Dependency of `policy.after`; it names an entry, or one instance of a run (`bind`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, get_args

from devport.errors import UsageError, nearest
from devport.model import Dependency, Service

SHOWN = 20
"""Entries of a cycle that a message names."""
MARK = "@"
Groups = Mapping[str, tuple[str, ...]]
Mode = Literal["before", "after", "all", "single"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""Which others start with those that are meant: before, what they need; after, what needs them; all, both
(and what the latter need); single, none."""


def circle(entries: Sequence[str]) -> str:
    """What `cycle` found, for a message."""
    shown = entries if len(entries) <= SHOWN else (*entries[:3], "...", *entries[-3:])
    return " -> ".join(shown) + (" wait for each other" if len(entries) > 2 else " waits for itself")  # noqa: PLR2004


def cycle(services: Sequence[Service]) -> tuple[str, ...]:
    """Entries that wait for each other, the first one once more at the end; empty where there are none."""
    needs = {service.entry: [one.name for one in service.policy.after] for service in services}
    done: set[str] = set()
    for entry in needs:
        if found := _cycle_from(entry, needs, done):
            return found
    return ()


def _cycle_from(entry: str, needs: Mapping[str, Sequence[str]], done: set[str]) -> tuple[str, ...]:
    """A cycle reached from `entry`; `done` gets what is on none. No recursion: chains are long."""
    way = {entry: iter(needs[entry])}
    while way and entry not in done:
        last = next(reversed(way))
        for name in way[last]:
            if name in way:
                names = list(way)
                return (*names[names.index(name) :], name)
            if name in needs and name not in done:
                way[name] = iter(needs[name])
                break
        else:
            done.add(last)
            del way[last]
    return ()


def closure(services: Sequence[Service], roots: Iterable[str], mode: Mode) -> tuple[Service, ...]:
    """The entries that start when `roots` do, in file order, each with the dependencies that then count.

    What is not to start by itself (`enable`) is left out unless it is one of `roots`, and with it what
    only it needs: who waits for it waits until somebody starts it. In the modes `single` and `after` what
    was left out is not waited for.
    """
    wanted = reach(services, roots, mode)
    found = [service for service in services if service.entry in wanted]
    if mode in {"before", "all"}:
        return tuple(found)
    left_out = {service.entry for service in services} - wanted
    return tuple(without(service, left_out) for service in found)


def reach(services: Sequence[Service], roots: Iterable[str], mode: Mode) -> set[str]:
    """The names of the entries that `closure` has."""
    wanted = set(roots)
    if mode in {"after", "all"}:
        dependents: dict[str, list[str]] = {}
        for service in services:
            for one in service.policy.after:
                dependents.setdefault(one.name, []).append(service.entry)
        _spread(wanted, dependents, services)
    if mode in {"before", "all"}:
        _spread(
            wanted,
            {service.entry: [one.name for one in service.policy.after] for service in services},
            services,
        )
    return wanted


def _spread(wanted: set[str], edges: Mapping[str, Sequence[str]], services: Sequence[Service]) -> None:
    """Add to `wanted` what `edges` lead to, except what only starts when it is named."""
    able = {service.entry for service in services if service.enable != "false"}
    open_ = list(wanted)
    while open_:
        for name in edges.get(open_.pop(), ()):
            if name in able and name not in wanted:
                wanted.add(name)
                open_.append(name)


def without(service: Service, left_out: Collection[str]) -> Service:
    """`service`, not waiting for `left_out`."""
    after = tuple(one for one in service.policy.after if one.name not in left_out)
    if len(after) == len(service.policy.after):
        return service
    return service._replace(policy=service.policy._replace(after=after))


def started(services: Iterable[Service]) -> tuple[str, ...]:
    """The entries that a plain start means: the services that start by themselves; tasks come if needed."""
    return tuple(one.entry for one in services if one.enable != "false" and not one.policy.task)


def members(names: Iterable[str], groups: Groups, option: str = "") -> tuple[str, ...]:
    """`names` with each `@GROUP` replaced by its entries, none twice.

    UsageError for a group that there is not; `option` is where the names were given, empty for the words
    of the command line itself.
    """
    found: list[str] = []
    for name in names:
        if not name.startswith(MARK):
            found.append(name)
            continue
        group = name.removeprefix(MARK)
        if group not in groups:
            there = f" (there is {', '.join(groups)})" if groups else " (there are none)"
            hint = nearest(group, groups) or there
            where = f"use {option}" if option else f"find {name}"
            raise UsageError(f"cannot {where}: no group is called {group}{hint}")
        found.extend(groups[group])
    return tuple(dict.fromkeys(found))


def bind(services: Sequence[Service]) -> tuple[Service, ...]:
    """The instances of a run, each waiting for every instance in it of what its entry waits for.

    A dependency on an entry that the run does not have keeps the entry's name.
    """
    if not any(service.policy.after for service in services):
        return tuple(services)
    instances: dict[str, list[str]] = {}
    for service in services:
        instances.setdefault(service.entry, []).append(service.name)
    return tuple(_bound(service, instances) for service in services)


def _bound(service: Service, instances: Mapping[str, Sequence[str]]) -> Service:
    if not service.policy.after:
        return service
    after: dict[Dependency, None] = {}
    for one in service.policy.after:
        for name in instances.get(one.name, (one.name,)):
            after[one._replace(name=name)] = None
    return service._replace(policy=service.policy._replace(after=tuple(after)))


def levels(services: Sequence[Service]) -> tuple[tuple[Service, ...], ...]:
    """`services` in steps: each waits only for those of earlier steps. A stop goes through them backwards.

    Dependencies on others do not count; they name entries or instances. `config` has refused cycles.
    """
    meant: dict[str, set[str]] = {}
    for service in services:
        meant.setdefault(service.entry, set()).add(service.name)
        meant.setdefault(service.name, set()).add(service.name)
    waits = {
        service.name: set().union(*(meant.get(one.name, ()) for one in service.policy.after))
        for service in services
    }
    found: list[tuple[Service, ...]] = []
    left = list(services)
    while left:
        names = {service.name for service in left}
        step = tuple(service for service in left if not waits[service.name] & names) or tuple(left)
        found.append(step)
        done = {service.name for service in step}
        left = [service for service in left if service.name not in done]
    return tuple(found)
