"""Lines of services, prefixed and in whole lines, per chunk and not per line.

Owns what a person sees: prefixes, colours, time stamps, partial lines, JSON. Bytes in, bytes out:
nothing is decoded (but for JSON), lines end at LF only. Owns no descriptor and no process; it is
given chunks and a Sink, and tells by `deadline` when a partial line is due.
"""

import time
from collections.abc import Callable

from devport.encoding import decode, encode, printable
from devport.engine import escapes
from devport.engine.sink import Sink
from devport.model import View

PARTIAL_AFTER = 0.2
"""Seconds after which the beginning of an unfinished line is shown."""
HELD = 256 << 10
"""Bytes of an unfinished line that are held back; a longer one is passed on as it comes."""
SYSTEM = "system"
"""The name in front of what devport itself says, as honcho and foreman have it."""
_COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94, 91)


class Printer:
    """All streams of one run, on one sink.

    `terminal`: the sink is one, so sequences that move the cursor are taken out. `now` is monotonic,
    `wall` seconds since the epoch.
    """

    def __init__(
        self,
        sink: Sink,
        view: View,
        names: list[str],
        *,
        terminal: bool = False,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.sink, self.view, self.terminal, self.now, self.wall = sink, view, terminal, now, wall
        # An entry may be called that as well, and what it says must not pass for ours.
        system = SYSTEM if SYSTEM not in names else "devport"
        self.width = max(map(len, [system, *names]))
        self.open: Stream | None = None  # the stream whose unfinished line is the last thing printed
        self.partial: dict[Stream, float] = {}  # when each unfinished line is due, the oldest first
        self._stamp, self._second = b"", -1
        self._system = Stream(self, system, None)

    @property
    def deadline(self) -> float | None:
        """When the first of the unfinished lines is due to be shown (monotonic seconds)."""
        return next(iter(self.partial.values()), None)

    @property
    def prefix_columns(self) -> int:
        """How wide the prefix is, for terminals made narrower by it."""
        if not self.view.prefix or self.view.json:
            return 0
        return self.width + len(" | ") + len(self.stamp())

    def stream(self, name: str, position: int, *, quiet: bool = False) -> "Stream":
        """The stream of the service `name`, coloured by its `position`."""
        return Stream(self, name, _COLOURS[position % len(_COLOURS)], quiet=quiet)

    def say(self, text: str, service: str | None = None, **event: object) -> None:
        """A line of devport's own; as JSON an event with the fields of `event`."""
        if self.view.json:
            self._json(service, message=text, **event)
        else:
            self._system.feed(encode(printable(text)) + b"\n")

    def stamp(self) -> bytes:
        """The time in front of each line, a blank behind it; formatted once a second."""
        form = self.view.timestamp
        if form is None:
            return b""
        seconds = self.wall()
        if int(seconds) != self._second or "%f" in form:
            self._second = int(seconds)
            form = form.replace("%f", f"{int(seconds % 1 * 1e6):06d}")
            self._stamp = encode(time.strftime(form, time.localtime(seconds))) + b" "
        return self._stamp

    def due(self) -> "Stream | None":
        """A stream whose line has been unfinished for long enough."""
        deadline = self.deadline
        return next(iter(self.partial)) if deadline is not None and deadline <= self.now() else None

    def break_line(self, stream: "Stream | None" = None) -> bytes:
        """What ends the unfinished line on the screen, unless it is `stream`'s own."""
        if self.open is None or self.open is stream:
            return b""
        broken, self.open = self.open, None
        end = escapes.RESET + b"\n" if broken.coloured else b"\n"
        broken.coloured = False
        return end

    def json_line(self, service: str, line: bytes, *, partial: bool = False) -> None:
        """One line of a service as an object; `partial` marks one that has not ended yet."""
        self._json(service, line=decode(line), **({"partial": True} if partial else {}))

    def _json(self, service: str | None, **fields: object) -> None:
        import json  # noqa: PLC0415 - only with --json

        seconds = self.wall()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e3):03d}Z"
        named = {} if service is None else {"service": service}
        self.sink.write(encode(json.dumps({"time": stamp, **named, **fields})), b"\n")


class Verbatim:
    """What the one service of a window prints, byte for byte, into the window and into its log.

    `end` is what ends a line of devport's own there: a window is raw, a pipe is not.
    """

    def __init__(self, sink: Sink, log: Callable[[bytes], None], end: bytes = b"\r\n") -> None:
        self.sink, self.log, self._end = sink, log, end
        self._unfinished = False  # the last line has no LF yet

    def feed(self, chunk: bytes) -> None:
        """Pass `chunk` on as it is: cursor, screen and prompt are the service's own here."""
        self.log(chunk)
        self.sink.write(chunk)
        self._unfinished = not chunk.endswith(b"\n")

    def note(self, line: bytes) -> None:
        """A line of devport's own, never behind an unfinished one of the service's."""
        self.log((b"\n" if self._unfinished else b"") + line + b"\n")
        self.note_in_window(line)

    def note_in_window(self, line: bytes) -> None:
        """The same where the log cannot be written."""
        self.sink.write((self._end if self._unfinished else b"") + line + self._end)
        self._unfinished = False

    def end(self) -> None:
        """Nothing was held back."""


class Stream:
    """What one service prints. `colour` is an SGR code, None for none."""

    def __init__(self, printer: Printer, name: str, colour: int | None, *, quiet: bool = False) -> None:
        self.printer, self.name, self.quiet = printer, name, quiet
        self.coloured = False  # whether the unfinished line on the screen holds colours
        self._held = bytearray()
        label = encode(name).ljust(printer.width) + b" | " if printer.view.prefix else b""
        before, after = b"", b""
        if printer.view.colour and colour is not None and label:
            before, after = b"\x1b[%dm" % colour, escapes.RESET
        self._before, self._after = before, label + after
        self._prefix, self._stamp = b"", None if printer.view.prefix else b""

    def _refresh(self) -> bytes:
        """The prefix of now."""
        if self.printer.view.prefix and (stamp := self.printer.stamp()) is not self._stamp:
            self._stamp = stamp
            self._prefix = self._before + stamp + self._after
        return self._prefix

    def feed(self, chunk: bytes) -> None:
        """Print the whole lines of `chunk`, hold back what follows the last LF."""
        if self.quiet or not chunk:
            return
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._hold(chunk)
        elif cut == len(chunk):
            self._lines(chunk)
        else:
            self._lines(chunk[:cut])
            self._hold(chunk[cut:])

    def _lines(self, lines: bytes) -> None:
        """Whole lines, each ended by LF, the first one continuing what is held."""
        printer = self.printer
        if self._held:
            lines = bytes(self._held) + lines
            self._forget()
        if printer.view.json:
            for line in lines[:-1].split(b"\n"):
                printer.json_line(self.name, line)
            return
        if printer.terminal or self.coloured or b"\x1b" in lines:
            lines = self._tidy(lines)
        prefix = self._refresh()
        begun = printer.open is self
        start = b"" if begun else printer.break_line() + prefix
        printer.open = None
        if not prefix:
            printer.sink.write(start, lines)
            return
        # One pass in C puts a prefix behind every LF; the one too many at the end is not written.
        text = memoryview(lines.replace(b"\n", b"\n" + prefix))
        printer.sink.write(start, text[: -len(prefix)])

    def _tidy(self, lines: bytes) -> bytes:
        if self.printer.terminal:
            lines = escapes.only_colours(lines)
        lines = escapes.reset_lines(lines)
        if self.coloured:
            # The beginning of the first line is on the screen already, and it was that which coloured.
            self.coloured = False
            head, _, rest = lines.partition(b"\n")
            lines = head + (b"" if head.endswith(escapes.RESET) else escapes.RESET) + b"\n" + rest
        return lines

    def _hold(self, data: bytes) -> None:
        self._held += data
        if self.printer.open is self or len(self._held) > HELD:
            self.show()
        elif self not in self.printer.partial:
            self.printer.partial[self] = self.printer.now() + PARTIAL_AFTER

    def _forget(self) -> None:
        self._held.clear()
        self.printer.partial.pop(self, None)

    def show(self) -> None:
        """Print what is held, and leave the line open for the rest of it."""
        printer = self.printer
        filtered = printer.terminal and not printer.view.json
        keep = escapes.unfinished(bytes(self._held[-8192:])) if filtered else 0
        data = bytes(self._held[: len(self._held) - keep])
        tail = self._held[len(data) :]
        self._forget()
        if data and printer.view.json:
            printer.json_line(self.name, data, partial=True)
        elif data:
            coloured = b"\x1b" in data
            start = b"" if printer.open is self else printer.break_line() + self._refresh()
            self.coloured = coloured or (self.coloured and not start)
            if printer.terminal:
                data = escapes.only_colours(data, goes_on=True)
            printer.sink.write(start, data)
            printer.open = self
        self._held += tail

    def end(self) -> None:
        """The service has ended: its last line is printed even though no LF came."""
        if self._held:
            self._lines(b"\n") if not self.printer.view.json else self.show()
        elif self.printer.open is self:
            self.printer.sink.write(self.printer.break_line())
        self.coloured = False
