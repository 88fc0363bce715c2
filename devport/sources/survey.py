"""What there is to watch: folders, and the signature of each file that counts."""

import os
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from devport.encoding import decode, encode
from devport.model import Watch
from devport.sources.sieve import Sieve


class Survey(NamedTuple):
    """The folders to watch, and the signature of each file that counts."""

    folders: set[str]
    files: dict[str, int]


class _Surveyor:
    """Fills `survey`; enters each folder once, by whatever links it is reached."""

    def __init__(self, sieve: Sieve, stopped: Callable[[], bool], *, files: bool) -> None:
        self.survey = Survey(set(), {})
        self._sieve, self._stopped, self._files = sieve, stopped, files
        self._been: set[tuple[int, int]] = set()

    def start(self, path: str) -> None:
        """Add what is there of a listed path; where it is to come, or may be replaced, is watched too."""
        found = _stat(path)
        if found is not None and stat.S_ISDIR(found.st_mode):
            self._walk(path, found)
        else:
            self._add(path)
        parent = os.path.dirname(path)
        while not os.access(encode(parent), os.R_OK | os.X_OK) and parent != os.path.dirname(parent):
            parent = os.path.dirname(parent)
        self.survey.folders.add(parent)

    def _walk(self, top: str, found: os.stat_result) -> None:
        waiting = [(top, found)]
        while waiting and not self._stopped():
            folder, status = waiting.pop()
            if (status.st_dev, status.st_ino) in self._been or not _is_text(folder):
                continue
            self._been.add((status.st_dev, status.st_ino))
            try:
                with os.scandir(encode(folder)) as entries:
                    listing = [(decode(one.name), _is_folder(one), one.is_symlink()) for one in entries]
            except OSError:
                continue  # gone, or not ours to read
            self.survey.folders.add(folder)
            for name, is_folder, is_link in listing:
                path = os.path.join(folder, name)
                if not is_folder:
                    self._add(path)
                elif not self._sieve.enters(path) or (is_link and _leads_up(path)):
                    continue
                elif (below := _stat(path)) is not None:
                    waiting.append((path, below))

    def _add(self, path: str) -> None:
        if self._files and self._sieve.counts(path) and (known := signature(path)) is not None:
            self.survey.files[path] = known


def look(paths: Sequence[str], sieve: Sieve, stopped: Callable[[], bool], *, files: bool = True) -> Survey:
    """What there is of `paths` (absolute), `files` False: folders only; less than all once `stopped`."""
    surveyor = _Surveyor(sieve, stopped, files=files)
    for path in paths:
        surveyor.start(os.path.normpath(path))
    return surveyor.survey


def signature(path: str) -> int | None:
    """What changes when the content of the file `path` does; None where it is no regular file."""
    found = _stat(path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    return hash((found.st_mtime_ns, found.st_size, found.st_ino))


def sieve_of(watch: Watch) -> Sieve:
    """The Sieve for `watch` with the .gitignore files that there are now."""
    return Sieve(watch, _rules, lambda folder: _stat(f"{folder}/.git") is not None)


def _leads_up(link: str) -> bool:
    """Whether `link` leads to a folder that it is in itself: a cycle, or the whole file system."""
    target, here = os.path.realpath(encode(link)), os.path.realpath(os.path.dirname(encode(link)))
    return (here + b"/").startswith(target.rstrip(b"/") + b"/")


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(encode(path))
    except (OSError, ValueError):
        return None


def _is_text(path: str) -> bool:
    """Whether `path` is UTF-8, as watchfiles wants it."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rules(folder: str) -> list[str]:
    try:
        with open(encode(f"{folder}/.gitignore"), "rb") as file:
            return decode(file.read()).splitlines()
    except OSError:
        return []
