"""Wait until services are ready.

usage: devport wait [options] [--] [TARGET...]

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. Without one, every service of this project that
runs; while none does, that one begins is waited for. A service that has failed
for good ends the wait at once.

Options:
  -t SECONDS, --timeout SECONDS
                        how long to wait (default 120)
  -f FILE, --procfile FILE, --file FILE
                        the project that TARGETs are entries of
  --root DIR            the folder of that project
  --json                a JSON array: hash, name, result, error...
  -h, --help            show this text

For example:
  devport wait web && curl http://localhost:$(devport port web)/
  devport wait --timeout 30
"""

import os
from collections.abc import Sequence

from devport.commands.arguments import Arguments, parse
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context, wait_until
from devport.errors import DevportError
from devport.inventory.outcome import Outcome
from devport.inventory.readiness import wait
from devport.registry.record import Record
from devport.registry.store import Store

TIMEOUT = 120.0


def run(context: Context, argv: Sequence[str]) -> int:
    """Wait until the services that `argv` names are ready."""
    arguments = parse(__doc__, argv)
    seconds = arguments.seconds("--timeout", TIMEOUT)
    until = context.now() + seconds
    targets = Targets(context, arguments)
    if arguments.words:
        outcomes = wait(context, targets.store, targets.records(arguments.words, unregistered=True), until)
    else:
        targets.here()  # an error where there is no project; TARGETs work everywhere
        outcomes = _project(context, arguments, until)
        if not outcomes:
            raise DevportError(f"cannot wait: nothing of this project has begun to run in {seconds:g} s")
    return report(context, outcomes, as_json=arguments.flag("--json"))


def _project(context: Context, arguments: Arguments, until: float) -> list[Outcome]:
    """What came of all services of the project, those included that begin while others are waited for."""
    project = _Project(context, arguments)
    outcomes: dict[str, Outcome] = {}
    wait_until(lambda: bool(project.running()), until - context.now())
    while fresh := [record for record in project.running() if record.hash not in outcomes]:
        done = wait(context, project.targets.store, fresh, until)
        outcomes.update({one.record.hash: one for one in done})
    return list(outcomes.values())


class _Project:
    """The services of the project as they come; records are read again only when some have changed."""

    def __init__(self, context: Context, arguments: Arguments) -> None:
        self._context, self._arguments = context, arguments
        self._seen = self._changed()
        self.targets = Targets(context, arguments)
        self._records = self.targets.here()

    def _changed(self) -> int:
        try:
            return os.stat(Store(self._context.state_dir).services).st_mtime_ns
        except OSError:
            return 0

    def running(self) -> list[Record]:
        """Those whose locks are held."""
        if (changed := self._changed()) != self._seen:
            self._seen = changed
            self.targets = Targets(self._context, self._arguments)
            self._records = self.targets.here()
        rows = self.targets.rows(self._records, live=False)
        return [one.record for one in rows if one.holder is not None]
