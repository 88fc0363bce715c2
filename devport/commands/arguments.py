"""What one command line of a verb says, checked and typed: flags' names end here.

Knows the forms that values come in (a number, seconds, a list, one of several words), and no verb.
"""

import re
from collections.abc import Sequence

from devport.commands.usage import CommandLine, Misuse, Usage

# The longest wait that every system's select takes is 2**31 milliseconds.
LONGEST_WAIT = 1_000_000

_SECONDS = r"[0-9]+(\.[0-9]*)?|\.[0-9]+"


def parse(usage: str | None, argv: Sequence[str], *, options_first: bool = False) -> "Arguments":
    """`argv` as the usage text has it; with `options_first`, options end at the first word."""
    grammar = Usage(usage)
    return Arguments(grammar, grammar.parse(argv, options_first=options_first))


def port_number(text: str) -> int | None:
    """`text` as a port that can be asked for, or None where it is none."""
    if re.fullmatch(r"[0-9]{1,5}", text) and 1 <= int(text) <= 65535:  # noqa: PLR2004 - the highest port
        return int(text)
    return None


class Arguments:
    """The options and words of one command line; an option is asked for by its last long spelling."""

    def __init__(self, usage: Usage, line: CommandLine) -> None:
        self._usage = usage
        self._values = line.values
        self.words = tuple(line.words)

    def wrong(self, reason: str) -> Misuse:
        """The error that says `reason` and shows how the verb is used."""
        return self._usage.wrong(reason)

    def flag(self, name: str) -> bool:
        """Whether the option is there."""
        return name in self._values

    def either(self, yes: str, no: str) -> bool | None:
        """True or False as one of two opposite options says, None without either."""
        if self.flag(yes) and self.flag(no):
            raise self.wrong(f"{yes} and {no} contradict each other")
        return True if self.flag(yes) else False if self.flag(no) else None

    def text(self, name: str) -> str | None:
        """The value of an option; given twice, the later one."""
        values = self._values.get(name)
        return values[-1] if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an option that may be repeated."""
        return tuple(self._values.get(name, ()))

    def names(self, name: str) -> tuple[str, ...]:
        """The items of comma lists, without the blanks around them; none twice, no empty one."""
        items = [item.strip() for value in self.texts(name) for item in value.split(",")]
        return tuple(dict.fromkeys(item for item in items if item))

    def seconds(self, name: str, default: float) -> float:
        """A time from 0 on."""
        text = self.text(name)
        if text is None:
            return default
        if re.fullmatch(_SECONDS, text) and float(text) <= LONGEST_WAIT:
            return float(text)
        raise self.wrong(f'{name} wants seconds, 0 to {LONGEST_WAIT}, not "{text}"')

    def port(self, name: str) -> int | None:
        """A port number."""
        text = self.text(name)
        if text is None:
            return None
        if (number := port_number(text)) is not None:
            return number
        raise self.wrong(f'{name} wants a port, 1 to 65535, not "{text}"')

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of `choices`."""
        text = self.text(name)
        if text is None or text in choices:
            return text
        raise self.wrong(f'{name} wants {", ".join(choices[:-1])} or {choices[-1]}, not "{text}"')
