"""Units of systemd as text: what a policy comes to, and what no unit can say."""

import pytest
from support.export_projects import ordinary, unit

from devport.errors import UsageError
from devport.export import systemd
from devport.export.plan import Plan
from devport.model import Dependency, Listen, Probe, RestartPolicy, StopPolicy, Watch


def files(*units, **given):
    """The files of an export of `units`, by path."""
    return {file.path: file.content for file in systemd.render(Plan("shop", "/srv", units, **given))}


def lines(one, *others):
    """The lines of the service `one`, beside `others`."""
    return files(one, *others)[f"shop-{one.name}.service"].splitlines()


def web(**given):
    """A service."""
    return unit("web", ("run",), **{"cwd": "/srv", **given})


@pytest.mark.parametrize(
    ("restart", "expected"),
    [
        (RestartPolicy(), {"StartLimitIntervalSec=0", "Restart=no"}),
        (RestartPolicy("always", 0), {"Restart=no"}),
        (RestartPolicy("on_failure"), {"StartLimitIntervalSec=0", "Restart=on-failure", "RestartSec=1"}),
        (RestartPolicy("always", 4, 60.0, 0.25), {"StartLimitIntervalSec=60", "StartLimitBurst=5"}),
        (RestartPolicy("always", 4, None, 0.25), {"StartLimitIntervalSec=26.25", "RestartSec=0.25"}),
        (RestartPolicy("always", success=frozenset({0, 9, 3})), {"SuccessExitStatus=3 9"}),
    ],
)
def test_restart(restart, expected):
    """A restart policy as systemd's own settings; a limit without a window is one of lives that are short."""
    assert expected <= {*lines(web(restart=restart))}


def test_restart_of_a_lazy_service():
    """One that ends well waits for the next connection; its sockets start it, not its restart policy."""
    one = web(restart=RestartPolicy("always"), listen=(Listen("http", "tcp", "127.0.0.1:80"),), lazy=True)
    assert "Restart=on-failure" in lines(one)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (StopPolicy(), {"KillSignal=SIGTERM", "TimeoutStopSec=5", "KillMode=control-group"}),
        (StopPolicy(2, 0.0), {"KillSignal=SIGINT", "TimeoutStopSec=1ms"}),
        (StopPolicy(40, 1.5), {"KillSignal=40", "TimeoutStopSec=1.5"}),
    ],
)
def test_stop(stop, expected):
    """The signal and the grace; no grace is a very short one, because 0 means for ever."""
    assert expected <= {*lines(web(stop=stop))}


@pytest.mark.parametrize(
    ("condition", "policy", "expected"),
    [
        ("ready", {}, ["Wants=shop-db.service", "After=shop-db.service"]),
        ("started", {}, ["Wants=shop-db.service", "After=shop-db.service"]),
        ("started", {"ready": Probe("notify")}, ["Wants=shop-db.service"]),
        ("completed", {}, ["Wants=shop-db.service"]),
        ("succeeded", {"task": True}, ["Requires=shop-db.service", "After=shop-db.service"]),
        ("completed", {"task": True}, ["Wants=shop-db.service", "After=shop-db.service"]),
        ("started", {"task": True}, ["Wants=shop-db.service"]),
        ("ready", {"external": True}, ["Requires=shop-db.service", "After=shop-db.service"]),
    ],
)
def test_after(condition, policy, expected):
    """What is waited for is wanted or required, and comes first where systemd can say so."""
    needs = web(after=(Dependency("db", condition),))
    found = lines(needs, unit("db", ("run",), cwd="/srv", **policy))

    assert [line for line in found if line.startswith(("Wants=", "Requires=", "After="))] == expected
    assert any("Not carried over" in line for line in found) == (len(expected) == 1)


def test_losses():
    """What systemd cannot do is said in the unit, waits that grow too."""
    one = web(watch=Watch(("/srv",)), restart=RestartPolicy("always", max_delay=9.0))
    assert "# Not carried over: watch, restart.max-delay" in lines(one)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (web(cwd="/srv/a\nb"), "web to systemd: its folder cannot be said in a unit: /srv/a\\nb"),
        (web(cwd="/srv/a "), "its folder cannot"),
        (web(cwd="/srv/a\\"), "its folder cannot"),
        (web(cwd="/srv/\udcff"), "its folder cannot"),
        (web(listen=(Listen("x", "unix_stream", "/a\nb"),)), "its socket cannot"),
    ],
)
def test_what_no_unit_can_say(one, why):
    """A folder or a socket whose path no unit can hold is an error that names the service."""
    with pytest.raises(UsageError) as caught:
        files(one)

    assert why in str(caught.value)


def test_user_is_of_the_system():
    """--user without --system is an error."""
    with pytest.raises(UsageError, match="--user goes with --system"):
        files(web(), user="ann")


def test_same_socket_twice():
    """Two sockets that would be one unit are an error."""
    units = (
        unit("a", ("run",), cwd="/", listen=(Listen("b-c", "tcp", "127.0.0.1:1"),)),
        unit("a-b", ("run",), cwd="/", listen=(Listen("c", "tcp", "127.0.0.1:2"),)),
    )

    with pytest.raises(UsageError, match=r"two units would be called shop-a-b-c\.socket"):
        files(*units)


def test_strange_names():
    """What may not be in a unit's name is written as its bytes."""
    assert {*files(unit("ü /@", ("run",), cwd="/"))} == {
        "shop.target",
        "shop-\\xc3\\xbc\\x20\\x2f\\x40.service",
        "shop-\\xc3\\xbc\\x20\\x2f\\x40.env",
    }


@pytest.mark.parametrize(
    ("description", "expected"),
    [("a%n \\ b", "a%%n \\ b"), ("to \\", "to \\\\"), ("to \\\\ ", "to \\\\"), ("1\n2 \\ ", "1\\n2 \\\\")],
)
def test_descriptions(description, expected):
    """A description is one line, and does not take the next one with it: a backslash at its end would."""
    found = lines(web(description=description))
    assert f"Description={expected}" in found
    assert "PartOf=shop.target" in found


def test_templates():
    """A template of the user's replaces the built-in one."""
    plan = ordinary(templates={"systemd.service": "[Service]\n{{exec}}\n{{user}}\n"})

    assert {file.path: file.content for file in systemd.render(plan)}["shop-clock.service"] == (
        '[Service]\nExecStart=/bin/sh -c "while :; do date; sleep 60; done"\n'
    )


@pytest.mark.parametrize(
    ("words", "given", "mode"),
    [
        (("run", "--token=hunter2"), {"environment": {"TOKEN": "hunter2"}}, 0o600),
        (("run",), {"environment": {"TOKEN": "hunter2"}}, 0o644),
        (("run",), {"environment": {"A": "b c"}, "stop": StopPolicy(command=("end", "b c"))}, 0o600),
        (("web", "8000"), {"environment": {"EMPTY": ""}, "ports": {"http": 8000}}, 0o644),
    ],
)
def test_values_in_commands_are_private(words, given, mode):
    """What a command without a shell has of the environment is for its owner's eyes as well."""
    one = unit("web", words, cwd="/srv", **given)
    modes = {file.path: file.mode for file in systemd.render(Plan("shop", "/srv", (one,)))}

    assert modes["shop-web.service"] == mode
