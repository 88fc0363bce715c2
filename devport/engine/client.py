"""One client of the control socket: whole lines in, messages out, neither beyond its bound.

Never blocks, and takes one request a turn of the loop, so that no client delays the services. Knows
nothing of what is asked.
"""

import _socket
import json
import select
import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING

from devport.encoding import decode
from devport.engine.backlog import Backlog

if TYPE_CHECKING:
    from devport.engine.loop import Loop
    from devport.engine.request import Id

LINE = 64 << 10
"""Bytes that a request may have."""
FULL = 64 << 10
"""Unsent bytes from which no further request is read."""
ROOM = 512 << 10
"""Unsent bytes from which a follower of output gets no more of it for now."""
BOUND = 1 << 20
"""Unsent bytes beyond which a client is dropped instead of getting another message."""
PIECE = 64 << 10  # of output in one message; JSON may make six bytes of each

_dump = json.JSONEncoder().encode  # ASCII only


class Client:
    """A connection. `handle` is given each line, `gone` this client once it is closed.

    `owed` counts the requests that are still to be answered, or answered for ever (a stream): a client
    that has shut down its side stays for them. `on_room` are called when it has taken what it had.
    """

    def __init__(
        self,
        connection: _socket.socket,
        loop: "Loop",
        handle: Callable[["Client", bytes], None],
        gone: Callable[["Client"], None],
    ) -> None:
        self._connection, self._loop, self._handle, self._gone = connection, loop, handle, gone
        self.owed = 0
        self.on_room: list[Callable[[], None]] = []
        self.closed = False
        self._line, self._unsent = bytearray(), bytearray()
        self._hears = True
        self._events = 0
        self._watch()

    @property
    def pending(self) -> int:
        """Bytes that the client has not taken yet."""
        return len(self._unsent)

    def send(self, message: dict[str, object]) -> None:
        """Queue `message`, and hand over what the client takes now; one that takes too little is dropped."""
        if self.pending > BOUND:
            self.close()
        if self.closed:
            return
        self._unsent += _dump(message).encode("ascii") + b"\n"
        self.flush()
        self._watch()

    def flush(self) -> None:
        """Hand over as much as the client takes now."""
        while self._unsent and not self.closed:
            try:
                sent = self._connection.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            del self._unsent[:sent]

    def ready(self) -> None:
        """There is something to read, or room to write."""
        if self.closed:  # by another's callback, of the same turn
            return
        self.flush()
        if self.pending < FULL:
            for room in list(self.on_room):
                room()
        if self._hears and self.pending < FULL and not self.closed:
            self._receive()
        self._watch()

    def _receive(self) -> None:
        """Take one line, or the beginning of one; the rest stays with the kernel until the next turn."""
        try:
            seen = self._connection.recv(LINE, _socket.MSG_PEEK)
            taken = self._connection.recv(seen.find(b"\n") + 1 or len(seen)) if seen else b""
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._line += taken
        if not taken:
            self._hears = False
            if self.has_vanished():
                self.close()
                return
        if taken and not taken.endswith(b"\n"):
            if len(self._line) > LINE:
                self._refuse()
        elif line := bytes(self._line).strip():
            self._line.clear()
            self._handle(self, line)
        else:
            self._line.clear()

    def _refuse(self) -> None:
        self._hears = False
        self._line.clear()
        error = f"cannot understand the request: it is longer than {LINE} bytes"
        self.send({"id": None, "ok": False, "error": error})

    def has_vanished(self) -> bool:
        """Whether the other side is closed, and not only for writing."""
        poll = select.poll()
        poll.register(self._connection.fileno(), 0)
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))

    def leave(self) -> None:
        """Close, if the other side was shut down and has been closed since (which wakes nobody)."""
        if not self.closed and not self._hears and self.has_vanished():
            self.close()

    def wait_for_room(self, seconds: float) -> None:
        """Until the client takes more, or `seconds` have passed: for the very end only, it blocks."""
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLOUT)
        poll.poll(max(0, int(seconds * 1000)))

    def _watch(self) -> None:
        """Be woken for what can be done now; be gone when there is nothing left to do."""
        if self.closed:
            return
        if not (self._hears or self.owed or self._unsent):
            self.close()
            return
        events = selectors.EVENT_WRITE if self._unsent else 0
        if self._hears and self.pending < FULL:
            events |= selectors.EVENT_READ
        self._register(events)

    def _register(self, events: int) -> None:
        if events == self._events:
            return
        if self._events:
            self._loop.unwatch(self._connection.fileno())
        if events:
            self._loop.watch(self._connection.fileno(), self.ready, events)
        self._events = events

    def close(self) -> None:
        """Hang up; whatever was not sent is forgotten."""
        if self.closed:
            return
        self._register(0)
        self.closed = True
        self._connection.close()
        self._unsent.clear()
        self._gone(self)


class Follower:
    """Sends `client` what is added to `backlog` from now on; what it is too slow for it is told as `lost`.

    It only ever waits for the client inside the backlog, so a slow one costs nothing, and the newest
    output, which says why a service ended, reaches it in the end.
    """

    def __init__(self, client: Client, id_: "Id", service: str, backlog: Backlog) -> None:
        self._client, self._id, self._service, self._backlog = client, id_, service, backlog
        self._position = backlog.total

    def added(self, chunk: bytes) -> None:
        """`chunk` was added to the backlog."""
        if self._position == self._backlog.total - len(chunk):
            self._send(chunk)
        # else it is behind, and goes on from the backlog when it has room

    def catch_up(self) -> None:
        """The client has room."""
        if self._position < self._backlog.total:
            missing = self._backlog.since(self._position)
            lost = self._backlog.total - len(missing) - self._position
            self._position += lost
            self._send(missing, lost)

    def _send(self, data: bytes, lost: int = 0) -> None:
        told: dict[str, object] = {"lost": lost} if lost else {}
        for start in range(0, len(data), PIECE):
            if self._client.closed or self._client.pending >= ROOM:
                return
            piece = data[start : start + PIECE]
            self._position += len(piece)
            message = {"id": self._id, "service": self._service, **told, "text": decode(piece)}
            self._client.send(message)
            told = {}
