"""What background services printed: the end of their log files, and what is added to them.

A log is PATH, and before it PATH.1 (younger) to PATH.3. It may be rotated while it is read; nothing is
shown twice for it.
"""

import os
from collections.abc import Iterator

from devport.engine.log import KEPT
from devport.registry import files

CHUNK = 64 << 10


class LogFile:
    """The log at `path`, as of now; `close` it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = _open(path)
        self._place = 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def tail(self, lines: int) -> bytes:
        """The last `lines` lines up to now, an unfinished one included."""
        found: list[bytes] = []
        left = lines
        for chunk in self._backwards():
            # The LF at the very end ends the last line and begins none.
            ends = chunk.count(b"\n") - (not found and chunk.endswith(b"\n"))
            if ends >= left:
                found.append(_last(chunk, left + (not found and chunk.endswith(b"\n"))))
                break
            left -= ends
            found.append(chunk)
        return b"".join(reversed(found))

    def _backwards(self) -> Iterator[bytes]:
        if self._descriptor is None:
            return
        yield from _chunks(self._descriptor, self._place)
        own = os.fstat(self._descriptor).st_ino
        for number in range(1, KEPT + 1):
            if (older := _open(f"{self.path}.{number}")) is None:
                return
            try:
                status = os.fstat(older)
                if status.st_ino != own:  # else it has been rotated since it was opened
                    yield from _chunks(older, status.st_size)
            finally:
                os.close(older)

    def more(self) -> bytes:
        """What has been added since the last call; never waits."""
        if self._descriptor is None:
            self._descriptor, self._place = _open(self.path), 0
            if self._descriptor is None:
                return b""
        if chunk := os.pread(self._descriptor, CHUNK, self._place):
            self._place += len(chunk)
        elif not _is_at(self._descriptor, self.path):
            self.close()
        elif os.fstat(self._descriptor).st_size < self._place:
            self._place = 0  # somebody emptied it
        return chunk

    def close(self) -> None:
        """Twice is as good as once."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return files.is_at(descriptor, path)
    except OSError:
        return True


def _open(path: str) -> int | None:
    try:
        return files.open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.failed("read", path, error) from error


def _chunks(descriptor: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes, the last chunk first."""
    while size > 0:
        begin = max(0, size - CHUNK)
        yield os.pread(descriptor, size - begin, begin)
        size = begin


def _last(chunk: bytes, ends: int) -> bytes:
    """What follows the `ends`-th LF from the end of `chunk`."""
    place = len(chunk)
    for _ in range(ends):
        place = chunk.rindex(b"\n", 0, place)
    return chunk[place + 1 :]
