"""What paths in a devport.yaml are relative to, and the names for folders that may stand in them."""

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from devport.project.yaml_nodes import Refusal, Scalar

_PLACE = re.compile(r"\$\{([^}]*)\}")


class Places(NamedTuple):
    """The folders there are; `git_root` is asked only where a path needs it."""

    root: str
    home: str | None
    git_root: Callable[[], str | None]

    def path(self, key: str, scalar: Scalar) -> str:
        """`scalar`, the value of `key`, as an absolute path; Refusal for any `${...}` but the two."""
        return self._path(key, scalar, lenient=False)

    def socket(self, key: str, scalar: Scalar) -> str:
        """The same for the path of a socket, in which variables and ports may stand as well."""
        return self._path(key, scalar, lenient=True)

    def _path(self, key: str, scalar: Scalar, *, lenient: bool) -> str:
        path = scalar.text
        if path == "~" or path.startswith("~/"):
            if not self.home:
                raise Refusal(scalar.line, f"{key}: HOME is not set, so there is no ~")
            path = self.home + path[1:]
        else:
            path = _PLACE.sub(lambda match: self._named(match, key, scalar.line, lenient=lenient), path)
        return os.path.normpath(os.path.join(self.root, path))

    def _named(self, match: re.Match[str], key: str, line: int, *, lenient: bool) -> str:
        # devenv writes ${config.git.root}, which is Nix; the words are the same.
        match match[1].removeprefix("config."):
            case "project.root":
                return self.root
            case "git.root":
                if (found := self.git_root()) is None:
                    raise Refusal(line, f"{key}: no git repository holds {self.root}")
                return found
        if lenient:
            return match[0]
        problem = "is not known here, only ${git.root}, ${project.root} and ~"
        raise Refusal(line, f"{key}: {match[0]} {problem}")
