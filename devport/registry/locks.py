"""Who runs a service right now: an flock held for a supervisor's life, with its holder written inside.

The kernel's lock is the fact; the text in the file only says who, and is believed only while the lock is
held and the process it names is the one that wrote it. Lock descriptors are close-on-exec, and whoever
forks without exec closes them. It knows nothing of records and ports.
"""

import errno
import fcntl
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from devport.context import wait_until
from devport.encoding import printable
from devport.errors import DevportError
from devport.kernel.birth import process_start
from devport.registry import files
from devport.registry.holder import UNKNOWN, Holder, age, from_line, this_process, to_line

if TYPE_CHECKING:
    from types import TracebackType

    from devport.context import Context
    from devport.registry.store import Store

__all__ = [
    "UNKNOWN",
    "Holder",
    "Lock",
    "acquire_all",
    "discard",
    "held",
    "last_begun",
    "process_start",
    "register_lock",
    "this_process",
]

# A looker may hold the lock shared for an instant, and a supervisor that ends needs a moment.
PATIENCE = 1.0
REGISTER_PATIENCE = 30.0
LARGEST_HOLDER = 65536

UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class Lock:
    """An exclusive lock that this process holds, until `release` or its end, whatever end that is."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: str, holder: Holder, timeout: float = PATIENCE) -> "Lock | Holder":
        """The lock at `path`, or who has it, after asking for `timeout` seconds; DevportError if neither."""
        locks, others = acquire_all({path: holder}, timeout)
        return locks[path] if locks else others[path]

    @classmethod
    def _attempt(cls, path: str, holder: Holder) -> "Lock | None":
        descriptor = files.open_own(path, os.O_RDWR | os.O_CREAT)
        try:
            _refuse_second_name(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if files.is_at(descriptor, path):
                line = to_line(holder)
                files.write_all(descriptor, line)
                os.ftruncate(
                    descriptor, len(line)
                )  # afterwards: to shorten to nothing costs a block each time
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def fileno(self) -> int:
        """The descriptor that holds the lock: closed in a fork child that does not exec."""
        return self._descriptor

    def release(self) -> None:
        """Nobody holds the lock through this object any more; twice is as good as once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def acquire_all(
    wanted: Mapping[str, Holder], timeout: float = PATIENCE
) -> tuple[dict[str, Lock], dict[str, Holder]]:
    """The locks that could be had, by path, and the holders of the others, after `timeout` seconds in all.

    In one order for everybody, past one that is taken only when the time is over: of two who want the same
    at the same moment one gets all of it. DevportError, with nothing held, when a lock cannot even be asked
    for.
    """
    locks: dict[str, Lock] = {}

    def try_(path: str) -> bool:
        if path not in locks and (lock := _attempt(path, wanted[path])):
            locks[path] = lock
        return path in locks

    try:
        if not wait_until(lambda: all(map(try_, sorted(wanted))), timeout):
            for path in sorted(wanted):
                try_(path)
        return locks, {path: held(path) or UNKNOWN for path in wanted if path not in locks}
    except BaseException:
        for lock in locks.values():
            lock.release()
        raise


def _refuse_second_name(descriptor: int) -> None:
    # Another name for it lets somebody else hold it, or write over a file of ours through it.
    if os.fstat(descriptor).st_nlink > 1:
        raise OSError(errno.EMLINK, "it has a second name")


def _attempt(path: str, holder: Holder) -> Lock | None:
    try:
        return Lock._attempt(path, holder)  # noqa: SLF001 - its own module
    except OSError as error:
        raise _failed(path, error) from error


def held(path: str) -> Holder | None:
    """Who holds the lock at `path`, None if nobody does; looking neither takes it nor creates anything."""
    try:
        descriptor = files.open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return from_line(files.read_all(descriptor, LARGEST_HOLDER))
    except OSError as error:
        raise _failed(path, error) from error
    else:
        return None
    finally:
        os.close(descriptor)


def last_begun(path: str) -> float | None:
    """Seconds since the process began that holds the lock at `path` or held it last.

    By a clock that nobody sets; None if that was before this boot, or cannot be told.
    """
    try:
        descriptor = files.open_own(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return age(files.read_all(descriptor, LARGEST_HOLDER))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def discard(path: str) -> bool:
    """Whether the lock file at `path` is gone: it is only ever unlinked by whoever holds it."""
    try:
        descriptor = files.open_own(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise _failed(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if files.is_at(descriptor, path):
            os.unlink(path)
    except BlockingIOError:
        return False
    except OSError as error:
        raise _failed(path, error) from error
    finally:
        os.close(descriptor)
    return True


def _failed(path: str, error: OSError) -> DevportError:
    if error.errno in UNSUPPORTED:
        return DevportError(
            f"cannot lock {printable(path)}: its file system has no locks (DEVPORT_HOME names another place)"
        )
    return files.failed("lock", path, error)


class register_lock:  # noqa: N801 - used as `with register_lock(store, context):`
    """Only one process at a time registers services: waits up to 30 seconds, then names who is in the way."""

    def __init__(self, store: "Store", context: "Context", timeout: float = REGISTER_PATIENCE) -> None:
        self._store = store
        self._holder = this_process(context, "register")
        self._timeout = timeout
        self._lock: Lock | None = None

    def __enter__(self) -> None:
        """Registration is ours; DevportError if it cannot be."""
        self._store.prepare()
        got = Lock.acquire(f"{self._store.locks}/register.lock", self._holder, self._timeout)
        if isinstance(got, Holder):
            raise DevportError(
                f"cannot register: {got} has kept others from registering for {self._timeout:g} s"
            )
        self._lock = got

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        """The next one may register."""
        if self._lock:
            self._lock.release()
