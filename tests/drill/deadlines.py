"""How long a command of a walk may take: what it has to wait for, and PROMPT."""

from devport.errors import DevportError
from devport.model import GRACE
from devport.registry.locks import held

PROMPT = 12.0
"""Seconds for a command that waits for nobody, on a busy machine."""
LATE = 5.0
"""Seconds after a grace in which `stop` must have ended, or say what is left (devport.inventory.stop)."""
READY = 60.0
"""Seconds that `restart` waits for what has no limit of its own (devport.inventory.restart)."""
BEGUN = 20.0
"""Seconds that `start -d` waits for other launchers, and then for its supervisors (devport.background)."""
IN_FRONT = 0.5
"""The grace of the runs in the foreground."""
AT_ONCE = {"ls", "logs", "port", "which", "check", "signal", "wait"}
"""Those that wait for nobody; `wait` is told one second."""
BEGINNING = {"start", "up"}
ENDING = {"stop", "rm", "down"}


def deadline(world, words):
    """Seconds that a command may take, as things are when it begins."""
    if words[0] in AT_ONCE:
        return PROMPT
    if words[0] in ENDING:
        return graces(world, words) + LATE + PROMPT
    if words[0] in BEGINNING:
        return BEGUN + PROMPT
    return graces(world, words) + LATE + READY + BEGUN + PROMPT  # restart


def graces(world, words):
    """The grace of whom `words` are about; of all, one after the other, where they may all have to end."""
    records = world.store.records().records
    if words[0] != "down" and "--force" not in words and sum(not one.startswith("-") for one in words) == 2:
        named = [one for one in records.values() if words[-1] in (one.label, one.hash)]
        return max((_grace(world, one) for one in named), default=GRACE)
    return sum(_grace(world, one) for one in records.values())


def _grace(world, record):
    if record.stop.grace is not None:
        return record.stop.grace
    try:
        holder = held(world.store.lock_path(record.hash))
    except DevportError:
        return GRACE
    return IN_FRONT if holder and holder.mode == "foreground" else GRACE
