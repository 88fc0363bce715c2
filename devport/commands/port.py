"""Print the port of entries, the same number that `devport start` gives them.

usage: devport port [options] [--] NAME...

One NAME prints its number, several print a line NAME=NUMBER each. web.2 is the
second instance of web; web:admin is the port that web declares as admin, web
alone its first. An entry that has no port yet gets one.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input
  --root DIR            run there, and read .env there, not beside FILE
  -e FILES, --env FILES
                        env files instead of .env; of several the later wins
  -p BASE, --port BASE  count new ports from BASE, 100 an entry, as foreman does
  --json                one JSON object, NAME to number
  -h, --help            show this text

For example:
  curl http://localhost:$(devport port web)/
  devport port web worker --json
"""

import json
from collections.abc import Mapping, Sequence

from devport import launch
from devport.commands import selection
from devport.commands.arguments import parse
from devport.commands.options import run_options
from devport.context import Context
from devport.errors import DevportError, nearest
from devport.model import Service


def run(context: Context, argv: Sequence[str]) -> int:
    """Print the ports of the entries that `argv` names."""
    arguments = parse(__doc__, argv)
    project = selection.project(arguments, context)
    wanted = {word: _target(project.services, word) for word in arguments.words}
    options = run_options(arguments, environ=context.environ, env_files=project.env)
    services = tuple({service.name: service for service, _ in wanted.values()}.values())
    launches = launch.prepare(context, project, services, options)
    ports = {one.service.name: one.ports for one in launches}
    numbers = {
        word: _number(ports[service.name], service.name, name) for word, (service, name) in wanted.items()
    }
    context.write(context.stdout, _text(numbers, as_json=arguments.flag("--json")))
    return 0


def _target(services: tuple[Service, ...], word: str) -> tuple[Service, str]:
    """The service and the name of its port that `web.2:admin` means; no name is the first port."""
    name, _, port = word.partition(":")
    return selection.instance(services, name), port


def _number(ports: Mapping[str, int], name: str, port: str) -> int:
    if not ports:
        raise DevportError(f"cannot tell the port of {name}: it has none (no-port)")
    if not port:
        return next(iter(ports.values()))
    if port in ports:
        return ports[port]
    raise DevportError(f"cannot tell the port of {name}: it declares no port {port}{nearest(port, ports)}")


def _text(numbers: dict[str, int], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(numbers) + "\n"
    if len(numbers) == 1:
        return "".join(f"{number}\n" for number in numbers.values())
    return "".join(f"{word}={number}\n" for word, number in numbers.items())
