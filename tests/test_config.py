"""devport.yaml: what may be in it, what it means, and the line of everything that may not."""

import signal

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devport.encoding import encode
from devport.errors import DevportError, UsageError
from devport.model import (
    DECLARED_MAX,
    NOTHING,
    Policy,
    PortRequest,
    Probe,
    RestartPolicy,
    Service,
    StopPolicy,
)
from devport.project.config import parse
from devport.project.process import KEYS
from devport.project.procfile import Entry

DECLARED = RestartPolicy(on="on_failure", max=DECLARED_MAX)
CHECK = Policy(ready=Probe("tcp", automatic=True, period=0.1))


def config(text, **options):
    data = text if isinstance(text, bytes) else text.encode()
    return parse(data, "devport.yaml", "/srv/app", "/home/me", **options)


def services(text, **options):
    return config(text, **options).services


def only(text):
    (service,) = services(text)
    return service


def process(lines):
    """The one service `web` with `lines` as its keys."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return only(f"processes:\n  web:\n    exec: run\n{indented}")


def failure(text, **options):
    with pytest.raises(DevportError) as caught:
        config(text, **options)
    message = caught.value.message
    assert message.startswith("cannot read devport.yaml: ")
    assert "\n" not in message
    assert caught.value.status == (1 if "no services" in message else 2)
    return message.removeprefix("cannot read devport.yaml: ")


SEED = """
# a list of service specs
- go run ./cli/service

- key: api-server
  exec: go run ./cli/apiServer
  no-port: true
  env: ~/.env.secret

- key: worker
  exec: python3 worker.py
  tailnet: true
  port-env: API_PORT
  cwd: sub
  env:
    - ~/.env.secret
    - .env.local
"""


def test_the_list_form_of_the_seed():
    """Strings and objects, run without a shell, named by key or program, in file order."""
    assert services(SEED) == (
        Service(
            "go",
            "go",
            ("go", "run", "./cli/service"),
            "/srv/app",
            expand=True,
            source="devport.yaml:3",
            named=False,
        ),
        Service(
            "api-server",
            "api-server",
            ("go", "run", "./cli/apiServer"),
            "/srv/app",
            expand=True,
            env_files=("/home/me/.env.secret",),
            key="api-server",
            no_port=True,
            source="devport.yaml:5",
            position=1,
        ),
        Service(
            "worker",
            "worker",
            ("python3", "worker.py"),
            "/srv/app/sub",
            expand=True,
            env_files=("/home/me/.env.secret", "/srv/app/.env.local"),
            key="worker",
            port_env="API_PORT",
            tailnet=True,
            source="devport.yaml:10",
            position=2,
        ),
    )


@pytest.mark.parametrize(
    ("items", "names"),
    [
        ("- go run\n- go test\n- go", ["go", "go-2", "go-3"]),
        ("- go run\n- {key: go, exec: x}\n- {name: go-2, exec: y}\n- go", ["go-3", "go", "go-2", "go-4"]),
        ("- ./bin/my.tool@2 x", ["my-tool-2"]),
        ("- '\"/opt/a b/run\"'", ["a"]),
        ("- $SHELL -c x", ["SHELL"]),
        ("- '@'", ["service"]),
        ("- --x", ["x"]),
        ("- {name: a, key: b, exec: x}", ["a"]),
        ("- yes", ["yes"]),
        ("- " + "x" * 80, ["x" * 50]),
    ],
)
def test_names_in_the_list_form(items, names):
    """`name`, else `key`, else the program's base name, made unique around the names that are given."""
    assert [service.name for service in services(items)] == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- echo 'a  b' \"c d\" e\\ f", ("echo", "a  b", "c d", "e f")),
        ("- sh -c '$X > $Y'", ("sh", "-c", "$X > $Y")),
        ("- echo '' x", ("echo", "", "x")),
        ("- echo a#b # comment", ("echo", "a#b")),
        ("- 'echo # kept'", ("echo", "#", "kept")),
        ("- echo é", ("echo", "é")),
        ("- exec: >\n    a\n    b\n", ("a", "b")),
    ],
)
def test_a_listed_command_is_split_like_a_shell_would(text, words):
    """Quotes and backslashes; nothing else of a shell; $NAME is left for the environment."""
    service = only(text)

    assert (service.command, service.expand) == (words, True)


@pytest.mark.parametrize(
    ("lines", "command", "expand"),
    [
        ("exec: a && b", ("/bin/sh", "-c", "a && b"), False),
        ("exec: |\n      a\n      b", ("/bin/sh", "-c", "a\nb\n"), False),
        ("exec: a && b\n    shell: true", ("/bin/sh", "-c", "a && b"), False),
        ("exec: a '&&' $B\n    shell: false", ("a", "&&", "$B"), True),
        ("exec: a\n    shell: /bin/bash", ("/bin/bash", "-c", "a"), False),
        ("exec: a\n    shell: bash", ("bash", "-c", "a"), False),
        ("exec: a\n    shell: ./bin/sh", ("/srv/app/bin/sh", "-c", "a"), False),
        ("exec: a\n    shell: ~/sh", ("/home/me/sh", "-c", "a"), False),
        ("exec: yes", ("/bin/sh", "-c", "yes"), False),
    ],
)
def test_what_runs_a_command_under_processes(lines, command, expand):
    """A shell script by default; `shell` turns the shell off or names another."""
    service = only(f"processes:\n  web:\n    {lines}\n")

    assert (service.command, service.expand) == (command, expand)


def test_shell_in_the_list_form():
    """`shell: true` gives an item of the list a shell."""
    assert only("- {exec: a && b, shell: true}").command == ("/bin/sh", "-c", "a && b")


def test_the_mapping_form_with_everything():
    """Every key of a process, in one."""
    text = """
strict-ports: true
port-range: 20000-20999
env: [.env, ~/.env]
processes:
  web:
    exec: ./serve
    cwd: ./sub/../www
    env: .env.web
    environment:
      A: 1.10
      B: true
      C: ${X}
      D: ""
    key: my-web
    shell: /bin/zsh
    pty: no
    port-env: WEB_PORT
    ports: {http: {allocate: 8080}, admin: {}, debug: }
    tailnet: on
    restart: never
    stop-signal: SIGINT
    stop-timeout: 2.5
    description: 2024-01-01
  short: echo hi
"""
    found = config(text)

    assert found[1:] == (None, True, (20000, 20999), ("/srv/app/.env", "/home/me/.env"), (), {})
    assert found.services == (
        Service(
            name="web",
            entry="web",
            command=("/bin/zsh", "-c", "./serve"),
            cwd="/srv/app/www",
            environment={"A": "1.10", "B": "true", "C": "${X}", "D": ""},
            env_files=("/srv/app/.env.web",),
            key="my-web",
            port_env="WEB_PORT",
            ports=(PortRequest("http", 8080), PortRequest("admin"), PortRequest("debug")),
            tailnet=True,
            pty=False,
            stop=StopPolicy(signal.SIGINT, 2.5),
            restart=DECLARED._replace(on="never"),
            policy=CHECK,
            ends_run=False,
            description="2024-01-01",
            source="devport.yaml:6",
        ),
        Service(
            "short",
            "short",
            ("/bin/sh", "-c", "echo hi"),
            "/srv/app",
            restart=DECLARED,
            restart_said=False,
            ends_run=False,
            source="devport.yaml:25",
            position=1,
        ),
    )


def test_defaults():
    """What the file does not say is the model's default."""
    found = config("processes: {web: run}")

    assert found == (
        (
            Service(
                "web",
                "web",
                ("/bin/sh", "-c", "run"),
                "/srv/app",
                restart=DECLARED,
                restart_said=False,
                ends_run=False,
                source="devport.yaml:1",
            ),
        ),
        None,
        None,
        None,
        None,
        (),
        {},
    )
    assert found.services[0].environment is NOTHING


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("no-port", "true"),
        ("port-env", "X"),
        ("stop-signal", "INT"),
        ("stop-timeout", "3"),
    ],
)
def test_kebab_and_snake_case(key, value):
    """Keys may be written with - or _, not both at once."""
    assert process(f"{key}: {value}") == process(f"{key.replace('-', '_')}: {value}")
    text = f"processes:\n  web:\n    exec: x\n    {key}: {value}\n    {key.replace('-', '_')}: {value}\n"

    assert failure(text).startswith(f"line 5: web: duplicate key {key.replace('-', '_')}")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigint", 2),
        ("hup", 1),
        ("9", 9),
        ("'10'", 10),
        ("SIGUSR1", signal.SIGUSR1),
    ],
)
def test_stop_signals(value, number):
    """By name with or without SIG, in any case, or by number."""
    assert process(f"stop-signal: {value}").stop.signal == number


@pytest.mark.parametrize(
    ("cwd", "path"),
    [
        (".", "/srv/app"),
        ("sub", "/srv/app/sub"),
        ("..", "/srv"),
        ("/opt", "/opt"),
        ("~", "/home/me"),
        ("~/x", "/home/me/x"),
        ("${project.root}/x", "/srv/app/x"),
        ("${git.root}/x", "/srv/x"),
        ("${config.git.root}/frontend", "/srv/frontend"),
        ("2024", "/srv/app/2024"),
    ],
)
def test_paths(cwd, path):
    """Relative to the root; ~, ${git.root} and ${project.root} expand; env files likewise."""
    text = f'processes: {{web: {{exec: x, cwd: "{cwd}", env: "{cwd}"}}}}'
    service = services(text, git_root=lambda: "/srv")[0]

    assert service.cwd == path
    assert service.env_files == (path,)


@pytest.mark.parametrize("spelling", ["{on: never}", "never", '"never"', "{'on': never}"])
def test_restart_never(spelling):
    """A word, or a mapping with the word."""
    assert process(f"restart: {spelling}").restart == DECLARED._replace(on="never")


@pytest.mark.parametrize("spelling", ["[A=1, B=x=y, C=]", "{A: '1', B: x=y, C: ''}", '{A: 1, B: x=y, C: ""}'])
def test_environment_as_list_or_mapping(spelling):
    """NAME: value or NAME=value; the value is the text that is there."""
    assert process(f"environment: {spelling}").environment == {"A": "1", "B": "x=y", "C": ""}


@pytest.mark.parametrize("text", ["0x1F", "010", "1e3", "yes", "1_000", "12:30:45", ".5", "2024-01-01", "="])
def test_values_of_the_environment_are_source_text(text):
    """No YAML number, date or boolean is turned into something else on its way."""
    assert process(f"environment: {{A: {text}}}").environment == {"A": text}


@pytest.mark.parametrize("spelling", ["19000-19999", '"19000-19999"', "19000 - 19999", "[19000, 19999]"])
def test_port_range(spelling):
    """A range as text or as a list of two."""
    assert config(f"port-range: {spelling}\nprocesses: {{a: x}}").port_range == (19000, 19999)


def test_lists_whose_items_are_commented_out():
    """A key with nothing but comments below it is an empty list, not an error."""
    service = process("env:\n  # - .env\nenvironment:\n  # A: 1\nports:\n")

    assert (service.env_files, service.environment, service.ports) == ((), NOTHING, ())


def test_no_env_files_is_not_the_same_as_none_named():
    """`env: []` turns the default .env off; no `env` leaves it."""
    assert config("env: []\nprocesses: {a: x}").env_files == ()
    assert config("processes: {a: x}").env_files is None


def test_words_for_what_yaml_forbids():
    """What a newcomer does: a tab, and a colon in a command; the line, and what to do."""
    assert failure("processes:\n  web:\n\texec: run\n") == "line 3: a tab: YAML is indented with spaces"
    assert failure("processes:\n  web:\n    exec: echo hi: there\n") == (
        "line 3: mapping values are not allowed in this context: put a value that holds `: ` in quotes"
    )
    assert failure("- [\n").startswith("line 2: ")


def test_anchors_and_merge_keys():
    """Aliases and `<<` work; what is written in place beats what is merged, the first of several wins."""
    text = """
processes:
  a: &a
    exec: one
    port-env: A
  b: &b
    <<: *a
    exec: two
  c:
    <<: [*b, {exec: three, no-port: true}]
"""
    found = services(text)

    assert [(s.command[2], s.port_env, s.no_port) for s in found] == [
        ("one", "A", False),
        ("two", "A", False),
        ("two", "A", True),
    ]


ENTRIES = (Entry("web", "serve", 3), Entry("clock", "tick '$X'", 4))


def test_processes_add_to_a_procfile():
    """The Procfile's entries come first, in its order, with what the file says of them; then the others."""
    text = """
procfile: procs/Procfile
processes:
  extra: more
  clock: {shell: false, cwd: c}
  web:
"""
    asked = []
    found = config(text, read_procfile=lambda path: asked.append(path) or ENTRIES)

    assert asked == ["/srv/app/procs/Procfile"] == [found.procfile]
    assert [(s.name, s.command, s.cwd, s.source, s.position) for s in found.services] == [
        ("web", ("/bin/sh", "-c", "serve"), "/srv/app", "procs/Procfile:3", 0),
        ("clock", ("tick", "$X"), "/srv/app/c", "procs/Procfile:4", 1),
        ("extra", ("/bin/sh", "-c", "more"), "/srv/app", "devport.yaml:4", 2),
    ]


def test_a_procfile_alone_is_enough():
    """`processes:` may be missing, and its exec beats the Procfile's command."""
    assert [s.name for s in services("procfile: P", read_procfile=lambda _: ENTRIES)] == ["web", "clock"]
    found = services("procfile: P\nprocesses: {web: other}", read_procfile=lambda _: ENTRIES)

    assert (found[0].command[2], found[0].source) == ("other", "devport.yaml:2")


def web(line):
    return f"processes:\n  web:\n    exec: x\n    {line}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # structure
        ("hello", "line 1: expected a list of commands, or a mapping with processes:, found 'hello'"),
        ("processes: [a]", "line 1: processes: expected a mapping NAME: {exec: ...}, found a list"),
        ("procesess: {a: b}", "line 1: unknown key procesess (did you mean processes?)"),
        ("\nweb: {exec: x}", "line 2: unknown key web (services go under processes:)"),
        ("processes:\n  web: [x]", "line 2: web: expected a mapping, found a list"),
        ("processes:\n  web:\n    exce: x", "line 3: web: unknown key exce (did you mean exec?)"),
        ("processes:\n  web:\n    zzz: x", "line 3: web: unknown key zzz"),
        ("processes:\n  web:\n    name: x", "line 3: web: unknown key name"),
        ("processes:\n  web:\n    cwd: x", "line 2: web: exec is missing"),
        ("processes:\n  web:", "line 2: web: exec is missing"),
        ("processes: {[a]: b}", "line 1: a key cannot be a list"),
        # names
        ("processes:\n  a b: x", "line 2: 'a b': a name is made of A-Z a-z 0-9 _ . - (at most 63,"),
        ("processes:\n  -a: x", "line 2: '-a': a name is made of"),
        ("processes:\n  " + "a" * 64 + ": x", "line 2: '" + "a" * 64 + "': a name is made of"),
        ("processes:\n  web: x\n  web: y", "line 3: processes: duplicate key web (first on line 2)"),
        (
            "- {exec: x, key: ../x}",
            "line 1: entry 1: key: expected a name made of A-Z a-z 0-9 _ . - (at most 63)",
        ),
        ("- {exec: x, key: a}\n- {exec: y, key: a}", "line 2: duplicate name a (first on line 1)"),
        (
            "processes:\n  a: {exec: x, key: k}\n  b: {exec: x, key: k}",
            "line 3: b: key: k is already that of a, line 2",
        ),
        # the list form
        ("- [a]", "line 1: entry 1: expected a mapping, found a list"),
        ("- a\n- ", "line 2: entry 2: expected a command, found nothing"),
        ("- 42", "line 1: entry 1: expected a command, found 42"),
        ("- a\n- cwd: x", "line 2: entry 2: exec is missing"),
        ("- key: b\n  cwd: x", "line 1: b: exec is missing"),
        ("- a\n- exce: x", "line 2: entry 2: unknown key exce (did you mean exec?)"),
        ("- a\n- b 'c", "line 2: b: exec: cannot be split into words: no closing quotation"),
        ("- ''", "line 1: entry 1: expected a command, found ''"),
        ("- \"''\"", "line 1: service: exec: expected a command, found an empty word"),
        # values
        (web("no-port: maybe"), "line 4: web: no-port: expected true or false, found 'maybe'"),
        (web("no_port: 1"), "line 4: web: no_port: expected true or false, found 1"),
        (web("pty: [yes]"), "line 4: web: pty: expected true or false, found a list"),
        (web("tailnet:"), "line 4: web: tailnet: expected true or false, found nothing"),
        (web("cwd: {}"), "line 4: web: cwd: expected a text, found a mapping"),
        (web("cwd: ''"), "line 4: web: cwd: expected a text, found ''"),
        (web("cwd: ${nope.root}/x"), "line 4: web: cwd: ${nope.root} is not known here, only ${git.root},"),
        (web("cwd: ${git.root}/x"), "line 4: web: cwd: no git repository holds /srv/app"),
        (web("env: [a, [b]]"), "line 4: web: env: expected a text, found a list"),
        (web("port-env: A-B"), "line 4: web: port-env: expected the name of a variable, found 'A-B'"),
        (
            web("stop-signal: SIGTREM"),
            "line 4: web: stop-signal: expected a signal, found 'SIGTREM' (did you mean TERM?)",
        ),
        (web("stop-signal: 0"), "line 4: web: stop-signal: expected a signal, found 0"),
        (web("stop-signal: 99"), "line 4: web: stop-signal: expected a signal, found 99"),
        (web("stop-signal:"), "line 4: web: stop-signal: expected a signal, found nothing"),
        (
            web("stop-timeout: -1"),
            "line 4: web: stop-timeout: expected seconds (a number, 0 or more), found -1",
        ),
        (web("stop-timeout: .nan"), "line 4: web: stop-timeout: expected seconds"),
        (
            web("stop-timeout: 5s"),
            "line 4: web: stop-timeout: expected seconds (a number, 0 or more), found '5s'",
        ),
        (
            web("restart: alway"),
            "line 4: web: restart: expected on-failure, always or never, found 'alway' (did",
        ),
        (
            web("restart: {on: yes}"),
            "line 4: web: restart: on: expected on-failure, always or never, found yes",
        ),
        (web("restart: {max: -1}"), "line 4: web: restart: max: expected a number from 0 to 1000000000"),
        (web("restart: {delay: 9, max-delay: 1}"), "line 4: web: restart: max-delay is shorter than delay"),
        (web("restart: {success: [256]}"), "line 4: web: restart: success: expected a number from 0 to 255"),
        (web("shell: 1"), "line 4: web: shell: expected true, false or the path of a shell, found 1"),
        (web("ports: 8080"), "line 4: web: ports: expected a mapping NAME: {allocate: PORT}, found 8080"),
        (web("ports: {http: 8080}"), "line 4: web: ports: http: expected a mapping, found 8080"),
        (
            web("ports: {http: {alocate: 1}}"),
            "line 4: web: ports: http: unknown key alocate (did you mean allocate?)",
        ),
        (
            web("ports: {http: {allocate: 0}}"),
            "line 4: web: ports: http: allocate: expected a number from 1 to 65535",
        ),
        (
            web("ports: {http: {allocate: 010}}"),
            "line 4: web: ports: http: allocate: expected a number from 1",
        ),
        (web("ports: {a-b: {}, a.b: {}}"), "line 4: web: ports: a-b and a.b would both be PORT_A_B"),
        (web("ports: {a b: {}}"), "line 4: web: ports: expected a name made of"),
        (web("ports: {a: {}}\n    no-port: true"), "line 3: web: no-port and ports exclude each other"),
        (web("environment: x"), "line 4: web: environment: expected a mapping NAME: value"),
        (
            web("environment: {A: [1]}"),
            'line 4: web: environment: A: expected a value (write "" for an empty one)',
        ),
        (
            web("environment: {A: }"),
            'line 4: web: environment: A: expected a value (write "" for an empty one)',
        ),
        (web("environment: {A B: x}"), "line 4: web: environment: 'A B' cannot be the name of a variable"),
        (
            web("environment: [hunter2]"),
            "line 4: web: environment: expected NAME=value in each item of the list",
        ),
        (web("environment: [A=1, A=2]"), "line 4: web: environment: A is there twice"),
        (web("environment: A=hunter2"), "line 4: web: environment: expected a mapping NAME: value"),
        (web("description: {}"), "line 4: web: description: expected a text, found a mapping"),
        (web("exec: y"), "line 4: web: duplicate key exec (first on line 3)"),
        # the top level
        ("port-range: 5", "line 1: port-range: expected a range like 19000-19999, found 5"),
        ("port-range: [1]", "line 1: port-range: expected a range like 19000-19999, found a list"),
        ("port-range: {a: 1}", "line 1: port-range: expected a range like 19000-19999, found a mapping"),
        ("port-range: 0-5", "line 1: port-range: expected a number from 1 to 65535, found '0'"),
        ("port-range: 9-5", "line 1: port-range: a range from 9 down to 5 is empty"),
        ("strict-ports: x", "line 1: strict-ports: expected true or false, found 'x'"),
        ("procfile: [a]", "line 1: procfile: expected a text, found a list"),
        ("env: {a: b}", "line 1: env: expected a text, found a mapping"),
        ("env: ${x}/y", "line 1: env: ${x} is not known here"),
        # nothing
        ("", "no services;"),
        ("# only", "no services;"),
        ("---\n", "no services;"),
        ("[]", "no services;"),
        ("{}", "no services;"),
        ("processes:", "no services;"),
        ("strict-ports: true", "no services;"),
    ],
)
def test_every_mistake_has_its_line(text, message):
    """File, line, service and key are named, and the nearest key where there is one."""
    assert "hunter2" not in failure(text)
    if "duplicate key" in message:
        # Found before it is known whose mapping it is.
        message = message.replace("web: ", "").replace("processes: ", "")
    assert failure(text).startswith(message)


@pytest.mark.parametrize("loader", ["C", "Python"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("processes:\n\tweb: x", 2),
        ("processes:\n  web: x\n worker: y", 3),
        ("a: [1,\nb: 2\n", 3),
        ("a: 'x\n", 2),
        ("a: b: c", 1),
        ("a: 1\n---\nb: 1", 2),
        ("a: *nope", 1),
        ("a: b\nc: \0", 2),
        ("a: b\nc: \x07", 2),
        ('a: "\\0"', 1),
        ('a: b\nc: "\\ud800"', 2),
        ("a:\n  !!python/name:os.system x", 2),
        ("a: !foo x", 1),
        ("a: !!set {b}", 1),
        ("a: !!binary aGk=", 1),
        ("a:\n  &x [*x]", 2),
        ("a: " + "[" * 100, 1),
        ("- " * 100_000, 1),
        ("[" * 100_000, 1),
        ("a:\n  <<: b", 2),
        (b"a: b\nc: \xff", 2),
        (b"\xff\xfea\0:\0", 1),
        ("x" * (1 << 20) + "xx", 1),
    ],
)
def test_what_is_not_yaml(text, line, loader, monkeypatch):
    """Syntax, characters, tags, depth and aliases: one line, with the number of the line, in both loaders."""
    if loader == "Python":
        monkeypatch.delattr(yaml, "CSafeLoader")

    assert failure(text).startswith(f"line {line}: ")


def test_a_bomb_of_aliases_is_refused():
    """Aliases of aliases cannot explode: a hundred thousand repetitions are the end."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]

    assert "aliases stand for more than 100000 values" in failure("\n".join(levels))


def test_many_services_are_no_bomb():
    """A big file without aliases is only big."""
    assert (
        len(services("processes:\n" + "".join(f"  s{n}: {{exec: x, cwd: y}}\n" for n in range(5000)))) == 5000
    )


def test_both_loaders_agree(monkeypatch):
    """Without libyaml the same file means the same."""
    with_c = services(SEED)
    monkeypatch.delattr(yaml, "CSafeLoader")

    assert services(SEED) == with_c


def test_home_may_be_unknown():
    """~ without HOME is an error with its line, and the only one."""
    with pytest.raises(UsageError, match="line 1: go: cwd: HOME is not set, so there is no ~"):
        parse(b"- {exec: go, cwd: ~/x}", "devport.yaml", "/", None)


@pytest.mark.parametrize("text", ["\ufeff- go", "- go\r\n", "--- \n- go\n...\n", "%YAML 1.1\n---\n- go"])
def test_a_mark_and_directives_do_not_matter(text):
    """A byte order mark, CRLF and document marks read the same."""
    assert only(text).command == ("go",)


WORDS = st.one_of(
    st.sampled_from(["processes", "procfile", "env", "exec", "cwd", "web", "ports", "allocate", "restart"]),
    st.sampled_from(
        ["on", "never", "stop-signal", "shell", "false", "key", "environment", "no-port", "true"]
    ),
    st.sampled_from(["8080", "x", "~", "null", "''", "*a", "&a", "<<", "!!str", "A=1", "-", "?", "|", ">"]),
)
SOUP = st.lists(
    st.one_of(WORDS, st.sampled_from([": ", "\n", "\n  ", "\n    ", ", ", "{", "}", "[", "]", "\n- "]))
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
KNOWN = st.sampled_from([key.replace("_", "-") for key in KEYS])


def check(data):
    try:
        found = parse(data, "Some.file", "/r", "/h", git_root=lambda: "/g")
    except DevportError as error:
        assert error.message.startswith("cannot read Some.file: ")  # noqa: PT017 - either outcome is right
        assert error.message.isprintable()  # noqa: PT017 - either outcome is right
        return
    names = [service.name for service in found.services]
    assert len(set(names)) == len(names)
    for service in found.services:
        encode("".join((*service.command, service.cwd, *service.env_files)))
        assert service.command[0]
        assert "\0" not in str(service.command) + service.cwd


@given(st.binary(max_size=200))
@example(b"\x80")
@example(b"a: \xed\xa0\x80")
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes(data):
    """Only DevportError comes out, on one line, with the file's name in it."""
    check(data)


@given(SOUP.map("".join))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_soup_of_yaml(text):
    """The same for what looks like YAML."""
    check(text.encode())


@given(
    st.one_of(
        st.dictionaries(st.just("web") | st.text(max_size=5), st.dictionaries(KNOWN, VALUES, max_size=5)).map(
            lambda processes: {"processes": processes}
        ),
        st.lists(st.dictionaries(KNOWN, VALUES, max_size=5) | VALUES, max_size=4),
        VALUES,
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree(tree):
    """The same for well-formed files with anything under the known keys."""
    check(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "replace"))
