"""Other managers' files as a devport.yaml: what arrives, what is said, and that devport reads the result."""

import shlex
import subprocess

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import export_projects

from devport.errors import UsageError
from devport.export import compose as to_compose
from devport.export import mprocs as to_mprocs
from devport.export import process_compose as to_process_compose
from devport.export.plan import Plan
from devport.imports import words
from devport.imports.files import convert
from devport.model import Dependency, Probe, RestartPolicy, StopPolicy
from devport.project import config

TEXTS = st.lists(
    st.one_of(
        st.sampled_from("ab%$'\"\\`;# \t\n(){}=~!-é"),
        st.sampled_from(["{{", "}}", "${", "$$", "${db.port}", "{{.X}}", "yes", "1e3"]),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=10,
).map("".join)
QUICK = settings(
    max_examples=40,
    phases=set(Phase) - {Phase.explain},
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def imported(text, system="linux"):
    """The result as data, what is said, and the services that devport sees in it."""
    result = convert(text.encode(), "FILE.yaml", system)
    found = config.parse(result.text.encode(), "devport.yaml", "/srv", "/home/me")
    services = {service.name: service for service in found.services}
    return yaml.safe_load(result.text), list(result.said), services


def one(text, kind="processes", head=""):
    """The one process with these keys: its keys, what is said, its Service."""
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    data, said, services = imported(f"{head}{kind}:\n  web:\n{indented}")
    [keys] = {**data["processes"], **data.get("tasks", {})}.values()
    return keys, said, services["web"]


def failure(text, name="FILE.yaml"):
    """What is said of a file that cannot be imported."""
    with pytest.raises(UsageError) as caught:
        convert(text if isinstance(text, bytes) else text.encode(), name, "linux")
    assert "\n" not in caught.value.message
    return caught.value.message


# any file


@pytest.mark.parametrize(
    "text",
    ["", "a", "- a", "a: b", "web: ./server", "procs: {}", "services: {}", "processes: {}", "procs: [a]"],
)
def test_no_file_of_a_manager(text):
    """What is none, or holds nothing, is an error."""
    assert failure(text).startswith("cannot import FILE.yaml: ")


def test_no_yaml():
    """A mistake has its line."""
    assert (
        failure("procs:\n  a: b\n  a: c\n")
        == "cannot read FILE.yaml: line 3: duplicate key a (first on line 2)"
    )
    assert failure(b"procs: {a: \xff}").startswith("cannot read FILE.yaml: line 1: ")


def test_json():
    """JSON is YAML."""
    data, _, _ = imported('{"procs": {"a": {"cmd": ["ls", "-l"]}}}')

    assert data["processes"]["a"]["exec"] == "exec ls -l"


def test_names():
    """What devport does not take as a name is changed, everywhere, and told of."""
    data, said, services = imported(
        "processes:\n  my db/1: {command: a}\n  my-db-1: {command: b}\n"
        "  web: {command: c, depends_on: {my db/1: {condition: process_started}}}\n"
    )

    assert [*data["processes"]] == ["my-db-1-2", "my-db-1", "web"] == [*services]
    assert said == ["my-db-1-2: was called my db/1"]
    assert data["processes"]["web"]["after"] == ["my-db-1-2@started"]


# process-compose


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("no", "never"),
        ('"no"', "never"),
        ("false", "never"),
        ("exit_on_failure", "never"),
        ("always", "always"),
        ("on_failure", "on-failure"),
    ],
)
def test_restart(written, found):
    """`no` is a word, however YAML reads it."""
    keys, said, _ = one(f"command: x\navailability: {{restart: {written}, backoff_seconds: 3}}")

    if found == "never":
        assert keys["restart"] == "never"
    else:
        assert keys["restart"] == {"on": found, "max": None, "delay": 3, "max-delay": 3}
    assert any("exit_on_failure" in line for line in said) == (written == "exit_on_failure")


def test_restart_without_availability():
    """process-compose restarts nothing that does not ask for it."""
    _, _, service = one("command: x")

    assert service.restart.on == "never"


def test_limits_and_statuses():
    """A limit, and statuses that are no failure."""
    text = "command: x\navailability: {restart: on_failure, max_restarts: 2}\nsuccess_exit_codes: [3, 143]"
    _, _, service = one(text)

    assert (service.restart.max, service.restart.success) == (2, frozenset({0, 3, 143}))


@pytest.mark.parametrize("written", ["", "{}", "{condition: }"])
def test_dependency_without_condition(written):
    """It waits for the end of the other, and whoever wrote it is told."""
    data, said, _ = imported(
        f"processes:\n  db: {{command: a}}\n  web: {{command: b, depends_on: {{db: {written}}}}}\n"
    )

    assert data["processes"]["web"]["after"] == ["db@completed"]
    assert any("without a condition means process_completed" in line for line in said)


def test_conditions():
    """Each condition; what is not there is not waited for, and told of."""
    found = {
        "a": "started",
        "b": "healthy",
        "c": "completed",
        "d": "completed_successfully",
        "e": "log_ready",
    }
    waits = ", ".join(
        f"{name}: {{condition: process_{how}}}" for name, how in {**found, "z": "started"}.items()
    )
    others = "".join(f"  {name}: {{command: x, is_tty: yes}}\n" for name in found)
    data, said, _ = imported(f"processes:\n{others}  web: {{command: y, depends_on: {{{waits}}}}}\n")

    assert data["processes"]["web"]["after"] == [
        "a@started",
        "b@ready",
        "c@completed",
        "d@succeeded",
        "e@ready",
    ]
    assert "web: does not wait for z, which is not here" in said


def test_tasks():
    """What others wait for to succeed, and that is nothing but a command, is a task."""
    data, _, services = imported(
        "processes:\n  migrate: {command: make migrate, working_dir: sub}\n"
        "  web: {command: y, depends_on: {migrate: {condition: process_completed_successfully}}}\n"
    )

    assert data["tasks"]["migrate"]["exec"] == "make migrate"
    assert services["migrate"].policy.task


def test_environment_list_and_map():
    """A list as process-compose has it, a mapping too; values keep their text, `=` and all."""
    listed, _, _ = one("command: x\nenvironment: ['DB=postgres://h/d?a=b', 'Y=no', 'E=']")
    mapped, _, _ = one("command: x\nenvironment: {N: 010, Y: no}", head="environment: [N=1, TOP=t]\n")

    assert listed["environment"] == {"DB": "postgres://h/d?a=b", "Y": "no", "E": ""}
    assert mapped["environment"] == {"N": "010", "TOP": "t", "Y": "no"}


def test_port():
    """PORT is where the search begins; a probe of it needs no number; who has no PORT is given none."""
    text = "command: serve $${PORT}\nenvironment: [PORT=47200]\nreadiness_probe: {http_get: {port: '47200'}}"
    keys, _, service = one(text)

    assert keys["ports"] == {"http": {"allocate": 47200}}
    assert "environment" not in keys
    assert keys["ready"] == {"http": {"get": {"status": 200}}}
    assert service.policy.ready.port is None
    assert one("command: serve")[0]["no-port"] is True
    assert "no-port" not in one("command: serve $PORT")[0]


def test_same_port_twice():
    """Two that want the same number cannot both insist on it."""
    data, _, _ = imported(
        "processes:\n  a: {command: x, environment: [PORT=80]}\n  b: {command: y, environment: [PORT=80]}\n"
    )
    alone, _, _ = imported("processes:\n  a: {command: x, environment: [PORT=80]}\n")

    assert "strict-ports" not in data
    assert alone["strict-ports"] is True


def test_dollars():
    """`$$` is a dollar; what was replaced when the file was read is replaced by the shell."""
    keys, said, _ = one(
        'command: echo $$HOME $$$$ ${USER:-me} $PLAIN\nenvironment: ["URL=http://${HOST:-x}/$$a", "F=$$5"]'
    )

    assert keys["exec"] == "export URL=http://\"${HOST:-x}\"'/$a'\necho $HOME $$ ${USER:-me} $PLAIN".replace(
        "'/$a'", "/'$'a"
    )
    assert keys["environment"] == {"F": "$5"}
    assert said == ["web: command: ${USER:-me} is replaced by its shell, when it starts"]
    done = subprocess.run(
        ["/bin/sh", "-c", keys["exec"].partition("\n")[0] + '; printf %s "$URL"'],
        capture_output=True,
        text=True,
        check=True,
        env={"HOST": "h ost"},
    )
    assert done.stdout == "http://h ost/$a"


def test_devports_own_references():
    """What looks like devport's `${db.port}` is text."""
    _, _, service = one("shell: 'echo ${db.port}'", kind="procs")

    assert service.command[2] == "echo $${db.port}"


def test_templates():
    """Variables and texts in `{{ }}` are replaced; what is left is told of; entrypoint has none."""
    keys, said, _ = one(
        "command: 'echo {{.NAME}} {{ \"{{x}}\" }} {{.NOPE}} {{.PC_REPLICA_NUM}}'\n"
        "vars: {NAME: mine}\nenvironment: ['A={{ .TOP }}']",
        head="vars: {NAME: top, TOP: 7}\n",
    )

    assert keys["exec"] == "echo mine {{x}} {{.NOPE}} 0"
    assert keys["environment"] == {"A": "7"}
    assert said == ["web: the template {{.NOPE}} in command is not carried over"]
    assert one("entrypoint: [echo, '{{.X}}']")[0]["exec"] == "exec echo '{{.X}}'"
    assert one("command: 'docker {{.ID}}'\nis_template_disabled: yes")[0]["exec"] == "docker {{.ID}}"


def test_shells():
    """A command is bash's, unless the file says otherwise."""
    assert one("command: x")[2].command[0] == "bash"
    assert (
        one("command: x", head="shell: {shell_command: /bin/sh, shell_argument: -c}\n")[2].command[0]
        == "/bin/sh"
    )


def test_replicas():
    """They are written down one by one, counted from 0, and all are waited for."""
    data, _, _ = imported(
        "processes:\n  w: {command: 'run {{.PC_REPLICA_NUM}}', replicas: 11, namespace: [a, default]}\n"
        "  x: {command: y, depends_on: {w: {condition: process_started}}}\n"
    )

    assert [*data["processes"]][:2] == ["w-00", "w-01"]
    assert data["processes"]["w-10"]["exec"] == "run 10"
    assert len(data["processes"]["x"]["after"]) == 11
    assert len(data["groups"]["a"]) == 11


def test_namespaces():
    """They are groups; one that has the name of a service gets another."""
    data, _, _ = imported(
        "processes:\n  web: {command: a, namespace: web}\n  db: {command: b, namespace: 'my back'}\n"
    )

    assert data["groups"] == {"web-group": ["web"], "my-back": ["db"]}


@pytest.mark.parametrize(
    ("keys", "starts"),
    [
        ("disabled: yes", False),
        ('is_disabled: "false"\ndisabled: true', True),
        ('is_disabled: "true"', False),
    ],
)
def test_disabled(keys, starts):
    """`is_disabled` is a text, and beats `disabled`."""
    assert one(f"command: x\n{keys}")[0].get("start", True) is starts


def test_probes():
    """Times in seconds; a text of a line is no regular expression; other machines are not asked."""
    ready = one(
        "command: x\nreadiness_probe: {exec: {command: 'a $$B', working_dir: s b}, period_seconds: 2}"
    )[0]
    live = one("command: x\nliveness_probe: {http_get: {port: 8080, path: x}, timeout_seconds: 0}")[0]
    line = one("command: x\nready_log_line: 'on [::1]:80 (a.b)'")[2]
    far = one("command: x\nreadiness_probe: {http_get: {host: google.com, scheme: https}}")

    assert ready["ready"] == {"exec": "cd 's b' && a $B", "period": 2}
    assert live["live"] == {"http": {"get": {"port": 8080, "path": "/x", "status": 200}}}
    assert line.policy.ready.pattern == r"on \[::1\]:80 \(a\.b\)"
    assert "ready" not in far[0]
    [line] = far[1]
    assert line.startswith("web: readiness_probe is not carried over: it asks https://google.com:443, and ")


@pytest.mark.parametrize(
    ("kind", "probe"),
    [
        ("processes", "readiness_probe: {exec: {command: a}, failure_threshold: 1000000}"),
        ("services", "healthcheck: {test: a, retries: 1000000}"),
    ],
)
def test_more_failures_than_devport_counts(kind, probe):
    """The most that it takes, and the user is told; such files export process-compose writes itself."""
    keys, said, service = one(f"command: x\n{probe}", kind)

    assert keys["ready"]["failure-threshold"] == service.policy.ready.failure_threshold == 10_000
    assert said == ["web: ready: gives up after 10000 failures, the most that devport counts"]


def test_shutdown():
    """A number for a signal; what devport does not do is told of."""
    keys, said, _ = one(
        "command: x\nshutdown: {signal: 2, timeout_seconds: 9, command: halt $$X, send_keys: q}"
    )

    assert keys["stop"] == {"exec": "halt $X", "signal": 2, "timeout": 9}
    assert said == ["web: shutdown: send_keys is not carried over"]


def test_daemon():
    """One whose state can be seen is external; of another one it is said."""
    seen = one("command: x\nis_daemon: true\nreadiness_probe: {exec: {command: y}}")[2]
    _, said, unseen = one("command: x\nis_daemon: true")

    assert seen.policy.external
    assert not unseen.policy.external
    assert said[0].startswith("web: is_daemon is not carried over: ")


def test_folders_and_watch():
    """Env files and watched folders lie below the working folder."""
    keys, said, _ = one(
        "command: x\nworking_dir: ./src\nenv_file: ../a.env\n"
        "watch:\n  paths: [{path: lib, include: ['*.py', 'x/*.c'], exclude: [tmp]}]\n"
        "  debounce: 500ms\n  cascade: no"
    )

    assert (keys["cwd"], keys["env"]) == ("./src", ["a.env"])
    assert keys["watch"] == {"paths": ["src/lib"], "extensions": ["py"], "ignore": ["tmp"]}
    assert said == [
        "web: watch: include: x/*.c is not carried over",
        "web: watch: debounce is not carried over: devport has its own, until the last of several changes",
        "web: watch: cascade is not carried over",
    ]


def test_what_is_lost():
    """Keys that devport has nothing for are named, one line each; those of users are not."""
    _, said, _ = one(
        "command: x\nschedule: {cron: '* * * * *'}\nextends: other\nx-mine: 1\nlog_location: a.log",
        head="extends: base.yaml\nlog_level: info\nx-top: {}\nis_strict: true\n",
    )

    assert said == [
        "extends is not carried over: merge the files first",
        "log_level is not carried over",
        "is_strict is not carried over",
        "web: schedule is not carried over",
        "web: extends is not carried over: merge the files first",
        "web: log_location is not carried over",
    ]


@given(
    texts=st.lists(TEXTS.filter(bool), min_size=1, max_size=3),
    environment=st.dictionaries(st.just("V"), TEXTS),
)
@QUICK
@pytest.mark.parametrize("format_", [to_process_compose, to_mprocs])
def test_round_trip(format_, texts, environment):
    """What devport exported comes back: the words and the values."""
    unit = export_projects.unit(
        "web", ("/usr/bin/printf", "%s\\0", *texts), cwd="/tmp", environment=environment
    )
    (file,) = format_.render(Plan("demo", "/tmp", (unit,)))
    _, _, services = imported(file.content)
    [shell, _, script] = services["web"].command
    script = script.replace("$${db.port}", "${db.port}")

    assert shell in {"/bin/sh", "bash"}
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, env={})
    assert done.stdout == b"".join(text.encode() + b"\0" for text in texts)
    values = {
        name: value.replace("$${db.port}", "${db.port}")
        for name, value in services["web"].environment.items()
    }
    assert values == {**environment, "PS": "web"}


PROJECTS = st.lists(
    st.fixed_dictionaries(
        {
            "restart": st.sampled_from(
                [
                    RestartPolicy(),
                    RestartPolicy("on_failure", 3, delay=2.0, max_delay=2.0),
                    RestartPolicy("on_failure", delay=2.0, max_delay=2.0),
                    RestartPolicy("always", delay=2.0, max_delay=2.0),
                ]
            ),
            "stop": st.sampled_from([StopPolicy(), StopPolicy(2), StopPolicy(9, 9.0), StopPolicy(15, 9.0)]),
            "waits": st.booleans(),
            "enable": st.sampled_from(["true", "false"]),
            "ports": st.sampled_from([{}, {"http": 18080}]),
            "description": st.sampled_from(["", "the shop: it's 5 % #1"]),
            "ready": st.sampled_from(
                [
                    None,
                    Probe("exec", ("/bin/sh", "-c", "ask $X"), period=4.0, probe_timeout=2.0),
                    Probe("exec", ("ask", "it's"), period=4.0, probe_timeout=2.0, failure_threshold=7),
                ]
            ),
        }
    ),
    min_size=1,
    max_size=3,
)
HAS = {  # what each format can say, and so has to come back
    to_process_compose: {"restart", "signal", "grace", "enable", "ports", "after", "ready", "description"},
    to_mprocs: {"signal", "enable", "ports", "after"},
    to_compose: {"restart", "signal", "grace", "enable", "ports", "after", "ready", "times"},
}


def project(given):
    """Units that each wait for the one before them, if they do."""
    units = []
    for number, fields in enumerate(map(dict, given)):
        waits = fields.pop("waits") and units
        after = (Dependency(units[-1].name, "started"),) if waits else ()
        restart = fields.pop("restart")
        unit = export_projects.unit(f"s{number}", ("./serve", "it's"), cwd="/srv", after=after, **fields)
        units.append(unit._replace(restart=restart, service=unit.service._replace(restart=restart)))
    return tuple(units)


def essence(unit, service):
    """What of a service the formats can say, of the unit that was exported and of what came back."""
    restart, ready = service.restart, service.policy.ready
    found = {
        "restart": (restart.on, restart.max if restart.on != "never" else 0),
        "signal": service.stop.signal,
        "grace": service.stop.grace or 5.0,
        "enable": service.enable,
        "ports": unit.ports if unit else {one.name: one.base for one in service.ports if one.base},
        "after": service.policy.after,
        "description": service.description,
    }
    if ready is not None and ready.kind == "exec":
        [text] = [ready.command[-1] if ready.command[1:2] == ("-c",) else f"exec {shlex.join(ready.command)}"]
        found["ready"] = (text, ready.probe_timeout)
        found["times"] = (ready.period, ready.failure_threshold)
    return found


@given(given=PROJECTS)
@QUICK
@pytest.mark.parametrize("format_", HAS, ids=lambda module: module.NAME)
def test_round_trip_of_keys(format_, given):
    """What a format can say of a service comes back from it."""
    units = project(given)
    (file,) = format_.render(Plan("demo", "/srv", units))
    _, _, services = imported(file.content)

    for unit in units:
        exported, found = essence(unit, unit.service), essence(None, services[unit.name])
        for key in HAS[format_]:
            assert found.get(key) == exported.get(key), key


# mprocs


def test_mprocs():
    """A text, words, a mapping, nothing; what is lost is named."""
    data, said, services = imported(
        "procs:\n  a: echo $PORT\n  b: [echo, $PORT, it's]\n  c: null\n"
        "  d: {shell: x, cwd: <CONFIG_DIR>/sub, env: {PORT: '3000', Y: 'no', GONE: null}, add_path: bin,\n"
        "      deps: [a], stop: {send-keys: ['<C-c>']}, autorestart: yes, autostart: no, log: true}\n"
        "server: 127.0.0.1:4050\n"
    )
    d = data["processes"]["d"]

    assert data["processes"]["b"]["exec"] == "exec echo '$PORT' 'it'\"'\"'s'"
    assert d["exec"] == 'unset GONE\nexport PATH="$PATH":"$PWD"/bin\nx'
    assert (d["cwd"], d["environment"], d["after"]) == ("sub", {"Y": "no"}, ["a@started"])
    assert (d["stop"], d["start"]) == ({"signal": "INT"}, False)
    assert services["d"].restart._replace(reset_after=0)[:5] == ("on_failure", None, None, 0.0, 0.0)
    assert services["a"].restart.on == "never"
    assert said == [
        "c: is nothing there, and nothing here",
        "d: log is not carried over",
        "server is not carried over",
    ]


@pytest.mark.parametrize(("system", "program"), [("linux", "ls"), ("macos", "open")])
def test_select(system, program):
    """A choice by the system is made."""
    text = "procs:\n  a: {cmd: {$select: os, linux: [ls], $else: [open]}}\n"

    assert imported(text, system)[0]["processes"]["a"]["exec"] == f"exec {program}"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("SIGINT", {"signal": "INT"}),
        ("SIGTERM", None),
        ("hard-kill", {"signal": "KILL"}),
        ("{cmd: halt}", {"exec": "halt"}),
        ("{send-keys: [q, q]}", None),
    ],
)
def test_stop(written, found):
    """Each way to stop; typing is none of devport's."""
    keys, said, _ = one(f"shell: x\nstop: {written}", kind="procs")

    assert keys.get("stop") == found
    assert any("types nothing" in line for line in said) == ("keys" in written)


# compose


def test_compose():
    """The commands; what is the image's is said."""
    data, said, services = imported(
        "name: shop\nservices:\n  db: {image: postgres}\n  web:\n    build: .\n"
        '    command: serve -b ${PORT:-80} $$X "a b"\n'
        "    environment: [A=1, B, 'C=pg://${U}@h', PORT=8080, 'D=$$5']\n"
        "    depends_on:\n      db: {condition: service_healthy}\n"
        "      mig: {condition: service_completed_successfully}\n"
        "    healthcheck: {test: [CMD-SHELL, 'curl localhost:$$PORT'], interval: 1m30s, retries: 5}\n"
        "    restart: unless-stopped\n    ports: ['80:80']\n    stop_grace_period: 1m\n    profiles: [dev]\n"
        "    env_file: [a.env, {path: ./b.env, required: false}]\n    working_dir: /app\n"
        "  mig: {command: [./m, up], depends_on: [web2]}\n  web2: {command: x, restart: 'on-failure:3'}\n"
        "volumes: {data: {}}\n"
    )
    web = data["processes"]["web"]

    assert web["exec"] == "export C=pg://\"${U}\"@h\nexec serve -b \"${PORT:-80}\" '$'X 'a b'"
    assert web["environment"] == {"A": "1", "D": "$5"}
    assert web["ready"] == {
        "exec": "curl localhost:$PORT",
        "period": 90,
        "probe-timeout": 30,
        "failure-threshold": 5,
    }
    assert (web["after"], web["env"], web["stop"]) == (["mig@succeeded"], ["a.env", "b.env"], {"timeout": 60})
    assert (web["restart"], web["start"], data["groups"]) == (
        {"on": "always", "max": None},
        False,
        {"dev": ["web"]},
    )
    assert services["web2"].restart.max == 3
    assert services["mig"].policy.task
    assert said == [
        "name is not carried over",
        "db: is left out: it has no command: what its image runs is not known",
        "web: build is not carried over: it runs on this machine, with what is installed here",
        "web: does not wait for db, which is not here",
        "web: ports is not carried over: it listens on this machine, on its own PORT if it asks for it",
        "web: env_file: item 2: required is not carried over: a file that is missing is an error",
        "web: working_dir is not carried over: /app is a folder of the image",
        "volumes is not carried over",
    ]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ("command: sh -c 'a && b'", "a && b"),
        ("command: [sh, -c, 'echo $$HOME']", "echo $HOME"),
        ("entrypoint: [e, x]\ncommand: y z", "exec e x y z"),
        ("command: ['a b', $X]", "exec 'a b' \"${X}\""),
    ],
)
def test_compose_commands(keys, found):
    """Words, given to no shell, unless they name one."""
    assert one(keys, kind="services")[0]["exec"] == found


# nothing is lost in silence

EVERYTHING = {
    "process-compose": """
version: "0.5"
environment: [TOP=1]
vars: {V: x}
shell: {shell_command: bash, shell_argument: -c}
ordered_shutdown: true
processes:
  db: {command: db}
  web:
    command: serve {{.V}} {{.W}}
    working_dir: sub
    environment: [A=1, B=2]
    env_file: a.env
    vars: {W: y}
    description: the web
    disabled: false
    is_disabled: "false"
    depends_on: {db: {condition: process_started}}
    availability: {restart: always, backoff_seconds: 2, max_restarts: 3}
    success_exit_codes: [3]
    readiness_probe:
      http_get: {host: 127.0.0.1, port: 80, path: /, scheme: http, status_code: 200}
      initial_delay_seconds: 1
      period_seconds: 1
      timeout_seconds: 1
      success_threshold: 1
      failure_threshold: 1
    liveness_probe: {exec: {command: x, working_dir: y}}
    shutdown: {command: x, signal: 2, timeout_seconds: 3, parent_only: false}
    is_tty: true
    is_interactive: true
    namespace: a
    replicas: 1
    watch: {paths: [{path: src, include: ["*.py"], exclude: [tmp]}]}
    is_template_disabled: false
    is_dotenv_disabled: false
    is_daemon: false
""",
    "mprocs": """
procs:
  db: [a, b]
  web:
    shell: serve
    cwd: sub
    env: {A: "1", B: null}
    add_path: [bin]
    autostart: true
    autorestart: true
    stop: {cmd: halt}
    deps: [db]
  other: {cmd: [a, b], stop: SIGINT}
""",
    "compose": """
version: "3"
services:
  db: {command: a b}
  web:
    command: [serve, all]
    entrypoint: [e]
    working_dir: sub
    environment: {A: "1"}
    env_file: [a.env, {path: b.env, required: true}]
    depends_on: {db: {condition: service_started, required: true}}
    healthcheck: {test: [CMD, a], interval: 1s, timeout: 1s, retries: 3, disable: false}
    profiles: [p]
    restart: always
    stop_signal: INT
    stop_grace_period: 1s
    tty: true
    init: true
    scale: 1
""",
}


def places(node, path=()):
    """The path of each value in a document, containers before what they hold."""
    yield path
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield from places(value, (*path, key))


def replaced(node, path, value):
    """The document with another value at `path`."""
    if not path:
        return value(node)
    key, *rest = path
    if isinstance(node, dict):
        return {**node, key: replaced(node[key], rest, value)}
    return [*node[:key], replaced(node[key], rest, value), *node[key + 1 :]]


def outcome(document):
    """What an import writes and the lines that it says; a refusal is one of them."""
    try:
        result = convert(yaml.safe_dump(document, sort_keys=False).encode(), "FILE.yaml", "linux")
    except UsageError as error:
        return "", (error.message,)
    return result


@pytest.mark.parametrize("format_", EVERYTHING)
def test_known_keys_are_carried_over(format_):
    """Of the keys that devport understands nothing is said."""
    assert convert(EVERYTHING[format_].encode(), "FILE.yaml", "linux").said == ()


@pytest.mark.parametrize("format_", EVERYTHING)
def test_no_unknown_key_is_forgotten(format_):
    """Whichever mapping it is put into: it is named, or is a name of the user's that arrives."""
    document = yaml.safe_load(EVERYTHING[format_])
    count = 0
    for path in places(document):
        changed = replaced(
            document, path, lambda node: {**node, "zzz": "unheard"} if isinstance(node, dict) else node
        )
        if changed != document and path[-1:] != ("vars",):  # a name that nothing uses means nothing
            count += 1
            text, said = outcome(changed)
            assert "zzz" in text or any("zzz" in line for line in said), path
    assert count >= 4


@pytest.mark.parametrize("format_", EVERYTHING)
@pytest.mark.parametrize(
    "wrong",
    [{"zzz": 7}, [["zzz"], {"zzz": 7}], "zzz", 70007],
    ids=["map", "list", "text", "number"],
)
def test_no_wrong_type_is_forgotten(format_, wrong):
    """A value that is none of its key's arrives as it is, or something is said."""
    document = yaml.safe_load(EVERYTHING[format_])
    for path in places(document):
        if path not in {(), ("version",)}:
            text, said = outcome(replaced(document, path, lambda _: wrong))
            assert said or "zzz" in text or "70007" in text, path


@pytest.mark.parametrize("format_", EVERYTHING)
def test_no_empty_item_is_forgotten(format_):
    """Neither nothing in a list nor a key that nobody knows without a value: it is named."""
    document = yaml.safe_load(EVERYTHING[format_])
    count = 0
    for path in places(document):
        if isinstance(path[-1] if path else None, int):
            count += 1
            assert outcome(replaced(document, path, lambda _: None))[1], path
        changed = replaced(document, path, lambda node: {**node, "zzz": None} if type(node) is dict else node)
        if changed != document and path[-1:] not in {("vars",), ("environment",), ("env",)}:
            assert any("zzz" in line for line in outcome(changed)[1]), path
    assert count >= 3


@pytest.mark.parametrize(
    ("kind", "keys", "line"),
    [
        ("processes", "availability: 3", "availability is not carried over: expected a mapping, found 3"),
        ("processes", "shutdown: x", "shutdown is not carried over: expected a mapping, found 'x'"),
        ("processes", "environment: 3", "environment is not carried over: expected a mapping NAME: value"),
        (
            "processes",
            "readiness_probe: {http_get: {port: 80}, zzz: 1}",
            "readiness_probe: zzz is not carried over",
        ),
        ("processes", "comand: y", "comand is not carried over (did you mean command?)"),
        (
            "processes",
            "readiness_probe: {http_get: {port: 99999}}",
            "readiness_probe is not carried over: 99999 is no port",
        ),
        (
            "processes",
            "environment: ['=x']",
            "environment: item 1 is not carried over: that cannot be the name of a variable",
        ),
        ("processes", "shutdown: {signal: 99}", "shutdown: signal is not carried over: 99 is no signal"),
        ("procs", "env: {'a b': c}", "env: a b is not carried over: that cannot be the name of a variable"),
        ("procs", "env: {A: [b]}", "env: A is not carried over: expected a text, found a list"),
        (
            "procs",
            "autostart: perhaps",
            "autostart is not carried over: expected true or false, found 'perhaps'",
        ),
        ("services", "stop_signal: FOO", "stop_signal is not carried over: expected a signal, found 'FOO'"),
        ("services", "restart: 'on-failure:x'", "restart: its limit is not carried over: x is no number"),
        ("services", "restart: 'always:3'", "restart: its limit is not carried over: always has none"),
        ("services", "profiles: solo", "profiles is not carried over: expected a list, found 'solo'"),
        ("services", "working_dir: 5", "working_dir is not carried over: expected a text, found 5"),
        ("services", "depends_on: [null]", "depends_on: item 1 is not carried over: there is nothing"),
        ("services", "depends_on: {n: 5}", "depends_on: n is not carried over: expected a mapping, found 5"),
        ("services", "comand:", "comand is not carried over (did you mean command?)"),
        (
            "services",
            "environment: {'': x}",
            "environment: '' is not carried over: that cannot be the name of a variable",
        ),
        (
            "services",
            "environment: {PORT: 99999}",
            "environment: PORT is not carried over: 99999 is no port, devport finds one",
        ),
        ("services", "healthcheck: 5", "healthcheck is not carried over: expected a mapping, found 5"),
        (
            "services",
            "healthcheck: {test: NONE, retries: '3'}",
            "healthcheck is not carried over: test: NONE as a text is a command; [NONE] takes a check away",
        ),
        ("services", "healthcheck: {disable: true, zzz: 1}", "healthcheck: zzz is not carried over"),
        (
            "services",
            "healthcheck: {test: [a]}",
            "healthcheck is not carried over: test: a list begins with CMD, CMD-SHELL or NONE, not with a",
        ),
        (
            "services",
            "healthcheck: {test: [CMD, null]}",
            "healthcheck is not carried over: test: item 2: expected a text, found nothing",
        ),
        (
            "services",
            "healthcheck: {test: x, retries: 2.5}",
            "healthcheck: retries is not carried over: expected a whole number, found 2.5",
        ),
        (
            "processes",
            "environment: [PORT=auto]",
            "environment: PORT is not carried over: auto is no port, devport finds one",
        ),
        ("processes", "description: 5", "description is not carried over: expected a text, found 5"),
        ("processes", "namespace: [null]", "namespace: item 1 is not carried over: there is nothing"),
        (
            "processes",
            "availability: {max_restarts: 3}",
            "availability: max_restarts is not carried over: nothing is restarted",
        ),
        (
            "processes",
            "readiness_probe: {exec: {command: ''}}",
            "readiness_probe is not carried over: it does nothing",
        ),
        (
            "processes",
            "readiness_probe: {exec: {command: y}}\nready_log_line: up",
            "ready_log_line is not carried over: there is a readiness_probe",
        ),
        (
            "processes",
            "watch: {paths: [{include: ['*.py']}]}",
            "watch: paths: item 1 is not carried over: there is no path",
        ),
        ("processes", "depends_on: {n: 5}", "depends_on: n is not carried over: expected a mapping, found 5"),
        ("procs", "cmd: [y]", "cmd is not carried over: there is a shell"),
        ("procs", "stop: {cmd: halt, send-keys: [q]}", "stop: send-keys is not carried over: there is a cmd"),
        ("services", "env_file: {a: b}", "env_file: a is not carried over"),
    ],
)
def test_what_is_wrong_is_named(kind, keys, line):
    """The service, the key, and what was expected there."""
    command = "shell: x" if kind == "procs" else "command: x"

    assert f"web: {line}" in one(f"{command}\n{keys}", kind)[1]


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        ("processes", "{command: [x, y]}", "command: expected a text, found a list"),
        ("processes", "{command: 5}", "command: expected a text, found 5"),
        ("processes", "{command: ' '}", "its command is empty"),
        ("processes", "{entrypoint: x}", "entrypoint: expected a list, found 'x'"),
        ("processes", "{entrypoint: [x, [y], z]}", "entrypoint: item 2: expected a text, found a list"),
        ("processes", "{command: , namespace: a}", "it has no command"),
        ("processes", "text", "expected a mapping, found 'text'"),
        ("processes", "null", "expected a mapping, found nothing"),
        ("procs", "{cmd: []}", "its cmd is empty"),
        ("procs", "{cmd: x y}", "cmd: expected a list, found 'x y'"),
        ("procs", "{cmd: [x, null]}", "cmd: item 2: expected a text, found nothing"),
        ("procs", "{shell: 5}", "shell: expected a text, found 5"),
        ("procs", "{cwd: x}", "it has no command"),
        ("procs", "5", "expected a text, a list or a mapping, found 5"),
        ("procs", "[]", "it is empty"),
        ("procs", "''", "it is empty"),
        ("services", "{command: 5}", "command: expected a text or a list, found 5"),
        ("services", "{command: []}", "its command is empty"),
        ("services", "{entrypoint: ''}", "its entrypoint is empty"),
        (
            "services",
            "{command: x, entrypoint: {a: b}}",
            "entrypoint: expected a text or a list, found a mapping",
        ),
        ("services", "{command: [x, {a: b}]}", "command: item 2: expected a text, found a mapping"),
        ("services", "null", "expected a mapping, found nothing"),
    ],
)
def test_no_command(kind, given, why):
    """What has no command that can be carried over is left out, whoever waits for it is told and does not."""
    waits = "deps: [a b]" if kind == "procs" else "depends_on: {a b: {condition: %s_started}}"
    waits = waits.replace("%s", kind.removesuffix("es") if kind == "processes" else "service")
    ok = f"{{{'shell' if kind == 'procs' else 'command'}: x, {waits}}}"
    data, said, _ = imported(f"{kind}:\n  a b: {given}\n  ok: {ok}\n")

    assert [*data["processes"]] == ["ok"]
    assert "after" not in data["processes"]["ok"]
    assert said == [f"a b: is left out: {why}", "ok: does not wait for a b, which is not here"]


def test_nothing_with_a_command():
    """Then there is no result, and the reasons are said."""
    message = "nothing in it can run here; a: is left out: command: expected a text, found a list"

    assert failure("processes: {a: {command: [x]}}") == f"cannot import FILE.yaml: {message}"


def test_numbers_among_words():
    """`sleep 100` is two words, however YAML reads the second."""
    assert one("entrypoint: [sleep, 100]")[0]["exec"] == "exec sleep 100"
    assert one("cmd: [sleep, 100]", "procs")[0]["exec"] == "exec sleep 100"
    assert one("command: [sleep, 100]", "services")[0]["exec"] == "exec sleep 100"


def test_depends_on_without_a_condition():
    """It waits, and this is told; so is what means nothing here."""
    data, said, _ = imported(
        "services:\n  a: {command: x}\n  b: {command: x}\n  web:\n    command: y\n"
        "    depends_on:\n      a:\n      b: {condition: service_started, required: false}\n"
    )

    assert data["processes"]["web"]["after"] == ["a@started", "b@started"]
    assert said == [
        "web: waits until a has been started: depends_on has no condition for it",
        "web: depends_on: b: required is not carried over: what is here is waited for",
    ]


def test_empty_names():
    """They can be seen."""
    assert imported("procs: {'': x, a: {shell: y, deps: [z]}}")[1][0] == "service: was called ''"
    assert imported("procs: {'': [], a: y}")[1] == ["'': is left out: it is empty"]
    assert imported("services: {'': {command: x, environment: {U: 'http://'}}}")[1] == [
        "service: was called ''"
    ]


def test_groups_that_are_called_alike():
    """Neither is lost, and both names are told."""
    data, said, _ = imported(
        "processes:\n  a: {command: x, namespace: b c}\n  b: {command: y, namespace: b-c}\n"
    )

    assert data["groups"] == {"b-c": ["a"], "b-c-2": ["b"]}
    assert said == ["group b-c: was called b c", "group b-c-2: was called b-c"]


def test_images_in_one_line():
    """What is the same for all is said once, and names them."""
    _, said, _ = imported(
        "services:\n  a: {image: i, command: x}\n  b: {build: ., image: j, command: x}\n  c: {image: k}\n"
    )

    assert said == [
        "a, b: image and build are not carried over: they run on this machine, with what is installed here",
        "c: is left out: it has no command: what its image runs is not known",
    ]


def test_lines_about_replicas():
    """One for each key, not for each instance."""
    _, said, services = imported(
        "processes:\n  w:\n    command: 'echo {{.NO}} ${U}'\n    replicas: 3\n    environment: [PORT=x]\n"
        "    depends_on: {z: {condition: process_started}, a: }\n"
        "    readiness_probe: {exec: {command: y}, failure_threshold: 20000}\n"
        "  a: {replicas: 2}\n  w-1: {command: x}\n"
    )

    assert [*services] == ["w-0", "w-2", "w-1"]
    assert said == [
        "w: the template {{.NO}} in command is not carried over",
        "w: command: ${U} is replaced by its shell, when it starts",
        "w: ready: gives up after 10000 failures, the most that devport counts",
        "w: w-1 is left out: another process is called so",
        "w: environment: PORT is not carried over: x is no port, devport finds one",
        "w: does not wait for z, which is not here",
        "w: does not wait for a, which is not here",
        "a: is left out: it has no command",
    ]


def test_replicas_with_another_name():
    """It is told once."""
    _, said, services = imported("processes:\n  my w: {command: x, replicas: 3}\n")

    assert [*services] == ["my-w-0", "my-w-1", "my-w-2"]
    assert said == ["my w: the first of them is called my-w-0"]


def test_replicas_beyond_the_most():
    """The others are not forgotten."""
    _, said, services = imported("processes:\n  w: {command: x, replicas: 1000}\n")

    assert len(services) == 100
    assert said == ["w: replicas is not carried over: there are 100, the most that are written down"]


# refusals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "processes:\n  b:\n    command: y\n    depends_on: {c: }\n  c: {command: z, depends_on: {b: }}",
            "line 3: b: depends_on: b -> c -> b wait for each other",
        ),
        ("procs: {a: {shell: x, deps: a}}", "line 1: a: deps: "),
        (
            "services:\n  web:\n    command: x\n    working_dir: '$${x}'\n",
            "line 3: web: working_dir: ${x} is not",
        ),
    ],
)
def test_refusals_name_the_file(text, message):
    """What devport cannot take is told with the line, the service and the key of the file that was given."""
    assert failure(text).startswith(f"cannot import FILE.yaml: {message}")


@pytest.mark.parametrize("key", ["command", "entrypoint"])
def test_open_quote(key):
    """It is named as that."""
    text = f'services:\n  ok: {{command: x}}\n  web: {{{key}: "serve \'all"}}\n'

    assert imported(text)[1] == [f"web: is left out: {key}: a quote is not closed"]


@pytest.mark.parametrize(
    "text",
    [
        "processes: {web: ./server}",
        "processes:\n  web: {exec: ./server, after: db}\n",
        "- ./server\n- {exec: a, name: b}\n",
        "processes: {web: {exe: ./server}}\ntasks: {m: make}",
        "strict-ports: true\nprocesses: {web: {shell: x}}\n",
        "processes: {web: {exec: x, cwd: '${git.root}'}}",
    ],
)
def test_own_format(text):
    """A devport.yaml is no other manager's, with a mistake in it neither."""
    assert failure(text) == "cannot import FILE.yaml: it is a devport.yaml already"


def test_result_is_own_format():
    """What was imported is not imported again."""
    result = convert(b"procs: {a: ls, b: {shell: x, deps: [a]}}", "FILE.yaml", "linux")

    assert failure(result.text) == "cannot import FILE.yaml: it is a devport.yaml already"


@pytest.mark.parametrize("text", ["web: ./server\nworker: ./worker\n", "web: [ -e x ] && 'y\n"])
def test_procfile(text):
    """A Procfile is read as it is."""
    assert failure(text, "FILE") == "cannot import FILE: it is a Procfile, which devport reads as it is"


def test_yaml_that_is_broken():
    """By its name it is YAML: the line that is wrong is named, and not that it could be a Procfile."""
    assert failure("x: [\n").startswith("cannot read FILE.yaml: line 2: ")


def test_slip_of_the_section():
    """The nearest of the three words."""
    assert failure("proceses:\n  web: {command: x}\n").endswith("(did you mean processes?)")


# hosts

CONTAINERS = """
services:
  db: {image: postgres, container_name: shop-db}
  api: {command: api, environment: [PORT=8080]}
  queue: {command: queue}
  web:
    command: %s
    environment: %s
"""


@pytest.mark.parametrize(
    ("command", "environment", "lines"),
    [
        ("x", "{U: 'postgres://db:5432/x'}", ["environment: U: db"]),
        ("x", "[PGHOST=db]", ["environment: PGHOST: db"]),
        ("x", "{U: 'redis://me@queue/0'}", ["environment: U: queue"]),
        ("x", "{U: shop-db, V: web, W: 'web:80', N: data-db, F: ./db, D: dbx}", ["environment: U: shop-db"]),
        ("x", "{B: 'api:80,queue:90'}", ["environment: B: api", "environment: B: queue"]),
        ("x", "{B: host.docker.internal}", ["environment: B: host.docker.internal"]),
        ("psql -h db x", "{}", ["command: db"]),
        ("[psql, --host=db, api]", "{}", ["command: db"]),
        ("./wait db:5432 -- serve queue", "{}", ["command: db"]),
        ("x", "{U: 'http://localhost:80/db'}", []),
    ],
)
def test_hosts(command, environment, lines):
    """Names of containers are no machines here: what names one is told, its own name is not."""
    _, said, _ = imported(CONTAINERS % (command, environment))

    assert [line.partition(" is ")[0] for line in said if "write localhost" in line] == [
        f"web: {line}" for line in lines
    ]


def test_host_and_its_port():
    """What to write instead, and it is what devport understands."""
    _, said, _ = imported(CONTAINERS % ("x", "{A: 'http://api:80', D: db, Q: queue, S: shop-db}"))
    elsewhere = "write localhost, and the port that it has on this machine"

    assert [line for line in said if "localhost" in line] == [
        "web: environment: A: api is the name of a container: write localhost, and ${api.port} for its port",
        f"web: environment: D: db is the name of a container: {elsewhere}",
        f"web: environment: Q: queue is the name of a container: {elsewhere[:29]} that it listens on",
        f"web: environment: S: shop-db is the name of a container (db): {elsewhere}",
    ]


# variables


@given(text=TEXTS)
@QUICK
def test_word(text):
    """A text without variables is one word of a shell, as it is."""
    doubled = text.replace("$", "$$")

    assert words.plain(doubled, words.BARE) == words.plain(doubled, words.BRACES) == text
    done = subprocess.run(
        ["/bin/sh", "-c", f"printf %s {words.word(doubled, words.BARE)}"], capture_output=True, check=True
    )
    assert done.stdout == text.encode()
