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

    `grace` None means: whatever `-t` says (5 seconds).
    """

    signal: int = signal.SIGTERM.value
    grace: float | None = None


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
    `restart` None leaves it to the frame: never in the foreground, on failure in the background.
    `interactive` has Ctrl-C and Ctrl-Z typed in a window reach the service itself. `cwd` and
    `env_files` are absolute. `source` is `FILE:LINE`.
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
    interactive: bool = False
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
    """

    root: str
    file: str
    services: tuple[Service, ...]
    kind: Literal["procfile", "devport.yaml"] = "procfile"
    env: Mapping[str, str] = NOTHING
    warnings: tuple[str, ...] = ()
    strict_ports: bool | None = None
    port_range: tuple[int, int] | None = None


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
    port numbers; `strict` None leaves it to the project's file; `pty` None leaves it to devport.
    """

    grace: float = GRACE
    base: int | None = None
    strict: bool | None = None
    reassign: frozenset[str] = frozenset()
    env_wins: bool = False
    keep_going: bool = False
    pty: bool | None = None
    view: View = View()
