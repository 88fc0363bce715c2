"""Print the environment that an entry gets, in the form of an env file.

usage: devport env [options] [--] NAME

Shown is what differs from the environment that devport is called in: env files,
the entry's own variables, ports. web.2 is the second instance of web.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input
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
from collections.abc import Sequence

from devport import launch
from devport.commands import selection
from devport.commands.arguments import parse
from devport.commands.options import run_options
from devport.context import Context
from devport.project import environment


def run(context: Context, argv: Sequence[str]) -> int:
    """Print the environment of the entry that `argv` names."""
    arguments = parse(__doc__, argv)
    project = selection.project(arguments, context)
    service = selection.instance(project.services, arguments.words[0])
    options = run_options(arguments, environ=context.environ, env_files=project.env)
    [prepared] = launch.prepare(context, project, (service,), options)
    shown = {
        name: value
        for name, value in prepared.environment.items()
        if arguments.flag("--all") or context.environ.get(name) != value
    }
    text = json.dumps(shown, indent=2) + "\n" if arguments.flag("--json") else environment.to_dotenv(shown)
    context.write(context.stdout, text)
    return 0
