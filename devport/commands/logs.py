"""Show what services have printed, and with -f what they print from now on.

usage: devport logs [options] [--] [TARGET...]

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. Without one, all of this project. Of a background
service the log is shown (the last 40 MB are kept), of one in another terminal
what its run remembers (64 KB). Several are merged by time. A reader that is no
terminal gets plain text.

Options:
  -f, --follow          go on until Ctrl-C, through restarts of the services
  -n LINES, --lines LINES
                        so many lines of each service (default 100)
  --file FILE, --procfile FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --colour WHEN, --color WHEN
                        auto, always or never
  --no-colour, --no-color
                        the same as --color never; so is NO_COLOR=1
  --json                a JSON object for each line: time, service, line
  -h, --help            show this text

For example:
  devport logs web
  devport logs -f -n 10 web worker
"""

import math
import re
from collections.abc import Sequence

from devport.commands.arguments import Arguments, parse
from devport.commands.report import labels
from devport.commands.targets import Targets
from devport.commands.view import colour
from devport.context import Context, is_tty, wait_until
from devport.errors import ExitStatus
from devport.inventory.output import Dated, Source, merged, sources

LINES = 100


def run(context: Context, argv: Sequence[str]) -> int:
    """Show the output of the services that `argv` names."""
    arguments = parse(__doc__, argv)
    lines, follow = _lines(arguments), arguments.flag("--follow")
    targets = Targets(context, arguments)
    rows = targets.rows(targets.records(arguments.words, unregistered=True), live=False)
    names = labels([one.record for one in rows])
    coloured = colour(arguments, context.environ, terminal=is_tty(context.stdout))
    found = list(sources(targets.store, rows, names, follow=follow))
    display = Dated(context, list(names.values()), as_json=arguments.flag("--json"), colour=coloured)
    for piece in merged(found, lines):
        display.show(piece)
    if follow:
        _follow(display, found)
    display.end()
    return ExitStatus.PIPE if display.closed else ExitStatus.OK


def _follow(display: Dated, found: Sequence[Source]) -> None:
    """Show what comes until the reader has gone, or nothing can come any more."""

    def step() -> bool:
        busy = True
        while busy and not display.closed:
            busy = False
            for source in found:
                busy |= source.more(display)
        display.pause()
        return display.closed or all(source.ended for source in found)

    wait_until(step, math.inf)


def _lines(arguments: Arguments) -> int:
    text = arguments.text("--lines")
    if text is None:
        return LINES
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text)
    raise arguments.wrong(f'--lines wants a number, not "{text}"')
