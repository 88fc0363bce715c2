"""Lines of several services on their way to one reader: as the foreground shows them, plain, or as JSON.

A reader that is no terminal gets plain text: no escape sequences, and no CR before an LF, which a
terminal had put there. Waits for a slow reader; knows nothing of where lines come from.
"""

import json
import re
import select
from collections.abc import Sequence

from devport.context import Context, is_tty
from devport.encoding import decode, encode
from devport.engine import escapes
from devport.engine.printer import Printer, Stream
from devport.engine.sink import Sink
from devport.model import View

SGR = re.compile(rb"\x1b\[[0-9;:]*m")
LOOKBACK = 8192
"""Bytes at the end of a chunk among which a sequence that is not complete can begin."""


class Display:
    """What a reader sees of the services `names` (as they are to be called)."""

    def __init__(self, context: Context, names: Sequence[str], *, as_json: bool, colour: bool) -> None:
        self._sink = Sink(context.stdout)
        self._raw = is_tty(context.stdout) and not as_json
        view = View(colour=colour, prefix=len(names) > 1, timestamp=None)
        self._printer = Printer(
            self._sink, view, list(names), terminal=is_tty(context.stdout), now=context.now
        )
        self._streams: dict[str, Stream | JsonLines] = {
            name: JsonLines(self._sink, name) if as_json else self._printer.stream(name, place)
            for place, name in enumerate(names)
        }
        self._plain = {name: Plain() for name in names}

    @property
    def closed(self) -> bool:
        """Whether the reader has gone."""
        if not self._sink.closed:
            poll = select.poll()
            poll.register(self._sink.fd, 0)
            if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
                self._sink.give_up()
        return self._sink.closed

    def feed(self, name: str, data: bytes) -> None:
        """Show `data`, which the service `name` printed."""
        if data := data if self._raw else self._plain[name].feed(data):
            self._streams[name].feed(data)
            self.flush()

    def pause(self) -> None:
        """Nothing more comes for now: show the beginnings of lines that have waited long enough."""
        while (stream := self._printer.due()) is not None:
            stream.show()
        self.flush()

    def end(self) -> None:
        """Nothing more comes at all."""
        for name, stream in self._streams.items():
            if rest := self._plain[name].end():
                stream.feed(rest)
            stream.end()
        self.flush()

    def flush(self) -> None:
        """The reader has taken everything, or has gone."""
        self._sink.flush()
        while self._sink.pending and not self._sink.closed:
            select.select([], [self._sink.fd], [], 1.0)
            self._sink.flush()


class JsonLines:
    """A JSON object for each line of the service `name`."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink, self._name = sink, name
        self._held = b""

    def feed(self, data: bytes) -> None:
        """Write the whole lines of `data`."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            told = {"service": self._name, "line": decode(line)}
            self._sink.write(encode(json.dumps(told)), b"\n")

    def end(self) -> None:
        """The last line, which was not ended."""
        if self._held:
            self.feed(b"\n")


class Plain:
    """Takes out escape sequences, those as well that come in two chunks."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is to be shown now."""
        data = self._held + data
        keep = escapes.unfinished(data[-LOOKBACK:]) or data.endswith(b"\r")
        self._held = data[len(data) - keep :]
        return _plain(data[: len(data) - keep])

    def end(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return _plain(held)


def _plain(data: bytes) -> bytes:
    data = escapes.only_colours(data, goes_on=True)
    if b"\x1b" in data:
        data = SGR.sub(b"", data)
    return data.replace(b"\r\n", b"\n")
