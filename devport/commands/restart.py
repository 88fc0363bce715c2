"""Restart services where they run; start them in the background where they do not.

usage: devport restart [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. Command, environment and port are those that were
registered, whatever shell this is. Returns when the services are ready again.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --no-tmux             what does not run gets no window: a daemon, with a log
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport restart web
  devport restart api worker --json
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context
from devport.inventory.restart import restart


def run(context: Context, argv: Sequence[str]) -> int:
    """Restart the services that `argv` names."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words, unregistered=True))
    outcomes = restart(context, targets.store, rows, windows=not arguments.flag("--no-tmux"))
    return report(context, outcomes, as_json=arguments.flag("--json"))
