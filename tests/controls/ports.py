"""Controls of ports and identities: which are free, whose they are, who is told."""

from controls.control import Control

DRILL = "tests/e2e/test_drill_ports.py"
UNIT = "tests/test_ports.py"
CHECKS = "tests/integration/test_checks.py"
USED = "tests/e2e/test_registry_e2e.py"
PORTS = "devport/registry/ports.py"
CLERK = "devport/registry/clerk.py"
REUSE = "bound.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)"

CONTROLS = (
    # free
    Control(
        "every-port-is-free",
        "F66 P29",
        PORTS,
        "free = free and _explain(port, error)",
        "_explain(port, error)",
        (f"{UNIT}::test_a_listener_of_any_kind_makes_a_port_busy",),
        quick=True,
    ),
    Control(
        "only-ipv4-counts",
        "F67 P29",
        PORTS,
        'WILDCARDS = (("0.0.0.0", False), ("::", True))',
        'WILDCARDS = (("0.0.0.0", False),)',
        (f"{UNIT}::test_a_listener_of_any_kind_makes_a_port_busy",),
    ),
    Control(
        "only-ipv6-counts",
        "F67 P29",
        PORTS,
        'WILDCARDS = (("0.0.0.0", False), ("::", True))',
        'WILDCARDS = (("::", True),)',
        (f"{UNIT}::test_a_listener_of_any_kind_makes_a_port_busy",),
    ),
    Control(
        "time-wait-counts",
        "F68 P29",
        PORTS,
        REUSE,
        "pass",
        (f"{UNIT}::test_a_connection_in_time_wait_does_not_count",),
        quick=True,
    ),
    Control(
        "restarts-stumble-over-time-wait",
        "F68 P29",
        PORTS,
        REUSE,
        "pass",
        (f"{DRILL}::test_p29_restarts_through_time_wait",),
    ),
    Control(
        "a-held-port-can-be-shared",
        "F69",
        PORTS,
        "bound.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 0)",
        "pass",
        (f"{UNIT}::test_a_held_port_cannot_be_bound_until_it_is_released",),
    ),
    Control(
        "ports-are-not-looked-at-before-a-run",
        "F66",
        "devport/claim.py",
        "holds[one.hash] = PortHold(one.ports.values())",
        "holds[one.hash] = PortHold(())",
        (f"{USED}::test_port_in_use_by_a_stranger",),
    ),
    Control(
        "ports-are-not-looked-at-before-a-spawn",
        "F66",
        "devport/supervisor.py",
        "        if all(map(is_free, ports)):\n",
        "        if is_free:\n",
        ("tests/e2e/test_start_detached.py::test_port_of_a_stranger",),
    ),
    Control(
        "a-connection-to-itself-is-an-answer",
        "F70 P29",
        "devport/sources/checks.py",
        "connection.getsockname() == connection.getpeername()",
        "False",
        (f"{CHECKS}::test_connection_to_itself",),
    ),
    Control(
        "a-port-of-the-system-without-a-word",
        "F70",
        CLERK,
        "            self._warn(new, old.reserved if old else ())\n",
        "",
        (f"{DRILL}::test_f70_ports_that_any_program_may_have",),
    ),
    Control(
        "a-strangers-answer-makes-ready",
        "F66",
        "devport/sources/probe.py",
        "            verify = self._ownership.doubt\n",
        "",
        (f"{CHECKS}::test_stranger_on_the_port",),
    ),
    # whose
    Control(
        "reserved-ports-are-given-out",
        "F65 P03",
        PORTS,
        "if port not in taken and is_free(port)",
        "if is_free(port)",
        (f"{DRILL}::test_f65_registrations_in_a_pool_that_is_just_large_enough",),
    ),
    Control(
        "everyone-begins-at-the-same-port",
        "F71 P29",
        PORTS,
        "first = STEP * uid % len(among)",
        "first = 0",
        (f"{DRILL}::test_f71_where_each_user_begins", f"{DRILL}::test_f71_users_of_one_machine"),
    ),
    Control(
        "the-user-is-not-asked",
        "F71 P29",
        "devport/registry/register.py",
        "            uid=os.getuid(),\n",
        "",
        (f"{DRILL}::test_f71_users_of_one_machine",),
    ),
    Control(
        "stop-does-not-wait-for-the-port",
        "F72",
        "devport/inventory/stop.py",
        "            if not is_free(port):\n                found.append(port)\n",
        "            pass\n",
        ("tests/test_inventory.py::test_stop_waits_for_the_port",),
    ),
    Control(
        "running-services-lose-their-ports",
        "F73",
        PORTS,
        "        if not is_used(hash_):\n",
        "        if True:\n",
        (f"{DRILL}::test_f73_a_full_pool",),
    ),
    Control(
        "reclaimed-records-stay",
        "F73",
        CLERK,
        "            self._store.remove(record.hash)\n",
        "",
        (f"{DRILL}::test_f73_a_full_pool",),
    ),
    Control(
        "a-month-is-not-waited-for",
        "F73",
        PORTS,
        "now - up > UNUSED_FOR",
        "now - up > 0",
        (f"{UNIT}::test_reclaimed_are_only_long_unused_ones_that_nobody_runs",),
    ),
    # names
    Control(
        "one-name-is-one-service-everywhere",
        "F99",
        "devport/registry/identity.py",
        'return _hash(f"{root}\\0entry\\0{name}")',
        'return _hash(f"entry\\0{name}")',
        (f"{DRILL}::test_f99_one_name_in_two_projects",),
    ),
    Control(
        "a-key-of-another-project-is-taken-for-ours",
        "F99",
        CLERK,
        "        if holder and foreign and entry.asked:\n",
        "        if False:\n",
        ("tests/test_register.py::test_a_key_that_runs_elsewhere_is_an_error_that_shows_both",),
    ),
    Control(
        "no-place-is-a-traceback",
        "F97",
        "devport/registry/store.py",
        "        if not state_dir:\n",
        "        if False:\n",
        (f"{DRILL}::test_f97_no_place_for_the_state",),
    ),
    Control(
        "a-folder-that-cannot-be-made-is-a-traceback",
        "F97",
        "devport/registry/files.py",
        "        if os.path.isdir(parent):  # /proc, where no folder can be made\n",
        "        if False:\n",
        (f"{DRILL}::test_f97_no_place_for_the_state",),
    ),
)
