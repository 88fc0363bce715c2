"""How a run is shown, as options and environment say; shared by the verbs that show one."""

import time
from collections.abc import Mapping

from devport.commands.arguments import Arguments
from devport.context import Context, is_tty
from devport.errors import UsageError
from devport.model import View


def view(arguments: Arguments, context: Context, quiet: frozenset[str]) -> View:
    """The view that the command line asks for, or that fits what stdout is."""
    return View(
        colour=colour(arguments, context.environ, terminal=is_tty(context.stdout)),
        prefix=not arguments.flag("--no-prefix"),
        timestamp=timestamp(arguments),
        json=arguments.flag("--json"),
        quiet=quiet,
    )


def colour(arguments: Arguments, environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Flag before NO_COLOR before CLICOLOR_FORCE before what stdout is."""
    wish = arguments.choice("--color", ("auto", "always", "never"))
    if arguments.flag("--no-color"):
        if wish not in (None, "never"):
            raise arguments.wrong(f"--color {wish} and --no-color contradict each other")
        return False
    if wish in ("always", "never"):
        return wish == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return terminal and environ.get("TERM") != "dumb"


def timestamp(arguments: Arguments) -> str | None:
    """The strftime format of the time in front of a line; empty is none."""
    text = arguments.text("--timestamp")
    if arguments.flag("--no-timestamp"):
        if text:
            raise arguments.wrong("--timestamp and --no-timestamp contradict each other")
        return None
    if text is None:
        return View().timestamp
    if not _one_line(text):
        raise UsageError(f'cannot use --timestamp "{text}": no strftime format of one line')
    return text or None


def _one_line(format_: str) -> bool:
    try:
        return time.strftime(format_).isprintable()
    except ValueError:  # what the C library refuses
        return False
