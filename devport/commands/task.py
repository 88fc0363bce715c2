"""Run a task in this window, with what it needs for as long as that takes.

usage: devport task [options] [--] NAME [ARG...]

The status is the task's. What it needs and runs already, in the background or
in another terminal, is used and left alone; the rest is started and, when the
task has ended, stopped. ARGs go behind the task's own words. Options stand
before the NAME.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  -p BASE, --port BASE  count ports from BASE, 100 an entry, as foreman does
  --reassign NAMES      give these another port where theirs is taken
  --strict-ports        take a declared port or none
  --no-strict-ports     where a declared port is taken, search upwards
  --env-wins            the environment wins over env files
  -q NAMES, --quiet NAMES
                        show no lines of these
  --no-prefix           lines without time and name
  --no-timestamp        lines without time
  --timestamp FORMAT    the time as strftime formats it (default %H:%M:%S)
  --colour WHEN, --color WHEN
                        auto, always or never
  --no-colour, --no-color
                        the same as --color never; so is NO_COLOR=1
  --json                one JSON object a line
  -t SECONDS, --timeout SECONDS
                        how long a stop may take before SIGKILL (default 5)
  -h, --help            show this text

For example:
  devport task migrate
  devport task -q db seed --all
"""

from collections.abc import Sequence

from devport import foreground
from devport.commands import selection, standing
from devport.commands.arguments import parse
from devport.commands.options import run_options
from devport.commands.view import view
from devport.context import Context
from devport.errors import DevportError, ExitStatus, nearest
from devport.model import Project
from devport.passthrough import with_arguments


def run(context: Context, argv: Sequence[str]) -> int:
    """Run the task that `argv` names."""
    arguments = parse(__doc__, argv, options_first=True)
    project = selection.project(arguments, context)
    selection.warn(context, project.warnings)
    name, *extra = arguments.words
    _check(project, name)
    services, _ = selection.choose(project, (name,), (), None, None)
    # What runs already is used as it is, and is not worth a line.
    runs = standing.running(context, project, services)
    services = tuple(
        one._replace(command=with_arguments(one.command, tuple(extra[extra[:1] == ["--"] :])))
        if one.entry == name
        else one
        for one in standing.due(context, project, services, (name,))
        if one.entry == name or one.name not in runs
    )
    quiet, reassign = (
        selection.called(arguments.names(option), project, services, option)
        for option in ("--quiet", "--reassign")
    )
    options = run_options(
        arguments,
        environ=context.environ,
        env_files=project.env,
        view=view(arguments, context, quiet),
        reassign=reassign,
    )
    return foreground.start(context, project, services, options._replace(goal=name))


def _check(project: Project, name: str) -> None:
    tasks = [one.entry for one in project.services if one.policy.task]
    if name in tasks:
        return
    if any(one.entry == name for one in project.services):
        why = f"{name} is a service: devport start {name} runs it"
    else:
        there = f" (there is {', '.join(tasks[:10])})" if tasks else " (there are none)"
        why = f"no task is called {name}{nearest(name, tasks) or there}"
    raise DevportError(f"cannot run task {name}: {why}", ExitStatus.NO_SUCH_SERVICE)
