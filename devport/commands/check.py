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


def run(context: Context, argv: Sequence[str]) -> int:
    """Read the project; whatever is wrong with it is raised on the way."""
    arguments = parse(__doc__, argv)
    project = selection.project(arguments, context)
    project = project._replace(warnings=(*project.warnings, *_missing_folders(project)))
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
