"""The records on disk: read all at once, replaced one file at a time, never torn, never silently lost.

A record is replaced under an flock of the record file itself; who waited for that lock looks whether
the file is still the one that its name leads to, so an update never resurrects a removed record and
needs no lock file of its own. New records are written only under `locks/register.lock`. It knows
nothing of projects and of which port is free.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping

from devport.context import wait_until
from devport.encoding import printable
from devport.errors import DevportError
from devport.registry import files
from devport.registry.identity import is_hash
from devport.registry.record import Record, UnreadableError, from_json, to_json
from devport.registry.snapshot import Snapshot, Unreadable, salvage

FOLDERS = ("services", "locks", "run", "logs")
LARGEST_RECORD = 16 << 20
LEFTOVER_AFTER = 60.0
LOCK_TIMEOUT = 5.0
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)

TEMPORARY = re.compile(r"[0-9a-f]{10}\.json\.tmp-(\d+)", re.ASCII)

Change = Callable[[Record], Record]


class Store:
    """The state folder. Making one touches nothing; reading creates nothing."""

    def __init__(self, state_dir: str, wall: Callable[[], float] = time.time) -> None:
        if not state_dir:
            raise DevportError("cannot find the state folder: neither DEVPORT_HOME nor HOME is set")
        self.root = state_dir
        self.services = os.path.join(state_dir, "services")
        self.locks = os.path.join(state_dir, "locks")
        self._wall = wall

    def path(self, hash_: str) -> str:
        """The record file of `hash_`."""
        return f"{self.services}/{hash_}.json"

    def lock_path(self, hash_: str) -> str:
        """The lock that whoever runs `hash_` holds."""
        return f"{self.locks}/{hash_}.lock"

    def launch_path(self, hash_: str) -> str:
        """The lock that whoever is starting `hash_` in the background holds meanwhile."""
        return f"{self.locks}/{hash_}.launch"

    def socket_path(self, hash_: str) -> str:
        """Where the supervisor of `hash_` listens for control clients."""
        return f"{self.root}/run/{hash_}.sock"

    def log_path(self, hash_: str) -> str:
        """What `hash_` printed in the background."""
        return f"{self.root}/logs/{hash_}.log"

    def prepare(self) -> None:
        """All folders exist, private; DevportError if they cannot, or belong to somebody else."""
        files.make_folder(self.root, linked=True)
        self._check()
        for name in FOLDERS:
            files.make_folder(os.path.join(self.root, name))
            if status := files.check_folder(os.path.join(self.root, name)):
                files.tighten(os.path.join(self.root, name), status)

    def _check(self) -> bool:
        """Whether the state folder exists; one that others may write to is made private, or refused."""
        status = files.check_folder(self.root, linked=True)
        if status is None:
            return False
        if status.st_mode & files.OTHERS and not status.st_mode & 0o1000:
            # `DEVPORT_HOME=~` or a shared folder must not be closed to the others who use it.
            if set(os.listdir(self.root)) <= {*FOLDERS}:
                files.tighten(self.root, status)
            elif status.st_mode & 0o022:
                raise DevportError(f"cannot use {printable(self.root)}: other users may write there")
        return True

    def records(self) -> Snapshot:
        """Every record; damaged ones keep the ports that can still be read off them.

        DevportError when the folder itself cannot be read.
        """
        snapshot = Snapshot({}, {})
        for hash_ in self._hashes():
            try:
                record = self.record(hash_)
            except UnreadableError as error:
                snapshot.unreadable[hash_] = Unreadable(self._salvage(hash_), error.message, error.newer)
            else:
                if record is not None:  # removed since the folder was listed
                    snapshot.records[hash_] = record
        return snapshot

    def _hashes(self) -> list[str]:
        if not self._check() or files.check_folder(self.services) is None:
            return []
        try:
            names = os.listdir(self.services)
        except OSError as error:
            raise files.failed("read", self.services, error) from error
        return sorted(name[:-5] for name in names if name.endswith(".json") and is_hash(name[:-5]))

    def record(self, hash_: str) -> Record | None:
        """The record of `hash_`, None where there is none; UnreadableError for a damaged one."""
        path = self.path(hash_)
        try:
            data = self._read(hash_)
        except FileNotFoundError:
            return None
        except OSError as error:
            failure = files.failed("read record", path, error)
            if error.errno in EXHAUSTED:  # our trouble, not the file's: nobody may think it damaged
                raise failure from error
            raise UnreadableError(failure.message) from error
        return from_json(data, path)

    def _salvage(self, hash_: str) -> tuple[int, ...]:
        try:
            descriptor = files.open_own(self.path(hash_), os.O_RDONLY)
            try:
                return salvage(os.read(descriptor, LARGEST_RECORD))
            finally:
                os.close(descriptor)
        except OSError:
            return ()

    def write(self, records: Iterable[Record]) -> None:
        """Stores `records`, new ones or ones in place of damaged files; the caller holds register.lock.

        All are on the disk before the first takes its place. A damaged file stays beside its successor
        as `<hash>.json.corrupt-<time>`. DevportError when they cannot be written: then every old file
        is still there and nothing is left over.
        """
        self.prepare()
        drafts: dict[str, Record] = {}
        label = ""
        try:
            for record in records:
                label, data = record.label, to_json(record)
                if not self._holds(record.hash, data):
                    drafts[self._draft(record.hash, data)] = record
            for draft, record in drafts.items():
                label = record.label
                files.flush(draft)
            self._settle(drafts)
        except OSError as error:
            raise _cannot_write(label, error) from error
        finally:
            for draft in drafts:
                _unlink(draft)

    def _settle(self, drafts: dict[str, Record]) -> None:
        """Every draft takes its place; `drafts` keeps those that could not."""
        for draft in list(drafts):
            self._keep_damaged(drafts[draft].hash)
            os.replace(draft, self.path(drafts[draft].hash))
            del drafts[draft]
            if not drafts:
                files.flush(self.services)

    def _holds(self, hash_: str, data: bytes) -> bool:
        """Whether the record file of `hash_` is `data` already."""
        try:
            return self._read(hash_) == data
        except OSError:
            return False

    def _read(self, hash_: str) -> bytes:
        descriptor = files.open_own(self.path(hash_), os.O_RDONLY)
        try:
            return files.read_all(descriptor, LARGEST_RECORD)
        finally:
            os.close(descriptor)

    def _draft(self, hash_: str, data: bytes) -> str:
        """A new file with `data` in the same folder, not yet on the disk for certain."""
        draft = f"{self.path(hash_)}.tmp-{os.getpid()}"
        _unlink(draft)  # of a process that had our number and died
        descriptor = files.open_own(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            files.write_all(descriptor, data)
        except BaseException:
            _unlink(draft)
            raise
        finally:
            os.close(descriptor)
        return draft

    def _keep_damaged(self, hash_: str) -> None:
        """A damaged record gets a second name before its own is given away, so that no moment has neither."""
        try:
            self.record(hash_)
        except UnreadableError:
            path = self.path(hash_)
            aside = f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self._wall()))}"
            try:
                os.link(path, aside, follow_symlinks=False)
                files.flush(self.services)  # or a power cut could leave the successor alone
            except FileExistsError:
                pass  # the same second: the damage of this very moment is kept already
            except OSError:
                os.rename(path, aside)  # a folder, or a file system without hard links

    def update(self, hash_: str, change: Change, timeout: float = LOCK_TIMEOUT) -> Record | None:
        """What `change` makes of the record as it is now, stored; None where the record was removed.

        Waits at most `timeout` seconds for another writer. DevportError when it cannot be written.
        """
        return self.update_all({hash_: change}, timeout).get(hash_)

    def update_all(self, changes: Mapping[str, Change], timeout: float = LOCK_TIMEOUT) -> dict[str, Record]:
        """As `update`, for several records, by hash; removed ones are missing from what it returns."""
        updated: dict[str, Record] = {}
        written = False
        for hash_, change in changes.items():
            if (descriptor := self._lock(hash_, timeout)) is None:
                continue
            try:
                record = from_json(files.read_all(descriptor, LARGEST_RECORD), self.path(hash_))
                updated[hash_] = change(record)
                if updated[hash_] != record:
                    self._replace(updated[hash_])
                    written = True
            finally:
                os.close(descriptor)
        if written:
            files.flush(self.services)
        return updated

    def _replace(self, record: Record) -> None:
        draft = ""
        try:
            draft = self._draft(record.hash, to_json(record))
            files.flush(draft)
            os.replace(draft, self.path(record.hash))
        except OSError as error:
            _unlink(draft)
            raise _cannot_write(record.label, error) from error

    def _lock(self, hash_: str, timeout: float) -> int | None:
        """A descriptor of the record file that holds its lock; None where there is no such record."""
        found: list[int | None] = []

        def try_once() -> bool:
            try:
                descriptor = files.open_own(self.path(hash_), os.O_RDWR)
            except FileNotFoundError:
                found.append(None)
                return True
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if files.is_at(descriptor, self.path(hash_)):
                    found.append(descriptor)
                    return True
            except BlockingIOError:
                pass
            os.close(descriptor)
            return False

        try:
            if not wait_until(try_once, timeout):
                raise DevportError(f"cannot write record {self.path(hash_)}: another process keeps it locked")
        except OSError as error:
            raise files.failed("write record", self.path(hash_), error) from error
        return found[0]

    def remove(self, hash_: str) -> None:
        """The record of `hash_` is gone and its ports are free; damaged copies of it go too."""
        try:
            descriptor = self._lock(hash_, LOCK_TIMEOUT)
        except DevportError:
            if os.path.isfile(self.path(hash_)) and not os.path.islink(self.path(hash_)):
                raise
            descriptor = None  # a link or the like that somebody put there: nothing to lock
        try:
            for name in os.listdir(self.services):
                if name == f"{hash_}.json" or name.startswith(f"{hash_}.json.corrupt-"):
                    os.unlink(f"{self.services}/{name}")
            files.flush(self.services)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise files.failed("remove record", self.path(hash_), error) from error
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def sweep(self) -> None:
        """Drafts that a killed writer left over a minute ago are removed."""
        try:
            for name in os.listdir(self.services):
                if (match := TEMPORARY.fullmatch(name)) and not _alive(int(match[1])):
                    draft = f"{self.services}/{name}"
                    if self._wall() - os.lstat(draft).st_mtime > LEFTOVER_AFTER:
                        os.unlink(draft)
        except OSError:
            return  # litter is no reason to fail


def _cannot_write(label: str, error: OSError) -> DevportError:
    return DevportError(f"cannot write record of {printable(label)}: {error.strerror or error}")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
