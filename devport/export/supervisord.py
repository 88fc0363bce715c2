"""A configuration of supervisord: a group, and a program for each instance.

How supervisord reads it (4.3, options.py and datatypes.py): an ini file in which ` ;` and ` #` begin comments
even inside quotes; `%(NAME)s` is expanded, so a percent is doubled, but `%(here)s` is replaced before that;
`command` is split as shlex.split does; in `environment` a value stands in quotes of one kind that cannot be
escaped, and loses the quotes that it begins or ends with itself. What cannot be written like this goes
through a shell, in one line.
"""

import math
import re
import shlex
from collections.abc import Iterable, Mapping

from devport.encoding import printable
from devport.errors import UsageError
from devport.export import sh
from devport.export.lost import lost, refuse, signal_name
from devport.export.plan import COMMON, PRIVATE, File, Plan, Unit, fill
from devport.model import GRACE

EXTENSION = ".conf"
FILE = """\
; {{app}} for supervisord, written by `devport export supervisord`
; Programs are started in order of priority, and stopped in the reverse: supervisord does not wait for one
; to be ready before it starts the next.

[group:{{app}}]
programs={{names}}
{{programs}}
"""
PROGRAM = """\

[program:{{name}}]
{{lost}}
command={{command}}
{{directory}}
{{environment}}
{{user}}
priority={{priority}}
autostart={{autostart}}
autorestart={{autorestart}}
{{exitcodes}}
startsecs={{startsecs}}
startretries={{startretries}}
stopsignal={{signal}}
stopwaitsecs={{grace}}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={{log}}
"""
TAKES = COMMON
TEMPLATES = {"supervisord.conf": FILE, "supervisord-program.conf": PROGRAM}
WITHOUT_LIMIT = 1_000_000
_KEPT = {"after", "stop.signal", "restart.max", "restart.success"}
_BREAKS = re.compile(r"(?<=%)(?=\()|(?<=[^!-~])(?=[;#])")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")  # another name does not get through dash


def render(plan: Plan) -> tuple[File, ...]:
    """`APP.conf`, to be included by a supervisord.conf."""
    programs = "".join(_program(plan, unit) for unit in plan.units)
    values = {
        "app": plan.app,
        "names": ",".join(f"{plan.app}-{unit.name}" for unit in plan.units),
        "programs": programs.rstrip("\n"),
    }
    return (File(f"{plan.app}{EXTENSION}", fill(plan, "supervisord.conf", FILE, values), PRIVATE),)


def _program(plan: Plan, unit: Unit) -> str:
    refuse(unit, "supervisord")
    shells = sh.SHELLS_OWN if plan.user is None else sh.SHELLS_OWN | sh.LOGIN
    plain = {
        name: value
        for name, value in unit.environment.items()
        if name not in shells and _is_plain(name, value)
    }
    once = unit.service.policy.task or unit.restart.on == "never"
    gone = lost(unit, _KEPT, plan)
    values = {
        "name": f"{plan.app}-{unit.name}",
        "lost": f"; not carried over: {', '.join(gone)}" if gone else "",
        "command": command(_words(plan, unit, plain)),
        "directory": f"directory={_doubled(unit.cwd)}" if _is_path(unit.cwd) else "",
        "environment": environment(plain),
        "user": "" if plan.user is None else f"user={_doubled(plan.user)}",
        "priority": 100 + _level(plan, unit),
        "autostart": "true" if unit.service.enable == "true" else "false",
        "autorestart": "false" if once else {"always": "true"}.get(unit.restart.on, "unexpected"),
        "exitcodes": "" if once else f"exitcodes={','.join(map(str, sorted(unit.restart.success)))}",
        "startsecs": 0 if once else max(1, math.ceil(unit.restart.reset_after)),
        "startretries": 0 if once else WITHOUT_LIMIT if unit.restart.max is None else unit.restart.max,
        "signal": signal_name(unit, "supervisord"),
        "grace": math.ceil(GRACE if unit.service.stop.grace is None else unit.service.stop.grace),
        "log": _log(plan, unit),
    }
    return fill(plan, "supervisord-program.conf", PROGRAM, values)


def _words(plan: Plan, unit: Unit, plain: Mapping[str, str]) -> tuple[str, ...]:
    """What supervisord executes: the words as they are, where it can read, find and place them."""
    program = unit.argv[0]
    # Another one would be looked for below the folder of supervisord itself.
    is_found = program != "" and ("/" not in program or program.startswith("/"))
    is_read = not any(sh.AWKWARD.search(word) for word in unit.argv)
    rest = {name: value for name, value in unit.environment.items() if name not in plain}
    folder = None if _is_path(unit.cwd) else unit.cwd
    if not rest and folder is None and plan.user is None and is_found and is_read:
        return unit.argv
    line = sh.Line()
    steps = sh.commands(line, rest, unit.argv, folder=folder, user=plan.user)
    return "/bin/sh", "-c", line.preamble() + " && ".join(steps)


def command(words: Iterable[str]) -> str:
    """`words`, none of which has an AWKWARD letter, as a value of `command`."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """One word for shlex.split; a quote is closed where a comment or an expansion would begin."""
    return _doubled("".join(shlex.quote(part) for part in _BREAKS.split(word) if part) or "''")


def environment(plain: Mapping[str, str]) -> str:
    """The line `environment=` for values that are all plain; empty for none."""
    quoted = [f"{name}={_in_quotes(_doubled(value))}" for name, value in plain.items()]
    return "environment=" + ",".join(quoted) if quoted else ""


def _in_quotes(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


def _is_plain(name: str, value: str) -> bool:
    """Whether `environment` can hold it."""
    return (
        _VARIABLE.fullmatch(name) is not None
        and not sh.AWKWARD.search(value)
        and not _BREAKS.search(value)
        and not ('"' in value and "'" in value)
        and value.strip("'\"") == value
    )


def _is_path(path: str) -> bool:
    """Whether it can stand behind a `=` without quotes."""
    return not sh.AWKWARD.search(path) and not _BREAKS.search(path) and path.strip() == path


def _doubled(text: str) -> str:
    return text.replace("%", "%%")


def _log(plan: Plan, unit: Unit) -> str:
    if plan.log is None:
        return "AUTO"
    if not _is_path(plan.log):
        raise UsageError(
            f"cannot export to supervisord: it cannot read the folder {printable(plan.log)} of --log"
        )
    return _doubled(f"{plan.log}/{plan.app}-{unit.name}.log")


def _level(plan: Plan, unit: Unit) -> int:
    """How many have to be there first, one behind the other."""
    first = (plan.unit(dependency.name) for dependency in unit.service.policy.after)
    return max((_level(plan, one) + 1 for one in first if one is not None), default=0)
