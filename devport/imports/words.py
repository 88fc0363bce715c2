"""Texts in which a manager replaces variables, as a shell has to be given them: pure.

`$$` is a dollar there. What is replaced when their file is read, is replaced by the shell here, when the
service starts.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

# What a shell replaces the same way: a default, an error, another value.
_SHELL = r"[A-Za-z_][A-Za-z0-9_]*(?::?[-?+][^{}]*)?"
BRACES = re.compile(r"\$\$|\$\{([^{}]*)\}")
BARE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)")
_TEXT = r'"((?:[^"\\]|\\.)*)"|`([^`]*)`'
_TEMPLATE = re.compile(r"""\{\{-?\s*((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`}]|\}(?!\}))*?)\s*-?\}\}""", re.DOTALL)


def parts(text: str, pattern: re.Pattern[str]) -> list[tuple[bool, str]]:
    """`text` in pieces: (True, what stands in `${}`), or (False, text as it is)."""
    found: list[tuple[bool, str]] = []
    start = 0
    for match in pattern.finditer(text):
        found.append((False, text[start : match.start()]))
        inner = next((group for group in match.groups() if group is not None), None)
        found.append((False, "$") if inner is None else (True, inner))
        start = match.end()
    found.append((False, text[start:]))
    return [part for part in found if part != (False, "")]


def plain(text: str, pattern: re.Pattern[str]) -> str | None:
    """`text` where it holds no variable; else None."""
    found = parts(text, pattern)
    return None if any(is_variable for is_variable, _ in found) else "".join(part for _, part in found)


def unknown(text: str, pattern: re.Pattern[str]) -> list[str]:
    """What stands in `${}` that sh would not replace the same way."""
    return [
        part for is_variable, part in parts(text, pattern) if is_variable and not re.fullmatch(_SHELL, part)
    ]


def script(text: str) -> str:
    """A script with variables in it, for the shell that will replace them: `$$` is a dollar."""
    return text.replace("$$", "$")


def word(text: str, pattern: re.Pattern[str]) -> str:
    """`text` as one word of a shell, its variables replaced."""
    pieces = [
        f'"${{{part}}}"' if is_variable else shlex.quote(part) for is_variable, part in parts(text, pattern)
    ]
    return "".join(pieces) or "''"


def command(words: Sequence[str], pattern: re.Pattern[str]) -> str:
    """`words` for a shell that becomes what they name."""
    return "exec " + " ".join(word(one, pattern) for one in words)


def templates(text: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """`text` with `{{.NAME}}` replaced, and `{{ "text" }}`; and the templates that are left."""
    left: list[str] = []

    def value(match: re.Match[str]) -> str:
        inner = match[1]
        if inner.startswith(".") and inner[1:] in values:
            return values[inner[1:]]
        if quoted := re.fullmatch(_TEXT, inner, re.DOTALL):
            return quoted[2] if quoted[2] is not None else re.sub(r"\\(.)", r"\1", quoted[1])
        left.append(match[0])
        return match[0]

    return _TEMPLATE.sub(value, text), left
