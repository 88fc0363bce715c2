"""List services: which there are, which run, and on which ports.

usage: devport ls [options]

All services of this user, this project's first. On a terminal a table, else a
JSON array, an object for each service: hash, hashid, key, status (running,
stopped, unknown, corrupt), port, url, cwd, cmd, state, pid, uptime and more.
Environments are not shown. CPU is that of the service's life so far.

Options:
  -a, --active          only services that run
  --here                only services of this project
  -f FILE, --procfile FILE, --file FILE
                        the project that comes first
  --root DIR            the folder of that project
  --json                the JSON array on a terminal as well
  -h, --help            show this text

For example:
  devport ls
  devport ls --active --json | jq -r '.[].port'
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.listing import show, show_json
from devport.commands.targets import Targets
from devport.context import Context, is_tty
from devport.inventory.rows import Status


def run(context: Context, argv: Sequence[str]) -> int:
    """List the services that `argv` selects; damaged records are a warning and no failure."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    here, active = arguments.flag("--here"), arguments.flag("--active")
    rows = targets.rows(targets.here() if here else targets.everything())
    rows += [] if here else targets.damaged()
    for one in rows:
        if one.status in (Status.CORRUPT, Status.UNKNOWN):
            context.say(f"devport: warning: {one.why}")
    shown = [one for one in rows if not active or one.status is Status.RUNNING]
    if arguments.flag("--json") or not is_tty(context.stdout):
        show_json(context, shown)
    elif shown:
        show(context, arguments, shown)
    else:
        context.say("devport: no services" + (" run" if active else ""))
    return 0
