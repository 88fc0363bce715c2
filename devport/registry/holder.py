"""Who holds a lock, as text in the lock file, and telling a process from a later one of the same number."""

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from devport.encoding import encode, printable
from devport.kernel.birth import process_start, seconds_since

if TYPE_CHECKING:
    from devport.context import Context


class Holder(NamedTuple):
    """Who holds a lock, where and since when; `pid` 0: somebody who cannot be named.

    `started` is what `process_start` says of the pid, `since` RFC 3339 in local time, `mode` one of
    foreground, background, run and register, `name` the service's, `terminal` such as `/dev/pts/3`,
    `socket` the path at which it takes requests about the service, empty where there is none.
    """

    pid: int
    started: str
    since: str = ""
    mode: str = ""
    cwd: str = ""
    name: str = ""
    terminal: str | None = None
    port: int | None = None
    socket: str = ""

    def __str__(self) -> str:
        """`pid 123 in /home/bob/shop (foreground, /dev/pts/3), since 2024-05-06T07:08:09+02:00`."""
        if not self.pid:
            return "a process that cannot be named"
        where = f" in {self.cwd}" if self.cwd else ""
        how = ", ".join(filter(None, (self.mode, self.terminal)))
        since = f", since {self.since}" if self.since else ""
        return printable(f"pid {self.pid}{where}{f' ({how})' if how else ''}{since}")


UNKNOWN = Holder(0, "")


def this_process(context: "Context", mode: str, name: str = "", port: int | None = None) -> Holder:
    """The holder that this process is; `_replace` makes the ones of its further services."""
    pid = os.getpid()
    since = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(context.wall()))
    since = f"{since[:-2]}:{since[-2:]}"  # strftime has no colon in the offset, RFC 3339 wants one
    terminal = _terminal((context.stdin, context.stdout, context.stderr))
    return Holder(pid, process_start(pid) or "", since, mode, context.cwd, name, terminal, port)


def _terminal(descriptors: tuple[int, ...]) -> str | None:
    for descriptor in descriptors:
        try:
            return os.ttyname(descriptor)
        except OSError:
            continue
    return None


def to_line(holder: Holder) -> bytes:
    """`holder` as a lock file has it."""
    import json  # noqa: PLC0415 - a looker that finds nobody needs none

    return encode(json.dumps(holder._asdict())) + b"\n"


def from_line(line: bytes) -> Holder:
    """The holder in `line`; UNKNOWN unless that very process still lives."""
    import json  # noqa: PLC0415

    try:
        holder = Holder(**json.loads(line.partition(b"\n")[0]))
        texts = (*holder[1:6], holder.terminal or "", holder.socket)
        genuine = all(isinstance(text, str) for text in texts) and type(holder.pid) is int and holder.pid > 0
        genuine = genuine and isinstance(holder.port, int | None)
        genuine = genuine and b"\0" not in encode("".join(texts))  # they are paths and names
    except (ValueError, TypeError, RecursionError):
        return UNKNOWN
    if not genuine or process_start(holder.pid) != holder.started:
        return UNKNOWN
    return holder


def age(line: bytes) -> float | None:
    """Seconds since the holder in `line` began, whether it lives or not; None where that is not known."""
    import json  # noqa: PLC0415

    try:
        return seconds_since(str(json.loads(line.partition(b"\n")[0])["started"]))
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
