"""What a background service printed, in a file that never grows beyond its bounds.

`PATH`, then `PATH.1` (younger) to `PATH.3`: whole chunks, bytes as they came, colours included. A disk
that is full costs the bytes that did not fit, one notice, and nothing else.
"""

import os
from collections.abc import Callable

from devport.registry import files

LIMIT = 10 << 20
"""Bytes after which a new file is begun."""
KEPT = 3
"""Old files that are kept."""


class Log:
    """Appends to `path` (mode 0600); `trouble` is called with the reason when writing first fails."""

    def __init__(
        self, path: str, trouble: Callable[[str], None], *, limit: int = LIMIT, kept: int = KEPT
    ) -> None:
        self.path, self.trouble, self.limit, self.kept = path, trouble, limit, kept
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
        except OSError as error:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            self._tell(error)
            return
        self.close()
        self._open()

    def close(self) -> None:
        """The file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
