"""Stopping services that need one another: those first that need others, level by level.

A foreground run that ends as a whole keeps the order among its own services itself, so it counts as one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from devport.engine.order import StopOrder
from devport.inventory.outcome import Outcome
from devport.inventory.rows import Row, row
from devport.inventory.stop import LATE, grace, stop
from devport.registry.record import Record, dependencies

if TYPE_CHECKING:
    from devport.context import Context
    from devport.registry.store import Store

AT_REST = frozenset({"stopped", "exited", "failed"})


def stop_in_order(
    context: "Context",
    store: "Store",
    rows: Sequence[Row],
    records: Mapping[str, Record],
    *,
    whole_runs: bool = False,
) -> list[Outcome]:
    """As `stop`, each level of `rows` once the one before it is gone; outcomes in that order.

    `records` are all there are: one that is not stopped itself may link two that are. What cannot be
    stopped keeps nobody else from it.
    """
    outcomes = []
    for level in levels(rows, records, whole_runs=whole_runs):
        # A whole run may need its grace for each of its own levels.
        runs = [one for one in level if whole_runs and _is_run(one)]
        late = LATE + grace(runs) * max(0, len(runs) - 1)
        outcomes += stop(context, store, level, whole_runs=whole_runs, late=late)
    return outcomes


def levels(
    rows: Sequence[Row], records: Mapping[str, Record], *, whole_runs: bool = False
) -> Iterator[list[Row]]:
    """`rows` in groups: nobody needs anything of an earlier one, unless all need each other."""
    unit_of = {one.record.hash: _unit(one, whole_runs=whole_runs) for one in rows}
    needs: dict[str, set[str]] = {unit: set() for unit in unit_of.values()}
    for one in rows:
        own = unit_of[one.record.hash]
        needs[own] |= {unit_of[hash_] for hash_ in needed(one.record, records) if hash_ in unit_of} - {own}
    order, gone = StopOrder(needs), set[str]()
    while len(gone) < len(needs):
        level = set(order.next(gone.__contains__)) or needs.keys() - gone
        gone |= level
        yield [one for one in rows if unit_of[one.record.hash] in level]


def needed(record: Record, records: Mapping[str, Record]) -> set[str]:
    """The hashes of all that `record` waits for, and of what those wait for."""
    found: set[str] = set()
    left = [record]
    while left:
        fresh = dependencies(left.pop()).keys() - found
        found |= fresh
        left += [records[hash_] for hash_ in fresh if hash_ in records]
    return found


def needing(store: "Store", record: Record, records: Mapping[str, Record]) -> list[str]:
    """The names of those that run, and need `record` to be ready."""
    return [
        one.label
        for one in records.values()
        if dependencies(one).get(record.hash) == "ready" and _runs(row(store, one))
    ]


def _runs(one: Row) -> bool:
    return one.holder is not None and (one.holder.mode != "background" or one.record.state not in AT_REST)


def _unit(one: Row, *, whole_runs: bool) -> str:
    return str(one.holder.pid) if one.holder and whole_runs and _is_run(one) else one.record.hash


def _is_run(one: Row) -> bool:
    return one.holder is not None and one.holder.mode == "foreground" and bool(one.holder.pid)
