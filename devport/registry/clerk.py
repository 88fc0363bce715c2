"""What the record of each service says from now on: new, changed, taken over, or left as it is.

The record of a running service says what runs, so it stays as it is; so does that of another project's
key, unless this project wants to run it now. It knows nothing of locks but whether they are held.
"""

import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from devport.encoding import printable
from devport.errors import DevportError
from devport.registry.identity import describe, hashid, key_of, name_of
from devport.registry.locks import held
from devport.registry.ports import ephemeral
from devport.registry.record import Record, utc

if TYPE_CHECKING:
    from devport.model import Project, Service
    from devport.registry.locks import Holder
    from devport.registry.reservation import Reservations
    from devport.registry.snapshot import Snapshot
    from devport.registry.store import Store

# Registered, not yet running: until its lock is taken, nobody may find its port long unused and take it.
REFRESH_AFTER = 86400.0


class Entry(NamedTuple):
    """A service to be registered; `asked` when it is to run, not merely to be known to the others."""

    service: "Service"
    hash: str
    asked: bool


class Clerk:
    """Decides on one record after the other, then writes what is new or changed; `now` is since the epoch."""

    def __init__(
        self, store: "Store", snapshot: "Snapshot", ports: "Reservations", project: "Project", now: float
    ) -> None:
        self.records: dict[str, Record] = {}
        self.notices: list[str] = []
        self.snapshot = snapshot
        self._store, self._ports, self._project, self._now = store, ports, project, now
        self._known = [*snapshot.records, *snapshot.unreadable]

    def enter(self, entry: Entry, *, strict: bool, moving: bool) -> None:
        """Decides what the record of `entry` is from now on; `moving` gives it new ports."""
        old = self.snapshot.records.get(entry.hash)
        new = self._declared(entry, old, moving=moving) if old else self._first(entry)
        if new is not None:
            try:
                new = self._ports.assign(new, entry.service, strict=strict, moving=moving)
            except DevportError as error:
                if entry.asked:
                    raise
                self.notices.append(error.message)  # it does not run now: no reason to stop the others
            self._warn(new, old.reserved if old else ())
        self.records[entry.hash] = new or self.snapshot.records[entry.hash]

    def _warn(self, new: Record, had: Collection[int]) -> None:
        given = [port for port in new.reserved if port not in had]
        risky = ephemeral() if given else range(0)
        if found := [str(port) for port in given if port in risky]:
            self.notices.append(
                f"port {', '.join(found)} of {describe(new)}: any program may have it by chance, because the"
                f" system gives {risky[0]}-{risky[-1]} to outgoing connections"
            )

    def _first(self, entry: Entry) -> Record:
        """The first record of a service, with the ports of a damaged one if those can still be read."""
        service, torn = entry.service, self.snapshot.unreadable.get(entry.hash)
        short = hashid(entry.hash, self._known)
        self._known.append(entry.hash)
        record = Record(entry.hash, short, tailnet=service.tailnet, last_up=utc(self._now))
        record = self._with_declaration(record, service)
        if torn is None:
            return record
        if torn.newer:
            raise DevportError(f"cannot register {service.name}: {torn.why}")
        record = self._ports.restore(record, service, torn.ports)
        kept = f"port {record.port} stays" if record.port else "its port could not be recovered"
        self.notices.append(f"{torn.why}; {service.name} gets a new record, {kept}, the old file is kept")
        return record

    def _declared(self, entry: Entry, old: Record, *, moving: bool) -> Record | None:
        """`old` with what the file says now; None if it stays as it is, running or somebody else's."""
        service, holder = entry.service, self._holder(entry.hash)
        foreign = self._is_foreign(service, old)
        if holder and foreign and entry.asked:
            raise DevportError(self._clash(service, old, holder))
        if holder and moving:
            raise DevportError(f"cannot reassign {service.name}: it is running ({holder})")
        if holder or (foreign and not entry.asked):
            return None
        if foreign and "url" in old.extra:
            raise DevportError(
                f"cannot start {service.name}: key {old.key} is on the tailnet as {describe(old)}"
                f" (devport taildown {old.key} takes it off)"
            )
        if foreign:
            was, now = (printable(" ".join(words)) for words in (old.cmd or (), service.command))
            self.notices.append(
                f"key {old.key} goes from {describe(old)} ({was}) to {self._here(service)} ({now})"
            )
            old = old._replace(env=(), tailnet=False, state="", error="")
        # Our own stamps sort as text; one that does not is refreshed too, which costs nothing.
        if not utc(self._now - REFRESH_AFTER) <= old.last_up <= utc(self._now + REFRESH_AFTER):
            old = old._replace(last_up=utc(self._now))
        # `tailup` may have switched it on since; the file's silence does not switch it off.
        return self._with_declaration(old, service)._replace(tailnet=old.tailnet or service.tailnet)

    def _holder(self, hash_: str) -> "Holder | None":
        holder = held(self._store.lock_path(hash_))
        return None if holder and holder.pid == os.getpid() else holder

    def _is_foreign(self, service: "Service", record: Record) -> bool:
        """Whether the record (of the same key) is another service's: neither this entry nor this command."""
        same_entry = bool(service.entry) and (record.project, record.entry) == (
            self._project.root,
            service.entry,
        )
        return not same_entry and (record.cwd, record.cmd) != (service.cwd, service.command)

    def _clash(self, service: "Service", record: Record, holder: "Holder") -> str:
        return (
            f"cannot start {service.name}: key {record.key} is running already as {describe(record)}"
            f" ({printable(' '.join(record.cmd or ()))}), {holder}; this one is {self._here(service)}"
            f" ({printable(' '.join(service.command))})"
        )

    def _here(self, service: "Service") -> str:
        return printable(f"{service.name} in {self._project.root if service.entry else service.cwd}")

    def _with_declaration(self, record: Record, service: "Service") -> Record:
        project = self._project
        return record._replace(
            key=key_of(service),
            project=project.root if service.entry else None,
            name=name_of(service),
            entry=service.entry,
            file=project.file if service.entry else "",
            port_env=service.port_env,
            expand=service.expand,
            pty=service.pty,
            stop=service.stop,
            restart=service.restart or record.restart,
            interactive=service.interactive,
            description=service.description,
            cwd=service.cwd,
            cmd=service.command,
            no_port=service.no_port,
        )

    def write(self) -> None:
        """Everything decided is on the disk; DevportError if it cannot be."""
        for record in self._ports.reclaimed:
            self._store.remove(record.hash)
            freed = ", ".join(map(str, record.reserved))
            self.notices.append(
                f"port {freed} of {describe(record)}, unused since {record.last_up}, is free again"
            )
        old = self.snapshot.records
        changes = {
            hash_: _merge(old[hash_], new)
            for hash_, new in self.records.items()
            if hash_ in old and new != old[hash_]
        }
        stored = self._store.update_all(changes)
        self.records.update(stored)
        gone = changes.keys() - stored.keys()  # removed by hand meanwhile
        self._store.write(new for hash_, new in self.records.items() if hash_ not in old or hash_ in gone)


def _merge(old: Record, new: Record) -> Callable[[Record], Record]:
    """What was decided from `old`, to be applied to the record of then: a heartbeat may have come between."""
    decided = {
        name: value for name, value, before in zip(Record._fields, new, old, strict=True) if value != before
    }
    return lambda now: now._replace(**decided)  # type: ignore[arg-type]
