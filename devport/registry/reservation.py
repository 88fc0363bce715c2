"""Which ports a service gets: the ones it has, as long as they are what it asks for, else new ones.

It decides for one registration, over everything that is reserved at that moment; it writes nothing.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from devport.encoding import printable
from devport.errors import DevportError
from devport.registry import ports
from devport.registry.identity import describe

if TYPE_CHECKING:
    from devport.model import PortRequest, Service
    from devport.registry.record import Record
    from devport.registry.snapshot import Snapshot


class Reservations:
    """Every reserved port, and giving out the next one.

    `among` is the pool, and `uid` whose; `is_used` tells whether a hash runs or has run lately, `now` is
    seconds since the epoch. `reclaimed` are the records that lose their reservation, none of them in
    `ours` (hashes).
    """

    def __init__(
        self,
        snapshot: "Snapshot",
        among: range,
        ours: Collection[str],
        *,
        is_free: Callable[[int], bool],
        is_used: Callable[[str], bool],
        now: float,
        uid: int = 0,
    ) -> None:
        self.reclaimed: list[Record] = []
        self._records = snapshot.records
        self._taken = snapshot.ports()
        self._among, self._uid = among, uid
        self._busy: dict[int, bool] = {}
        self._ask = is_free
        others = [record for hash_, record in snapshot.records.items() if hash_ not in ours]
        self._stale = ports.reclaimable(others, among, now, is_used)

    def assign(self, record: "Record", service: "Service", *, strict: bool, moving: bool) -> "Record":
        """`record` with the ports that `service` asks for; `moving` gives it others than it has.

        A port that it asks for no longer stays reserved, so that asking again gives it back, but one
        that is outside what is asked for now goes. DevportError if there is none to be had.
        """
        if service.no_port:
            return record._replace(no_port=True)
        if not service.ports:
            port = record.port
            if port is None or moving:
                port = self._next(service, record.hash)
            return record._replace(no_port=False, port=port)
        named = dict(record.ports)
        if record.port and not named:
            named[service.ports[0].name] = record.port
        for request in service.ports:
            had = named.get(request.name)
            if had is None or moving or not _fits(had, request, strict=strict):
                named[request.name] = self._find(service, record.hash, request, strict=strict)
        return record._replace(no_port=False, port=named[service.ports[0].name], ports=named)

    def restore(self, record: "Record", service: "Service", salvaged: Collection[int]) -> "Record":
        """`record` with those of the `salvaged` ports (PORT first) that no other record has."""
        mine = [port for port in salvaged if self._taken.get(port) == record.hash]
        named = dict(zip((request.name for request in service.ports), mine, strict=False))
        return record._replace(port=mine[0] if mine else None, ports=named)

    def _find(self, service: "Service", hash_: str, request: "PortRequest", *, strict: bool) -> int:
        if request.base is None:
            return self._next(service, hash_)
        limit = 1 if strict else ports.SEARCH_LIMIT
        port = ports.search(request.base, self._taken, self._is_free, limit)
        if port is not None:
            return self._take(port, hash_)
        if strict:
            raise DevportError(
                f"cannot give {service.name} port {request.base}: it is {self._whose(request.base)}"
            )
        last = request.base + limit - 1
        raise DevportError(f"cannot give {service.name} a port: {request.base} to {last} are all taken")

    def _next(self, service: "Service", hash_: str) -> int:
        port = ports.allocate(self._taken, ports.order(self._among, self._uid), self._is_free)
        if port is None:
            port = self._reclaim()
        if port is not None:
            return self._take(port, hash_)
        raise DevportError(
            f"cannot give {service.name} a port: {self._among[0]}-{self._among[-1]} are all taken;"
            " devport rm frees those of a service, DEVPORT_PORT_RANGE=LOW-HIGH names other ports"
        )

    def _reclaim(self) -> int | None:
        for record in self._stale:
            found = [port for port in record.reserved if port in self._among and self._is_free(port)]
            if found:
                self.reclaimed.append(record)
                for port in record.reserved:
                    self._taken.pop(port, None)
                return found[0]
        return None

    def _take(self, port: int, hash_: str) -> int:
        self._taken[port] = hash_
        return port

    def _is_free(self, port: int) -> bool:
        if port not in self._busy:
            self._busy[port] = not self._ask(port)
        return not self._busy[port]

    def _whose(self, port: int) -> str:
        if hash_ := self._taken.get(port):
            record = self._records.get(hash_)
            return f"reserved for {describe(record) if record else printable(hash_)}"
        from devport.registry.owner import STRANGER, program  # noqa: PLC0415 - only on the way to an error

        return f"in use by {program(port) or STRANGER}"


def _fits(port: int, request: "PortRequest", *, strict: bool) -> bool:
    if request.base is None:
        return True
    return request.base <= port < request.base + (1 if strict else ports.SEARCH_LIMIT)
