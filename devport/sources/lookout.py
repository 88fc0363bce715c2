"""The thread that looks at files: which changed, told through a pipe.

watchfiles tells that something happened; what it was is found by comparing with what was there before
(`Survey`): so metadata does not count, nothing is lost between the making of a folder and its being
watched, and the same comparison bridges whatever breaks. Folders are watched one by one and not
recursively, because one node_modules is more than all inotify watches a system allows, and because a
path that does not exist yet is waited for in its parent.

Nothing here touches devport's state: the thread owns this object, and speaks by `Reports`. It blocks all
signals and never forks.
"""

import _thread
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from devport.encoding import encode
from devport.model import Watch
from devport.sources.survey import Survey, look, sieve_of, signature

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

STEP = 50
"""Milliseconds between looks at what the kernel reported; a batch is over after one without news."""
BATCH = 2000
"""Milliseconds that a batch takes at most."""
FEW = 16
"""Events from which a batch is somebody else's work (a checkout, a build), not a save: waited for longer."""
WORK = 10.0
"""Seconds after which such a batch is told of, whether done or not."""
LULL = 250
"""Milliseconds without news that end such a batch."""
MANY = 1000
"""Events from which looking at everything is cheaper, and the kernel may have dropped some."""
POLL = 1.0
"""Seconds between two looks where the kernel does not report."""
TRIES = 20
"""How often folders may come or go while they are about to be watched."""
MODIFIED = 2  # watchfiles.Change.modified; importing it would load asyncio


class Report(NamedTuple):
    """Files that `changed`; or what is `watched` now; or a `trouble`: it polls now, or has `ended`."""

    changed: frozenset[str] = frozenset()
    watched: str = ""
    trouble: str = ""
    ended: bool = False


class Reports:
    """From the thread to the loop: `take` when `descriptor` is readable; an empty pipe means it has ended."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._write, False)
        self._waiting: deque[Report] = deque()

    def tell(self, report: Report) -> None:
        """The thread's side; nothing where nobody listens any more."""
        self._waiting.append(report)
        try:
            os.write(self._write, b"!")
        except (BlockingIOError, BrokenPipeError):
            pass  # it is readable already; or the reader has closed it

    def hang_up(self) -> None:
        """The thread's last word."""
        os.close(self._write)

    def take(self) -> Iterator[Report]:
        """What there is; the descriptor is closed by its reader."""
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            pass
        while self._waiting:
            yield self._waiting.popleft()


class Lookout:
    """Looks at what `watch` says until `stop`, in a thread of its own from `begin` on."""

    def __init__(
        self, watch: Watch, reports: Reports, library: "Callable[[], Callable[..., RustNotify]]"
    ) -> None:
        self._watch, self._reports, self._library = watch, reports, library
        self._pause = _thread.allocate_lock()
        self._pause.acquire()
        self._stopped = False
        self._sieve = sieve_of(watch)
        self._seen: Survey | None = None
        self._watched_last = ""

    def begin(self) -> None:
        """Start the thread; no signal is ever delivered to it or to one that it starts."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:  # no more threads
            self._reports.tell(Report(trouble=str(error), ended=True))
            self._reports.hang_up()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """Have the thread end within two STEPs; it closes what it has opened."""
        self._stopped = True
        if self._pause.locked():
            self._pause.release()

    def is_set(self) -> bool:
        """Whether to stop: watchfiles asks, who wants a threading.Event."""
        return self._stopped

    def _run(self) -> None:
        try:
            for look in (self._listen, self._poll):
                try:
                    look()
                    break
                except Exception as error:  # noqa: BLE001 - a watcher may die of anything; the service must not
                    self._reports.tell(Report(trouble=_reason(error), ended=look == self._poll))
        finally:
            self._reports.hang_up()

    def _listen(self) -> None:
        """Have the kernel report."""
        make = self._library()
        while not self._stopped:
            notify = self._watched(make)
            try:
                while not self._stopped and self._still(notify):
                    pass
            finally:
                notify.close()

    def _poll(self) -> None:
        """Look at everything again and again, a twentieth of the time at most.

        The library can poll as well, but takes two writes within a second for one.
        """
        self._sieve = sieve_of(self._watch)
        while not self._stopped:
            began = time.monotonic()
            self._compare(self._survey(), ", by polling")
            self._pause.acquire(timeout=max(POLL, 20 * (time.monotonic() - began)))

    def _survey(self, *, files: bool = True) -> Survey:
        return look(self._watch.paths, self._sieve, self.is_set, files=files)

    def _watched(self, make: "Callable[..., RustNotify]") -> "RustNotify":
        """Watch all folders there are, then tell what changed until they were."""
        survey = self._survey(files=False)
        end = time.monotonic() + WORK
        for left in reversed(range(TRIES)):
            folders = survey.folders
            try:
                # Errors of permission count: told to ignore those, watchfiles ignores the limits as well.
                notify = make(sorted(folders), False, False, 0, False, False)
            except (FileNotFoundError, PermissionError):
                if not left:
                    raise
                survey = self._survey(files=False)
                continue
            survey = self._survey()
            while survey.folders <= folders and self._goes_on(notify, survey, end):
                survey = self._survey()
            if survey.folders <= folders or not left:
                break
            notify.close()
        self._compare(survey)
        return notify

    def _goes_on(self, notify: "RustNotify", survey: Survey, end: float) -> bool:
        """Whether somebody is at work on many files, and not done yet; at most until `end`."""
        return len(self._changes(survey)) > FEW and time.monotonic() < end and bool(self._hear(notify, LULL))

    def _changes(self, survey: Survey) -> set[str]:
        known = survey.files if self._seen is None else self._seen.files
        changed = {path for path, now in survey.files.items() if known.get(path) != now}
        return changed | (known.keys() - survey.files.keys())

    def _compare(self, survey: Survey, how: str = "") -> None:
        """Tell what is different in `survey`, which is the truth from now on."""
        if self._stopped:
            return  # it may be half a survey
        changed = self._changes(survey)
        self._seen = survey
        self._tell(changed)
        count = len(survey.files)
        watched = f"{count} {'file' if count == 1 else 'files'}{how}"
        if watched != self._watched_last:
            self._watched_last = watched
            self._reports.tell(Report(watched=watched))

    def _tell(self, changed: Iterable[str]) -> None:
        if files := frozenset(changed):
            self._reports.tell(Report(files))

    def _still(self, notify: "RustNotify") -> bool:
        """Wait for one batch and tell of it; False: the folders have to be looked at anew."""
        batch = self._batch(notify)
        if len(batch) > MANY:
            return False
        news: dict[str, int | None] = {}
        for kind, path in batch:
            if not self._one(kind, path, news):
                return False  # everything is compared then, this batch too, and told at once
        assert self._seen is not None
        for path, now in news.items():
            if now is None:
                self._seen.files.pop(path, None)
            else:
                self._seen.files[path] = now
        self._tell(news.keys())
        return True

    def _batch(self, notify: "RustNotify") -> set[tuple[int, str]]:
        batch = self._hear(notify, 0)
        end = time.monotonic() + WORK
        while len(batch) > FEW and time.monotonic() < end and (more := self._hear(notify, LULL)):
            batch |= more
        return batch

    def _hear(self, notify: "RustNotify", patience: int) -> set[tuple[int, str]]:
        """What is reported within `patience` milliseconds, 0: for ever; nothing once stopped."""
        try:
            news = notify.watch(BATCH, STEP, patience, self)
        except RuntimeError as error:
            if "decode" in str(error):  # a name that is not UTF-8, which watchfiles cannot say
                return {(0, "")}  # nothing we know: everything is looked at
            raise
        return set() if isinstance(news, str) else news

    def _one(self, kind: int, path: str, news: dict[str, int | None]) -> bool:
        """Note the signature of `path` in `news` if that changed; False: it concerns more than one file."""
        assert self._seen is not None
        folders, files = self._seen
        folder, name = os.path.split(path)
        if name == ".gitignore" and folder in folders:
            self._renew()
            return False
        if kind != MODIFIED:
            if path in folders:
                return False
            if os.path.isdir(encode(path)) and (self._sieve.enters(path) or self._sieve.leads(path)):
                return False
        if folder not in folders and path not in folders:
            return False  # known to us by another name: the system resolves links (macOS)
        if self._sieve.counts(path):
            now = signature(path)
            if now != files.get(path):
                news[path] = now
        return True

    def _renew(self) -> None:
        """Read the .gitignore files again; that other files count from now on is no change of them."""
        assert self._seen is not None
        before, self._sieve = self._sieve, sieve_of(self._watch)
        fresh = self._survey().files
        known = {path: seen for path, seen in self._seen.files.items() if self._sieve.counts(path)}
        for path, now in fresh.items():
            if path not in known and not before.counts(path):
                known[path] = now
        self._seen = Survey(self._seen.folders, known)


def _reason(error: Exception) -> str:
    """What watchfiles says, without the list of paths behind it."""
    text = str(error).partition(" about [")[0].rstrip(".")
    if "limit" in text:
        text = "the limit fs.inotify.max_user_watches is reached"
    elif "Too many open files" in text:
        text = "the limit fs.inotify.max_user_instances is reached"
    return text or type(error).__name__


def rust_notify() -> "Callable[..., RustNotify]":
    """RustNotify of watchfiles, without the rest of the package, which is asyncio, 40 ms and 4 MB.

    Raises ImportError where it is not there.
    """
    name = "watchfiles._rust_notify"
    module: Any = sys.modules.get(name)
    if module is None:
        from importlib.machinery import PathFinder  # noqa: PLC0415 - where files are watched only

        package = PathFinder.find_spec("watchfiles")
        found = package and PathFinder.find_spec(name, package.submodule_search_locations)
        if not found or found.loader is None or (module := found.loader.create_module(found)) is None:
            raise ImportError("watchfiles is not installed")
        found.loader.exec_module(module)
        sys.modules[name] = module
    notify: Callable[..., RustNotify] = module.RustNotify
    return notify
