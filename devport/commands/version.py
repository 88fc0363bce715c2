"""Print devport's version.

usage: devport version [options]

Options:
  --json                one JSON object
  -h, --help            show this text

For example:
  devport version
"""

from collections.abc import Sequence

from devport import __version__
from devport.commands.arguments import parse
from devport.context import Context


def run(context: Context, argv: Sequence[str]) -> int:
    """Print the version."""
    as_json = parse(__doc__, argv).flag("--json")
    text = f'{{"version": "{__version__}"}}' if as_json else f"devport {__version__}"
    context.write(context.stdout, f"{text}\n")
    return 0
