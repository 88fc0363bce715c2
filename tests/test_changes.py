"""What is declared of a running service and does not count yet."""

import pytest

from devport.model import BACKGROUND_RESTART, RestartPolicy, Service
from devport.registry.changes import changes
from devport.registry.record import Record

RECORD = Record("0123456789", "012", key="k", cwd="/", cmd=("true",), env=("A=1", "PORT=19000"))
SERVICE = Service("k", "", ("true",), "/", key="k", restart=BACKGROUND_RESTART)


def test_nothing():
    """The same again is no news, whatever the shell has in its environment."""
    assert changes(RECORD, SERVICE, {"A": "1"}) == []


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"no_port": True}, "no-port"),
        ({"port_env": "A_PORT"}, "port-env"),
        ({"restart": RestartPolicy(on="always")}, "restart"),
        ({"tailnet": True}, "tailnet"),
        ({"cwd": "/tmp"}, "cwd"),
        ({"command": ("false",)}, "command"),
    ],
)
def test_options(fields, changed):
    """Each is called as the option of a command, or as the key of an entry in a file."""
    service = SERVICE._replace(**fields)

    assert changes(RECORD, service, {}) == [f"--{changed}"]
    assert changes(RECORD, service._replace(entry="web"), {}) == [changed]


def test_variables():
    """Those that env files and entries set are compared, where there is something to compare them with."""
    assert changes(RECORD, SERVICE, {"A": "2"}) == ["--env"]
    assert changes(RECORD, SERVICE, {"B": ""}) == ["--env"]
    assert changes(RECORD._replace(env=()), SERVICE, {"A": "2"}) == []


def test_tailnet_that_was_switched_on():
    """`tailup` is no option that was left out."""
    assert changes(RECORD._replace(tailnet=True), SERVICE, {}) == []
