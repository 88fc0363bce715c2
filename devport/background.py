"""Starting supervisors: each in a window of the tmux session, or as daemons without a terminal.

Knows how a supervisor is begun and how to tell that it has; what a service is, and what becomes of it,
is in its record.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from devport.context import Context, wait_until
from devport.encoding import encode
from devport.engine.lifecycle import State
from devport.errors import DevportError
from devport.project.environment import INTERNAL
from devport.registry.locks import Holder, Lock, held, this_process
from devport.registry.record import Record
from devport.registry.store import Store

PATIENCE = 10.0
"""Seconds that a supervisor may take until its service has been spawned, or could not be."""
AT_ONCE = 0.06
"""Seconds within which a crash still counts as a start that failed."""
_UNDECIDED = {"", str(State.WAITING), str(State.STARTING)}
_TROUBLE = {str(State.BACKOFF), str(State.FAILED)}


class Outcome(NamedTuple):
    """What came of one start: the record as it is now, and who runs it (None: nobody).

    `fresh` where this call started it; `error` where it does not run as it should.
    """

    record: Record
    holder: Holder | None
    fresh: bool
    error: str = ""


def launch(
    context: Context, records: Sequence[Record], *, windows: bool = True, port: dict[str, int] | None = None
) -> tuple[Outcome, ...]:
    """Start a supervisor for each of `records` that has none, and wait until each has spawned its service.

    `port` holds the PORT of this time, by hash, where it is not the reserved one. DevportError when
    tmux cannot be used; what goes wrong with a single service is in its Outcome.
    """
    store = Store(context.state_dir, context.wall)
    store.prepare()
    turns = _take_turns(context, store, records)
    try:
        return _launch(context, store, records, windows=windows, numbers=port or {})
    finally:
        for turn in turns:
            turn.release()


def _take_turns(context: Context, store: Store, records: Sequence[Record]) -> list[Lock]:
    """One launcher at a time for each service, so that two starts at once open one window.

    In the order of the hashes, so that no two launchers wait for each other. Who keeps them for longer
    than PATIENCE in all is not waited for: the service's own lock still lets one supervisor only live.
    """
    me = this_process(context, "launch")
    turns = []
    until = context.now() + PATIENCE
    idle = {record.hash for record in records if held(store.lock_path(record.hash)) is None}
    for hash_ in sorted(idle):
        turn = Lock.acquire(store.launch_path(hash_), me, max(0.0, until - context.now()))
        if isinstance(turn, Lock):
            turns.append(turn)
    return turns


def _launch(
    context: Context, store: Store, records: Sequence[Record], *, windows: bool, numbers: dict[str, int]
) -> tuple[Outcome, ...]:
    fresh = [record for record in records if held(store.lock_path(record.hash)) is None]
    store.update_all(
        {one.hash: lambda old: old._replace(state="", error="", run=_run(old, numbers)) for one in fresh}
    )
    trouble = ""
    if windows and fresh:
        trouble = _open_windows(context, store, fresh)
    else:
        try:
            for record in fresh:
                _daemon(context, record.hash)
        except OSError as error:  # no more processes: those that there are go on
            trouble = f"cannot start a process: {error.strerror}"
    started = {record.hash for record in fresh}
    pending = set(started)
    if trouble:  # of those without a window there will be no news
        pending = {hash_ for hash_ in started if _has_window(store, hash_)}
    wait_until(lambda: _decided(store, pending), PATIENCE)
    # One that crashes at once was ready for a moment; that is no success.
    wait_until(lambda: all(_is_in_trouble(store, one) for one in started), AT_ONCE)
    return tuple(_outcome(store, one, fresh=one.hash in started, trouble=trouble) for one in records)


def _run(record: Record, numbers: dict[str, int]) -> dict[str, object]:
    return {"port": numbers[record.hash]} if record.hash in numbers else {}


def command(context: Context, hash_: str) -> tuple[str, ...]:
    """The words that supervise `hash_`: this very devport, and the state folder in letters tmux leaves alone.

    Nothing else goes through tmux, whose server may have been started with another HOME.
    """
    # -E and -P: a PYTHONHOME of the server's, or a json.py in some folder, is none of our business.
    python = (sys.executable, "-E", "-P", "-m", "devport")
    return (*python, "supervise", hash_, encode(context.state_dir).hex())


def _open_windows(context: Context, store: Store, records: Sequence[Record]) -> str:
    """A window for each; returns why some could not be opened, the last of `records`."""
    from devport.tmux import PartlyOpened, Tmux, window_of  # noqa: PLC0415 - no tmux, no import

    trouble = ""
    # The windows of earlier runs that failed have shown their last words for long enough.
    old = [window for record in records if (window := window_of(record.run)) is not None]
    wanted = [(record.label, command(context, record.hash)) for record in records]
    try:
        windows = Tmux.of(context).open_windows(wanted)
    except PartlyOpened as error:
        windows, trouble = error.opened, error.message
    store.update_all(
        {
            record.hash: lambda old, window=window: old._replace(run={**old.run, **window.as_run()})  # type: ignore[misc]
            for record, window in zip(records, windows, strict=False)
        }
    )
    try:
        Tmux.of(context).close(*old)  # not before: with the last window the session would end
    except DevportError as error:
        context.say(f"devport: warning: {error.message}")
    return trouble


def _daemon(context: Context, hash_: str) -> None:
    """A supervisor without a window: in a session of its own, all standard streams on /dev/null."""
    import subprocess  # noqa: PLC0415 - with tmux nobody needs it

    subprocess.Popen(
        command(context, hash_),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in context.environ.items() if name not in INTERNAL},
        cwd="/",
        start_new_session=True,
    )


def _decided(store: Store, pending: set[str]) -> bool:
    """Whether every supervisor has spawned its service, or failed to; forgets those that have."""
    for hash_ in tuple(pending):
        record = store.record(hash_)
        if record is None or record.state not in _UNDECIDED:
            pending.discard(hash_)
    return not pending


def _has_window(store: Store, hash_: str) -> bool:
    record = store.record(hash_)
    return record is not None and ("window" in record.run or held(store.lock_path(hash_)) is not None)


def _is_in_trouble(store: Store, hash_: str) -> bool:
    record = store.record(hash_)
    return record is not None and record.state in _TROUBLE


def _outcome(store: Store, record: Record, *, fresh: bool, trouble: str) -> Outcome:
    now = store.record(record.hash) or record
    holder = held(store.lock_path(record.hash))
    error = now.error if now.state in _TROUBLE else ""
    if fresh and holder is None and now.state in _UNDECIDED:
        error = trouble or f"its supervisor did not start within {PATIENCE:g} s"
    return Outcome(now, holder, fresh, error)
