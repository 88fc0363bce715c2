"""Ports, where the state is, and whose a name is: F65 to F73, F97, F99, and the drill of it."""

from promises.entry import Entry

DRILL = "tests/e2e/test_drill_ports.py"
UNIT = "tests/test_ports.py"
CHECKS = "tests/integration/test_checks.py"
USED = "tests/e2e/test_registry_e2e.py"
DETACHED = "tests/e2e/test_start_detached.py"
PREDECESSOR = "tests/e2e/test_predecessor.py"
REGISTER = "tests/test_register.py"

CATALOGUE = (
    Entry(
        "F65",
        "Two services never get one port, however many are registered at one moment.",
        (
            "tests/integration/test_drill_records.py::test_p03_registrations_at_once",
            f"{DRILL}::test_f65_registrations_in_a_pool_that_is_just_large_enough",
            f"{USED}::test_twenty_checkouts",
        ),
    ),
    Entry(
        "F66",
        "A port that somebody else has is noticed before the start and named, and makes nothing ready.",
        (
            f"{USED}::test_port_in_use_by_a_stranger",
            f"{USED}::test_port_in_use_by_another_service",
            f"{USED}::test_port_is_free_for_its_service",
            f"{DETACHED}::test_port_of_a_stranger",
            f"{CHECKS}::test_stranger_on_the_port",
            "tests/e2e/test_faults_yaml.py::test_f74_stranger_on_the_port",
        ),
    ),
    Entry(
        "F67",
        "A listener of IPv4 or IPv6, on loopback or on every address, makes a port busy and a service ready.",
        (
            f"{UNIT}::test_a_listener_of_any_kind_makes_a_port_busy",
            f"{USED}::test_port_in_use_by_a_stranger",
            f"{CHECKS}::test_f67_listener_of_any_kind_makes_ready",
            f"{CHECKS}::test_only_ipv6",
            f"{CHECKS}::test_who_is_given_a_connection",
        ),
    ),
    Entry(
        "F68",
        "Connections that have just ended do not keep a service from its port.",
        (
            f"{DRILL}::test_p29_restarts_through_time_wait",
            f"{UNIT}::test_a_connection_in_time_wait_does_not_count",
        ),
    ),
    Entry(
        "F69",
        "A port that devport holds until a start cannot be taken, whatever options the other one sets.",
        (
            f"{UNIT}::test_a_held_port_cannot_be_bound_until_it_is_released",
            f"{UNIT}::test_a_held_port_is_not_inherited",
        ),
    ),
    Entry(
        "F70",
        "A connection that TCP made to itself is no answer; ports that bring such are given with a warning.",
        (
            f"{CHECKS}::test_connection_to_itself",
            f"{DRILL}::test_f70_ports_that_any_program_may_have",
        ),
    ),
    Entry(
        "F71",
        "Two users of one machine get different ports and cannot touch each other's state.",
        (
            f"{DRILL}::test_f71_users_of_one_machine",
            f"{DRILL}::test_f71_where_each_user_begins",
            f"{USED}::test_taken_ports_are_passed_over",
        ),
    ),
    Entry(
        "F72",
        "A stop, restart or removal is over when the port is free, and says so if it is not after a while.",
        (
            f"{DRILL}::test_f72_port_released_late",
            f"{DRILL}::test_f72_port_that_somebody_else_has_still",
            f"{DRILL}::test_p29_restarts_through_time_wait",
            f"{PREDECESSOR}::test_g57_stop_returns_when_it_is_gone",
            f"{PREDECESSOR}::test_g27_rm_waits",
            "tests/test_inventory.py::test_stop_waits_for_the_port",
            "tests/test_inventory.py::test_f72_rm_does_not_call_a_port_free_that_somebody_has",
        ),
    ),
    Entry(
        "F73",
        "A full pool gives the port of the longest unused service away, never one of a service that runs.",
        (
            f"{DRILL}::test_f73_a_full_pool",
            f"{UNIT}::test_reclaimed_are_only_long_unused_ones_that_nobody_runs",
            f"{REGISTER}::test_the_pool_is_reclaimed_only_when_it_is_exhausted",
            f"{USED}::test_pool_exhausted",
        ),
    ),
    Entry(
        "F97",
        "A home that is missing, read-only or of any name works, or is one line and nothing is started.",
        (
            f"{DRILL}::test_f97_no_place_for_the_state",
            f"{DRILL}::test_f97_a_home_that_is_read_only",
            f"{DRILL}::test_f97_homes_of_any_name",
            f"{DETACHED}::test_state_folder_of_any_name",
            f"{DETACHED}::test_unusable_state_folder",
            f"{PREDECESSOR}::test_g37_where_the_state_is",
            f"{PREDECESSOR}::test_g35_listing_on_a_read_only_disk",
        ),
    ),
    Entry(
        "F99",
        "A service of the same name or key in another project is never taken for this one.",
        (
            f"{DRILL}::test_f99_one_name_in_two_projects",
            f"{DRILL}::test_f99_one_key_in_two_projects",
            f"{USED}::test_other_checkout_other_port",
            f"{REGISTER}::test_a_key_that_runs_elsewhere_is_an_error_that_shows_both",
        ),
    ),
    Entry(
        "P29",
        "Listeners of five kinds, ended connections, strangers, two users: the port is right each time.",
        (
            f"{DRILL}::test_p29_restarts_through_time_wait",
            f"{UNIT}::test_a_listener_of_any_kind_makes_a_port_busy",
            f"{DRILL}::test_f71_users_of_one_machine",
            f"{CHECKS}::test_stranger_on_the_port",
            f"{CHECKS}::test_connection_to_itself",
        ),
    ),
)
