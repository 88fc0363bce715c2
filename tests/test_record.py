"""The JSON form of a record: complete, readable by hayeah/devport, and distrusted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devport.model import RestartPolicy, StopPolicy
from devport.registry.record import Record, UnreadableError, from_json, seconds, to_json, utc
from devport.registry.snapshot import salvage

HASH = "0123456789"
FILE = f"/home/x/services/{HASH}.json"

FULL = Record(
    HASH,
    "012",
    key="shop",
    port=19000,
    ports={"http": 19000, "admin": 8080},
    no_port=True,
    tailnet=True,
    last_up="2024-05-06T07:08:09Z",
    state="running",
    error="no",
    project="/p\udcff",
    name="web",
    entry="web",
    file="/p/Procfile",
    port_env="VITE_PORT",
    expand=True,
    pty=False,
    stop=StopPolicy(2, 1.5),
    restart=RestartPolicy("always", 3, 60.0, 0.5, 10.0, 2.0, frozenset({0, 143})),
    description="ünï 🚀",
    cwd="/p",
    cmd=("sh", "-c", "echo \udcff"),
    env=("A=1", "B=\udcfe"),
    extra={"later": {"deep": [1, None]}, "😀": 1.5},
)

# As the Go program writes it: no schema, nanoseconds, a local offset.
SEED = b"""{
  "hash": "0123456789", "hashid": "012", "key": "myapp", "port": 19003, "no_port": false,
  "tailnet": true, "cwd": "/srv", "cmd": ["npm", "run", "dev"], "env": ["HOME=/root", "X"],
  "last_up": "2025-01-02T03:04:05.123456789+08:00", "future": {"a": 1}
}"""


def fields(**overrides):
    return json.dumps({"hash": HASH, "hashid": "012", **overrides}).encode()


@pytest.mark.parametrize("record", [FULL, Record(HASH, "012"), FULL._replace(cmd=(), env=())])
def test_what_is_written_is_read_back_whole(record):
    """Nothing is lost, not even bytes that are no UTF-8 nor fields nobody knows."""
    data = to_json(record)

    assert from_json(data, FILE) == record
    assert data.isascii()
    assert data.endswith(b"}\n")
    assert to_json(from_json(data, FILE)) == data


def test_a_record_of_the_predecessor_is_read():
    """A machine with existing records keeps every port."""
    record = from_json(SEED, FILE)

    assert (record.port, record.key, record.cmd) == (19003, "myapp", ("npm", "run", "dev"))
    assert record.extra == {"future": {"a": 1}}
    assert record.restart.on == "on_failure"


def test_the_predecessor_can_read_ours():
    """Its fields keep name and type: a number for the port, a string or null for the time."""
    ours = json.loads(to_json(Record(HASH, "012")))

    assert (ours["port"], ours["last_up"], ours["env"], ours["no_port"]) == (0, None, [], False)


def test_what_reserves_ports_is_near_the_top():
    """A file cut in half still shows its ports."""
    data = to_json(FULL._replace(env=tuple(f"V{i}=x" for i in range(100))))

    assert salvage(data[: len(data) // 2]) == (19000, 8080)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 4096,
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100000,
        b"1" * 5000,
        b'{"a":' * 50000,
        to_json(FULL)[:-3],
        fields(hash="../../etc/x"),
        fields(hash="../../etc/x", hashid="../"),
        fields(hash="1123456789"),
        fields(hash="1123456789", hashid="112"),
        fields(hash="ABCDEF0123"),
        fields(hash=7),
        fields(hashid="999"),
        fields(hashid=""),
        fields(port="19000"),
        fields(port=70000),
        fields(port=-1),
        fields(port=True),
        fields(port=1.5),
        fields(ports=[1]),
        fields(ports={"a": 0}),
        fields(cmd="ls"),
        fields(cmd=["a\0b"]),
        fields(cmd=[1]),
        fields(env={"A": "1"}),
        fields(no_port=1),
        fields(last_up="yesterday"),
        fields(cwd="\ud800"),
        fields(stop=[]),
        fields(stop={"signal": 900}),
        fields(stop={"grace": -1}),
        fields(restart={"on": "sometimes"}),
        fields(restart={"on": ["never"]}),
        fields(restart={"max": "many"}),
        fields(restart={"success": 0}),
        fields(schema=2),
        fields(schema="1"),
        fields(schema=0),
        fields(extra=float("nan")),
        b'{"hash": "0123456789", "hashid": "012", "more": 1e999}',
    ],
)
def test_anything_malformed_is_one_clear_error(data):
    """One line that names the file, whatever is in it."""
    with pytest.raises(UnreadableError, match=f"^cannot read record {FILE}: ") as caught:
        from_json(data, FILE)

    assert "\n" not in caught.value.message
    assert caught.value.newer == (data == fields(schema=2))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
own_fields = st.dictionaries(st.sampled_from(sorted(Record._fields)), json_values)


@given(st.binary() | own_fields.map(lambda extra: fields(**extra)))
def test_no_bytes_raise_anything_else(data):
    """A record or UnreadableError; and what was read can be written."""
    try:
        record = from_json(data, FILE)
    except UnreadableError:
        return

    assert from_json(to_json(record), FILE) == record


@given(st.integers(0, len(to_json(FULL))))
def test_a_torn_record_never_yields_a_wrong_port(length):
    """A number cut off in the middle is no number."""
    assert set(salvage(to_json(FULL)[:length])) <= {19000, 8080}


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T01:00:00.5+01:00", 0.5),
        ("2025-01-02T03:04:05.123456789+08:00", 1735758245.123456),
        ("0001-01-01T00:00:00Z", -62135596800.0),
        ("", None),
        ("2025-13-01T00:00:00Z", None),
        ("2025-01-01T00:00:00", None),
    ],
)
def test_times_are_read_as_go_writes_them(stamp, expected):
    """Nanoseconds, offsets and year 1 are fine; a time without a zone is none."""
    assert seconds(stamp) == expected


def test_our_own_times_are_utc():
    """RFC 3339 with Z, and it is true."""
    assert utc(1735758245.9) == "2025-01-01T19:04:05Z"
