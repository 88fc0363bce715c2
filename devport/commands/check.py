"""Read a project's files and say what is in them, or what is wrong with them.

usage: devport check [options]

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  --json                a JSON object: file, root, entries, groups, warnings
  -h, --help            show this text

For example:
  devport check
  devport check -f web.yaml --json
"""

import json
import os
from collections.abc import Sequence

from devport.commands import selection
from devport.commands.arguments import parse
from devport.context import Context
from devport.encoding import encode, printable
from devport.model import Project
from devport.project import files


def run(context: Context, argv: Sequence[str]) -> int:
    """Read the project; whatever is wrong with it is raised on the way."""
    arguments = parse(__doc__, argv)
    project = selection.project(arguments, context)
    found = (
        *_missing_folders(project),
        *_open_files(context, project),
        *_steering(project),
        *_hosts(project),
    )
    project = project._replace(warnings=(*project.warnings, *found))
    if arguments.flag("--json"):
        context.write(context.stdout, json.dumps(_report(project), indent=2) + "\n")
        return 0
    names = ", ".join(service.name for service in project.services)
    # honcho's and foreman's scripts look for `Valid procfile`.
    context.say(f"Valid {project.kind} detected ({names})")
    selection.warn(context, project.warnings)
    return 0


def _missing_folders(project: Project) -> list[str]:
    """A warning for each folder that is not there; no error, because a build may make it."""
    return [
        f"{service.source}: {service.name}: cwd: {printable(service.cwd)} is "
        + ("no folder" if os.path.exists(encode(service.cwd)) else "not there")
        for service in project.services
        if not os.path.isdir(encode(service.cwd))
    ]


def _open_files(context: Context, project: Project) -> list[str]:
    """A warning for each env file that is no secret to anybody; only here: on most machines that is well."""
    paths = dict.fromkeys((*project.env_files, *(path for one in project.services for path in one.env_files)))
    return [
        f"{files.shown(path, context.cwd)} can be read by every user of this machine (chmod 600 changes that)"
        for path in paths
        if files.is_public(path)
    ]


def _steering(project: Project) -> list[str]:
    """A warning for each variable of the env files that decides what a service runs or loads."""
    return [
        f"{printable(name)} is set by an env file: it decides what every service runs or loads"
        for name in project.env
        if name == "PATH" or name.startswith(("LD_", "DYLD_"))
    ]


def _hosts(project: Project) -> list[str]:
    """A warning for each socket that is not for this machine alone."""
    return [
        f"{service.source}: {service.name}: {printable(one.address)}: other machines can connect to it"
        for service in project.services
        for one in service.policy.listen
        if not one.kind.startswith("unix") and not _is_loopback(one.address)
    ]


def _is_loopback(address: str) -> bool:
    from ipaddress import ip_address  # noqa: PLC0415 - for those who declare a socket

    return ip_address(address.rpartition(":")[0].strip("[]")).is_loopback


def _report(project: Project) -> dict[str, object]:
    return {
        "file": project.file,
        "root": project.root,
        "entries": [
            {
                "name": service.name,
                "command": list(service.command),
                "source": service.source,
                "task": service.policy.task,
                "after": [f"{one.name}@{one.condition}" for one in service.policy.after],
            }
            for service in project.services
        ],
        "groups": {name: list(entries) for name, entries in project.groups.items()},
        "warnings": list(project.warnings),
    }
