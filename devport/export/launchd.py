"""Property lists for launchd (macOS): one for each instance, written by plistlib.

launchd expands nothing in them. What XML cannot hold (a carriage return, controls, what is no Unicode)
goes through a shell, in one line.
"""

import math
import plistlib
import re
from typing import Any

from devport.encoding import printable
from devport.errors import UsageError
from devport.export import sh
from devport.export.lost import lost, refuse
from devport.export.plan import COMMON, PRIVATE, File, Plan, Unit, fill
from devport.model import GRACE

TEMPLATE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
{{lost}}
<plist version="1.0">
<dict>
{{keys}}
</dict>
</plist>
"""
TAKES = COMMON
TEMPLATES = {"launchd.plist": TEMPLATE}
_KEYS = (
    *("Label", "ProgramArguments", "EnvironmentVariables", "WorkingDirectory", "UserName", "RunAtLoad"),
    *("KeepAlive", "Disabled", "ExitTimeOut", "AbandonProcessGroup", "ThrottleInterval"),
    *("StandardOutPath", "StandardErrorPath"),
)
_NO_XML = re.compile("[\0-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]+")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")  # another name does not get through dash
_KEPT = {"restart.delay"}


def render(plan: Plan) -> tuple[File, ...]:
    """`APP.NAME.plist` for each instance."""
    files = tuple(_file(plan, unit) for unit in plan.units)
    seen: dict[str, str] = {}
    for file in files:
        if other := seen.get(file.path.casefold()):
            raise UsageError(
                f"cannot export {plan.app} to launchd: {printable(other)} and {printable(file.path)} are one"
                " file on macOS, which does not tell capital letters from small ones"
            )
        seen[file.path.casefold()] = file.path
    return files


def _file(plan: Plan, unit: Unit) -> File:
    refuse(unit, "launchd")
    label = f"{plan.app}.{unit.name}"
    job = _job(plan, unit, label)
    gone = lost(unit, _KEPT)
    values = {
        "app": plan.app,
        "lost": f"<!-- not carried over: {', '.join(gone)} -->" if gone else "",
        **{key: _inside({key: job[key]}) if key in job else "" for key in _KEYS},
        "keys": _inside(job),
    }
    return File(f"{label}.plist", fill(plan, "launchd.plist", TEMPLATE, values), PRIVATE)


def _inside(job: dict[str, Any]) -> str:
    """What stands between `<dict>` and `</dict>`: whole lines, as plistlib quotes them."""
    text = plistlib.dumps(job, sort_keys=False).decode()
    return text.partition("<dict>\n")[2].rpartition("\n</dict>")[0]


def _job(plan: Plan, unit: Unit, label: str) -> dict[str, Any]:
    once = unit.service.policy.task or unit.restart.on == "never"
    keep = False if once else True if unit.restart.on == "always" else {"SuccessfulExit": False}
    is_on = unit.service.enable == "true"
    grace = GRACE if unit.service.stop.grace is None else unit.service.stop.grace
    easy = {
        name: value
        for name, value in unit.environment.items()
        if _VARIABLE.fullmatch(name) and name not in sh.SHELLS_OWN and not _NO_XML.search(value)
    }
    job: dict[str, Any] = {"Label": label, "ProgramArguments": _argv(unit, easy)}
    if easy:
        job["EnvironmentVariables"] = easy
    if not _NO_XML.search(unit.cwd):
        job["WorkingDirectory"] = unit.cwd
    if plan.user is not None:
        job["UserName"] = plan.user
    job |= {"RunAtLoad": is_on, "KeepAlive": keep}
    if not is_on:
        job["Disabled"] = True
    job |= {"ExitTimeOut": max(1, math.ceil(grace)), "AbandonProcessGroup": False}
    if not once:
        job["ThrottleInterval"] = max(1, math.ceil(unit.restart.delay))
    if plan.log is not None:
        log = f"{plan.log}/{label}.log"
        if _NO_XML.search(log):
            raise UsageError(
                f"cannot export to launchd: a property list cannot name the --log {printable(plan.log)}"
            )
        job |= {"StandardOutPath": log, "StandardErrorPath": log}
    return job


def _argv(unit: Unit, easy: dict[str, str]) -> list[str]:
    """What launchd executes: the words as they are where XML can hold everything."""
    rest = {name: value for name, value in unit.environment.items() if name not in easy}
    folder = unit.cwd if _NO_XML.search(unit.cwd) else None
    if not rest and folder is None and not any(_NO_XML.search(word) for word in unit.argv):
        return list(unit.argv)
    line = sh.Line()
    steps = sh.commands(line, rest, unit.argv, folder=folder)
    return ["/bin/sh", "-c", line.preamble() + " && ".join(steps)]
