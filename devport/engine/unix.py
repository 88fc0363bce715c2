"""Unix sockets at a path: bound in private, never stolen from the living, reached however long the path is.

Owns the traps of the address family and knows nothing of what is said. `_socket` is the C half of
`socket`, which costs a tenth as much to import.
"""

import _socket
import errno
import os
import stat
import sys
from collections.abc import Callable

from devport.encoding import encode
from devport.errors import DevportError
from devport.kernel.descriptors import path_of
from devport.registry import files

LONGEST = 100
"""Bytes of a path that every system takes as an address (unix(7): 108 on Linux; 104 on macOS)."""
BACKLOG = 128
_PRIVATE = 0o177
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED = 0, 1, 76  # macOS: unix(4)


def at(path: str, act: Callable[[bytes], None]) -> None:
    """`act`, bind or connect, with an address that stands for `path`: a short one for a long one."""
    address = encode(path)
    if len(address) <= LONGEST:
        act(address)
        return
    folder, name = os.path.split(address)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        short = path_of(descriptor)
        if short is None or len(name) > LONGEST // 2:
            reason = f"its {len(address)} bytes are too long for a socket's address"
            raise OSError(errno.ENAMETOOLONG, reason)
        act(b"%s/%s" % (encode(short), name))
    finally:
        os.close(descriptor)


def peer(connection: _socket.socket) -> int:
    """The user (uid) on the other side, as the kernel noted it when the connection was made."""
    if sys.platform == "darwin":
        raw = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED)
    else:
        raw = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(raw[4:8], sys.byteorder)  # behind the pid, on macOS behind a version


def is_alive(path: str) -> bool:
    """Whether somebody listens at `path`; when in doubt, yes."""
    caller = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        caller.setblocking(False)
        at(path, caller.connect)
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except OSError:
        return True  # EAGAIN: listening, with a queue that is full
    finally:
        caller.close()
    return True


def listener_pid(path: str) -> int | None:
    """The process that listens at `path` (0: the system does not tell which); None if none can be reached."""
    caller = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        caller.setblocking(False)
        at(path, caller.connect)
    except BlockingIOError:
        return 0  # it listens, with a queue that is full
    except OSError:
        return None  # nor can anybody listen at a path that is too long for an address
    else:
        if sys.platform == "darwin":
            return 0
        credentials = caller.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)  # pid, uid, gid
        return int.from_bytes(credentials[:4], sys.byteorder)
    finally:
        caller.close()


class Listener:
    """A socket of this user that listens at `path`; DevportError when it cannot, or somebody else does."""

    def __init__(self, path: str) -> None:
        self.path = path
        private_folder(os.path.dirname(path))
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            bind(self._socket, path)
            self._socket.listen(BACKLOG)
            self._name = private_name(path)
        except OSError as error:
            self._socket.close()
            raise files.failed("listen at", path, error) from error

    def fileno(self) -> int:
        """Readable while somebody waits to be accepted."""
        return self._socket.fileno()

    def accept(self) -> _socket.socket | None:
        """The next connection, None where it is another user's; BlockingIOError where none waits."""
        # What `socket.accept` is made of.
        descriptor, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        connection = _socket.socket(fileno=descriptor)
        if peer(connection) != os.geteuid():
            connection.close()
            return None
        connection.setblocking(False)
        return connection

    def close(self) -> None:
        """Nobody listens any more, and the name is gone if it is still this socket's."""
        unlink(self.path, self._name)
        self._socket.close()


def private_folder(path: str) -> None:
    """`path` is a folder that nobody but this user can enter; DevportError if it cannot be."""
    files.make_folder(path)
    status = os.stat(path)
    if status.st_uid != os.geteuid():
        raise DevportError(f"cannot listen in {path}: it belongs to another user (uid {status.st_uid})")
    files.tighten(path, status)


def bind(bound: _socket.socket, path: str) -> None:
    """Bind to `path`, for this user only, in place of what a killed process left; OSError if it cannot."""
    # A chmod afterwards would come too late for who connects in between.
    mask = os.umask(_PRIVATE)
    try:
        try:
            at(path, bound.bind)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            remove_dead(path)
            at(path, bound.bind)
    finally:
        os.umask(mask)


def name(path: str) -> tuple[int, int]:
    """What tells the socket at `path` from a later one; OSError where there is nothing."""
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def unlink(path: str, own: tuple[int, int]) -> None:
    """Remove `path` if it still is the socket with the name `own`."""
    try:
        if name(path) == own:
            os.unlink(path)
    except OSError:
        pass  # somebody has cleaned up already


def private_name(path: str) -> tuple[int, int]:
    """As `name`; OSError where it is not private after all."""
    status = os.lstat(path)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & files.OTHERS:
        raise OSError(errno.EPERM, "its file system does not keep it private")
    return status.st_dev, status.st_ino


def remove_dead(path: str) -> None:
    """Remove what a killed process left at `path`; OSError for anything else."""
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise OSError(errno.EEXIST, "something that is no socket is there")
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "another user's socket is there")
    if is_alive(path):
        raise OSError(errno.EADDRINUSE, "another process listens there")
    os.unlink(path)
