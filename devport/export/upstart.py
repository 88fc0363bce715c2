"""Jobs of upstart: one for the project, one for each instance.

Everything that a service is given stands in `script`, which upstart hands to `/bin/sh -e` as it is: what
its own stanzas do with quotes and `$` is nowhere written down. A job has a session of its own, and upstart
signals all of its process group.
"""

import math

from devport.export import sh
from devport.export.lost import lost, refuse, signal_name
from devport.export.plan import COMMON, PRIVATE, PUBLIC, File, Plan, Unit, fill
from devport.model import GRACE, Dependency

MASTER = """\
# {{app}} for upstart, written by `devport export upstart`
description "{{app}}"
start on runlevel [2345]
stop on runlevel [!2345]
"""
JOB = """\
# {{name}} for upstart, written by `devport export upstart`
{{lost}}
description "{{name}}"
{{start}}
stop on stopping {{app}}{{stop}}
{{task}}
{{respawn}}
{{user}}
kill signal {{signal}}
kill timeout {{grace}}
console log

script
{{commands}}
end script
"""
TAKES = COMMON
TEMPLATES = {"upstart.conf": MASTER, "upstart-job.conf": JOB}
_KEPT = {"after", "stop.signal", "restart.max", "restart.window", "restart.success"}


def render(plan: Plan) -> tuple[File, ...]:
    """`APP.conf`, and `APP-NAME.conf` for each instance."""
    master = File(f"{plan.app}.conf", fill(plan, "upstart.conf", MASTER, {"app": plan.app}), PUBLIC)
    return master, *(_job(plan, unit) for unit in plan.units)


def _job(plan: Plan, unit: Unit) -> File:
    refuse(unit, "upstart")
    name = f"{plan.app}-{unit.name}"
    gone = lost(unit, _KEPT, plan)
    needs = [one for one in unit.service.policy.after if plan.unit(one.name) is not None]
    stays = [one for one in needs if one.condition in {"started", "ready"}]
    is_task = unit.service.policy.task
    values = {
        "app": plan.app,
        "name": name,
        "lost": f"# not carried over: {', '.join(gone)}" if gone else "",
        "start": _start(plan, unit, needs),
        "stop": "".join(f" or stopping {plan.app}-{one.name}" for one in stays),
        "task": "task" if is_task else "",
        "respawn": "" if is_task else _respawn(unit),
        "user": "" if plan.user is None else f"setuid {plan.user}",
        "signal": signal_name(unit, "upstart"),
        "grace": math.ceil(GRACE if unit.service.stop.grace is None else unit.service.stop.grace),
        "commands": "\n".join(f"  {line}" for line in _commands(plan, unit)),
    }
    return File(f"{name}.conf", fill(plan, "upstart-job.conf", JOB, values), PRIVATE)


def _start(plan: Plan, unit: Unit, needs: list[Dependency]) -> str:
    """The line `start on`; none for what starts only when it is told to."""
    if unit.service.enable != "true":
        return ""
    events = [f"started {plan.app}", *(_event(plan, one) for one in needs)]
    return f"start on {events[0]}" if len(events) == 1 else f"start on ({' and '.join(events)})"


def _event(plan: Plan, dependency: Dependency) -> str:
    name = f"{plan.app}-{dependency.name}"
    kind = {"succeeded": f"stopped {name} RESULT=ok", "completed": f"stopped {name}"}
    return kind.get(dependency.condition, f"started {name}")


def _respawn(unit: Unit) -> str:
    restart = unit.restart
    if restart.on == "never":
        return ""
    if restart.max is None:
        limit = "respawn limit unlimited"
    else:
        window = (restart.max + 1) * restart.reset_after if restart.window is None else restart.window
        limit = f"respawn limit {restart.max} {max(1, math.ceil(window))}"
    normal = " ".join(map(str, sorted(restart.success)))
    lines = ["respawn", limit]
    if restart.on == "on_failure" and normal:
        lines.append(f"normal exit {normal}")
    return "\n".join(lines)


def _commands(plan: Plan, unit: Unit) -> list[str]:
    """The lines of the script; each is one line of the file, whatever the values are."""
    line = sh.Line()
    steps = sh.commands(line, unit.environment, unit.argv, folder=unit.cwd, user=plan.user)
    if plan.log is not None:
        log = line.quoted(f"{plan.log}/{plan.app}-{unit.name}.log")
        steps = [f"exec >>{log} 2>&1", *steps]
    return [line.preamble().removesuffix(" && "), *steps] if line.preamble() else steps
