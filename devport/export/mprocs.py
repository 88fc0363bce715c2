"""A mprocs.yaml (https://github.com/pvolok/mprocs, 0.9).

How mprocs reads it: nothing is replaced in any text but `<CONFIG_DIR>` at the start of a folder; every value
of `env` has to be a text; `<<` in a mapping is a merge and `$select` a choice, even in quotes; a service is
`shell` or `cmd`, never both; three signals have names; `deps` has a service wait until another has been
started.
"""

from typing import Any

from devport.export.documents import check_text, key, notes, section, shell_text, words
from devport.export.lost import lost, refuse, says_restart
from devport.export.plan import PRIVATE, File, Plan, Unit, UnitError, fill

NAME = "mprocs.yaml"
TEMPLATE = """\
# {{app}} for mprocs, written by `devport export mprocs`
{{notes}}
{{procs}}
"""
PROC = """\
{{name}}
{{keys}}
"""
TAKES = frozenset({"log", "shell", "template-dir"})
TEMPLATES = {NAME: TEMPLATE, "mprocs-proc.yaml": PROC}
SHELL = "/bin/sh"  # the one that mprocs has
_SIGNALS = {2: "SIGINT", 9: "SIGKILL", 15: "SIGTERM"}
_KEPT = {"after", "status", "stop.exec"}


def render(plan: Plan) -> tuple[File, ...]:
    """`mprocs.yaml`."""
    said: list[str] = []
    procs = "".join(_proc(plan, unit, said) for unit in plan.units)
    values = {"app": plan.app, "notes": notes(said), "procs": section("procs", procs)}
    return (File(NAME, fill(plan, NAME, TEMPLATE, values), PRIVATE),)


def _proc(plan: Plan, unit: Unit, said: list[str]) -> str:
    check_text(unit, "mprocs")
    refuse(unit, "mprocs")
    for name in ("<<", "$select"):
        if name in unit.environment:
            raise UnitError(unit.name, "mprocs", f"a variable called {name} has a meaning of its own there")
    said.extend(_losses(plan, unit))
    text = unit.text if unit.argv[0] == SHELL else None
    stop = unit.service.stop
    found: dict[str, Any] = {
        "cmd": list(unit.argv) if text is None else None,
        "shell": text,
        "cwd": unit.cwd,
        "env": dict(unit.environment),
        "autostart": False if unit.service.enable == "false" else None,
        "autorestart": unit.restart.on != "never" and not unit.service.policy.task,
        "stop": {"cmd": shell_text(stop.command)} if stop.command else _SIGNALS.get(stop.signal, "SIGTERM"),
        "deps": [one.name for one in unit.service.policy.after if plan.unit(one.name) is not None],
        "log": None
        if plan.log is None
        else {"enabled": True, "dir": plan.log, "file": f"{plan.app}-{unit.name}.log", "mode": "append"},
    }
    values = {"app": plan.app, "name": key(unit.name, 1), **words(found, 2, ([], None))}
    return fill(plan, "mprocs-proc.yaml", PROC, values)


def _losses(plan: Plan, unit: Unit) -> list[str]:
    stop = unit.service.stop
    has_name = stop.signal in _SIGNALS or stop.command
    gone = list(lost(unit, _KEPT | {"stop.signal"} if has_name else _KEPT, plan))
    if unit.restart.on == "always" and says_restart(unit) and not unit.service.policy.task:
        gone.append("restart: always")
    if stop.grace is not None:
        gone.append("stop.timeout")
    said = [f"{unit.name}: not carried over: {', '.join(gone)}"] if gone else []
    for one in unit.service.policy.after:
        if one.condition != "started" and plan.unit(one.name) is not None:
            how = {"ready": "is ready"}.get(one.condition, f"has {one.condition}")
            said.append(f"{unit.name}: starts once {one.name} has been started, not once it {how}")
    return said
