"""Files and folders that are ours alone: opened without following links, private, replaced as a whole.

It knows the operating system's traps and nothing of what the files mean.
"""

import errno
import fcntl
import os
import stat

from devport.encoding import printable
from devport.errors import DevportError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
OTHERS = 0o077

# O_NONBLOCK: opening a FIFO that somebody put there must not wait for a writer.
SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def failed(verb: str, path: str, error: OSError) -> DevportError:
    """`cannot VERB PATH: why`, the reason as the operating system words it."""
    why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
    return DevportError(f"cannot {verb} {printable(path)}: {why}")


def open_own(path: str, flags: int) -> int:
    """A descriptor of the regular file `path` that belongs to this user; OSError otherwise.

    With O_CREAT a new file is private whatever the umask is.
    """
    descriptor = os.open(path, flags | SAFE, FILE_MODE)
    try:
        mode = _own_mode(descriptor)
        if flags & os.O_CREAT and mode != FILE_MODE:
            os.fchmod(descriptor, FILE_MODE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _own_mode(descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if status.st_uid != os.geteuid():
        raise OSError(errno.EPERM, "it belongs to another user")
    return stat.S_IMODE(status.st_mode)


def is_at(descriptor: int, path: str) -> bool:
    """Whether `path` still leads to the file behind `descriptor`: it was neither removed nor replaced."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def read_all(descriptor: int, limit: int) -> bytes:
    """What `descriptor` holds from its beginning; OSError (EFBIG) beyond `limit` bytes."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    chunks: list[bytes] = []
    size = 0
    while chunk := os.read(descriptor, 65536):
        size += len(chunk)
        if size > limit:
            raise OSError(errno.EFBIG, "it is too large")
        chunks.append(chunk)
    return b"".join(chunks)


def write_all(descriptor: int, data: bytes) -> None:
    """All of `data`, in as many writes as it takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def flush(path: str) -> None:
    """`path` (a file, or a folder's entries) is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone stops at the drive's cache
            try:
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            except OSError:
                pass
            else:
                return
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems cannot flush a folder; nothing better exists there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def check_folder(path: str, *, linked: bool = False) -> os.stat_result | None:
    """The status of folder `path`, None where nothing is; DevportError for one that is not ours to trust.

    `linked`: it may be a symbolic link, if that is this user's or root's.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            if not linked:
                raise DevportError(f"cannot use {printable(path)}: it is a symbolic link")
            if status.st_uid not in {0, os.geteuid()}:
                raise DevportError(f"cannot use {printable(path)}: it is a symbolic link of another user")
            status = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed("read", path, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise DevportError(f"cannot use {printable(path)}: it is not a folder")
    if status.st_uid != os.geteuid() and not (status.st_uid == 0 and status.st_mode & stat.S_ISVTX):
        raise DevportError(
            f"cannot use {printable(path)}: it belongs to another user (uid {status.st_uid}),"
            f" not to uid {os.geteuid()}"
        )
    return status


def make_folder(path: str, *, linked: bool = False) -> None:
    """`path` exists as a private folder of this user, its missing parents too; DevportError if it cannot.

    Parents get 0700 as well: the XDG specification wants that of whoever creates them. `linked` as above.
    """
    try:
        if "SUDO_UID" in os.environ:
            _refuse_for_root(path)
        os.mkdir(path, FOLDER_MODE)
        os.chmod(path, FOLDER_MODE)  # whatever the umask took away
        _flush_name(path)
    except FileNotFoundError as error:
        parent = os.path.dirname(path)
        if os.path.isdir(parent):  # /proc, where no folder can be made
            raise failed("make", path, error) from error
        make_folder(parent, linked=linked)
        make_folder(path)
    except FileExistsError:
        status = check_folder(path, linked=linked)
        if status is None:
            raise DevportError(f"cannot use {printable(path)}: it is a dangling symbolic link") from None
    except OSError as error:
        raise failed("create", path, error) from error


def _refuse_for_root(path: str) -> None:
    """DevportError where `path` would be a folder of root's in a folder of the user who has called sudo.

    sudo may keep HOME (-E, macOS): what root leaves there its owner could not use any more. Its variable
    is asked here because it is no setting of devport's, and whoever makes a folder would have to be told.
    """
    parent = os.path.dirname(path)
    if os.path.lexists(path) or not os.path.isdir(parent):
        return
    if os.geteuid() == 0 and str(os.stat(parent).st_uid) == os.environ["SUDO_UID"] != "0":
        where = f"{printable(parent)} belongs to the user who called sudo"
        raise DevportError(f"cannot create {printable(path)} as root: {where} (DEVPORT_HOME names another)")


def _flush_name(path: str) -> None:
    """The new folder `path` is still there after a power cut, as far as its parent lets us see to that."""
    try:
        flush(os.path.dirname(path) or ".")
    except OSError:
        pass  # a parent that may be searched and not read, say


def tighten(path: str, status: os.stat_result) -> None:
    """Folder `path` is open to nobody but this user."""
    if stat.S_IMODE(status.st_mode) & OTHERS:
        try:
            os.chmod(path, FOLDER_MODE)
        except OSError as error:
            raise failed("make private", path, error) from error
