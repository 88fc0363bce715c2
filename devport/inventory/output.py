"""Where a service's output comes from: its log file, or the supervisor whose terminal it runs in.

What was printed before comes in pieces that have a time, so that several services can be merged.
"""

import heapq
import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from devport.context import Context
from devport.encoding import decode, encode
from devport.errors import DevportError
from devport.inventory.display import Display, JsonLines
from devport.inventory.logs import LogFile, split
from devport.inventory.reach import connect
from devport.inventory.rows import Row, together
from devport.model import View
from devport.registry.locks import Holder
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.remote import Remote

PATIENCE = 5.0


class Piece(NamedTuple):
    """Whole lines (but for the very last) that the service `name` printed; `seconds` since the epoch."""

    name: str
    seconds: float | None
    data: bytes


class Dated(Display):
    """Shows with each line when it was printed, as the foreground does; nothing where that is not known."""

    def __init__(self, context: Context, names: Sequence[str], *, as_json: bool, colour: bool) -> None:
        super().__init__(context, names, as_json=as_json, colour=colour)
        self._wall = context.wall
        self._seconds: dict[str, float | None] = dict.fromkeys(names)
        self._undated = self._printer.view
        self._dated = self._undated._replace(timestamp=View().timestamp)
        if as_json:
            self._streams.update({name: DatedLines(self._sink, name) for name in names})

    def show(self, piece: Piece) -> None:
        """Show what was printed then."""
        self._seconds[piece.name] = piece.seconds
        self._date(piece.name)
        super().feed(piece.name, piece.data)

    def feed(self, name: str, data: bytes) -> None:
        """Show what the service `name` prints now."""
        if data:
            self.show(Piece(name, self._wall(), data))

    def pause(self) -> None:
        """As of a Display; the beginning of a line has the time at which it came."""
        while (stream := self._printer.due()) is not None:
            self._date(stream.name)
            stream.show()
        self.flush()

    def end(self) -> None:
        """As of a Display; a line that never ended has the time at which it came."""
        for name, stream in self._streams.items():
            self._date(name)
            stream.feed(self._plain[name].end())
            stream.end()
        super().end()

    def _date(self, name: str) -> None:
        """What is shown next came when the last of the service `name` did."""
        seconds = self._seconds[name]
        self._printer.view = self._undated if seconds is None else self._dated
        self._printer.wall = lambda: seconds or 0.0
        if isinstance(lines := self._streams[name], DatedLines):
            lines.seconds = seconds


class DatedLines(JsonLines):
    """A JSON object for each line of a service, with its time: null where that is not known."""

    seconds: float | None = None

    def feed(self, data: bytes) -> None:
        """Write the whole lines of `data`."""
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            told = {"time": _utc(self.seconds), "service": self._name, "line": decode(line)}
            self._sink.write(encode(json.dumps(told)), b"\n")


def _utc(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{thousandths:03d}Z"


class Logged:
    """A background service, running or not: what its log says."""

    ended = False  # the service may be started again

    def __init__(self, store: Store, hash_: str, name: str) -> None:
        self._file = LogFile(store.log_path(hash_))
        self._name = name

    def tails(self, lines: int) -> list[list[Piece]]:
        """The last `lines` lines."""
        return [[Piece(self._name, *piece) for piece in self._file.timed_tail(lines)]]

    def more(self, display: Display) -> bool:
        """Show what has been added; whether anything was."""
        data = self._file.more()
        display.feed(self._name, data)
        return bool(data)


class Asked:
    """Services of one foreground run, by hash and name: what their supervisor says."""

    def __init__(self, holder: Holder, names: dict[str, str], *, follow: bool) -> None:
        self.ended = not follow
        self._holder, self._names, self._follow = holder, names, follow
        self._remote: Remote | None = None

    def tails(self, lines: int) -> list[list[Piece]]:
        """The last `lines` lines of each; DevportError where nobody answers."""
        self._remote = connect(self._holder, PATIENCE)
        wanted = {"services": list(self._names), "lines": lines, "follow": self._follow}
        try:
            reply = self._remote.request("logs", **wanted, times=True)
        except DevportError as error:
            if "no such field: times" not in error.message:
                raise
            reply = self._remote.request("logs", **wanted)  # it was started by a devport that knew none
        # Told in the order in which they were asked for, under the names that the run has for them.
        told = list(zip(reply["logs"], self._names.values(), strict=True))
        self._by_run = {log["service"]: name for log, name in told}
        return [
            [Piece(name, *piece) for piece in split(encode(log["text"]), log.get("times", ()))]
            for log, name in told
        ]

    def more(self, display: Display) -> bool:
        """Show what has been printed; whether anything was."""
        if self._remote is None or self.ended:
            return False
        messages = self._remote.take()
        self.ended = messages is None
        for message in messages or ():
            self._show(display, message)
        return bool(messages)

    def _show(self, display: Display, message: dict[str, Any]) -> None:
        if (name := self._by_run.get(message.get("service", ""))) is not None:
            display.feed(name, encode(str(message.get("text", ""))))


Source = Logged | Asked


def merged(found: Iterable[Source], lines: int) -> Iterator[Piece]:
    """The last `lines` lines of each service, in the order in which they came.

    What has no time is old, and comes first; the lines of one service stay in their order all the same.
    """
    tails = [tail for source in found for tail in source.tails(lines)]
    return heapq.merge(*tails, key=lambda piece: -math.inf if piece.seconds is None else piece.seconds)


def sources(store: Store, rows: Iterable[Row], names: dict[str, str], *, follow: bool) -> Iterator[Source]:
    """Where the output of `rows` comes from; `names` is what to call them, by hash."""
    rows = list(rows)
    terminals = [one for one in rows if one.holder and one.holder.mode != "background" and one.holder.pid]
    for holder, group in together(terminals):
        if not holder.socket:
            who = ", ".join(one.label for one in group)
            raise DevportError(f"cannot show the output of {who}: it goes to a terminal ({holder})")
        yield Asked(holder, {one.record.hash: names[one.record.hash] for one in group}, follow=follow)
    elsewhere = {one.record.hash for one in terminals}
    for one in rows:
        if one.record.hash not in elsewhere:
            yield Logged(store, one.record.hash, names[one.record.hash])
