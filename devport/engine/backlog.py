"""The last of what a service printed, for whoever asks later: bytes, bounded, lines known by their LF.

Pure. `total` counts everything ever added, so that a position in the output means something even
after its bytes are gone.
"""

LIMIT = 64 << 10


class Backlog:
    """At least the last `limit` bytes, and never more than twice as many."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.total = 0
        self._held = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take in `chunk`; copies `limit` bytes of it at most."""
        self.total += len(chunk)
        if len(chunk) >= self.limit:
            self._held = bytearray(memoryview(chunk)[-self.limit :])
            return
        self._held += chunk
        if len(self._held) > 2 * self.limit:  # and not each time: cutting costs a copy of the rest
            del self._held[: -self.limit]

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
