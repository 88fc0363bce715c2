"""What came of a verb for one service."""

from typing import NamedTuple

from devport.registry.record import Record


class Outcome(NamedTuple):
    """`did` follows the service's name ("stopped", "is not running"); `error` says why it was not done.

    `late`: only because there was no more time.
    """

    record: Record
    did: str = ""
    error: str = ""
    late: bool = False


def refused(record: Record, verb: str, why: str) -> Outcome:
    """That `verb` was not done; what a supervisor says begins with the same words and is not said twice."""
    beginning = f"cannot {verb} {record.label}: "
    return Outcome(record, error=beginning + why.removeprefix(beginning))
