"""The other side of the control socket: what a command asks the supervisor of a service.

Every wait has a deadline. It knows the protocol (docs/control.md) and nothing of records.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

from devport.context import wait_until
from devport.encoding import printable
from devport.engine import unix
from devport.errors import DevportError
from devport.registry.locks import Holder, process_start

PROTOCOL = 1
PATIENCE = 5.0
LONGEST = 16 << 20
"""Bytes of one message; a supervisor never sends as many."""
_CHUNK = 256 << 10
_LEAST = 0.001  # seconds: 0 would mean not to wait at all


class Unreachable(DevportError):  # noqa: N818 - the base class says that it is an error
    """There is no talking to the supervisor: nobody listens, nobody answers, or it speaks otherwise."""


class Remote:
    """A connection to a supervisor: any number of requests one after the other, or one stream.

    `timeout` is how many seconds each request waits for its reply.
    """

    def __init__(self, connection: socket.socket, who: str, timeout: float) -> None:
        self._connection, self._who, self.timeout = connection, who, timeout
        self._buffer = bytearray()
        self._id = 0

    @classmethod
    def connect(cls, holder: Holder, timeout: float = PATIENCE) -> "Remote":
        """To the process that holds a lock, within `timeout` seconds, which each request may take as well.

        One that has just begun may not listen yet and is waited for. Unreachable where it cannot be done.
        """
        who = f"devport (pid {holder.pid or 'unknown'})"
        if not holder.socket:
            raise Unreachable(f"cannot reach {who}: it has no control socket")
        until = time.monotonic() + timeout
        connection = _connect(holder, who, timeout)
        remote = cls(connection, who, timeout)
        try:
            remote._greet(holder, until)
        except BaseException:
            connection.close()
            raise
        return remote

    def _greet(self, holder: Holder, until: float) -> None:
        if unix.peer(self._connection) != os.geteuid():
            raise self._lost("another user listens there")
        greeting = self._receive(until)
        if "devport" not in greeting and "error" in greeting:
            raise self._lost(str(greeting["error"]))
        if greeting.get("devport") != PROTOCOL:
            version = printable(str(greeting.get("version", "unknown")))
            raise self._lost(f"it speaks another protocol (version {version}); restart what it runs")
        if holder.pid and greeting.get("pid") != holder.pid:
            raise self._lost("another process listens there")

    def request(self, do: str, **fields: object) -> dict[str, Any]:
        """The reply to `do`, within `timeout` seconds; DevportError with the reason where it is refused."""
        until = time.monotonic() + self.timeout
        id_ = self._send(do, fields, until)
        while (reply := self._receive(until)).get("id") not in (id_, None):
            pass  # to an earlier request that was not waited for
        if reply.get("ok") is not True:
            raise DevportError(printable(str(reply.get("error", "it was refused without a reason"))))
        return reply

    def stream(self, do: str, **fields: object) -> Iterator[dict[str, Any]]:
        """The reply to `do` as `request` gives it, then what follows it, until the other side ends."""
        yield self.request(do, **fields)
        while (messages := self.take(wait=True)) is not None:
            yield from messages

    def _send(self, do: str, fields: Mapping[str, object], until: float) -> int:
        self._id += 1
        data = json.dumps({"id": self._id, "do": do, **fields}).encode("ascii") + b"\n"
        try:
            self._connection.settimeout(max(_LEAST, until - time.monotonic()))
            self._connection.sendall(data)
        except TimeoutError as error:
            raise self._lost("it takes no requests") from error
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error
        return self._id

    def fileno(self) -> int:
        """For select(2) over several: readable when `take` has something."""
        return self._connection.fileno()

    def take(self, *, wait: bool = False) -> list[dict[str, Any]] | None:
        """The messages that are there, None once the other side has ended; `wait`: until there is one."""
        while not (messages := self._complete()):
            try:
                self._connection.settimeout(None if wait else 0)
                data = self._connection.recv(_CHUNK)
            except BlockingIOError:
                return []
            except OSError:
                return None
            if not data:
                return None
            self._took(data)
        return messages

    def _complete(self) -> list[dict[str, Any]]:
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> dict[str, Any] | None:
        cut = self._buffer.find(b"\n")
        if cut < 0:
            return None
        line = self._buffer[:cut]
        del self._buffer[: cut + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._lost("it does not speak devport's protocol") from error
        if not isinstance(message, dict):
            raise self._lost("it does not speak devport's protocol")
        return message

    def _receive(self, until: float) -> dict[str, Any]:
        """The next message, by `until`."""
        while (message := self._next()) is None:
            left = until - time.monotonic()
            try:
                self._connection.settimeout(max(_LEAST, left))
                data = self._connection.recv(_CHUNK)
            except TimeoutError as error:
                raise self._lost("it does not answer") from error
            except OSError as error:
                raise self._lost(error.strerror or str(error)) from error
            if not data:
                raise self._lost("it hung up")
            self._took(data)
            if left <= 0 and b"\n" not in data:  # it trickles
                raise self._lost("it does not answer")
        return message

    def _took(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > LONGEST:
            raise self._lost("it does not speak devport's protocol")

    def _lost(self, why: str) -> Unreachable:
        return Unreachable(f"cannot reach {self._who}: {why}")

    def close(self) -> None:
        """Hang up; streams end."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closed."""
        self.close()


def _connect(holder: Holder, who: str, timeout: float) -> socket.socket:
    """A connection to where `holder` listens, or soon will; it lives, else waiting is pointless."""
    failure: list[OSError] = []
    made: list[socket.socket] = []

    def attempt() -> bool:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            unix.at(holder.socket, connection.connect)
        except OSError as error:
            connection.close()
            failure[:] = [error]
            return _has_ended(holder)
        made.append(connection)
        return True

    wait_until(attempt, timeout)
    if not made:
        why = "it has ended" if _has_ended(holder) else failure[0].strerror or str(failure[0])
        raise Unreachable(f"cannot reach {who}: {why}") from failure[0]
    return made[0]


def _has_ended(holder: Holder) -> bool:
    """Whether there is no point in waiting for it; one that has not said who it is may come yet."""
    return holder.pid != 0 and process_start(holder.pid) != holder.started
