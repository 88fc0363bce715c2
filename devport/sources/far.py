"""Services of other supervisors, as those see them that depend on them: followed by events, never polled.

Who waits connects to the control socket of whoever runs the other service. Where nobody runs it, the
record says what became of it; and a supervisor that comes up says hello to those that wait for it.
"""

from collections.abc import Callable, Iterable

from devport.engine.lifecycle import AT_REST, State
from devport.engine.loop import Loop
from devport.model import Dependency
from devport.registry.locks import held
from devport.registry.store import Store
from devport.sources.caller import Caller
from devport.sources.conditions import Seen

_COMING = Seen(coming=True)
_STATES = {str(state): state for state in State}


class Far:
    """What is seen of services that run elsewhere; `changed` is called with the hash of one that changed.

    `own` are the hashes of the services that run here.
    """

    def __init__(self, loop: Loop, store: Store, own: Iterable[str], changed: Callable[[str], None]) -> None:
        self._loop, self._store, self._own, self._changed = loop, store, frozenset(own), changed
        self._seen: dict[str, Seen] = {}
        self._callers: dict[str, Caller] = {}
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
            self._changed(hash_)

    def greet(self, hashes: Iterable[str]) -> None:
        """Tell those that wait for one of ours that it is here."""
        for hash_ in set(hashes) - self._own:
            holder = held(self._store.lock_path(hash_))
            if holder is not None and holder.socket:
                for own in self._own:
                    self._greet(holder.socket, own)

    def _greet(self, path: str, own: str) -> None:
        caller: list[Caller] = []

        def done(_message: object = None) -> None:
            self._greetings.discard(caller[0])
            caller[0].close()

        caller.append(Caller(self._loop, path, {"do": "hello", "hash": own}, heard=done, ended=done))
        self._greetings.add(caller[0])

    def _look(self, hash_: str) -> None:
        holder = held(self._store.lock_path(hash_))
        if holder is not None:
            self._seen[hash_] = _COMING
            if holder.socket:
                request: dict[str, object] = {"do": "events", "services": [hash_]}
                self._callers[hash_] = Caller(
                    self._loop,
                    holder.socket,
                    request,
                    heard=lambda message: self._heard(hash_, message),
                    ended=lambda: self._lost(hash_),
                    worth=lambda: held(self._store.lock_path(hash_)) is not None,
                )
            return
        record = self._store.record(hash_)
        if record is not None and record.state == "" and record.env:
            self._seen[hash_] = _COMING  # a launcher has just asked for it
            return
        state = _STATES.get(record.state, State.STOPPED) if record else State.STOPPED
        status = record.run.get("status") if record else None
        self._seen[hash_] = Seen(
            state if state in AT_REST else State.STOPPED,
            begun=bool(record and record.run.get("begun")),
            was_ready=bool(record and record.run.get("was_ready")),
            status=status if isinstance(status, int) else None,
            fault=record.error if record else "",
        )

    def _heard(self, hash_: str, message: dict[str, object]) -> None:
        """A reply with the present status, or an event."""
        services = message.get("services")
        told = services[0] if isinstance(services, list) and services else message
        if not isinstance(told, dict) or (state := _STATES.get(str(told.get("state")))) is None:
            return
        status = told.get("status")
        self._seen[hash_] = Seen(
            state,
            begun=told.get("begun") is True,
            was_ready=told.get("was_ready") is True,
            status=status if isinstance(status, int) else None,
            fault=str(told.get("error", "")),
            listening=told.get("listening") is True,
        )
        self._changed(hash_)

    def _lost(self, hash_: str) -> None:
        """Its supervisor has ended, as it said before, or was killed."""
        del self._callers[hash_]
        seen = self._seen[hash_]
        if seen.coming or seen.state not in AT_REST:
            self._look(hash_)
            self._changed(hash_)

    def close(self) -> None:
        """Hang up everywhere."""
        for caller in (*self._callers.values(), *self._greetings):
            caller.close()
        self._callers.clear()
