"""Who leads the trees of a run, in memory that a guardian shares with the child it guards.

Where orphans do not become children of the guardian (no subreaper), this is how it knows what a supervisor
that was killed has left. Global like the signal handlers: there is one guardian to a process.
"""

import os
import struct
from typing import TYPE_CHECKING

from devport.encoding import decode, encode

if TYPE_CHECKING:
    import mmap

WORD = os.urandom(8).hex()
"""Of this run, its guardian included: no other devport marks what it starts with the same."""
_SLOT = struct.Struct("=i60s")
_BYTES = 256 << 10  # 4,096 leaders; more are not noted
_FREE = (0, b"")
_memory: "mmap.mmap | None" = None


def share() -> None:
    """From now on, and in what is forked from here, leaders are noted."""
    global _memory  # noqa: PLW0603 - see above
    import mmap  # noqa: PLC0415 - only where there is no subreaper

    _memory = mmap.mmap(-1, _BYTES)


def enter(leader: int, token: str) -> None:
    """The process `leader`, whose tree carries `token`, is the run's; no-op where nobody shares."""
    _put(0, (leader, encode(token)))


def leave(leader: int) -> None:
    """Its tree is empty, and its number may be used by others."""
    _put(leader, _FREE)


def leaders() -> dict[int, str]:
    """Those that were entered and have not left, with their tokens."""
    if _memory is None:
        return {}
    slots = _SLOT.iter_unpack(_memory[:])
    return {pid: decode(token.rstrip(b"\0")) for pid, token in slots if pid > 1}


def _put(old: int, new: tuple[int, bytes]) -> None:
    if _memory is None:
        return
    for at in range(0, _BYTES, _SLOT.size):
        if _SLOT.unpack_from(_memory, at)[0] == old:
            _SLOT.pack_into(_memory, at, *new)
            return
