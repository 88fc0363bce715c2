"""A command: a script under one key or words under another, or why it is neither."""

from typing import NamedTuple

from devport.imports.tree import Source


class Command(NamedTuple):
    """A script for a shell, or words; or `missing`: why there is no command."""

    script: str = ""
    words: tuple[str, ...] = ()
    missing: str = ""


def read(script: Source, listed: Source, keys: tuple[str, str]) -> Command:
    """The command in `script` or else in `listed`, which stand under `keys`."""
    text = script.text()
    if text is not None and text.strip():
        listed.lose(f"there is a {keys[0]}")
        return Command(text)
    try:
        words = tuple(listed.words())
    except ValueError as error:
        return Command(missing=f"{keys[1]}: {error}")
    if words:
        return Command(words=words)
    if script.is_there and text is None:
        return Command(missing=f"{keys[0]}: {script.problem('a text')}")
    empty = next((key for key, one in zip(keys, (script, listed), strict=True) if one.is_there), None)
    return Command(missing=f"its {empty} is empty" if empty else "it has no command")
