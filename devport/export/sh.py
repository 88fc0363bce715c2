"""Lines of sh for the formats that need a shell in between: any word, in one line of harmless letters.

Most formats cannot hold every value: a line feed, a carriage return, bytes that are no UTF-8. Such letters
become positional parameters of the shell, filled by printf(1): those are no variables, so that nothing of
this is in the environment of what is executed.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from devport.encoding import encode

AWKWARD = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
"""What a file of lines may not hold: line breaks of all kinds, controls, what is no UTF-8."""
NEVER = re.compile("(?!)")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_BASH = {"UID", "EUID", "PPID", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "SHLVL", "PS1", "PS2", "PS4", "_"}
_DASH = {"IFS", "OPTIND", "LINENO", "PPID", "PWD", "OLDPWD"}
SHELLS_OWN = _BASH | _DASH
"""Variables that a shell would change or refuse (dash does not even start where OPTIND is no number)."""
LOGIN = {"HOME", "USER", "LOGNAME"}
_USER = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")


class Line:
    """One line of sh; `awkward` matches what may not stand in it, `breaks` where a quote has to be closed."""

    def __init__(self, awkward: re.Pattern[str] = AWKWARD, breaks: re.Pattern[str] = NEVER) -> None:
        self._awkward = awkward
        self._breaks = breaks
        self._runs: dict[str, int] = {}

    def quoted(self, word: str) -> str:
        """`word` as this line's shell reads it back."""
        parts, start = [], 0
        for match in self._awkward.finditer(word):
            number = self._runs.setdefault(match[0], len(self._runs) + 1)
            parts += [self._plain(word[start : match.start()]), f'"${{{number}}}"']
            start = match.end()
        return "".join((*parts, self._plain(word[start:]))) or "''"

    def preamble(self) -> str:
        """What comes first: the parameters that the words quoted so far refer to; empty where there are none.

        `$(...)` drops line feeds at the end; the `_` behind them keeps them.
        """
        if not self._runs:
            return ""
        octal = ["".join(f"\\{byte:03o}" for byte in encode(run)) for run in self._runs]
        filled = " ".join(f"\"$(printf '{digits}_')\"" for digits in octal)
        cut = " ".join(f'"${{{number}%_}}"' for number in self._runs.values())
        return f"set -- {filled} && set -- {cut} && "

    def _plain(self, text: str) -> str:
        return "".join(shlex.quote(part) for part in self._breaks.split(text) if part)


def commands(
    line: Line,
    environment: Mapping[str, str],
    argv: Sequence[str],
    *,
    folder: str | None = None,
    user: str | None = None,
    prefix: str = "",
) -> list[str]:
    """The commands, one after the other, that execute `argv` in `folder` as the shell's own process.

    `prefix` is a program (with options) that executes the words behind it. With `user`, whom the caller has
    become already, HOME and the names are the user's, unless `environment` says otherwise.
    """
    found = [] if folder is None else [f"cd {line.quoted(folder)}"]
    if user is not None and _USER.fullmatch(user):
        login = {"HOME": f"~{user}", "USER": user, "LOGNAME": user}
        found += [f"export {name}={value}" for name, value in login.items() if name not in environment]
    own = SHELLS_OWN | {"PATH"} if prefix else SHELLS_OWN  # the prefix is found where the shell finds it
    easy = [name for name in environment if _VARIABLE.fullmatch(name) and name not in own]
    found += [f"export {name}={line.quoted(environment[name])}" for name in easy]
    odd = [line.quoted(f"{name}={value}") for name, value in environment.items() if name not in easy]
    # To env(1) a program with a = in its name is one more variable; nice(1) takes it for what it is.
    between = ("/usr/bin/env", *odd, *(("nice", "-n", "0") if "=" in argv[0] else ())) if odd else ()
    words = ["exec", prefix, *between, *map(line.quoted, argv)]
    return [*found, " ".join(word for word in words if word)]
