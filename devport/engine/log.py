"""What a background service printed, in a file that never grows beyond its bounds.

`PATH`, then `PATH.1` (younger) to `PATH.3`: whole chunks, bytes as they came, colours included. A disk
that is full costs the bytes that did not fit, one notice, and nothing else. Beside each file, as
`PATH.times` and `PATH.1.times`, stands when its bytes were written.
"""

import os
import time
from collections.abc import Callable

from devport.engine.pace import Pace
from devport.registry import files

LIMIT = 10 << 20
"""Bytes after which a new file is begun."""
KEPT = 3
"""Old files that are kept."""
MARKS_LIMIT = 256 << 10
"""Bytes of marks after which some are given up: 8 minutes of output without a pause."""


def times_path(path: str) -> str:
    """Where the marks of time of the log file `path` are."""
    return f"{path}.times"


class Log:
    """Appends to `path` (mode 0600); `trouble` is called with the reason when writing first fails."""

    def __init__(
        self,
        path: str,
        trouble: Callable[[str], None],
        wall: Callable[[], float] = time.time,
        *,
        limit: int = LIMIT,
        kept: int = KEPT,
    ) -> None:
        self.path, self.trouble, self.limit, self.kept = path, trouble, limit, kept
        self._marks = Marks(path, wall)
        self._told = False
        self._size = 0
        self._descriptor: int | None = None

    def write(self, data: bytes) -> None:
        """Append `data`; a failure is told once, and the next write tries again."""
        try:
            if self._descriptor is None:
                self._open()
            elif self._size + len(data) > self.limit and self._size:
                self._rotate()
            assert self._descriptor is not None
            self._marks.mark(self._descriptor)  # first: who sees the bytes can see their time
            self._append(data)
            self._told = False
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            self.trouble(f"cannot write {self.path}: {error.strerror}")

    def _open(self) -> None:
        self._descriptor = files.open_own(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._size = os.fstat(self._descriptor).st_size

    def _append(self, data: bytes) -> None:
        assert self._descriptor is not None
        left = memoryview(data)
        while left:
            written = os.write(self._descriptor, left)
            self._size += written
            left = left[written:]

    def _rotate(self) -> None:
        """Begin a new file; where the old one cannot be moved away, its content goes: bounds come first."""
        assert self._descriptor is not None
        try:
            for number in range(self.kept, 0, -1):
                younger = f"{self.path}.{number - 1}" if number > 1 else self.path
                if os.path.exists(younger):
                    os.replace(younger, f"{self.path}.{number}")
                    _move_times(younger, f"{self.path}.{number}")
        except OSError as error:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            self._marks.close()
            self._tell(error)
            return
        self.close()
        self._open()

    def close(self) -> None:
        """The file stays."""
        self._marks.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Marks:
    """When the bytes of the log `path` were written: lines `OFFSET SECONDS` in a file beside it.

    From byte OFFSET on, up to the next mark, they came at SECONDS since the epoch; where much comes, up to
    1/20 s after. What keeps a mark from being written costs that mark, and nobody is told.
    """

    def __init__(self, path: str, wall: Callable[[], float], *, limit: int = MARKS_LIMIT) -> None:
        self.path, self.wall, self.limit = times_path(path), wall, limit
        self._descriptor: int | None = None
        self._size = 0
        self._pace = Pace()
        self._offset = 0  # where the last mark was made
        self._begins = True  # the next bytes are marked in any case

    def mark(self, log: int) -> None:
        """What is appended to the descriptor `log` next comes now; not noted if that was done too often."""
        now = self.wall()
        if not self._pace.due(now) and not self._begins:
            return
        self._begins = False  # even if it fails: a disk in trouble is not tried with every chunk
        try:
            self._append(os.fstat(log).st_size, now)
        except OSError:
            pass

    def _append(self, offset: int, now: float) -> None:
        descriptor = self._open()
        if offset == 0 or offset < self._offset:  # the log was emptied, or is a new one
            os.ftruncate(descriptor, 0)
            self._size = 0
        elif self._size > self.limit:
            self._thin(descriptor)
        self._offset = offset
        line = b"%d %.6f\n" % (offset, now)
        if os.write(descriptor, line) == len(line):
            self._size += len(line)
        else:
            os.ftruncate(descriptor, self._size)  # the next mark would continue half a line

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = files.open_own(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            self._size = os.fstat(self._descriptor).st_size
        return self._descriptor

    def _thin(self, descriptor: int) -> None:
        """Give up every second mark of the older half: the older the output, the less exact is its time."""
        lines = os.pread(descriptor, self._size, 0).splitlines(keepends=True)
        half = len(lines) // 2
        os.ftruncate(descriptor, 0)
        self._size = 0
        self._size = os.write(descriptor, b"".join(lines[:half:2] + lines[half:]))

    def close(self) -> None:
        """The file stays; the next bytes are marked, in the file that is in its place by then."""
        self._offset, self._begins = 0, True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _move_times(younger: str, older: str) -> None:
    """The marks of a log file that was moved go with it; wrong ones are worse than none."""
    try:
        os.replace(times_path(younger), times_path(older))
    except OSError:
        try:
            os.unlink(times_path(older))
        except OSError:
            pass
