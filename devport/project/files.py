"""Reading a file whole, and what a path is; everything else of this package works on what comes back.

Beside `load`, which alone calls it, the only module here that touches the file system. Paths are text as
`encoding.decode` makes it, so they are encoded for every call: Python's own way follows the locale.
"""

import os
import stat

from devport.encoding import decode, encode
from devport.errors import DevportError, ExitStatus

LARGEST = 16 << 20
_OPEN = stat.S_IWGRP | stat.S_IWOTH


def exists(path: str) -> bool:
    """Whether there is anything at `path`, a broken link too."""
    return os.path.lexists(encode(path))


def is_there(path: str) -> bool:
    """Whether `path` is something to read; a broken link is, so that opening it can say what is wrong."""
    return exists(path) and not is_folder(path)


def is_folder(path: str) -> bool:
    """Whether `path` is a folder, or a link to one."""
    return os.path.isdir(encode(path))


def is_regular(path: str) -> bool:
    """Whether `path` is a regular file: one that can be read twice, and never blocks."""
    return os.path.isfile(encode(path))


def is_strangers(path: str) -> bool:
    """Whether `path` is another user's, in a folder in which others may put something, or that is another's.

    Another's folder that nobody else may write to is no stranger's to root: it is a project that a container
    or sudo works on, whose root has no user of its own.
    """
    try:
        owner = os.lstat(encode(path)).st_uid
        folder = os.stat(encode(os.path.dirname(path)))
    except OSError:
        return False
    user, shared = os.geteuid(), _OPEN
    if owner in {0, user}:
        return False
    if not user and folder.st_uid == owner:
        user = owner
        if folder.st_gid == owner:  # a group of his own, who works with umask 002
            shared = stat.S_IWOTH
    return bool(folder.st_mode & shared) or folder.st_uid not in {0, user}


def is_public(path: str) -> bool:
    """Whether every user of this machine can read `path`: it says so, and all folders above let them pass."""
    path = real(path)
    try:
        if not os.stat(encode(path)).st_mode & stat.S_IROTH:
            return False
        while (path := os.path.dirname(path)) != os.path.dirname(path):
            if not os.stat(encode(path)).st_mode & stat.S_IXOTH:
                return False
    except OSError:
        return False
    return True


def is_dangling(path: str) -> bool:
    """Whether `path` is a link to nothing."""
    return exists(path) and not os.path.exists(encode(path))


def real(path: str) -> str:
    """`path` without links in it."""
    return decode(os.path.realpath(encode(path)))


def shown(path: str, cwd: str) -> str:
    """`path` for a message: relative to the working directory where that is shorter."""
    relative = os.path.relpath(path, cwd)
    return relative if len(relative) < len(path) else path


def read(path: str, name: str, missing: int = ExitStatus.FAILED) -> bytes:
    """All of a file, a FIFO too; what fails is reported under `name`.

    `missing` is the status of the error about a file that is not there.
    """
    try:
        descriptor = os.open(encode(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise DevportError(f"cannot read {name}: {error.strerror}", missing) from error
    except OSError as error:
        raise DevportError(f"cannot read {name}: {error.strerror}") from error
    try:
        return read_descriptor(descriptor, name)
    finally:
        os.close(descriptor)


def read_descriptor(descriptor: int, name: str) -> bytes:
    """All that is left to read from `descriptor`."""
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := os.read(descriptor, 1 << 16):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST:
                raise DevportError(f"cannot read {name}: it is longer than {LARGEST >> 20} MiB")
    except OSError as error:
        raise DevportError(f"cannot read {name}: {error.strerror}") from error
    data = b"".join(chunks)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DevportError(f"cannot read {name}: it is UTF-16; save it as UTF-8")
    return data
