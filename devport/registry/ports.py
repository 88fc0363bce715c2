"""Which numbers may be given out, which are free on this machine, and holding one until its service binds.

What is decided (`allocate`, `search`, `reclaimable`) is pure; `is_free` and `Held` ask the kernel. It
knows nothing of files.
"""

import errno
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from devport.encoding import printable
from devport.errors import DevportError, UsageError
from devport.registry.fields import MAX_PORT
from devport.registry.record import seconds

if TYPE_CHECKING:
    import _socket

    from devport.registry.record import Record

DEFAULT_POOL = (19000, 19999)
STEP = 50  # ports between where the users of a machine begin
EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
SEARCH_LIMIT = 100
UNUSED_FOR = 30 * 86400.0

WILDCARDS = (("0.0.0.0", False), ("::", True))  # noqa: S104 - bound to see whether it can be, never listened on
# Linux refuses a wildcard beside a listener on loopback; BSD and macOS allow it, so ask there as well.
ADDRESSES = (
    WILDCARDS if sys.platform.startswith("linux") else (*WILDCARDS, ("127.0.0.1", False), ("::1", True))
)

NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def pool(environ: Mapping[str, str], project_range: tuple[int, int] | None = None) -> range:
    """The ports to give out: DEVPORT_PORT_RANGE, else the project's, else 19000-19999.

    UsageError for a range that is none.
    """
    if text := environ.get("DEVPORT_PORT_RANGE"):
        low, dash, high = text.partition("-")
        if not dash or not (_is_number(low) and _is_number(high)):
            raise UsageError(f"cannot use DEVPORT_PORT_RANGE={printable(text)}: say LOW-HIGH")
        return _range(int(low), int(high), f"DEVPORT_PORT_RANGE={text}")
    if project_range:
        return _range(*project_range, f"the port range {project_range[0]}-{project_range[1]}")
    return _range(*DEFAULT_POOL, "")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT))


def _range(low: int, high: int, what: str) -> range:
    if not 1 <= low <= high <= MAX_PORT:
        raise UsageError(f"cannot use {what}: it must go upward within 1-{MAX_PORT}")
    return range(low, high + 1)


def order(among: range, uid: int) -> Sequence[int]:
    """`among` as user `uid` goes through it.

    In the usual pool each user begins at a place of their own: what others have reserved cannot be seen,
    and while it does not run its port looks free. A pool that somebody has chosen is gone through upward.
    """
    if among != range(DEFAULT_POOL[0], DEFAULT_POOL[1] + 1):
        return among
    first = STEP * uid % len(among)  # 0 for root and 1000, the usual first user
    return [*among[first:], *among[:first]]


def ephemeral() -> range:
    """The ports that the kernel gives to outgoing connections: any program may have one by chance."""
    try:
        with open(EPHEMERAL, "rb") as file:
            low, high = file.read().split()
        return range(int(low), int(high) + 1)
    except (OSError, ValueError):
        return range(49152, MAX_PORT + 1)  # IANA's, and those of macOS and BSD


def allocate(taken: Collection[int], among: Iterable[int], is_free: Callable[[int], bool]) -> int | None:
    """The first port of `among` that is neither `taken` nor in use; None if there is none."""
    return next((port for port in among if port not in taken and is_free(port)), None)


def search(
    base: int, taken: Collection[int], is_free: Callable[[int], bool], limit: int = SEARCH_LIMIT
) -> int | None:
    """As `allocate`, from `base` upward through at most `limit` ports."""
    return allocate(taken, range(base, min(base + limit, MAX_PORT + 1)), is_free)


def reclaimable(
    records: Iterable["Record"], among: range, now: float, is_used: Callable[[str], bool]
) -> Iterator["Record"]:
    """Records whose port in the pool may go to somebody else, the longest unused first.

    Unused: not up for 30 days before `now` (seconds since the epoch), and `is_used` (which does not rely
    on a clock that anybody sets) does not know better. A record that does not say when it was up keeps its
    port, as does one on the tailnet. Lazy: hardly any registration gets this far.
    """
    stale = []
    for record in records:
        up = seconds(record.last_up)
        if record.tailnet or "url" in record.extra:
            continue  # the tailnet would show whoever has its port next
        if up is not None and now - up > UNUSED_FOR and any(port in among for port in record.reserved):
            stale.append((up, record.hash, record))
    for _, hash_, record in sorted(stale, key=lambda item: item[:2]):
        if not is_used(hash_):
            yield record


def is_free(port: int) -> bool:
    """Whether nothing listens on `port`: v4 or v6, on every address or on loopback only.

    Sockets in TIME_WAIT do not count. DevportError for a port this user may not use at all.
    """
    free = True
    for address, is_v6 in ADDRESSES:
        try:
            bound = _bind(address, port, is_v6=is_v6)
        except OSError as error:
            free = free and _explain(port, error)
        else:
            if bound is not None:
                bound.close()
    return free


def _explain(port: int, error: OSError) -> bool:
    if error.errno == errno.EADDRINUSE:
        return False
    if error.errno in (errno.EACCES, errno.EPERM):
        why = "ports below 1024 need privileges" if port < 1024 else error.strerror  # noqa: PLR2004
        raise DevportError(f"cannot use port {port}: {why}") from error
    raise DevportError(f"cannot use port {port}: {error.strerror}") from error


def _bind(address: str, port: int, *, is_v6: bool) -> "_socket.socket | None":
    """A socket bound to `port`, close-on-exec as Python makes them; None on a machine without this family."""
    # The C module: the pure-Python `socket` around it adds enums and selectors, 3 to 7 ms at start-up.
    import _socket  # noqa: PLC0415

    bound = None
    try:
        bound = _socket.socket(_socket.AF_INET6 if is_v6 else _socket.AF_INET, _socket.SOCK_STREAM)
        # Without it connections that ended a minute ago (TIME_WAIT) would look like a listener.
        bound.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if is_v6:
            bound.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
    except OSError as error:
        if bound is not None:
            bound.close()
        if is_v6 and error.errno in NO_SUCH_FAMILY:
            return None
        raise
    return bound


class Held:
    """A port that nobody else can bind until `release`; DevportError if somebody has it.

    Bound and not listening: a client is refused, as by a service that is not up yet.
    """

    def __init__(self, port: int) -> None:
        import _socket  # noqa: PLC0415 - see _bind

        self.port = port
        self._sockets: list[_socket.socket] = []
        try:
            for address, is_v6 in WILDCARDS:
                if (bound := _bind(address, port, is_v6=is_v6)) is not None:
                    self._sockets.append(bound)
                    # Two sockets that both say SO_REUSEADDR and do not listen may share a port.
                    bound.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 0)
        except OSError as error:
            self.release()
            _explain(port, error)
            raise DevportError(f"cannot hold port {port}: it is in use") from error

    def release(self) -> None:
        """Whoever wants the port can have it; twice is as good as once."""
        while self._sockets:
            self._sockets.pop().close()
