"""Removing a service: whatever the state folder holds of it, its exposure and its window.

The record goes last of what could fail, so that nothing is ever left without one: no exposure, no
process. Under register.lock and with the service's own lock held, so that nobody starts it meanwhile.
"""

import os
from typing import TYPE_CHECKING

from devport.errors import DevportError
from devport.inventory.order import stop_in_order
from devport.inventory.outcome import Outcome, refused
from devport.inventory.rows import Row
from devport.registry.locks import Holder, Lock, register_lock, this_process
from devport.registry.record import UnreadableError
from devport.registry.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devport.context import Context
    from devport.registry.record import Record


def remove(context: "Context", store: Store, rows: "Sequence[Row]", *, force: bool) -> list[Outcome]:
    """Stop and remove `rows`; an Outcome for each. `force` ends foreground runs that they belong to."""
    kept = {one.record.hash: why for one in rows if (why := _refusal(one, force=force))}
    able = [one for one in rows if one.record.hash not in kept]
    stopped = stop_in_order(context, store, able, store.records().records, whole_runs=True)
    failed = kept | {outcome.record.hash: outcome.error for outcome in stopped if outcome.error}
    did = {outcome.record.hash: outcome.did for outcome in stopped}
    outcomes = []
    for one in rows:
        if error := failed.get(one.record.hash):
            outcomes.append(Outcome(one.record, error=error))
            continue
        try:
            _remove(context, store, one.record)
        except DevportError as problem:
            outcomes.append(refused(one.record, "remove", problem.message))
        else:
            outcomes.append(Outcome(one.record, _what(one.record, did[one.record.hash])))
    return outcomes


def _refusal(one: Row, *, force: bool) -> str:
    if force or one.holder is None or one.holder.mode == "background" or not one.holder.pid:
        return ""
    return f"cannot remove {one.label}: it runs in a terminal ({one.holder}); end it there, or use --force"


def _what(record: "Record", stopped: str) -> str:
    if in_use := stopped.partition("; ")[2]:  # a stranger has its port, and was waited for
        return f"removed; {in_use}"
    ports = ", ".join(map(str, record.reserved))
    return f"removed, port {ports} is free" if ports else "removed"


def _remove(context: "Context", store: Store, record: "Record") -> None:
    record = _as_stored(store, record)
    if record.tailnet or "url" in record.extra:  # before the register lock: it talks to the network
        from devport import tailscale  # noqa: PLC0415 - few services are exposed

        tailscale.down(context, record)
    with register_lock(store, context):
        lock = Lock.acquire(store.lock_path(record.hash), this_process(context, "register", record.label))
        if isinstance(lock, Holder):
            raise DevportError(f"it has been started again: {lock}")
        try:
            store.remove(record.hash)
            _sweep(store, record.hash)
            _sweep_notify(context, record.hash)
            os.unlink(lock.path)  # while it is held: whoever waits for it sees that it is another file's now
        except OSError as error:
            raise DevportError(f"{error.filename}: {error.strerror}") from error
        finally:
            lock.release()
    _close_window(context, record)


def _as_stored(store: Store, record: "Record") -> "Record":
    """What the record says by now: it may have been exposed since it was read, or got another window."""
    try:
        return store.record(record.hash) or record
    except UnreadableError:
        return record


def _sweep(store: Store, hash_: str) -> None:
    """Its logs, old ones too, its socket and its launchers' lock are gone."""
    folder, name = os.path.split(store.log_path(hash_))
    logs = [one for one in os.listdir(folder) if one == name or one.startswith(f"{name}.")]
    for path in (
        *(os.path.join(folder, one) for one in logs),
        store.socket_path(hash_),
        store.launch_path(hash_),
    ):
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue


def _sweep_notify(context: "Context", hash_: str) -> None:
    """The socket that its service was to notify is gone too: a supervisor that was killed has left it."""
    from devport.sources.assembly import notify_folders  # noqa: PLC0415 - with what it is for
    from devport.sources.notify import sweep  # noqa: PLC0415

    for folder in notify_folders(context):
        sweep(folder, hash_)


def _close_window(context: "Context", record: "Record") -> None:
    """Its window is gone; one that cannot be closed is no reason to keep a record."""
    if "window" not in record.run:
        return
    from devport.tmux import Tmux, window_of  # noqa: PLC0415 - not without a window

    try:
        if window := window_of(record.run):
            Tmux.of(context).close(window)
    except DevportError as error:
        context.say(f"devport: warning: {error.message}")
