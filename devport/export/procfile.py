"""A Procfile and an env file for honcho, foreman, overmind, hivemind and goreman, with devport's ports.

These programs count ports themselves and read env files with grammars of their own; so each line sets what
its service is to see, quoted for the shell that runs the line, and the env file has what all share. It is
written in single quotes without any, which all of them read the same way; a value that cannot be written so
stands in the line as well.
"""

import re
import shlex

from devport.export.plan import PRIVATE, File, Plan, Unit

NAME = re.compile("[^A-Za-z0-9_-]")
# What every one of them reads back as it stands: no quotes, backslashes, dollars, comments, outer blanks.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-][A-Za-z0-9_./:@%+,= -]*(?<! )|")


def render(plan: Plan) -> tuple[File, ...]:
    """`Procfile` and `.env`."""
    shared = _shared(plan)
    easy = {name: value for name, value in shared.items() if _PLAIN.fullmatch(value)}
    lines = "".join(f"{NAME.sub('-', unit.name)}: {_command(plan, unit, easy)}\n" for unit in plan.units)
    env = "".join(f"{name}={value}\n" for name, value in sorted(easy.items()))
    return File("Procfile", lines, PRIVATE), File(".env", env, PRIVATE)


def _shared(plan: Plan) -> dict[str, str]:
    """What all services see alike."""
    first, *others = [unit.environment for unit in plan.units]
    return {
        name: value
        for name, value in first.items()
        if name != "PORT" and all(other.get(name) == value for other in others)
    }


def _command(plan: Plan, unit: Unit, shared: dict[str, str]) -> str:
    """One line of shell: folder, variables, and the command."""
    own = {name: value for name, value in unit.environment.items() if shared.get(name) != value}
    words = [*(f"{name}={value}" for name, value in own.items()), *unit.argv]
    folder = f"cd {quoted(unit.cwd)} && " if unit.cwd != plan.root else ""
    line = f"{folder}exec {'env ' if own else ''}{' '.join(map(quoted, words))}"
    return f"{_LINE_FEED} && {line}" if any("\n" in word for word in (*words, unit.cwd)) else line


_LINE_FEED = """N="$(printf '\\n_')" && N="${N%_}\""""


def quoted(word: str) -> str:
    """`word` for a shell, on one line and with no `$NAME` in it, which foreman would replace itself."""
    lines = [
        "".join(shlex.quote(part) for part in re.split(r"(?<=\$)(?=[A-Za-z_{])", line) if part)
        for line in word.split("\n")
    ]
    return '"$N"'.join(lines) or "''"
