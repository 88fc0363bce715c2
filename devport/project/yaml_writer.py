"""Values as YAML that every reader takes for the same: PyYAML's emitter with fixed options.

Readers disagree on what a word without quotes is: `no` is a boolean in YAML 1.1, `1e3` a number in YAML 1.2
and none for PyYAML. So a text stands in double quotes unless it is a word that nobody takes for anything
else. No line is folded.
"""

import re
from typing import Any

_WORD = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_BLOCK = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n)+(?:[!-~](?:[ -~]*[!-~])?\n?)?")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
_NO_FOLDING = 1 << 30


def dump(*documents: object, blocks: bool = False) -> str:
    """`documents` (mappings, lists, texts, numbers, booleans, None), one after the other.

    With `blocks`, texts of several plain lines stand as they are, for people to edit. Texts must be
    encodable as UTF-8: YAML has no way to say other bytes.
    """
    import yaml  # noqa: PLC0415 - 14 ms that only who writes YAML pays

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the value is written again instead
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
            super().increase_indent(flow, False)  # items stand below their key, indented

    def text(dumper: Dumper, value: str) -> yaml.ScalarNode:
        style = "|" if blocks and _BLOCK.fullmatch(value) else None if is_plain(value) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    written: str = yaml.dump_all(
        documents,
        Dumper=Dumper,
        allow_unicode=True,
        default_flow_style=False,
        explicit_start=len(documents) > 1,
        sort_keys=False,
        width=_NO_FOLDING,
    )
    return written


def is_plain(value: str) -> bool:
    """Whether `value` is a text for every reader without quotes around it."""
    if not _WORD.fullmatch(value) or not re.search("[A-Za-z]", value):
        return False
    return value.lower().strip(".") not in _RESERVED and not value.startswith((".", "-"))
