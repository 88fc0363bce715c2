"""Every service of a project gets its record and its ports, once and for ever, one process at a time.

All of it happens under register.lock in one pass: read every record, decide, write what changed. It
knows which services there are and which numbers they use; `clerk` knows what their records say.
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from devport.encoding import printable
from devport.errors import UsageError, nearest
from devport.registry import ports as port_rules
from devport.registry.clerk import Clerk, Entry
from devport.registry.fields import MAX_PORT
from devport.registry.identity import hash_of
from devport.registry.locks import held, last_begun, register_lock
from devport.registry.record import Record
from devport.registry.reservation import Reservations

if TYPE_CHECKING:
    from devport.context import Context
    from devport.model import Project, Service
    from devport.registry.store import Store


class Registration(NamedTuple):
    """What came of it, by service: an instance's name (`web.1`) as well as its entry's (`web`).

    `ports` holds what is to be used now, the one that is PORT first, under its declared name or under
    "" for a service that declares none; it is empty for one without a port. `notices` are sentences.
    """

    records: dict[str, Record]
    ports: dict[str, dict[str, int]]
    notices: tuple[str, ...]


def register(
    context: "Context",
    store: "Store",
    project: "Project",
    services: Sequence["Service"],
    *,
    strict: bool | None = None,
    reassign: Collection[str] = (),
    base: int | None = None,
    is_free: Callable[[int], bool] = port_rules.is_free,
) -> Registration:
    """Records and ports of every entry of `project` and of the instances in `services`, which are to run.

    A reserved port stays, whatever else changes. `strict` refuses any port but the one asked for (None:
    as the project says), `reassign` names services that get a new one, `base` asks for foreman's
    numbers for this time only. UsageError for impossible numbers and identities, DevportError for a key
    that runs elsewhere, for exhausted ports and for a state folder that cannot be written.
    """
    entries = _entries(project, services)
    _check_names(reassign, entries)
    numbers = {} if base is None else _numbers(entries, base)
    strict = bool(project.strict_ports) if strict is None else strict
    among = port_rules.pool(context.environ, project.port_range)
    with register_lock(store, context):
        store.sweep()
        snapshot = store.records()
        reservations = Reservations(
            snapshot,
            among,
            {entry.hash for entry in entries},
            is_free=is_free,
            is_used=lambda hash_: _is_used(store.lock_path(hash_)),
            now=context.wall(),
            uid=os.getuid(),
        )
        clerk = Clerk(store, snapshot, reservations, project, context.wall())
        for entry in entries:
            moving = not {entry.service.name, entry.service.entry}.isdisjoint(reassign)
            clerk.enter(entry, strict=strict, moving=moving)
        clerk.write()
    return _registration(project, [*project.services, *services], clerk, numbers)


def _is_used(path: str) -> bool:
    """Whether the lock at `path` is held, or was by who has begun within UNUSED_FOR as the kernel counts.

    The clock that people set may have jumped ahead by a month.
    """
    if held(path) is not None:
        return True
    age = last_begun(path)
    return age is not None and age < port_rules.UNUSED_FOR


def _entries(project: "Project", services: Sequence["Service"]) -> list[Entry]:
    """One for each record, in the file's order, so that a first registration's ports read as the file does.

    UsageError when two services would share one.
    """
    found: dict[str, Entry] = {}
    asked = [(service, True) for service in services]
    for service, is_asked in [*asked, *((service, False) for service in project.services)]:
        entry = Entry(service, hash_of(service, project.root), is_asked)
        other = found.setdefault(entry.hash, entry).service
        if (other.entry, other.instance) != (service.entry, service.instance):
            key = f" (key {service.key})" if service.key else ""
            raise UsageError(
                f"cannot tell {service.name} from {other.name}{key}: they would share one identity and port"
            )
    return sorted(found.values(), key=lambda entry: (entry.service.position, entry.service.instance))


def _check_names(names: Iterable[str], entries: Sequence[Entry]) -> None:
    known = {name for entry in entries for name in (entry.service.name, entry.service.entry)}
    for name in names:
        if name not in known:
            raise UsageError(f"cannot reassign {printable(name)}: no such service{nearest(name, known)}")


def _numbers(entries: Iterable[Entry], base: int) -> dict[str, int]:
    """Foreman's number of each service, by hash; UsageError when one that is to run has none."""
    numbers = {}
    for service, hash_, is_asked in entries:
        number = base + 100 * service.position + service.instance
        if 1 <= number <= MAX_PORT:
            numbers[hash_] = number
        elif is_asked and not service.no_port:
            raise UsageError(f"cannot give {service.name} port {number}: ports are 1 to {MAX_PORT}")
    return numbers


def _registration(
    project: "Project", services: Iterable["Service"], clerk: Clerk, numbers: dict[str, int]
) -> Registration:
    records: dict[str, Record] = {}
    ports: dict[str, dict[str, int]] = {}
    for service in services:
        record = clerk.records[hash_of(service, project.root)]
        records[service.name] = record
        ports[service.name] = _used(service, record, numbers.get(record.hash))
    here = clerk.records
    strangers = [text for hash_, text in clerk.snapshot.warnings.items() if hash_ not in here]
    return Registration(records, ports, (*strangers, *clerk.notices))


def _used(service: "Service", record: Record, number: int | None) -> dict[str, int]:
    """The ports that `service` uses now; `number` is PORT instead of the reserved one."""
    if service.no_port:
        return {}
    if not service.ports:
        port = number or record.port
        return {"": port} if port else {}
    used = {
        request.name: record.ports[request.name] for request in service.ports if request.name in record.ports
    }
    return {**used, service.ports[0].name: number} if number else used
