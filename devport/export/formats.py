"""Which formats there are: devport's own, and those of other packages (entry points `devport.exporters`)."""

from typing import TYPE_CHECKING

from devport.encoding import printable
from devport.errors import DevportError, UsageError, nearest
from devport.export.plan import COMMON, SPECIAL, Exporter, File, Plan
from devport.export.target import is_below

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from importlib.metadata import EntryPoint

GROUP = "devport.exporters"
OWN = {
    "tmux": "a shell script that opens a session with a window for each service",
    "systemd": "units: a target, a service for each instance, sockets",
    "supervisord": "a configuration of supervisord",
    "runit": "a folder for each service, with a logger",
    "launchd": "a property list for each service (macOS)",
    "upstart": "jobs of upstart",
    "process-compose": "a process-compose.yaml",
    "mprocs": "a mprocs.yaml",
    "procfile": "a Procfile and an env file with all ports resolved",
    "compose": "a compose.yaml for docker",
    "kubernetes": "manifests: deployments, services, a secret",
    "nomad": "a job of Nomad",
}


def find(name: str) -> Exporter:
    """The format `name`; UsageError where there is none, DevportError where it cannot be loaded."""
    if name in OWN:
        module = __import__(f"devport.export.{name.replace('-', '_')}", fromlist=["render"])
        exporter: Exporter = module
        return exporter
    others = _others()
    if name not in others:
        known = [*OWN, *others]
        hint = nearest(name, known) or f" (there is {', '.join(known)})"
        raise UsageError(f"cannot export to {name}: there is no such format{hint}")
    try:
        found: Exporter = others[name].load()
    except Exception as error:  # another package's code, whatever it does
        raise DevportError(f"cannot export to {name}: {type(error).__name__}: {error}") from error
    return found


def render(name: str, exporter: Exporter, plan: Plan) -> tuple[File, ...]:
    """The files of `plan`; DevportError where another package's format fails, or leaves the location."""
    try:
        files = tuple(exporter.render(plan))
        strange = [file.path for file in files if not is_below(file.path)]
    except DevportError:
        raise
    except Exception as error:
        if name in OWN:
            raise
        raise DevportError(f"cannot export to {name}: {type(error).__name__}: {error}") from error
    if strange:
        raise DevportError(f"cannot export to {name}: {printable(strange[0])} is not below the LOCATION")
    return files


def check_options(name: str, exporter: Exporter, given: "Collection[str]") -> None:
    """UsageError where one of `given` (long names without dashes) means nothing to the format `name`."""
    wrong = sorted((COMMON | SPECIAL).intersection(given) - _takes(exporter))
    if wrong:
        knows = [own for own in OWN if wrong[0] in _takes(find(own))]
        them = " and ".join([", ".join(knows[:-1]), knows[-1]] if knows[1:] else knows)
        raise UsageError(f"cannot export: --{wrong[0]} is for {them}, not for {name}")


def _takes(exporter: Exporter) -> frozenset[str]:
    return frozenset(getattr(exporter, "TAKES", COMMON))


def templates(exporter: Exporter) -> "Mapping[str, str] | None":
    """The built-in templates of a format by name; None where it does not say which there are."""
    found: Mapping[str, str] | None = getattr(exporter, "TEMPLATES", None)
    return found


def _others() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, and only for strange names

    return {one.name: one for one in entry_points(group=GROUP)}
