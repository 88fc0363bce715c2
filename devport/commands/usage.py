"""A verb's usage text as its grammar: which options exist, what a command line gives them, what is wrong.

docopt judges whether the words fit the usage. The options are read here first, because docopt says
nothing useful about a mistyped one, takes abbreviations that the next release may make ambiguous,
knows one long spelling an option and, with two usage lines, counts a repeated option's value twice.
An option given twice: the later wins, but lists (of FILES, NAMES, a LIST, or one FILE each) add up.
Knows neither the project nor what any option means.
"""

import re
from collections.abc import Collection, Container, Sequence
from typing import NamedTuple

from devport.errors import DevportError, UsageError, nearest

# Patterns as text: `devport --version` compiles none of them.
_BLOCK = r"(?m)^usage: devport (\S+).*(?:\n[ \t].*)*"
_OPTION = r"(?m)^ +(-\S.*?)(?:  |$)"
_LISTS = frozenset({"FILE", "FILES", "NAMES", "LIST"})
_REQUIRED = r"\[--\] ([A-Z]+)"
_HELP = ("-h", "--help")


class Misuse(UsageError):  # noqa: N818 - the cause is said by the base class
    """A command line that does not fit; `usage` are the lines to show below the message."""

    def __init__(self, message: str, usage: Sequence[str]) -> None:
        super().__init__(message)
        self.usage = tuple(usage)


class Answer(Exception):  # noqa: N818 - it is no error
    """What the command line asks for is this text (a usage, the version): stdout gets it, nothing runs."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Option(NamedTuple):
    """One option as its line in the usage text declares it.

    `name` is the last of its long spellings, `argument` what the text calls its value (empty: a flag).
    """

    name: str
    spellings: tuple[str, ...]
    argument: str


class CommandLine(NamedTuple):
    """What an argv says: the values of each option given (a flag has one empty value), and the words."""

    values: dict[str, list[str]]
    words: list[str]


class Usage:
    """The usage text of one verb."""

    def __init__(self, text: str | None) -> None:
        found = re.search(_BLOCK, text or "")
        if text is None or found is None:  # python -OO has no docstrings
            raise DevportError("cannot read the usage text: python runs without docstrings (-OO)")
        self.text = text
        self.verb = found[1]
        self.block = found[0]
        self.options = {
            spelling: option
            for option in map(_option, re.findall(_OPTION, text))
            for spelling in option.spellings
        }

    def parse(self, argv: Sequence[str], *, options_first: bool = False) -> CommandLine:
        """What `argv` says; with `options_first` everything from the first word on are words."""
        line = self._read(argv, options_first=options_first)
        # An option costs docopt a tenth of a millisecond, and n words cost n * n: it is shown the
        # options that are there, and no more words than any usage counts.
        words = line.words[:20]
        if not self._fits(line.values, words):
            fitting = [n for n in range(len(words)) if self._fits(line.values, words[:n])]
            missing = " or ".join(re.findall(_REQUIRED, self.block))
            raise self.wrong(f"unexpected word {words[fitting[-1]]}" if fitting else f"no {missing} given")
        return line

    def wrong(self, reason: str) -> Misuse:
        """The error that says `reason` and shows how the verb is used."""
        return Misuse(f"cannot {self.verb}: {reason}", self.block.splitlines())

    def _read(self, argv: Sequence[str], *, options_first: bool) -> CommandLine:
        line = CommandLine({}, [])
        rest = list(reversed(argv))
        while rest:
            word = rest.pop()
            if word == "--":
                line.words.extend(reversed(rest))
                break
            if is_option(word):
                self._take(word, rest, line.values)
                continue
            line.words.append(word)
            if options_first:
                line.words.extend(reversed(rest))
                break
        return line

    def _take(self, word: str, rest: list[str], values: dict[str, list[str]]) -> None:
        """Put the option `word` (`--long`, `--long=VALUE`, `-xyVALUE`) into `values`."""
        if word.startswith("--"):
            spelling, equals, value = word.partition("=")
            option = self._find(spelling)
            if equals and not option.argument:
                raise self.wrong(f"option {spelling} takes no value")
            if option.argument and not equals:
                value = self._next(spelling, rest)
            self._give(option, value, values)
            return
        letters = word[1:]
        while letters:
            spelling, letters = f"-{letters[0]}", letters[1:]
            option = self._find(spelling)
            if option.argument:
                self._give(option, letters or self._next(spelling, rest), values)
                return
            self._give(option, "", values)

    def _find(self, spelling: str) -> Option:
        if spelling in _HELP:
            raise Answer(self.text)
        if option := self.options.get(spelling):
            return option
        raise self.wrong(f"unknown option {spelling}{suggestion(spelling, self.options)}")

    def _next(self, spelling: str, rest: list[str]) -> str:
        # `-t --json` is a forgotten value far more often than a value that looks like an option; who
        # means it writes `--timestamp=--%H`.
        if not rest or rest[-1].startswith("--"):
            raise self.wrong(f"option {spelling} needs a value")
        return rest.pop()

    def _give(self, option: Option, value: str, values: dict[str, list[str]]) -> None:
        earlier = values.get(option.name, []) if option.argument in _LISTS else []
        values[option.name] = [*earlier, value]

    def _fits(self, values: dict[str, list[str]], words: list[str]) -> bool:
        """Whether docopt finds that these options and words match the usage."""
        import docopt  # noqa: PLC0415 - only a verb that parses pays for it

        options = [option for option in {*self.options.values()} if option.name in values]
        declared = [f"  {' '.join(o.spellings)} {o.argument}" for o in options]
        given = [f"{o.name}={values[o.name][-1]}" if o.argument else o.name for o in options]
        argv = [*given, self.verb, *(["--", *words] if words else [])]
        try:
            docopt.docopt("\n".join([self.block, "", *declared]), argv, False)
        except docopt.DocoptExit:
            return False
        return True


def _option(line: str) -> Option:
    """The option that `-f FILE, --procfile FILE, --file FILE` declares."""
    words = line.replace(",", " ").split()
    spellings = tuple(word for word in words if word.startswith("-"))
    name = [spelling for spelling in spellings if spelling.startswith("--")][-1]
    return Option(name, spellings, "".join({*words} - {*spellings}))


def is_option(word: str) -> bool:
    """Whether `word` is read as an option; `-` alone is a word (standard input, by custom)."""
    return word.startswith("-") and word != "-"


def suggestion(spelling: str, known: Collection[str]) -> str:
    """` (did you mean --port?)`: the one option that `spelling` abbreviates, else the nearest."""
    longer = [name for name in known if spelling.startswith("--") and name.startswith(spelling)]
    if len(longer) == 1:
        return f" (did you mean {longer[0]}?)"
    return nearest(spelling, known) if spelling.startswith("--") else ""


def leading_options(argv: Sequence[str], valued: Container[str]) -> tuple[list[str], int]:
    """The options before the first word of `argv`, and where that word stands (or the length of `argv`).

    `valued` are the spellings of the options that take a value.
    """
    options: list[str] = []
    index = 0
    while index < len(argv):
        word = argv[index]
        if word == "--" and index + 1 < len(argv):
            return options, index + 1
        if not is_option(word):
            break
        options.append(word)
        index += 2 if _wants_next(word, valued) else 1
    return options, min(index, len(argv))


def _wants_next(word: str, valued: Container[str]) -> bool:
    """Whether the option `word` takes the word after it as its value."""
    if word.startswith("--"):
        return word in valued
    for place, letter in enumerate(word[1:], start=2):
        if f"-{letter}" in valued:
            return place == len(word)
    return False
