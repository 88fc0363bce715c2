"""Output as a person reads it: its lines, without their colours. Pure, on bytes that come in pieces."""

import re
from collections.abc import Callable, Iterable

from devport.encoding import decode, printable
from devport.engine import escapes

LONGEST = 4 << 10
"""Characters of a line of output in which the pattern is looked for."""
PATIENCE = 3
"""Lines in which that took too long, after which it is not looked for any more."""
_REASON = 200  # characters of a line that stand for all of it


def last_line(output: bytes) -> str:
    """The last line of `output` that is not empty, fit for a message."""
    lines = [line for line in escapes.plain(output).splitlines() if line.strip()]
    return printable(decode(lines[-1].strip()))[:_REASON] if lines else ""


Find = Callable[[re.Pattern[str], Iterable[str]], tuple[bool, int]]


class Lines:
    """Looks for `pattern` in each line of an output that comes in pieces; colours do not count.

    `find` looks for it in lines, and counts those in which that took too long: after PATIENCE of them
    TimeoutError is raised.
    """

    def __init__(self, pattern: str, find: Find) -> None:
        self._find, self._late = find, 0
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{printable(pattern)} is no regular expression: {error}") from error
        self._rest = b""

    def clear(self) -> None:
        """Forget the unfinished line, and what took long."""
        self._rest, self._late = b"", 0

    def take(self, chunk: bytes) -> bool:
        """Whether it is in one of the lines that `chunk` ends."""
        ended, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            self._rest = (self._rest + rest)[:LONGEST]
            return False
        ended, self._rest = self._rest + ended, rest[:LONGEST]
        return self._is_in(ended)

    def has_rest(self) -> bool:
        """Whether it is in the unfinished line."""
        return self._rest != b"" and self._is_in(self._rest)

    def _is_in(self, data: bytes) -> bool:
        # As a whole what can be done so: this may be a flood.
        text = decode(escapes.plain(data) if b"\x1b" in data else data)
        lines = (line[:LONGEST].rstrip("\r") for line in text.split("\n"))
        found, late = self._find(self._pattern, lines)
        self._late += late
        if self._late >= PATIENCE and not found:
            raise TimeoutError
        return found
