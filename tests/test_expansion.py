"""`${NAME.port}`: where it counts, what it becomes, and what is left as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devport.errors import UsageError
from devport.model import Listen, Probe
from devport.project.config import parse
from devport.project.expansion import expand_ports, protect, references
from devport.project.procfile import Entry

PORTS = {
    "api": {"http": 8080, "admin": 9000},
    "db": {"": 19000},
    "a.b": {"x.y": 1, "port": 2},
    "a": {"z": 3, "b.port": 8},
    "a.ports.b": {"": 7},
    "web": {"": 19001},
    "web.1": {"": 19001},
    "web.2": {"": 19002},
    "task": {},
}


def config(text, **options):
    return parse(text.encode(), "devport.yaml", "/srv/app", "/home/me", **options)


def expanded(text):
    """`text` as the command of `web`."""
    service = config("processes: {web: x}").services[0]._replace(command=("/bin/sh", "-c", text))
    return expand_ports(service, PORTS).command[2]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${db.port}", "19000"),
        ("a${db.port}b${api.port}c", "a19000b8080c"),
        ("${api.ports.admin}", "9000"),
        ("${api.ports.http}", "8080"),
        ("${config.processes.api.ports.admin.value}", "9000"),
        ("${toString config.processes.api.ports.admin.value}", "9000"),
        ("${config.processes.api.ports.admin}", "9000"),
        ("${web.port}", "19001"),
        ("${a.b.ports.x.y}", "1"),
        ("${a.b.port}", "1"),
        ("${a.b.ports.port}", "2"),
        ("${a.port}", "3"),
        ("${a.ports.b.port}", "7"),
        ("$${db.port}", "${db.port}"),
        ("$$${db.port}", "$${db.port}"),
        # not ours
        ("$PORT ${PORT} ${x:-db.port} ${db} ${ports.db}", "$PORT ${PORT} ${x:-db.port} ${db} ${ports.db}"),
        ("${gone.port}", "${gone.port}"),
        ("${api.ports.gone}", "${api.ports.gone}"),
        ("${task.port}", "${task.port}"),
    ],
)
def test_texts(text, result):
    """The first port, a named one, devenv's spelling, and everything else untouched."""
    assert expanded(text) == result


def test_everywhere():
    """Command, environment, stop, probes and sockets; a probe without a port gets the service's own."""
    text = """
processes:
  db: x
  api: {exec: x, ports: {http: , admin: }}
  web:
    exec: run ${db.port}
    environment: {DB: "tcp:${db.port}", N: plain}
    stop: {exec: "stop ${web.port}"}
    ready: {http: {get: {path: "/${db.port}"}}}
    live: {tcp: {port: "${api.ports.admin}", host: "::1"}}
    listen:
      - {name: a, address: localhost}
      - {name: b, address: "[::1]:${api.port}"}
      - {name: c, path: "run/${web.port}.sock"}
"""
    found = expand_ports(config(text).services[2], PORTS)

    assert found.command[2] == "run 19000"
    assert found.environment == {"DB": "tcp:19000", "N": "plain"}
    assert found.stop.command[2] == "stop 19001"
    assert found.policy.ready == Probe("http", path="/19000", port=19001)
    assert found.policy.live == Probe("tcp", host="::1", port=9000)
    assert found.policy.listen == (
        Listen("a", "tcp", "127.0.0.1:19001"),
        Listen("b", "tcp", "[::1]:8080"),
        Listen("c", "unix_stream", "/srv/app/run/19001.sock"),
    )


def test_instances_have_their_own():
    """A service that names itself means the instance; another's name means the first one of it."""
    text = "processes: {web: {exec: 'x ${web.port}', ready: {tcp: }}, db: 'y ${web.port}'}"
    web, db = config(text).services
    second = expand_ports(web._replace(name="web.2", instance=1), PORTS)
    only_numbered = {name: ports for name, ports in PORTS.items() if name != "web"}

    assert (second.command[2], second.policy.ready.port) == ("x 19002", 19002)
    assert expand_ports(db, PORTS).command[2] == "y 19001"
    assert expand_ports(db, only_numbered).command[2] == "y 19001"


def test_the_automatic_check_gets_its_port():
    """It is that of the first declared port."""
    service = config("processes: {api: {exec: x, ports: {http: , admin: }}}").services[0]

    assert expand_ports(service, PORTS).policy.ready.port == 8080


def test_a_task_has_commands_only():
    """`exec` and `status` of a task are expanded too."""
    text = "processes: {db: x}\ntasks: {task: {exec: 'a ${db.port}', status: 'b ${db.port}'}}"
    found = expand_ports(config(text).services[1], PORTS)

    assert (found.command[2], found.policy.skip[2]) == ("a 19000", "b 19000")


def test_nothing_to_expand_is_left_alone():
    """A plain service comes back equal."""
    service = config("processes: {web: x}").services[0]

    assert expand_ports(service, PORTS) == service


def test_a_procfile_knows_no_references():
    """What a Procfile's line says is what the shell gets, beside keys that are expanded."""
    text = "procfile: P\nprocesses: {web: {environment: {A: '${db.port}'}}, db: x}"
    line = "a ${db.port} ${gone.port} $${db.port} ${db}"
    service = config(text, read_procfile=lambda _: (Entry("web", line, 1),)).services[0]
    found = expand_ports(service, PORTS)

    assert (found.command[2], found.environment["A"]) == (line, "19000")


@given(st.text(alphabet="${}dbport. x", max_size=30) | st.just("${db.port}"))
def test_any_text_of_a_procfile(text):
    """Protected, nothing in it is found, and it comes back as it was."""
    assert list(references(protect(text))) == []
    assert expanded(protect(text)) == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exec: x ${apii.port}", "exec: no service is called apii (did you mean api?)"),
        (
            "exec: x ${server.port}",
            "exec: no service is called server ($${server.port} is the text itself)",
        ),
        ("exec: x ${api.ports.adimn}", "exec: api has no port adimn (did you mean admin?)"),
        ("exec: x ${config.processes.api.ports.zzz.value}", "exec: api has no port zzz.value"),
        ("exec: x ${db.ports.http}", "exec: db has no port http"),
        ("exec: x ${worker.port}", "exec: worker has no port (no-port)"),
        ("exec: x ${task.port}", "exec: task is a task and has no port"),
        ("environment: {A: '${bd.port}'}", "environment: no service is called bd"),
        ("environment: ['A=${bd.port}']", "environment: no service is called bd"),
        ("stop: {exec: '${bd.port}'}", "stop: no service is called bd"),
        ("ready: {exec: '${bd.port}'}", "ready: no service is called bd"),
        ("ready: {http: {get: {path: '/${bd.port}'}}}", "ready: no service is called bd"),
        ("live: {tcp: '${bd.port}'}", "live: no service is called bd"),
        ("listen: [{address: '${bd.port}'}]", "listen: no service is called bd"),
    ],
)
def test_what_there_is_not(line, message):
    """An unknown service or port is found at load, with its line."""
    text = f"""
processes:
  db: x
  api: {{exec: x, ports: {{http: , admin: }}}}
  worker: {{exec: x, no-port: true}}
  web:
    {"cwd: ." if line.startswith("exec") else "exec: run"}
    {line}
tasks: {{task: x}}
"""
    with pytest.raises(UsageError) as caught:
        config(text)

    assert caught.value.message.startswith(f"cannot read devport.yaml: line 8: web: {message}")
