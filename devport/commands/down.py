"""Stop everything of this project, in the background and in every terminal.

usage: devport down [options]

What needs others is stopped before those are. Foreground runs end with all
their services. Ports stay reserved. What was started without a file (devport
start -- COMMAND) belongs to no project.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the project whose services are stopped
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport down
  devport down --root ~/shop
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context
from devport.inventory.order import stop_in_order


def run(context: Context, argv: Sequence[str]) -> int:
    """Stop every service of the project."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    # What a foreground run has stopped still keeps the run from ending.
    rows = [one for one in targets.rows(targets.here()) if one.holder is not None or one.why]
    outcomes = stop_in_order(context, targets.store, rows, targets.snapshot.records, whole_runs=True)
    if not rows:
        context.say("devport: nothing of this project is running")
    return report(context, outcomes, as_json=arguments.flag("--json"))
