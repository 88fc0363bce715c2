"""Which entries run, and how often: names, `--except`, `-c` and `-m` to instances.

Pure: services in, services out. What an instance is called is decided here, what it is identified by is
not. For the registry: instance 0 keeps the identity and the port of its entry whatever it is called
(`web` or `web.1`); instance n > 0 is identified as the entry `ENTRY.n+1` (`web.2`, `web.3`...).
"""

import re
from collections.abc import Mapping, Sequence

from devport.errors import UsageError, nearest
from devport.model import Service

MOST = 500
ALL = "all"
ONE_OFF = "release"  # Heroku's one-off step before a deployment: never part of a plain start


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
) -> tuple[tuple[Service, ...], tuple[str, ...]]:
    """The instances to run, in file order, and notices about entries that were left out.

    `services` are the entries of the project. `concurrency` (-c): unlisted ones run once. `formation`
    (-m): unlisted ones run as `all` says, without it not at all, unless `names` has them: then once.
    """
    if concurrency is not None and formation is not None:
        raise UsageError("cannot use -c and -m together: both say how many of each run")
    given = dict(concurrency if concurrency is not None else formation or {})
    default = given.pop(ALL, 1 if names else 0) if formation is not None else 1
    check_names(names, services, "")
    check_names(except_, services, "--except")
    check_names(tuple(given), services, "-c" if concurrency is not None else "-m")
    counts: dict[str, int] = {}
    notices: list[str] = []
    for entry in (service.entry for service in services):
        chosen = entry not in except_ and (not names or entry in names)
        counts[entry] = given.get(entry, default) if chosen else 0
        if entry == ONE_OFF and counts[entry] and entry not in names and entry not in given:
            counts[entry] = 0
            notices.append(f"{ONE_OFF} is not started: it runs only when it is named")
    _check_instances(services, counts)
    selected = tuple(instance for service in services for instance in _instances(service, counts))
    if not selected:
        why = "; ".join(notices) or "the names and numbers given leave nothing"
        raise UsageError(f"nothing to run: {why}")
    return selected, tuple(notices)


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
