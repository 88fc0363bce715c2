"""Withdraw services from the tailnet; they go on running.

usage: devport taildown [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. Its definition in the tailnet, and the approval
of this device, stay for the next tailup; rm takes them away.

Options:
  --forget              only note that it is done: tailscale is gone for good
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport taildown web
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


def run(context: Context, argv: Sequence[str]) -> int:
    """Withdraw the services that `argv` names."""
    arguments = parse(__doc__, argv)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words, unregistered=True), live=False)
    tailnet, forget = Tailnet(context), arguments.flag("--forget")
    outcomes = [_withdraw(tailnet, one, forget=forget) for one in rows]
    return report(context, outcomes, as_json=arguments.flag("--json"))


def _withdraw(tailnet: Tailnet, one: Row, *, forget: bool) -> Outcome:
    if one.status is Status.CORRUPT:
        return refused(one.record, "withdraw", one.why)
    if not one.record.tailnet and "url" not in one.record.extra:
        return Outcome(one.record, "is not on the tailnet")
    try:
        if forget:
            tailnet.forget(one.record)
        else:
            tailnet.down(one.record, definition=False)
    except DevportError as error:
        return refused(one.record, "withdraw", error.message)
    return Outcome(one.record, "is no longer on the tailnet")
