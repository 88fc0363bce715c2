"""What feeds the lifecycles of a loop's jobs with facts, beside their processes: assembled by policy.

Both frames attach each job here with its Policy. Each kind of source is a module of its own, loaded only
where a policy asks for it, because there is a supervisor for every background service.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from devport.context import Context
from devport.engine.job import Job
from devport.engine.lifecycle import Lifecycle
from devport.engine.loop import Loop
from devport.errors import DevportError
from devport.model import GRACE, Dependency, Policy, RestartPolicy, StopPolicy
from devport.project.environment import expand
from devport.registry.store import Store
from devport.sources.conditions import Seen
from devport.sources.far import Far
from devport.sources.needs import Blockers, Needs

if TYPE_CHECKING:
    from devport.sources.watch import Watcher


class Source(Protocol):
    """Hangs on one job; `close` when its frame ends."""

    def close(self) -> None:
        """Let go of everything."""


def lifecycle(restart: RestartPolicy, stop: StopPolicy, policy: Policy) -> Lifecycle:
    """The Lifecycle of a service that is looked after by `policy`; a grace of None is the usual one."""
    ready = policy.ready
    return Lifecycle(
        restart,
        stop.signal,
        GRACE if stop.grace is None else stop.grace,
        probed=ready is not None,
        start_timeout=ready.timeout if ready else None,
        blocked=bool(policy.after) or policy.lazy,
        external=policy.external,
    )


def notify_folders(context: Context) -> tuple[str, ...]:
    """Where a service may be told to send notifications, the best first.

    The address has to fit in 107 bytes (unix(7)), whatever the state folder is called.
    """
    runtime = context.environ.get("XDG_RUNTIME_DIR")
    return (
        os.path.abspath(f"{context.state_dir}/run"),
        *([os.path.join(runtime, "devport")] if runtime and os.path.isabs(runtime) else ()),
        f"/tmp/devport-{os.geteuid()}",  # noqa: S108 - created 0700, and its owner is checked
    )


def words(
    command: tuple[str, ...], policy: Policy, environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """What is executed for `command`: with sockets to pass on, the program itself; a task may be skipped.

    Where no shell replaces variables, those of `environment` are.
    """
    skip = policy.skip
    if environment is not None:
        command, skip = expand(command, environment), expand(skip, environment)
    if policy.listen:
        from devport.sources.shell import exec_simple  # noqa: PLC0415 - see attach

        command = exec_simple(command)
    if skip:
        import shlex  # noqa: PLC0415 - only for tasks that may be skipped

        return ("/bin/sh", "-c", _UNLESS, "sh", shlex.join(skip), *command)
    return command


def with_variables(
    policy: Policy, stop: StopPolicy, environment: Mapping[str, str]
) -> tuple[Policy, StopPolicy]:
    """Both with the variables in their commands replaced, which no shell is given."""
    ready, live = (
        probe and probe._replace(command=expand(probe.command, environment), shown="".join(probe.command[:1]))
        for probe in (policy.ready, policy.live)
    )
    return policy._replace(ready=ready, live=live), stop._replace(command=expand(stop.command, environment))


_UNLESS = (
    'if eval "$1" </dev/null >/dev/null 2>&1; then echo "skipped: there is nothing to do"; exit 0; fi;'
    ' shift; exec "$@"'
)


class Sources:
    """Those of all jobs of `loop`."""

    def __init__(self, loop: Loop, store: Store, context: Context) -> None:
        self._loop, self._context = loop, context
        self._jobs: dict[str, Job] = {}
        self._policies: dict[str, Policy] = {}
        self._sources: list[Source] = []
        self._waiting: list[tuple[Job, Policy, Blockers]] = []
        self._needs: list[Needs] = []
        self._store = store
        self._far: Far | None = None
        self._bound: dict[str, frozenset[int]] = {}
        self._watchers: dict[str, Watcher] = {}

    def attach(
        self, job: Job, policy: Policy, stop: StopPolicy, port: int | None, *, expands: bool = False
    ) -> None:
        """Look after `job`, whose PORT is `port`; DevportError where its sockets cannot be had.

        `expands`: no shell replaces the variables in its commands.
        """
        self._jobs[job.command.token] = job
        self._policies[job.command.token] = policy
        if policy == _NOTHING and not stop.command:
            return
        if expands:
            policy, stop = with_variables(policy, stop, {**job.command.common, **job.command.environment})
        try:
            self._attach(job, policy, stop, port)
        except BaseException as error:
            self.close()  # those of other jobs too: nothing is going to run
            if isinstance(error, (OSError, ValueError)):  # no descriptors; a record that was edited by hand
                raise DevportError(f"cannot look after {job.name}: {error}") from error
            raise

    def _attach(self, job: Job, policy: Policy, stop: StopPolicy, port: int | None) -> None:
        if stop.command or policy.external:
            from devport.sources.stopper import Stopper  # noqa: PLC0415 - see above, and so below

            self._sources.append(Stopper(self._loop, job, stop.command, external=policy.external))
        blockers = Blockers(self._loop, job)
        if policy.listen:
            self._listen(job, policy, blockers)
        self._probe(job, policy, port)
        if policy.watch is not None:
            from devport.sources.watch import Watcher  # noqa: PLC0415

            watcher = self._watchers[job.command.token] = Watcher(self._loop, job, policy.watch)
            self._sources.append(watcher)
        if policy.after:
            self._waiting.append((job, policy, blockers))

    def _listen(self, job: Job, policy: Policy, blockers: Blockers) -> None:
        from devport.sources.listen import Sockets  # noqa: PLC0415

        def blocked(waits: bool) -> None:
            job.facts["listening"] = waits
            if waits:
                blockers.block("connection", "a connection")
            else:
                blockers.clear("connection")

        if job.hold is not None:
            job.hold.release()  # one of its ports may be the one to listen on
            job.hold = None
        sockets = Sockets(
            self._loop,
            job,
            policy.listen,
            lazy=policy.lazy,
            idle=policy.idle,
            blocked=blocked,
            owner=self._owner,
        )
        self._bound[job.command.token] = frozenset(sockets.ports)
        self._sources.append(sockets)

    def _owner(self, port: int) -> str | None:
        from devport.registry.owner import owner  # noqa: PLC0415 - on the way to an error

        return owner(port, self._store)

    def _probe(self, job: Job, policy: Policy, port: int | None) -> None:
        notifies = policy.ready is not None and policy.ready.kind == "notify"
        if notifies or policy.watchdog is not None:
            from devport.sources.notify import Notify  # noqa: PLC0415

            self._sources.append(
                Notify(
                    self._loop,
                    job,
                    notify_folders(self._context),
                    ready=notifies,
                    watchdog=policy.watchdog,
                )
            )
        for probe, aim in ((policy.ready, "ready"), (policy.live, "live")):
            if probe is not None and probe.kind != "notify":
                from devport.sources.probe import Prober  # noqa: PLC0415

                self._sources.append(Prober(self._loop, job, probe, port, aim=aim))

    def _distant(self, dependency: Dependency) -> Seen:
        return self._abroad().seen(dependency)

    def _abroad(self) -> Far:
        if self._far is None:
            self._far = Far(self._loop, self._store, self._jobs, self._changed)
        return self._far

    def ports_of(self, job: Job) -> frozenset[int]:
        """The ports that devport itself listens on for `job`."""
        return self._bound.get(job.command.token, frozenset())

    def may_revive(self, job: Job) -> bool:
        """Whether `job`, at rest, may run again without anybody asking: its files are watched."""
        watcher, lifecycle = self._watchers.get(job.command.token), job.lifecycle
        return watcher is not None and watcher.active and lifecycle.wanted and not lifecycle.hopeless

    def hold_back(self) -> None:
        """All jobs are attached, and nothing is asked for yet: nobody starts who has to wait."""
        self._needs = [
            Needs(job, policy.after, self._jobs, self._distant, blockers)
            for job, policy, blockers in self._waiting
        ]

    def judge(self) -> None:
        """Everything that is to run has been asked for: see who can start."""
        for needs in self._needs:
            needs.look()

    def greet(self) -> None:
        """The control socket is there: tell those that wait for one of ours elsewhere."""
        waiting = [(one, own) for own, policy in self._policies.items() for one in policy.dependents]
        if any(one not in self._jobs for one, _ in waiting):
            self._abroad().greet(waiting)

    def greeted(self, hash_: str) -> None:
        """The supervisor of `hash_` says that it is there, or will never be."""
        if self._far is not None:
            self._far.look(hash_)

    def _changed(self, hash_: str, again: bool) -> None:
        for needs in self._needs:
            if again:
                needs.forget(hash_)
            needs.look(hash_)

    def close(self) -> None:
        """The frame ends."""
        for source in self._sources:
            source.close()
        if self._far is not None:
            self._far.close()


_NOTHING = Policy()
