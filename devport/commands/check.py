"""Read a project's files and say what is in them, or what is wrong with them.

usage: devport check [options]

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  --json                one JSON object on stdout: file, root, entries, warnings
  -h, --help            show this text

For example:
  devport check
  devport check -f web.yaml --json
"""

import json
from collections.abc import Sequence

from devport.commands import selection
from devport.commands.arguments import parse
from devport.context import Context
from devport.model import Project


def run(context: Context, argv: Sequence[str]) -> int:
    """Read the project; whatever is wrong with it is raised on the way."""
    arguments = parse(__doc__, argv)
    project = selection.project(arguments, context)
    if arguments.flag("--json"):
        context.write(context.stdout, json.dumps(_report(project), indent=2) + "\n")
        return 0
    names = ", ".join(service.name for service in project.services)
    # honcho's and foreman's scripts look for `Valid procfile`.
    context.say(f"Valid {project.kind} detected ({names})")
    selection.warn(context, project.warnings)
    return 0


def _report(project: Project) -> dict[str, object]:
    return {
        "file": project.file,
        "root": project.root,
        "entries": [
            {"name": service.name, "command": list(service.command), "source": service.source}
            for service in project.services
        ],
        "warnings": list(project.warnings),
    }
