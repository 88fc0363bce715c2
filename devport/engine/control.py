"""The control socket: clients ask about the jobs of one supervisor, steer them, and follow them.

Newline-delimited JSON; docs/control.md is the protocol. It turns requests into wishes and transitions
into answers, and decides nothing about services. A service's port and the like come from the frame, by
`facts`.
"""

import errno
import os
import resource
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from devport import __version__
from devport.encoding import decode
from devport.engine import unix
from devport.engine.client import Client, Follower
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import Event, Kind, State
from devport.engine.loop import Loop
from devport.engine.request import PHRASES, Id, Request, identify, load, parse, unknown
from devport.engine.status import Statuses
from devport.engine.waiter import Waiter
from devport.errors import DevportError

PROTOCOL = 1
CLIENTS = 1024
"""Clients at a time: a service that many others wait for has one of each. And never more than a quarter of
the descriptors that this process may have."""
OWED = 16
"""Requests of one client that may be unanswered, streams included."""
LOGS = 256 << 10
"""Bytes of output in one answer, shared by the services asked for."""
FLUSH = 0.5
"""Seconds in which clients may take their last answers when the supervisor ends."""
_WISHES = {"start": Kind.UP, "stop": Kind.DOWN, "restart": Kind.RESTART}
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


class Stream(NamedTuple):
    """A client that is told of what happens to `jobs`."""

    client: Client
    id: Id
    jobs: frozenset[Job]


class Control:
    """Listens at `path` for clients that ask about `jobs` (by name); DevportError when it cannot.

    `facts` gives what only the frame knows of a job (port, ports), as fields of its status. While
    `ending` is true nothing is started any more.
    """

    def __init__(
        self,
        path: str,
        loop: Loop,
        jobs: Mapping[str, Job],
        facts: Callable[[Job], dict[str, object]] = lambda _job: {},
        *,
        ending: Callable[[], bool] = lambda: False,
        greeted: Callable[[str], None] = lambda _hash: None,
    ) -> None:
        self.greeted = greeted
        self._loop, self._jobs, self._ending = loop, jobs, ending
        self._statuses = Statuses(jobs.values(), facts, loop.printer.wall, loop.now)
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most = CLIENTS if descriptors < 0 else min(CLIENTS, descriptors // 4)
        self._clients: list[Client] = []
        self._waiters: list[tuple[Waiter, Client, Request]] = []
        self._streams: list[Stream] = []
        self._followers: list[tuple[Client, Job, Follower]] = []
        self._listener = unix.Listener(path)
        self._listens = self._closed = False
        self._listen(True)
        loop.observers.append(self.observe)

    # clients

    def _listen(self, listen: bool) -> None:
        listen = listen and not self._closed
        if listen != self._listens:
            self._listens = listen
            if listen:
                self._loop.watch(self._listener.fileno(), self._accept)
            else:
                self._loop.unwatch(self._listener.fileno())

    def _accept(self) -> None:
        for client in list(self._clients):
            client.leave()
        try:
            connection = self._listener.accept()
        except OSError as error:
            # Out of descriptors: who waits, waits until some are free, and does not wake us all the time.
            self._listen(error.errno not in _EXHAUSTED)
            return
        if connection is None:
            return
        client = Client(connection, self._loop, self._handle, self._gone)
        self._clients.append(client)
        client.send({"devport": PROTOCOL, "version": __version__, "pid": os.getpid()})
        if len(self._clients) > self.most:
            client.send(_failure(None, f"cannot take another client: {self.most} are connected"))
            client.close()

    def _gone(self, client: Client) -> None:
        self._clients.remove(client)
        self._waiters = [one for one in self._waiters if one[1] is not client]
        self._streams = [one for one in self._streams if one.client is not client]
        for owner, job, follower in self._followers:
            if owner is client:
                job.taps.remove(follower.added)
        self._followers = [one for one in self._followers if one[0] is not client]
        self._listen(True)

    def _handle(self, client: Client, line: bytes) -> None:
        id_: Id = None
        try:
            fields = load(line)
            id_ = identify(fields)
            self._do(client, parse(fields))
        except DevportError as error:
            client.send(_failure(id_, error.message))
        except Exception as error:  # noqa: BLE001 - a mistake in here must not end the services
            client.send(_failure(id_, f"cannot answer: {type(error).__name__}: {error}"))

    def _do(self, client: Client, request: Request) -> None:
        jobs = self._select(request)
        if client.owed >= OWED:
            raise DevportError(f"cannot {PHRASES[request.do]}: {OWED} requests are not answered yet")
        match request.do:
            case "signal":
                self._signal(client, request, jobs)
            case "logs":
                self._logs(client, request, jobs)
            case "events":
                client.owed += 1
                self._streams.append(Stream(client, request.id, frozenset(jobs)))
                self._answer(client, request, jobs)
            case "hello":
                self.greeted(request.hash)
                self._answer(client, request, jobs)
            case "wait":
                self._wait(Waiter(request.state, jobs), client, request)
            case "status":
                self._answer(client, request, jobs)
            case _:
                self._wish(client, request, jobs)

    def _select(self, request: Request) -> list[Job]:
        """The jobs that `request` names, by name or hash; all if it names none."""
        if request.services is None:
            return list(self._jobs.values())
        hashes = {job.command.token: job for job in self._jobs.values()}
        found: dict[Job, None] = {}
        for name in request.services:
            job = self._jobs.get(name) or hashes.get(name)
            if job is None:
                raise unknown(request.do, "service", name, self._jobs)
            found[job] = None
        return list(found)

    def _answer(
        self, client: Client, request: Request, jobs: Sequence[Job], failures: Sequence[str] = ()
    ) -> None:
        reply: dict[str, object] = {"id": request.id, "ok": not failures}
        if failures:
            reply["error"] = "; ".join(failures)
        client.send({**reply, "services": [self._statuses.of(job) for job in jobs]})

    # verbs

    def _signal(self, client: Client, request: Request, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.process is not None:
                job.process.forward(request.number)
        idle = [f"cannot signal {job.name}: {_idle(job)}" for job in jobs if job.process is None]
        self._answer(client, request, jobs, idle)

    def _wish(self, client: Client, request: Request, jobs: Sequence[Job]) -> None:
        if self._ending() and request.do != "stop":
            raise DevportError(f"cannot {request.do}: the run is ending")
        wish = Event(_WISHES[request.do])
        for job in jobs:
            self._loop.send(job, wish)
        self._wait(Waiter(request.do, jobs, wish), client, request)

    def _wait(self, waiter: Waiter, client: Client, request: Request) -> None:
        client.owed += 1
        self._waiters.append((waiter, client, request))
        self._settle()

    def _settle(self) -> None:
        """Answer what can be answered."""
        done = [one for one in self._waiters if one[0].done]
        self._waiters = [one for one in self._waiters if not one[0].done]
        for waiter, client, request in done:
            client.owed -= 1
            self._answer(client, request, waiter.jobs, waiter.failures)

    def _logs(self, client: Client, request: Request, jobs: Sequence[Job]) -> None:
        share = LOGS // max(1, len(jobs))
        logs = [_log(job, request, share) for job in jobs]
        if request.follow:
            client.owed += 1
        client.send({"id": request.id, "ok": True, "logs": logs})
        for job in jobs if request.follow and not client.closed else ():
            follower = Follower(client, request.id, job.name, job.backlog)
            job.taps.append(follower.added)
            client.on_room.append(follower.catch_up)
            self._followers.append((client, job, follower))

    # what happens to the services

    def observe(self, transition: Transition) -> None:
        """Answer who waited for it, and tell who wants to know."""
        job, before, _ = transition
        self._statuses.observe(transition)
        for waiter, _, _ in self._waiters:
            waiter.observe(transition)
        self._settle()
        # One that has a probe is starting before and after its spawn, and may be waited for until then.
        if job.lifecycle.state is not before or transition.event.kind is Kind.SPAWNED:
            for stream in [one for one in self._streams if job in one.jobs]:
                stream.client.send({"id": stream.id, **self._statuses.event(transition)})
        self._listen(True)

    def close(self) -> None:
        """Answer whoever still waits, give clients a moment to take it, and be gone."""
        if self._closed:
            return
        for waiter, _, _ in self._waiters:
            waiter.give_up("devport is ending")
        self._settle()
        self._closed = True
        self._listen(False)
        self._loop.observers.remove(self.observe)
        until = self._loop.now() + FLUSH
        for client in list(self._clients):
            while client.pending and not client.closed and (left := until - self._loop.now()) > 0:
                client.wait_for_room(left)
                client.flush()
            client.close()
        self._listener.close()


def _idle(job: Job) -> str:
    """Why there is nothing to signal."""
    if job.lifecycle.state is State.BACKOFF:
        return f"it is in backoff, and has no process to signal: devport restart {job.name} starts it now"
    return "it is not running"


def _log(job: Job, request: Request, most: int) -> dict[str, object]:
    """What is kept of the output of `job`, in `most` bytes."""
    text = job.backlog.tail(request.lines, most)
    times = {"times": job.backlog.times(len(text))} if request.times else {}
    return {"service": job.name, "text": decode(text), **times}


def _failure(id_: Id, error: str) -> dict[str, object]:
    return {"id": id_, "ok": False, "error": error}
