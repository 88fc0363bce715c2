"""A Procfile and an env file for honcho, foreman, overmind, hivemind and goreman, with devport's ports.

These programs count ports themselves and read env files with grammars of their own; so each line sets what
its service is to see, quoted for the shell that runs the line, and the env file has what all share. It is
written without any quotes, which all of them read the same way; a value that cannot be written so stands in
the line as well. They end all as soon as one has ended: so something waits in the place of a task that has
succeeded.
"""

import re

from devport.export import sh
from devport.export.lost import lost_to_a_starter, refuse
from devport.export.plan import PRIVATE, File, Plan, Unit, UnitError, fill

PROCFILE = """\
{{entries}}
"""
ENTRY = """\
{{lost}}
{{name}}: {{command}}
"""
ENV = """\
{{variables}}
"""
TAKES = frozenset({"shell", "template-dir"})
TEMPLATES = {"procfile": PROCFILE, "procfile-entry": ENTRY, "procfile.env": ENV}
WAIT = "tail -f /dev/null"
"""What goes on for ever, does nothing, and ends by any signal."""
NAME = re.compile("[^A-Za-z0-9_-]")
# What every one of them reads back as it stands: no quotes, backslashes, dollars, comments; no blanks, which
# honcho leaves out, and not nothing, which it does not set.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
# What decides which program a manager runs, or what that loads: the env file becomes its own environment.
_STEERS = re.compile(
    "PATH|HOME|TMPDIR|SHELL|ENV|TMUX|PYTHON.*|RUBY(LIB|OPT)"
    "|(BASH|XDG|LD|DYLD|TMUX|GEM|BUNDLE|OVERMIND|HIVEMIND)_.*"
)


def render(plan: Plan) -> tuple[File, ...]:
    """`Procfile` and `.env`; UnitError for two services that a Procfile would have to call the same."""
    names: dict[str, str] = {}
    for unit in plan.units:
        other = names.setdefault(NAME.sub("-", unit.name), unit.name)
        if other != unit.name:
            raise UnitError(unit.name, "procfile", f"it would be called the same as {other} there")
    shared = _shared(plan)
    easy = {name: value for name, value in shared.items() if _is_easy(name, value)}
    lines = "".join(_entry(plan, unit, easy) for unit in plan.units)
    values = {"app": plan.app, "entries": lines.rstrip("\n")}
    env = "\n".join(f"{name}={value}" for name, value in sorted(easy.items()))
    return (
        File("Procfile", fill(plan, "procfile", PROCFILE, values), PRIVATE),
        File(".env", fill(plan, "procfile.env", ENV, {"app": plan.app, "variables": env}), PRIVATE),
    )


def _entry(plan: Plan, unit: Unit, shared: dict[str, str]) -> str:
    refuse(unit, "procfile")
    name, gone = NAME.sub("-", unit.name), lost_to_a_starter(unit)
    values = {
        "app": plan.app,
        "lost": f"# {name}: not carried over: {', '.join(gone)}" if gone else "",
        "name": name,
        "command": _command(plan, unit, shared),
    }
    return fill(plan, "procfile-entry", ENTRY, values)


def _shared(plan: Plan) -> dict[str, str]:
    """What all services see alike."""
    first, *others = [unit.environment for unit in plan.units]
    return {
        name: value
        for name, value in first.items()
        if name != "PORT" and all(other.get(name) == value for other in others)
    }


def _is_easy(name: str, value: str) -> bool:
    """Whether the env file can hold it, and the shell of the line leaves it as it is."""
    plain = _PLAIN.fullmatch(value) and _VARIABLE.fullmatch(name) and not _STEERS.fullmatch(name)
    return bool(plain) and name not in sh.SHELLS_OWN


def _command(plan: Plan, unit: Unit, shared: dict[str, str]) -> str:
    """One line of shell: folder, variables, and the command."""
    own = {name: value for name, value in unit.environment.items() if shared.get(name) != value}
    # A `$NAME` anywhere in the line would be replaced by foreman itself.
    line = sh.Line(breaks=re.compile(r"(?<=\$)(?=[A-Za-z_{])"))
    words = " ".join(
        line.quoted(word) for word in (*(f"{name}={value}" for name, value in own.items()), *unit.argv)
    )
    folder = f"cd {line.quoted(unit.cwd)} && " if unit.cwd != plan.root else ""
    # The one that all of these programs set has nothing to do with a service that has none.
    unset = "" if "PORT" in unit.environment else "unset PORT && "
    first = f"{line.preamble()}{unset}{folder}"
    program = f"{'/usr/bin/env ' if own else ''}{words}"
    if unit.service.policy.task:
        return f"{first}{program} && exec {WAIT}"
    return f"{first}exec {program}"
