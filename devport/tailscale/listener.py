"""Whether what answers on a service's port is the service. Only asked before it is shown to others."""

import os

from devport.errors import DevportError
from devport.registry.owner import STRANGER, program
from devport.registry.ports import is_free


def doubt(port: int, hash_: str, supervisor: int) -> str:
    """Why `port` may not be answered by the service `hash_`, a descendant of `supervisor`; else empty."""
    try:
        if is_free(port):
            return f"nothing listens on its port {port} yet"
    except DevportError:  # a port this user may not try
        return ""
    import psutil  # noqa: PLC0415 - 20 ms that most command lines do without

    try:
        found = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):  # macOS tells root only
        return ""
    listening = {
        one.pid for one in found if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr[1] == port
    }
    if any(pid and _belongs(pid, hash_, supervisor) for pid in listening):
        return ""
    return f"its port {port} is answered by {program(port) or STRANGER}, which it did not start"


def _belongs(pid: int, hash_: str, supervisor: int) -> bool:
    import psutil  # noqa: PLC0415

    try:
        process = psutil.Process(pid)
        if any(one.pid == supervisor for one in process.parents()):
            return True
        # Root is shown the environment of every process, and has no business in others'.
        own = process.uids().effective == os.geteuid()
        return own and bool(process.environ().get("DEVPORT_HASH") == hash_)
    except (psutil.Error, OSError):
        return False
