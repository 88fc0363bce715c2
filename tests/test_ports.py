"""Which numbers are given out, and what counts as free on a real machine."""

import errno
import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest
from support import procs

from devport.errors import DevportError, UsageError
from devport.registry.owner import check_free, owner
from devport.registry.ports import Held, allocate, is_free, pool, reclaimable, search
from devport.registry.record import Record, utc

NOW = 1_700_000_000.0
DAY = 86400.0


def record(hash_, port, days_ago, **overrides):
    return Record(hash_ * 10, hash_ * 3, port=port, last_up=utc(NOW - days_ago * DAY), **overrides)


@pytest.fixture
def port():
    """A port that the kernel gives to nobody else in between: it is not in its range."""
    ports = procs.Ports(1)
    yield ports.first
    ports.release()


def listener(address, port, family=socket.AF_INET, v6only=None):
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6only is not None:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    try:
        sock.bind((address, port))
    except OSError as error:
        sock.close()
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            pytest.skip(f"this machine has no {address}")
        raise
    sock.listen()
    return sock


@pytest.mark.parametrize(
    ("environ", "project_range", "expected"),
    [
        ({}, None, range(19000, 20000)),
        ({"DEVPORT_PORT_RANGE": ""}, (3000, 3001), range(3000, 3002)),
        ({"DEVPORT_PORT_RANGE": "4000-4000"}, (3000, 3001), range(4000, 4001)),
    ],
)
def test_the_environments_pool_wins_over_the_projects(environ, project_range, expected):
    """DEVPORT_PORT_RANGE, else `port-range:`, else 19000-19999."""
    assert pool(environ, project_range) == expected


@pytest.mark.parametrize(
    "text", ["x", "1", "5-4", "0-10", "1-65536", "-", "1-2-3", " 1-2", "1-999999999999", "²-3"]
)
def test_a_bad_pool_is_a_usage_error_that_shows_it(text):
    """Never the default in silence."""
    with pytest.raises(UsageError, match="DEVPORT_PORT_RANGE"):
        pool({"DEVPORT_PORT_RANGE": text})


def test_a_bad_project_range_is_a_usage_error():
    """The file's range is checked as well."""
    with pytest.raises(UsageError, match="5-4"):
        pool({}, (5, 4))


def test_the_lowest_port_that_is_neither_taken_nor_in_use_is_given():
    """Passed over: reserved ones and ones that anything listens on."""
    assert allocate({10}, range(10, 20), lambda port: port != 11) == 12
    assert allocate({10}, range(10, 11), lambda _: True) is None


def test_a_search_goes_upward_from_its_base_and_ends():
    """At most so many ports, and none above 65535."""
    assert search(8080, {8080}, lambda _: True) == 8081
    assert search(8080, range(8080, 8180), lambda _: True) is None
    assert search(65535, {65535}, lambda _: True) is None


def test_reclaimed_are_only_long_unused_ones_that_nobody_runs():
    """Over 30 days, the longest first, lock free, in the pool; unknown and future times never."""
    old, older = record("a", 10, 31), record("b", 11, 60)
    kept = [
        record("c", 12, 29),
        record("d", 99, 90),
        record("e", 13, -400),
        record("f", 14, 90),
        record("0", 15, 0)._replace(last_up=""),
        record("1", None, 90),
    ]
    found = reclaimable([old, older, *kept], range(10, 20), NOW, lambda hash_: hash_ == "f" * 10)

    assert [one.hash for one in found] == [older.hash, old.hash]


LISTENERS = [
    ("0.0.0.0", socket.AF_INET, None),
    ("127.0.0.1", socket.AF_INET, None),
    ("::", socket.AF_INET6, 0),
    ("::", socket.AF_INET6, 1),
    ("::1", socket.AF_INET6, 1),
]


@pytest.mark.parametrize(("address", "family", "v6only"), LISTENERS)
def test_a_listener_of_any_kind_makes_a_port_busy(port, address, family, v6only):
    """v4 or v6, wildcard or loopback; free again when it is closed."""
    with closing(listener(address, port, family, v6only)):
        busy = not is_free(port)

    assert busy
    assert is_free(port)


def test_a_connection_in_time_wait_does_not_count(port):
    """The side that closes first leaves TIME_WAIT behind; the port is free all the same."""
    server = listener("127.0.0.1", port)
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        accepted, _ = server.accept()
        accepted.close()
        server.close()
        assert client.recv(1) == b""

    assert is_free(port)
    Held(port).release()


def test_a_held_port_cannot_be_bound_until_it_is_released(port):
    """Held on both families, against whatever the other one asks for; released completely."""
    possible = [how for how in binds() if can_bind(port, *how)]
    held = Held(port)
    busy = not is_free(held.port)
    with pytest.raises(DevportError, match=f"port {held.port}: it is in use"):
        Held(held.port)
    taken = [how for how in binds() if can_bind(held.port, *how)]
    held.release()
    held.release()

    assert busy
    assert taken == []
    assert is_free(held.port)
    assert [how for how in binds() if can_bind(port, *how)] == possible != []


def binds():
    """Addresses, and options of the socket, with which somebody may try to have a port."""
    options = [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)]
    return [(address, option) for address in ("127.0.0.1", "0.0.0.0", "::1", "::") for option in options]


def can_bind(port, address, options):
    """Whether such a socket gets `port`."""
    with closing(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)) as sock:
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            sock.bind((address, port))
            sock.listen()
        except OSError:
            return False
        return True


def test_a_held_port_is_not_inherited(port):
    """Close-on-exec: a child that outlives us does not keep it."""
    held = Held(port)
    inheritable = [os.get_inheritable(sock.fileno()) for sock in held._sockets]
    held.release()

    assert not any(inheritable)


def test_a_port_that_needs_privileges_says_so():
    """`cannot use port 80`, and not a traceback nor `in use`."""
    program = (
        "import _socket, os\n"
        "from devport.registry.ports import is_free\n"
        "from devport.errors import DevportError\n"
        "os.getuid() or os.setuid(65534)\n"
        "try: print(is_free(80))\n"
        "except DevportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.stdout == "True\n":
        pytest.skip("this machine lets everyone use port 80")

    assert done.stdout == "cannot use port 80: ports below 1024 need privileges\n"


def test_the_owner_of_a_port_is_named_with_pid_and_user(port):
    """`python3 (pid 123, user bob)`; nobody for a free one."""
    with closing(listener("127.0.0.1", port)):
        who = owner(port)
        message = check_free("web", [port])

    assert f"(pid {os.getpid()}, user " in who
    assert message == f"cannot start web: its port {port} is in use by {who}; --reassign web gives it another"
    assert owner(port) is None
    assert check_free("web", [port]) is None


def test_an_owner_that_cannot_be_seen_is_another_program_with_its_user(port, monkeypatch):
    """Without the right to see the process there is still the listener's user."""
    import psutil  # noqa: PLC0415

    def refuse(**_):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    with closing(listener("127.0.0.1", port)):
        who = owner(port)

    assert who.startswith("another program")
