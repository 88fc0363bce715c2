"""Two fixed projects to be exported, an ordinary and a hostile one, and the golden files of every format.

`python -m tests.support.export_projects [FORMAT...]` writes the golden files anew; read the diff.
"""

import pathlib
import shutil
import signal
import sys
from importlib.util import find_spec

from devport.encoding import encode
from devport.errors import UsageError
from devport.export import formats
from devport.export.plan import Plan, Unit
from devport.model import (
    BACKGROUND_RESTART,
    Dependency,
    Listen,
    Policy,
    Probe,
    RestartPolicy,
    Service,
    StopPolicy,
    Watch,
    Watchdog,
)

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "export"
LISTING = "FILES"
"""In each golden folder: a line `0600 PATH` for each file, or what the UsageError says."""

VALUES = {
    "BLANKS": "  two  words ",
    "SINGLE": "it's",
    "DOUBLE": 'say "hi"',
    "PERCENT": "100%n %% %h",
    "DOLLAR": "$HOME ${HOME} $$ $(id) `id`",
    "BACKSLASH": "C:\\new\\",
    "NEWLINE": "one\ntwo\n",
    "TAB": "a\tb\rc",
    "ACCENT": "Grüße ✓",
    "EMPTY": "",
    "BRACES": "{{x}} {x} ${x}",
    "HASH": "# no comment ; here",
    "SEMICOLON": "a;",
    "COMMA": 'a,b="c",d:e',
    "MARKUP": "<a href='x'>&amp;</a> ]]>",
    "YAML": "yes",
    "NUMBER": "0123",
    "DASH": "- x: [y]",
    "TILDE": "~",
    "BANG": "!important !!",
    "EQUALS": "a=b=c",
}
"""What a value may be, by the name of its variable."""


def unit(name, argv, *, cwd, environment=None, ports=None, restart=BACKGROUND_RESTART, **given):
    """A Unit; `given` are fields of its Service, and of its Policy."""
    policy = Policy(**{key: given.pop(key) for key in list(given) if key in Policy._fields})
    entry = name.partition(".")[0] if name.rpartition(".")[2].isdigit() else name
    ports = ports or {}
    numbers = {key: str(value) for key, value in ports.items()}
    if ports:
        numbers.setdefault("PORT", next(iter(numbers.values())))
    return Unit(
        name,
        tuple(argv),
        cwd,
        {**(environment or {}), **numbers, "PS": name},
        ports,
        Service(
            name,
            given.pop("entry", entry),
            tuple(argv),
            cwd,
            policy=policy,
            restart=restart,
            restart_said=restart is not BACKGROUND_RESTART,
            **given,
        ),
        restart,
    )


def ordinary(**overrides):
    """A shop: a task, a database, an api that notifies, two web servers, sockets, an external service."""
    root = "/srv/shop"
    shared = {"DATABASE_URL": "postgres://localhost:19000/shop", "DB_PORT": "19000", "SECRET_KEY": "s3cr3t"}

    def one(name, argv, **given):
        environment = {**shared, **given.pop("environment", {})}
        return unit(name, argv, **{"cwd": root, "environment": environment, **given})

    def shell(text):
        return ("/bin/sh", "-c", text)

    def web(name, port):
        return one(
            name,
            shell("exec gunicorn shop.wsgi --bind 127.0.0.1:$PORT"),
            ports={"PORT": port},
            after=(Dependency("api", "ready"), Dependency("cache", "started")),
            ready=Probe("http", path="/health", timeout=30.0),
            live=Probe("http", path="/health", period=5.0),
        )

    units = (
        one(
            "migrate",
            shell("./manage.py migrate"),
            after=(Dependency("db", "ready"),),
            task=True,
            skip=("./manage.py", "migrated"),
            restart=RestartPolicy(),
        ),
        one(
            "db",
            ("postgres", "-D", "data"),
            ports={"PORT": 19000},
            stop=StopPolicy(signal.SIGINT.value, 30.0),
            ready=Probe("tcp", port=19000, automatic=True),
            description="the database",
        ),
        one(
            "api",
            ("./bin/api", "--verbose"),
            ports={"http": 19100, "admin": 19101},
            environment={"LOG_LEVEL": "info"},
            after=(Dependency("db", "ready"), Dependency("migrate", "succeeded")),
            ready=Probe("notify", timeout=60.0),
            watchdog=Watchdog(30_000_000),
            restart=RestartPolicy("always", 3, 60.0, 2.0, 30.0, 5.0, frozenset({0, 3})),
        ),
        web("web", 19200),
        web("web.2", 19201),
        one(
            "docs",
            ("gunicorn", "docs.wsgi"),
            listen=(
                Listen("http", "tcp", "127.0.0.1:19300"),
                Listen("admin", "unix_stream", "/srv/shop/run/admin.sock", mode=0o660),
            ),
            lazy=True,
            idle=300.0,
        ),
        one(
            "cache",
            ("docker", "start", "shop-cache"),
            external=True,
            ready=Probe("exec", ("docker", "exec", "shop-cache", "redis-cli", "ping")),
            stop=StopPolicy(command=("docker", "stop", "shop-cache")),
        ),
        one(
            "clock",
            shell("while :; do date; sleep 60; done"),
            cwd="/srv/shop/clock",
            after=(Dependency("migrate", "completed"),),
            watch=Watch(("/srv/shop/clock",), ("py",)),
            restart=RestartPolicy("on_failure", 5),
        ),
    )
    return Plan(**{"app": "shop", "root": root, "units": units, **overrides})


def hostile(**overrides):
    """Every awkward value in the environment and in the words, awkward names, and an awkward folder."""
    root = "/srv/it's 100%n/a  b\\c/$HOME/Grüße"
    text = "printf '%s\\n' \"$PORT\" 'it'\\''s' $$ `id`; echo {{x}} %n # done\necho second"
    units = (
        unit(
            "web.1",
            (
                "/opt/my app/100%/run",
                *VALUES.values(),
                "--",
                "-n",
                ";",
                "&&",
                "*",
                "@",
                "%",
                "$",
                "\\",
                "'",
                '"',
            ),
            cwd=root,
            environment=VALUES,
            ports={"PORT": 19000},
            stop=StopPolicy(command=("kill", "$MAINPID", "100%", 'a "b"')),
            description='it\'s "100%n" {{x}}',
        ),
        unit("Web.v2", ("/bin/sh", "-c", text), cwd=root, environment=VALUES, ports={"PORT": 19100}),
        unit(
            "a-b_c.d",
            ("tool", "a b"),
            cwd=f"{root}/sub folder",
            environment={"ONLY": "here's 100%"},
            after=(
                Dependency("web.1", "ready"),
                Dependency("Web.v2", "started"),
                Dependency("gone", "ready"),
            ),
        ),
        unit(
            "task.x",
            ("./do it", ""),
            cwd=root,
            task=True,
            skip=("test", "-e", "it's 100% $HOME"),
            restart=RestartPolicy(),
        ),
    )
    return Plan(**{"app": "hostile-app", "root": root, "units": units, **overrides})


def processes(**overrides):
    """The shop without what is no process: for formats that refuse sockets and external services."""
    shop = ordinary()
    units = tuple(one for one in shop.units if one.name not in {"docs", "cache"})
    return shop._replace(**{"units": units, **overrides})


PROJECTS = {"ordinary": ordinary, "hostile": hostile}
PROCESSES = {"tmux", "supervisord", "runit", "launchd", "upstart"} | {
    *("process-compose", "mprocs", "procfile", "compose", "kubernetes", "nomad"),
}
"""Formats that are given processes() as well."""
VARIANTS = {  # further golden folders of a format: what else the plan says
    "systemd": {"system": {"options": frozenset({"system"}), "user": "shop"}},
    "tmux": {"supervised": {"options": frozenset({"supervised", "attach"})}},
}


def cases():
    """Every golden folder: its path below GOLDEN, the format, the plan."""
    for format_ in formats.OWN:
        if find_spec(f"devport.export.{format_.replace('-', '_')}") is None:
            continue
        projects = {**PROJECTS, "processes": processes} if format_ in PROCESSES else PROJECTS
        for name, project in projects.items():
            yield f"{format_}/{name}", format_, project()
            for variant, overrides in VARIANTS.get(format_, {}).items():
                yield f"{format_}/{name}-{variant}", format_, project(**overrides)


def rendered(format_, plan):
    """What the golden folder is to hold: bytes by path."""
    try:
        files = formats.find(format_).render(plan)
    except UsageError as error:
        return {LISTING: encode(f"{error}\n")}
    listing = "".join(f"{file.mode:04o} {file.path}\n" for file in files)
    return {LISTING: encode(listing), **{file.path: encode(file.content) for file in files}}


def golden(path):
    """What the golden folder holds: bytes by path."""
    folder = GOLDEN / path
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def main(wanted):
    """Write the golden folders of the formats `wanted`, of all without any."""
    for path, format_, plan in cases():
        if wanted and format_ not in wanted:
            continue
        shutil.rmtree(GOLDEN / path, ignore_errors=True)
        for name, content in rendered(format_, plan).items():
            file = GOLDEN / path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1:])
