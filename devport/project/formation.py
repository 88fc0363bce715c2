"""Which entries run, and how often: names, `--except`, `-c` and `-m` to instances.

Pure: services in, services out. What an instance is called is decided here, what it is identified by is
not. For the registry: instance 0 keeps the identity and the port of its entry whatever it is called
(`web` or `web.1`); instance n > 0 is identified as the entry `ENTRY.n+1` (`web.2`, `web.3`...).
"""

import re
from collections.abc import Mapping, Sequence

from devport.errors import UsageError, nearest
from devport.model import Service
from devport.project import graph

MOST = 500
ALL = "all"
ONE_OFF = "release"  # Heroku's one-off step before a deployment: never part of a plain start

NONE_STARTS = "no service here starts by itself; name one"


def parse_counts(text: str, option: str) -> dict[str, int]:
    """`web=2,worker=3` as a mapping; raises UsageError naming `option`."""
    counts: dict[str, int] = {}
    for item in text.split(","):
        name, equals, number = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise UsageError(f"cannot use {option} {text}: expected NAME=NUMBER, found '{item.strip()}'")
        if name in counts:
            raise UsageError(f"cannot use {option} {text}: {name} is there twice")
        # The length first: int() refuses thousands of digits with an error of its own.
        if not re.fullmatch("[0-9]{1,9}", number) or int(number) > MOST:
            problem = f"expected a number from 0 to {MOST} for {name}, found '{number}'"
            raise UsageError(f"cannot use {option} {text}: {problem}")
        counts[name] = int(number)
    return counts


def check_names(names: Sequence[str], services: Sequence[Service], option: str) -> None:
    """Raise UsageError unless each name is an entry of the project; `option` is where it was given.

    An empty `option` stands for the names of the command line itself.
    """
    known = [service.entry for service in services]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f" (there is {', '.join(known[:10])})"
            where = f"use {option}" if option else f"find {name}"
            raise UsageError(f"cannot {where}: no entry is called {name}{hint}")


def select(
    services: Sequence[Service],
    names: Sequence[str] = (),
    except_: Sequence[str] = (),
    concurrency: Mapping[str, int] | None = None,
    formation: Mapping[str, int] | None = None,
    *,
    mode: graph.Mode = "before",
) -> tuple[tuple[Service, ...], tuple[str, ...]]:
    """The instances to run, in file order, and notices about entries that were left out.

    `services` are the entries of the project. `concurrency` (-c): unlisted ones run once. `formation`
    (-m): unlisted ones run as `all` says, without it not at all, unless `names` has them: then once.
    `mode`: which others come along; what the user leaves out is not waited for. A dependency names
    instances of this run, or an entry that is not in it.
    """
    if concurrency is not None and formation is not None:
        raise UsageError("cannot use -c and -m together: both say how many of each run")
    given = dict(concurrency if concurrency is not None else formation or {})
    default = given.pop(ALL, 1 if names else 0) if formation is not None else 1
    check_names(names, services, "")
    check_names(except_, services, "--except")
    check_names(tuple(given), services, "-c" if concurrency is not None else "-m")
    plain = {service.entry for service in services if _starts(service, names, given)}
    counts = {entry: given.get(entry, default) for entry in plain - {*except_}}
    notices = _leave_out_one_off(counts, names, given)
    dropped = {*except_, *(entry for entry, count in given.items() if count == 0)}
    roots = {entry for entry, count in counts.items() if count}
    able = [graph.without(one, dropped) for one in services if one.entry not in dropped]
    chosen = graph.closure(able, roots, mode)
    counts = {
        one.entry: counts[one.entry] if one.entry in roots else given.get(one.entry, 1) for one in chosen
    }
    _check_instances(services, counts)
    selected = tuple(instance for one in chosen for instance in _instances(one, counts))
    if not selected:
        asked = names or except_ or concurrency is not None or formation is not None
        nothing = "the names and numbers given leave nothing" if asked else NONE_STARTS
        why = "; ".join(notices) or nothing
        raise UsageError(f"nothing to run: {why}")
    return graph.bind(selected), notices


def _starts(service: Service, names: Sequence[str], given: Mapping[str, int]) -> bool:
    """Whether `service` itself is meant: named, or without any names one of those that start anyway."""
    if names:
        return service.entry in names
    return service.entry in given or (service.enable != "false" and not service.policy.task)


def _leave_out_one_off(
    counts: dict[str, int], names: Sequence[str], given: Mapping[str, int]
) -> tuple[str, ...]:
    if not counts.get(ONE_OFF) or ONE_OFF in names or ONE_OFF in given:
        return ()
    del counts[ONE_OFF]
    return (f"{ONE_OFF} is left out: it runs only when it is named",)


def _instances(service: Service, counts: Mapping[str, int]) -> list[Service]:
    count = counts[service.entry]
    if count == 1:
        return [service]
    return [service._replace(name=f"{service.entry}.{n + 1}", instance=n) for n in range(count)]


def _check_instances(services: Sequence[Service], counts: Mapping[str, int]) -> None:
    """Raise UsageError where an instance would be called, and identified, like another entry."""
    for service in services:
        entry, dot, number = service.entry.rpartition(".")
        # 1 counts too: `web.1` is never an identity, but two services would be shown under one name.
        if dot and re.fullmatch("[1-9][0-9]{0,3}", number) and 1 < counts.get(entry, 0) >= int(number):
            problem = f"{service.entry} is an entry of its own"
            raise UsageError(f"cannot run {entry} {counts[entry]} times: {problem}")
