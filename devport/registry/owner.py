"""Who has a port that a service wants: a devport service by its name, else a program, its pid and user.

Only ever asked on the way to an error or a table, so it may be slow.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from devport.encoding import printable
from devport.errors import DevportError
from devport.kernel import sockdiag
from devport.registry.identity import describe
from devport.registry.locks import held
from devport.registry.ports import is_free

if TYPE_CHECKING:
    from devport.registry.store import Store

STRANGER = "another program"


def owner(port: int, store: "Store | None" = None, without: str = "") -> str | None:
    """Who listens on `port`, such as `python3 (pid 123, user bob)`; None if nobody does.

    With `store`, a running devport service that has the port is named (`devport service web in /x`), but
    for the one whose hash is `without`. What this user may not see is `another program`.
    """
    if is_free(port):
        return None
    return (store and service(port, store, without)) or program(port) or STRANGER


def service(port: int, store: "Store", without: str = "") -> str | None:
    """The running service that has `port`, as `devport service web in /home/bob/shop (pid 12)`."""
    for record in store.records().records.values():
        if record.hash == without:
            continue
        holder = held(store.lock_path(record.hash))
        if holder and (holder.port == port or (holder.port is None and port in record.reserved)):
            return f"devport service {describe(record)}" + (f" (pid {holder.pid})" if holder.pid else "")
    return None


def program(port: int) -> str | None:
    """The program that listens on `port`, as far as this user may know."""
    try:
        import psutil  # noqa: PLC0415 - 20 ms, for one line of an error
    except ImportError:  # devport was removed while it runs
        return _somebody(port)
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):  # macOS shows everybody's connections to root only
        connections = []
    pids = {c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr[1] == port}
    for pid in sorted(pid for pid in pids if pid):
        try:
            process = psutil.Process(pid)
            return printable(f"{process.name()} (pid {pid}, user {process.username()})")
        except (psutil.Error, OSError):
            continue
    return _somebody(port)


def _somebody(port: int) -> str | None:
    """`another program (user bob)`: the kernel tells everyone whose a listener is, if not which process."""
    uid = sockdiag.listening_user(port)
    return None if uid is None else f"{STRANGER} (user {_user(uid)})"


def _user(uid: int) -> str:
    import pwd  # noqa: PLC0415

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def check_free(
    name: str, ports: Iterable[int], store: "Store | None" = None, hash_: str = "", *, movable: bool = True
) -> str | None:
    """What keeps service `name` (whose hash is `hash_`) from its `ports`, as a message; None: nothing.

    `movable` is false for ports that `--reassign` would not change (`-p`).
    """
    hint = f"; --reassign {name} gives it another" if movable else ""
    for port in ports:
        try:
            who = owner(port, store, hash_)
        except DevportError as error:
            return error.message
        if who:
            return printable(f"cannot start {name}: its port {port} is in use by {who}{hint}")
    return None
