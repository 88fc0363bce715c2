"""The words of a command as they were before variables were replaced in them.

For a format that has a place of its own for values, and replaces variables itself: a value that came from a
variable does not have to stand in the command as well.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from devport.export.sh import SHELLS_OWN
from devport.model import Service
from devport.project.environment import pieces


class Part(NamedTuple):
    """A part of a word: `text`, which is the value of `variable` where that is not empty."""

    text: str
    variable: str = ""


Word = tuple[Part, ...]


def parts(
    service: Service, argv: Sequence[str], environment: Mapping[str, str], kept: Mapping[str, str]
) -> tuple[Word, ...]:
    """`argv` in parts: what `service` executes after its variables were replaced from `environment`.

    A part has a variable only where that is one of `kept`, with the same value. The parts of a word make up
    the word; but the text for a shell that `status` comes to has the shell's own variables instead.
    """
    if not service.expand or service.policy.listen:
        return tuple((Part(word),) for word in argv)
    command = [_parts(word, environment, kept) for word in service.command]
    before = [(Part(word),) for word in argv[: -len(command)]]
    if service.policy.skip:
        texts = (_for_shell(_parts(word, environment, kept)) for word in service.policy.skip)
        before[-1] = (Part(" ".join(texts)),)
    return (*before, *command)


def _parts(word: str, environment: Mapping[str, str], kept: Mapping[str, str]) -> Word:
    found: list[Part] = []
    for text, name in pieces(word):
        value = environment.get(name, "")
        is_kept = kept.get(name) == value
        found += [Part(text), Part(value, name if is_kept else "")]
    return tuple(part for part in found if part.text or part.variable)


def _for_shell(word: Word) -> str:
    texts = (shlex.quote(text) if not name or name in SHELLS_OWN else f'"${{{name}}}"' for text, name in word)
    return "".join(texts) or "''"
