"""What background services printed: the end of their log files, and what is added to them.

A log is PATH, and before it PATH.1 (younger) to PATH.3, each with its marks of time beside it. It may be
rotated while it is read; nothing is shown twice for it.
"""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from devport.engine.log import KEPT, MARKS_LIMIT, times_path
from devport.registry import files

CHUNK = 64 << 10
_LATEST = 1e11
"""Seconds since the epoch that no mark exceeds; localtime(3) knows no year beyond some bound."""

Cut = tuple[int, float | None]
"""A position in a piece of output, and when what follows it was printed; None where that is not known."""


class Part(NamedTuple):
    """One file of a log: its size when it was opened, and its marks as they were read."""

    size: int
    times: bytes


class LogFile:
    """The log at `path`, as of now; `close` it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = _open(path)
        self._place = 0 if self._descriptor is None else os.fstat(self._descriptor).st_size
        self._parts: list[Part] = []  # those that were read for the tail, the youngest first

    def timed_tail(self, lines: int) -> list[tuple[float | None, bytes]]:
        """The same as `tail`, in pieces, and when each was printed."""
        data = self.tail(lines)
        return split(data, self._cuts(len(data)))

    def _cuts(self, length: int) -> list[Cut]:
        """Where in the last `length` bytes another time begins."""
        cuts: list[list[Cut]] = []
        end = length
        for part in self._parts:
            if end <= 0:
                break
            begin = end - part.size
            marks = _marks(part.times, -begin)
            cuts.append([(begin, None), *((begin + offset, seconds) for offset, seconds in marks)])
            end = begin
        return [cut for part in reversed(cuts) for cut in part]

    def tail(self, lines: int) -> bytes:
        """The last `lines` lines up to now, an unfinished one included."""
        found: list[bytes] = []
        left = lines
        self._parts.clear()
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
        yield from self._part(self._descriptor, self._place)
        own = os.fstat(self._descriptor).st_ino
        for number in range(1, KEPT + 1):
            if (older := _open(f"{self.path}.{number}")) is None:
                return
            try:
                status = os.fstat(older)
                if status.st_ino != own:  # else it has been rotated since it was opened
                    yield from self._part(older, status.st_size)
            finally:
                os.close(older)

    def _part(self, descriptor: int, size: int) -> Iterator[bytes]:
        self._parts.append(Part(size, _times(descriptor, self.path)))
        yield from _chunks(descriptor, size)

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


def split(data: bytes, cuts: Iterable[Cut]) -> list[tuple[float | None, bytes]]:
    """`data` in pieces of whole lines, cut where a line begins behind one of `cuts`, in their order."""
    begins: dict[int, float | None] = {0: None}
    begin = 0
    for place, seconds in cuts:
        if place > begin:
            begin = data.find(b"\n", place - 1) + 1
            if not begin:  # in the middle of the last line
                break
        begins[begin] = seconds
    ends = [*list(begins)[1:], len(data)]
    pieces = [(seconds, data[begin:end]) for (begin, seconds), end in zip(begins.items(), ends, strict=True)]
    return [piece for piece in pieces if piece[1]]


def _times(log: int, path: str) -> bytes:
    """The marks of the open `log`, whatever its name is by now; none where they cannot be had."""
    try:
        for name in (path, *(f"{path}.{number}" for number in range(1, KEPT + 1))):
            if files.is_at(log, name):
                descriptor = files.open_own(times_path(name), os.O_RDONLY)
                try:
                    times = files.read_all(descriptor, 2 * MARKS_LIMIT)
                finally:
                    os.close(descriptor)
                # The log is moved before its marks are: still in its place, it was not moved before.
                return times if files.is_at(log, name) else b""
    except OSError:
        pass
    return b""


def _marks(times: bytes, begin: int) -> list[tuple[int, float]]:
    """What `times` say of the output from `begin` on; lines that are no marks are passed over."""
    found: list[tuple[int, float]] = []
    for line in reversed(times.splitlines()):
        try:
            offset, seconds = line.split()
            mark = int(offset), float(seconds)
        except ValueError:
            continue
        if 0 <= mark[1] < _LATEST:
            found.append(mark)
            if mark[0] <= begin:
                break
    return found[::-1]


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
