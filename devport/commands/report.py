"""Saying what a verb did: a line for each service, or JSON; shared by the verbs that act on several."""

import json
from collections import Counter
from collections.abc import Sequence

from devport.context import Context
from devport.encoding import printable
from devport.errors import ExitStatus
from devport.inventory.outcome import Outcome
from devport.registry.identity import describe
from devport.registry.record import Record


def report(context: Context, outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    """What was done on stdout, what was not on stderr too; the status that says whether all was done."""
    if as_json:
        context.write(context.stdout, json.dumps([_fields(one) for one in outcomes], indent=2) + "\n")
    names = labels([one.record for one in outcomes])
    for one in outcomes:
        if one.error:
            context.say(f"devport: {one.error}")
        elif not as_json:
            context.write(context.stdout, f"{printable(names[one.record.hash])} {one.did}\n")
    if any(one.late for one in outcomes):
        return ExitStatus.TIMEOUT
    return ExitStatus.FAILED if any(one.error for one in outcomes) else ExitStatus.OK


def labels(records: Sequence[Record]) -> dict[str, str]:
    """What to call each of `records`, by hash: with its folder where two have the same name."""
    counts = Counter(record.label for record in records)
    return {
        record.hash: record.label if counts[record.label] == 1 else describe(record) for record in records
    }


def _fields(one: Outcome) -> dict[str, object]:
    record = one.record
    return {
        "hash": record.hash,
        "hashid": record.hashid,
        "key": record.key,
        "name": record.label,
        "project": record.project,
        "result": one.did or None,
        "error": one.error or None,
    }
