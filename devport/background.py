"""Starting supervisors: each in a window of the tmux session, or as daemons without a terminal.

Knows how a supervisor is begun and how to tell that it has; what a service is, and what becomes of it,
is in its record.
"""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from devport.context import Context, wait_until
from devport.encoding import encode
from devport.engine.lifecycle import State
from devport.errors import DevportError
from devport.herald import announce
from devport.project.environment import INTERNAL
from devport.registry.locks import Holder, Lock, held, this_process
from devport.registry.record import NO_PORTS, Record
from devport.registry.store import Store

PATIENCE = 10.0
"""Seconds that a supervisor may take until its service has been spawned, or could not be."""
AT_ONCE = 0.06
"""Seconds within which a crash still counts as a start that failed."""
_TROUBLE = {str(State.BACKOFF), str(State.FAILED), str(State.EXITED)}


class Outcome(NamedTuple):
    """What came of one start: the record as it is now, and who runs it (None: nobody).

    `fresh` where this call started it; `error` where it does not run as it should.
    """

    record: Record
    holder: Holder | None
    fresh: bool
    error: str = ""


def launch(
    context: Context, records: Sequence[Record], *, windows: bool = True, ports: Mapping[str, int] = NO_PORTS
) -> tuple[Outcome, ...]:
    """Start a supervisor for each of `records` that has none, and wait until each has spawned its service.

    `ports` holds the PORT of this time, by hash, where it is not the reserved one. DevportError when
    tmux cannot be used; what goes wrong with a single service is in its Outcome.
    """
    store = Store(context.state_dir, context.wall)
    store.prepare()
    idle = {record.hash for record in records if held(store.lock_path(record.hash)) is None}
    turns = _take_turns(context, store, idle)
    try:
        # Others may have started them while we waited for our turn; what ends only now is not ours.
        fresh = [one for one in records if one.hash in idle and held(store.lock_path(one.hash)) is None]
        begun, trouble = _begin(context, store, fresh, windows=windows, ports=ports)
        _wait(store, begun, others=_begun_by_others(store, records, begun))
        started = {record.hash for record in fresh}
        return tuple(
            _outcome(store, one, fresh=one.hash in started, trouble="" if one.hash in begun else trouble)
            for one in records
        )
    finally:
        for turn in turns:
            turn.release()


def _take_turns(context: Context, store: Store, hashes: Iterable[str]) -> list[Lock]:
    """One launcher at a time for each service, so that two starts at once open one window.

    In the order of the hashes, so that no two launchers wait for each other. Who keeps them for longer
    than PATIENCE in all is not waited for: the service's own lock still lets one supervisor only live.
    """
    me = this_process(context, "launch")
    turns = []
    until = context.now() + PATIENCE
    for hash_ in sorted(hashes):
        turn = Lock.acquire(store.launch_path(hash_), me, max(0.0, until - context.now()))
        if isinstance(turn, Lock):
            turns.append(turn)
    return turns


def _begin(
    context: Context, store: Store, records: Sequence[Record], *, windows: bool, ports: Mapping[str, int]
) -> tuple[set[str], str]:
    """Begin a supervisor for each; the hashes of those that were begun, and why the others were not."""
    if not records:
        return set(), ""
    before = [store.record(one.hash) or one for one in records]  # of now: others had their turn before us
    store.update_all(
        {one.hash: lambda old: old._replace(state="", error="", run=_run(old, ports)) for one in records}
    )
    try:
        begun, trouble = (_open_windows if windows else _start_daemons)(context, store, records)
    except DevportError:
        # Nothing has been begun: what is known of the last life, its window say, is still so.
        store.update_all(
            {one.hash: lambda old, was=one: old._replace(**_last_life(was)) for one in before}  # type: ignore[misc]
        )
        raise
    # The windows of earlier runs that failed have shown their last words for long enough. Not before the
    # new ones are there: with the last window the session would end.
    _close_windows(context, [one for one in before if one.hash in begun])
    return begun, trouble


def forget_last_life(context: Context, record: Record) -> None:
    """Make `record` ready for a supervisor in this terminal; what runs is left alone."""
    store = Store(context.state_dir, context.wall)
    if held(store.lock_path(record.hash)) is None:
        store.update(record.hash, lambda old: old._replace(state="", error="", run={}))
        _close_windows(context, [record])


def _run(record: Record, ports: Mapping[str, int]) -> dict[str, object]:
    return {"port": ports[record.hash]} if record.hash in ports else {}


def _last_life(record: Record) -> dict[str, object]:
    return {"state": record.state, "error": record.error, "run": record.run}


def _begun_by_others(store: Store, records: Sequence[Record], ours: Collection[str]) -> set[str]:
    """The hashes of `records` that a supervisor of the background runs which is not one of `ours`."""
    holders = {one.hash: held(store.lock_path(one.hash)) for one in records if one.hash not in ours}
    return {hash_ for hash_, holder in holders.items() if holder is not None and holder.mode == "background"}


def _wait(store: Store, begun: Collection[str], *, others: Collection[str]) -> None:
    """Wait until every supervisor has spawned its service, or could not, and a moment more.

    That of another launcher may have its lock and no service yet.
    """
    pending = {*begun, *others}
    left = len(pending) + 1
    while len(pending) < left:  # many at once take longer than one: for as long as some get there
        left = len(pending)
        wait_until(lambda: _decided(store, pending), PATIENCE)
    # One that crashes at once was ready for a moment; that is no success.
    wait_until(lambda: all(_is_in_trouble(store, one) for one in begun), AT_ONCE)


def command(context: Context, hash_: str) -> tuple[str, ...]:
    """The words that supervise `hash_`: this very devport, and the state folder in letters tmux leaves alone.

    Nothing else goes through tmux, whose server may have been started with another HOME.
    """
    # -E and -P: a PYTHONHOME of the server's, or a json.py in some folder, is none of our business.
    python = (sys.executable, "-E", "-P", "-m", "devport")
    return (*python, "supervise", hash_, encode(context.state_dir).hex())


def _open_windows(context: Context, store: Store, records: Sequence[Record]) -> tuple[set[str], str]:
    """A supervisor in a window for each; which have one, and why the others, the last ones, have none."""
    from devport.tmux import PartlyOpened, Tmux  # noqa: PLC0415 - no tmux, no import

    trouble = ""
    wanted = [(record.label, command(context, record.hash)) for record in records]
    try:
        windows = Tmux.of(context).open_windows(wanted)
    except PartlyOpened as error:
        windows, trouble = error.opened, error.message
    opened = {record.hash: window for record, window in zip(records, windows, strict=False)}
    store.update_all(
        {
            hash_: lambda old, window=window: old._replace(run={**old.run, **window.as_run()})  # type: ignore[misc]
            for hash_, window in opened.items()
        }
    )
    return set(opened), trouble


def _close_windows(context: Context, records: Sequence[Record]) -> None:
    """Close the windows that `records` tell of."""
    if not any("window" in record.run for record in records):
        return
    from devport.tmux import Tmux, window_of  # noqa: PLC0415 - no tmux, no import

    try:
        Tmux.of(context).close(*(window for one in records if (window := window_of(one.run)) is not None))
    except DevportError as error:
        context.say(f"devport: warning: {error.message}")


def _start_daemons(context: Context, store: Store, records: Sequence[Record]) -> tuple[set[str], str]:
    """A supervisor without a window for each; which there are, and why there are not more."""
    begun: set[str] = set()
    for record in records:
        try:
            if held(store.lock_path(record.hash)) is None:  # who was suspended may have been overtaken
                _daemon(context, record.hash)
        except OSError as error:  # no more processes: those that there are go on
            return begun, f"cannot start a process: {error.strerror}"
        begun.add(record.hash)
    return begun, ""


def _daemon(context: Context, hash_: str) -> None:
    """A supervisor in a session of its own, all standard streams on /dev/null."""
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
        if record is None or not _is_undecided(record):
            pending.discard(hash_)
    return not pending


def _is_undecided(record: Record) -> bool:
    """Whether it is not known yet if its process can be spawned; of one that waits for others it is."""
    return record.state == "" or (record.state == str(State.STARTING) and not record.run.get("pid"))


def _trouble(record: Record) -> str:
    """Why `record` is not what a start is to end with: it fails, or has failed and is not tried again."""
    return record.error if record.state in _TROUBLE else ""


def _is_in_trouble(store: Store, hash_: str) -> bool:
    record = store.record(hash_)
    return record is not None and _trouble(record) != ""


def _outcome(store: Store, record: Record, *, fresh: bool, trouble: str) -> Outcome:
    now = store.record(record.hash) or record
    holder = held(store.lock_path(record.hash))
    error = _trouble(now)
    if fresh and holder is None and _is_undecided(now):
        error = trouble or f"its supervisor did not start within {PATIENCE:g} s"
        store.update(now.hash, lambda old: old._replace(state=str(State.FAILED), error=error))
        announce(store, now)  # who waits for it would wait for ever
    elif not fresh and holder is None:
        error = error or "it has just ended; start it again"
    return Outcome(now, holder, fresh, error)
