"""Waiting until services are ready, for as long as was said and no longer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from devport.context import wait_until
from devport.errors import DevportError
from devport.inventory.outcome import Outcome, refused
from devport.inventory.reach import Unanswered, ask
from devport.inventory.restart import in_parallel
from devport.inventory.rows import AT_ONCE, row, trouble
from devport.registry.locks import Holder
from devport.registry.record import Record, seconds
from devport.registry.store import Store

if TYPE_CHECKING:
    from devport.context import Context

RECENT = 60.0
"""Seconds in which a failure is news; an older one is believed after SETTLED seconds without a start."""
SETTLED = 1.0
PAUSE = 0.05
"""Seconds until a supervisor that did not answer (it may have just begun) is asked again."""


def wait(context: "Context", store: Store, records: Sequence[Record], until: float) -> list[Outcome]:
    """An Outcome for each of `records`: ready, failed for good, or not ready at `until` (monotonic)."""
    return in_parallel(lambda record: Waiting(context, store, record, until).result(), records)


class Waiting:
    """Waiting for one service, which need not run yet."""

    def __init__(self, context: "Context", store: Store, record: Record, until: float) -> None:
        self._context, self._store, self._record, self._until = context, store, record, until
        self._began = context.now()
        self._why = "it does not run"

    @property
    def _left(self) -> float:
        return self._until - self._context.now()

    def result(self) -> Outcome:
        """What came of it; time is looked at after the service: what is ready is so at any timeout."""
        holder: Holder | None = None
        while True:
            earlier, holder = holder, row(self._store, self._record).holder
            if holder is None:
                if why := self._gave_up(earlier):
                    return self._failed(why)
            elif (outcome := self._ask(holder)) is not None:
                return outcome
            if self._left <= 0:
                return self._failed(f"it is not ready in time: {self._why}")
            self._pause(holder)

    def _pause(self, holder: Holder | None) -> None:
        def changed() -> bool:
            return row(self._store, self._record).holder is not None or bool(self._gave_up(None))

        if holder is None:
            wait_until(changed, self._left)
        else:
            wait_until(lambda: False, min(PAUSE, self._left))

    def _gave_up(self, earlier: Holder | None) -> str:
        """Why there is no point in waiting for what does not run; empty where there is."""
        record = self._store.record(self._record.hash) or self._record
        if record.state in ("failed", "exited") and record.error and not self._may_be_old(record):
            return f"it failed: {record.error}"
        return "it ended" if earlier is not None else ""

    def _may_be_old(self, record: Record) -> bool:
        """Whether `record` tells of yesterday's failure, while another terminal is just starting it."""
        failed = seconds(record.last_up)
        recent = failed is not None and self._context.wall() - failed < RECENT
        return not recent and self._context.now() - self._began < SETTLED

    def _ask(self, holder: Holder) -> Outcome | None:
        """What its supervisor says; None where it does not answer."""
        if not holder.socket and holder.mode == "run":  # it is started, and nobody knows more
            return Outcome(self._record, "is running")
        try:
            ask(holder, "wait", [self._record.hash], state="ready", patience=max(self._left, PAUSE))
        except Unanswered as error:
            self._why = trouble(holder, self._record) or error.message
            return None
        except DevportError as error:
            return self._failed(error.message)
        # One that crashes at once was ready for a moment.
        wait_until(lambda: False, AT_ONCE)
        if why := trouble(holder, self._record):
            self._why = why
            return None
        return Outcome(self._record, "is ready")

    def _failed(self, why: str) -> Outcome:
        return refused(self._record, "wait for", why)
