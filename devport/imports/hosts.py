"""Names of containers where a program expects a machine: `postgres://db:5432` finds nobody outside of docker.

Nothing is replaced: a port of a container says nothing about one of devport's. Whoever imports is told.
"""

import re
from collections.abc import Iterator, Mapping

from devport.imports.draft import Draft
from devport.imports.tree import Source

HOME = "host.docker.internal"
"""What docker calls the machine that it runs on."""
_HOST = (
    r"(?:://|@|(?<![\w-])(?:-h[ =]?|--host(?:name)?[ =]))(NAMES)(?![\w.-])"  # a URL, user@, -h
    r"|(?<![\w.$/{@-])(NAMES)(?=:\d| \d{3,5}\b)"  # db:5432, nc db 5432
)


def warn(made: Draft, services: Mapping[str, Source]) -> None:
    """A line for each text of an entry of `made` that names another one of `services` as a host."""
    called = {
        alias: name for name, source in services.items() for alias in (name, *_aliases(source)) if alias
    }
    if not called:
        return
    names = "|".join(re.escape(one) for one in sorted({*called, HOME}, key=len, reverse=True))
    host = re.compile(_HOST.replace("NAMES", names))
    for name, source in services.items():
        if (entry := made.entries.get(made.name(name))) is None:
            continue
        for key, text, line in _texts(source):
            found = [match[1] or match[2] for match in host.finditer(text)]
            if key.startswith("environment: ") and (text in called or text == HOME):
                found.append(text)
            for one in dict.fromkeys(found):
                if called.get(one) != name:
                    entry.say(f"{key}: {one} is {_instead(made, called.get(one), one)}", line)


def _instead(made: Draft, name: str | None, host: str) -> str:
    if name is None:
        return "docker's name for this machine: write localhost"
    other = made.entries.get(made.name(name))
    if other is None:
        where = "the port that it has on this machine"
    elif other.has_port:
        where = f"${{{other.name}.port}} for its port"
    else:
        where = "the port that it listens on"
    return f"the name of a container{'' if name == host else f' ({name})'}: write localhost, and {where}"


def _aliases(source: Source) -> Iterator[str]:
    """Further names by which others reach it."""
    if source.is_mapping:
        for key in ("container_name", "hostname"):
            if alias := source.peek(key):
                yield alias


def _texts(source: Source) -> Iterator[tuple[str, str, int]]:
    """Key, text and line of all in which a host may stand."""
    for name, text, place in source.at("environment").assignments():
        if text:
            yield f"environment: {name}", text, place.line
    for key in ("entrypoint", "command"):
        yield key, " ".join(source.at(key).texts()), source.at(key).line
    test = source.at("healthcheck").at("test")
    yield "healthcheck", " ".join(test.texts()), test.line
