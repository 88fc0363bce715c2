"""Services of other supervisors, as those see them that depend on them: followed by events, never polled.

Who waits connects to the control socket of whoever runs the other service. Where nobody runs it, the
record says what became of it; and a supervisor that comes up says hello to those that wait for it.
"""

from collections.abc import Callable, Iterable

from devport.engine.lifecycle import AT_REST, Kind, State
from devport.engine.loop import Loop
from devport.errors import DevportError
from devport.model import Dependency
from devport.registry.locks import UNKNOWN, Holder, held
from devport.registry.record import Record
from devport.registry.store import Store
from devport.sources.caller import Caller
from devport.sources.conditions import Seen

LONGEST = 5.0
"""Seconds until a supervisor that hung up without an answer is asked again, at most."""
_FIRST = 0.02  # the first time; doubled from one to the next
_COMING = Seen(coming=True)
_STARTED = Seen(State.READY, begun=True, was_ready=True)
_STARTS = {Kind.UP.value, Kind.RESTART.value}
_AT_REST = {str(state) for state in AT_REST}
_STATES = {str(state): state for state in State}


class Far:
    """What is seen of services that run elsewhere; `changed` is called with the hash of one that changed.

    And with whether it was started again, after it had ended. `own` are the hashes of the services that
    run here.
    """

    def __init__(
        self, loop: Loop, store: Store, own: Iterable[str], changed: Callable[[str, bool], None]
    ) -> None:
        self._loop, self._store, self._own, self._changed = loop, store, frozenset(own), changed
        self._seen: dict[str, Seen] = {}
        self._callers: dict[str, Caller] = {}
        self._pauses: dict[str, float] = {}  # before those are asked again that did not answer
        self._greetings: set[Caller] = set()

    def seen(self, dependency: Dependency) -> Seen:
        """What is known now; from now on its changes are told."""
        if dependency.hash not in self._seen:
            self._look(dependency.hash)
        return self._seen[dependency.hash]

    def look(self, hash_: str) -> None:
        """It said hello, or somebody says that it failed: believe nothing that was known before."""
        if hash_ in self._seen:
            if (caller := self._callers.pop(hash_, None)) is not None:
                caller.close()
            self._look(hash_)
            self._changed(hash_, True)

    def greet(self, waiting: Iterable[tuple[str, str]]) -> None:
        """Tell those that wait that it is here: pairs of who waits, and for which of ours."""
        for hash_, own in waiting:
            if hash_ not in self._own and (holder := self._holder(hash_)) is not None and holder.socket:
                self._greet(holder.socket, own)

    def _greet(self, path: str, own: str) -> None:
        caller: list[Caller] = []

        def done(_message: object = None) -> None:
            self._greetings.discard(caller[0])
            caller[0].close()

        caller.append(Caller(self._loop, path, {"do": "hello", "hash": own}, heard=done, ended=done))
        self._greetings.add(caller[0])

    def _holder(self, hash_: str) -> Holder | None:
        """Who runs it; in the loop, where what cannot be known (no more descriptors) must not be raised."""
        try:
            return held(self._store.lock_path(hash_))
        except DevportError:
            return UNKNOWN

    def _record(self, hash_: str) -> Record | None:
        try:
            return self._store.record(hash_)
        except DevportError:
            return None  # damaged; the next start of that service says so

    def _look(self, hash_: str) -> None:
        holder, record = self._holder(hash_), self._record(hash_)
        if holder is not None and holder.mode == "run":
            self._seen[hash_] = _STARTED  # `devport run` tells nobody more
        elif holder is not None:
            self._seen[hash_] = _COMING
            if holder.socket:
                self._follow(hash_, holder.socket)
        elif record is not None and record.state == "" and record.env:
            self._seen[hash_] = _COMING  # a launcher has just asked for it
        else:
            self._seen[hash_] = _last_seen(record)

    def _follow(self, hash_: str, path: str) -> None:
        self._callers[hash_] = Caller(
            self._loop,
            path,
            {"do": "events", "services": [hash_]},
            heard=lambda message: self._heard(hash_, message),
            ended=lambda: self._lost(hash_),
            worth=lambda: self._holder(hash_) is not None,
            pause=self._pauses.get(hash_, 0.0),
        )
        self._pauses[hash_] = min(LONGEST, 2 * self._pauses.get(hash_, _FIRST / 2))

    def _heard(self, hash_: str, message: dict[str, object]) -> None:
        """A reply with the present status, or an event."""
        services = message.get("services")
        told = services[0] if isinstance(services, list) and services else message
        if not isinstance(told, dict) or (state := _STATES.get(str(told.get("state")))) is None:
            return
        self._pauses.pop(hash_, None)
        status = told.get("status")
        self._seen[hash_] = Seen(
            state,
            begun=told.get("begun") is True,
            was_ready=told.get("was_ready") is True,
            status=status if isinstance(status, int) else None,
            fault=str(told.get("error", "")),
            listening=told.get("listening") is True,
        )
        again = told.get("event") in _STARTS and told.get("before") in _AT_REST
        self._changed(hash_, again)

    def _lost(self, hash_: str) -> None:
        """Its supervisor has ended, as it said before, or was killed."""
        del self._callers[hash_]
        seen = self._seen[hash_]
        if seen.coming or seen.state not in AT_REST:
            self._look(hash_)
            self._changed(hash_, False)

    def close(self) -> None:
        """Hang up everywhere."""
        for caller in (*self._callers.values(), *self._greetings):
            caller.close()
        self._callers.clear()


def _last_seen(record: Record | None) -> Seen:
    """What the record says of a service that nobody runs."""
    if record is None:
        return Seen()
    state, status = _STATES.get(record.state, State.STOPPED), record.run.get("status")
    return Seen(
        state if state in AT_REST else State.STOPPED,
        begun=bool(record.run.get("begun")),
        was_ready=bool(record.run.get("was_ready")),
        status=status if isinstance(status, int) else None,
        fault=record.error,
    )
