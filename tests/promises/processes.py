"""F01 to F28 and P08 to P18, P38: the process tree, signals and the terminal."""

from promises.entry import Entry

FAULTS = "tests/e2e/test_faults.py::"
BACK = "tests/e2e/test_faults_background.py::"
KERNEL = "tests/integration/test_faults_kernel.py::"
DRILL = "tests/e2e/test_drill_processes.py::"
MATRIX = "tests/e2e/test_matrix.py::"
SUPERVISOR = "tests/e2e/test_supervisor.py::"
TERMINAL = "tests/e2e/test_terminal.py::"

CATALOGUE = (
    Entry(
        "F01",
        "A stop is over when the last process of a service's group is gone, and not when the first is.",
        (
            f"{FAULTS}test_f01_grandchild_in_the_group_outlives_its_leader",
            f"{FAULTS}test_f01_obedient_members_of_the_group",
            f"{BACK}test_f01_f02_whole_tree",
            f"{MATRIX}test_grandchild",
        ),
    ),
    Entry(
        "F02",
        "A process that leaves its service's group or session, or becomes a daemon, ends with the service.",
        (
            f"{FAULTS}test_f02_daemons_of_two_services",
            f"{BACK}test_f01_f02_whole_tree",
            f"{KERNEL}test_f02_child_of_who_died_while_it_was_looked_at",
            f"{BACK}test_f02_escape_artist",
            f"{DRILL}test_p11_escapee",
        ),
    ),
    Entry(
        "F03",
        "A service that crashes is started again when what it left behind is gone and its port is free.",
        (
            f"{FAULTS}test_f03_rest_of_the_group_keeps_the_port",
            f"{BACK}test_f03_each_life_has_its_port",
            f"{SUPERVISOR}test_leftovers_of_a_crash_are_ended_first",
        ),
    ),
    Entry(
        "F04",
        "If one of devport's two processes is killed, nothing of its services is left; if both are, what a"
        " service itself started may stay, and if it has the port the next start names it and runs nothing.",
        (
            f"{FAULTS}test_f04_supervisor_killed",
            f"{FAULTS}test_f04_listener_that_survives_both",
            f"{BACK}test_f04_listener_that_survives_both",
            f"{MATRIX}test_manager_killed",
            f"{MATRIX}test_supervisor_killed",
            f"{MATRIX}test_both_killed",
            f"{SUPERVISOR}test_kill_9",
        ),
    ),
    Entry(
        "F05",
        "A service dies with a devport that is killed at whatever moment of the service's beginning.",
        (
            f"{FAULTS}test_f05_parent_death_signal_race",
            f"{KERNEL}test_f05_parent_that_is_dead_already",
            f"{SUPERVISOR}test_kill_9_while_it_starts",
        ),
    ),
    Entry(
        "F06",
        "Dead processes that a service did not wait for do not pile up.",
        (
            f"{FAULTS}test_f06_orphans_are_reaped",
            f"{BACK}test_f06_orphans_are_reaped",
            f"{DRILL}test_p10_orphan_rain",
        ),
    ),
    Entry(
        "F07",
        "The exit status of a service is what it was, however devport itself was started.",
        (
            f"{FAULTS}test_f07_sigchld_ignored_by_the_caller",
            f"{BACK}test_f07_sigchld_ignored_by_the_caller",
        ),
    ),
    Entry(
        "F08",
        "Each end of a service is noticed once, even in its first millisecond and together with 300 others.",
        (
            f"{FAULTS}test_f08_instant_exit",
            f"{DRILL}test_p08_instant_exits",
            f"{DRILL}test_p08_instant_exits_in_the_background",
            f"{DRILL}test_p09_exits_together",
        ),
    ),
    Entry(
        "F09",
        "Whatever signals devport's caller blocks or ignores, a service does not; nohup still works.",
        (
            f"{FAULTS}test_f09_signals_start_clean",
            f"{FAULTS}test_f09_nohup",
            f"{KERNEL}test_f09_signals_start_clean_without_a_shell",
            f"{SUPERVISOR}test_signals_of_the_service_start_clean",
            "tests/e2e/test_start_detached.py::test_caller_with_peculiarities",
        ),
    ),
    Entry(
        "F10",
        "A stop that comes in the first milliseconds is heard, and leaves nothing.",
        (
            f"{FAULTS}test_f10_stop_in_the_first_milliseconds",
            f"{FAULTS}test_f10_stop_while_others_start_is_orderly",
            f"{SUPERVISOR}test_end_in_the_first_milliseconds",
            f"{DRILL}test_p12_stop_right_after_launch",
        ),
    ),
    Entry(
        "F11",
        "A service that ignores its stop signal is killed after its grace period, and devport says so.",
        (
            f"{FAULTS}test_f11_escalation_is_logged",
            f"{SUPERVISOR}test_stubborn_service_is_killed_after_its_grace",
        ),
    ),
    Entry(
        "F12",
        "A second Ctrl-C kills at once; a third ends devport whatever happens, and it says who is left.",
        (
            f"{FAULTS}test_f12_second_request",
            f"{FAULTS}test_f12_third_request",
            f"{FAULTS}test_f12_thirty_at_once",
            "tests/e2e/test_ends_of_a_run.py::test_f12_every_process_is_signalled",
            f"{SUPERVISOR}test_second_wish_to_end_kills_at_once",
            f"{DRILL}test_p15_second_interrupt",
        ),
    ),
    Entry(
        "F13",
        "A suspended service is continued so that it can hear its stop signal.",
        (
            f"{FAULTS}test_f13_stopped_process_hears_the_stop",
            f"{BACK}test_f13_stopped_process_hears_the_stop",
        ),
    ),
    Entry(
        "F14",
        "A process that not even SIGKILL ends is given up after 3 s, and keeps no other service waiting.",
        (
            f"{FAULTS}test_f14_unkillable_process",
            f"{BACK}test_f14_unkillable_process",
            f"{KERNEL}test_f14_others_go_on",
        ),
    ),
    Entry(
        "F15",
        "No command of devport ever signals a process that is not devport's, whatever its records say.",
        (
            f"{FAULTS}test_f15_pid_of_somebody_else",
            f"{BACK}test_f15_pid_of_somebody_else",
            "tests/e2e/test_drill_state.py::test_p28_forged_locks",
            f"{KERNEL}test_f15_number_of_a_group_is_not_given_away",
        ),
    ),
    Entry(
        "F16",
        "A service that cannot be started is reported with the reason, and devport lives on to try again.",
        (
            f"{FAULTS}test_f16_exec_fails",
            f"{SUPERVISOR}test_failed_respawn_is_tried_again",
            "tests/e2e/test_limits.py::test_few_processes",
            "tests/e2e/test_drill_output.py::test_p24_spawns_that_fail",
            "tests/e2e/test_drill_output.py::test_p24_services_that_fail_to_start",
        ),
    ),
    Entry(
        "F17",
        "The exit status of a service is devport's: its code, 128 + n for signal n, 126 or 127 if none ran.",
        (
            f"{FAULTS}test_f17_exit_codes",
            f"{BACK}test_f17_statuses_in_the_record",
            "tests/e2e/test_statuses.py::test_all_exit_codes_are_reported",
            "tests/e2e/test_statuses.py::test_all_signal_deaths_are_reported",
            "tests/e2e/test_statuses.py::test_start_exits_as_its_service",
            "tests/e2e/test_statuses.py::test_signal_deaths",
        ),
    ),
    Entry(
        "F18",
        "A zombie that nobody reaps does not keep a service from being stopped.",
        (
            f"{FAULTS}test_f18_zombie_in_the_group",
            f"{BACK}test_f18_zombie_in_the_group",
            f"{KERNEL}test_f18_zombie_that_its_parent_keeps",
            f"{KERNEL}test_f18_who_outlives_its_first_thread_is_no_zombie",
        ),
    ),
    Entry(
        "F19",
        "When the terminal or the window is closed, the services in it end and can be started again.",
        (
            f"{FAULTS}test_f19_terminal_closed",
            f"{MATRIX}test_terminal_disappears",
            f"{SUPERVISOR}test_tmux_goes_away",
        ),
    ),
    Entry(
        "F20",
        "When the tmux server is killed, nothing survives it, and the next start simply works.",
        (
            f"{FAULTS}test_f20_tmux_server_killed",
            f"{BACK}test_f20_ten_services_and_the_tmux_server",
            f"{SUPERVISOR}test_tmux_goes_away",
            f"{SUPERVISOR}test_restart_after_tmux_was_killed",
        ),
    ),
    Entry(
        "F21",
        "When nobody reads its output any more, a run in the foreground ends in order, with status 141.",
        (
            f"{FAULTS}test_f21_own_stdout_gone",
            f"{MATRIX}test_reader_disappears",
            f"{DRILL}test_p18_reader_vanishes",
        ),
    ),
    Entry(
        "F22",
        "Ctrl-Z suspends everything and `fg` continues it, and no grace period runs out meanwhile.",
        (
            f"{FAULTS}test_f22_suspended_and_continued",
            f"{FAULTS}test_f22_other_sessions",
            f"{FAULTS}test_f22_grace_stands_still_while_suspended",
            f"{FAULTS}test_f22_size_after_the_suspension",
            f"{FAULTS}test_f22_supervisor_alone_is_continued",
            f"{TERMINAL}test_ctrl_z_and_fg",
            f"{TERMINAL}test_run_ctrl_z_and_fg",
            f"{TERMINAL}test_run_is_stopped_before_the_prompt",
            f"{DRILL}test_p16_suspended_and_continued",
        ),
    ),
    Entry(
        "F23",
        "A service that wants the terminal is not suspended for it, and the others go on.",
        (
            f"{FAULTS}test_f23_child_wants_the_terminal",
            f"{BACK}test_f47_nothing_to_read",
            f"{SUPERVISOR}test_typing_reaches_the_service",
        ),
    ),
    Entry(
        "F24",
        "The terminals of the services follow the size of yours.",
        (
            f"{FAULTS}test_f24_resize",
            f"{TERMINAL}test_window_size_changes",
            f"{SUPERVISOR}test_window_size_follows",
        ),
    ),
    Entry(
        "F25",
        "Whatever signal ends devport, nothing of its services is left.",
        (f"{FAULTS}test_f25_every_signal", f"{DRILL}test_p13_each_signal_in_the_background"),
    ),
    Entry(
        "F26",
        "A request to end is heard, however many other signals come before it.",
        (
            f"{KERNEL}test_f26_signals_at_once",
            f"{KERNEL}test_f26_more_signals_than_the_pipe_holds",
            f"{SUPERVISOR}test_no_signal_hides_an_end",
            f"{DRILL}test_p13_signals_in_a_row",
        ),
    ),
    Entry(
        "F27",
        "A service that waits for its restart is stopped at once, and none starts after a stop was accepted.",
        (
            f"{FAULTS}test_f27_nothing_starts_after_a_stop",
            f"{SUPERVISOR}test_end_during_backoff",
            "tests/e2e/test_background_must_hold.py::test_end_in_backoff_is_quick",
            f"{DRILL}test_p14_stop_in_each_state",
        ),
    ),
    Entry(
        "F28",
        "The terminal is as it was before, however a service left it.",
        (
            f"{FAULTS}test_f28_terminal_left_raw_in_a_run_of_many",
            f"{FAULTS}test_f28_terminal_left_raw_by_run",
            f"{TERMINAL}test_modes_after_a_kill",
        ),
    ),
    Entry(
        "P08",
        "Services that end or cannot run at once are each reported once, with the right status.",
        (f"{DRILL}test_p08_instant_exits", f"{DRILL}test_p08_instant_exits_in_the_background"),
    ),
    Entry(
        "P09",
        "Of 300 services that end together each is reported, and no zombie stays.",
        (f"{DRILL}test_p09_exits_together",),
    ),
    Entry(
        "P10",
        "A rain of a thousand orphans is reaped within 2 s.",
        (f"{DRILL}test_p10_orphan_rain",),
    ),
    Entry(
        "P11",
        "A process that changes its pid and session all the time is caught within the grace period.",
        (f"{DRILL}test_p11_escapee",),
    ),
    Entry(
        "P12",
        "A TERM in the first 300 ms leaves nothing and hangs nothing.",
        (f"{DRILL}test_p12_stop_right_after_launch",),
    ),
    Entry(
        "P13",
        "Whatever signals come in a row, the end comes within the grace period.",
        (
            f"{DRILL}test_p13_signals_in_a_row",
            f"{DRILL}test_p13_each_signal_in_the_background",
            f"{FAULTS}test_f25_every_signal",
        ),
    ),
    Entry(
        "P14",
        "A service can be stopped in every state, and is not started again after it.",
        (f"{DRILL}test_p14_stop_in_each_state", f"{DRILL}test_p14_stop_in_each_state_in_the_background"),
    ),
    Entry(
        "P15",
        "A second Ctrl-C ends everything, mostly within half a second, and within 3 s on a busy machine.",
        (f"{DRILL}test_p15_second_interrupt",),
    ),
    Entry(
        "P16",
        "A suspended devport kills nobody when it is continued.",
        (f"{DRILL}test_p16_suspended_and_continued",),
    ),
    Entry(
        "P17",
        "While nobody reads the output, commands are answered, a stop works and memory is bounded.",
        (f"{DRILL}test_p17_stalled_reader", f"{MATRIX}test_stalled_reader"),
    ),
    Entry(
        "P18",
        "A pipe, a terminal or a tmux window that goes away ends the run in order.",
        (f"{DRILL}test_p18_reader_vanishes",),
    ),
    Entry(
        "P38",
        "Each restart policy does what it says after each kind of end; alone, half of its waits are right to "
        "50 ms.",
        (
            f"{DRILL}test_p38_restarts",
            f"{DRILL}test_p38_waits",
            f"{DRILL}test_p38_restarts_in_the_background",
            "tests/e2e/test_scenarios_lives.py::test_f83_truth_table",
        ),
    ),
)
