"""Stop services, in the background or in another terminal.

usage: devport stop [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. Returns when the services are gone and their
ports free; the ports stay reserved. Of several, what needs others is stopped
before those are; what is not named goes on. A foreground run goes on without
the service.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport stop web
  devport stop b7d 19003
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context
from devport.inventory.order import needing, stop_in_order


def run(context: Context, argv: Sequence[str]) -> int:
    """Stop the services that `argv` names."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words, unregistered=True))
    records = targets.snapshot.records
    outcomes = stop_in_order(context, targets.store, rows, records)
    status = report(context, outcomes, as_json=arguments.flag("--json"))
    for one in rows:
        if names := [] if one.holder is None else needing(targets.store, one.record, records):
            who = f"{', '.join(names)} {'needs' if len(names) == 1 else 'need'}"
            context.say(f"devport: {who} {one.label}, which is stopped now")
    return status
