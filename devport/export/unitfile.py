"""How a unit file of systemd, and a file of variables beside it, is written so that systemd reads it back.

systemd replaces `%n` nearly everywhere, `$NAME` and `${NAME}` in commands, and has an escape for each
letter in quotes. What none of that can hold (bytes that are no UTF-8, a variable with a strange name, a
program with a quote in its path) goes through a line of sh.
"""

import re
from collections.abc import Sequence

from devport.encoding import encode, printable
from devport.export import sh
from devport.export.plan import Unit, UnitError

_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_BYTES = re.compile("[\ud800-\udfff]+")  # what is no UTF-8; the bus cannot tell of a unit that has it
_HARMLESS = re.compile("[A-Za-z0-9_./:@=+,-]+")
_PROGRAM = re.compile(r"""[^\x00-\x1f\x7f"'\\]+""")  # systemd refuses others, however they are escaped
_LINE = re.compile(r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f\\]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n", "\t": "\\t"}
_WORD = re.compile(r'[\x00-\x1f\x7f\\"%$]')
_INSIDE = re.compile(r'["\\`$]')
_EXECUTE = ("/bin/sh", "-c", 'exec "$0" "$@"')


def unit_name(text: str) -> str:
    """`text` as a part of a unit's name; what may not be in one in hexadecimal digits."""
    return re.sub("[^A-Za-z0-9_.:-]", lambda match: "".join(f"\\x{b:02x}" for b in encode(match[0])), text)


def escaped(text: str) -> str:
    """`text` for people, on one line and without specifiers."""
    said = printable(text).replace("%", "%%").rstrip()
    # An odd backslash at the end would make the next line part of this one.
    return said + "\\" * ((len(said) - len(said.rstrip("\\"))) % 2)


def line(unit: Unit, what: str, text: str) -> str:
    """`text` as the rest of a line that systemd takes as it stands; UnitError where it cannot be that."""
    if not _LINE.fullmatch(text) or _BYTES.search(text):
        raise UnitError(unit.name, "systemd", f"its {what} cannot be said in a unit: {printable(text)}")
    return text.replace("%", "%%")


def variables(unit: Unit) -> str:
    """The EnvironmentFile of `unit`: what is in double quotes may be anything, line feeds too."""
    odd = _odd(unit)
    values = {
        name: _INSIDE.sub(r"\\\g<0>", value) for name, value in unit.environment.items() if name not in odd
    }
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def is_odd(unit: Unit) -> bool:
    """Whether some of its variables stand in its commands."""
    return bool(_odd(unit))


def _odd(unit: Unit) -> dict[str, str]:
    return {
        name: value
        for name, value in unit.environment.items()
        if not _VARIABLE.fullmatch(name) or _BYTES.search(value)
    }


def command(unit: Unit, argv: Sequence[str]) -> str:
    """`argv`, to be executed in the folder of `unit`, as the value of `ExecStart` and its like.

    The program is absolute in there: found by env(1) where it is a name, below the folder where it is a
    path.
    """
    program, *rest = _words(unit, argv)
    if "/" not in program:
        # To env(1) a word with a = is a variable.
        return _joined((*(_EXECUTE if "=" in program else ("/usr/bin/env",)), program, *rest))
    path = program if program.startswith("/") else f"{unit.cwd}/{program}"
    if not _PROGRAM.fullmatch(path):
        return _joined((*_EXECUTE, program, *rest))
    if path == program and "$" not in path:
        return _joined((program, *rest))
    # Behind an @ the path comes first, in which no variable is replaced, and then all words.
    return f"@{_quoted(path, dollar='$')} {_joined((program, *rest))}"


def _words(unit: Unit, argv: Sequence[str]) -> tuple[str, ...]:
    odd = _odd(unit)
    if not odd and not any(map(_BYTES.search, argv)):
        return tuple(argv)
    text = sh.Line(_BYTES)
    commands = " && ".join(sh.commands(text, odd, argv))
    return "/bin/sh", "-c", f"{text.preamble()}{commands}"


def _joined(words: Sequence[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str, dollar: str = "$$") -> str:
    if _HARMLESS.fullmatch(word):
        return word
    escapes = {**_ESCAPES, "$": dollar}
    inner = _WORD.sub(lambda match: escapes.get(match[0]) or f"\\x{ord(match[0]):02x}", word)
    return f'"{inner}"'
