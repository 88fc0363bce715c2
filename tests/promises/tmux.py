"""Windows, upgrades and starts that are none: F86 to F96, F98, P34."""

from promises.entry import Entry

DRILL = "tests/e2e/test_drill_tmux.py::"
WINDOWS = "tests/integration/test_tmux_windows.py::"
FAULTS = "tests/e2e/test_faults_windows.py::"
SUPERVISOR = "tests/e2e/test_supervisor.py::"
START = "tests/e2e/test_start_detached.py::"
HOLD = "tests/e2e/test_background_must_hold.py::"
PREDECESSOR = "tests/e2e/test_predecessor.py::"
UNIT = "tests/test_tmux.py::"

CATALOGUE = (
    Entry(
        "F86",
        "A command means exactly the service that it names, and never touches the window of another "
        "one or of yours, whatever they are called.",
        (
            f"{DRILL}test_f86_random_operations",
            f"{HOLD}test_each_name_is_hit_exactly",
            f"{HOLD}test_keys_that_are_refused",
            f"{HOLD}test_more_keys_that_are_refused",
            f"{PREDECESSOR}test_g38_neighbours_windows",
            f"{START}test_sessions_of_a_similar_name",
            f"{SUPERVISOR}test_a_clean_stop_closes_the_window",
        ),
    ),
    Entry(
        "F87",
        "A window's name is made of letters, digits, `_` and `-`, and is found again by number, not by name.",
        (
            f"{UNIT}test_names_are_harmless",
            f"{UNIT}test_names",
            f"{DRILL}test_p34_words_through_tmux",
            f"{SUPERVISOR}test_renamed_and_moved_window",
        ),
    ),
    Entry(
        "F88",
        "What a command is given arrives byte for byte, a semicolon too, and tmux takes none of it "
        "for its own.",
        (
            f"{DRILL}test_p34_services",
            f"{START}test_words_arrive_in_a_window",
            f"{WINDOWS}test_what_goes_through_tmux_arrives",
            f"{UNIT}test_no_word_ends_a_command",
        ),
    ),
    Entry(
        "F89",
        "The name of a folder is never executed, and a folder that is gone is an error, not another folder.",
        (
            f"{DRILL}test_p34_services",
            f"{START}test_words_arrive_in_a_window",
            f"{START}test_folder_is_gone",
        ),
    ),
    Entry(
        "F90",
        "Commands and environments may be as long as the system allows, in windows too.",
        (
            f"{START}test_large_commands_and_environments",
            f"{UNIT}test_no_call_is_longer_than_a_message",
            f"{WINDOWS}test_more_windows_than_a_message_holds",
        ),
    ),
    Entry(
        "F91",
        "A service has the environment that it was started with, not that of the tmux server or of "
        "another service, and no secret of it is in a command line.",
        (
            f"{START}test_environment_is_the_callers",
            f"{START}test_variables_meant_for_devport",
            f"{WINDOWS}test_the_environment_of_a_new_server",
        ),
    ),
    Entry(
        "F92",
        "Nothing in your tmux.conf keeps services from running, or changes what they are given.",
        (
            f"{SUPERVISOR}test_hostile_configuration",
            f"{WINDOWS}test_the_users_configuration_decides_nothing",
            f"{WINDOWS}test_hooks_of_the_user",
        ),
    ),
    Entry(
        "F93",
        "Called within another tmux, or without a tmux that will do, devport does the same as ever or "
        "says what is wrong and how to do without.",
        (
            f"{START}test_from_inside_another_tmux",
            f"{START}test_unusable_tmux",
            f"{WINDOWS}test_the_server_we_are_in_is_not_asked",
        ),
    ),
    Entry(
        "F94",
        "A window may be renamed, moved, split or read back in, and the service goes on; Ctrl-S holds "
        "its output and no command; Ctrl-C, and the end of the window, stop it.",
        (
            f"{FAULTS}test_f94_copy_mode",
            f"{FAULTS}test_f94_flow_control",
            f"{SUPERVISOR}test_flow_control_typed_into_the_window",
            f"{SUPERVISOR}test_renamed_and_moved_window",
            f"{SUPERVISOR}test_split_window",
            f"{SUPERVISOR}test_ctrl_c_ends_it",
            f"{SUPERVISOR}test_tmux_goes_away",
        ),
    ),
    Entry(
        "F95",
        "A tmux that hangs is given up after five seconds, and stopping services does not need it.",
        (
            f"{UNIT}test_a_tmux_that_hangs",
            f"{SUPERVISOR}test_stop_with_a_hanging_tmux_server",
            f"{START}test_old_window_on_a_hanging_server",
        ),
    ),
    Entry(
        "F96",
        "What runs goes on, restarts and can be stopped after the devport that started it was "
        "replaced or removed.",
        (
            f"{FAULTS}test_f96_environment_is_removed",
            f"{FAULTS}test_f96_environment_is_removed_under_a_run",
            f"{FAULTS}test_f96_environment_is_removed_and_the_port_taken",
            f"{PREDECESSOR}test_g47_devport_is_rebuilt",
        ),
    ),
    Entry(
        "F98",
        "A start succeeds only if the command was executed, and with --wait only if it became ready; "
        "else it fails and says why.",
        (
            f"{START}test_cannot_run",
            f"{FAULTS}test_f98_start_that_waits",
            f"{FAULTS}test_f98_start_of_a_command_that_crashes",
        ),
    ),
    Entry(
        "P34",
        "Of thousands of hostile words, names, folders and values each arrives as it was; nothing is "
        "executed, and no other window is touched.",
        (f"{DRILL}test_p34_words_through_tmux", f"{DRILL}test_p34_services"),
    ),
)
