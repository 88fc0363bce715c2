"""Values for tests: each builder makes a sensible one, and what a test is about it says by name."""

from devport.engine.lifecycle import Event, Kind, Lifecycle
from devport.model import RestartPolicy, Service, View

SIGTERM, SIGINT, SIGKILL = 15, 2, 9
GRACE = 5.0


def policy(**overrides):
    """A policy that restarts after a crash, without limit, unless `overrides` say otherwise."""
    return RestartPolicy(**{"on": "on_failure", **overrides})


def lifecycle(**overrides):
    """A stopped Lifecycle; names that RestartPolicy has go into its policy."""
    own = {key: overrides.pop(key) for key in list(overrides) if key in RestartPolicy._fields}
    values = {"restart": policy(**own), "stop_signal": SIGTERM, "grace": GRACE, **overrides}
    return Lifecycle(values.pop("restart"), values.pop("stop_signal"), values.pop("grace"), **values)


def service(**overrides):
    """A Service called web that does nothing."""
    return Service(**{"name": "web", "entry": "web", "command": ("true",), "cwd": "/", **overrides})


def view(**overrides):
    """A View without time stamps, so that lines can be written down."""
    return View(**{"timestamp": None, **overrides})


def exited(status=0, *, leftovers=False):
    """The process ended: its exit code, or minus the signal that killed it."""
    return Event(Kind.EXITED, status, leftovers=leftovers)


def unhealthy(reason="no answer"):
    """A probe failed, or the watchdog was missed."""
    return Event(Kind.UNHEALTHY, reason=reason)


def spawn_failed(status=127, reason="cannot run nope: No such file or directory"):
    """There is nothing to execute."""
    return Event(Kind.SPAWN_FAILED, status, reason)


def lost(reason=""):
    """A dependency is not met; with a reason it never will be."""
    return Event(Kind.LOST, reason=reason)
