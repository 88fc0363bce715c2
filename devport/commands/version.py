"""Print devport's version.

usage: devport version [options]

Options:
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
    parse(__doc__, argv)
    context.write(context.stdout, f"devport {__version__}\n")
    return 0
