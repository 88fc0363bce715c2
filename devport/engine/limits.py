"""Resource limits (setrlimit(2)): those of whoever starts a service, for supervisors that have others.

A background service has the tmux server above it, whose limits are those of the shell that tmux was once
started from.
"""

import resource
from collections.abc import Mapping
from types import MappingProxyType

# The address space last: what is done behind it in the child must need no memory.
_NAMES = ("NOFILE", "CORE", "NPROC", "FSIZE", "STACK", "MEMLOCK", "DATA", "AS")
_NUMBERS = {
    name: getattr(resource, f"RLIMIT_{name}") for name in _NAMES if hasattr(resource, f"RLIMIT_{name}")
}
UNLIMITED = -1
"""What a record has for no limit, whatever number this system has for it."""

Limits = Mapping[str, tuple[int, int]]
"""Soft and hard limit, by name."""
NO_LIMITS: Limits = MappingProxyType({})


def no_cores() -> tuple[int, int]:
    """A crash writes our memory, with all environments, to no disk; returns the limits until now."""
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    return limits


def current() -> Limits:
    """The limits of this process."""
    return {name: _stored(*resource.getrlimit(number)) for name, number in _NUMBERS.items()}


def _stored(soft: int, hard: int) -> tuple[int, int]:
    return tuple(UNLIMITED if one == resource.RLIM_INFINITY else one for one in (soft, hard))  # type: ignore[return-value]


def adopt(limits: Limits) -> None:
    """Give this process `limits`, each as far as it can have it: nobody but root raises a hard limit."""
    for name, number in _NUMBERS.items():
        if name not in limits:
            continue
        soft, hard = (resource.RLIM_INFINITY if one == UNLIMITED else one for one in limits[name])
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError):
            _adopt_what_is_allowed(number, soft, hard)


def _adopt_what_is_allowed(number: int, soft: int, hard: int) -> None:
    hard = _lower(hard, resource.getrlimit(number)[1])
    try:
        resource.setrlimit(number, (_lower(soft, hard), hard))
    except (OSError, ValueError):
        pass  # the limits of the supervisor then; no reason not to run


def _lower(one: int, other: int) -> int:
    return min((limit for limit in (one, other) if limit != resource.RLIM_INFINITY), default=one)
