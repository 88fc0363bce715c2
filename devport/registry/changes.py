"""What of a service has changed since it was started: pure, for the message that says when it will count."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devport.model import Service
    from devport.registry.record import Record


def changes(was: "Record", service: "Service", variables: Mapping[str, str]) -> list[str]:
    """What `service` has otherwise than its record, as options for a command, else as a file's keys.

    `variables` are those that its files set now. A record of the foreground has none to compare with.
    """
    stored = dict(variable.split("=", 1) for variable in was.env if "=" in variable)
    differs = {
        "command": was.cmd != service.command,
        "cwd": was.cwd != service.cwd,
        "no-port": was.no_port != service.no_port,
        "port-env": was.port_env != service.port_env,
        "restart": was.restart != service.restart,
        "tailnet": service.tailnet and not was.tailnet,  # `tailup` may have switched it on
        "env": bool(stored) and any(stored.get(name) != value for name, value in variables.items()),
    }
    option = "" if service.entry else "--"
    return [option + name for name, changed in differs.items() if changed]
