"""A process-compose.yaml (https://f1bonacc1.github.io/process-compose).

How process-compose reads it (v1.122, and what was tried of it): `${...}` is replaced in the whole text,
comments too, before it is YAML, and `$$` is a dollar, so every dollar is doubled; `{{ }}` in commands,
folders, values and probes is a template, in `entrypoint` it is not; a dependency without a condition waits
for the end of the other; numbers are whole; a signal is a number; without a timeout nothing is ever killed.
A readiness probe that fails `failure_threshold` times in a row has the process stopped, even one that has
just begun: what devport waits longer for gets a threshold that is never reached.
"""

import os
from collections.abc import Mapping
from typing import Any

from devport.export.documents import (
    ALWAYS_READY,
    check_text,
    grace,
    key,
    literal,
    live_of,
    notes,
    probe_text,
    ready_of,
    section,
    shell_text,
    whole,
    words,
)
from devport.export.lost import lost, refuse
from devport.export.plan import PRIVATE, File, Plan, Unit, UnitError, fill
from devport.model import Probe, RestartPolicy

NAME = "process-compose.yaml"
TEMPLATE = """\
# {{app}} for process-compose, written by `devport export process-compose`
{{notes}}
{{keys}}
{{processes}}
"""
PROCESS = """\
{{name}}
{{keys}}
"""
TAKES = frozenset({"log", "shell", "template-dir"})
TEMPLATES = {NAME: TEMPLATE, "process-compose-process.yaml": PROCESS}
_RESTART = {"never": "no", "on_failure": "on_failure", "always": "always"}
_HIGHEST_SIGNAL, _REFUSED_STATUS = 31, 400
_ABSENT = {"command", "entrypoint", "readiness_probe", "ready_log_line", "liveness_probe"} | {
    *("log_location", "log_configuration"),
}
_KEPT = {
    *("after", "ready", "live", "watch", "status", "stop.exec", "stop.signal"),
    *("restart.delay", "restart.max", "restart.success"),
}


def render(plan: Plan) -> tuple[File, ...]:
    """`process-compose.yaml`."""
    said: list[str] = []
    processes = "".join(_process(plan, unit, said) for unit in plan.units)
    head = {
        "version": "0.5",
        "name": plan.app,
        "ordered_shutdown": True,
        "shell": {"shell_command": plan.shell, "shell_argument": "-c"},
    }
    values = {
        **_doubled({"app": plan.app, "notes": notes(said), **words(head, 0, ())}),
        "processes": section("processes", processes),
    }
    return (File(NAME, fill(plan, NAME, TEMPLATE, values), PRIVATE),)


def _doubled(values: Mapping[str, str]) -> dict[str, str]:
    """Its dollars: variables are replaced in the whole text, a template's own too, whoever wrote it."""
    return {name: text.replace("$", "$$") for name, text in values.items()}


def escaped(text: str) -> str:
    """`text` where templates are replaced."""
    return text.replace("{{", '{{ "{{" }}')


def _process(plan: Plan, unit: Unit, said: list[str]) -> str:
    check_text(unit, "process-compose")
    if not unit.service.policy.external:
        refuse(unit, "process-compose")
    if gone := lost(unit, _KEPT, plan):
        said.append(f"{unit.name}: not carried over: {', '.join(gone)}")
    service = unit.service
    probes = _probes(plan, unit, said)
    found: dict[str, Any] = {
        "description": escaped(service.description),
        "namespace": _namespace(plan, unit),
        **_command(plan, unit),
        "working_dir": escaped(unit.cwd),
        "is_dotenv_disabled": True,
        "environment": [escaped(f"{name}={value}") for name, value in unit.environment.items()],
        "disabled": service.enable == "false",
        "is_tty": bool(service.pty),
        "is_daemon": service.policy.external,
        "depends_on": _depends_on(plan, unit),
        "availability": _availability(unit.restart, task=service.policy.task),
        "success_exit_codes": sorted(unit.restart.success - {0}),
        **probes,
        "shutdown": _shutdown(plan, unit),
        "watch": _watch(unit),
        **_log(plan, unit),
    }
    values = {
        "app": plan.app,
        "name": key(unit.name, 1),
        **words({**found, **dict.fromkeys(_ABSENT - found.keys())}, 2, ("", [], {}, None, False)),
    }
    return fill(plan, "process-compose-process.yaml", PROCESS, _doubled(values))


def _command(plan: Plan, unit: Unit) -> dict[str, Any]:
    """A text for the shell where there is one; `entrypoint` is no template, and has every word as it is."""
    text = unit.text
    if text is not None and unit.argv[0] == plan.shell and text.strip() and "{{" not in text:
        return {"command": text}
    return {"entrypoint": list(unit.argv)}


def _namespace(plan: Plan, unit: Unit) -> str | list[str]:
    groups = [name for name, members in plan.groups.items() if unit.service.entry in members]
    return groups[0] if len(groups) == 1 else groups


def _depends_on(plan: Plan, unit: Unit) -> dict[str, dict[str, str]]:
    conditions = {
        "started": "process_started",
        "completed": "process_completed",
        "succeeded": "process_completed_successfully",
    }
    found = {}
    for one in unit.service.policy.after:
        other = plan.unit(one.name)
        if other is not None:
            found[one.name] = {"condition": conditions.get(one.condition) or _ready_condition(plan, other)}
    return found


def _ready_condition(plan: Plan, other: Unit) -> str:
    probes = _probes(plan, other, [])
    if "readiness_probe" in probes:
        return "process_healthy"
    return "process_log_ready" if "ready_log_line" in probes else "process_started"


def _availability(restart: RestartPolicy, *, task: bool) -> dict[str, Any]:
    if task or restart.on == "never" or restart.max == 0:
        return {"restart": "no"}
    return {
        "restart": _RESTART[restart.on],
        "backoff_seconds": whole(restart.delay),
        "max_restarts": restart.max or 0,
    }


def _probes(plan: Plan, unit: Unit, said: list[str]) -> dict[str, Any]:
    ready, live = ready_of(unit), live_of(unit)
    found: dict[str, Any] = {}
    if ready is not None and ready.kind == "log":
        if (line := literal(ready.pattern)) is not None:
            found["ready_log_line"] = line
        else:
            said.append(f"{unit.name}: not carried over: ready.log, a regular expression")
    elif ready is not None and ready.kind == "notify":
        said.append(f"{unit.name}: not carried over: ready.notify")
    elif ready is not None:
        threshold = whole(ready.timeout) if ready.timeout is not None else ALWAYS_READY
        found["readiness_probe"] = {
            **_probe(plan, ready),
            "period_seconds": 1,  # those that wait for it wait for the next look
            "failure_threshold": threshold,
        }
    if live is not None:
        found["liveness_probe"] = {
            **_probe(plan, live),
            "period_seconds": whole(live.period),
            "failure_threshold": live.failure_threshold,
        }
        if not unit.service.policy.external:
            said.append(f"{unit.name}: process-compose only logs that live fails")
    return found


def _probe(plan: Plan, probe: Probe) -> dict[str, Any]:
    status = probe.statuses[0] if len(probe.statuses) == 1 else 200 if not probe.statuses else 0
    asked: dict[str, Any]
    if probe.kind == "http" and 0 < status < _REFUSED_STATUS:
        asked = {
            "http_get": {
                "host": probe.host,
                "scheme": probe.scheme,
                "port": probe.port,
                "path": escaped(probe.path),
                "status_code": status,
            }
        }
    else:
        text = probe_text(probe, plan.shell)
        assert text is not None, probe
        asked = {"exec": {"command": escaped(text)}}
    times = {"timeout_seconds": whole(probe.probe_timeout)}
    if probe.initial_delay:
        times["initial_delay_seconds"] = whole(probe.initial_delay)
    return {**asked, **times}


def _shutdown(plan: Plan, unit: Unit) -> dict[str, Any]:
    stop = unit.service.stop
    if stop.signal > _HIGHEST_SIGNAL:
        raise UnitError(unit.name, "process-compose", f"it is sent no signal above {_HIGHEST_SIGNAL} there")
    found: dict[str, Any] = {"signal": stop.signal, "timeout_seconds": whole(grace(unit))}
    if stop.command:
        found["command"] = shell_text(stop.command, plan.shell)
    return found


def _watch(unit: Unit) -> dict[str, Any] | None:
    watch = unit.service.policy.watch
    if watch is None:
        return None
    patterns: Mapping[str, list[str]] = {
        "include": [f"*.{one}" for one in watch.extensions],
        "exclude": list(watch.ignore),
    }
    further = {key: found for key, found in patterns.items() if found}
    return {"paths": [{"path": os.path.relpath(path, unit.cwd), **further} for path in watch.paths]}


def _log(plan: Plan, unit: Unit) -> dict[str, Any]:
    if plan.log is None:
        return {}
    return {
        "log_location": escaped(f"{plan.log}/{plan.app}-{unit.name}.log"),
        "log_configuration": {
            "disable_json": True,
            "add_timestamp": True,
            "no_color": True,
            "flush_each_line": True,
        },
    }
