"""Which project and which of its entries a command line means; shared by the verbs that read a project."""

import os
import re
from collections.abc import Mapping

from devport.commands.arguments import Arguments
from devport.context import Context
from devport.encoding import encode
from devport.errors import DevportError, ExitStatus, UsageError
from devport.model import Project, Service
from devport.project import formation, load


def project(arguments: Arguments, context: Context) -> Project:
    """The project that `-f`, `--root` and `-e` name, or the one around the working directory."""
    return load.load(
        context,
        file=arguments.text("--file"),
        root=arguments.text("--root"),
        env_files=arguments.texts("--env"),
    )


def project_if_any(arguments: Arguments, context: Context) -> Project:
    """The project, or where there is none one without entries: a command needs no more than env files."""
    try:
        return project(arguments, context)
    except load.NoProject:
        pass
    root = context.path(arguments.text("--root") or ".")
    default = os.path.join(root, ".env")
    paths = load.env_paths(context, arguments.texts("--env")) or [default] * os.path.isfile(encode(default))
    env, warnings = load.read_env_files(context, paths)
    return Project(root, "", (), env=env, warnings=warnings)


def warn(context: Context, warnings: tuple[str, ...]) -> None:
    """Say what the project's files hold that is no error."""
    for warning in warnings:
        context.say(f"devport: warning: {warning}")


def instance(services: tuple[Service, ...], name: str) -> Service:
    """The service that `name` means: an entry, or with `.N` its instance N (`web.1` is `web`)."""
    entries = {service.entry: service for service in services}
    entry, _, number = name.rpartition(".")
    if name in entries or entry not in entries or not re.fullmatch("[1-9][0-9]{0,2}", number):
        return _entry(entries, name)
    chosen, _ = formation.select(services, (entry,), concurrency={entry: int(number)})
    return chosen[-1]


def _entry(entries: Mapping[str, Service], name: str) -> Service:
    try:
        formation.check_names((name,), tuple(entries.values()), "")
    except UsageError as error:  # the command line is well formed: what it names is not there
        raise DevportError(error.message, ExitStatus.NO_SUCH_SERVICE) from error
    return entries[name]
