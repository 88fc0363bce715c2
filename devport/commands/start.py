"""Run the entries of a project in one window, until they end or Ctrl-C.

usage: devport start [options] [NAME...]
       devport start -d [options] [NAME...]
       devport start [options] -- COMMAND [ARG...]

Without a NAME every service runs that starts by itself (a Procfile's release
has to be named), and the tasks that they need. What a NAME needs starts as
well. web.2 is the second instance of web, and no other; @backend is a group.
An entry of a Procfile that exits ends the run, and its status is devport's. A
service of a devport.yaml is started again if it fails (docs/devport-yaml.md).
Options that take a list may be repeated.

With -d each entry runs in the background, in a window of the tmux session
devport, and start returns. So does a COMMAND behind --, which needs no
project and is given to no shell.

Which project:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins

Which entries, how many:
  --except NAMES        run all but these
  -c LIST, --concurrency LIST
                        instances, as in web=2,worker=3; of others one
  -m LIST, --formation LIST
                        instances, as in all=1,web=2; of others none, or as
                        many as all says
  --mode MODE           what starts with these: before (if not said), what they
                        need; after, what needs them; all, both; single, nothing

Ports and environment:
  -p BASE, --port BASE  count ports from BASE, 100 an entry, as foreman does
  --reassign NAMES      give these another port where theirs is taken
  --strict-ports        take a declared port or none
  --no-strict-ports     where a declared port is taken, search upwards
  --env-wins            the environment wins over env files

What is shown:
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

How it runs and ends:
  --pty                 give every entry a terminal, whatever stdout is
  --no-pty              give none a terminal
  --keep-going          go on when an entry ends
  -t SECONDS, --timeout SECONDS
                        how long a stop may take before SIGKILL (default 5)
  --manager NAME        another program runs them: process-compose, overmind,
                        hivemind, honcho or mprocs (docs/export.md)
  -h, --help            show this text

In the background:
  -d, --detach          every entry under a supervisor of its own
  --wait                return when all is ready, as devport wait does
  --no-tmux             no windows: daemons, with logs (devport logs)

For a COMMAND:
  --key KEY             its name and identity; else folder and words are
  --cwd DIR             where it runs, if not here
  --port-env NAME       the variable that gets its port, PORT if not said
  --no-port             it needs none
  --restart POLICY      on_failure (if not said), always or never
  --tailnet             expose it on the tailnet

For example:
  devport start
  devport start web worker -c worker=2
  devport start -d
  devport start --key docs -- python3 -m http.server '$PORT'
"""

from collections.abc import Sequence
from typing import NamedTuple

from devport import foreground
from devport.commands import selection, standing
from devport.commands.arguments import Arguments, parse
from devport.commands.options import run_options
from devport.commands.view import view
from devport.context import Context
from devport.model import Project, RunOptions, Service
from devport.project import formation, graph


def run(context: Context, argv: Sequence[str]) -> int:
    """Run the entries that `argv` selects; the status is the first failure's."""
    if "--" in argv:
        place = argv.index("--")
        from devport.commands import detached  # noqa: PLC0415 - the foreground pays for none of it

        return detached.start_command(context, parse(__doc__, argv[:place]), tuple(argv[place + 1 :]))
    arguments = parse(__doc__, argv)
    if arguments.flag("--manager"):
        from devport.commands import managed  # noqa: PLC0415 - the foreground pays for none of it

        return managed.start(context, arguments)
    _refuse(arguments, COMMAND_ONLY, "goes with a COMMAND behind --")
    return begin(context, arguments, plan(context, arguments))


class Plan(NamedTuple):
    """What a command line starts, and how."""

    project: Project
    services: tuple[Service, ...]
    options: RunOptions


def plan(context: Context, arguments: Arguments) -> Plan:
    """What `arguments` ask for; whatever is to be said about it has been said."""
    project = selection.project(arguments, context)
    selection.warn(context, project.warnings)
    services, notices = _services(arguments, project)
    options = _options(arguments, context, project, services)
    for notice in notices:
        context.say(f"devport: {notice}")
    return Plan(project, standing.due(context, project, services, arguments.words), options)


def begin(context: Context, arguments: Arguments, planned: Plan) -> int:
    """Start what is planned, here or in the background."""
    if arguments.flag("--detach"):
        from devport.commands import detached  # noqa: PLC0415 - the foreground pays for none of it

        return detached.start_entries(context, arguments, *planned)
    _refuse(arguments, ("--no-tmux", "--wait"), "goes with -d")
    return foreground.start(context, *planned)


COMMAND_ONLY = ("--key", "--cwd", "--port-env", "--no-port", "--restart", "--tailnet")


def _refuse(arguments: Arguments, names: Sequence[str], why: str) -> None:
    for name in names:
        if arguments.flag(name):
            raise arguments.wrong(f"option {name} {why}")


def _options(
    arguments: Arguments, context: Context, project: Project, services: Sequence[Service]
) -> RunOptions:
    quiet, reassign = (
        selection.called(arguments.names(option), project, services, option)
        for option in ("--quiet", "--reassign")
    )
    return run_options(
        arguments,
        environ=context.environ,
        env_files=project.env,
        view=view(arguments, context, quiet),
        reassign=reassign,
    )


def _services(arguments: Arguments, project: Project) -> tuple[tuple[Service, ...], tuple[str, ...]]:
    counts = {
        short: formation.parse_counts(",".join(texts), short)
        for short, name in (("-c", "--concurrency"), ("-m", "--formation"))
        if (texts := arguments.texts(name))
    }
    names = tuple(dict.fromkeys(arguments.words))
    mode: graph.Mode = arguments.choice("--mode", graph.MODES) or "before"  # type: ignore[assignment]
    except_ = arguments.names("--except")
    return selection.choose(project, names, except_, counts.get("-c"), counts.get("-m"), mode=mode)
