"""What the formats that are documents (YAML, HCL) share: checks, notes, times, probes as a line of shell."""

import math
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from devport.encoding import printable
from devport.export.plan import Plan, Unit, UnitError
from devport.model import GRACE, Probe
from devport.project.yaml_writer import dump

ALWAYS_READY = 1_000_000
"""Failures of a probe in a row that nothing ever reaches."""
_UNREADABLE = re.compile("[\0\ud800-\udfff]")


def check_text(unit: Unit, format_: str) -> None:
    """UnitError where a word, a value or a folder holds bytes that are no UTF-8: no such format has them."""
    stop = unit.service.stop.command
    probes = [probe.command for probe in (unit.service.policy.ready, unit.service.policy.live) if probe]
    words = [word for words in (unit.argv, stop, *probes) for word in words]
    texts = [("its command", word) for word in words] + [("its folder", unit.cwd)]
    texts += [(name, f"{name}={value}") for name, value in unit.environment.items()]
    for what, text in texts:
        if _UNREADABLE.search(text):
            raise UnitError(unit.name, format_, f"{printable(what)} is not UTF-8")


def block(value: object, depth: int = 0) -> str:
    """`value` (a mapping or a list) as lines of YAML, `depth` levels in, without the last line end."""
    return "\n".join(f"{'  ' * depth}{line}" for line in dump(value).rstrip("\n").split("\n"))


def key(name: str, depth: int = 0) -> str:
    """The line of YAML that begins the mapping `name`."""
    return block({name: 0}, depth).removesuffix(" 0")


def section(name: str, inside: str) -> str:
    """The mapping `name` with the lines `inside`, which are a level in."""
    return f"{name}:\n{inside}".rstrip("\n") if inside else f"{name}: {{}}"


def words(found: Mapping[str, Any], depth: int, empty: Collection[object]) -> dict[str, str]:
    """For a template: each key of `found` with its value, as whole lines of YAML, and all of them as `keys`.

    A template is text, and what stands in a document is quoted by whoever knows how: so a word is never less
    than a key with its value, and a template says which of them there are, and what else. A word whose
    value is one of `empty` is empty.
    """
    given = {name: value for name, value in found.items() if value not in empty}
    each = {name: block({name: value}, depth) if name in given else "" for name, value in found.items()}
    return {**each, "keys": block(given, depth)}


def notes(lines: Iterable[str]) -> str:
    """`lines` as comments, none twice."""
    return "\n".join(f"# {printable(line)}" for line in dict.fromkeys(lines))


def local_names(plan: Plan, unit: Unit) -> list[str]:
    """Where `unit` names another one's port on localhost, which is not the same machine in a container."""
    said: list[str] = []
    for port in sorted({one.port for one in plan.units if one.name != unit.name and one.port is not None}):
        near = re.compile(rf"(localhost|127\.0\.0\.1):{port}(?![0-9])")
        texts = [*unit.environment.items(), *(("its command", word) for word in unit.argv)]
        said += [
            f"{unit.name}: {where} names port {port} on localhost, which is the container itself"
            for where in dict.fromkeys(name for name, text in texts if near.search(text))
        ]
    return said


def whole(seconds: float) -> int:
    """`seconds` for a format that counts in whole ones: at least 1."""
    return max(1, math.ceil(seconds))


def grace(unit: Unit) -> float:
    """Seconds between its stop signal and SIGKILL."""
    return GRACE if unit.service.stop.grace is None else unit.service.stop.grace


def duration(seconds: float) -> str:
    """`seconds` as Go reads it: `5s`, `1500ms`."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{math.ceil(seconds * 1000)}ms"


def shell_text(words: Sequence[str], shell: str = "/bin/sh") -> str:
    """What `shell` has to be given to execute `words`: the text itself, where they are that shell's."""
    if len(words) == 3 and tuple(words[:2]) == (shell, "-c"):  # noqa: PLR2004 - SHELL -c TEXT
        return words[2]
    return f"exec {shlex.join(words)}"


def probe_text(probe: Probe, shell: str = "/bin/sh") -> str | None:
    """A line of shell that ends with 0 where `probe` succeeds; None for what the service says itself.

    tcp needs bash, http curl: sh has no network of its own.
    """
    match probe.kind:
        case "exec":
            return shell_text(probe.command, shell)
        case "tcp" if probe.port is not None:
            host = probe.host.strip("[]")
            return f"exec bash -c {shlex.quote(f': </dev/tcp/{host}/{probe.port}')} 2>/dev/null"
        case "http" if probe.port is not None:
            wanted = "|".join(map(str, probe.statuses)) or "2??"
            asked = f"curl -gsk -o /dev/null -w '%{{http_code}}' {shlex.quote(url(probe))}"
            return f'case "$({asked})" in {wanted}) ;; *) exit 1;; esac'
        case _:
            return None


def ready_of(unit: Unit) -> Probe | None:
    """How `unit` is seen to be ready, its port filled in; None where nothing says so."""
    return _placed(unit, unit.service.policy.ready)


def live_of(unit: Unit) -> Probe | None:
    """How it is seen to be alive."""
    return _placed(unit, unit.service.policy.live)


def _placed(unit: Unit, probe: Probe | None) -> Probe | None:
    if probe is None or probe.kind not in {"http", "tcp"} or probe.port is not None:
        return probe
    return None if unit.port is None else probe._replace(port=unit.port)


def url(probe: Probe) -> str:
    """What an http probe asks for."""
    host = f"[{probe.host}]" if ":" in probe.host else probe.host
    return f"{probe.scheme}://{host}:{probe.port}{probe.path}"


def literal(pattern: str) -> str | None:
    """The text that the regular expression `pattern` finds, where it is one text; else None."""
    if re.search(r"\\[A-Za-z0-9]|(?<!\\)[.^$*+?{}\[\]|()]", re.sub(r"\\\\", "", pattern)):
        return None
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL) or None
