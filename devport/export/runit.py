"""Folders for runit: a service for each instance, with a logger.

The values stand in the run script, as `export` lines of sh: envdir files, which `chpst -e` reads, lose blanks
at the end of a value. runsv signals the pid of ./run only, and knows no stop signal but TERM, nor SIGKILL
after a while: `control/t` does all three to the process group that `chpst -P` makes, and ./finish ends what
is left of it.
"""

import math
from collections.abc import Mapping

from devport.export import sh
from devport.export.lost import lost, refuse, signal_name
from devport.export.plan import COMMON, PRIVATE_PROGRAM, PROGRAM, PUBLIC, File, Plan, Unit, fill
from devport.model import GRACE, Dependency

RUN = """\
#!/bin/sh
# {{name}}, written by `devport export runit`
{{lost}}
exec 2>&1
rm -f group
{{needs}}
echo "$$" >group
{{started}}
{{commands}}
"""
FINISH = """\
#!/bin/sh
# After each end of {{name}}: $1 is its exit status, -1 for a signal.
[ -e group ] || exit 0
group=$(cat group)
rm -f group
kill -s {{signal}} -- "-$group" 2>/dev/null
left={{grace}}
while [ "$left" -gt 0 ] && kill -s 0 -- "-$group" 2>/dev/null; do
  sleep 1
  left=$((left - 1))
done
kill -s KILL -- "-$group" 2>/dev/null
{{policy}}
exit 0
"""
TERM = """\
#!/bin/sh
# Instead of SIGTERM to one process: SIG{{signal}} to all of its group, after {{grace}} seconds SIGKILL.
group=$(cat group 2>/dev/null) || exit 1
kill -s {{signal}} -- "-$group" || exit 1
(
  left={{grace}}
  while [ "$left" -gt 0 ]; do
    sleep 1
    kill -s 0 -- "-$group" 2>/dev/null || exit 0
    left=$((left - 1))
  done
  kill -s KILL -- "-$group"
) </dev/null >/dev/null 2>&1 &
"""
KILL = """\
#!/bin/sh
group=$(cat group 2>/dev/null) || exit 1
kill -s KILL -- "-$group"
"""
LOG = """\
#!/bin/sh
{{folder}}
exec svlogd -tt {{log}}
"""
CHECK = """\
#!/bin/sh
{{commands}}
"""
TAKES = COMMON
TEMPLATES = {
    "runit-run": RUN,
    "runit-finish": FINISH,
    "runit-control-t": TERM,
    "runit-control-k": KILL,
    "runit-log-run": LOG,
    "runit-check": CHECK,
}
_KEPT = {"after", "stop.signal", "restart.max", "restart.success"}
_BOOT = "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"


def render(plan: Plan) -> tuple[File, ...]:
    """For each instance `APP-NAME/{run,finish,control/{t,k},log/run}`; `down` where it waits to be told."""
    return tuple(file for unit in plan.units for file in _files(plan, unit))


def _files(plan: Plan, unit: Unit) -> list[File]:
    refuse(unit, "runit")
    folder = f"{plan.app}-{unit.name}"
    grace = math.ceil(GRACE if unit.service.stop.grace is None else unit.service.stop.grace)
    values = {"name": folder, "signal": signal_name(unit, "runit"), "grace": grace}
    finish = {**values, "policy": _policy(unit)}
    files = [
        File(f"{folder}/run", fill(plan, "runit-run", RUN, _run(plan, unit)), PRIVATE_PROGRAM),
        File(f"{folder}/finish", fill(plan, "runit-finish", FINISH, finish), PROGRAM),
        File(f"{folder}/control/t", fill(plan, "runit-control-t", TERM, values), PROGRAM),
        File(f"{folder}/control/k", fill(plan, "runit-control-k", KILL, values), PROGRAM),
        File(f"{folder}/log/run", fill(plan, "runit-log-run", LOG, _log(plan, unit)), PROGRAM),
    ]
    ready = unit.service.policy.ready
    if ready is not None and ready.kind == "exec":
        check = {"commands": _commands(plan, unit, ready.command)}
        files.append(File(f"{folder}/check", fill(plan, "runit-check", CHECK, check), PRIVATE_PROGRAM))
    if unit.service.policy.task or unit.service.enable != "true":
        files.append(File(f"{folder}/down", "", PUBLIC))
    return files


def _run(plan: Plan, unit: Unit) -> Mapping[str, str]:
    ready = unit.service.policy.ready
    kept = _KEPT | ({"ready"} if ready is not None and ready.kind == "exec" else set())
    gone = lost(unit, kept, plan)
    wanted = [(plan.unit(one.name), one) for one in unit.service.policy.after]
    needs = [_need(plan.app, other, one) for other, one in wanted if other is not None]
    return {
        "name": f"{plan.app}-{unit.name}",
        "lost": f"# not carried over: {', '.join(gone)}" if gone else "",
        "needs": "\n".join(needs),
        "started": "date +%s >started" if _is_counted(unit) else "",
        "commands": _commands(plan, unit, unit.argv),
    }


def _commands(plan: Plan, unit: Unit, argv: tuple[str, ...]) -> str:
    """The lines of sh that execute `argv` as the service is executed, in a process group of its own."""
    line = sh.Line(sh.NEVER)
    prefix = "chpst -P" if plan.user is None else f"chpst -P -u {line.quoted(plan.user)}"
    *first, last = sh.commands(line, unit.environment, argv, folder=unit.cwd, user=plan.user, prefix=prefix)
    return "\n".join([*(f"{one} || exit 111" if one.startswith("cd ") else one for one in first), last])


def _need(app: str, other: Unit, dependency: Dependency) -> str:
    """Lines that end ./run unless `other` is there: runsv tries again in a second."""
    folder = sh.Line().quoted(f"../{app}-{other.name}")
    if dependency.condition in {"started", "ready"}:
        return f"sv start {folder} || exit 1"
    failed = f'  "{_BOOT} "*) echo "{app}-{other.name} has failed"; sv down .; exit 1 ;;\n'
    ended, failed = ('0"', failed) if dependency.condition == "succeeded" else ('"*', "")
    return (
        f"case $(cat {folder}/status 2>/dev/null) in\n"
        f'  "{_BOOT} {ended}) ;;\n'
        f"{failed}"
        f"  *) sv once {folder}; exit 1 ;;\n"
        f"esac"
    )


def _is_counted(unit: Unit) -> bool:
    return not unit.service.policy.task and unit.restart.on != "never" and unit.restart.max is not None


def _policy(unit: Unit) -> str:
    """What ./finish decides: runsv starts it again unless it is told `down`."""
    restart = unit.restart
    if unit.service.policy.task:
        return f'echo "{_BOOT} $1" >status\nsv down .'
    if restart.on == "never":
        return "sv down ."
    lines = []
    if restart.on == "on_failure" and restart.success:
        statuses = "|".join(map(str, sorted(restart.success)))
        lines.append(f"case $1 in {statuses}) rm -f failures; sv down .; exit 0 ;; esac")
    if restart.max is not None:
        reset = math.ceil(restart.reset_after)
        lines += [
            "now=$(date +%s)",
            f'if [ "$((now - $(cat started)))" -ge {reset} ]; then rm -f failures; fi',
            "echo >>failures",
            f'if [ "$(wc -l <failures)" -gt {restart.max} ]; then rm -f failures; sv down .; fi',
        ]
    return "\n".join(lines)


def _log(plan: Plan, unit: Unit) -> Mapping[str, str]:
    if plan.log is None:
        return {"folder": "mkdir -p main || exit 111", "log": "main"}
    folder = sh.Line(sh.NEVER).quoted(f"{plan.log}/{plan.app}-{unit.name}")
    return {"folder": f"mkdir -p {folder} || exit 111", "log": folder}
