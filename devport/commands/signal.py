"""Send a signal to services.

usage: devport signal [options] [--] TARGET...

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. HUP, the default, restarts the service in place;
any other signal goes to every process of the service.

Options:
  -s SIGNAL, --signal SIGNAL
                        a name, with or without SIG, or a number (default HUP)
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport signal web
  devport signal -s USR1 web worker
"""

import re
import signal
from collections.abc import Sequence

from devport.commands.arguments import Arguments, parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context
from devport.inventory.signalling import send


def run(context: Context, argv: Sequence[str]) -> int:
    """Signal the services that `argv` names."""
    arguments = parse(__doc__, argv)
    number = _number(arguments)
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words, unregistered=True))
    return report(context, send(rows, number), as_json=arguments.flag("--json"))


def _number(arguments: Arguments) -> int:
    text = arguments.text("--signal")
    if text is None:
        return signal.SIGHUP
    if re.fullmatch("[0-9]{1,3}", text):
        number = int(text)
    else:
        name = text.upper().removeprefix("SIG")
        # The library has names such as SIG_IGN as well, which are no signals.
        number = getattr(signal.Signals, f"SIG{name}", 0) if re.fullmatch("[A-Z][A-Z0-9]*", name) else 0
    if number in signal.valid_signals():
        return int(number)
    raise arguments.wrong(f'--signal wants a signal such as USR1 or 10, not "{text}"')
