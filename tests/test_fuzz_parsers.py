"""Parsers and documents that are almost right: an error of devport's own, with file and line, or a result."""

import json
import math
import os
import re
from hashlib import sha256

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from support.drill import trials
from support.mutants import ROOT, as_json, blocks, mutated, retyped

from devport.encoding import encode
from devport.engine import request
from devport.errors import DevportError, UsageError
from devport.export.plan import File
from devport.export.target import Target
from devport.imports.files import convert
from devport.inventory.logs import LogFile
from devport.kernel.birth import process_start
from devport.project import config, dotenv, expansion, procfile
from devport.registry import policy
from devport.registry.fields import MalformedError
from devport.registry.holder import UNKNOWN, Holder, age, from_line, to_line
from devport.registry.record import Record, UnreadableError, from_json, to_json
from devport.registry.snapshot import salvage
from devport.sources import notify

pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]

PHASES = [phase for phase in Phase if phase is not Phase.explain]


def often(short, long):
    """So many examples."""
    return settings(
        max_examples=trials(short, long),
        deadline=None,
        phases=PHASES,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def check_line(message, pattern="."):
    """What a message has to be: one line, with nothing in it that moves a cursor, that begins like that."""
    assert message.isprintable(), message
    found = re.match(pattern, message)
    assert found, message
    return found


def check_number(line, data):
    """A line that there is; the end of the file is behind the last one."""
    assert line <= len(data.decode(errors="replace").splitlines()) + 1, line


YAML = [
    *blocks("docs/devport-yaml.md", "yaml"),
    b"processes:\n  a: &x {exec: x, environment: &e {A: 1}}\n  b: {<<: *x, environment: {<<: *e, B: 2}}\n",
]
TREES = [tree for text in YAML if isinstance(tree := yaml.safe_load(text), dict | list)]


def read_config(data):
    """devport.yaml, and what is done with what it says before anything starts."""
    try:
        found = config.parse(data, "FILE.yaml", "/srv", "/home/me")
    except UsageError as error:
        found = check_line(error.message, r"cannot read FILE\.yaml: line ([1-9][0-9]*): .")
        check_number(int(found[1]), data)
    except DevportError as error:
        check_line(error.message, r"cannot read FILE\.yaml: no services; ")
    else:
        for service in found.services:
            assert "\0" not in "".join(
                (*service.command, *service.environment, *service.environment.values())
            )
            expansion.expand_ports(service, {service.name: {"PORT": 1}})
            written = json.loads(json.dumps(policy.to_json(service.policy)))
            assert policy.from_json(written) == service.policy
        for warning in found.warnings:
            check_line(warning)


@often(150, 9_000)
@given(data=mutated(YAML))
@example(b'processes: {web: {exec: "a\\0b"}}')
@example(b'processes: {web: {exec: x, "\\e[2J": 1}}')
def test_devport_yaml(data):
    """Every refusal of a devport.yaml has its file and its line."""
    read_config(data)


@often(150, 9_000)
@given(document=retyped(TREES))
def test_devport_yaml_of_wrong_types(document):
    """Values of any type in any place."""
    read_config(as_json(document))


@often(40, 800)
@given(data=mutated(YAML))
@example(b'processes: {web: "\\UFFFFFFFF"}')
@example(b'processes: {web: "\\ud800"}')
def test_devport_yaml_without_libyaml(data):
    """PyYAML's own loader, where there is no other: the same promise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeLoader", raising=False)
        read_config(data)


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "? "])
@pytest.mark.parametrize("depth", [51, 20_000, 300_000])
def test_devport_yaml_as_deep_as_it_goes(bracket, depth):
    """Depth is refused before anything recurses into it, whoever opens it."""
    data = (b"processes: " + bracket.encode() * depth)[: 1 << 20]
    with pytest.raises(UsageError, match="line 1: "):
        config.parse(data, "FILE.yaml", "/srv", None)


@pytest.mark.parametrize("levels", [11, 40])
def test_devport_yaml_of_a_billion_laughs(levels):
    """Aliases of aliases are counted, not expanded."""
    laughs = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, levels))
    with pytest.raises(UsageError, match="aliases stand for more than"):
        config.parse(f"a0: &a0 [x, x]\n{laughs}".encode(), "FILE.yaml", "/srv", None)


def test_devport_yaml_that_is_too_long():
    """A file beyond a megabyte is refused before it is read as YAML."""
    with pytest.raises(UsageError, match="line 1: longer than 1 MiB"):
        config.parse(b"processes: {a: x}\n" + b"# x\n" * (1 << 18), "FILE.yaml", "/srv", None)


PROCFILES = [
    *blocks("docs/devport-yaml.md", "procfile"),
    (ROOT / "Procfile.example").read_bytes(),
    b"web: bundle exec rails s -p $PORT\nworker: A=1 ./w --x='a b' # c\nrelease: make\n",
]


@often(200, 12_000)
@given(data=mutated(PROCFILES) | st.binary(max_size=80))
def test_procfile(data):
    """A Procfile has entries, and a warning with file and line for each line that is none; or an error."""
    try:
        entries, warnings = procfile.parse(data, "FILE")
    except DevportError as error:
        check_line(
            error.message, "cannot read FILE: (line [1-9]|no entries(; FILE:[1-9]|, a line is NAME: ))"
        )
    else:
        for warning in warnings:
            check_line(warning, "FILE:[1-9][0-9]*: ignored, ")
        assert all("\0" not in entry.command and "\n" not in entry.command for entry in entries)


ENV_FILES = [
    b"A=1\nexport B='two words'\nC=\"a\\nb ${A} ${X:-y}\" # comment\n\nD\nE=$A\n# no\nF=`id`\n",
    b'URL=postgres://a:b@h/d?x=1#y\nMULTI="one\ntwo"\nPORT=5000\nPROCFILE=other\n',
]


@often(200, 4_000)
@given(data=mutated(ENV_FILES) | st.binary(max_size=80))
@example(b'A="a\0b"')
@example(b"A\0=b")
def test_env_file(data):
    """Values that an environment can hold, and warnings with file and line; never an error."""
    values, warnings = dotenv.parse(data, "FILE", {"X": "x"})

    for warning in warnings:
        check_line(warning, "FILE:[1-9][0-9]*: ignored, ")
    for name, value in values.items():
        assert name
        assert "=" not in name
        assert "\0" not in name + value


FOREIGN = [
    *(path.read_bytes() for path in sorted((ROOT / "tests/golden/export").glob("*/*/*compose.yaml"))),
    *(path.read_bytes() for path in sorted((ROOT / "tests/golden/export").glob("mprocs/*/mprocs.yaml"))),
    b"procs:\n  a: ls\n  b: [x, y]\n  c: {shell: x, env: {A: null}, stop: SIGINT, deps: [a]}\n",
    b"""services:
  db: {image: p}
  web: {command: x 'y', environment: [A=1], depends_on: [db], env_file: a, restart: "on-failure:3",
    healthcheck: {test: [CMD, a], interval: 1s}, profiles: [p]}
""",
    b"""processes:
  a: {command: x, environment: [A=$$b], readiness_probe: {http_get: {port: 80}}}
  b: {command: y, depends_on: {a: {condition: process_healthy}}, replicas: 2, watch: {paths: [{path: s}]},
    availability: {restart: always, max_restarts: 3}, shutdown: {signal: 2}}
""",
]
FOREIGN_TREES = [yaml.safe_load(text) for text in FOREIGN[-3:]]


def read_foreign(data):
    """An import: a result that devport reads, or a refusal of that file."""
    try:
        result = convert(data, "FILE.yaml", "linux")
    except UsageError as error:
        check_line(
            error.message, r"cannot (import FILE\.yaml: (?!.*devport.yaml: line)|read FILE\.yaml: line [1-9])"
        )
    else:
        config.parse(result.text.encode(), "devport.yaml", "/srv", "/home/me")


@often(60, 1_500)
@given(data=mutated(FOREIGN))
def test_import(data):
    """Other managers' files: what comes of them is a devport.yaml, and refusals name the file given."""
    read_foreign(data)


@often(60, 1_500)
@given(document=retyped(FOREIGN_TREES))
def test_import_of_wrong_types(document):
    """Values of any type in any place of them."""
    read_foreign(as_json(document))


REQUESTS = [
    {"id": 1, "do": "status"},
    {"id": "a", "do": "signal", "services": ["web"], "number": 15},
    {"do": "logs", "services": ["web"], "lines": 3, "follow": True, "times": True},
    {"id": 2, "do": "wait", "state": "ready", "services": ["web", "db"]},
    {"id": 3, "do": "hello", "hash": "0123456789"},
]


@often(200, 12_000)
@given(line=mutated(map(as_json, REQUESTS)) | retyped(REQUESTS).map(as_json))
def test_request(line):
    """A line of the control protocol: a request, or an error for whoever sent it."""
    try:
        fields = request.load(line)
        request.identify(fields)
        found = request.parse(fields)
    except DevportError as error:
        check_line(error.message, ".{1,400}$")
    else:
        assert found.do in request.VERBS


MESSAGES = [
    b"READY=1\nSTATUS=all is well\nMAINPID=1\n",
    b"WATCHDOG=1\nWATCHDOG_USEC=20000000\nEXTEND_TIMEOUT_USEC=5\nERRNO=2\0",
]


@often(200, 4_000)
@given(message=mutated(MESSAGES) | st.binary(max_size=200))
def test_notify_message(message):
    """What a service says of itself: names and values as text, and numbers that are some."""
    for name, value in notify.parse(message):
        assert name
        number = notify.integer(value)
        assert number is None or 0 <= number < 10**18


RECORD = Record(
    "0123456789",
    "012",
    key="shop",
    port=19000,
    ports={"admin": 19001},
    name="web",
    cmd=("a", "b"),
    env=("A=1",),
    limits={"NOFILE": (1, 2)},
    policy={"after": [{"hash": "abcdefabcd"}]},
    run={"pid": 3},
)
RECORD_FILE = "services/0123456789.json"


def _finite(text):
    if not math.isfinite(float(text)):
        raise ValueError
    return 0.0


def line_of_json(data):
    """Where JSON's own grammar is broken: "line N: ", and nothing for what is wrong otherwise."""
    try:
        json.loads(data.decode(errors="replace"), parse_constant=_finite, parse_float=_finite)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: it is not valid JSON$"
    except (ValueError, RecursionError):  # a number that is none or of thousands of digits, depth
        return "it is not valid JSON$"
    return "(?!line)"


def read_record(data):
    """A record that comes back from what it is written as, or an error that names the file."""
    salvage(data)
    try:
        record = from_json(data, RECORD_FILE)
    except UnreadableError as error:
        check_line(error.message, f"cannot read record {RECORD_FILE}: (it is empty$|{line_of_json(data)})")
        return
    assert from_json(to_json(record), RECORD_FILE) == record
    try:
        policy.from_json(record.policy)
    except MalformedError as error:
        check_line(str(error))


@often(200, 4_000)
@given(data=mutated([to_json(RECORD), b'{"hash":"0123456789","hashid":"012","port":19000,"last_up":null}']))
def test_record(data):
    """Any bytes in a record."""
    read_record(data)


@often(200, 4_000)
@given(document=retyped([json.loads(to_json(RECORD))]))
def test_record_of_wrong_types(document):
    """Any value in any of its fields."""
    read_record(as_json(document))


@often(60, 1_500)
@given(data=mutated([to_json(RECORD)]))
@example(b'{"port": 19000' + b"[" * 100_000)
def test_f50_ports_of_a_damaged_record(data):
    """A record that lost anything behind its ports still says them."""
    cut = data[: len(data) // 2]
    whole = to_json(RECORD)
    for bytes_ in (data, cut):
        assert all(0 < port <= 65535 for port in salvage(bytes_))
    assert {19000, 19001} <= set(salvage(whole + data))


MANIFESTS = [
    {"files": {"web.service": "0" * 64, "a/b": "1"}, "root": "/srv"},
    {"files": {}, "root": ""},
]


@often(60, 1_500)
@given(data=mutated(map(as_json, MANIFESTS)) | retyped(MANIFESTS).map(as_json))
@example(b"[" * 100_000)
@example(b'{"files": {"\\ud800": "x", "\\u0000": "y", "' + b"a" * 300 + b'": "z"}, "root": "/srv"}')
@example(json.dumps({"files": {"../outside": sha256(b"mine").hexdigest()}, "root": "/srv"}).encode())
def test_manifest(tmp_path_factory, data):
    """Whatever is in a manifest: an export is written, or it is an error; nothing outside is touched."""
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "shop").mkdir()
    (folder / "outside").write_text("mine")
    (folder / "shop" / ".devport-export-shop-systemd.json").write_bytes(data)
    target = Target(str(folder / "shop"), "shop", "systemd", "/srv")
    try:
        target.diff([File("web.service", "x")], prune=True)
        target.write([File("web.service", "x")], prune=True)
    except DevportError as error:
        check_line(error.message)
    else:
        assert (folder / "shop" / "web.service").read_text() == "x"
    assert (folder / "outside").read_text() == "mine"


HOLDER = Holder(
    os.getpid(), process_start(os.getpid()), "2024-05-06T07:08:09+02:00", "foreground", "/srv", "web"
)


@often(200, 4_000)
@given(line=mutated([to_line(HOLDER)]) | retyped([HOLDER._asdict()]).map(as_json))
@example(as_json({**HOLDER._asdict(), "socket": "/\ud800"}))
@example(as_json({**HOLDER._asdict(), "socket": "/a\0b"}))
@example(b"[" * 100_000)
def test_lock_file(line):
    """Who holds a lock, as the file has it: somebody who can be named and reached, or nobody known."""
    holder = from_line(line)
    age(line)

    check_line(str(holder))
    assert b"\0" not in encode(f"{holder.name}{holder.cwd}{holder.socket}")
    assert holder == UNKNOWN or holder.pid == os.getpid()


MARKS = [b"0 1700000000.000000\n40 1700000001.500000\n97 1700000002.000000\n", b"0 1.0\n"]


@often(100, 1_500)
@given(marks=mutated(MARKS))
@example(b"9" * 5000 + b" 1\n3 nan\n4 inf\n-5 1e300\n")
def test_marks_of_a_log(tmp_path_factory, marks):
    """Whatever stands beside a log as its times: the output is all there, in its order."""
    path = tmp_path_factory.mktemp("log") / "web.log"
    text = b"".join(b"line %d\n" % number for number in range(20))
    path.write_bytes(text)
    path.with_name("web.log.times").write_bytes(marks)
    file = LogFile(str(path))
    pieces = file.timed_tail(15)
    file.close()

    assert b"".join(piece for _, piece in pieces) == text[text.index(b"line 5") :]
    assert all(seconds is None or 0 <= seconds < 1e12 for seconds, _ in pieces)
