"""Wait until services are ready.

usage: devport wait [options] [--] [TARGET...]

A TARGET is an entry of this project (web, or web.2), a key, the first digits of
a hash (3 or more), or a port. Without one, every service of this project that
runs or has ended by itself; where there is none, that one begins is waited for.
Returns when each is ready, has completed (tasks are to complete), or has failed
for good, or waits for what nobody starts. Status 1 where one has failed, 124
where the time was too short; then it says what was waited for, and why.

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

from devport.commands import selection
from devport.commands.arguments import Arguments, parse
from devport.commands.progress import Progress
from devport.commands.report import report
from devport.commands.targets import Targets
from devport.context import Context, wait_until
from devport.errors import DevportError, ExitStatus
from devport.inventory.outcome import Outcome
from devport.inventory.readiness import ENDED, wait
from devport.registry.record import Record
from devport.registry.store import Store

TIMEOUT = 120.0


def run(context: Context, argv: Sequence[str]) -> int:
    """Wait until the services that `argv` names are ready."""
    arguments = parse(__doc__, argv)
    seconds = arguments.seconds("--timeout", TIMEOUT)
    until = context.now() + seconds
    targets = Targets(context, arguments)
    with Progress(context) as progress:
        if arguments.words:
            records = targets.records(arguments.words, unregistered=True)
            outcomes = wait(context, targets.store, records, until, show=progress.show)
        else:
            targets.here()  # an error where there is no project; TARGETs work everywhere
            outcomes = _project(context, arguments, until, progress)
    if not outcomes:
        why = f"cannot wait: nothing of this project has begun to run in {seconds:g} s"
        raise DevportError(why, ExitStatus.TIMEOUT)
    return report(context, outcomes, as_json=arguments.flag("--json"))


def _project(context: Context, arguments: Arguments, until: float, progress: Progress) -> list[Outcome]:
    """What came of all services of the project, those included that begin while others are waited for."""
    project = _Project(context, arguments)
    outcomes: dict[str, Outcome] = {}

    def begun() -> bool:
        if progress.show is not None:
            progress.show([("this project", "nothing of it has begun to run yet")])
        return bool(project.begun())

    wait_until(begun, until - context.now())
    while fresh := [record for record in project.begun() if record.hash not in outcomes]:
        done = wait(context, project.targets.store, fresh, until, show=progress.show, lenient=True)
        outcomes.update({one.record.hash: one for one in done})
    return list(outcomes.values())


class _Project:
    """The services of the project as they come; records are read again only when some have changed."""

    def __init__(self, context: Context, arguments: Arguments) -> None:
        self._context, self._arguments = context, arguments
        self._seen = self._changed()
        self.targets = Targets(context, arguments)
        self._records = self.targets.here()
        self._entries: set[str] | None = None

    def _changed(self) -> int:
        try:
            return os.stat(Store(self._context.state_dir).services).st_mtime_ns
        except OSError:
            return 0

    def begun(self) -> list[Record]:
        """Those whose locks are held, and those that ended by themselves."""
        if (changed := self._changed()) != self._seen:
            self._seen = changed
            self.targets = Targets(self._context, self._arguments)
            self._records = self.targets.here()
        rows = self.targets.rows(self._records, live=False)
        return [one.record for one in rows if one.holder is not None or self._has_ended(one.record)]

    def _has_ended(self, record: Record) -> bool:
        """Whether `record` tells how a service ended; not of an entry that the file has no more."""
        if record.state not in ENDED:
            return False
        if self._entries is None:
            try:
                services = selection.project(self._arguments, self._context).services
                self._entries = {service.entry for service in services}
            except DevportError:
                self._entries = {one.entry for one in self._records}  # what is wrong there is not for us
        return record.entry in self._entries
