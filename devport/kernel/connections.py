"""Who is connected to a listening socket that others accept from: what the system's tables say.

Linux: /proc/net/tcp and /proc/net/unix (proc(5)). Elsewhere the connections of the processes themselves.
"""

import os
from collections.abc import Collection, Iterator

from devport import kernel

OPEN = frozenset({b"01", b"03", b"08"})
"""States of a TCP connection in use: ESTABLISHED, SYN_RECV, CLOSE_WAIT (the client waits for an answer)."""
_TIME_WAIT = b"06"
_LINGERS = 60.0  # seconds of TIME_WAIT on Linux (TCP_TIMEWAIT_LEN)
_IS_LISTENING = 0x10000  # of Flags in /proc/net/unix
_TICKS = os.sysconf("SC_CLK_TCK")


def unused_for(v4: Collection[int], v6: Collection[int], paths: Collection[bytes], pid: int) -> float | None:
    """Seconds since there was a connection to one of the ports or `paths`, as far as is seen; 0: there is.

    None where nothing is known of any. `v4` and `v6` are ports by family, since each table costs the kernel
    milliseconds; `paths` are addresses of unix sockets as they were bound; `pid` is the process that has
    the connections, with its descendants.
    """
    if not (kernel.LINUX and os.path.exists("/proc/net/tcp")):
        return _by_process({*v4, *v6}, paths, pid)
    if paths and _is_connected(paths):
        return 0.0
    return min((*_ages("tcp", v4), *_ages("tcp6", v6)), default=None)


def _rows(table: str) -> Iterator[list[bytes]]:
    try:
        with open(f"/proc/net/{table}", "rb") as file:
            next(file, None)
            for line in file:
                yield line.rstrip(b"\n").split(None, 7)
    except OSError:
        pass  # a kernel without this family


def _ages(table: str, ports: Collection[int]) -> Iterator[float]:
    """For each connection to `ports` that is there, or was until a minute ago, how long ago that was.

    One that has ended is remembered (TIME_WAIT) by the side that closed first. If that was the client,
    it is seen only if it ran on this machine.
    """
    for row in _rows(table) if ports else ():
        local, _, port = row[1].rpartition(b":")
        remote, _, remote_port = row[2].rpartition(b":")
        if row[3] in OPEN and int(port, 16) in ports:
            yield 0.0
        elif row[3] == _TIME_WAIT and (
            int(port, 16) in ports or (local == remote and int(remote_port, 16) in ports)
        ):
            left = int(row[5].partition(b":")[2], 16) / _TICKS
            yield max(0.001, _LINGERS - left)


def _is_connected(paths: Collection[bytes]) -> bool:
    return any(
        len(row) > 7 and row[7] in paths and not int(row[3], 16) & _IS_LISTENING  # noqa: PLR2004
        for row in _rows("unix")
    )


def _by_process(ports: Collection[int], paths: Collection[bytes], pid: int) -> float | None:
    import psutil  # noqa: PLC0415 - only where there is no /proc

    try:
        leader = psutil.Process(pid)
        tree = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return None
    names = {os.fsdecode(path) for path in paths}
    for process in tree:
        try:
            found = process.net_connections(kind="all")
        except (psutil.Error, OSError):
            continue
        for one in found:
            here: object = one.laddr  # a path, or an address and a port
            is_ours = here in names if isinstance(here, str) else one.laddr.port in ports
            # A listening socket has nobody on the other side.
            if is_ours and one.raddr and (isinstance(here, str) or one.status in _IN_USE):
                return 0.0
    return None


_IN_USE = {"ESTABLISHED", "SYN_RECV", "CLOSE_WAIT"}
