"""What is kept, who runs what, and which clock counts: F50 to F64, and the drill of it."""

from promises.entry import Entry

DISK = "tests/integration/test_drill_records.py"
DRILL = "tests/e2e/test_drill_state.py"
LOCKS = "tests/integration/test_locks.py"
STORE = "tests/integration/test_store.py"
CROWD = "tests/integration/test_registry_concurrency.py"
USED = "tests/e2e/test_registry_e2e.py"
HOLD = "tests/e2e/test_background_must_hold.py"
PREDECESSOR = "tests/e2e/test_predecessor.py"
SUSPENDED = "tests/e2e/test_faults_handed.py"
PORTS = "tests/e2e/test_drill_ports.py"

CATALOGUE = (
    Entry(
        "F50",
        "A record is never read half written; a damaged one is kept and listed, and a port that can still be"
        " read in it is given to nobody else.",
        (
            f"{DISK}::test_f50_a_torn_record_keeps_its_port",
            f"{DISK}::test_p05_readers_and_a_writer",
            f"{USED}::test_damaged_record",
            # with status 0: all that was asked for is printed, and one bad file fails no script that lists
            "tests/test_background_verbs.py::test_ls_shows_damaged_records",
            f"{STORE}::test_a_damaged_record_is_a_warning_with_the_file_and_keeps_the_others",
            f"{STORE}::test_a_damaged_file_is_kept_beside_its_successor",
            f"{STORE}::test_our_own_exhaustion_does_not_make_a_record_look_damaged",
            "tests/test_record.py::test_a_torn_record_never_yields_a_wrong_port",
            "tests/test_fuzz_parsers.py::test_f50_ports_of_a_damaged_record",
            "tests/e2e/test_fuzz_command.py::test_f50_hostile_records",
        ),
    ),
    Entry(
        "F51",
        "After a power cut or a kill at any moment there is the old record or the new one.",
        (
            f"{DISK}::test_p26_power_cut",
            f"{DISK}::test_p06_killed_while_saving",
            f"{DISK}::test_p06_killed_while_a_damaged_record_is_replaced",
            f"{DISK}::test_f51_new_folders_are_on_the_disk",
            f"{STORE}::test_every_file_is_on_the_disk_before_it_takes_its_place",
            f"{CROWD}::test_a_kill_at_every_system_call_of_a_write_leaves_old_or_new",
        ),
    ),
    Entry(
        "F52",
        "Of two changes to a record at one moment both count.",
        (
            f"{DISK}::test_p04_no_increment_is_lost",
            f"{CROWD}::test_registering_while_heartbeats_write_loses_neither",
            f"{STORE}::test_update_changes_what_is_there_by_then",
            f"{PREDECESSOR}::test_g25_heartbeat_reverts_nothing",
        ),
    ),
    Entry(
        "F53",
        "A full disk stops no service and leaves every old record; with room again all goes on.",
        (
            f"{DISK}::test_p25_full_and_read_only_disk",
            f"{HOLD}::test_disk_full_under_a_running_service",
            f"{HOLD}::test_f53_disk_full_under_a_run",
            f"{HOLD}::test_disk_full_of_output",
            f"{HOLD}::test_record_too_large_for_the_disk",
            f"{STORE}::test_a_failed_write_keeps_the_old_record_and_leaves_no_litter",
            f"{STORE}::test_a_real_limit_on_file_size_loses_nothing",
        ),
    ),
    Entry(
        "F54",
        "A lock file that goes while others wait for it lets nobody in beside its holder.",
        (
            f"{DISK}::test_f54_lock_files_that_go_while_others_wait",
            f"{DRILL}::test_f54_a_removed_lock_file_does_not_let_a_second_life_in",
            f"{HOLD}::test_remove_and_start",
            f"{LOCKS}::test_an_unlinked_lock_file_protects_nobody",
            f"{LOCKS}::test_a_lock_unlinked_between_open_and_flock_is_not_taken",
            f"{LOCKS}::test_discard_unlinks_only_what_nobody_holds",
        ),
    ),
    Entry(
        "F55",
        "Whoever only looks never makes a start believe that the service runs already.",
        (
            f"{DISK}::test_f55_lookers_never_make_a_start_fail",
            f"{HOLD}::test_lookers_hinder_nobody",
            f"{LOCKS}::test_looking_creates_nothing_and_takes_nothing",
        ),
    ),
    Entry(
        "F56",
        "A lock is not lost when its holder opens and closes the same file.",
        (f"{DISK}::test_f56_another_descriptor_of_the_file_is_closed",),
    ),
    Entry(
        "F57",
        "Whatever a lock file says, only the process that really holds it is ever signalled.",
        (
            f"{DRILL}::test_p28_forged_locks",
            f"{DISK}::test_f57_the_taker_is_dead_and_the_lock_inherited",
            f"{LOCKS}::test_a_held_lock_with_any_text_is_held_by_somebody_unknown",
            f"{LOCKS}::test_a_killed_holder_holds_nothing",
            f"{PREDECESSOR}::test_g28_nobody_else_is_signalled",
            f"{PREDECESSOR}::test_g28_a_pid_without_its_start_is_nobody",
            f"{PREDECESSOR}::test_g32_a_lock_without_a_name",
        ),
    ),
    Entry(
        "F58",
        "Of many starts of one service at one moment one starts it, and all succeed with the same answer.",
        (
            f"{DRILL}::test_p01_starts_of_one_service_at_once",
            f"{HOLD}::test_thirty_starts_of_one",
            f"{USED}::test_two_starts_in_one_checkout",
            f"{PREDECESSOR}::test_restart_of_many",
        ),
    ),
    Entry(
        "F59",
        "Many different services can be started at one moment, although there is no tmux server yet.",
        (
            f"{DRILL}::test_p02_starts_of_different_services_at_once",
            f"{HOLD}::test_fifty_starts_of_different_ones",
        ),
    ),
    Entry(
        "F60",
        "Whatever several users do to the same services at once: one life each at most, no port twice.",
        (f"{HOLD}::test_random_interleavings", "tests/e2e/test_walks.py::test_walk"),
    ),
    Entry(
        "F61",
        "Where a file system has no locks nothing is started, stopped or removed; one line says the way out.",
        (
            f"{DRILL}::test_f61_no_locks_on_the_disk_of_the_state",
            f"{DISK}::test_f61_no_locks_on_this_file_system",
        ),
    ),
    Entry(
        "F62",
        "A clock that is set to another time changes no delay, no grace, no probe and no port.",
        (
            f"{DRILL}::test_p37_clock_jumps",
            f"{PORTS}::test_f62_a_clock_that_jumps_ahead_frees_no_port",
            f"{PORTS}::test_f62_another_boot_is_no_evidence",
            "tests/test_clocks.py::test_f62_who_asks_for_the_time_of_day",
            "tests/test_clocks.py::test_f62_what_asks_for_the_time_of_day",
            "tests/test_pace.py::test_clock_that_is_set_back",
        ),
    ),
    Entry(
        "F63",
        "No service is blamed for the time in which devport itself was suspended.",
        (
            f"{SUSPENDED}::test_f63_f82_supervisor_that_was_suspended",
            f"{SUSPENDED}::test_f63_time_to_become_ready",
            "tests/e2e/test_drill_processes.py::test_p16_suspended_and_continued",
            "tests/integration/test_notify.py::test_devport_itself_is_late",
        ),
    ),
    Entry(
        "F64",
        "Fields that this version does not know are kept, and a newer version's record is not written over.",
        (
            f"{DISK}::test_f64_records_of_other_versions",
            "tests/test_register.py::test_a_record_of_a_newer_devport_is_never_replaced",
            f"{HOLD}::test_records_of_the_seeds_tool",
        ),
    ),
    Entry(
        "P01",
        "Sixteen starts of one service at one moment make one life and sixteen equal answers.",
        (f"{DRILL}::test_p01_starts_of_one_service_at_once",),
    ),
    Entry(
        "P02",
        "Up to 64 services are started at one moment without a tmux server, each on a port of its own.",
        (f"{DRILL}::test_p02_starts_of_different_services_at_once",),
    ),
    Entry(
        "P03",
        "Of 64 projects that register at one moment each service has a port of its own.",
        (
            f"{DISK}::test_p03_registrations_at_once",
            f"{DISK}::test_p03_registrations_of_one_checkout",
        ),
    ),
    Entry(
        "P04",
        "No change of twenty processes that write one record beside a heartbeat is lost.",
        (f"{DISK}::test_p04_no_increment_is_lost",),
    ),
    Entry(
        "P05",
        "Eight readers of a record that is written all the time see whole and fresh ones only.",
        (f"{DISK}::test_p05_readers_and_a_writer",),
    ),
    Entry(
        "P06",
        "Killed before any system call of saving, registering, repairing or removing, nothing is half done.",
        (
            f"{DISK}::test_p06_killed_while_saving",
            f"{DISK}::test_p06_killed_while_registering",
            f"{DISK}::test_p06_killed_while_a_damaged_record_is_replaced",
            f"{DISK}::test_p06_killed_while_removing",
        ),
    ),
    Entry(
        "P07",
        "Random commands, kills, edits and full disks in any order leave one life each, and unique ports.",
        ("tests/e2e/test_walks.py::test_walk", "tests/e2e/test_walks.py::test_walks_of_the_drill"),
    ),
    Entry(
        "P25",
        "Disks that are full, read-only, broken or over quota cost a line, not a record and not a service.",
        (
            f"{DISK}::test_p25_full_and_read_only_disk",
            f"{DISK}::test_p25_log_that_cannot_be_written",
            f"{STORE}::test_a_failed_write_keeps_the_old_record_and_leaves_no_litter",
        ),
    ),
    Entry(
        "P26",
        "Every state that a power cut can leave on the disk has the old record or the new one.",
        (f"{DISK}::test_p26_power_cut",),
    ),
    Entry(
        "P27",
        "After a kill -9 of supervisors, services, the tmux server or all, each service starts again, once.",
        (f"{DRILL}::test_p27_everything_is_killed",),
    ),
    Entry(
        "P28",
        "Forged lock files never make devport signal a stranger.",
        (f"{DRILL}::test_p28_forged_locks",),
    ),
    Entry(
        "P37",
        "Timelines stay as they are while the time of day jumps by a month, an hour or a second.",
        (f"{DRILL}::test_p37_clock_jumps",),
    ),
)
