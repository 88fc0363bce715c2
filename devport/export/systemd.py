"""Units of systemd: a target for the project, a service for each instance, sockets, files of variables.

What systemd starts and what it calls ended is said here once; how a word, a path or a value is written so
that systemd reads it back is in `unitfile`.
"""

import signal
from collections.abc import Iterator, Sequence

from devport.errors import UsageError
from devport.export.lost import lost
from devport.export.plan import COMMON, PRIVATE, PUBLIC, File, Plan, Unit, fill
from devport.export.unitfile import command, escaped, is_odd, line, unit_name, variables
from devport.model import GRACE, Dependency, Listen

TARGET = """\
# {{app}}, as `devport export systemd` wrote it
[Unit]
Description={{app}} (devport)
Wants={{units}}

[Install]
WantedBy={{wanted_by}}
"""

SERVICE = """\
# {{name}} of {{app}}, as `devport export systemd` wrote it
{{comments}}
[Unit]
Description={{description}}
PartOf={{app}}.target
{{order}}
{{limits}}

[Service]
{{type}}
{{user}}
WorkingDirectory={{folder}}
EnvironmentFile={{env_file}}
{{sockets}}
{{exec}}
{{restart}}
{{stop}}
{{log}}
{{hardening}}
"""

SOCKET = """\
# {{socket}} of {{name}} of {{app}}, as `devport export systemd` wrote it
[Unit]
Description={{socket}} of {{description}}
PartOf={{app}}.target

[Socket]
{{listen}}
FileDescriptorName={{socket}}
Service={{service}}
"""

HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes"""

# Each runs the words behind it; systemd gives the pid of the service.
_UNLESS = 'if "$0" "$@"; then exit 1; fi'
_STOP = 'test -z "$MAINPID" || { "$0" "$@" && while kill -0 "$MAINPID" 2>/dev/null; do sleep 0.2; done; }'
_READY = 'until "$0" "$@" >/dev/null 2>&1; do kill -0 "$MAINPID" || exit 1; sleep 0.5; done'
_UP = 'until "$0" "$@" >/dev/null 2>&1; do sleep 0.5; done'
_CONNECT = ("/usr/bin/env", "bash", "-c", ': <"/dev/tcp/$0/$1"')

TAKES = COMMON | {"system"}
TEMPLATES = {"systemd.target": TARGET, "systemd.service": SERVICE, "systemd.socket": SOCKET}
# Of these each service tells; docs/export.md has the rest.
_LOST = {"live", "watch", "interactive", "restart.max-delay"}
_CLEAN = "SIGHUP SIGINT SIGTERM SIGPIPE"


def render(plan: Plan) -> tuple[File, ...]:
    """`APP.target`; for each instance `APP-NAME.service`, its `.env`, and a socket unit for each socket."""
    if plan.user is not None and "system" not in plan.options:
        raise UsageError("cannot export to systemd: --user goes with --system; other units run as their user")
    files = [_target(plan)]
    for unit in plan.units:
        files += [_service(plan, unit), File(f"{_stem(plan, unit)}.env", variables(unit), PRIVATE)]
        files += [_socket(plan, unit, one) for one in unit.service.policy.listen]
    _no_duplicates(plan, files)
    return tuple(files)


def _no_duplicates(plan: Plan, files: Sequence[File]) -> None:
    paths = [file.path for file in files]
    for path in paths:
        if paths.count(path) > 1:
            raise UsageError(f"cannot export {plan.app} to systemd: two units would be called {path}")


def _stem(plan: Plan, unit: Unit) -> str:
    return unit_name(f"{plan.app}-{unit.name}")


def _socket_name(plan: Plan, unit: Unit, listen: Listen) -> str:
    return f"{_stem(plan, unit)}-{unit_name(listen.name)}.socket"


def _entries(plan: Plan, unit: Unit) -> list[str]:
    """The units that bring `unit` up: of a lazy service its sockets only."""
    sockets = [_socket_name(plan, unit, one) for one in unit.service.policy.listen]
    return sockets if unit.service.policy.lazy else [*sockets, f"{_stem(plan, unit)}.service"]


def _target(plan: Plan) -> File:
    values = {
        "app": plan.app,
        "units": " ".join(name for unit in plan.units for name in _entries(plan, unit)),
        "wanted_by": "multi-user.target" if "system" in plan.options else "default.target",
    }
    return File(f"{plan.app}.target", fill(plan, "systemd.target", TARGET, values))


def _service(plan: Plan, unit: Unit) -> File:
    system = "system" in plan.options
    where = "system" if system else "user"
    stem = _stem(plan, unit)
    order, comments = _order(plan, unit)
    values = {
        "app": plan.app,
        "name": unit.name,
        "comments": "\n".join(f"# {text}" for text in (*comments, *_comments(plan, unit))),
        "description": _description(plan, unit),
        "order": "\n".join((*order, *(["After=network.target"] if system else []))),
        "limits": _limits(unit),
        "type": "\n".join(_type(plan, unit)),
        "user": f"User={line(unit, 'user', plan.user)}" if plan.user is not None else "",
        "folder": line(unit, "folder", unit.cwd),
        "env_file": f"%E/systemd/{where}/{stem}.env",
        "sockets": _sockets(plan, unit),
        "exec": "\n".join(_exec(plan, unit)),
        "restart": "\n".join(_restart(unit)),
        "stop": "\n".join(_stop(unit)),
        "log": _log(plan, unit),
        "hardening": HARDENING if system else "",
    }
    text = fill(plan, "systemd.service", SERVICE, values)
    return File(f"{stem}.service", text, PRIVATE if is_odd(unit) or _tells_values(plan, unit) else PUBLIC)


def _tells_values(plan: Plan, unit: Unit) -> bool:
    """Whether a value stands in its commands: where no shell does, devport has put it there."""
    policy, ready = unit.service.policy, unit.service.policy.ready
    words = (*unit.argv, *policy.skip, *unit.service.stop.command, *(ready.command if ready else ()))
    known = {"", *(str(port) for one in plan.units for port in one.ports.values())}
    values = {value for name, value in unit.environment.items() if name != "PS"} - known
    return any(value in word for value in values for word in words)


def _description(plan: Plan, unit: Unit) -> str:
    return escaped(unit.service.description or f"{unit.name} of {plan.app}")


def _comments(plan: Plan, unit: Unit) -> Iterator[str]:
    policy = unit.service.policy
    keys = [*(key for key in lost(unit, ()) if key in _LOST), *(["idle"] if policy.idle is not None else [])]
    probe = policy.ready
    if probe is not None and probe.kind == "log":
        keys.append("ready.log")
    if keys:
        yield f"Not carried over: {', '.join(keys)}"
    if probe is not None and probe.kind == "http" and _is_awaited(plan, unit):
        yield "Ready is who takes connections, whatever it answers"
    if len(policy.listen) > 1:
        yield "systemd does not say in which order it passes sockets: go by LISTEN_FDNAMES"
    if "system" in plan.options and plan.user is None:
        yield "Runs as root: --user names somebody else"


# whom it waits for


def _order(plan: Plan, unit: Unit) -> tuple[list[str], list[str]]:
    """The lines that say whom `unit` needs, and comments on what no line can say."""
    lines: list[str] = []
    comments: list[str] = []
    for one in unit.service.policy.after:
        other = plan.unit(one.name)
        if other is None:
            comments.append(f"Not part of this export: {escaped(one.name)}, which it waits for")
            continue
        names = " ".join(_entries(plan, other))
        need, ordered = _need(plan, one, other)
        lines += [f"{need}={names}", *([f"After={names}"] if ordered else [])]
        if not ordered:
            comments.append(f"Not carried over: that {one.name} is to be {one.condition} first")
    return lines, comments


def _need(plan: Plan, one: Dependency, other: Unit) -> tuple[str, bool]:
    """How the need is called, and whether the order can be said: a job is done when its unit is active."""
    ends = _ends(other)
    if ends and one.condition in ("ready", "succeeded"):
        return "Requires", True
    # A service that fails is started again; with Requires that would end, or restart, who needs it.
    if one.condition == "started":
        return "Wants", other.service.policy.lazy or _type(plan, other)[0] == "Type=exec"
    return "Wants", ends or one.condition == "ready"


def _ends(unit: Unit) -> bool:
    """Whether its command is to end, which is when it is active."""
    return unit.service.policy.task or unit.service.policy.external


def _is_awaited(plan: Plan, unit: Unit) -> bool:
    return any(
        one.name == unit.name and one.condition == "ready"
        for other in plan.units
        for one in other.service.policy.after
    )


# what it is


def _type(plan: Plan, unit: Unit) -> list[str]:
    policy = unit.service.policy
    if _ends(unit):
        found = ["Type=oneshot", "RemainAfterExit=yes"]
    elif policy.ready is not None and policy.ready.kind == "notify":
        found = ["Type=notify", "NotifyAccess=all"]
    else:
        found = ["Type=exec", *(["NotifyAccess=all"] if policy.watchdog else [])]
    if policy.watchdog is not None:
        found.append(f"WatchdogSec={policy.watchdog.usec}us")
    if "Type=notify" in found or _ready(plan, unit):
        timeout = policy.ready.timeout if policy.ready else None
        found.append(f"TimeoutStartSec={'infinity' if timeout is None else _seconds(timeout)}")
    return found


def _exec(plan: Plan, unit: Unit) -> Iterator[str]:
    skip = unit.service.policy.skip
    if skip:
        yield f"ExecCondition={command(unit, ('/bin/sh', '-c', _UNLESS, *skip))}"
    yield f"ExecStart={command(unit, unit.argv)}"
    if ready := _ready(plan, unit):
        script = _UP if _ends(unit) else _READY
        yield f"ExecStartPost={command(unit, ('/bin/sh', '-c', script, *ready))}"


def _ready(plan: Plan, unit: Unit) -> tuple[str, ...]:
    """The command that tells whether it is ready, for what systemd cannot see and somebody waits for."""
    probe = unit.service.policy.ready
    if probe is None or unit.service.policy.lazy or not _is_awaited(plan, unit):
        return ()
    if probe.kind == "exec":
        return probe.command
    port = unit.port if probe.port is None else probe.port
    return (*_CONNECT, probe.host, str(port)) if probe.kind in ("tcp", "http") and port else ()


# how it ends


def _limits(unit: Unit) -> str:
    restart = unit.restart
    if restart.on == "never" or restart.max is None:
        return "StartLimitIntervalSec=0"
    # Who does not stay up for `reset_after` uses up all of `max` within this time.
    window = restart.window or (restart.max + 1) * (restart.delay + restart.reset_after)
    return f"StartLimitIntervalSec={_seconds(window)}\nStartLimitBurst={restart.max + 1}"


def _restart(unit: Unit) -> Iterator[str]:
    restart = unit.restart
    if restart.on == "never" or restart.max == 0:
        yield "Restart=no"
    else:
        # A lazy service that ends well waits for the next connection, which its sockets see to.
        always = restart.on == "always" and not _ends(unit) and not unit.service.policy.lazy
        yield f"Restart={'always' if always else 'on-failure'}"
        yield f"RestartSec={_seconds(restart.delay)}"
        if not _ends(unit):
            yield f"RestartForceExitStatus={_CLEAN}"  # to systemd these are a good end
    if others := sorted(restart.success - {0}):
        yield f"SuccessExitStatus={' '.join(map(str, others))}"


def _stop(unit: Unit) -> Iterator[str]:
    stop = unit.service.stop
    if stop.command:
        words = stop.command if _ends(unit) else ("/bin/sh", "-c", _STOP, *stop.command)
        yield f"ExecStop={command(unit, words)}"
    known = {one.value for one in signal.Signals}
    yield f"KillSignal={signal.Signals(stop.signal).name if stop.signal in known else stop.signal}"
    yield "KillMode=control-group"
    grace = GRACE if stop.grace is None else stop.grace
    yield f"TimeoutStopSec={_seconds(grace) if grace else '1ms'}"  # 0 would be for ever


def _seconds(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _log(plan: Plan, unit: Unit) -> str:
    stem = escaped(f"{plan.app}-{unit.name}")
    if plan.log is None:
        return f"SyslogIdentifier={stem}"
    path = line(unit, "log", f"{plan.log}/{plan.app}-{unit.name}.log")
    return f"StandardOutput=append:{path}\nStandardError=append:{path}"


# its sockets


def _sockets(plan: Plan, unit: Unit) -> str:
    names = [_socket_name(plan, unit, one) for one in unit.service.policy.listen]
    return f"Sockets={' '.join(names)}" if names else ""


def _socket(plan: Plan, unit: Unit, listen: Listen) -> File:
    unix, stream = listen.kind.startswith("unix"), listen.kind in ("tcp", "unix_stream")
    lines = [f"Listen{'Stream' if stream else 'Datagram'}={line(unit, 'socket', listen.address)}"]
    if stream:
        lines.append(f"Backlog={listen.backlog}")
    if unix:
        lines += [f"SocketMode={0o600 if listen.mode is None else listen.mode:04o}", "RemoveOnStop=yes"]
        lines += [f"SocketUser={line(unit, 'user', plan.user)}"] if plan.user is not None else []
    if listen.address.startswith("["):
        lines.append("BindIPv6Only=ipv6-only")
    values = {
        "app": plan.app,
        "name": unit.name,
        "socket": escaped(listen.name),
        "description": _description(plan, unit),
        "listen": "\n".join(lines),
        "service": f"{_stem(plan, unit)}.service",
    }
    return File(_socket_name(plan, unit, listen), fill(plan, "systemd.socket", SOCKET, values))
