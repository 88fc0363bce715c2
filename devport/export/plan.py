"""What an exporter is given, and what it gives back: plain values, nothing read and nothing written.

A format is a module (or an object) with `render(plan) -> files`; with `TAKES`, the options it knows beside
those that say which services and ports there are (COMMON, if it does not say); with `TEMPLATES`, its texts
with `{{name}}` by the file name under which a user's own replaces one (any file, if it does not say).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from devport.encoding import printable
from devport.errors import UsageError, nearest
from devport.export.parts import Word
from devport.model import NOTHING, RestartPolicy, Service

PUBLIC, PRIVATE, PROGRAM, PRIVATE_PROGRAM = 0o644, 0o600, 0o755, 0o700
COMMON = frozenset({"user", "log", "shell", "template-dir"})
"""Options that most formats know, by their long names without the dashes."""
SPECIAL = frozenset({"system", "supervised", "attach"})
"""Those that only a format which says so knows."""


class Unit(NamedTuple):
    """One instance of a service, as another manager is to run it.

    `name` is the instance's (`web`, `web.2`), `argv` what is executed (a shell with its text, or a program
    with its words), `environment` what is set on purpose: env files, `environment:`, ports; not what the
    caller's shell happens to hold. `ports` by name, the one that is PORT first. The rest (policy, stop,
    dependencies by instance names) is in `service`; `restart` is what it comes to in the background.
    `parts` are those of each word of `argv` (none: nothing is known of them).
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    service: Service
    restart: RestartPolicy
    parts: tuple[Word, ...] = ()

    @property
    def port(self) -> int | None:
        """Its PORT."""
        return next(iter(self.ports.values()), None)

    @property
    def text(self) -> str | None:
        """The text that a shell runs; None where no shell is in between."""
        argv = self.argv
        is_shell = len(argv) == 3 and argv[1] == "-c" and re.fullmatch("(.*/)?(ba|da|k|z)?sh", argv[0])  # noqa: PLR2004
        return argv[2] if is_shell else None


class Plan(NamedTuple):
    """The project `app` in the folder `root`, one Unit an instance, in file order.

    `user` is who runs it (None: not said), `log` the folder for logs (None: the format's own way),
    `shell` the shell that a text is given to. `templates` are the user's, by name. `options` are
    what only some formats know: `system`, `attach`, `supervised`. `origin` are the words of a command line
    by which devport finds the same files, env files and ports again. `groups` are the project's: entries
    by name.
    """

    app: str
    root: str
    units: tuple[Unit, ...]
    user: str | None = None
    log: str | None = None
    shell: str = "/bin/sh"
    templates: Mapping[str, str] = NOTHING
    options: frozenset[str] = frozenset()
    groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    origin: tuple[str, ...] = ()

    def unit(self, name: str) -> Unit | None:
        """The one that is called `name`; None where it is not part of the export."""
        return next((one for one in self.units if one.name == name), None)


class UnitError(UsageError):
    """A format cannot say the service `name`; `why` calls the format `there`."""

    def __init__(self, name: str, format_: str, why: str) -> None:
        super().__init__(f"cannot export {printable(name)} to {format_}: {why}")
        self.name, self.why = name, why


class File(NamedTuple):
    """One file of an export: its path below the location, what it holds, its permissions."""

    path: str
    content: str
    mode: int = PUBLIC


class Exporter(Protocol):
    """A format: pure, the same files for the same plan."""

    def render(self, plan: Plan) -> tuple[File, ...]:
        """The files of `plan`; UsageError for what the format cannot say, with the service's name."""


def fill(plan: Plan, name: str, built_in: str, values: Mapping[str, object]) -> str:
    """The template `name` (the user's, else `built_in`) with its `{{words}}` replaced.

    A line that consists of nothing but a word whose value is empty goes. UsageError for a word that
    there is not.
    """
    text = plan.templates.get(name, built_in)

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            hint = nearest(match[1], values)
            raise UsageError(f"cannot use template {name}: there is no {{{{{match[1]}}}}}{hint}")
        return str(values[match[1]])

    lines = []
    for line in text.splitlines(keepends=True):
        filled = re.sub(r"\{\{(\w+)\}\}", value, line)
        if filled.strip() or not re.fullmatch(r"\s*\{\{\w+\}\}\s*", line):
            lines.append(filled)
    return "".join(lines)
