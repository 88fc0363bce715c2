"""The exports that are YAML or HCL, read back as their programs read them, and held against their schemas."""

import json
import pathlib
import re
import subprocess

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support import export_projects
from support.running import need_package

from devport.encoding import encode
from devport.errors import UsageError
from devport.export import compose, documents, kubernetes, mprocs, nomad, process_compose
from devport.export.plan import Plan
from devport.model import Dependency, PortRequest, Probe, RestartPolicy, StopPolicy, Watch
from devport.project.yaml_writer import dump, is_plain

FORMATS = [process_compose, mprocs, compose, kubernetes, nomad]
LETTERS = st.sampled_from("ab%$'\"\\`;# \t\n\r(){}=~!&|<>*?[]-_é\u00a0\u2028\x85\x1c\x7f\ufeff\ufffe😀")
PIECES = st.sampled_from(["{{", "}}", "${", "$$", "$(PORT)", "${PORT}", "{{.X}}", "%{", "yes", "1e3", "0o7"])
ANY = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TEXTS = st.lists(st.one_of(LETTERS, PIECES, ANY), max_size=12).map("".join)
NAMES = st.sampled_from(["A", "b_1", "with.dot", "no", "Y", "PATH", "_"])
ENVIRONMENTS = st.dictionaries(NAMES, TEXTS, max_size=3)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SPAWNS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PROBES = [
    Probe("http", port=19000, path="/health", statuses=(204,), timeout=30.0, initial_delay=0.5),
    Probe("http", port=19000, statuses=(200, 503)),
    Probe("tcp", port=19000, automatic=True, period=0.1),
    Probe("tcp", port=5),
    Probe("exec", ("/bin/sh", "-c", 'test "$A" = {{x}}')),
    Probe("exec", ("pg_isready", "-p", "$PORT")),
    Probe("log", pattern="listening on \\[::1\\]"),
    Probe("log", pattern="listening on .*"),
    Probe("notify"),
]


def unit(argv=("serve",), environment=None, name="web", **given):
    """A Unit in /srv."""
    return export_projects.unit(name, argv, **{"cwd": "/srv", "environment": environment or {}, **given})


def plan(*units, **given):
    """A Plan of them."""
    return Plan(**{"app": "demo", "root": "/srv", "units": units, **given})


def text(format_, *units, **given):
    """The one file of them."""
    (file,) = format_.render(plan(*units, **given))
    assert file.mode == 0o600
    return file.content


def undo_process_compose(found):
    """A text as process-compose has it after its templates, of which there is one kind; dollars first."""
    *before, last = found.split('{{ "{{" }}')
    assert [part for part in before if part.endswith("{")] == []
    assert [part for part in (*before, last) if "{{" in part] == []
    return "{{".join((*before, last))


def read_process_compose(one):
    """Words, environment and folder as process-compose has them."""
    content = text(process_compose, one)
    assert re.search(r"(?<!\$)\$(\$\$)*(?!\$)", content) is None  # every dollar is one of two
    process = yaml.safe_load(content.replace("$$", "$"))["processes"][one.name]
    words = process.get("entrypoint") or ["/bin/sh", "-c", undo_process_compose(process["command"])]
    pairs = [undo_process_compose(pair).partition("=") for pair in process["environment"]]
    return words, {name: value for name, _, value in pairs}, undo_process_compose(process["working_dir"])


def read_mprocs(one):
    """The same, as mprocs has them."""
    process = yaml.safe_load(text(mprocs, one))["procs"][one.name]
    assert ("cmd" in process) != ("shell" in process)
    return process.get("cmd") or ["/bin/sh", "-c", process["shell"]], process["env"], process["cwd"]


def read_compose(one):
    """The same, as compose has them."""
    service = yaml.safe_load(text(compose, one))["services"][one.name]
    words = [word.replace("$$", "$") for word in service["command"]]
    environment = {name: value.replace("$$", "$") for name, value in service["environment"].items()}
    return words, environment, service["working_dir"].replace("$$", "$")


def expanded(word):
    """A word of `command` as Kubernetes has it; no `$(NAME)` may be left in it."""
    return re.sub(r"\$(\$|\([^)]*\))", lambda match: "$" if match[1] == "$" else "replaced", word)


def read_kubernetes(one):
    """The same, as Kubernetes has them."""
    found = {document["kind"]: document for document in yaml.safe_load_all(text(kubernetes, one))}
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    words = [expanded(word) for word in container["command"]]
    return words, found["Secret"]["stringData"], container["workingDir"]


READERS = [read_process_compose, read_mprocs, read_compose, read_kubernetes]


@pytest.mark.parametrize("reader", READERS)
@given(words=st.lists(TEXTS, min_size=1, max_size=3), environment=ENVIRONMENTS, folder=TEXTS)
@QUICK
def test_round_trip(reader, words, environment, folder):
    """Any words, values and folders arrive as they are, and every value is a text."""
    one = unit(tuple(words), environment, cwd=f"/srv/{folder}")

    assert reader(one) == (words, dict(one.environment), one.cwd)


@pytest.mark.parametrize("reader", READERS)
@given(script=TEXTS)
@QUICK
def test_scripts(reader, script):
    """A text for the shell is given to the shell, as it is."""
    assert reader(unit(("/bin/sh", "-c", script)))[0] == ["/bin/sh", "-c", script]


def hcl_text(quoted):
    """What a quoted text of HCL stands for; AssertionError where it begins a template."""
    assert quoted[0] == quoted[-1] == '"'
    inner = quoted[1:-1]
    assert re.search(r"[$%]\{", inner) is None
    assert re.fullmatch(r'(?:[^"\\\n]|\\(?:["\\nrt]|u[0-9a-f]{4}))*', inner), inner
    return re.sub(r"\\(u....|.)", lambda match: json.loads(f'"\\{match[1]}"'), inner)


@given(found=TEXTS)
@example("%{if}")
@example("$${x}")
@QUICK
def test_hcl_text(found):
    """Any text, and nothing in it is a template."""
    assert hcl_text(nomad.quoted(found)) == found


@given(words=st.lists(TEXTS, min_size=1, max_size=3), environment=ENVIRONMENTS)
@SPAWNS
def test_nomad(words, environment):
    """What the line of the task executes has the words; what Nomad would replace is not in the line."""
    environment = {name: value for name, value in environment.items() if name != "PATH"}
    line = nomad.line("/tmp", ("/usr/bin/printf", "%s\\0", *words), environment)
    shown = nomad.line("/tmp", ("/usr/bin/env", "-0"), environment)

    assert "${" not in line + shown
    environ = {encode(k): encode(v) for k, v in environment.items() if not nomad.is_odd(k, v)}
    done, told = (
        subprocess.run(["/bin/sh", "-c", one], env=environ, check=True, capture_output=True).stdout
        for one in (line, shown)
    )
    assert done == b"".join(encode(word) + b"\0" for word in words)
    assert {encode(f"{k}={v}") for k, v in environment.items()} <= {*told.split(b"\0")}


def test_nomad_replaces_nothing():
    """What Nomad would replace is in no value that it is given."""
    content = text(nomad, unit(("x",), {"A": "${NOMAD_DC}", "with.dot": "b", "C": "$D {"}))
    block = content.partition("env = {")[2].partition("}\n")[0]

    assert re.findall(r'"(.*)" = "(.*)"', block) == [("C", "$D {"), ("PS", "web")]


@given(found=TEXTS)
@QUICK
def test_yaml_text(found):
    """A text is a text for PyYAML, in a list, as a value and as a key."""
    assert yaml.safe_load(dump({found: [found, {"a": found}]})) == {found: [found, {"a": found}]}
    assert yaml.safe_load(dump({"a": found}, blocks=True)) == {"a": found}


@pytest.mark.parametrize(
    "word",
    [
        *("no", "Y", "true", "null", "~", ".nan", ".inf", "-1", "1e3", "0o7", "0x1f", "1_000", "12:30"),
        *("=", "<<", "-", ".", "?", "2001-01-01"),
    ],
)
def test_words_that_need_quotes(word):
    """What some reader of YAML takes for no text has quotes."""
    assert not is_plain(word)
    assert dump([word]) == f'- "{word}"\n'


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("what", ["argv", "environment", "cwd"])
def test_not_utf8(format_, what):
    """Bytes that are no UTF-8 cannot be said, and the message names the service and where they are."""
    given = {"argv": ("a\udcff",), "environment": {"KEY": "\udcff"}, "cwd": "/srv/\udcff"}[what]
    where = {"argv": "its command", "environment": "KEY", "cwd": "its folder"}[what]

    with pytest.raises(UsageError, match=f"cannot export web to .*: {where} is not UTF-8"):
        format_.render(plan(unit(**{what: given})))


@pytest.mark.parametrize("name", ["<<", "$select"])
def test_names_that_mprocs_takes_for_its_own(name):
    """A variable whose name is a word of mprocs is refused."""
    with pytest.raises(UsageError, match="a meaning of its own"):
        mprocs.render(plan(unit(environment={name: "x"})))


# process-compose


def process(*units, name="web", **given):
    """The process `name`, dollars undone."""
    return yaml.safe_load(text(process_compose, *units, **given).replace("$$", "$"))["processes"][name]


def test_conditions():
    """Every dependency has a condition; what `ready` comes to depends on the other."""
    others = (
        unit(name="http", ports={"PORT": 19000}, ready=PROBES[0]),
        unit(name="log", ready=PROBES[6]),
        unit(name="regex", ready=PROBES[7]),
        unit(name="bare"),
    )
    after = tuple(Dependency(one, "ready") for one in ("http", "log", "regex", "bare", "gone"))
    more = (Dependency("s", "started"), Dependency("c", "completed"), Dependency("ok", "succeeded"))
    last = unit(after=(*after, *more))
    others = (*others, *(unit(name=one) for one in ("s", "c", "ok")))

    assert {key: value["condition"] for key, value in process(*others, last)["depends_on"].items()} == {
        "http": "process_healthy",
        "log": "process_log_ready",
        "regex": "process_started",
        "bare": "process_started",
        "s": "process_started",
        "c": "process_completed",
        "ok": "process_completed_successfully",
    }


def test_process_compose_probes():
    """Whole seconds, a port that is a number, one status; nothing is killed before `timeout`."""
    found = process(unit(ports={"PORT": 19000}, ready=PROBES[0]))["readiness_probe"]

    assert found == {
        "http_get": {
            "host": "127.0.0.1",
            "scheme": "http",
            "port": 19000,
            "path": "/health",
            "status_code": 204,
        },
        "timeout_seconds": 1,
        "initial_delay_seconds": 1,
        "period_seconds": 1,
        "failure_threshold": 30,
    }
    several = process(unit(ready=PROBES[1]))["readiness_probe"]
    assert "200|503) ;;" in several["exec"]["command"]
    assert several["failure_threshold"] > 100_000
    assert "/dev/tcp/127.0.0.1/5" in process(unit(ready=PROBES[3]))["readiness_probe"]["exec"]["command"]
    command = process(unit(ready=PROBES[4]))["readiness_probe"]["exec"]["command"]
    assert undo_process_compose(command) == 'test "$A" = {{x}}'
    assert process(unit(ready=PROBES[6]))["ready_log_line"] == "listening on [::1]"


def test_process_compose_policy():
    """Restarts, stops, groups, files, terminals and logs."""
    one = unit(
        restart=RestartPolicy("on_failure", 5, delay=1.5, success=frozenset({0, 3})),
        stop=StopPolicy(2, 0.5, ("/bin/sh", "-c", "halt {{x}}")),
        pty=True,
        watch=Watch(("/srv/src", "/etc/x"), ("py",), ("*_test.py",)),
    )
    found = process(one, groups={"all": ("web",), "other": ("x",)}, log="/var/log/a b")

    assert found["availability"] == {"restart": "on_failure", "backoff_seconds": 2, "max_restarts": 5}
    assert found["success_exit_codes"] == [3]
    assert found["shutdown"] == {"signal": 2, "timeout_seconds": 1, "command": "halt {{x}}"}
    assert (found["namespace"], found["is_tty"], found["log_location"]) == (
        "all",
        True,
        "/var/log/a b/demo-web.log",
    )
    assert found["watch"]["paths"][0] == {"path": "src", "include": ["*.py"], "exclude": ["*_test.py"]}
    assert process(unit(restart=RestartPolicy()))["availability"] == {"restart": "no"}
    assert process(unit(external=True, ready=PROBES[5]))["is_daemon"] is True
    with pytest.raises(UsageError, match="no signal above 31"):
        process_compose.render(plan(unit(stop=StopPolicy(40))))


def test_losses_are_comments():
    """What a format does not carry over stands at its top, with the service's name."""
    one = unit(ready=PROBES[8], live=PROBES[3], after=(Dependency("web", "ready"),))

    for format_ in FORMATS:
        said = [line for line in text(format_, one).splitlines() if line.startswith("# web: ")]
        assert said != [], format_
    assert "ready" in text(mprocs, one).splitlines()[1]


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.__name__)
def test_templates(format_):
    """A template of the user's replaces the built-in one; a dollar in process-compose's is its author's."""
    name = {nomad: "nomad.hcl"}.get(format_) or format_.NAME
    (file,) = format_.render(plan(unit(), templates={name: "# mine, for {{app}}\n"}))

    assert file.content == "# mine, for demo\n"


def test_not_started():
    """What starts only when somebody starts it does so there; what waits for it does not need it."""
    one, other = unit(enable="false"), unit(name="x", after=(Dependency("web", "started"),))
    service = yaml.safe_load(text(compose, one, other))["services"]

    assert process(one)["disabled"] is True
    assert yaml.safe_load(text(mprocs, one))["procs"]["web"]["autostart"] is False
    assert (service["web"]["profiles"], service["x"]["depends_on"]["web"]["required"]) == (["manual"], False)
    assert "replicas: 0" in text(kubernetes, one)
    assert "count = 0" in text(nomad, one)


# kubernetes


def labels(*units, app="demo"):
    """What each unit is called."""
    content = text(kubernetes, *units, app=app)
    return [one["metadata"]["name"] for one in yaml.safe_load_all(content) if one["kind"] == "Secret"]


def test_dns_labels():
    """Letters, digits and hyphens, a letter first, 63 at most, and no two alike."""
    names = ["web", "Web", "web.2", "web_2", "9", "a" * 63, "a" * 62 + "b"]
    found = labels(*(unit(name=name) for name in names), app="1st_App")

    assert found[0] == "app-1st-app-web"
    assert len({*found}) == len(names)
    assert [one for one in found if not re.fullmatch("[a-z]([a-z0-9-]{0,61}[a-z0-9])?", one)] == []


@pytest.mark.parametrize(
    ("one", "is_web"),
    [
        (unit(ports={"PORT": 19000}), True),
        (unit(name="api", ports={"PORT": 19000}), False),
        (unit(name="api", ports={"a": 19000, "b": 19001}), True),
        (unit(name="api", ports={"PORT": 19000}, ready=Probe("tcp")), True),
        (unit(name="api", ports={"PORT": 19000}, ready=PROBES[3]), False),
        (export_projects.unit("x", ("s",), cwd="/", ports={"a": 1}), False),
    ],
)
def test_web_ports(one, is_web):
    """A Service goes with declared ports, with a probe of its own port, and with an entry called web."""
    kinds = [document["kind"] for document in yaml.safe_load_all(text(kubernetes, one))]

    assert kinds == ["Secret", "Deployment"] + ["Service"] * is_web


def test_declared_port():
    """One port that is declared is a web port as well."""
    one = unit(name="api", ports={"http": 19000})
    one = one._replace(service=one.service._replace(ports=(PortRequest("http"),)))

    assert kubernetes.web_ports(one) == {"http": 19000}


def validator():
    """The schemas of Kubernetes."""
    return need_package("kubernetes_validate", "kubernetes-validate")


@pytest.mark.parametrize("project", [export_projects.hostile, export_projects.processes])
def test_kubernetes_schema(project):
    """The two projects are what Kubernetes takes, strictly."""
    found = validator()
    for document in yaml.safe_load_all(kubernetes.render(project())[0].content):
        found.validate(document, found.latest_version(), strict=True)


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_kubernetes_probes(probe):
    """So is every kind of probe."""
    found = validator()
    one = unit(
        ports={"PORT": 19000}, ready=probe, live=probe if probe.kind in {"http", "tcp", "exec"} else None
    )
    for document in yaml.safe_load_all(text(kubernetes, one)):
        found.validate(document, found.latest_version(), strict=True)


# compose


def compose_schema():
    """The schema of compose-spec, as check-jsonschema has it."""
    package = need_package("check_jsonschema", "check-jsonschema (it has the schema of compose)")
    jsonschema = need_package("jsonschema", "jsonschema")
    path = pathlib.Path(package.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
    return jsonschema.Draft7Validator(json.loads(path.read_text()))


@pytest.mark.parametrize("project", [export_projects.hostile, export_projects.processes])
def test_compose_schema(project):
    """The two projects are what compose takes."""
    document = yaml.safe_load(compose.render(project())[0].content)

    assert [one.message for one in compose_schema().iter_errors(document)] == []


@pytest.mark.parametrize("probe", PROBES, ids=str)
def test_compose_probes(probe):
    """So is every kind of probe; what waits for it waits for what compose knows."""
    one = unit(name="api", ports={"PORT": 19000}, ready=probe, pty=True, stop=StopPolicy(3, 1.5))
    last = unit(after=(Dependency("api", "ready"),))
    document = yaml.safe_load(text(compose, one, last, user="shop"))

    assert [each.message for each in compose_schema().iter_errors(document)] == []
    is_seen = probe.kind in {"exec", "http", "tcp"}
    condition = document["services"]["web"]["depends_on"]["api"]["condition"]
    assert condition == ("service_healthy" if is_seen else "service_started")
    assert document["services"]["api"]["stop_grace_period"] == "1500ms"


def test_localhost_is_told_of():
    """Whoever names another one's port on localhost is named: containers have one each."""
    one = unit(environment={"URL": "redis://localhost:19100/0", "NEAR": "localhost:191001"})
    content = text(compose, one, unit(name="db", ports={"PORT": 19100}))

    assert "# web: URL names port 19100 on localhost" in content
    assert "NEAR names" not in content


# nomad


@pytest.mark.parametrize("project", [export_projects.hostile, export_projects.processes])
def test_nomad_parses(project):
    """The files are HCL: services in one, tasks in the other."""
    hcl2 = need_package("hcl2", "python-hcl2")
    files = nomad.render(project())
    for file, type_ in zip(files, ("service", "batch"), strict=True):
        [job] = hcl2.loads(file.content)["job"]
        [(_, found)] = job.items()
        assert found["type"] == f'"{type_}"'
        for group in found["group"]:
            [(name, inner)] = group.items()
            [task] = inner["task"]
            assert "/bin/sh" in task[name]["config"][0]["command"]


@pytest.mark.parametrize(
    ("restart", "expected"),
    [
        (RestartPolicy("on_failure"), ("10", "300s", "1s", "delay")),
        (RestartPolicy("always", 3, 60.0, 2.0), ("3", "60s", "2s", "fail")),
        (RestartPolicy("on_failure", 100, 10.0, 5.0), ("100", "505s", "5s", "fail")),
        (RestartPolicy(), ("0", "300s", "1s", "fail")),
    ],
)
def test_nomad_restart(restart, expected):
    """Nomad wants a window that holds all restarts; without a limit it goes on in the next one."""
    content = text(nomad, unit(restart=restart))
    found = re.search(
        r'attempts = (\d+)\n *interval = "(.*)"\n *delay    = "(.*)"\n *mode     = "(.*)"', content
    ).groups()

    assert found == expected
    assert ("reschedule" in content) == (restart.on == "never")


# shared


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("ready", "ready"), ("a\\.b\\\\", "a.b\\"), ("a.b", None), ("\\d", None), ("", None)],
)
def test_literal(pattern, found):
    """A regular expression that is one text is that text."""
    assert documents.literal(pattern) == found


@pytest.mark.parametrize(("seconds", "found"), [(5.0, "5s"), (1.5, "1500ms"), (0.0001, "1ms"), (0.0, "0s")])
def test_duration(seconds, found):
    """Times for Go."""
    assert documents.duration(seconds) == found
