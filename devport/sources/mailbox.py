"""A datagram socket at a path of ours: messages of this user's processes, and nothing else that comes along.

Owns the kernel's side of sd_notify(3): who may speak, what is too long, and that no descriptor that
somebody passes stays open. Knows nothing of what is said.
"""

import _socket
import os
import sys
from collections.abc import Iterator

from devport.engine import unix
from devport.registry import files

LONGEST = 4096
"""Bytes of a message; a longer one is ignored as a whole, as systemd has it."""
_CREDENTIALS = 12  # pid, uid and gid
# One descriptor is what sd_notify_barrier(3) passes; the kernel drops those there is no room for.
_ROOM = _socket.CMSG_SPACE(_CREDENTIALS) + _socket.CMSG_SPACE(4)
_FLAGS = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
_KNOWS_SENDERS = hasattr(_socket, "SO_PASSCRED")  # Linux


class Mailbox:
    """Receives at `path`, in a private folder; DevportError when it cannot."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if _KNOWS_SENDERS:  # before the first message can come
                self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
            unix.bind(self._socket, path)
            self._name = unix.private_name(path)
        except OSError as error:
            self._socket.close()
            raise files.failed("listen at", path, error) from error

    def fileno(self) -> int:
        """Readable while there are messages."""
        return self._socket.fileno()

    def take(self, most: int) -> Iterator[bytes]:
        """The messages there are, at most `most`, in their order.

        What came with a message is closed once the next one is asked for: whoever passed it is told by
        that that its message has been taken up.
        """
        for _ in range(most):
            try:
                message, ancillary, flags, _sender = self._socket.recvmsg(LONGEST, _ROOM, _FLAGS)
            except OSError:
                return  # BlockingIOError: there are no more
            try:
                if not flags & _socket.MSG_TRUNC and _is_trusted(ancillary):
                    yield message
            finally:
                for descriptor in _passed(ancillary):
                    os.close(descriptor)

    def close(self) -> None:
        """Nobody is heard any more, and the path is gone."""
        unix.unlink(self.path, self._name)
        self._socket.close()


def _is_trusted(ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Whether this user or root sent it. The sender may have ended since: its pid says nothing."""
    if not _KNOWS_SENDERS:
        return True  # the folder keeps the others out
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS):
            return _numbers(data)[1] in {0, os.getuid(), os.geteuid()}
    return False


def _passed(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    return [
        descriptor
        for level, kind, data in ancillary
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
        for descriptor in _numbers(data)
    ]


def _numbers(data: bytes) -> list[int]:
    """The C ints in `data`; what is left over of a truncated one is none."""
    return [int.from_bytes(data[i : i + 4], sys.byteorder, signed=True) for i in range(0, len(data) - 3, 4)]
