"""What a format does not carry over, in the words of devport.yaml; and what no loss can excuse."""

import signal
from collections.abc import Collection, Iterator

from devport.encoding import printable
from devport.export.plan import Plan, Unit, UnitError
from devport.model import RestartPolicy


def lost(unit: Unit, kept: Collection[str], plan: Plan | None = None) -> tuple[str, ...]:
    """The keys of devport.yaml that `unit` has and that are not `kept`; inner ones as `restart.delay`.

    With a `plan`, of which `after` is kept: whom it waits for that is not part of that.
    """
    absent = [one.name for one in unit.service.policy.after if plan and plan.unit(one.name) is None]
    return (
        *(key for key in _keys(unit) if key not in kept),
        *(f"after {name} (not part of this export)" for name in absent),
    )


def lost_to_a_starter(unit: Unit, kept: Collection[str] = ()) -> tuple[str, ...]:
    """What `unit` loses to a program that starts it and does no more: all of `restart`, most of `stop`."""
    gone = [key for key in lost(unit, kept) if not key.startswith("restart.")]
    if unit.service.stop.grace is not None:
        gone.append("stop.timeout")
    return (*gone, *(["restart"] if says_restart(unit) and unit.restart.on != "never" else []))


def says_restart(unit: Unit) -> bool:
    """Whether somebody has said when `unit` is started again; what nobody has said, nobody misses."""
    return unit.service.restart is not None and unit.service.restart_said


def refuse(unit: Unit, format_: str, *, listen: bool = False) -> None:
    """UnitError for a service that is no process, and (without `listen`) for one that is given sockets."""
    policy = unit.service.policy
    way_out = f"(--except {printable(unit.name)} leaves it out)"
    if policy.external:
        why = "it is external (its command returns while it goes on)"
        raise UnitError(unit.name, format_, f"{why}, and only processes are looked after there {way_out}")
    if policy.listen and not listen:
        raise UnitError(unit.name, format_, f"what `listen` declares is not passed on there {way_out}")


def signal_name(unit: Unit, format_: str) -> str:
    """The name of its stop signal, without the SIG; UnitError for one that has none."""
    number = unit.service.stop.signal
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError as error:
        raise UnitError(unit.name, format_, f"there is no name for signal {number} there") from error


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
    if says_restart(unit) and unit.restart.on != "never":
        usual = RestartPolicy()
        # What counts as success is of no importance to one that is started again in any case.
        success = ("success",) if unit.restart.on == "on_failure" else ()
        for key in ("max", "window", "delay", "max_delay", *success):
            if getattr(unit.restart, key) != getattr(usual, key):
                yield f"restart.{key.replace('_', '-')}"
