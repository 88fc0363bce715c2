"""Print the environment that an entry gets, in the form of an env file.

usage: devport env [options] [--] NAME

Shown is what differs from the environment that devport is called in: env files,
the entry's own variables, ports. web.2 is the second instance of web. A NAME
that is no entry here may be a key, the first digits of a hash or a port of any
service that ran in the background.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  -p BASE, --port BASE  count new ports from BASE, 100 an entry, as foreman does
  --env-wins            the environment wins over env files
  --all                 the whole environment
  --json                one JSON object
  -h, --help            show this text

For example:
  devport env web
  devport env web --json | jq -r .PORT
"""

import json
from collections.abc import Mapping, Sequence

from devport import launch
from devport.commands import selection
from devport.commands.arguments import Arguments, parse
from devport.commands.options import run_options
from devport.context import Context
from devport.errors import DevportError, ExitStatus
from devport.project import environment, load
from devport.registry.record import Record


def run(context: Context, argv: Sequence[str]) -> int:
    """Print the environment of the service that `argv` names."""
    arguments = parse(__doc__, argv)
    made = _environment(context, arguments, arguments.words[0])
    shown = {
        name: value
        for name, value in made.items()
        if arguments.flag("--all") or context.environ.get(name) != value
    }
    text = json.dumps(shown, indent=2) + "\n" if arguments.flag("--json") else environment.to_dotenv(shown)
    context.show(text)
    return 0


def _environment(context: Context, arguments: Arguments, name: str) -> Mapping[str, str]:
    """What an entry of the project gets, or else what a service of the background was registered with."""
    try:
        project = selection.project(arguments, context)
        service = selection.instance(project.services, name)
    except DevportError as error:
        if error.status != ExitStatus.NO_SUCH_SERVICE and not isinstance(error, load.NoProject):
            raise
        from devport.commands.targets import elsewhere  # noqa: PLC0415 - rarely needed

        return _registered(elsewhere(context, arguments, name, error))
    options = run_options(arguments, environ=context.environ, env_files=project.env)
    [prepared] = launch.prepare(context, project, (service,), options)
    return prepared.environment


def _registered(record: Record) -> Mapping[str, str]:
    if not record.env:
        raise DevportError(f"cannot tell the environment of {record.label}: it never ran in the background")
    from devport import supervisor  # noqa: PLC0415 - an engine's worth of modules

    return supervisor.environment(record)
