"""One line on a terminal about what is waited for: rewritten while it lasts, gone at the end.

Nothing is ever shown where stdout or stderr is no terminal, or one that cannot erase a line.
"""

import os
import signal
from collections.abc import Sequence
from typing import Self

from devport.context import Context, is_tty
from devport.encoding import printable
from devport.inventory.readiness import Show
from devport.table import shorten

PATIENCE = 0.3
"""Seconds that something may take without a word about it."""
ERASE = "\r\x1b[K"


class Progress:
    """The line, on stderr."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._began = context.now()
        self._shown = ""
        self._able = (
            is_tty(context.stderr)
            and is_tty(context.stdout)
            and context.environ.get("TERM", "dumb") not in {"", "dumb"}
        )

    @property
    def show(self) -> "Show | None":
        """Shows who is not ready yet and why; None where nothing can be shown."""
        return self._show if self._able else None

    def _show(self, waited: Sequence[tuple[str, str]]) -> None:
        seconds = self._context.now() - self._began
        if seconds < PATIENCE or not waited:
            return
        text = f"{seconds:.0f} s  " + "; ".join(f"{name}: {why}" for name, why in waited)
        text = shorten(printable(text), self._columns() - 1)
        if text != self._shown:
            self._context.write(self._context.stderr, f"\r{text}\x1b[K")
            self._shown = text

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._context.stderr).columns or 80
        except OSError:
            return 80

    def end(self) -> None:
        """As if it had never been there."""
        if self._shown:
            self._context.write(self._context.stderr, ERASE)
            self._shown = ""

    def __enter__(self) -> Self:
        """Itself; Ctrl-C, which ended devport at once until now, takes the line away first."""
        if self._able:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        """Gone."""
        self.end()
