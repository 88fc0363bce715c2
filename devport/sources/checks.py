"""Asking a port of this machine whether a service answers: one connection, never waited for.

Owns what can go wrong with a server that is asked: it accepts and says nothing, drips, floods, answers
rubbish or in another protocol. Everything has one deadline. No names are looked up, no proxy is used, no
redirect is followed (the server is the one that was asked about); certificates are not verified. Knows
nothing of services: whether the answer came from the right one, `verify` says.
"""

import _socket
import errno
import os
import selectors
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from devport.encoding import decode, encode, printable
from devport.engine.loop import Loop

if TYPE_CHECKING:
    from devport.sources.tls import Tls

REFUSED = "connection refused"
HEAD = 64 << 10
"""Bytes that status line and headers may take."""
_PIECE = 16 << 10  # bytes read at once, so that a flood keeps nobody waiting
_STATUS = len("HTTP/1.1 200")
_INFORMATIONAL = range(100, 200)
_FINE = range(200, 300)
_SHOWN = 40  # bytes of an answer that is none
_LOOPBACK = bytes(15) + b"\1"  # ::1
_ALERT, _HANDSHAKE = 0x15, 0x16  # the first byte that a TLS server sends (RFC 8446, 5.1)


def addresses(host: str) -> tuple[str, ...]:
    """Where to ask for `host`, in order; ValueError for anything but the loopback of this machine.

    The usual hosts stand for both families: whether a server listens on 127.0.0.1 or on ::1 is often
    decided by a library (Node listens on what `localhost` resolves to first).
    """
    if host in {"127.0.0.1", "localhost"}:
        return ("127.0.0.1", "::1")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        packed = _socket.inet_pton(_socket.AF_INET6 if ":" in bare else _socket.AF_INET, bare)
    except OSError:
        packed = b""
    if packed[:1] != b"\x7f" and packed != _LOOPBACK:
        raise ValueError(f"{printable(host)} is not an address of this machine alone")
    return (bare,)


class Target(NamedTuple):
    """Where to ask: `hosts` (numeric addresses, in order) at `port`, within `timeout` seconds in all."""

    hosts: tuple[str, ...]
    port: int
    timeout: float


class Tcp:
    """Whether a connection to `target` is accepted.

    After `start`, `done` is called once, in time: with why not, or with an empty text. `verify` is asked
    with the address that accepted, and says why that does not count, if so.
    """

    def __init__(
        self,
        loop: Loop,
        target: Target,
        done: Callable[[str], None],
        verify: Callable[[str], str] = lambda _host: "",
    ) -> None:
        self._loop, self._left, self._port, self._timeout = (
            loop,
            list(target.hosts),
            target.port,
            target.timeout,
        )
        self._done, self._verify = done, verify
        self._socket: _socket.socket | None = None
        self._failures: list[str] = []

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        self._loop.at(self._loop.now() + self._timeout, self._late)
        self._next()

    def cancel(self) -> None:
        """Let go of everything; `done` is not called any more."""
        self._loop.cancel(self._late)
        self._hang_up()
        self._left.clear()

    def _next(self) -> None:
        """Try the next address; after the last, what it was that kept us from each."""
        while self._left:
            host = self._left.pop(0)
            try:
                if self._dial(host):
                    return
            except OSError as error:
                self._hang_up()
                self._failures.append(_why(error.errno))
        # Who answered on one address, and is the wrong one, says more than that the other is closed.
        self._finish(next((one for one in self._failures if one != REFUSED), REFUSED))

    def _dial(self, host: str) -> bool:
        """Begin to connect to `host`; OSError where that is over already."""
        self._socket = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET)
        self._socket.setblocking(False)
        number = self._socket.connect_ex((host, self._port))
        if number not in {0, errno.EINPROGRESS}:
            raise OSError(number, os.strerror(number))
        self._loop.watch(self._socket.fileno(), lambda: self._dialled(host), selectors.EVENT_WRITE)
        return True

    def _dialled(self, host: str) -> None:
        """It is known whether `host` accepts."""
        connection = self._socket
        if connection is None:
            return  # cancelled in the turn of the loop in which that became known
        number = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        failure = _why(number) if number else ""
        try:
            # A port in the ephemeral range that nobody listens on can be given to us as our own, and
            # then TCP connects to itself (simultaneous open).
            if not number and connection.getsockname() == connection.getpeername():
                failure = REFUSED
        except OSError as error:
            failure = _why(error.errno)
        if failure := failure or self._verify(host):
            self._hang_up()
            self._failures.append(failure)
            self._next()
        else:
            self._accepted(host)

    def _accepted(self, _host: str) -> None:
        self._finish("")

    def _late(self) -> None:
        self._finish(f"no answer within {self._timeout:g} s")

    def _finish(self, failure: str) -> None:
        self.cancel()
        self._done(failure)

    def _hang_up(self) -> None:
        if self._socket is not None:
            connection, self._socket = self._socket, None
            try:
                self._loop.unwatch(connection.fileno())
            except KeyError:
                pass  # it did not come to that
            connection.close()


class Http(Tcp):
    """Whether a GET of `path` is answered with one of `statuses` (none: 200 to 299).

    HTTP/1.1, `secure`: over TLS. `name` is the host that is asked for, empty: the address. What follows
    the headers is not read.
    """

    def __init__(
        self,
        loop: Loop,
        target: Target,
        done: Callable[[str], None],
        verify: Callable[[str], str] = lambda _host: "",
        *,
        path: str = "/",
        statuses: Sequence[int] = (),
        secure: bool = False,
        name: str = "",
    ) -> None:
        super().__init__(loop, target, done, verify)
        self._path, self._statuses, self._secure, self._name = path, statuses or _FINE, secure, name
        self._head = bytearray()
        self._looked = 0  # so much of it holds no end
        self._taken = 0  # bytes of heads that are over
        self._tls: Tls | None = None
        if secure:  # now: devport may be gone from the disk when the first answer comes
            import devport.sources.tls  # noqa: F401, PLC0415 - only who asks by https

    def _accepted(self, host: str) -> None:
        """Send the request, or the beginning of what it is wrapped in; then wait for the answer."""
        assert self._socket is not None
        self._head.clear()
        self._looked = self._taken = 0
        data = request(self._name or host, self._port, self._path)
        if self._secure:
            from devport.sources.tls import Tls  # noqa: PLC0415 - only who asks by https

            self._tls = Tls(self._name or host, data)
            data = self._tls.take(None)
        descriptor = self._socket.fileno()
        self._loop.unwatch(descriptor)
        self._loop.watch(descriptor, self._answered)
        self._send(data)

    def _send(self, data: bytes) -> None:
        if data and self._socket is not None:
            try:
                # All of it is less than what the kernel takes for a peer who does not read.
                sent = self._socket.send(data)
            except OSError as error:
                self._finish(_why(error.errno))
                return
            if sent < len(data):
                self._finish("it does not read the request")

    def _answered(self) -> None:
        if self._socket is None:
            return  # cancelled in the turn of the loop in which it became readable
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(_why(error.errno))
            return
        if self._tls is None:
            self._take(data)
            return
        try:
            answer = self._tls.take(data)
        except OSError as error:  # which ssl.SSLError is
            self._finish(f"no TLS connection: {self._tls.what(error)}")
            return
        plain, self._tls.plain = self._tls.plain, b""
        self._send(answer)
        for piece in [plain] * bool(plain) + [b""] * self._tls.ended:
            if self._socket is not None:
                self._take(piece)

    def _take(self, data: bytes) -> None:
        """More of the answer; nothing: its end."""
        if not data:
            self._finish("closed the connection without " + ("a whole answer" if self._head else "an answer"))
            return
        self._head += data
        verdict = self._judge()
        if verdict is not None:
            self._finish(verdict)

    def _judge(self) -> str | None:
        """What is to be said of the answer so far: why it does not do, an empty text if it does."""
        while True:
            if not _begins(self._head):
                return _rubbish(bytes(self._head))
            end = _end(self._head, self._looked)
            if end is None:
                self._looked = max(0, len(self._head) - 3)
                return "its headers are too long" if self._taken + len(self._head) > HEAD else None
            status = int(self._head[9:_STATUS])
            if status not in _INFORMATIONAL:
                return "" if status in self._statuses else f"answered with status {status}"
            self._taken += end  # 103 Early Hints and their like; the answer is still to come
            del self._head[:end]
            self._looked = 0
            if self._taken > HEAD:
                return "its headers are too long"
            if not self._head:
                return None


def _end(head: bytearray, start: int) -> int | None:
    """Where the headers end, looked for from `start`; None where they have not."""
    ends = [at + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (at := head.find(mark, start)) >= 0]
    return min(ends) if ends else None


def _begins(head: bytearray) -> bool:
    """Whether `head` is, or may become, the answer of an HTTP/1 server."""
    shape = bytes(head[:_STATUS])
    return (
        b"HTTP/1."[: len(shape)] == shape[:7]
        and all(byte in b"01" for byte in shape[7:8])
        and all(byte == ord(" ") for byte in shape[8:9])
        and all(byte in b"0123456789" for byte in shape[9:])
    )


def _rubbish(head: bytes) -> str:
    if head[0] in {_ALERT, _HANDSHAKE}:
        return "does not speak HTTP, but TLS"
    line = head[:_SHOWN].partition(b"\n")[0].strip()
    return f"does not speak HTTP: {printable(decode(line))}"


def request(host: str, port: int, path: str) -> bytes:
    """A GET of `path`; what may not stand in a request line is written with %."""
    target = b"".join(b"%c" % c if 0x20 < c < 0x7F else b"%%%02X" % c for c in encode(path))  # noqa: PLR2004
    name = f"[{host}]" if ":" in host else host
    return (
        b"GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: devport\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        % (target, encode(name), port)
    )


def _why(number: int | None) -> str:
    if number in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return REFUSED  # no IPv6 here
    if number == errno.ECONNRESET:
        return "closed the connection without an answer"
    return os.strerror(number or errno.EIO).lower()
