"""Which files count when they change: decided from paths and patterns alone.

No I/O: what a folder's .gitignore says, and whether a folder is the top of a working copy, is asked of
functions. Patterns are git's, matched by `pathspec` (docs/decisions/009), which is loaded with the first
pattern. A folder that is out takes all below it along, as with git.
"""

import posixpath
from collections.abc import Callable, Sequence
from typing import Protocol

from devport.model import Watch

JUNK = frozenset({"__pycache__", "node_modules", "4913", "___jb_tmp___", "___jb_old___"})
"""Out by default: made by tools, never edited. vim tries a folder with 4913, JetBrains with ___jb_*."""
SUFFIXES = ("~", ".swp", ".swo", ".swx", ".bak", ".pyc")


class _Verdict(Protocol):
    @property
    def include(self) -> bool | None:
        """True: a pattern matches; False: one with `!` does; None: none does."""


class _Patterns(Protocol):
    def check_file(self, file: str) -> _Verdict:
        """What the patterns say of the path `file`, relative to where they lie."""


class Sieve:
    """What `watch` says of a path; `rules` are the lines of a folder's .gitignore, `is_top`: it holds a .git.

    Asked in this order, the first that knows decides: the path is one of `watch.paths` (counts);
    `extensions`; `ignore`, the last pattern that matches; hidden, or junk of tools (out); the .gitignore
    files from its folder up to the top of the working copy. Only what is below the listed path is asked
    about: a path that is listed may be hidden or git-ignored itself.
    """

    def __init__(
        self, watch: Watch, rules: Callable[[str], Sequence[str]], is_top: Callable[[str], bool]
    ) -> None:
        self._listed = frozenset(posixpath.normpath(path) for path in watch.paths)
        self._endings = tuple("." + extension.lstrip(".") for extension in watch.extensions)
        self._root = posixpath.normpath(watch.root)
        self._own = compiled(watch.ignore)
        self._rules, self._is_top = rules, is_top
        self._entered: dict[str, bool] = {}
        self._specs: dict[str, _Patterns | None] = {}
        self._floors: dict[str, str] = {}

    def counts(self, path: str) -> bool:
        """Whether a change of the file `path` (absolute, normalized) restarts."""
        if path in self._listed:
            return True
        if self._endings and not path.endswith(self._endings):
            return False
        return self.enters(posixpath.dirname(path)) and self._passes(path, path)

    def enters(self, folder: str) -> bool:
        """Whether `folder` is one of the listed or below one, and not out."""
        if folder in self._listed:
            return True
        known = self._entered.get(folder)
        if known is None:
            parent = posixpath.dirname(folder)
            known = parent != folder and self.enters(parent) and self._passes(folder, folder + "/")
            self._entered[folder] = known
        return known

    def leads(self, path: str) -> bool:
        """Whether one of the listed paths is `path` or below it."""
        return any(one == path or one.startswith(path.rstrip("/") + "/") for one in self._listed)

    def _passes(self, path: str, spelled: str) -> bool:
        """The rules for what is below a listed path; `spelled` as patterns want it, folders with a `/`."""
        listed = self._above(path)
        base = self._root if _below(path, self._root) else posixpath.dirname(listed)
        if (ignored := _judge(self._own, base, spelled)) is not None:
            return not ignored
        name = posixpath.basename(path)
        if name.startswith((".", "#")) or name in JUNK or name.endswith(SUFFIXES):
            return False
        return not self._git_ignores(path, spelled, self._floor(listed))

    def _above(self, path: str) -> str:
        """The nearest listed path that `path` is below."""
        while path not in self._listed:
            path = posixpath.dirname(path)
        return path

    def _floor(self, listed: str) -> str:
        """The highest folder whose .gitignore concerns what is below `listed`."""
        floor = self._floors.get(listed)
        if floor is None:
            floor = self._top(listed)
            if floor != listed and self._git_ignores(listed, listed + "/", floor):
                floor = listed  # wanted although git does not want it; what is inside may still be ignored
            self._floors[listed] = floor
        return floor

    def _top(self, listed: str) -> str:
        folder = listed
        while not self._is_top(folder):
            parent = posixpath.dirname(folder)
            if parent == folder:
                return self._root if _below(listed, self._root) else listed
            folder = parent
        return folder

    def _git_ignores(self, path: str, spelled: str, floor: str) -> bool:
        """The nearest .gitignore that says anything of `path` decides; none above `floor` is asked."""
        folder = path
        while folder != floor:
            folder = posixpath.dirname(folder)
            if folder not in self._specs:
                self._specs[folder] = compiled(self._rules(folder))
            if (ignored := _judge(self._specs[folder], folder, spelled)) is not None:
                return ignored
        return False


def compiled(lines: Sequence[str]) -> _Patterns | None:
    """`lines` of a .gitignore, None where they say nothing; one that is no pattern is left out, as in git."""
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        return None
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - 20 ms and 3 MB, only where there are patterns

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


def _judge(patterns: _Patterns | None, base: str, spelled: str) -> bool | None:
    if patterns is None:
        return None
    return patterns.check_file(spelled[len(base.rstrip("/")) + 1 :]).include


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")
