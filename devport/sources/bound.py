"""One socket that devport binds for a service: the families' traps, and what is said where it fails."""

import _socket
import errno
import os
import select
from collections.abc import Callable

from devport.encoding import printable
from devport.engine import unix
from devport.errors import DevportError
from devport.model import Listen

_PRIVATE = 0o600
_STREAMS = {"tcp", "unix_stream"}
_UNPRIVILEGED = 1024
_SHUT = getattr(select, "POLLRDHUP", 0)  # Linux; POLLHUP is always told


class Bound:
    """The socket that `listen` declares, for the service `name`; DevportError where it cannot be had.

    `port` is its number, None for a unix socket; `address` the bytes a unix socket is bound to, as the
    kernel lists it. `owner` names who has a port.
    """

    def __init__(self, listen: Listen, name: str, owner: Callable[[int], str | None]) -> None:
        self.listen, self._name = listen, name
        self.is_stream = listen.kind in _STREAMS
        self.port: int | None = None
        self.is_v6 = False
        self.address = b""
        self._own = (0, 0)
        try:
            self._socket = self._bind_path() if listen.kind.startswith("unix") else self._bind_port()
        except OSError as error:
            raise self._failed(self._reason(error, owner)) from error

    def _failed(self, why: str) -> DevportError:
        return DevportError(f"cannot listen on {printable(self.listen.address)} for {self._name}: {why}")

    def _reason(self, error: OSError, owner: Callable[[int], str | None]) -> str:
        port = self._declared()[1]
        if port is None:
            return str(error.strerror or error)
        if error.errno == errno.EADDRINUSE:
            who = owner(port) if self.listen.kind == "tcp" else None
            return f"port {port} is in use" + (f" by {who}" if who else "")
        if error.errno in {errno.EACCES, errno.EPERM} and port < _UNPRIVILEGED:
            return "ports below 1024 need privileges"
        return str(error.strerror or error)

    def _declared(self) -> tuple[str, int | None]:
        """Host and port of `HOST:PORT`, a v6 address in brackets or not; the port None for a path."""
        if self.listen.kind.startswith("unix"):
            return "", None
        host, colon, port = self.listen.address.rpartition(":")
        if not colon or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise self._failed("expected HOST:PORT")
        return host.removeprefix("[").removesuffix("]"), int(port)

    def _bind_port(self) -> _socket.socket:
        host, port = self._declared()
        port = self.port or port
        kind = _socket.SOCK_STREAM if self.is_stream else _socket.SOCK_DGRAM
        wanted = None if host in {"", "*"} else host
        found = _socket.getaddrinfo(wanted, port, _socket.AF_UNSPEC, kind, 0, _socket.AI_PASSIVE)
        # One name, one socket: of `localhost`, which may be both, the one that every client tries.
        family, _, _, _, address = min(found, key=lambda one: one[0] != _socket.AF_INET)
        bound = _socket.socket(family, kind)
        try:
            if self.is_stream:  # to UDP it would mean that another may have the port as well
                bound.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            if family == _socket.AF_INET6:
                bound.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
            bound.bind(address)
            if self.is_stream:
                bound.listen(self.listen.backlog)
            self.port, self.is_v6 = bound.getsockname()[1], family == _socket.AF_INET6
        except (OSError, ValueError):  # a NUL, where somebody has edited the record
            bound.close()
            raise
        return bound

    def _bind_path(self) -> _socket.socket:
        path = self.listen.address
        os.makedirs(os.path.dirname(path) or "/", exist_ok=True)  # as systemd does
        kind = _socket.SOCK_STREAM if self.is_stream else _socket.SOCK_DGRAM
        bound = _socket.socket(_socket.AF_UNIX, kind)
        try:
            unix.bind(bound, path)
            self._own = unix.name(path)
            mode = _PRIVATE if self.listen.mode is None else self.listen.mode
            if mode != _PRIVATE:
                os.chmod(path, mode)  # before anybody can connect
            if self.is_stream:
                bound.listen(self.listen.backlog)
            self.address = os.fsencode(bound.getsockname())
        except (OSError, ValueError):  # a NUL, where somebody has edited the record
            bound.close()
            raise
        return bound

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def restore(self) -> None:
        """Undo what the last life may have done to it; DevportError where that cannot be.

        What a process does to a descriptor it was given it does to ours: switch waiting off, stop
        listening by shutdown(2). And some remove the path when they end (Python 3.13's asyncio).
        """
        try:
            if not self._is_whole():
                self._socket.close()
                self._socket = self._bind_path() if self.port is None else self._bind_port()
            self._socket.setblocking(True)
            if self.is_stream:
                self._socket.listen(self.listen.backlog)
        except OSError as error:
            raise self._failed(str(error.strerror or error)) from error

    def _is_whole(self) -> bool:
        """Whether clients still find it, and it takes them."""
        if self._socket.fileno() < 0:
            return False  # the last time it could not be had again
        poll = select.poll()
        poll.register(self._socket.fileno(), _SHUT)
        if poll.poll(0):
            return False  # shut down; a client makes it readable, which is not asked for
        if self.port is None:
            try:
                return unix.name(self.listen.address) == self._own
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Nobody listens any more; the path is gone if it is still this socket's."""
        if self.port is None:
            unix.unlink(self.listen.address, self._own)
        self._socket.close()
