"""One request to another supervisor, from inside the loop: nothing here ever waits.

Knows the form of the protocol (docs/control.md: lines of JSON, a greeting first) and nothing of what is
asked.
"""

import _socket
import json
import os
from collections.abc import Callable

from devport.engine import unix
from devport.engine.loop import Loop

TRIES = 12
"""How often a socket that is not there yet is tried: for 5 s in all, at ever longer intervals."""
_FIRST, _LONGEST = 0.01, 0.64  # seconds between two tries
_CHUNK = 64 << 10
_MOST = 1 << 20  # bytes of a line; a supervisor sends none as long


class Caller:
    """Asks whoever listens at `path`, in `pause` seconds; `heard` is given each message with an id.

    `ended` is called once: nobody listens there, though `worth` it says it is to try again, or the other
    side hung up, or it speaks otherwise.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        request: dict[str, object],
        *,
        heard: Callable[[dict[str, object]], None],
        ended: Callable[[], None],
        worth: Callable[[], bool] = lambda: True,
        pause: float = 0.0,
    ) -> None:
        self._loop, self._path, self._heard = loop, path, heard
        self._on_end, self._worth = ended, worth
        self._request = json.dumps({"id": 1, **request}).encode("ascii") + b"\n"
        self._connection: _socket.socket | None = None
        self._tries = 0
        self._line = bytearray()
        loop.at(loop.now() + pause, self._connect)

    def _connect(self) -> None:
        connection: _socket.socket | None = None
        try:
            connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            connection.setblocking(False)
            unix.at(self._path, connection.connect)
            if unix.peer(connection) != os.geteuid():
                self._tries = TRIES
                raise PermissionError
            connection.send(self._request)
        except OSError:  # no more descriptors, too
            if connection is not None:
                connection.close()
            self._tries += 1
            if self._tries < TRIES and self._worth():
                pause = min(_LONGEST, _FIRST * 2**self._tries)
                self._loop.at(self._loop.now() + pause, self._connect)
            else:
                self._end()
            return
        self._connection = connection
        self._loop.watch(connection.fileno(), self._read)

    def _read(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            data = connection.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._line += data
        if not data or len(self._line) > _MOST:
            self._end()
            return
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            self._take(bytes(line))

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._end()
            return
        if isinstance(message, dict) and message.get("id") == 1 and self._connection is not None:
            self._heard(message)

    def _end(self) -> None:
        if self.close():
            self._on_end()

    def close(self) -> bool:
        """Hang up, and call nobody any more; False if that had happened already."""
        self._loop.cancel(self._connect)
        connection, self._connection = self._connection, None
        if connection is not None:
            self._loop.unwatch(connection.fileno())
            connection.close()
        was, self._tries = self._tries, TRIES + 1
        return was <= TRIES
