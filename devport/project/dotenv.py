"""Env files: bytes to values and warnings, in python-dotenv's grammar.

Owns which names and values may enter an environment. Knows no file and no os.environ: what `${NAME}`
may see is passed in. No message ever shows a value, which may be a secret.
"""

from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING

from devport.encoding import decode, printable

if TYPE_CHECKING:
    from dotenv.parser import Binding

_BOM = b"\xef\xbb\xbf"


def parse(data: bytes, file: str, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The values that `data` sets, later lines winning, and a warning for each line that sets none.

    `${NAME}` sees the earlier values of the file first and then `environ`, as python-dotenv does.
    """
    from dotenv.parser import parse_stream  # noqa: PLC0415 - 15 ms that only a project with env files pays
    from dotenv.variables import parse_variables  # noqa: PLC0415

    # Universal newlines, because python-dotenv opens its files so.
    text = decode(data.removeprefix(_BOM)).replace("\r\n", "\n").replace("\r", "\n")
    values: dict[str, str] = {}
    warnings: list[str] = []
    seen: dict[str, str | None] = dict(environ)
    for binding in parse_stream(StringIO(text)):
        if binding.key is None and not binding.error:
            continue  # a comment or nothing
        if why := _refused(binding):
            warnings.append(f"{file}:{_line(binding)}: ignored, {why}")
            continue
        name, value = binding.key or "", binding.value or ""
        value = "".join(atom.resolve(seen) for atom in parse_variables(value))
        values[name] = seen[name] = value
    return values, warnings


def _refused(binding: "Binding") -> str:
    """Why a line sets nothing; empty where it does."""
    if binding.error or not binding.key:
        return "not NAME=VALUE"
    name = printable(binding.key)
    if "\0" in binding.key or "=" in binding.key or any(c.isspace() for c in binding.key):
        return f"'{name}' cannot be the name of a variable"
    if binding.value is None:
        return f"{name} has no value ({name}= sets an empty one)"
    if "\0" in binding.value:
        return f"the value of {name} holds a NUL byte"
    return ""


def _line(binding: "Binding") -> int:
    """Where the statement starts: python-dotenv counts the blank lines above it as part of it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
