"""Waiting until services are ready, for as long as was said and no longer."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from devport.context import wait_until
from devport.errors import DevportError
from devport.inventory.outcome import Outcome, refused
from devport.inventory.reach import Unanswered, ask
from devport.inventory.restart import in_parallel
from devport.inventory.rows import AT_ONCE, row, told, trouble
from devport.registry.locks import Holder
from devport.registry.record import Record, dependencies, is_task, seconds
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.context import Context

RECENT = 60.0
"""Seconds in which a failure is news; an older one is believed after SETTLED seconds without a start."""
SETTLED = 1.0
ENDED = frozenset({"exited", "failed"})
"""The states of a service that ended by itself."""
PAUSE = 0.05
"""Seconds until a supervisor that did not answer (it may have just begun) is asked again."""


SLICES = (0.25, 0.5, 1.0)
"""Seconds that one question waits for its answer; after each, the service's own reasons are looked at."""

Show = Callable[[Sequence[tuple[str, str]]], object]
"""Takes who is not ready yet, and why."""


def wait(
    context: "Context",
    store: Store,
    records: Sequence[Record],
    until: float,
    *,
    show: Show | None = None,
    lenient: bool = False,
) -> list[Outcome]:
    """An Outcome for each of `records`: ready, completed, given up, or not ready at `until` (monotonic).

    One that waits for what nobody starts is done with as well; `lenient`: so is one that was stopped.
    """
    waitings = [Waiting(context, store, record, until, lenient=lenient) for record in records]

    def tell() -> None:
        if show is not None:
            show([(one.name, one.why) for one in waitings if not one.done])

    return in_parallel(Waiting.result, waitings, None if show is None else tell)


def _is_completed(state: object, error: object) -> bool:
    return state == "exited" and not error


class Waiting:
    """Waiting for one service, which need not run yet."""

    def __init__(
        self, context: "Context", store: Store, record: Record, until: float, *, lenient: bool = False
    ) -> None:
        self._context, self._store, self._record, self._until = context, store, record, until
        self._began = context.now()
        self._lenient, self._slices = lenient, iter(SLICES)
        self.name = record.label
        self.why = "it does not run"
        self.done = False

    @property
    def _left(self) -> float:
        return self._until - self._context.now()

    def result(self) -> Outcome:
        """What came of it; time is looked at after the service: what is ready is so at any timeout."""
        try:
            return self._result()
        finally:
            self.done = True

    def _result(self) -> Outcome:
        holder: Holder | None = None
        while True:
            is_late = self._left <= 0  # asked first: what has come to rest in time is not late
            earlier, holder = holder, row(self._store, self._record).holder
            if holder is None:
                if (settled := self._settled(earlier)) is not None:
                    return settled
            elif (outcome := self._ask(holder)) is not None:
                return outcome
            if is_late or (holder is not None and self._left <= 0):
                late = f"it is not {'done' if is_task(self._record) else 'ready'} in time: {self.why}"
                return self._failed(late)._replace(late=True)
            self._pause(holder)

    def _pause(self, holder: Holder | None) -> None:
        def changed() -> bool:
            return row(self._store, self._record).holder is not None or self._settled(None) is not None

        if holder is None:
            wait_until(changed, self._left)
        else:
            wait_until(lambda: False, min(PAUSE, self._left))

    def _settled(self, earlier: Holder | None) -> Outcome | None:
        """What has come of a service that does not run; None where it may still be started."""
        record = self._store.record(self._record.hash) or self._record
        if record.state in ENDED and record.error and not self._may_be_old(record):
            return self._failed(f"it failed: {record.error}")
        # A start that has just begun would make an earlier success untrue, however recent that is.
        if _is_completed(record.state, record.error) and (earlier is not None or self._has_lasted()):
            return self._completed()
        return self._failed("it ended") if earlier is not None else None

    def _may_be_old(self, record: Record) -> bool:
        """Whether `record` tells of yesterday's failure, while another terminal is just starting it."""
        failed = seconds(record.last_up)
        # Of a time that is yet to come nobody knows how long ago it was: the clock was set back.
        recent = failed is not None and 0 <= self._context.wall() - failed < RECENT
        return not recent and not self._has_lasted()

    def _has_lasted(self) -> bool:
        """Whether it was not started although there was time for that."""
        return self._context.now() - self._began >= min(SETTLED, self._until - self._began)

    def _ask(self, holder: Holder) -> Outcome | None:
        """What its supervisor says; None where it is not known yet."""
        if not holder.socket and holder.mode == "run":  # it is started, and nobody knows more
            return Outcome(self._record, "is running")
        goal = "stopped" if is_task(self._record) else "ready"
        patience = max(min(self._left, next(self._slices, SLICES[-1])), PAUSE)
        try:
            ask(holder, "wait", [self._record.hash], state=goal, patience=patience)
        except Unanswered as error:
            return self._look(told(holder, self._record), error.message)
        except DevportError as error:
            return self._ended(holder, error.message)
        # One that crashes at once was ready for a moment.
        wait_until(lambda: False, AT_ONCE)
        if why := trouble(holder, self._record):
            self.why = why
            return None
        if self._has_completed(holder):
            return self._completed()
        return self._ended(holder, "it failed") if goal == "stopped" else Outcome(self._record, "is ready")

    def _ended(self, holder: Holder, why: str) -> Outcome:
        """What came of one that is at rest."""
        if self._has_completed(holder):
            return self._completed()
        said = told(holder, self._record)
        if self._lenient and said.get("state") == "stopped":
            return Outcome(self._record, "is stopped")
        error = (self._store.record(self._record.hash) or self._record).error
        return self._failed(f"{why}: {error}" if why == "it failed" and error else why)

    def _look(self, said: Mapping[str, object], unanswered: str) -> Outcome | None:
        """Why it is not ready yet, of `said`; something that only somebody else can change is an Outcome."""
        match said.get("state"):
            case None:
                self.why = unanswered
            case "waiting" if said.get("listening"):
                return Outcome(self._record, "waits for a connection")
            case "waiting":
                if names := parked(self._store, self._record, said):
                    which = f"{names[-1]}, which {'is' if len(names) == 1 else 'are'} not running"
                    return Outcome(self._record, f"waits for {', '.join([*names[:-1], which])}")
                self.why = f"it waits for {said.get('waiting_for')}"
            case "backoff":
                self.why = f"{said.get('error')} (it is tried again)"
            case state:
                self.why = str(said.get("not_ready") or f"it is {state}")
        return None

    def _has_completed(self, holder: Holder) -> bool:
        """Whether it ended well: as its supervisor says, or wrote down before it ended too."""
        if said := told(holder, self._record):
            return _is_completed(said.get("state"), said.get("error"))
        now = row(self._store, self._store.record(self._record.hash) or self._record)
        return now.holder is None and _is_completed(now.record.state, now.record.error)

    def _completed(self) -> Outcome:
        return Outcome(self._record, "has completed")

    def _failed(self, why: str) -> Outcome:
        return refused(self._record, "wait for", why)


def parked(
    store: Store, record: Record, said: Mapping[str, object], seen: frozenset[str] = frozenset()
) -> list[str]:
    """Whom `record`, which waits as `said`, waits for until somebody starts that; or whom that waits for."""
    waited = {one.split(" ")[0] for one in str(said.get("waiting_for", "")).split(", ")}
    found: dict[str, None] = {}
    for hash_ in dependencies(record).keys() - seen:
        other = store.record(hash_)
        if other is None or waited.isdisjoint({other.entry, other.label}):
            continue
        holder = row(store, other).holder
        now = told(holder, other) if holder else {"state": _at_rest(other)}
        if now.get("state") == "stopped":
            found[other.label] = None
        elif now.get("state") == "waiting" and not now.get("listening"):
            found.update(dict.fromkeys(parked(store, other, now, seen | {record.hash})))
    return list(found)


def _at_rest(record: Record) -> str:
    """The state of one that nobody runs; empty while a launcher has just asked for it."""
    if record.state in ENDED or (record.state == "" and record.env):
        return record.state
    return "stopped"
