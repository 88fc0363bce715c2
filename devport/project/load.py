"""A project from its files: which file it is, and what it and the env files say.

The edge of this package: it alone has files read (by `files`); what is in them is the others' business.
Knows the Context, and neither argv nor the registry.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from devport.context import Context
from devport.encoding import decode, encode, printable
from devport.errors import DevportError, ExitStatus, UsageError
from devport.model import NOTHING, Project, Service
from devport.project import files, procfile
from devport.project.procfile import Entry

STDIN = "-"
NAMES = ("devport.yaml", "devport.yml", "Procfile")
_STRANGERS = "is not read: it belongs to another user; if it can be trusted, name it with"
HINT = "write a Procfile (web: COMMAND) or a devport.yaml, or name one with -f"

# What no Procfile has: a list, a flow mapping, a document's start, or `processes:` and nothing more.
# Compiled when it is needed, which is for standard input only.
_YAML = (
    rb"\A(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?:---|%YAML|[\[{]|-[ \t\r\n])"
    rb"|(?m:^processes:[ \t]*(?:[{#&][^\n]*)?\r?$)"
)


class NoProject(DevportError):  # noqa: N818 - for some verbs it is no error
    """There is neither a devport.yaml nor a Procfile."""


class Found(NamedTuple):
    """The file of a project: its absolute path (`-` for standard input), the root, its name for messages.

    `passed`: what was nearer and is not read, as warnings.
    """

    path: str
    root: str
    name: str
    passed: tuple[str, ...] = ()


def load(
    context: Context,
    *,
    file: str | Sequence[str] | None = None,
    root: str | None = None,
    env_files: Sequence[str] = (),
) -> Project:
    """The project that the arguments, the environment and the working directory point to.

    `file` is `-f` or all of them, of which the later wins by key and the first one's folder is the root;
    `root` is `--root` and `env_files` each `-e`, as given. Raises DevportError.
    """
    given = read_env_files(context, env_paths(context, env_files)) if env_files else None
    named = (file,) if isinstance(file, str) else tuple(file or ())
    found = find(context, named[0] if named else None, root, given[0] if given else None)
    data = _data(context, found)
    more = [_further(context, other, found.root) for other in named[1:]]
    if _is_yaml(found.path, data):
        project, declared = _read_yaml(context, found, data, more)
    elif more:
        raise _not_merged(found)
    else:
        project, declared = _read_procfile(found, data), None
    env, warnings = given or _default_env(context, found.root, declared)
    own = env_paths(context, env_files)
    return project._replace(
        env=env,
        warnings=(*found.passed, *project.warnings, *warnings),
        sources=(*project.sources, *(declared or ()), *map(context.path, named[1:]), *own),
        env_files=tuple(own or ([os.path.join(found.root, ".env")] if declared is None else declared)),
    )


def _data(context: Context, found: Found) -> bytes:
    if found.path == STDIN:
        return files.read_descriptor(context.stdin, found.name)
    return files.read(found.path, found.name)


def _further(context: Context, file: str, root: str) -> tuple[bytes, str]:
    """What is in a further `-f`, and its name."""
    found = _given(context, file, root)
    data = _data(context, found)
    if not _is_yaml(found.path, data):
        raise _not_merged(found)
    return data, found.name


def _not_merged(found: Found) -> UsageError:
    problem = "a Procfile cannot be merged with other files; procfile: in a devport.yaml takes its entries"
    return UsageError(f"cannot read {found.name}: {problem}")


def find(context: Context, file: str | None, root: str | None, env: Mapping[str, str] | None) -> Found:
    """Which file is the project's.

    `-f`, else PROCFILE of the environment or of the env files (`env` is what those of `-e` say, None
    without them), else devport.yaml, else Procfile; without `-f` and `--root` from the working directory
    upwards, passing folders that have none of them. What belongs to somebody else is passed too, unless it
    is named: it would be executed.
    """
    top = _root(context, root)
    if file is not None:
        return _given(context, file, top)
    wanted = context.environ.get("PROCFILE") or (env or {}).get("PROCFILE", "")
    folders = [top] if top else _upwards(context.cwd)
    for folder in folders:
        # With -e the default .env is not read at all, so it names no file either.
        own = _named_in(context, folder) if env is None and not wanted else ""
        if found := _first(context, folder, [wanted or own] if wanted or own else NAMES):
            return found._replace(passed=_passed(context, folders, wanted, found))
        if own:
            name = files.shown(os.path.join(folder, own), context.cwd)
            raise DevportError(f"cannot read {name}: no such file (PROCFILE in .env names it)")
    where = f"in {root}" if root is not None else f"in {context.cwd} or above"
    why = "".join(f"; {reason}" for reason in _passed(context, folders, wanted))
    if wanted:
        raise DevportError(f"cannot find {wanted}: not {where} (PROCFILE names it){why}")
    hint = _another(folders[0]) or HINT
    raise NoProject(f"cannot find a project: no devport.yaml and no Procfile {where}; {hint}{why}")


def _another(folder: str) -> str:
    """What else in `folder` may be meant: Rails has a `Procfile.dev`."""
    try:
        names = sorted(decode(name) for name in os.listdir(encode(folder)))
    except OSError:
        return ""
    for name in names:
        is_one = name.lower().startswith("procfile") and name not in NAMES
        if is_one and os.path.isfile(encode(os.path.join(folder, name))):
            return f"there is {printable(name)}: name it with -f"
    return ""


def _passed(
    context: Context, folders: Sequence[str], wanted: str, until: Found | None = None
) -> tuple[str, ...]:
    """Sentences about the files of strangers in `folders` that would be the project otherwise."""
    said: list[str] = []
    for folder in folders:
        for name in [wanted] if wanted else NAMES:
            path = os.path.join(folder, name)
            if until is not None and path == until.path:
                return tuple(said)
            if files.is_strangers(path):
                said.append(f"{files.shown(path, context.cwd)} {_STRANGERS} -f")
    return tuple(said)


def env_paths(context: Context, env_files: Sequence[str]) -> list[str]:
    """The absolute paths in `-e` options, each a comma list."""
    return [context.path(item) for text in env_files for part in text.split(",") if (item := part.strip())]


def read_env_files(
    context: Context, paths: Sequence[str], earlier: Mapping[str, str] = NOTHING
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What the files at `paths` set, the later winning, and warnings; a missing file is a UsageError.

    `${NAME}` in them sees the environment, `earlier` (what other env files have set) and each other.
    """
    values: dict[str, str] = {}
    warnings: list[str] = []
    for path in paths:
        name = files.shown(path, context.cwd)
        data = files.read(path, name, missing=ExitStatus.USAGE)
        found, new = _parse_env(data, name, {**context.environ, **earlier, **values})
        values.update(found)
        warnings.extend(new)
    return values, tuple(warnings)


def _read_procfile(found: Found, data: bytes) -> Project:
    entries, warnings = procfile.parse(data, found.name)
    source = os.path.basename(found.name)
    services = tuple(_service(entry, source, found.root, index) for index, entry in enumerate(entries))
    return Project(
        found.root, found.path, services, kind="procfile", warnings=warnings, sources=(found.path,)
    )


def _read_yaml(
    context: Context, found: Found, data: bytes, more: Sequence[tuple[bytes, str]]
) -> tuple[Project, Sequence[str] | None]:
    """The project without its environment, and the env files that it declares.

    `more` are the contents and names of files that win over it.
    """
    from devport.project import config  # noqa: PLC0415 - a Procfile pays for no YAML

    warnings: list[str] = []

    def read_procfile(path: str) -> tuple[Entry, ...]:
        name = files.shown(path, context.cwd)
        entries, new = procfile.parse(files.read(path, name), name)
        warnings.extend(new)
        return entries

    said = config.parse(
        data,
        found.name,
        found.root,
        context.environ.get("HOME"),
        more=[config.Source(*one) for one in more],
        read_procfile=read_procfile,
        git_root=lambda: _git_root(found.root),
    )
    warnings[:0] = said.warnings
    project = Project(
        found.root,
        found.path,
        said.services,
        kind="devport.yaml",
        warnings=tuple(warnings),
        strict_ports=said.strict_ports,
        port_range=said.port_range,
        groups=said.groups,
        sources=(found.path, *((said.procfile,) if said.procfile else ())),
    )
    return project, said.env_files


def _service(entry: Entry, source: str, root: str, position: int) -> Service:
    return Service(
        name=entry.name,
        entry=entry.name,
        command=(procfile.SHELL, "-c", entry.command),
        cwd=root,
        source=f"{source}:{entry.line}",
        position=position,
    )


def _default_env(
    context: Context, root: str, declared: Sequence[str] | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What the env files say where there is no `-e`: those of `env:`, else `.env` if there is one."""
    if declared is not None:
        return read_env_files(context, declared)
    path = os.path.join(root, ".env")
    if not files.exists(path):
        return {}, ()
    if files.is_strangers(path):
        return {}, (f"{files.shown(path, context.cwd)} {_STRANGERS} -e",)
    if not files.is_regular(path) and not files.is_dangling(path):
        # Nobody asked for this file. Virtual environments are called so too, and a FIFO waits for a writer.
        what = "is a folder and not" if files.is_folder(path) else "is no regular file and only with -e"
        return {}, (f"{files.shown(path, context.cwd)} {what} read as an env file",)
    return read_env_files(context, [path])


def _root(context: Context, root: str | None) -> str | None:
    return None if root is None else existing_folder(context, root, "--root")


def existing_folder(context: Context, folder: str, option: str) -> str:
    """The real path of `folder`, which `option` names; UsageError where there is none."""
    path = files.real(context.path(folder))
    if not files.is_folder(path):
        why = "Not a directory" if files.exists(path) else "No such file or directory"
        raise UsageError(f"cannot use {option} {folder}: {why}")
    return path


def _given(context: Context, file: str, root: str | None) -> Found:
    """`-f FILE`; a file that is no place (standard input, `<(command)`) has the working directory as root."""
    if file == STDIN:
        return Found(STDIN, root or files.real(context.cwd), "standard input")
    path = context.path(file)
    folder = context.cwd if _is_nowhere(path) else os.path.dirname(path)
    return Found(path, root or files.real(folder), file)


def _first(context: Context, folder: str, names: Sequence[str]) -> Found | None:
    """The first of `names` that is in `folder`; one with a path of its own has its own root."""
    for name in map(context.expand_home, names):
        path = os.path.normpath(os.path.join(folder, name))
        if files.is_there(path) and (os.path.isabs(name) or not files.is_strangers(path)):
            root = os.path.dirname(path) if os.path.isabs(name) else folder
            shown = files.shown(path, context.cwd)
            if names is NAMES and not files.is_regular(path) and not files.is_dangling(path):
                # It may wait for a writer, and nobody asked for it.
                raise DevportError(f"cannot read {shown}: it is no regular file; name it with -f")
            return Found(path, files.real(root), shown)
    return None


def _named_in(context: Context, folder: str) -> str:
    """What the default `.env` in `folder` says PROCFILE is.

    Only a regular file is asked: a FIFO could be read but once, and the project it belongs to wants it.
    """
    path = os.path.join(folder, ".env")
    if not files.is_regular(path) or files.is_strangers(path):
        return ""
    name = files.shown(path, context.cwd)
    try:
        data = files.read(path, name)
    except DevportError:
        return ""  # said later where it is the project's own, and of no interest in a folder that is passed
    if b"PROCFILE" not in data:
        return ""  # saves the parser, in every folder on the way
    return _parse_env(data, name, context.environ)[0].get("PROCFILE", "")


def _parse_env(data: bytes, name: str, environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    from devport.project import dotenv  # noqa: PLC0415 - only a project with env files pays for it

    return dotenv.parse(data, name, environ)


def _upwards(folder: str) -> list[str]:
    """`folder` and all above it."""
    folders = [folder]
    while (parent := os.path.dirname(folders[-1])) != folders[-1]:
        folders.append(parent)
    return folders


def _git_root(root: str) -> str | None:
    """The nearest folder with a `.git`: a folder, or in a worktree and a submodule a file."""
    return next((folder for folder in _upwards(root) if files.exists(os.path.join(folder, ".git"))), None)


def _is_nowhere(path: str) -> bool:
    """Whether `path` is a name for a descriptor, whose folder says nothing about the project."""
    return path in {STDIN, "/dev/stdin"} or path.startswith(("/dev/fd/", "/proc/"))


def _is_yaml(path: str, data: bytes) -> bool:
    """By extension; what comes through a pipe has none and is known by its content."""
    if path.endswith((".yaml", ".yml")):
        return True
    if files.is_regular(path) and not _is_nowhere(path):
        return False
    return re.search(_YAML, data.removeprefix(procfile.BOM)) is not None
