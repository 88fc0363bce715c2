"""Remove services: stop them, and forget them, their ports and their logs.

usage: devport rm [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. What is exposed to the tailnet is withdrawn
first; where that fails, the service stays. One that runs in a terminal has to
be ended there.

Options:
  --force               end runs in other terminals, with all their services
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport rm web
  devport rm --force 19003
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context
from devport.inventory.removal import remove


def run(context: Context, argv: Sequence[str]) -> int:
    """Remove the services that `argv` names."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words), live=False)
    outcomes = remove(context, targets.store, rows, force=arguments.flag("--force"))
    return report(context, outcomes, as_json=arguments.flag("--json"))
