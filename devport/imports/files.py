"""Which manager a file is of, and what it comes to as a devport.yaml: bytes in, text out."""

import os
from collections.abc import Callable
from typing import NamedTuple

from devport.encoding import printable
from devport.errors import DevportError, UsageError, nearest
from devport.imports import compose, mprocs, process_compose
from devport.imports.draft import Draft
from devport.project import config, procfile
from devport.project.yaml_nodes import Node, Refusal, Scalar, Table
from devport.project.yaml_nodes import compose as composed

_SECTIONS = ("processes", "procs", "services")
_OWN = {*config.TOP} - {"processes", "env"}
"""Keys of a devport.yaml's top that no other file with `processes:` has, with `_`."""


class Result(NamedTuple):
    """A devport.yaml, and what has to be said about it."""

    text: str
    said: tuple[str, ...]


def convert(data: bytes, name: str, system: str) -> Result:
    """`data` of the file `name` (for messages) as a devport.yaml, on `system` (linux or macos).

    UsageError where it is no YAML, no file of a manager that is known, or one that devport cannot run.
    """
    shown = printable(name)
    try:
        root = composed(data)
    except Refusal as refusal:
        if not _is_yaml(name) and (why := _own(None, data)):
            raise UsageError(f"cannot import {shown}: {why}") from refusal
        where = f"cannot read {shown}: line {refusal.line}"
        raise UsageError(f"{where}: {printable(refusal.message)}") from refusal
    if why := _own(root, data):
        raise UsageError(f"cannot import {shown}: {why}")
    draft = _reader(root, shown, system)()
    if not draft.entries:
        why = "".join(f"; {one}" for one in draft.said())
        raise UsageError(f"cannot import {shown}: nothing in it can run here{printable(why)}")
    text = draft.text(printable(os.path.basename(name)))
    try:
        config.parse(text.encode(), "devport.yaml", "/", "/")
    except UsageError as error:
        # What the readers let through: the refusal is of the result, which nobody has seen.
        why = error.__cause__.message if isinstance(error.__cause__, Refusal) else error.message
        raise UsageError(f"cannot import {shown}: {printable(draft.place(why))}") from error
    return Result(text, tuple(draft.said()))


def _is_yaml(name: str) -> bool:
    """Whether the file called `name` says that it is YAML; `x: [` alone could be either."""
    return name.endswith((".yaml", ".yml"))


def _own(root: Node | None, data: bytes) -> str:
    """Why a file is none to import: it is one that devport reads as it is. Empty for any other."""
    own = "it is a devport.yaml already"
    try:
        config.parse(data, "", "/", "/")
    except DevportError:
        pass
    else:
        return own
    if _is_own(root):
        return own
    try:
        entries, warnings = procfile.parse(data, "")
    except DevportError:
        return ""
    is_one = not warnings and not {entry.name for entry in entries} & {*_SECTIONS}
    return "it is a Procfile, which devport reads as it is" if is_one else ""


def _is_own(root: Node | None) -> bool:
    """Whether it is a devport.yaml, with a mistake perhaps: its `processes` are no process-compose's."""
    if not isinstance(root, Table):
        return False
    top = {key.text.replace("-", "_"): value for key, value in root.pairs}
    processes = top.get("processes")
    inner = [value for _, value in processes.pairs] if isinstance(processes, Table) else []
    keys = {key.text for one in inner if isinstance(one, Table) for key, _ in one.pairs}
    if {"procs", "services"} & {*top} or {"command", "entrypoint"} & keys:
        return False
    is_short = any(isinstance(one, Scalar) and one.kind == "str" for one in inner)
    return "exec" in keys or is_short or bool({*top} & _OWN)


def _reader(root: Node | None, shown: str, system: str) -> Callable[[], Draft]:
    keys = [key.text for key, _ in root.pairs] if isinstance(root, Table) else []
    if isinstance(root, Table):
        if "procs" in keys:
            return lambda: mprocs.draft(root, system)
        if "services" in keys:
            return lambda: compose.draft(root)
        if "processes" in keys:
            return lambda: process_compose.draft(root)
    hint = next((found for key in keys if (found := nearest(key, _SECTIONS))), "")
    raise UsageError(
        f"cannot import {shown}: it is no process-compose.yaml, mprocs.yaml or compose.yaml "
        f"(processes:, procs: or services:){hint}"
    )
