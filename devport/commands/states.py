"""A service's state in a few words for people: what it is, and why it is so. Pure."""

import math

from devport.inventory.rows import Row, Status
from devport.registry.record import is_task
from devport.table import shorten

LONGEST = 48
"""Columns of a state with its reason; `which` and the JSON have all of it."""


def word(one: Row) -> str:
    """One word: running, or what it is instead. One that has a probe is ready, not only running."""
    if one.status is Status.RUNNING:
        probed = "ready" in one.record.policy or "notify" in one.live
        return "running" if one.state in ("ready", "") and not probed else one.state or "running"
    return one.state if one.status is Status.STOPPED else str(one.status)


def words(one: Row) -> str:
    """`waiting for db`, `backoff 4 s: exited with status 1`, `exited 0 (task)`."""
    kind = " (task)" if is_task(one.record) else " (external)" if one.record.policy.get("external") else ""
    return shorten(_with_reason(one, word(one), kind), LONGEST)


def _with_reason(one: Row, said: str, kind: str) -> str:
    text = one.status_text
    match said:
        case "waiting":
            waited = str(one.live.get("waiting_for") or "")
            return f"waiting{kind} for {waited}" if waited else f"waiting{kind}"
        case "backoff":
            left = one.live.get("retry_in")
            seconds = f" {math.ceil(left)} s" if isinstance(left, int | float) else ""
            return f"backoff{seconds}{kind}" + (f": {one.error}" if one.error else "")
        case "starting":
            unready = one.live.get("not_ready")
            return f"starting{kind}" + (f", not ready: {unready}" if unready else f": {text}" if text else "")
        case "exited":
            status = one.exit_status
            return f"exited{'' if status is None else f' {status}'}{kind}"
        case "failed":
            return f"failed{kind}" + (f": {one.error}" if one.error else "")
        case _:
            return f"{said}{kind}" + (f": {text}" if text and one.status is Status.RUNNING else "")
