"""Run one entry alone, or any command, with the environment of the project.

usage: devport run [options] [--] NAME [ARG...]
       devport run [options] [--] COMMAND [ARG...]

Terminal, standard input and exit status pass through. Where the first word is
an entry of the project (web, or web.2 for its second instance), that runs on
its port, the ARGs after its own; else the words are a command. Options stand
before the first word: what follows it is the command's.

With --key, or another option of the last group, COMMAND becomes a service, as
with devport start -- COMMAND, but its supervisor stays in this terminal until
it is stopped: it restarts the service when that fails, and on HUP, TSTP and
Ctrl-Z; INT, TERM and Ctrl-C end both.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  -p BASE, --port BASE  count new ports from BASE, 100 an entry, as foreman does
  --reassign NAMES      give these another port where theirs is taken
  --strict-ports        take a declared port or none
  --no-strict-ports     where a declared port is taken, search upwards
  --env-wins            the environment wins over env files
  -t SECONDS, --timeout SECONDS
                        how long a stop may take before SIGKILL (default 5)
  -h, --help            show this text

A service of its own:
  --key KEY             its name and identity; else folder and words are
  --cwd DIR             where it runs, if not here
  --port-env NAME       the variable that gets its port, PORT if not said
  --no-port             it needs none
  --restart POLICY      on_failure (if not said), always or never

For example:
  devport run web
  devport run -e test.env python manage.py migrate --noinput
  devport run --key api -- go run ./cmd/server
"""

from collections.abc import Sequence

from devport import passthrough
from devport.commands import selection
from devport.commands.arguments import parse
from devport.commands.options import run_options
from devport.context import Context

OWN = ("--key", "--cwd", "--port-env", "--no-port", "--restart")


def run(context: Context, argv: Sequence[str]) -> int:
    """Run what `argv` says; the status is its own."""
    arguments = parse(__doc__, argv, options_first=True)
    if any(map(arguments.flag, OWN)):
        from devport.commands import detached  # noqa: PLC0415 - the others pay for none of it

        return detached.supervise_command(context, arguments, arguments.words)
    project = selection.project_if_any(arguments, context)
    selection.warn(context, project.warnings)
    first, *rest = arguments.words
    entry = selection.found(project.services, first)
    reassign = selection.called(
        arguments.names("--reassign"), project, [entry] if entry else (), "--reassign"
    )
    if entry is None:
        # A command has no port, so PORT is a variable like any other to it.
        return passthrough.run_command(context, project, arguments.words, run_options(arguments))
    options = run_options(arguments, environ=context.environ, env_files=project.env, reassign=reassign)
    return passthrough.run(context, project, entry, tuple(rest), options)
