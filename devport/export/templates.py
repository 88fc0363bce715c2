"""The folder of `--template-dir`: which files in it are templates of a format, and which are of none.

A folder may serve several formats. A file that none has a template for is told of: it is likely a slip.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from devport.encoding import decode, encode, printable
from devport.errors import UsageError, nearest
from devport.export import formats
from devport.export.plan import Exporter


class Found(NamedTuple):
    """Texts by the name of the template, and a warning for each file that is none."""

    texts: dict[str, str]
    warnings: tuple[str, ...] = ()


def read(path: str, folder: str, name: str, exporter: Exporter) -> Found:
    """What is in the folder at `path` (to the user `folder`) for the format `name`.

    UsageError where it cannot be read, and where nothing in it is for this format.
    """
    built_in = formats.templates(exporter)
    names = _names(path, folder)
    if built_in is None:  # whatever it is to another package
        files = [one for one in names if not os.path.isdir(encode(os.path.join(path, one)))]
        return Found(_texts(path, folder, files))
    known = {*built_in}.union(*(formats.templates(formats.find(own)) or () for own in formats.OWN))
    strange = [one for one in names if one not in known]
    hints = [nearest(one, built_in) or nearest(one, known) for one in strange]
    warnings = tuple(
        f"{printable(os.path.join(folder, one))} is no template{hint}"
        for one, hint in zip(strange, hints, strict=True)
    )
    wanted = [one for one in names if one in built_in]
    if not wanted:
        hint = next((said for one in names if (said := nearest(one, built_in))), "")
        raise _unusable(folder, f"no template of {name} is in it: {', '.join(built_in)}{hint}")
    return Found(_texts(path, folder, wanted), warnings)


def _names(path: str, folder: str) -> list[str]:
    try:
        return [decode(name) for name in sorted(os.listdir(encode(path))) if not name.startswith(b".")]
    except OSError as error:
        raise _unusable(folder, error.strerror) from error


def _texts(path: str, folder: str, names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            with open(encode(os.path.join(path, name)), encoding="utf-8-sig") as file:
                text = file.read()
        except OSError as error:
            raise _unusable(os.path.join(folder, name), error.strerror) from error
        except UnicodeDecodeError as error:
            raise _unusable(os.path.join(folder, name), "it is not UTF-8") from error
        # What comes behind it, another service, begins a line of its own.
        found[name] = text if text.endswith("\n") or not text else f"{text}\n"
    return found


def _unusable(what: str, why: str | None) -> UsageError:
    return UsageError(f"cannot use --template-dir {printable(what)}: {why}")
