"""What a format does not carry over, in the words of devport.yaml; and what no loss can excuse."""

import signal
from collections.abc import Collection, Iterator

from devport.encoding import printable
from devport.errors import UsageError
from devport.export.plan import Unit
from devport.model import RestartPolicy


def lost(unit: Unit, kept: Collection[str]) -> tuple[str, ...]:
    """The keys of devport.yaml that `unit` has and that are not `kept`; inner ones as `restart.delay`."""
    return tuple(key for key in _keys(unit) if key not in kept)


def refuse(unit: Unit, format_: str, *, listen: bool = False) -> None:
    """UsageError for a service that is no process, and (without `listen`) for one that is given sockets."""
    policy = unit.service.policy
    name = printable(unit.name)
    if policy.external:
        raise UsageError(
            f"cannot export {name} to {format_}: it is external (its command returns while it goes on), "
            f"and {format_} looks after processes (--except {name} leaves it out)"
        )
    if policy.listen and not listen:
        raise UsageError(
            f"cannot export {name} to {format_}: {format_} does not pass on what `listen` declares "
            f"(--except {name} leaves it out)"
        )


def signal_name(unit: Unit, format_: str) -> str:
    """The name of its stop signal, without the SIG; UsageError for one that has none."""
    number = unit.service.stop.signal
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError as error:
        raise UsageError(
            f"cannot export {printable(unit.name)} to {format_}: {format_} has no name for signal {number}"
        ) from error


def _keys(unit: Unit) -> Iterator[str]:
    service, policy = unit.service, unit.service.policy
    probe = policy.ready
    has = {
        "after": bool(policy.after),
        "ready": probe is not None and not probe.automatic,
        "live": policy.live is not None,
        "watchdog": policy.watchdog is not None,
        "watch": policy.watch is not None,
        "status": bool(policy.skip),
        "stop.exec": bool(service.stop.command),
        "stop.signal": service.stop.signal != signal.SIGTERM,
        "interactive": service.interactive,
    }
    yield from (key for key, is_there in has.items() if is_there)
    if unit.restart.on != "never":
        usual = RestartPolicy()
        for key in ("max", "window", "delay", "max_delay", "success"):
            if getattr(unit.restart, key) != getattr(usual, key):
                yield f"restart.{key.replace('_', '-')}"
