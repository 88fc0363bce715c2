"""Taking services for this process: their identity locks, and their ports, held until the spawn.

All or nothing as far as ports go: a port that somebody else has is an error before anything starts.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from devport.context import Context
from devport.engine.lifecycle import Lifecycle, State
from devport.errors import DevportError
from devport.launch import Launch
from devport.model import RunOptions
from devport.registry.locks import Holder, Lock, acquire_all, process_start, this_process
from devport.registry.owner import check_free
from devport.registry.ports import Held
from devport.registry.record import Record, utc
from devport.registry.store import Store

NO_TASKS: Mapping[str, Lifecycle] = {}


class PortHold:
    """The ports of one service, bound so that nobody else takes them, until `release`."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._held: list[Held] = []
        try:
            for port in ports:
                self._held.append(Held(port))
        except DevportError:
            self.release()
            raise

    def release(self) -> None:
        """Let the service have them."""
        while self._held:
            self._held.pop().release()


def socket_path(context: Context) -> str:
    """Where this process, a run of many services, listens for control clients."""
    return os.path.abspath(f"{context.state_dir}/run/fg-{os.getpid()}.sock")


def sweep_sockets(context: Context) -> None:
    """What runs that were killed left behind is gone."""
    from devport.engine.unix import remove_dead  # noqa: PLC0415 - while the services start

    folder = os.path.dirname(socket_path(context))
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        pid = name.removeprefix("fg-").removesuffix(".sock")
        # By pid first: a run that has just begun is bound and does not listen yet.
        if name == f"fg-{pid}.sock" and pid.isdecimal() and process_start(int(pid)) is None:
            try:
                remove_dead(f"{folder}/{name}")
            except OSError:
                pass  # litter is no reason not to run


def lock_services(
    context: Context, launches: Sequence[Launch], mode: str, socket: str = ""
) -> tuple[dict[str, Lock], dict[str, Holder]]:
    """The identity locks of `launches` that could be had, by hash, and who holds the others.

    `socket` is where this process will take requests about them.
    """
    store = Store(context.state_dir)
    me = this_process(context, mode)._replace(socket=socket)
    wanted = {
        store.lock_path(one.hash): me._replace(
            name=one.service.name, cwd=one.service.cwd, port=next(iter(one.ports.values()), None)
        )
        for one in launches
    }
    hashes = {store.lock_path(one.hash): one.hash for one in launches}
    locks, holders = acquire_all(wanted)
    return (
        {hashes[path]: lock for path, lock in locks.items()},
        {hashes[path]: holder for path, holder in holders.items()},
    )


def hold_ports(context: Context, launches: Sequence[Launch], options: RunOptions) -> dict[str, PortHold]:
    """The ports of `launches`, by hash; DevportError naming the owner of the first that is taken."""
    holds: dict[str, PortHold] = {}
    try:
        for one in launches:
            holds[one.hash] = PortHold(one.ports.values())
    except DevportError as error:
        for hold in holds.values():
            hold.release()
        taken = obstacle(context, one, options)
        raise DevportError(taken or error.message) from error
    return holds


def obstacle(context: Context, launch: Launch, options: RunOptions, own: Collection[int] = ()) -> str | None:
    """Why `launch` cannot be spawned now: a port of its own that somebody else has.

    devport itself listens on `own` for it.
    """
    return check_free(
        launch.service.name,
        [port for port in launch.ports.values() if port not in own],
        Store(context.state_dir),
        launch.hash,
        movable=options.base is None,
    )


def release(context: Context, locks: Mapping[str, Lock], tasks: Mapping[str, Lifecycle] = NO_TASKS) -> None:
    """Give the services back, and note that they were up until now; earlier failures are no news any more.

    What became of one of `tasks`, by hash, is: who runs in the background may need it.
    """
    now = utc(context.wall())

    def released(old: Record) -> Record:
        task = tasks.get(old.hash)
        if not old.state or task is None or task.state not in {State.EXITED, State.FAILED}:
            return old._replace(last_up=now, state="stopped" if old.state else "", error="")
        run = {
            **old.run,
            "pid": None,
            "status": task.status,
            "begun": task.begun,
            "was_ready": task.was_ready,
        }
        return old._replace(last_up=now, state=str(task.state), error=task.fault, run=run)

    try:
        Store(context.state_dir).update_all(dict.fromkeys(locks, released))
    except DevportError as error:
        context.say(f"devport: {error.message}")
    for lock in locks.values():
        lock.release()
