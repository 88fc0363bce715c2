"""Whoever reads what devport prints: takes it, lets it wait, has left, or cannot be written to.

Knows the sink and nothing of services; what any of this means for a run is the frame's to say.
"""

import selectors
from collections.abc import Callable
from typing import Protocol

from devport.engine.sink import Sink


class Watcher(Protocol):
    """What the reader needs of the loop."""

    def now(self) -> float:
        """The loop's time, in seconds."""

    def watch(
        self, descriptor: int, callback: Callable[[], object], events: int = selectors.EVENT_READ
    ) -> None:
        """Call `callback` when `descriptor` can be written."""

    def unwatch(self, descriptor: int) -> None:
        """No more."""


class Reader:
    """The reader at the other end of `sink`.

    `on_gone` is called once, when nobody reads any more; `patience` tells how long a reader may take
    nothing before it is given up (seconds, None: for ever); `on_trouble` once with the errno when the
    output cannot be written (a full disk).
    """

    def __init__(self, sink: Sink, loop: Watcher) -> None:
        self._sink, self._loop = sink, loop
        self.on_gone: Callable[[], None] = lambda: None
        self.patience: Callable[[], float | None] = lambda: None
        self.on_trouble: Callable[[int], None] = lambda _errno: None
        self._waiting = False  # to be woken when the sink takes more
        self._told = self._troubled = False
        self._taken, self._progress = 0, 0.0  # what the reader had taken when it last took anything

    def due(self) -> float | None:
        """When its patience ends, if nothing is taken until then."""
        if not self._sink.queue or (patience := self.patience()) is None:
            return None
        return self._progress + patience

    def look(self) -> None:
        """Ask to be woken once the sink takes more, while it holds something; note a reader that left."""
        sink = self._sink
        wanted = bool(sink.queue) and not sink.closed
        if wanted and not self._waiting:
            self._loop.watch(sink.fd, sink.flush, selectors.EVENT_WRITE)
        elif self._waiting and not wanted:
            self._loop.unwatch(sink.fd)
        self._waiting = wanted
        if sink.trouble and not self._troubled:
            self._troubled = True
            self.on_trouble(sink.trouble)
        if sink.closed and not self._told:
            self._told = True
            self.on_gone()
        self._watch_stall()

    def _watch_stall(self) -> None:
        """Give the reader up once it has taken nothing for as long as `patience` says."""
        sink, now = self._sink, self._loop.now()
        if sink.written != self._taken or not sink.queue:
            self._taken, self._progress = sink.written, now
            return
        patience = self.patience()
        if patience is None:
            self._progress = now
        elif now - self._progress >= patience:
            sink.give_up()
            self._told = True
