"""Expose services on the tailnet, each at https://HASHID.TAILNET.ts.net.

usage: devport tailup [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. It has to run, and to have a port. With an API
key (TAILSCALE_API_KEY, or the file that DEVPORT_TAILSCALE_KEY_FILE names) it
is defined and approved in the tailnet too; else that has to be done by hand.

Options:
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport tailup web
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context
from devport.errors import DevportError
from devport.inventory.outcome import Outcome, refused
from devport.inventory.rows import Row, Status
from devport.tailscale import Tailnet
from devport.tailscale.listener import doubt


def run(context: Context, argv: Sequence[str]) -> int:
    """Expose the services that `argv` names, one after the other: tailscale takes one change at a time."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words, unregistered=True))
    tailnet = Tailnet(context)
    outcomes = [_expose(context, tailnet, one) for one in rows]
    return report(context, outcomes, as_json=arguments.flag("--json"))


def _expose(context: Context, tailnet: Tailnet, one: Row) -> Outcome:
    if one.status is not Status.RUNNING or one.holder is None:
        return refused(one.record, "expose", one.why or "it is not running")
    if one.port is not None and (why := doubt(one.port, one.record.hash, one.holder.pid)):
        context.say(f"devport: warning: {one.label}: {why}")
    try:
        exposed = tailnet.up(one.record, one.port)
    except DevportError as error:
        return refused(one.record, "expose", error.message)
    return Outcome(exposed, f"is at {exposed.extra['url']}")
