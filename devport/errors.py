"""The one error a user sees, and the statuses devport ends with; no other module invents either."""

from collections.abc import Iterable
from enum import IntEnum


class ExitStatus(IntEnum):
    """What devport's own exit statuses mean; a service's status passes through unchanged."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_SUCH_SERVICE = 3
    TIMEOUT = 124
    CANNOT_EXECUTE = 126
    NOT_FOUND = 127
    HANGUP = 129
    INTERRUPTED = 130
    PIPE = 141


class DevportError(Exception):
    """Something the user has to hear: `cannot VERB THING: why`, lower case, one line, no full stop.

    Raised anywhere below `cli`, which alone prints it (behind `devport: `) and ends with `status`.
    """

    def __init__(self, message: str, status: int = ExitStatus.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.status = int(status)


class UsageError(DevportError):
    """The command line or a file says something devport cannot take: status 2, nothing started."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ExitStatus.USAGE)


SHORT = 3
"""Letters of a word that is like many others by chance."""


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean NAME?)` for the known word closest to `word`, or nothing; for the end of a message."""
    import difflib  # noqa: PLC0415 - only ever needed on the way to an error

    close = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    alike = difflib.get_close_matches(word, close, n=3, cutoff=0.7)
    found = [
        one for one in close if (min(len(word), len(one)) > SHORT and one in alike) or _is_a_slip(word, one)
    ]
    return f" (did you mean {found[0]}?)" if found else ""


def _is_a_slip(word: str, known: str) -> bool:
    """Whether `word` is `known` with letters swapped, one more or less, another at the end, or a `.1`."""
    shorter, longer = sorted((word, known), key=len)
    return (
        sorted(word) == sorted(known)
        or (len(shorter) > 1 and any(longer[:n] + longer[n + 1 :] == shorter for n in range(len(longer))))
        or (len(word) == SHORT and word[:-1] == known[:-1])
        or word.rpartition(".")[0] == known
    )
