"""Readiness, notifications, the watchdog, sockets, restarts and watched files: F74 to F85, P30 to P33."""

from promises.entry import Entry

YAML = "tests/e2e/test_faults_yaml.py::"
HANDED = "tests/e2e/test_faults_handed.py::"
WATCHING = "tests/e2e/test_faults_watching.py::"
LIVES = "tests/e2e/test_scenarios_lives.py::"
DRILL = "tests/e2e/test_drill_sources.py::"
CHECKS = "tests/integration/test_checks.py::"
NOTIFY = "tests/integration/test_notify.py::"
LISTEN = "tests/integration/test_listen.py::"
FILES = "tests/integration/test_watch_files.py::"
PROBE = "tests/test_probe.py::"

CATALOGUE = (
    Entry(
        "F74",
        "A service is ready only by what its present run does: no stranger on its port, no earlier "
        "run and no line that one of those printed makes it ready.",
        (
            f"{YAML}test_f74_stranger_on_the_port",
            f"{YAML}test_f74_line_of_an_earlier_life",
            f"{YAML}test_f74_answer_of_an_earlier_life",
            f"{CHECKS}test_connection_to_itself",
            f"{CHECKS}test_left_over_by_an_earlier_life",
        ),
    ),
    Entry(
        "F75",
        "A server that hangs, drips, floods or redirects, and a pattern that takes for ever, delay "
        "nothing else and make nothing ready; probes never leave the machine.",
        (
            f"{YAML}test_f75_hostile_servers",
            f"{CHECKS}test_servers",
            f"{CHECKS}test_tls",
            f"{CHECKS}test_request",
            f"{CHECKS}test_no_host_elsewhere",
            f"{PROBE}test_f75_pattern_that_takes_for_ever",
            f"{PROBE}test_f75_pattern_that_always_takes_for_ever",
            f"{PROBE}test_f75_pattern_is_given_up_with_the_reason",
        ),
    ),
    Entry(
        "F76",
        "Of a command that probes one runs at a time, and nothing that it started outlives its deadline.",
        (
            f"{YAML}test_f76_probes_leave_nothing",
            f"{CHECKS}test_commands_leave_nothing",
            f"{CHECKS}test_command_ends_with_the_life",
            "tests/integration/test_errand.py::test_leaves_nothing",
        ),
    ),
    Entry(
        "F77",
        "A notification counts although its sender has ended, and none is lost or heard out of order.",
        (
            f"{YAML}test_f77_short_lived_senders",
            f"{NOTIFY}test_senders_that_are_gone",
            f"{NOTIFY}test_somebody_else",
            f"{NOTIFY}test_barrier",
        ),
    ),
    Entry(
        "F78",
        "A service that floods devport with notifications, descriptors or nonsense slows nobody down "
        "and leaves nothing open, and no foreign process becomes its main process.",
        (
            f"{YAML}test_f78_hostile_notifier",
            f"{NOTIFY}test_passed_descriptors_are_closed",
            f"{NOTIFY}test_main_pid",
            f"{NOTIFY}test_f78_takes_no_more_than_is_asked_for",
            f"{NOTIFY}test_flood",
            f"{NOTIFY}test_junk_is_ignored",
            "tests/e2e/test_fuzz_command.py::test_hostile_notifications",
        ),
    ),
    Entry(
        "F79",
        "However long the path of the state folder is, control, notifications and unix sockets work.",
        (
            f"{YAML}test_f79_home_of_200_characters",
            f"{NOTIFY}test_folder_that_does_not_fit_is_passed_over",
            f"{NOTIFY}test_no_folder_will_do",
            f"{LISTEN}test_long_path",
        ),
    ),
    Entry(
        "F80",
        "Sockets are handed to the server itself, behind a shell too, in order, and to none of its children.",
        (
            f"{HANDED}test_f80_who_is_to_accept",
            f"{LISTEN}test_three_sockets",
            f"{LISTEN}test_sources_that_are_targets",
            f"{LISTEN}test_shell_that_stays_is_who_is_told",
        ),
    ),
    Entry(
        "F81",
        "While a service with `listen` restarts, no client is refused.",
        (f"{HANDED}test_f81_fifty_restarts_under_load", f"{LISTEN}test_nobody_is_refused"),
    ),
    Entry(
        "F82",
        "The watchdog ends what hangs, within 0.2 s of its limit, and nothing that is still starting, "
        "is being debugged, or was only suspended together with devport.",
        (
            f"{HANDED}test_f82_service_that_hangs",
            f"{HANDED}test_f63_f82_supervisor_that_was_suspended",
            f"{NOTIFY}test_stopped_child",
            f"{NOTIFY}test_require_ready",
            f"{NOTIFY}test_extend",
            f"{NOTIFY}test_f82_debugged",
            f"{CHECKS}test_f82_liveness_of_what_is_debugged",
            f"{NOTIFY}test_f82_deaf_to_the_abort",
        ),
    ),
    Entry(
        "F83",
        "A service that fails is restarted at the intervals that are documented, given up after as "
        "many restarts, and `ls` says so; a good end is no failure.",
        (
            f"{LIVES}test_f83_truth_table",
            f"{LIVES}test_f83_timeline",
            f"{LIVES}test_f83_window",
            "tests/e2e/test_drill_processes.py::test_p38_restarts",
        ),
    ),
    Entry(
        "F84",
        "A burst of changes restarts a service once, however files are saved; one that changes its "
        "own files is restarted thrice and no more, and without inotify devport looks itself.",
        (
            f"{WATCHING}test_f84_own_doing",
            f"{WATCHING}test_f84_bursts",
            f"{WATCHING}test_f84_kernel_has_no_more_watches",
            f"{FILES}test_own_doing",
            f"{FILES}test_checkout",
            f"{FILES}test_links",
            f"{FILES}test_gitignore",
            f"{FILES}test_limit_of_inotify",
        ),
    ),
    Entry(
        "F85",
        "A change while a service stops, is stopped or waits for its next try never starts it twice.",
        (
            f"{WATCHING}test_f85_change_while_it_stops",
            f"{WATCHING}test_f85_change_while_it_is_told_to_stop",
            f"{WATCHING}test_f85_change_while_it_backs_off",
            f"{FILES}test_backoff_is_cut_short",
            f"{FILES}test_changes_while_it_stops",
            f"{FILES}test_stop_during_a_batch",
        ),
    ),
    Entry(
        "P30",
        "Of thousands of notifications by processes that are gone, and of a flood with descriptors, "
        "none is lost.",
        (f"{DRILL}test_p30_notifications",),
    ),
    Entry(
        "P31",
        "Under 200 connections a second no restart, whatever its reason, refuses one of them.",
        (f"{DRILL}test_p31_restarts_under_load",),
    ),
    Entry(
        "P32",
        "With eight hostile servers to ask and a service that pings without end, devport is not 50 ms late.",
        (f"{DRILL}test_p32_hostile_servers",),
    ),
    Entry(
        "P33",
        "Each way in which editors save, a checkout of 10,000 files, a service's own writing and a "
        "kernel without inotify end in the restarts that they should, and no more.",
        (
            f"{DRILL}test_p33_ways_to_save",
            f"{DRILL}test_p33_checkout",
            f"{DRILL}test_p33_own_doing",
            f"{DRILL}test_p33_inotify_exhausted",
        ),
    ),
)
