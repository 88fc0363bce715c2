"""Print what is known of services, as JSON.

usage: devport which [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. One TARGET gives an object, several an array. The
environment is not shown (devport env shows it).

Options:
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                JSON, as without it
  -h, --help            show this text

For example:
  devport which web
  devport which b7d | jq -r .url
"""

import json
from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.targets import Targets
from devport.context import Context
from devport.inventory.rows import Status, details


def run(context: Context, argv: Sequence[str]) -> int:
    """Print the services that `argv` names."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words))
    for one in rows:
        if one.status in (Status.CORRUPT, Status.UNKNOWN):
            context.say(f"devport: warning: {one.why}")
    found = [details(one) for one in rows]
    text = json.dumps(found[0] if len(arguments.words) == 1 else found, indent=2)
    context.write(context.stdout, text + "\n")
    return 0
