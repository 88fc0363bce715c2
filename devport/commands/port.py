"""Print the port of entries, the same number that `devport start` gives them.

usage: devport port [options] [--] NAME...

One NAME prints its number, several print a line NAME=NUMBER each. web.2 is the
second instance of web; web:admin is the port that web declares as admin, web
alone its first. An entry that has no port yet gets one. A NAME that is no entry
here may be a key, the first digits of a hash or a port of any service.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the Procfile or devport.yaml; - is standard input; of
                        several devport.yaml the later wins, key by key
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
from devport.commands.arguments import Arguments, parse
from devport.commands.options import run_options
from devport.context import Context
from devport.errors import DevportError, nearest
from devport.model import Project, Service
from devport.project import load
from devport.registry.record import Record


def run(context: Context, argv: Sequence[str]) -> int:
    """Print the ports of the services that `argv` names."""
    arguments = parse(__doc__, argv)
    project = _project(context, arguments)
    wanted: dict[str, tuple[Service, str]] = {}
    numbers = {}
    for word in arguments.words:
        name, _, port = word.partition(":")
        try:
            wanted[word] = (_instance(project, name), port)
        except DevportError as error:
            from devport.commands.targets import elsewhere  # noqa: PLC0415 - rarely needed

            record = elsewhere(context, arguments, name, error)
            numbers[word] = _number(_ports(record), record.label, port)
    numbers.update(_of_entries(context, arguments, project, wanted))
    shown = {word: numbers[word] for word in arguments.words}
    context.write(context.stdout, _text(shown, as_json=arguments.flag("--json")))
    return 0


def _project(context: Context, arguments: Arguments) -> Project | load.NoProject:
    """The project, or the error that there is none, for a word that is no service elsewhere either."""
    try:
        return selection.project(arguments, context)
    except load.NoProject as error:
        return error


def _instance(project: Project | load.NoProject, name: str) -> Service:
    """The entry, or instance of one, that `web.2` means."""
    if isinstance(project, load.NoProject):
        raise project
    return selection.instance(project.services, name)


def _of_entries(
    context: Context,
    arguments: Arguments,
    project: Project | load.NoProject,
    wanted: Mapping[str, tuple[Service, str]],
) -> dict[str, int]:
    """The numbers of the words that name entries, as `start` gives them; no name is the first port."""
    if isinstance(project, load.NoProject) or not wanted:
        return {}
    options = run_options(arguments, environ=context.environ, env_files=project.env)
    services = tuple({service.name: service for service, _ in wanted.values()}.values())
    ports = {one.service.name: one.ports for one in launch.prepare(context, project, services, options)}
    return {
        word: _number(ports[service.name], service.name, port) for word, (service, port) in wanted.items()
    }


def _ports(record: Record) -> Mapping[str, int]:
    """The ports of a service outside this project, the one called PORT first."""
    if record.no_port or not record.port:
        return {}
    first = {name: port for name, port in record.ports.items() if port == record.port}
    return {**(first or {"": record.port}), **record.ports}


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
