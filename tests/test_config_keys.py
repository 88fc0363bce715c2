"""devport.yaml's keys of supervision: what each means, its defaults, and the line of what it may not be."""

import pytest

from devport.errors import UsageError
from devport.model import (
    DECLARED_MAX,
    Dependency,
    Listen,
    Policy,
    Probe,
    RestartPolicy,
    StopPolicy,
    Watch,
    Watchdog,
)
from devport.project.config import parse
from devport.project.procfile import Entry

SH = ("/bin/sh", "-c")
DECLARED = RestartPolicy(on="on_failure", max=DECLARED_MAX)


def config(text, **options):
    return parse(text.encode(), "devport.yaml", "/srv/app", "/home/me", **options)


def service(lines, more="", **options):
    """The service `web` with `lines` as its keys, beside what `more` declares under processes."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return config(f"processes:\n  web:\n    exec: run\n{indented}{more}", **options).services[0]


def policy(lines, more="", **options):
    return service(lines, more, **options).policy


def failure(text, **options):
    with pytest.raises(UsageError) as caught:
        config(text, **options)
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix("cannot read devport.yaml: ")


def web(line):
    return f"processes:\n  web:\n    exec: x\n    {line}\n"


# --- restart, stop, start -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("always", DECLARED._replace(on="always")),
        ("on-failure", DECLARED),
        ("on_failure", DECLARED),
        ("{}", DECLARED),
        ("{on: always, max: 10}", DECLARED._replace(on="always", max=10)),
        ("{max: null}", DECLARED._replace(max=None)),
        ("{max: 0}", DECLARED._replace(max=0)),
        ("{window: 60}", DECLARED._replace(window=60)),
        ("{window: null}", DECLARED),
        ("{delay: 0.5, max_delay: 2}", DECLARED._replace(delay=0.5, max_delay=2)),
        ("{delay: 60}", DECLARED._replace(delay=60, max_delay=60)),
        ("{reset-after: 1}", DECLARED._replace(reset_after=1)),
        ("{success: [143, 3]}", DECLARED._replace(success=frozenset({0, 3, 143}))),
        ("{success: 1}", DECLARED._replace(success=frozenset({0, 1}))),
    ],
)
def test_restart(text, expected):
    """A word or a mapping; without `max` there are five restarts, with null no end of them."""
    assert service(f"restart: {text}").restart == expected


def test_whose_end_ends_the_run():
    """A service of the mapping is restarted and does not end the run; list and Procfile are foreman's."""
    listed = config("- run\n- {exec: run, restart: always}\n- {exec: run, restart: never}").services

    assert [(one.restart and one.restart.on, one.ends_run) for one in listed] == [
        (None, True),
        ("always", False),
        ("never", True),
    ]
    text = "procfile: P\nprocesses: {a: {cwd: x}, b: {restart: always}, c: other}"
    entries = tuple(Entry(name, "run", 1) for name in "abc")
    plain = config(text, read_procfile=lambda _: entries).services

    assert [(one.restart and one.restart.on, one.ends_run) for one in plain] == [
        (None, True),
        ("always", False),
        ("on_failure", False),
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("stop: {signal: INT}", StopPolicy(2)),
        ("stop: {timeout: 3}", StopPolicy(grace=3)),
        ("stop: {exec: pg_ctl stop, signal: 9, timeout: 1}", StopPolicy(9, 1, (*SH, "pg_ctl stop"))),
        ("stop: {signal: INT}\nstop-timeout: 2", StopPolicy(2, 2)),
        ("stop: {}", StopPolicy()),
        ("shell: false\nstop: {exec: pg_ctl 'a b'}", StopPolicy(command=("pg_ctl", "a b"))),
        ("shell: bash\nstop: {exec: a}", StopPolicy(command=("bash", "-c", "a"))),
    ],
)
def test_stop(lines, expected):
    """A signal, a time, or a command that is run as the service's own is."""
    assert service(lines).stop == expected


@pytest.mark.parametrize(
    ("everywhere", "own", "expected"),
    [
        ("", "", "true"),
        ("", "start: false", "false"),
        ("", "start: {enable: false}", "false"),
        ("", "start: {enable: interactive-shell}", "interactive-shell"),
        ("", "start: interactive_shell", "interactive-shell"),
        ("process: {start: interactive-shell}\n", "", "interactive-shell"),
        ("process: {start: {enable: false}}\n", "", "false"),
        ("process: {start: false}\n", "start: true", "true"),
        ("process: {start: false}\n", "start: {}", "false"),
        ("process: {}\n", "", "true"),
    ],
)
def test_start(everywhere, own, expected):
    """Each service's own word, else the project's, else true."""
    assert config(f"{everywhere}processes: {{web: {{exec: x{own and ', ' + own}}}}}").services[0].enable == (
        expected
    )


def test_start_of_a_procfile_and_of_tasks():
    """What holds for every service holds for a Procfile's, and not for tasks, which start where needed."""
    text = "process: {start: false}\nprocfile: P\ntasks: {t: x}"
    found = config(text, read_procfile=lambda _: (Entry("a", "run", 1),)).services

    assert [(one.name, one.enable) for one in found] == [("a", "false"), ("t", "true")]


# --- ready, live, watchdog ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{exec: pg_isready}", Probe("exec", (*SH, "pg_isready"))),
        ("{http: {get: {port: 8080, path: /health}}}", Probe("http", port=8080, path="/health")),
        ("{http: {get: {}}}", Probe("http")),
        ("{http: {get: }}", Probe("http")),
        (
            "{http: {get: {host: '::1', scheme: https, status: 204}}}",
            Probe("http", host="::1", scheme="https", statuses=(204,)),
        ),
        (
            "{http: {get: {host: '[::1]', status: [200, 301]}}}",
            Probe("http", host="::1", statuses=(200, 301)),
        ),
        ("{http: {get: {host: LocalHost}}}", Probe("http", host="localhost")),
        ("{tcp: 8080}", Probe("tcp", port=8080)),
        ("{tcp: }", Probe("tcp")),
        ("{tcp: {}}", Probe("tcp")),
        ("{tcp: {port: 1, host: 127.8.9.1}}", Probe("tcp", port=1, host="127.8.9.1")),
        ("{notify: true}", Probe("notify")),
        ("{notify: false, tcp: 1}", Probe("tcp", port=1)),
        ("{log: 'ready (in|after) \\d+'}", Probe("log", pattern="ready (in|after) \\d+")),
        ("{tcp: 1, foreign: true}", Probe("tcp", port=1, foreign=True)),
        (
            (
                "{exec: x, initial_delay: 2, period: 0.5, probe-timeout: 3, success_threshold: 2,"
                " failure-threshold: 5, timeout: 60}"
            ),
            Probe(
                "exec",
                (*SH, "x"),
                initial_delay=2,
                period=0.5,
                probe_timeout=3,
                success_threshold=2,
                failure_threshold=5,
                timeout=60,
            ),
        ),
        ("{exec: x, timeout: null}", Probe("exec", (*SH, "x"))),
    ],
)
def test_ready(text, expected):
    """Each kind of probe, and its times."""
    assert policy(f"ready: {text}").ready == expected


def test_live():
    """The same as liveness."""
    found = policy("live: {http: {get: {path: /alive}}, failure-threshold: 5}")

    assert (found.ready, found.live) == (None, Probe("http", path="/alive", failure_threshold=5))


def test_a_probe_without_a_shell():
    """A command of a probe is run as the service's own is."""
    found = config("- {exec: run, ready: {exec: \"pg_isready -p '$PORT'\"}}").services[0]

    assert found.policy.ready.command == ("pg_isready", "-p", "$PORT")


def test_the_automatic_check():
    """Declared ports are checked; sockets that devport binds say nothing, and a word of one's own wins."""
    assert policy("ports: {a: , b: }").ready == Probe("tcp", automatic=True, period=0.1)
    assert policy("").ready is None
    assert policy("listen: [{address: 8080}]").ready is None
    assert policy("ports: {a: }\nlisten: [{address: 8080}]").ready is None
    assert policy("ports: {a: }\nready: {exec: x}").ready.kind == "exec"
    assert policy("ports: {a: }\nexternal: true\nlive: {exec: x}").ready is None


def test_a_probe_of_a_named_port():
    """Its own port by name or as ${...}; the number comes when ports are known."""
    lines = "ports: {http: , admin: }\nready: {tcp: "

    assert policy(lines + "admin}").ready.host == "127.0.0.1:${web.ports.admin}"
    assert policy(lines + "'${web.ports.admin}'}").ready.host == "127.0.0.1:${web.ports.admin}"
    assert policy(lines + "{port: admin, host: '::1'}}").ready.host == "[::1]:${web.ports.admin}"


def test_watchdog():
    """Microseconds, and from when on they count."""
    assert policy("watchdog: {usec: 30000000}").watchdog == Watchdog(30_000_000)
    assert policy("watchdog: {usec: 1, require_ready: false}").watchdog == Watchdog(1, False)


# --- listen, lazy, idle -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("'[::1]:8080'", "[::1]:8080"),
        ("'[::]:8080'", "[::]:8080"),
        ("':8080'", "127.0.0.1:8080"),
        ("8080", "127.0.0.1:8080"),
        ("127.0.0.1", "127.0.0.1:${web.port}"),
        ("localhost", "127.0.0.1:${web.port}"),
        ("'::1'", "[::1]:${web.port}"),
        ("'[::1]'", "[::1]:${web.port}"),
        ("'${web.port}'", "127.0.0.1:${web.port}"),
        ("'0.0.0.0:${web.port}'", "0.0.0.0:${web.port}"),
        ("'[::1]:${web.port}'", "[::1]:${web.port}"),
    ],
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_addresses(text, address, kind):
    """HOST:PORT or one of the two; the host is this machine's own if it is not said."""
    assert policy(f"listen: [{{kind: {kind}, address: {text}}}]").listen == (Listen("web", kind, address),)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("run/a.sock", "/srv/app/run/a.sock"),
        ("/run/a.sock", "/run/a.sock"),
        ("~/a.sock", "/home/me/a.sock"),
        ("$STATE/a.sock", "$STATE/a.sock"),
        ("'${STATE}/a.sock'", "${STATE}/a.sock"),
        ("run/$USER.sock", "/srv/app/run/$USER.sock"),
        ("'run/${web.port}.sock'", "/srv/app/run/${web.port}.sock"),
        ("'${project.root}/a.sock'", "/srv/app/a.sock"),
        ("'${config.git.root}/a.sock'", "/srv/a.sock"),
    ],
)
def test_socket_paths(text, address):
    """Relative to the root; variables stay for the launcher."""
    found = policy(f"listen: [{{path: {text}}}]", git_root=lambda: "/srv")

    assert found.listen == (Listen("web", "unix_stream", address),)


@pytest.mark.parametrize(
    ("mode", "number"), [("0600", 0o600), ("600", 0o600), ("0o666", 0o666), ("'0777'", 0o777)]
)
def test_socket_modes(mode, number):
    """Octal, however it is written."""
    assert policy(f"listen: [{{path: a, mode: {mode}}}]").listen[0].mode == number


def test_several_sockets():
    """The seed's own example, with all the rest."""
    found = policy(
        'listen:\n  - {name: http, kind: tcp, address: "127.0.0.1:8080", backlog: 5}\n'
        "  - {name: admin, kind: unix-stream, path: a.sock}\n"
        "  - {name: log, kind: unix_dgram, path: b.sock}\n"
        "lazy: true\nidle: 1.5"
    )

    assert found == Policy(
        listen=(
            Listen("http", "tcp", "127.0.0.1:8080", backlog=5),
            Listen("admin", "unix_stream", "/srv/app/a.sock"),
            Listen("log", "unix_dgram", "/srv/app/b.sock"),
        ),
        lazy=True,
        idle=1.5,
    )


def test_one_port_of_two_kinds():
    """TCP and UDP have ports of their own."""
    found = policy("listen: [{name: a, address: 53000}, {name: b, kind: udp, address: 53000}]")

    assert len(found.listen) == 2


# --- watch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("src", Watch(("/srv/app/src",), root="/srv/app")),
        ("[src, ../lib, ~/x]", Watch(("/srv/app/src", "/srv/lib", "/home/me/x"), root="/srv/app")),
        ("{paths: [.]}", Watch(("/srv/app",), root="/srv/app")),
        (
            "{paths: src, extensions: [py, .toml, '*.rs'], ignore: [target, '*.log']}",
            Watch(("/srv/app/src",), ("py", "toml", "rs"), ("target", "*.log"), "/srv/app"),
        ),
        ("", None),
        ("[]", None),
        ("{paths: []}", None),
    ],
)
def test_watch(text, expected):
    """Paths relative to the root, not to cwd; extensions without their dot."""
    assert policy(f"cwd: sub\nwatch: {text}").watch == expected


# --- after, before, tasks -----------------------------------------------------------------------------

OTHERS = "  db: y\ntasks: {migrate: z, seed: z}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db", [("db", "ready")]),
        ("[db]", [("db", "ready")]),
        ("migrate", [("migrate", "succeeded")]),
        ("migrate@ready", [("migrate", "succeeded")]),
        ("migrate@completed", [("migrate", "completed")]),
        ("[db@started, db@succeeded]", [("db", "started"), ("db", "succeeded")]),
        ("[devenv:processes:db, devenv:tasks:seed]", [("db", "ready"), ("seed", "succeeded")]),
        ("devenv:processes:db@completed", [("db", "completed")]),
        ("[db, db@ready, devenv:processes:db]", [("db", "ready")]),
        ("", []),
        ("[]", []),
    ],
)
def test_after(text, expected):
    """Short names and long ones; services are waited for until ready, tasks until they have succeeded."""
    assert policy(f"after: {text}", OTHERS).after == tuple(Dependency(*one) for one in expected)


def test_before():
    """What X is before comes after X, and the condition is X's."""
    text = """
tasks:
  migrate: {exec: x, before: [api, worker@completed]}
processes:
  db: {exec: x, before: migrate}
  api: {exec: x, after: migrate}
  worker: x
"""
    found = {one.name: one.policy.after for one in config(text).services}

    assert found == {
        "db": (),
        "api": (Dependency("migrate", "succeeded"),),
        "worker": (Dependency("migrate", "completed"),),
        "migrate": (Dependency("db", "ready"),),
    }


def test_dependencies_of_a_procfile():
    """Entries of a Procfile can be waited for, and can wait."""
    text = "procfile: P\nprocesses: {web: {after: db}, mail: {exec: x, before: db}}"
    found = config(text, read_procfile=lambda _: (Entry("web", "w", 1), Entry("db", "d", 2))).services

    assert [one.policy.after for one in found] == [(Dependency("db"),), (Dependency("mail"),), ()]


def test_tasks():
    """One-shot commands, after the services: no port, no restart, and their end ends nothing."""
    text = """
processes: {web: x}
tasks:
  build: make
  migrate:
    exec: ./migrate
    cwd: db
    env: [a.env]
    environment: {A: 1}
    shell: bash
    status: test -f done
    description: d
"""
    build, migrate = config(text).services[1:]

    assert (build.name, build.command, build.position) == ("build", (*SH, "make"), 1)
    assert (build.no_port, build.restart, build.ends_run) == (True, RestartPolicy(), False)
    assert build.policy == Policy(task=True)
    assert (migrate.command, migrate.cwd) == (("bash", "-c", "./migrate"), "/srv/app/db")
    assert (migrate.env_files, migrate.environment) == (("/srv/app/a.env",), {"A": "1"})
    assert migrate.policy == Policy(task=True, skip=("bash", "-c", "test -f done"))
    assert migrate.description == "d"


def test_tasks_alone_are_a_project():
    """A project may have nothing else."""
    assert [one.name for one in config("tasks: {a: x}").services] == ["a"]


def test_external():
    """A command that brings something up and returns, known by its probe."""
    found = service("external: true\nready: {tcp: 5432}\nstop: {exec: docker compose down}")

    assert found.policy == Policy(external=True, ready=Probe("tcp", port=5432))
    assert policy("external: true\nlive: {exec: x}").external


def test_groups():
    """Names of entries and of other groups, as entries, none twice."""
    text = "processes: {a: x, b: x}\ntasks: {t: x}\ngroups: {all: [b, '@some', t], some: [a, b], one: a}"

    assert config(text).groups == {"all": ("b", "a", "t"), "some": ("a", "b"), "one": ("a",)}


# --- mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        # probes
        ("ready: {}", "ready: expected one of exec, http, tcp, notify, log"),
        ("ready: {timeout: 3}", "ready: expected one of exec, http, tcp, notify, log"),
        ("ready: {notify: false}", "ready: expected one of"),
        ("ready: {exec: a, log: b}", "ready: exec and log exclude each other"),
        ("ready: {exec: a, notify: true}", "ready: exec and notify exclude each other"),
        ("ready: x", "ready: expected a mapping, found 'x'"),
        ("ready: {htpp: {}}", "ready: unknown key htpp (did you mean http?)"),
        ("ready: {http: {}}", "ready: http: get is missing"),
        ("ready: {http: {get: {prot: 1}}}", "ready: http: get: unknown key prot (did you mean port?)"),
        (
            "ready: {http: {get: {port: 99999}}}",
            "ready: http: get: port: expected a number from 1 to 65535, found 99999",
        ),
        (
            "ready: {http: {get: {path: health}}}",
            "ready: http: get: path: expected a path that begins with /",
        ),
        (
            'ready: {http: {get: {path: "/a b"}}}',
            "ready: http: get: path: expected a path that begins with /",
        ),
        ('ready: {http: {get: {path: "/a\\r\\nb"}}}', "ready: http: get: path: expected a path that begins"),
        (
            "ready: {http: {get: {scheme: ftp}}}",
            "ready: http: get: scheme: expected http or https, found 'ftp'",
        ),
        ("ready: {http: {get: {status: 99}}}", "ready: http: get: status: expected a number from 100 to 599"),
        (
            "ready: {tcp: {port: 1, host: db.example.com}}",
            (
                "ready: tcp: host: expected an address of this machine (127.0.0.1, ::1, localhost);"
                " a command in exec can ask any other"
            ),
        ),
        ("ready: {tcp: {host: 10.0.0.1}}", "ready: tcp: host: expected an address of this machine"),
        ("ready: {tcp: {host: 127.0.0.999}}", "ready: tcp: host: expected an address of this machine"),
        ("ready: {tcp: nope}", "ready: tcp: port: it has no port nope"),
        ("ready: {tcp: '${web.port'}", "ready: tcp: expected a number, the name of a port, or ${NAME.port}"),
        ("ready: {tcp: '${db.port}'}", "ready: no service is called db"),
        ("ready: {tcp: true}", "ready: tcp: expected a port, found true"),
        ("ready: {log: '('}", "ready: log: not a regular expression: missing ), unterminated subpattern"),
        ("ready: {log: 'a{99999999999}'}", "ready: log: not a regular expression: "),
        ("ready: {log: ''}", "ready: log: expected a text, found ''"),
        ("ready: {exec: ''}", "ready: exec: expected a command, found ''"),
        ("ready: {exec: a, period: 0}", "ready: period: expected seconds (0.001 or more), found 0"),
        ("ready: {exec: a, timeout: 0}", "ready: timeout: expected seconds (0.001 or more), found 0"),
        (
            "ready: {exec: a, success-threshold: 0}",
            "ready: success-threshold: expected a number from 1 to 10000",
        ),
        ("ready: {exec: a, foreign: true}", "ready: foreign goes with http or tcp"),
        ("live: {notify: true}", "live: unknown key notify"),
        ("live: {log: x}", "live: unknown key log"),
        ("live: {exec: x, timeout: 3}", "live: unknown key timeout"),
        ("watchdog: {}", "watchdog: usec is missing"),
        ("watchdog: {usec: 0}", "watchdog: usec: expected a number from 1 to 86400000000, found 0"),
        # sockets
        ("listen: 8080", "listen: expected a list of sockets, found 8080"),
        ("listen: [8080]", "listen: expected a mapping, found 8080"),
        ("listen: [{name: a}]", "listen: address is missing"),
        ("listen: [{kind: unix_stream, address: a}]", "listen: path is missing"),
        ("listen: [{kind: tcp, address: 1, path: a}]", "listen: path does not go with tcp"),
        ("listen: [{kind: sctp, address: 1}]", "listen: kind: expected tcp, udp, unix-stream or unix-dgram"),
        (
            "listen: [{address: example.com:80}]",
            "listen: address: expected an IP address or localhost before",
        ),
        (
            "listen: [{address: '127.0.0.1:'}]",
            "listen: address: expected HOST:PORT, :PORT, PORT or HOST, found",
        ),
        ("listen: [{address: '127.0.0.1:0'}]", "listen: address: expected a number from 1 to 65535, found 0"),
        ("listen: [{address: '70000'}]", "listen: address: expected a number from 1 to 65535"),
        ("listen: [{address: '[::1:80'}]", "listen: address: expected HOST:PORT"),
        ("listen: [{address: 300.0.0.1}]", "listen: address: expected an IP address or localhost"),
        ("listen: [{address: 1, mode: 0600}]", "listen: mode does not go with tcp"),
        ("listen: [{path: a, mode: 0888}]", "listen: mode: expected permissions such as 0600, found '0888'"),
        ("listen: [{kind: udp, address: 1, backlog: 5}]", "listen: backlog does not go with udp"),
        ("listen: [{address: 1}, {address: 2}]", "listen: duplicate name web: give each a name"),
        ("listen: [{name: a, address: 1}, {name: a, address: 2}]", "listen: duplicate name a"),
        (
            "listen: [{name: a, address: 1}, {name: b, address: 'localhost:1'}]",
            "listen: b: 127.0.0.1:1 is already that of web (a)",
        ),
        ("listen: [{name: 'a:b', address: 1}]", "listen: name: expected a name made of"),
        ("lazy: true", "lazy needs listen: a connection is what starts it"),
        ("idle: 3", "idle needs lazy: a connection is what starts it again"),
        # the rest
        ("watch: {extensions: py}", "watch: paths is missing"),
        (
            "watch: {paths: a, extensions: a/b}",
            "watch: extensions: expected the end of file names, such as py",
        ),
        ("watch: '${x}/y'", "watch: paths: ${x} is not known here"),
        ("stop: {exec: ''}", "stop: exec: expected a command, found ''"),
        ("stop: INT", "stop: expected a mapping, found 'INT'"),
        ("start: never", "start: expected true, false or interactive-shell, found 'never'"),
        ("start: {enabel: true}", "start: unknown key enabel (did you mean enable?)"),
        ("status: x", "unknown key status"),
        ("after: nope", "after: no service or task is called nope"),
        ("after: wbe", "after: no service or task is called wbe (did you mean web?)"),
        ("before: nope", "before: no service or task is called nope"),
        ("after: web@redy", "after: unknown condition @redy (did you mean ready?)"),
        ("after: web@", "after: unknown condition @ (there is @started, @ready, @completed, @succeeded)"),
        ("after: a@b@ready", "after: expected a name, or NAME@CONDITION, found 'a@b@ready'"),
        ("after: {a: b}", "after: expected a text, found a mapping"),
        ("after: devenv:tasks:web", "after: no task is called web (web is a service)"),
        ("after: devenv:app:web", "after: expected a name, or NAME@CONDITION, found 'devenv:app:web'"),
        ("after: web", "after: web -> web waits for itself"),
        ("external: true", "external needs ready or live: nothing else says that it is up"),
    ],
)
def test_every_mistake_has_its_line(line, message):
    """File, line, service and the whole way to the key are named, and the nearest word."""
    found = failure(web(line))
    if not any(rule in message for rule in ("lazy needs", "idle needs", "external needs")):
        assert found.startswith("line 4: web: ")
    assert found.partition(": web: ")[2].startswith(message)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "stop: {signal: INT}, stop-signal: INT",
            "stop: signal and stop-signal are the same: give one of them",
        ),
        (
            "stop: {timeout: 1}, stop_timeout: 1",
            "stop: timeout and stop-timeout are the same: give one of them",
        ),
        (
            "no-port: true, ready: {tcp: }",
            "ready: tcp: port is missing, and it has none of its own (no-port)",
        ),
        ("no-port: true, ready: {http: {get: }}", "ready: http: port is missing, and it has none of its own"),
        (
            "no-port: true, listen: [{address: localhost}]",
            "listen: address: PORT is missing, and it has none",
        ),
        (
            "listen: [{kind: udp, address: 1}], lazy: true, idle: 1",
            "idle needs a socket with connections (tcp or unix_stream)",
        ),
        ("external: true, ready: {tcp: 1}, listen: [{address: 1}]", "external and listen exclude each other"),
        ("external: true, ready: {tcp: 1}, watchdog: {usec: 1}", "external and watchdog exclude each other"),
        ("external: true, ready: {notify: true}", "external needs a ready of exec, http or tcp"),
        ("external: true, ready: {log: x}", "external needs a ready of exec, http or tcp"),
    ],
)
def test_keys_that_do_not_go_together(lines, message):
    """Each is right alone; together they say nothing."""
    assert failure(f"processes:\n  web: {{exec: x, {lines}}}").startswith(f"line 2: web: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: [x]", "line 1: tasks: expected a mapping NAME: {exec: ...}, found a list"),
        ("tasks:\n  t: {exec: x, ports: {a: }}", "line 2: t: unknown key ports"),
        ("tasks:\n  t:\n    cwd: x", "line 2: t: exec is missing"),
        ("processes: {a: x}\ntasks:\n  a: x", "line 3: duplicate name a (first on line 1)"),
        ("processes: {a: x}\ngroups:\n  a: [a]", "line 3: groups: a is the name of a service or task"),
        (
            "processes: {api: x}\ngroups:\n  g: [apo]",
            "line 3: groups: g: no service, task or group is called apo",
        ),
        ("processes: {a: x}\ngroups:\n  g: []", "line 3: groups: g: expected at least one entry"),
        (
            "processes: {a: x}\ngroups: {g: [h], h: [g]}",
            "line 2: groups: g -> h -> g: a group cannot hold itself",
        ),
        (
            "processes: {a: x}\ngroups: {g: ['@a']}",
            "line 2: groups: g: no service, task or group is called a",
        ),
        ("groups: [a]", "line 1: groups: expected a mapping NAME: [ENTRY...], found a list"),
        ("groups: {a b: [c]}", "line 1: groups: expected a name made of"),
        ("process: {stop: x}", "line 1: process: unknown key stop"),
        (
            "processes:\n  a: {exec: x, after: c}\n  b: {exec: x, after: a}\n  c:\n    exec: x\n    after: b",
            "line 2: a: after: a -> c -> b -> a wait for each other",
        ),
        (
            "processes:\n  a: x\n  b: {exec: x, before: a, after: a}",
            "line 3: b: after: b -> a -> b wait for each other",
        ),
        (
            "processes:\n  a: {exec: x, listen: [{address: 80}]}\n  b: {exec: x, listen: [{address: ':80'}]}",
            "line 3: b: listen: b: 127.0.0.1:80 is already that of a (a)",
        ),
    ],
)
def test_mistakes_of_the_whole_file(text, message):
    """What several entries do wrong together."""
    assert failure(text).startswith(message)


def test_a_task_cannot_be_called_like_an_entry_of_the_procfile():
    """It would take the entry's place."""
    message = failure("procfile: P\ntasks:\n  a: x", read_procfile=lambda _: (Entry("a", "run", 1),))

    assert message == "line 3: a: the Procfile has an entry of that name"


def test_a_long_chain():
    """Thousands of services in a row, and in a circle, are no recursion."""
    chain = "".join(f"  s{n}: {{exec: x, after: s{n - 1}}}\n" for n in range(1, 3000))

    assert len(config(f"processes:\n  s0: x\n{chain}").services) == 3000
    message = failure(f"processes:\n  s0: {{exec: x, after: s2999}}\n{chain}")
    circle = "s0 -> s2999 -> s2998 -> ... -> s2 -> s1 -> s0"
    assert message == f"line 2: s0: after: {circle} wait for each other"


def test_nested_groups():
    """Groups of groups have an end."""
    text = "processes: {a: x}\ngroups:\n  g0: [a]\n"
    text += "".join(f"  g{n}: [g{n - 1}]\n" for n in reversed(range(1, 2000)))

    assert "nested more than 50 levels deep" in failure(text)
