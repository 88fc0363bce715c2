"""The last of what a service printed, for whoever asks later: bytes, bounded, lines known by their LF.

`total` counts everything ever added, so that a position in the output means something even after its
bytes are gone. When the bytes came is known too, of what is old or was much at once less exactly.
"""

import time
from collections.abc import Callable

from devport.engine.pace import Pace

LIMIT = 64 << 10
MARKS = 256
"""Marks of time that are kept."""


class Backlog:
    """At least the last `limit` bytes, and never more than twice as many."""

    def __init__(self, limit: int = LIMIT, wall: Callable[[], float] = time.time) -> None:
        self.limit, self.wall = limit, wall
        self.total = 0
        self._held = bytearray()
        self._pace = Pace()
        self._marks: list[tuple[int, float]] = []  # from this position on: when it came

    def add(self, chunk: bytes) -> None:
        """Take in `chunk`; copies `limit` bytes of it at most."""
        now = self.wall()
        if self._pace.due(now):
            self._mark(now)
        self.total += len(chunk)
        if len(chunk) >= self.limit:
            self._held = bytearray(memoryview(chunk)[-self.limit :])
            return
        self._held += chunk
        if len(self._held) > 2 * self.limit:  # and not each time: cutting costs a copy of the rest
            del self._held[: -self.limit]

    def _mark(self, now: float) -> None:
        if len(self._marks) >= MARKS:
            begin = self.total - len(self._held)
            del self._marks[: sum(position <= begin for position, _ in self._marks) - 1]
        if len(self._marks) >= MARKS:
            del self._marks[1 : MARKS // 2 : 2]  # the older, the less exact
        self._marks.append((self.total, now))

    def times(self, length: int) -> list[tuple[int, float]]:
        """When the last `length` bytes came: from which of them on, and seconds since the epoch."""
        begin = self.total - length
        marks = {max(0, position - begin): round(seconds, 6) for position, seconds in self._marks}
        return list(marks.items())

    def since(self, position: int) -> bytes:
        """What is still there from `position` on, counted as `total` counts."""
        return bytes(self._held[max(0, position - (self.total - len(self._held))) :])

    def tail(self, lines: int | None = None, most: int | None = None) -> bytes:
        """The last `lines` lines (None: all there are) in at most `most` bytes; an unfinished one counts."""
        most = self.limit if most is None else min(most, self.limit)
        data = bytes(self._held[-most:])
        if len(data) < self.total:  # the first line has lost its beginning
            data = data[data.find(b"\n", 0, -1) + 1 :]
        if lines is None:
            return data
        cut = len(data) - data.endswith(b"\n")
        for _ in range(lines):
            cut = data.rfind(b"\n", 0, cut)
            if cut < 0:
                return data
        return data[cut + 1 :]
