"""Telling those that wait for a service, each under a supervisor of its own, that there is news of it."""

from devport.errors import DevportError
from devport.registry.locks import held
from devport.registry.record import Record
from devport.registry.store import Store

PATIENCE = 0.5
"""Seconds that each of them may take to hear it."""


def announce(store: Store, record: Record) -> None:
    """Say that `record` has changed, where no supervisor of its own can; who does not hear it, does not."""
    dependents = record.policy.get("dependents", ())
    for hash_ in dependents if isinstance(dependents, list) else ():
        holder = held(store.lock_path(hash_))
        if holder is None or not holder.socket:
            continue
        from devport.remote import Remote  # noqa: PLC0415 - only where somebody waits

        try:
            with Remote.connect(holder, PATIENCE) as remote:
                remote.request("hello", hash=record.hash)
        except DevportError:
            continue  # it looks at the record itself when it comes up
