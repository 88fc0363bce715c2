"""Writing an export: files below a folder, a manifest of what was written, a diff of what would change.

Never touches, unless it is forced to, what an earlier export of the same project did not write: the manifest
`.devport-export-APP-FORMAT.json` has the project's folder, and the names and the checksums of its files.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from devport.encoding import decode, encode, printable
from devport.errors import DevportError
from devport.export.plan import PRIVATE, File

Checksums = dict[str, str]


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
        """What `write` would change, as a unified diff; empty where nothing would."""
        import difflib  # noqa: PLC0415 - for --dry-run only

        wanted = {file.path: file.content for file in files}
        stale = [path for path in self._stale(files) if prune and self._is_ours(path)]
        said: list[str] = []
        for path in (*wanted, *stale):
            old, new = self._read(path), wanted.get(path)
            if old != new:
                said += difflib.unified_diff(
                    _lines(old),
                    _lines(new),
                    path if old is not None else "/dev/null",
                    path if new is not None else "/dev/null",
                )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in said
        )

    def foreign(self, files: Iterable[File]) -> list[str]:
        """Those of `files` whose place is taken by something else that no export of this project wrote."""
        known = self._known()
        return [
            file.path
            for file in files
            if file.path not in known and self._read(file.path) not in {None, file.content}
        ]

    def write(self, files: Sequence[File], *, prune: bool = False) -> Changes:
        """Write `files`, each as a whole or not at all; with `prune` remove what is not among them any more.

        DevportError where something cannot be written; what was written until then stays.
        """
        stale = self._stale(files)
        ours = [path for path in stale if self._is_ours(path)]
        removed = ours if prune else []
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
        return Changes(
            tuple(written),
            tuple(unchanged),
            tuple(removed),
            tuple(path for path in ours if not prune),
            tuple(path for path in stale if path not in ours),
        )

    def _at(self, path: str) -> str:
        return os.path.join(self.location, path)

    def _put(self, file: File) -> bool:
        """Whether it was not there like that before; replaced as a whole, with the right mode at once."""
        path = encode(self._at(file.path))
        if self._read(file.path) == file.content and os.stat(path).st_mode & 0o777 == file.mode:
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

    def _known(self) -> Checksums:
        """What the last export wrote, and the checksum of each; nothing where the manifest is none."""
        try:
            manifest = json.loads(self._read(self._manifest) or "{}")
            files = manifest.get("files", {}) if manifest.get("root", "") == self.root else {}
        except (ValueError, AttributeError):
            return {}
        return (
            {path: sum_ for path, sum_ in files.items() if _is_below(path)} if isinstance(files, dict) else {}
        )

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


def _is_below(path: object) -> bool:
    """Whether `path`, out of a manifest that anything may have written, stays below the location."""
    return isinstance(path, str) and not os.path.isabs(path) and ".." not in path.split("/")


def _checksum(content: str) -> str:
    return hashlib.sha256(encode(content)).hexdigest()


def _lines(content: str | None) -> list[str]:
    return (content or "").splitlines(keepends=True)
