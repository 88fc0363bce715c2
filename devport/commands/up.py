"""Run the entries of a project, or show the output of those that run already.

usage: devport up [options] [NAME...]
       devport up -d [options] [NAME...]

The same as devport start, as long as none of these entries runs. Where one
does, in the background or in another terminal, the others start in the
background, and the output of all is shown; Ctrl-C ends that, and stops nothing
(devport down does). That takes a terminal; without one, or with CI set, it is
an error.

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
  -h, --help            show this text

In the background:
  -d, --detach          every entry under a supervisor of its own
  --wait                return when all is ready, as devport wait does
  --no-tmux             no windows: daemons, with logs (devport logs)

For example:
  devport up
  devport up -d @backend
"""

import signal
from collections.abc import Sequence

from devport.commands import standing, start
from devport.commands.arguments import Arguments, parse
from devport.context import Context, is_tty
from devport.errors import DevportError, ExitStatus


def run(context: Context, argv: Sequence[str]) -> int:
    """Run the entries that `argv` selects, or attach to them."""
    arguments = parse(__doc__, argv)
    planned = start.plan(context, arguments)
    if arguments.flag("--detach"):
        return start.begin(context, arguments, planned)
    runs = standing.running(context, planned.project, planned.services)
    if not runs:
        return start.begin(context, arguments, planned)
    if context.environ.get("CI") or not (is_tty(context.stdin) and is_tty(context.stdout)):
        raise DevportError(_refusal(tuple(runs)))
    return _attach(context, arguments, planned, tuple(runs))


def _refusal(runs: Sequence[str]) -> str:
    verb = "runs" if len(runs) == 1 else "run"
    return (
        f"cannot start here: {', '.join(runs)} {verb} already;"
        " devport start -d starts the others, devport logs -f shows what they print"
    )


def _attach(context: Context, arguments: Arguments, planned: start.Plan, runs: Sequence[str]) -> int:
    from devport.commands import detached, following  # noqa: PLC0415 - a run of its own needs neither

    project, services, options = planned
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which ended devport until now
    try:
        if rest := [one for one in services if one.name not in runs]:
            detached.say(context, detached.launched(context, arguments, project, rest, options))
        verb = "runs" if len(runs) == 1 else "run"
        also = f"; started: {', '.join(one.name for one in rest)}" if rest else ""
        context.say(f"devport: {', '.join(runs)} {verb} already{also}")
        context.say("devport: Ctrl-C leaves this output, devport down stops everything")
        return following.follow(context, arguments, project, services)
    except KeyboardInterrupt:
        context.write(context.stderr, "\r")  # over the ^C that the terminal has just echoed
        context.say("devport: detached; the services go on (devport down stops them)")
        return ExitStatus.OK
