"""Output as a person reads it: its lines, without their colours. Pure, on bytes that come in pieces."""

import re

from devport.encoding import decode, printable
from devport.engine import escapes

LONGEST = 16 << 10
"""Characters of a line of output in which the pattern is looked for."""
_REASON = 200  # characters of a line that stand for all of it


def last_line(output: bytes) -> str:
    """The last line of `output` that is not empty, fit for a message."""
    lines = [line for line in escapes.plain(output).splitlines() if line.strip()]
    return printable(decode(lines[-1].strip()))[:_REASON] if lines else ""


class Lines:
    """Looks for `pattern` in each line of an output that comes in pieces; colours do not count."""

    def __init__(self, pattern: str) -> None:
        try:
            self._pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{printable(pattern)} is no regular expression: {error}") from error
        self._rest = b""

    def clear(self) -> None:
        """Forget the unfinished line."""
        self._rest = b""

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
        search = self._pattern.search
        return any(search(line[:LONGEST].rstrip("\r")) for line in text.split("\n"))
