"""Which services a command line means, in this project or anywhere; shared by the verbs that act on some.

An entry of the project's file that was never started has no record; for verbs to which that is just
another service that does not run, one is made up.
"""

from collections.abc import Sequence

from devport.commands.arguments import Arguments
from devport.context import Context
from devport.errors import DevportError, ExitStatus
from devport.inventory.rows import Row, Status, row, survey
from devport.project import files, load
from devport.registry.identity import hash_of, is_hash, key_of, name_of, resolve
from devport.registry.record import Record
from devport.registry.store import Store

SHOWN = 10
"""Candidates that an error lists."""


class Targets:
    """Every service there is, and the project around the working directory (or the one that is named)."""

    def __init__(self, context: Context, arguments: Arguments) -> None:
        self.context, self._arguments = context, arguments
        self.store = Store(context.state_dir, context.wall)
        self.snapshot = self.store.records()
        self._damaged = {
            hash_: _damaged(hash_, torn.ports) for hash_, torn in self.snapshot.unreadable.items()
        }
        self.root = self._root()

    def _root(self) -> str | None:
        """The project's root; None where there is no project, which is no error: keys work everywhere."""
        # Of several files the first one's folder is the root.
        file = next(iter(self._arguments.texts("--file")), None)
        root = self._arguments.text("--root")
        try:
            return load.find(self.context, file, root, None).root
        except DevportError as error:
            if root is not None and isinstance(error, load.NoProject):
                return files.real(self.context.path(root))
            if file is not None or root is not None:
                raise
            return None

    def records(self, words: Sequence[str], *, unregistered: bool = False) -> list[Record]:
        """What `words` mean, each service once; without words all of this project.

        With `unregistered`, entries of the project's file count that have no record. DevportError with
        status NO_SUCH_SERVICE for a word that means nothing, before anything is done to the others.
        """
        if not words:
            return self.here()
        found = [self._record(word, unregistered=unregistered) for word in words]
        return list({record.hash: record for record in found}.values())

    def here(self) -> list[Record]:
        """Every service of this project; DevportError where there is none."""
        if self.root is None:
            raise load.NoProject(
                f"cannot find a project: no devport.yaml and no Procfile in {self.context.cwd} or above;"
                " name a TARGET",
                ExitStatus.NO_SUCH_SERVICE,
            )
        found = [record for record in self.snapshot.records.values() if record.project == self.root]
        return sorted(found, key=lambda record: record.name)

    def everything(self) -> list[Record]:
        """Every service there is, this project's first; damaged records are not among them."""
        return sorted(
            self.snapshot.records.values(),
            key=lambda record: (
                record.project != self.root or self.root is None,
                record.project or record.cwd,
                record.label,
            ),
        )

    def rows(self, records: Sequence[Record], *, live: bool = True) -> list[Row]:
        """`records`, and who runs them; with `live`, what their supervisors say."""
        good = [record for record in records if record.hash not in self._damaged]
        rows = {one.record.hash: one for one in survey(self.context, self.store, good, live=live)}
        rows.update({one.record.hash: one for one in self.damaged()})
        return [rows[record.hash] for record in records]

    def damaged(self) -> list[Row]:
        """The services whose records cannot be read: what their ports were, and who runs them."""
        return [
            row(self.store, record)._replace(
                status=Status.CORRUPT, why=self.snapshot.unreadable[record.hash].why
            )
            for record in self._damaged.values()
        ]

    def _record(self, word: str, *, unregistered: bool) -> Record:
        known = [*self.snapshot.records.values(), *self._damaged.values()]
        try:
            return resolve(word, known, self.root)
        except DevportError as error:
            if error.status != ExitStatus.NO_SUCH_SERVICE:
                raise
            if unregistered and (record := self._entry(word)):
                return record
            raise DevportError(error.message + self._candidates(error.message), error.status) from error

    def _entry(self, word: str) -> Record | None:
        """The entry of the project's file that `word` names."""
        from devport.commands import selection  # noqa: PLC0415 - on the way to an error

        try:
            project = selection.project(self._arguments, self.context)
            service = selection.instance(project.services, word)
        except DevportError:
            return None  # that nothing is called so says more than what is wrong with the file
        hash_ = hash_of(service, project.root)
        return Record(
            hash_,
            hash_,
            key=key_of(service),
            project=project.root,
            name=name_of(service),
            entry=service.entry,
            cwd=service.cwd,
            no_port=True,
        )

    def _candidates(self, message: str) -> str:
        if "did you mean" in message or not self.snapshot.records:
            return ""
        own = [record.label for record in self.everything() if record.project == self.root is not None]
        if not own:
            return "; devport ls lists what there is"
        more = f" and {len(own) - SHOWN} more" if len(own) > SHOWN else ""
        others = "; devport ls lists the others" if len(own) < len(self.snapshot.records) else ""
        return f"; there is {', '.join(own[:SHOWN])}{more}{others}"


def elsewhere(context: Context, arguments: Arguments, word: str, error: DevportError) -> Record:
    """The service outside this project that `word` means; `error` where there is none."""
    try:
        return Targets(context, arguments).records([word])[0]
    except DevportError as other:
        if other.status == ExitStatus.NO_SUCH_SERVICE:
            raise error from other
        raise


def _damaged(hash_: str, ports: tuple[int, ...]) -> Record:
    """What stands for a record that cannot be read."""
    assert is_hash(hash_)
    named = {str(port): port for port in ports[1:]}
    return Record(hash_, hash_, port=ports[0] if ports else None, ports=named)
