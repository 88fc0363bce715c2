"""F29 to F49 and P19 to P22, P24, P39: the output path, descriptors and the environment."""

from promises.entry import Entry

FAULTS = "tests/e2e/test_faults.py::"
BACK = "tests/e2e/test_faults_background.py::"
KERNEL = "tests/integration/test_faults_kernel.py::"
DRILL = "tests/e2e/test_drill_output.py::"
MATRIX = "tests/e2e/test_matrix.py::"
DETACHED = "tests/e2e/test_start_detached.py::"

CATALOGUE = (
    Entry(
        "F29",
        "devport never changes the mode of a terminal, pipe or socket it was given, and bears any mode.",
        (
            f"{FAULTS}test_f29_shared_nonblocking_flag",
            "tests/test_sink.py::test_leaves_the_inherited_description_alone",
        ),
    ),
    Entry(
        "F30",
        "A reader that takes nothing stalls the services' output and nothing else: no signal, no command.",
        (
            f"{FAULTS}test_f30_back_pressure_keeps_the_control_plane",
            f"{MATRIX}test_stalled_reader",
            f"{MATRIX}test_stalled_reader_sees_a_child_end",
            "tests/e2e/test_faults_yaml.py::test_f30_probes_and_watchdogs_while_nobody_reads",
            "tests/e2e/test_control_foreground.py::test_answers_while_nobody_reads_the_output",
            "tests/e2e/test_supervisor.py::test_stalled_window_does_not_stall_the_service",
            "tests/e2e/test_drill_processes.py::test_p17_stalled_reader",
        ),
    ),
    Entry(
        "F31",
        "Nothing that a service wrote before its end is lost, and nothing it says while it is stopped.",
        (
            f"{FAULTS}test_f31_last_output",
            f"{BACK}test_f31_last_output",
            f"{MATRIX}test_200000_lines_then_exit",
            f"{DRILL}test_p19_last_output",
        ),
    ),
    Entry(
        "F32",
        "A service has ended when its process has, whoever still holds its output open.",
        (
            f"{FAULTS}test_f32_late_lines_of_a_holder",
            f"{FAULTS}test_f32_holder_that_never_falls_silent",
            f"{BACK}test_f32_terminal_held_by_a_stranger",
            f"{MATRIX}test_stdout_held_by_a_daemon",
            f"{DRILL}test_p22_pipe_held_by_a_stranger",
            f"{KERNEL}test_f32_words_that_came_while_devport_was_kept_from_reading",
        ),
    ),
    Entry(
        "F33",
        "A service that closes its output runs on, costs nothing, and its status still counts.",
        (
            f"{FAULTS}test_f33_child_closes_stdout",
            f"{BACK}test_f33_child_closes_stdout",
            f"{MATRIX}test_child_closes_its_stdout",
        ),
    ),
    Entry(
        "F34",
        "A prompt without a line's end is shown within half a second and glued to nobody else's text.",
        (
            f"{FAULTS}test_f34_partial_line",
            f"{FAULTS}test_f34_rest_of_the_line_joins_it",
            f"{MATRIX}test_prompt_without_newline",
            f"{DRILL}test_p22_closed_stdout_and_prompt",
        ),
    ),
    Entry(
        "F35",
        "A line of any length passes without the loss of a byte and in bounded memory.",
        (
            f"{FAULTS}test_f35_line_without_end",
            f"{MATRIX}test_line_of_200_megabytes",
            f"{DRILL}test_p21_any_bytes",
        ),
    ),
    Entry(
        "F36",
        "Output arrives byte for byte as it was written, on the screen and in the log.",
        (
            f"{FAULTS}test_f36_bytes_are_not_changed",
            "tests/integration/test_log.py::test_bytes_as_they_came",
            f"{DRILL}test_p21_any_bytes",
        ),
    ),
    Entry(
        "F37",
        "Only a line feed ends a line.",
        (f"{FAULTS}test_f37_line_breaks_that_are_none",),
    ),
    Entry(
        "F38",
        "On a terminal no service colours another's lines, moves the cursor, or sets the title or clipboard.",
        (
            f"{FAULTS}test_f38_escapes_on_a_terminal",
            f"{FAULTS}test_f38_escapes_in_a_pipe",
            f"{MATRIX}test_red_without_reset",
            "tests/integration/test_log.py::test_logs_for_a_pipe_and_a_terminal",
        ),
    ),
    Entry(
        "F39",
        "Each line is printed in one piece, however many services write and however slow the reader is.",
        (
            f"{FAULTS}test_f39_fragments_are_not_mixed",
            f"{FAULTS}test_f39_reader_that_pauses",
            f"{DRILL}test_p20_lines_of_many",
        ),
    ),
    Entry(
        "F40",
        "With `pty` a program that holds its output back in a pipe shows each line at once.",
        (f"{FAULTS}test_f40_pty_for_programs_that_buffer",),
    ),
    Entry(
        "F41",
        "A full disk costs the output that did not fit, is said once, and stops no service.",
        (
            f"{FAULTS}test_f41_output_to_a_full_disk",
            "tests/e2e/test_limits.py::test_full_disk",
            "tests/e2e/test_background_must_hold.py::test_disk_full_of_output",
            "tests/integration/test_log.py::test_trouble_is_told_once",
            "tests/integration/test_log.py::test_log_that_cannot_be_written",
            "tests/integration/test_log.py::test_removed_while_open",
        ),
    ),
    Entry(
        "F42",
        "More than 1,024 descriptors are no limit, and too few of them are an error that says so.",
        (
            f"{FAULTS}test_f42_few_descriptors",
            f"{KERNEL}test_f42_descriptors_beyond_1024",
            "tests/e2e/test_limits.py::test_few_descriptors",
            "tests/e2e/test_limits.py::test_soft_limit_is_raised",
            "tests/e2e/test_limits.py::test_500_entries",
            "tests/e2e/test_drill_state.py::test_f42_1024_descriptors",
            "tests/e2e/test_soak.py::test_p23_twelve_hundred_services",
        ),
    ),
    Entry(
        "F43",
        "A service has its caller's limits, and not those that devport gave itself.",
        (
            f"{FAULTS}test_f43_raised_limit_is_not_inherited",
            "tests/e2e/test_limits_of_the_shell.py::test_limits_are_the_callers",
        ),
    ),
    Entry(
        "F44",
        "No service keeps a lock of devport: when devport is gone, it can be started at once.",
        (f"{FAULTS}test_f44_lock_is_not_inherited", f"{BACK}test_f44_lock_is_not_inherited"),
    ),
    Entry(
        "F45",
        "No lock or pipe of devport's caller stays with a service, a supervisor or the tmux server.",
        (f"{FAULTS}test_f45_callers_descriptors", f"{DRILL}test_p39_callers_descriptors"),
    ),
    Entry(
        "F46",
        "A service is given its three standard streams and no other descriptor.",
        (
            f"{FAULTS}test_f46_descriptors_do_not_leak",
            f"{FAULTS}test_f46_run_leaks_nothing_either",
            f"{DETACHED}test_caller_with_peculiarities",
            "tests/e2e/test_supervisor.py::test_signals_of_the_service_start_clean",
        ),
    ),
    Entry(
        "F47",
        "In a run of many nobody's keys are eaten: to a service the input is at its end.",
        (f"{FAULTS}test_f47_stdin", f"{BACK}test_f47_nothing_to_read"),
    ),
    Entry(
        "F48",
        "Any environment is passed on as it is; what cannot be is an error with its place or its reason.",
        (
            f"{FAULTS}test_f48_odd_environment",
            f"{FAULTS}test_f48_too_large_an_environment",
            f"{KERNEL}test_f48_value_that_no_process_can_have",
            "tests/test_dotenv.py::test_any_bytes",
            "tests/test_fuzz_parsers.py::test_env_file",
            "tests/e2e/test_background_must_hold.py::test_environment_of_a_restart",
            "tests/e2e/test_traps.py::test_9_broken_env_file_is_no_traceback",
        ),
    ),
    Entry(
        "F49",
        "What systemd, tmux or an outer devport told devport is not told to the services.",
        (
            f"{FAULTS}test_f49_control_variables",
            f"{FAULTS}test_f49_devport_within_devport",
            f"{DETACHED}test_variables_meant_for_devport",
        ),
    ),
    Entry(
        "P19",
        "The last of 200,000 lines arrives, however slow the reader is.",
        (f"{DRILL}test_p19_last_output",),
    ),
    Entry(
        "P20",
        "Of the lines of 50 services at once each one is whole and in its order.",
        (f"{DRILL}test_p20_lines_of_many",),
    ),
    Entry(
        "P21",
        "A gigabyte of any bytes in one line arrives unchanged, in bounded memory.",
        (
            f"{DRILL}test_p21_any_bytes",
            f"{FAULTS}test_f38_escapes_on_a_terminal",
            "tests/test_escapes.py::test_corpus",
        ),
    ),
    Entry(
        "P22",
        "Pipes held by others, closed outputs and prompts delay nothing and lose nothing.",
        (f"{DRILL}test_p22_pipe_held_by_a_stranger", f"{DRILL}test_p22_closed_stdout_and_prompt"),
    ),
    Entry(
        "P24",
        "When the system refuses processes, memory or descriptors, devport says so, leaks none and recovers.",
        (f"{DRILL}test_p24_spawns_that_fail", f"{DRILL}test_p24_services_that_fail_to_start"),
    ),
    Entry(
        "P39",
        "`$(devport start)` returns in a script that holds locks and pipes, and keeps none of them.",
        (f"{DRILL}test_p39_callers_descriptors",),
    ),
)
