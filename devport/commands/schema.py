"""Print the JSON Schema of devport.yaml, with which editors complete and check it.

usage: devport schema [options]

An editor with YAML support takes it from a first line of devport.yaml:
  # yaml-language-server: $schema=devport.schema.json

Options:
  -h, --help            show this text

For example:
  devport schema > devport.schema.json
"""

from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.context import Context
from devport.project import json_schema


def run(context: Context, argv: Sequence[str]) -> int:
    """Print it."""
    parse(__doc__, argv)
    context.write(context.stdout, json_schema.text())
    return 0
