"""docs/commands.md from the usage texts of the verbs.

python -m tests.support.commands_page > docs/commands.md
"""

from importlib import import_module

from devport import cli
from devport.commands.usage import Usage

HEAD = """\
# Commands

This page is made of what `devport help COMMAND` prints.

Options may stand before or after the command, and after words; only `run` takes what follows its first word
as it is. An option that is given twice counts as the later says, but lists (FILE, FILES, NAMES,
LIST) add up. `--` ends the options. Options cannot be abbreviated.
"""


def usage(verb: str) -> Usage:
    """The usage of one verb."""
    return Usage(cli.HELP if verb == "help" else import_module(f"devport.commands.{verb}").__doc__)


def page() -> str:
    """The whole page."""
    parts = [HEAD, f"```text\n{cli.OVERVIEW}```\n"]
    parts += [f"## devport {verb}\n\n```text\n{usage(verb).text}```\n" for verb in cli.VERBS]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
