"""The output of services that run elsewhere, until the last of them has ended: what `up` shows."""

import math
from collections.abc import Sequence

from devport.commands.arguments import Arguments
from devport.commands.report import labels
from devport.commands.view import colour
from devport.context import Context, is_tty, wait_until
from devport.errors import ExitStatus
from devport.inventory.output import Dated, merged, sources
from devport.inventory.rows import survey
from devport.model import Project, Service
from devport.registry.identity import hash_of
from devport.registry.locks import held
from devport.registry.record import Record
from devport.registry.store import Store

LINES = 20
"""Lines of each service that are shown of what was printed before."""
BEAT = 0.25
"""Seconds between two looks at whether they still run."""


def follow(context: Context, arguments: Arguments, project: Project, services: Sequence[Service]) -> int:
    """Show what `services` print; returns once none of them runs, or the reader has gone."""
    store = Store(context.state_dir, context.wall)
    found = [store.record(hash_of(one, project.root)) for one in services]
    records = [record for record in found if record is not None]
    names = labels(records)
    coloured = colour(arguments, context.environ, terminal=is_tty(context.stdout))
    display = Dated(context, list(names.values()), as_json=arguments.flag("--json"), colour=coloured)
    outputs = list(sources(store, survey(context, store, records, live=False), names, follow=True))
    for piece in merged(outputs, LINES):
        display.show(piece)
    watched = _Watched(context, store, records)

    def step() -> bool:
        over = watched.over()  # first: what was printed until then is shown still
        busy = True
        while busy and not display.closed:
            busy = False
            for output in outputs:
                busy |= output.more(display)
        display.pause()
        return display.closed or over

    try:
        wait_until(step, math.inf)
    finally:
        display.end()
    if display.closed:
        return ExitStatus.PIPE
    context.say("devport: every service has ended")
    return watched.status()


class _Watched:
    """Those of `records` that run, looked at now and then."""

    def __init__(self, context: Context, store: Store, records: Sequence[Record]) -> None:
        self._context, self._store, self._records = context, store, records
        self._next = context.now()
        self._over = False

    def over(self) -> bool:
        """Whether nobody runs any of them."""
        if (now := self._context.now()) >= self._next:
            self._next = now + BEAT
            self._over = all(held(self._store.lock_path(one.hash)) is None for one in self._records)
        return self._over

    def status(self) -> int:
        """0 where all of them ended as they should."""
        ended = [self._store.record(one.hash) for one in self._records]
        well = all(one is None or (one.state in {"", "stopped", "exited"} and not one.error) for one in ended)
        return ExitStatus.OK if well else ExitStatus.FAILED
