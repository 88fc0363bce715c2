r"""A job of Nomad in HCL, and where there are tasks a second one of type batch.

How Nomad reads it: in a text `${` begins a template of HCL and `%{` a directive; `\u0024{` is neither,
whatever stands before it (`$${` is ambiguous behind another dollar). Then, when a task starts, Nomad
replaces `${NAME}` in words and values once more, and knows no escape for that. So a shell is given one line
in which no `${` is left: its words are in single quotes that are closed between the two characters. The line
also enters the folder, which drivers cannot do in every version. A value that a command has from a variable
stands in the line: the `env` beside it tells it as well. The driver is raw_exec: services run on the machine
as they do here, in the project's folder, with their static ports.
"""

import math
import re
from collections.abc import Mapping, Sequence

from devport.export.documents import check_text, duration, grace, notes, ready_of
from devport.export.kubernetes import label, web_ports
from devport.export.lost import lost, refuse, says_restart, signal_name
from devport.export.plan import PRIVATE, File, Plan, Unit, fill
from devport.model import Probe, RestartPolicy

EXTENSION = ".nomad.hcl"
JOB = """\
# {{app}} for Nomad, written by `devport export nomad`
# The clients need raw_exec, and the project in its folder.
{{notes}}
job {{job}} {
  type = {{type}}
{{groups}}
}
"""
GROUP = """\

  group {{name}} {
    count = {{count}}
{{network}}
{{restart}}
{{reschedule}}
{{service}}
    task {{name}} {
      driver = "raw_exec"
{{user}}
      kill_signal  = {{signal}}
      kill_timeout = {{grace}}

      config {
        command = "/bin/sh"
        args    = ["-c", {{line}}]
      }

      env = {
{{environment}}
      }
    }
  }
"""
TAKES = frozenset({"user", "shell", "template-dir"})
TEMPLATES = {"nomad.hcl": JOB, "nomad-tasks.hcl": JOB, "nomad-group.hcl": GROUP}
WINDOW = 300.0
"""Seconds within which Nomad counts restarts, where nothing says how many."""
_KEPT = {"ready", "status", "stop.signal", "stop.timeout", "restart.window", "restart.delay", "restart.max"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def render(plan: Plan) -> tuple[File, ...]:
    """`APP.nomad.hcl`, and `APP-tasks.nomad.hcl` for what runs once."""
    for unit in plan.units:
        check_text(unit, "nomad")
        refuse(unit, "nomad")
    tasks = tuple(unit for unit in plan.units if unit.service.policy.task)
    services = tuple(unit for unit in plan.units if not unit.service.policy.task)
    files = []
    if services:
        files.append(_job(plan, plan.app, "service", services))
    if tasks:
        files.append(_job(plan, f"{plan.app}-tasks", "batch", tasks))
    return tuple(files)


def quoted(text: str) -> str:
    """`text` in HCL."""
    text = re.sub(r'[\\"\n\r\t]', lambda match: _ESCAPES[match[0]], text)
    text = re.sub(r"[$%](?=\{)", lambda match: f"\\u{ord(match[0]):04x}", text)
    return '"' + re.sub("[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff]", lambda m: f"\\u{ord(m[0]):04x}", text) + '"'


def shell_word(word: str) -> str:
    """`word` for a shell, with no `${` in it."""
    quoted_word = "'" + word.replace("'", "'\\''") + "'"
    if re.fullmatch(r"[A-Za-z0-9_./:@%+,=-]+", word):
        return word
    return quoted_word.replace("${", "$''{")


def line(cwd: str, argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """What the shell is given: the folder, the values that Nomad would change, and the command."""
    odd = {name: value for name, value in environment.items() if is_odd(name, value)}
    words = [*(("env", *(f"{name}={value}" for name, value in odd.items())) if odd else ()), *argv]
    return f"cd {shell_word(cwd)} && exec {' '.join(map(shell_word, words))}"


def is_odd(name: str, value: str) -> bool:
    """Whether Nomad would change the value, or the name."""
    return "${" in value or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)


def _job(plan: Plan, name: str, type_: str, units: Sequence[Unit]) -> File:
    said = [text for unit in units for text in _losses(unit)]
    values = {
        "app": plan.app,
        "notes": notes(said),
        "job": quoted(name),
        "type": quoted(type_),
        "groups": "\n".join(_group(plan, unit).rstrip("\n") for unit in units),
    }
    file = f"{name}{EXTENSION}"
    template = "nomad.hcl" if type_ == "service" else "nomad-tasks.hcl"
    return File(file, fill(plan, template, JOB, values), PRIVATE)


def _group(plan: Plan, unit: Unit) -> str:
    environment = {name: value for name, value in unit.environment.items() if not is_odd(name, value)}
    restart = unit.restart if not unit.service.policy.task else RestartPolicy()
    values = {
        "name": quoted(unit.name),
        "count": int(unit.service.enable != "false"),
        "network": _network(unit),
        "restart": _restart(restart),
        "reschedule": "    reschedule {\n      attempts  = 0\n      unlimited = false\n    }"
        if restart.on == "never"
        else "",
        "service": _service(plan, unit),
        "user": "" if plan.user is None else f"      user   = {quoted(plan.user)}",
        "signal": quoted(f"SIG{signal_name(unit, 'nomad')}"),
        "grace": quoted(duration(grace(unit))),
        "line": quoted(line(unit.cwd, unit.argv, unit.environment)),
        "environment": "\n".join(
            f"        {quoted(name)} = {quoted(value)}" for name, value in environment.items()
        ),
    }
    return fill(plan, "nomad-group.hcl", GROUP, values)


def _network(unit: Unit) -> str:
    if not unit.ports:
        return ""
    ports = "".join(
        f"      port {quoted(key)} {{\n        static = {port}\n      }}\n"
        for key, port in _ports(unit).items()
    )
    return f'    network {{\n      mode = "host"\n{ports}    }}'


def _ports(unit: Unit) -> dict[str, int]:
    """Its ports by labels that Nomad takes: letters, digits and underscores."""
    found: dict[str, int] = {}
    for key, port in unit.ports.items():
        name = re.sub("[^a-z0-9]+", "_", key.lower()).strip("_") or "port"
        found[name if name not in found else f"port_{port}"] = port
    return found


def _restart(restart: RestartPolicy) -> str:
    """Without a limit: as many as its window takes, then Nomad waits for the next one."""
    is_limited = restart.on == "never" or restart.max is not None
    attempts = 0 if restart.on == "never" else 10 if restart.max is None else restart.max
    delay = max(1.0, restart.delay)
    window = max(restart.window or WINDOW, 5.0, (attempts + 1) * delay)
    return (
        "    restart {\n"
        f"      attempts = {attempts}\n"
        f"      interval = {quoted(duration(math.ceil(window)))}\n"
        f"      delay    = {quoted(duration(delay))}\n"
        f"      mode     = {quoted('fail' if is_limited else 'delay')}\n"
        "    }"
    )


def _service(plan: Plan, unit: Unit) -> str:
    """A service for each unit with a web port, with a check where Nomad itself can ask."""
    if not web_ports(unit):
        return ""
    labels = _ports(unit)
    check = _check(unit, ready_of(unit), labels)
    return (
        "    service {\n"
        f"      name     = {quoted(label(f'{plan.app}-{unit.name}'))}\n"
        f"      port     = {quoted(next(iter(labels)))}\n"
        '      provider = "nomad"\n'
        f"{check}    }}"
    )


def _check(unit: Unit, probe: Probe | None, labels: Mapping[str, int]) -> str:
    if probe is None or probe.kind not in {"http", "tcp"} or probe.port not in unit.ports.values():
        return ""
    found = {
        "type": quoted(probe.kind),
        "port": quoted(next(key for key, port in labels.items() if port == probe.port)),
        "interval": quoted(duration(10.0 if probe.automatic else max(1.0, probe.period))),
        "timeout": quoted(duration(max(1.0, probe.probe_timeout))),
    }
    if probe.kind == "http":
        found["path"] = quoted(probe.path)
        found["protocol"] = quoted(probe.scheme)
    lines = "".join(f"        {key} = {value}\n" for key, value in found.items())
    return f"      check {{\n{lines}      }}\n"


def _losses(unit: Unit) -> list[str]:
    gone = list(lost(unit, _KEPT))
    ready = ready_of(unit)
    if ready is not None and (ready.kind not in {"http", "tcp"} or not _check(unit, ready, _ports(unit))):
        gone.append(f"ready.{ready.kind}")
    if unit.restart.on == "on_failure" and says_restart(unit) and not unit.service.policy.task:
        gone.append("restart: on-failure")
    return [f"{unit.name}: not carried over: {', '.join(dict.fromkeys(gone))}"] if gone else []
