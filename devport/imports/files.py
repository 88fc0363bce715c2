"""Which manager a file is of, and what it comes to as a devport.yaml: bytes in, text out."""

import os
from collections.abc import Callable
from typing import NamedTuple

from devport.encoding import printable
from devport.errors import UsageError
from devport.imports import compose, mprocs, process_compose
from devport.imports.draft import Draft
from devport.project import config
from devport.project.yaml_nodes import Node, Refusal, Table
from devport.project.yaml_nodes import compose as composed


class Result(NamedTuple):
    """A devport.yaml, and what has to be said about it."""

    text: str
    said: tuple[str, ...]


def convert(data: bytes, name: str, system: str) -> Result:
    """`data` of the file `name` (for messages) as a devport.yaml, on `system` (linux or macos).

    UsageError where it is no YAML, or no file of a manager that is known.
    """
    try:
        root = composed(data)
    except Refusal as refusal:
        where = f"cannot read {printable(name)}: line {refusal.line}"
        raise UsageError(f"{where}: {printable(refusal.message)}") from refusal
    draft = _reader(root, name, system)()
    if not draft.entries:
        why = "".join(f"; {one}" for one in draft.said)
        raise UsageError(f"cannot import {printable(name)}: nothing in it can run here{printable(why)}")
    text = draft.text(printable(os.path.basename(name)))
    try:
        config.parse(text.encode(), "devport.yaml", "/", "/")
    except UsageError as error:
        raise UsageError(f"cannot import {printable(name)}: {error.message}") from error
    return Result(text, tuple(draft.said))


def _reader(root: Node | None, name: str, system: str) -> Callable[[], Draft]:
    if isinstance(root, Table):
        keys = [key.text for key, _ in root.pairs]
        if "procs" in keys:
            return lambda: mprocs.draft(root, system)
        if "services" in keys:
            return lambda: compose.draft(root)
        if "processes" in keys:
            return lambda: process_compose.draft(root)
    raise UsageError(
        f"cannot import {printable(name)}: it is no process-compose.yaml, mprocs.yaml or compose.yaml "
        "(processes:, procs: or services:)"
    )
