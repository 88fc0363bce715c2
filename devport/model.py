"""What a project declares: plain values, frozen once parsed.

NamedTuples and not dataclasses: `import dataclasses` pulls in `inspect`, a fifth of the time that
`devport start` has until the first line (docs/decisions/002). Nothing here reads a file, the
environment or a clock. Text is `str` as `encoding.decode` makes it; times are seconds.
"""

import signal
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

NOTHING: Mapping[str, str] = MappingProxyType({})

RestartOn = Literal["never", "on_failure", "always"]


GRACE = 5.0
"""Seconds between the stop signal and SIGKILL where nobody says otherwise."""


class StopPolicy(NamedTuple):
    """How a service is asked to end: `signal` to its group, after `grace` seconds SIGKILL.

    `grace` None means: whatever `-t` says (5 seconds). Where there is a `command`, it runs instead of the
    signal, which is sent only if the command fails.
    """

    signal: int = signal.SIGTERM.value
    grace: float | None = None
    command: tuple[str, ...] = ()


class RestartPolicy(NamedTuple):
    """When a service that ended by itself is started again.

    At most `max` times (None: no limit) within `window` seconds (None: since it last stayed up for
    `reset_after`), after a delay of `delay` seconds that doubles with each failure up to `max_delay`.
    """

    on: RestartOn = "never"
    max: int | None = None
    window: float | None = None
    delay: float = 1.0
    max_delay: float = 30.0
    reset_after: float = 5.0
    success: frozenset[int] = frozenset({0})


BACKGROUND_RESTART = RestartPolicy(on="on_failure")


DECLARED_MAX = 5
"""Restarts of a service declared in devport.yaml that does not say how many."""


Condition = Literal["started", "ready", "completed", "succeeded"]


class Dependency(NamedTuple):
    """The entry `name` has to be in `condition` first; `hash` is its identity, once it is registered."""

    name: str
    condition: Condition = "ready"
    hash: str = ""


ProbeKind = Literal["exec", "http", "tcp", "notify", "log"]


class Probe(NamedTuple):
    """One way to see whether a service is ready (or still alive), and how often to look.

    exec: `command` ends with 0. http: GET `scheme`://`host`:`port``path` answers with one of `statuses`
    (none: 200 to 299). tcp: a connection is accepted. log: the regular expression `pattern` is found in
    a line of the output. notify: the service says READY=1 (sd_notify(3)). `port` None is the service's
    own PORT. Whoever answers has to be the service itself, unless it is `foreign`. `automatic`: devport's
    own check of a declared port.

    First after `initial_delay` seconds, then every `period`, each for `probe_timeout` at most;
    `success_threshold` in a row make it ready, `failure_threshold` in a row make it not so. `timeout`:
    seconds from the spawn by which it has to be ready (None: no limit).
    `shown`: what the program is called in messages, where a variable was replaced in the command.
    """

    kind: ProbeKind
    command: tuple[str, ...] = ()
    shown: str = ""
    port: int | None = None
    host: str = "127.0.0.1"
    path: str = "/"
    scheme: Literal["http", "https"] = "http"
    statuses: tuple[int, ...] = ()
    pattern: str = ""
    foreign: bool = False
    automatic: bool = False
    initial_delay: float = 0.0
    period: float = 10.0
    probe_timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    timeout: float | None = None


class Watchdog(NamedTuple):
    """WATCHDOG=1 has to come every `usec` microseconds: from READY=1 on, or from the spawn."""

    usec: int
    require_ready: bool = True


ListenKind = Literal["tcp", "udp", "unix_stream", "unix_dgram"]


class Listen(NamedTuple):
    """A socket that devport binds and passes on: `address` is `HOST:PORT` (tcp, udp) or an absolute path.

    `mode` are the permissions of a unix socket, None: 0600.
    """

    name: str
    kind: ListenKind
    address: str
    backlog: int = 128
    mode: int | None = None


class Watch(NamedTuple):
    """Files whose change restarts the service: below `paths` (absolute), with one of `extensions`.

    No `extensions`: all. `ignore` are patterns as in a .gitignore that lies in `root`.
    """

    paths: tuple[str, ...]
    extensions: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    root: str = "/"


class Policy(NamedTuple):
    """How a service is looked after, beside its restarts and its stop.

    `dependents` are the hashes of those that wait for it, known once the project is registered. `lazy`:
    spawned by the first connection to one of `listen`; `idle`: seconds without a connection after which
    it is stopped again (None: never). `external`: the command brings something up and returns; the
    service is up for as long as its probe says so. `task`: it is to end, once; `skip` is a command whose
    status 0 says that there is nothing to do.
    """

    after: tuple[Dependency, ...] = ()
    dependents: tuple[str, ...] = ()
    ready: Probe | None = None
    live: Probe | None = None
    watchdog: Watchdog | None = None
    listen: tuple[Listen, ...] = ()
    lazy: bool = False
    idle: float | None = None
    watch: Watch | None = None
    external: bool = False
    task: bool = False
    skip: tuple[str, ...] = ()


Enable = Literal["true", "false", "interactive-shell"]


class PortRequest(NamedTuple):
    """One named port of a service: searched upward from `base`, or from the pool where that is None."""

    name: str
    base: int | None = None


class Service(NamedTuple):
    """What a file or a command line declares, one instance of it.

    `entry` is the name in the file, `name` the instance's (`web`, `web.2`), `position` the entry's
    place in the file and `instance` the instance's, both from 0; `named` is False where devport made
    the name up, so that it cannot be the identity. `command` is what is executed; with
    `expand`, `$NAME` in its words is replaced from the service's environment first (no shell does it).
    `restart` None leaves it to the frame: never in the foreground, on failure in the background; with
    `restart_said` False it is devport's own, because nobody has said one.
    `interactive` has Ctrl-C and Ctrl-Z typed in a window reach the service itself. `enable` says whether
    it starts unless it is named. `ends_run`: its end is the end of a run in the foreground (foreman's
    rule). `cwd` and `env_files` are absolute. `source` is `FILE:LINE`.
    """

    name: str
    entry: str
    command: tuple[str, ...]
    cwd: str
    expand: bool = False
    environment: Mapping[str, str] = NOTHING
    env_files: tuple[str, ...] = ()
    key: str | None = None
    port_env: str = "PORT"
    no_port: bool = False
    ports: tuple[PortRequest, ...] = ()
    tailnet: bool = False
    pty: bool | None = None
    stop: StopPolicy = StopPolicy()
    restart: RestartPolicy | None = None
    restart_said: bool = True
    interactive: bool = False
    policy: Policy = Policy()
    enable: Enable = "true"
    ends_run: bool = True
    description: str = ""
    source: str = ""
    position: int = 0
    instance: int = 0
    named: bool = True


class Project(NamedTuple):
    """A folder and what its file declares, one Service an entry, in file order.

    `file` is the absolute path (`-` for standard input), `kind` what it is written as. `env` holds
    what the project's env files say, merged in order. `warnings` are complete sentences without the
    `devport: ` in front. `strict_ports` and `port_range` are the file's wishes, None where it has none.
    `groups` are names for several entries. Tasks are services as well, with `policy.task`. `sources` are the
    files that all of this was read from, but for those of single services (`Service.env_files`). `env_files`
    are where `env` comes from, the default one whether it is there or not.
    """

    root: str
    file: str
    services: tuple[Service, ...]
    kind: Literal["procfile", "devport.yaml"] = "procfile"
    env: Mapping[str, str] = NOTHING
    warnings: tuple[str, ...] = ()
    strict_ports: bool | None = None
    port_range: tuple[int, int] | None = None
    groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    sources: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()


class View(NamedTuple):
    """How a run is shown.

    `timestamp` is a strftime format, None for none; `quiet` names entries whose lines are not shown
    (what devport says about them still is); `json` prints one object a line instead.
    """

    colour: bool = False
    prefix: bool = True
    timestamp: str | None = "%H:%M:%S"
    json: bool = False
    quiet: frozenset[str] = frozenset()


class RunOptions(NamedTuple):
    """What the command line says about one run: values for the engine, no flags' names.

    `grace` seconds before SIGKILL where a service has no `stop-timeout`; `base` asks for foreman's
    port numbers; `strict` None leaves it to the project's file; `pty` None leaves it to devport. `goal` is
    the task that the run is for: its end is the run's.
    """

    grace: float = GRACE
    base: int | None = None
    strict: bool | None = None
    reassign: frozenset[str] = frozenset()
    env_wins: bool = False
    keep_going: bool = False
    goal: str = ""
    pty: bool | None = None
    view: View = View()
