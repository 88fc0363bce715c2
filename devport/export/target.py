"""Writing an export: files below a folder, a manifest of what was written, a diff of what would change.

Never touches, unless it is forced to, what an earlier export of the same project did not write: the manifest
`.devport-export-APP-FORMAT.json` has the project's folder, and the names and the checksums of its files.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from devport.encoding import decode, encode, printable
from devport.errors import DevportError
from devport.export.plan import PRIVATE, File

Checksums = dict[str, str]
_LONGEST_NAME = 255
"""Bytes of a file's name that every file system takes."""


class Changes(NamedTuple):
    """What was done, or would be: paths below the location. `kept` are stale files that somebody changed."""

    written: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class Target:
    """The folder `location` for exports of `app`, the project in the folder `root`, in `format_`."""

    def __init__(self, location: str, app: str, format_: str, root: str = "") -> None:
        self.location, self.root = location, root
        self._manifest = f".devport-export-{app}-{format_}.json"

    def diff(self, files: Sequence[File], *, prune: bool = False) -> str:
        """What `write` would change, as a unified diff; empty where nothing would.

        Before it stands what no diff says: which file is new, is removed, or gets another mode.
        """
        self._want_folder()
        stale = [path for path in self._stale(files) if prune and self._is_ours(path)]
        said = []
        for file in files:
            old = self._read(file.path)
            if old is None:
                said.append(f"{printable(file.path)}: new, mode {file.mode:04o}\n")
            elif (mode := self._mode(file.path)) != file.mode:
                said.append(f"{printable(file.path)}: mode {mode:04o} -> {file.mode:04o}\n")
            said.append(_difference(file.path, old, file.content))
        for path in stale:
            said.append(f"{printable(path)}: removed, because of --prune\n")
            said.append(_difference(path, self._read(path), None))
        return "".join(said)

    def left(self, files: Sequence[File], *, prune: bool = False) -> Changes:
        """What `write` would leave alone though the export does not need it any more."""
        stale = self._stale(files)
        ours = [path for path in stale if self._is_ours(path)]
        kept = tuple(path for path in stale if path not in ours)
        return Changes(stale=() if prune else tuple(ours), kept=kept)

    def foreign(self, files: Iterable[File]) -> list[str]:
        """Those of `files` whose place is taken by something else that no export of this project wrote."""
        known = self._known()
        return [
            file.path
            for file in files
            if file.path not in known and self._read(file.path) not in {None, file.content}
        ]

    def writer(self, path: str) -> str | None:
        """The folder of another project whose export of the same name wrote `path`, by the manifest."""
        root, files = self._manifest_says()
        return root if root != self.root and path in files else None

    def write(self, files: Sequence[File], *, prune: bool = False) -> Changes:
        """Write `files`, each as a whole or not at all; with `prune` remove what is not among them any more.

        DevportError where something cannot be written; what was written until then stays.
        """
        self._want_folder()
        left = self.left(files, prune=prune)
        removed = [path for path in self._stale(files) if path not in (*left.stale, *left.kept)]
        written: list[str] = []
        unchanged: list[str] = []
        checksums = {path: sum_ for path, sum_ in self._known().items() if path not in removed}
        try:
            os.makedirs(encode(self.location), exist_ok=True)
            for file in files:
                (written if self._put(file) else unchanged).append(file.path)
                checksums[file.path] = _checksum(file.content)
            for path in removed:
                os.unlink(encode(self._at(path)))
                self._remove_empty(os.path.dirname(path))
            text = json.dumps({"files": checksums, "root": self.root}, indent=1, sort_keys=True) + "\n"
            self._put(File(self._manifest, text, PRIVATE))
        except OSError as error:
            where = printable(decode(error.filename or encode(self.location)))
            raise DevportError(f"cannot write {where}: {error.strerror}") from error
        return left._replace(written=tuple(written), unchanged=tuple(unchanged), removed=tuple(removed))

    def _want_folder(self) -> None:
        """DevportError where the location is something else."""
        location = encode(self.location)
        if os.path.lexists(location) and not os.path.isdir(location):
            raise DevportError(f"cannot export to {printable(self.location)}: it is no folder")

    def _at(self, path: str) -> str:
        """Where `path` is; DevportError where a folder on the way leads out of the location."""
        folder = os.path.dirname(path)
        while folder:
            if os.path.islink(encode(os.path.join(self.location, folder))):
                where = printable(os.path.join(self.location, folder))
                raise DevportError(f"cannot use {where}: it is a symbolic link")
            folder = os.path.dirname(folder)
        return os.path.join(self.location, path)

    def _put(self, file: File) -> bool:
        """Whether it was not there like that before; replaced as a whole, with the right mode at once."""
        path = encode(self._at(file.path))
        if self._read(file.path) == file.content and self._mode(file.path) == file.mode:
            return False
        os.makedirs(os.path.dirname(path), exist_ok=True)
        temporary = path + b".devport-%d" % os.getpid()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(encode(file.content))
                os.fchmod(stream.fileno(), file.mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        return True

    def _read(self, path: str) -> str | None:
        try:
            with open(encode(self._at(path)), "rb") as stream:
                return stream.read().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DevportError(f"cannot read {printable(self._at(path))}: {error.strerror}") from error

    def _mode(self, path: str) -> int:
        return os.stat(encode(self._at(path))).st_mode & 0o777

    def _known(self) -> Checksums:
        """What the last export wrote, and the checksum of each; nothing where another project's wrote."""
        root, files = self._manifest_says()
        return files if root == self.root else {}

    def _manifest_says(self) -> tuple[str, Checksums]:
        """Which project's folder it is of, and its files; nothing where it is no manifest."""
        try:
            manifest = json.loads(self._read(self._manifest) or "{}")
            root, files = manifest.get("root", ""), manifest.get("files", {})
        except (ValueError, AttributeError, RecursionError):
            return "", {}
        if not isinstance(root, str) or not isinstance(files, dict):
            return "", {}
        return root, {path: sum_ for path, sum_ in files.items() if is_below(path)}

    def _stale(self, files: Iterable[File]) -> list[str]:
        wanted = {file.path for file in files}
        return [path for path in self._known() if path not in wanted and self._read(path) is not None]

    def _is_ours(self, path: str) -> bool:
        return _checksum(self._read(path) or "") == self._known().get(path)

    def _remove_empty(self, folder: str) -> None:
        while folder:
            try:
                os.rmdir(encode(self._at(folder)))
            except OSError:
                return  # it holds something else
            folder = os.path.dirname(folder)


def is_below(path: object) -> bool:
    """Whether `path`, out of a manifest that anything may have written, names a file below the location."""
    if not isinstance(path, str) or "\0" in path or os.path.isabs(path):
        return False
    parts = path.split("/")
    try:
        longest = max(len(encode(part)) for part in parts)
    except UnicodeEncodeError:
        return False
    return longest <= _LONGEST_NAME and not {"", ".", ".."} & {*parts}


def _checksum(content: str) -> str:
    return hashlib.sha256(encode(content)).hexdigest()


def _difference(path: str, old: str | None, new: str | None) -> str:
    """A unified diff; None is a file that is not there."""
    if old == new:
        return ""
    import difflib  # noqa: PLC0415 - for --dry-run only

    before, after = (_lines(content or "") for content in (old, new))
    names = ["/dev/null" if content is None else path for content in (old, new)]
    lines = difflib.unified_diff(before, after, names[0], names[1])
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    """As patch(1) counts them: only a line feed ends one."""
    return re.findall("[^\n]*\n|[^\n]+", text)
