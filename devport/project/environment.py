"""What the environment of a service is: layers in, one mapping out.

Pure: reads no file and not os.environ. Owns the order of the layers, the variables that devport sets
itself, and the ones meant for devport that no service may inherit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from devport.model import NOTHING, Service

# Addressed to devport by whoever started it (systemd, tmux, another devport). A service that inherited
# them would notify the wrong manager or believe that descriptors 3 and up are its sockets. The key would
# stand in every service's record.
INTERNAL = frozenset(
    {
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "NOTIFY_SOCKET",
        "DEVPORT_SHELL",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "TMUX",
        "TMUX_PANE",
        "DEVPORT_HASH",
        "DEVPORT_RUN",
        "PS",
        "TAILSCALE_API_KEY",
    }
)

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
# `$$` is taken first, so that `$$HOME` is the two characters and a word, as it was written.
_VARIABLE = rf"\$\$|\$(?:\{{({_NAME})\}}|({_NAME}))"

# Not compiled here: most runs need none of these, and each costs a part of a millisecond.
_PLAIN_NAME = r"[A-Za-z_][A-Za-z0-9_.%-]*"
_PLAIN_VALUE = r"[A-Za-z0-9_./:@%+,=-]*"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\r": "\\r", "\n": "\\n"})


def common(
    base: Mapping[str, str],
    project_env: Mapping[str, str],
    project_ports: Mapping[str, Mapping[str, int]],
    env_wins: bool,
) -> dict[str, str]:
    """What all services of a project see alike; made once, because hundreds of them share it.

    `base` is devport's own environment, `project_env` what the env files say, `project_ports` every
    service's ports by name, the first one first. `env_wins` lets `base` beat the env files. A `DB_PORT`
    that a file sets on purpose beats the one that stands for the entry `db`, which may well ignore its
    PORT.
    """
    inherited, others = _inherited(base), _other_ports(project_ports)
    return {**others, **project_env, **inherited} if env_wins else {**inherited, **others, **project_env}


def own(
    service: Service,
    hash_: str,
    ports: Mapping[str, int],
    service_env: Mapping[str, str],
    beaten_by: Mapping[str, str] = NOTHING,
) -> dict[str, str]:
    """What `service` sees beside or instead of that.

    `ports` are its own by name (first one first, empty for none), `service_env` is what its own env
    files say, unless `beaten_by` (the environment, where that wins) says something else.
    """
    files = {name: value for name, value in service_env.items() if name not in _inherited(beaten_by)}
    named = {request.name: ports[request.name] for request in service.ports if ports}
    port = next(iter(named.values() or ports.values()), None)
    return {
        **files,
        **service.environment,
        **own_variables(service.name, hash_, service.port_env, port, named),
    }


def _inherited(base: Mapping[str, str]) -> dict[str, str]:
    # PORT in our own environment is a wish to devport (or what an outer devport gave to this one):
    # handed down to a service without a port it would be somebody else's.
    return {name: value for name, value in base.items() if name not in INTERNAL and name != "PORT"}


def own_variables(
    name: str, hash_: str, port_env: str, port: int | None, named: Mapping[str, int]
) -> dict[str, str]:
    """The variables that are a service's own: its ports, its name and its hash; they beat all others."""
    ports = {f"PORT_{variable(each)}": str(number) for each, number in named.items()}
    if port is not None:
        ports[port_env] = str(port)
    return {**ports, "PS": name, "DEVPORT_HASH": hash_}


def variable(name: str) -> str:
    """`name` as a part of a variable's name: upper case, every other character an underscore."""
    return re.sub("[^A-Z0-9_]", "_", name.upper())


def expand(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """`words` with `$NAME` and `${NAME}` replaced; a missing one is empty, `$1`, `$@` and `$$` stay."""
    return tuple(re.sub(_VARIABLE, lambda match: _value(match, environment), word) for word in words)


def pieces(word: str) -> Iterator[tuple[str, str]]:
    """`word` as `expand` sees it: a text and the NAME of the variable behind it, at last none."""
    start = 0
    for match in re.finditer(_VARIABLE, word):
        if name := match[1] or match[2]:
            yield word[start : match.start()], name
            start = match.end()
    yield word[start:], ""


def leading_variable(text: str) -> str:
    """NAME where `text` begins with `$NAME` or `${NAME}`; else empty."""
    found = re.match(_VARIABLE, text)
    return (found[1] or found[2] or "") if found else ""


def to_dotenv(environment: Mapping[str, str]) -> str:
    """`environment` as an env file that python-dotenv reads back to the same values.

    A value that needs quotes gets single ones (which a shell can read too), or double ones where it
    holds a carriage return. python-dotenv replaces `${NAME}` in any quotes and knows no escape for it:
    `${` becomes `${:-$}{`, a variable without a name whose default is the dollar. A name that
    python-dotenv cannot read at all (empty, both a quote and a blank...) is left out.
    """
    lines = (
        f"{name}={_quoted(value)}\n" for key, value in environment.items() if (name := _quoted_name(key))
    )
    return "".join(lines)


def _other_ports(project_ports: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """`<SERVICE>_PORT` for each service that has a port: its first."""
    return {
        f"{variable(name)}_PORT": str(next(iter(own.values()))) for name, own in project_ports.items() if own
    }


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    name = match[1] or match[2]
    return environment.get(name, "") if name else match[0]


def _quoted_name(name: str) -> str:
    """`name` as python-dotenv reads it; empty where it cannot."""
    if re.fullmatch(_PLAIN_NAME, name):
        return name
    if name and not re.search("[\r\n']", name):
        return f"'{name}'"
    return name if re.fullmatch(r"[^'=#\s][^=#\s]*", name) else ""


def _quoted(value: str) -> str:
    if re.fullmatch(_PLAIN_VALUE, value):
        return value
    value = value.replace("${", "${:-$}{")
    if "\r" in value:
        return '"' + value.translate(_ESCAPES) + '"'
    # A backslash is itself in single quotes, unless another one or a quote (or the end) follows.
    return "'" + re.sub(r"\\(?=[\\']|$)|'", r"\\\g<0>", value) + "'"
