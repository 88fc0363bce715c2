"""A policy in a record: out and back, and nothing believed that is not one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devport.model import Dependency, Listen, Policy, Probe, Watch, Watchdog
from devport.registry.fields import MalformedError
from devport.registry.policy import from_json, to_json

FULL = Policy(
    after=(Dependency("db", "ready", "0123456789"), Dependency("migrate", "succeeded", "abcdef0123")),
    dependents=("fedcba9876",),
    ready=Probe("http", port=8080, path="/health", statuses=(200, 204), timeout=30.0),
    live=Probe("exec", command=("pg_isready", "-q"), period=2.5),
    watchdog=Watchdog(30_000_000, require_ready=False),
    listen=(Listen("http", "tcp", "127.0.0.1:8080"), Listen("admin", "unix_stream", "/run/a", mode=0o660)),
    lazy=True,
    idle=600.0,
    watch=Watch(("/src",), ("py",), ("*.log",), "/"),
    task=True,
    skip=("/bin/sh", "-c", "test -e done"),
)


@pytest.mark.parametrize("policy", [Policy(), FULL, Policy(external=True, ready=Probe("tcp"))])
def test_there_and_back(policy):
    """Through JSON it comes back equal."""
    assert from_json(json.loads(json.dumps(to_json(policy)))) == policy


def test_nothing_to_say():
    """What asks for nothing takes no room."""
    assert to_json(Policy()) == {}


@pytest.mark.parametrize(
    "given",
    [
        {"nope": 1},
        {"after": "db"},
        {"after": [{"condition": "ready"}]},
        {"after": [{"name": "db", "condition": "asleep"}]},
        {"ready": {"kind": "http", "port": "8080"}},
        {"ready": {"kind": "http", "port": True}},
        {"ready": {"kind": "tcp", "period": 1e300}},
        {"ready": []},
        {"lazy": 1},
        {"listen": [{"name": "a", "kind": "tcp", "address": 1}]},
        {"watchdog": {}},
    ],
)
def test_malformed(given):
    """Whatever is not what it should be is refused."""
    with pytest.raises(MalformedError):
        from_json(given)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(Policy._fields), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(Policy._fields), anything))
def test_never_anything_else(given):
    """Any JSON is a Policy or refused."""
    try:
        assert isinstance(from_json(given), Policy)
    except MalformedError:
        pass
