"""All records at one moment, and what damaged ones still tell: their ports stay reserved.

Pure: it knows bytes and records, no folder.
"""

import re
from typing import NamedTuple

from devport.registry.fields import MAX_PORT
from devport.registry.record import Record

# Compiled when a damaged record turns up, which is hardly ever. Only what a delimiter follows is whole.
PORT = rb'"port"\s*:\s*(\d{1,5})\s*[,}]'
PORTS = rb'"ports"\s*:\s*\{([^}]*)(\}?)'
NAMED_PORT = rb":\s*(\d{1,5})\s*(?:,|$)"


class Unreadable(NamedTuple):
    """A record file that says nothing certain: the ports its bytes still show, the one called PORT first."""

    ports: tuple[int, ...]
    why: str
    newer: bool = False


class Snapshot(NamedTuple):
    """Every record there is at one moment, and every damaged one, by hash."""

    records: dict[str, Record]
    unreadable: dict[str, Unreadable]

    @property
    def warnings(self) -> dict[str, str]:
        """A complete sentence for each damaged record, by hash."""
        return {hash_: _warning(torn) for hash_, torn in self.unreadable.items()}

    def ports(self) -> dict[int, str]:
        """Every reserved port and the hash it belongs to, damaged records included."""
        taken = {port: hash_ for hash_, torn in self.unreadable.items() for port in torn.ports}
        for record in self.records.values():
            taken.update(dict.fromkeys(record.reserved, record.hash))
        return taken


def salvage(data: bytes) -> tuple[int, ...]:
    """The ports that the bytes of a damaged record still show; a number cut off in the middle is none."""
    found = [int(match[1]) for match in re.finditer(PORT, data)]
    for named in re.finditer(PORTS, data):
        whole = named[1] if named[2] else named[1].rpartition(b",")[0]
        found += [int(match[1]) for match in re.finditer(NAMED_PORT, whole)]
    return tuple(dict.fromkeys(port for port in found if 0 < port <= MAX_PORT))


def _warning(torn: Unreadable) -> str:
    if not torn.ports:
        return f"{torn.why}; no port can be read from it, so none stays reserved; delete it to be rid of it"
    ports = ", ".join(map(str, torn.ports))
    return f"{torn.why}; port {ports} stays reserved"
