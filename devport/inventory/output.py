"""Where a service's output comes from: its log file, or the supervisor whose terminal it runs in."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from devport.encoding import encode
from devport.errors import DevportError
from devport.inventory.logs import LogFile
from devport.inventory.reach import connect
from devport.inventory.rows import Row, together
from devport.registry.locks import Holder
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.inventory.display import Display
    from devport.remote import Remote

PATIENCE = 5.0


class Logged:
    """A background service, running or not: what its log says."""

    ended = False  # the service may be started again

    def __init__(self, store: Store, hash_: str, name: str) -> None:
        self._file = LogFile(store.log_path(hash_))
        self._name = name

    def show(self, display: "Display", lines: int) -> None:
        """The last `lines` lines."""
        display.feed(self._name, self._file.tail(lines))

    def more(self, display: "Display") -> bool:
        """Show what has been added; whether anything was."""
        data = self._file.more()
        display.feed(self._name, data)
        return bool(data)


class Asked:
    """Services of one foreground run, by hash and name: what their supervisor says."""

    def __init__(self, holder: Holder, names: dict[str, str], *, follow: bool) -> None:
        self.ended = not follow
        self._holder, self._names, self._follow = holder, names, follow
        self._remote: Remote | None = None

    def show(self, display: "Display", lines: int) -> None:
        """The last `lines` lines of each; DevportError where nobody answers."""
        self._remote = connect(self._holder, PATIENCE)
        reply = self._remote.request("logs", services=list(self._names), lines=lines, follow=self._follow)
        # Told in the order in which they were asked for, under the names that the run has for them.
        told = list(zip(reply["logs"], self._names.values(), strict=True))
        self._by_run = {log["service"]: name for log, name in told}
        for log, name in told:
            display.feed(name, encode(log["text"]))

    def more(self, display: "Display") -> bool:
        """Show what has been printed; whether anything was."""
        if self._remote is None or self.ended:
            return False
        messages = self._remote.take()
        self.ended = messages is None
        for message in messages or ():
            self._show(display, message)
        return bool(messages)

    def _show(self, display: "Display", message: dict[str, Any]) -> None:
        if (name := self._by_run.get(message.get("service", ""))) is not None:
            display.feed(name, encode(str(message.get("text", ""))))


Source = Logged | Asked


def sources(store: Store, rows: Iterable[Row], names: dict[str, str], *, follow: bool) -> Iterator[Source]:
    """Where the output of `rows` comes from; `names` is what to call them, by hash."""
    rows = list(rows)
    terminals = [one for one in rows if one.holder and one.holder.mode != "background" and one.holder.pid]
    for holder, group in together(terminals):
        if not holder.socket:
            who = ", ".join(one.label for one in group)
            raise DevportError(f"cannot show the output of {who}: it goes to a terminal ({holder})")
        yield Asked(holder, {one.record.hash: names[one.record.hash] for one in group}, follow=follow)
    elsewhere = {one.record.hash for one in terminals}
    for one in rows:
        if one.record.hash not in elsewhere:
            yield Logged(store, one.record.hash, names[one.record.hash])
