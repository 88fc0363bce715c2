"""`${NAME.port}` and `${NAME.ports.P}` in what devport.yaml says: found at load, replaced at start.

Pure. devenv's `${config.processes.NAME.ports.P.value}` is the same, and so is `${toString ...}` around
it. `$${NAME.port}` stands for the text `${NAME.port}` itself. NAME and P may hold dots, so which dot
divides them is known only with the names of the services.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from devport.errors import nearest
from devport.model import Listen, Policy, Probe, Service

_WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
REFERENCE = rf"\$\{{(?:toString +)?(?:config\.processes\.)?({_WORD}\.ports?(?:\.{_WORD})?)\}}"
_PATTERN = rf"(\$?){REFERENCE}"
Ports = Mapping[str, Mapping[str, int]]


class Reference(NamedTuple):
    """A port that a text names: `port` is empty for the one that is PORT."""

    service: str
    port: str = ""


def readings(inner: str) -> Iterator[Reference]:
    """What `api.ports.admin` can mean, the longest name of a service first."""
    parts = inner.split(".")
    for place in range(len(parts) - 1, 0, -1):
        name, rest = ".".join(parts[:place]), parts[place:]
        if rest == ["port"]:
            yield Reference(name)
        elif rest[0] == "ports" and len(rest) > 1:
            yield Reference(name, ".".join(rest[1:]))
            if rest[-1] == "value" and len(rest) > 2:  # noqa: PLR2004 - a name between the two
                yield Reference(name, ".".join(rest[1:-1]))


def references(text: str) -> Iterator[str]:
    """What stands in each reference of `text`: `api.port`."""
    if "${" in text:
        for match in re.finditer(_PATTERN, text):
            if not match[1]:
                yield match[2]


def protect(text: str) -> str:
    """`text` so that `expand_ports` gives it back: the lines of a Procfile hold no references."""
    return re.sub(_PATTERN, r"$\g<0>", text) if "${" in text else text


def problem(inner: str, services: Mapping[str, Service]) -> str:
    """What is wrong with the reference `inner`, for a message; empty for a port that there will be."""
    named = [one for one in readings(inner) if one.service in services]
    if not named:
        name = next((one.service for one in readings(inner)), inner)
        hint = nearest(name, services) or f" ($${{{inner}}} is the text itself)"
        return f"no service is called {name}{hint}"
    for one in named:
        service = services[one.service]
        own = [request.name for request in service.ports]
        if not service.no_port and (not one.port or one.port in own):
            return ""
    one, service = named[0], services[named[0].service]
    if service.policy.task:
        return f"{one.service} is a task and has no port"
    if service.no_port:
        return f"{one.service} has no port (no-port)"
    return f"{one.service} has no port {one.port}{nearest(one.port, [each.name for each in service.ports])}"


def expand_ports(service: Service, ports: Ports) -> Service:
    """`service` with numbers for all references, and for each probe without a port its own PORT.

    `ports` are those of all services by name (an instance's, `web.2`, or its entry's), the one that is
    PORT first, as `registry.register` gives them; `service` means its own by its entry's name. What
    they do not have stays as it is. For the services of a devport.yaml, those it takes from a Procfile too;
    a Procfile alone names no ports.
    """
    own = ports.get(service.name, {})
    known = {**ports, service.entry: own or ports.get(service.entry, {})}

    def expand(text: str) -> str:
        return _expand(text, known) if "${" in text else text

    def words(command: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(expand, command))

    return service._replace(
        command=words(service.command),
        environment={name: expand(value) for name, value in service.environment.items()}
        if service.environment
        else service.environment,
        stop=service.stop._replace(command=words(service.stop.command)),
        policy=service.policy
        if service.policy == Policy()
        else _policy(service.policy, next(iter(own.values()), None), expand),
    )


def _policy(policy: Policy, port: int | None, expand: Callable[[str], str]) -> Policy:
    return policy._replace(
        ready=policy.ready and _probe(policy.ready, port, expand),
        live=policy.live and _probe(policy.live, port, expand),
        listen=tuple(_listen(one, expand) for one in policy.listen),
        skip=tuple(map(expand, policy.skip)),
    )


def _probe(probe: Probe, port: int | None, expand: Callable[[str], str]) -> Probe:
    probe = probe._replace(command=tuple(map(expand, probe.command)), path=expand(probe.path))
    if probe.kind not in {"http", "tcp"}:
        return probe
    if "${" in probe.host:
        host, _, number = expand(probe.host).rpartition(":")
        if number.isdecimal():
            return probe._replace(host=host.strip("[]"), port=int(number))
    return probe._replace(port=port) if probe.port is None else probe


def _listen(listen: Listen, expand: Callable[[str], str]) -> Listen:
    return listen._replace(address=expand(listen.address))


def _expand(text: str, ports: Ports) -> str:
    def number(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        for one in readings(match[2]):
            # The first instance stands for an entry that runs under other names only.
            own = ports.get(one.service) or ports.get(f"{one.service}.1") or {}
            if not one.port and own:
                return str(next(iter(own.values())))
            if one.port in own:
                return str(own[one.port])
        return match[0]

    return re.sub(_PATTERN, number, text)
