"""Which formats there are: devport's own, and those of other packages (entry points `devport.exporters`)."""

from typing import TYPE_CHECKING

from devport.errors import DevportError, UsageError, nearest
from devport.export.plan import Exporter

if TYPE_CHECKING:
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


def _others() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms, and only for strange names

    return {one.name: one for one in entry_points(group=GROUP)}
