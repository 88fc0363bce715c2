"""A compose.yaml for docker (https://github.com/compose-spec/compose-spec).

What the image is nobody here knows: it is the variable APP_IMAGE, without which compose refuses to start. It
has to hold what the services need to run; the project's folder is mounted where it is on this machine. `$`
in every text is doubled, because compose replaces variables. Containers do not share a `localhost`: services
find each other by name.
"""

import re
import signal
from typing import Any

from devport.export.documents import (
    block,
    check_text,
    duration,
    grace,
    key,
    local_names,
    notes,
    probe_text,
    ready_of,
    section,
    words,
)
from devport.export.lost import lost, refuse, says_restart, signal_name
from devport.export.plan import PRIVATE, File, Plan, Unit, fill
from devport.model import Probe, RestartPolicy

NAME = "compose.yaml"
TEMPLATE = """\
# {{app}} for docker compose, written by `devport export compose`
# {{variable}} is the image that has what the services need; the project's folder is mounted into it.
{{notes}}
{{project}}
{{services}}
"""
SERVICE = """\
{{name}}
{{keys}}
"""
TAKES = frozenset({"user", "shell", "template-dir"})
TEMPLATES = {NAME: TEMPLATE, "compose-service.yaml": SERVICE}
PATIENCE = 3600.0
"""Seconds in which a service may fail its healthcheck before it counts, where nothing says how many."""
_KEPT = {"after", "ready", "status", "stop.signal", "stop.timeout", "restart.max", "restart.success"}


def render(plan: Plan) -> tuple[File, ...]:
    """`compose.yaml`."""
    said: list[str] = []
    services = "".join(_service(plan, unit, said) for unit in plan.units)
    values = {
        "app": plan.app,
        "variable": variable(plan.app),
        "notes": notes(said),
        "project": block({"name": plan.app.lower()}),
        "services": section("services", services),
    }
    return (File(NAME, fill(plan, NAME, TEMPLATE, values), PRIVATE),)


def variable(app: str) -> str:
    """The variable that holds the image of `app`."""
    return re.sub("[^A-Z0-9_]", "_", app.upper()) + "_IMAGE"


def escaped(text: str) -> str:
    """`text` where variables are replaced."""
    return text.replace("$", "$$")


def _service(plan: Plan, unit: Unit, said: list[str]) -> str:
    check_text(unit, "compose")
    refuse(unit, "compose")
    service = unit.service
    said.extend(_losses(plan, unit))
    found: dict[str, Any] = {
        "image": f"${{{variable(plan.app)}:?is not set: the image that the services of {plan.app} run in}}",
        "command": [escaped(word) for word in unit.argv],
        "working_dir": escaped(unit.cwd),
        "volumes": [{"type": "bind", "source": escaped(plan.root), "target": escaped(plan.root)}],
        "environment": {name: escaped(value) for name, value in unit.environment.items()},
        "ports": [{"target": port, "published": str(port)} for port in dict.fromkeys(unit.ports.values())],
        "depends_on": _depends_on(plan, unit),
        "healthcheck": _healthcheck(ready_of(unit)),
        "restart": _restart(unit.restart, task=service.policy.task),
        "init": True,
        "stop_signal": f"SIG{signal_name(unit, 'compose')}",
        "stop_grace_period": duration(grace(unit)),
        "profiles": ["manual"] if service.enable == "false" else [],
        "tty": bool(service.pty),
        "user": plan.user,
    }
    values = {"app": plan.app, "name": key(unit.name, 1), **words(found, 2, ([], {}, None, False))}
    return fill(plan, "compose-service.yaml", SERVICE, values)


def _depends_on(plan: Plan, unit: Unit) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in unit.service.policy.after:
        other = plan.unit(one.name)
        if other is None:
            continue
        healthy = "service_healthy" if _healthcheck(ready_of(other)) else "service_started"
        conditions = {"started": "service_started", "ready": healthy}
        found[one.name] = {"condition": conditions.get(one.condition, "service_completed_successfully")}
        if other.service.enable == "false":
            found[one.name]["required"] = False  # its profile is not part of a plain start
    return found


def _healthcheck(probe: Probe | None) -> dict[str, Any] | None:
    text = None if probe is None else probe_text(probe)
    if probe is None or text is None:
        return None
    is_words = probe.kind == "exec" and tuple(probe.command[:2]) != ("/bin/sh", "-c")
    return {
        "test": ["CMD", *map(escaped, probe.command)] if is_words else ["CMD-SHELL", escaped(text)],
        "interval": duration(max(1.0, probe.period)),
        "timeout": duration(probe.probe_timeout),
        "retries": probe.failure_threshold,
        "start_period": duration(probe.initial_delay + (probe.timeout or PATIENCE)),
        "start_interval": "1s",
    }


def _restart(restart: RestartPolicy, *, task: bool) -> str:
    if task or restart.on == "never" or restart.max == 0:
        return "no"
    if restart.on == "always":
        return "always"
    return "on-failure" if restart.max is None else f"on-failure:{restart.max}"


def _losses(plan: Plan, unit: Unit) -> list[str]:
    gone = list(lost(unit, _KEPT, plan))
    if unit.restart.on == "always" and unit.restart.max is not None and says_restart(unit):
        gone.append("restart.max")
    ready = ready_of(unit)
    if ready is not None and ready.kind in {"log", "notify"}:
        gone.append(f"ready.{ready.kind}")
    said = [f"{unit.name}: not carried over: {', '.join(dict.fromkeys(gone))}"] if gone else []
    if unit.service.stop.signal == signal.SIGKILL:
        said.append(f"{unit.name}: is killed at once")
    said += [
        f"{unit.name}: waits until {one.name} has succeeded: compose knows no other end"
        for one in unit.service.policy.after
        if one.condition == "completed" and plan.unit(one.name) is not None
    ]
    return [*said, *local_names(plan, unit)]
