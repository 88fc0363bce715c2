"""The security checklist, S01 to S26: files, secrets, sockets, shells, terminals, env files and exports."""

from promises.entry import Entry

SECURITY = "tests/e2e/test_security.py"
SECRETS = "tests/e2e/test_security_secrets.py"
LISTING = "tests/e2e/test_security_listing.py"
PARTS = "tests/integration/test_security_parts.py"
SOCKET = "tests/integration/test_control_socket.py"
NOTIFY = "tests/integration/test_notify.py"
STORE = "tests/integration/test_store.py"
LISTEN = "tests/integration/test_listen.py"
LOG = "tests/integration/test_log.py"
TAILSCALE = "tests/test_tailscale.py"
DETACHED = "tests/e2e/test_start_detached.py"
MUST_HOLD = "tests/e2e/test_background_must_hold.py"
PREDECESSOR = "tests/e2e/test_predecessor.py"
TMUX = "tests/test_tmux.py"
TARGET = "tests/test_export_target.py"
TRIP = "tests/test_export_round_trip.py"

CATALOGUE = (
    Entry(
        "S01",
        "Records, locks, logs and sockets are for you alone; a state folder of another user is refused.",
        (
            f"{STORE}::test_files_are_0600_and_folders_0700_under_any_umask",
            f"{STORE}::test_folders_that_were_open_are_closed",
            f"{STORE}::test_a_folder_that_holds_other_things_is_not_closed_but_refused_when_anyone_may_write",
            f"{STORE}::test_a_state_folder_of_another_user_is_refused",
            f"{SECURITY}::test_s10_another_user_reaches_nothing",
        ),
    ),
    Entry(
        "S02",
        "They have the same modes whatever the umask is: 000, 077 or 777.",
        (
            f"{MUST_HOLD}::test_modes",
            f"{STORE}::test_files_are_0600_and_folders_0700_under_any_umask",
            f"{LOG}::test_private_whatever_the_umask",
            f"{SOCKET}::test_modes",
        ),
    ),
    Entry(
        "S03",
        "A record, lock, log, socket or folder that is a link out of the state folder is not followed.",
        (
            f"{SECURITY}::test_s03_a_folder_that_is_a_link_is_refused",
            f"{SECURITY}::test_s03_a_lock_with_another_name_is_refused",
            f"{SECURITY}::test_s03_a_log_or_socket_that_is_a_link_is_not_followed",
            f"{SECURITY}::test_s03_a_lock_of_another_user_is_nobodys",
            f"{PARTS}::test_s03_a_state_folder_behind_a_link",
            f"{PARTS}::test_s03_a_state_folder_behind_a_strangers_link",
            f"{STORE}::test_what_is_no_plain_file_is_neither_followed_nor_waited_for",
            f"{LOG}::test_something_else_in_its_place",
        ),
    ),
    Entry(
        "S04",
        "A folder in /tmp that somebody else made, or that is a link, is not used for sockets.",
        (
            f"{PARTS}::test_s04_a_folder_for_sockets_that_is_a_link",
            f"{NOTIFY}::test_folder_of_somebody_else_is_passed_over",
            f"{NOTIFY}::test_no_folder_will_do",
        ),
    ),
    Entry(
        "S05",
        "The name of a record's file is made of devport's own hash, never of what is in it.",
        (
            "tests/test_record.py::test_anything_malformed_is_one_clear_error",
            f"{STORE}::test_files_that_are_no_records_are_left_alone",
        ),
    ),
    Entry(
        "S06",
        "sudo devport leaves no files of root's in your home.",
        (
            f"{SECURITY}::test_s06_sudo_leaves_nothing_in_the_users_home",
            f"{STORE}::test_a_state_folder_of_another_user_is_refused",
        ),
    ),
    Entry(
        "S07",
        "Environments are in private records, and in no output, log, argument or environment of tmux.",
        (
            f"{SECRETS}::test_p35_secrets_are_nowhere",
            f"{PREDECESSOR}::test_g72_no_environment_is_printed",
            f"{PREDECESSOR}::test_g73_errors_hold_no_output",
        ),
    ),
    Entry(
        "S08",
        "No message of devport shows a variable's value; what a failing probe prints itself is shown.",
        (
            f"{SECRETS}::test_s08_warnings_and_refusals_hold_no_values",
            f"{SECRETS}::test_s08_a_word_is_named_as_it_was_written",
            "tests/test_dotenv.py::test_what_sets_nothing_is_a_warning_without_the_value",
            f"{PREDECESSOR}::test_g22_errors_do_not_show_words",
        ),
    ),
    Entry(
        "S09",
        "Only devport env prints an environment; requests to Tailscale and their answers are never logged.",
        (f"{SECRETS}::test_p35_secrets_are_nowhere", f"{TAILSCALE}::test_key_appears_nowhere"),
    ),
    Entry(
        "S10",
        "No other user can talk to a supervisor, notify it, or reach what it keeps.",
        (
            f"{SECURITY}::test_s10_another_user_reaches_nothing",
            f"{SOCKET}::test_another_user_is_refused",
            f"{SOCKET}::test_modes_where_the_folder_has_other_ideas",
            f"{NOTIFY}::test_somebody_else",
        ),
    ),
    Entry(
        "S11",
        "A socket is replaced only if nobody answers there and it is yours.",
        (
            f"{SOCKET}::test_a_stale_socket_is_replaced",
            f"{SOCKET}::test_a_live_socket_is_not_stolen",
            f"{SOCKET}::test_a_full_queue_is_alive",
            f"{SOCKET}::test_something_else_at_the_path",
        ),
    ),
    Entry(
        "S12",
        "A socket opened for a service is for this machine alone, unless its address says more; check tells.",
        (
            "tests/test_config_keys.py::test_addresses",
            f"{LISTEN}::test_localhost",
            f"{SECURITY}::test_s20_s12_what_check_lists",
        ),
    ),
    Entry(
        "S13",
        "Descriptors that somebody passes are closed, and clients and messages are bounded.",
        (
            f"{NOTIFY}::test_passed_descriptors_are_closed",
            f"{NOTIFY}::test_flood",
            f"{SOCKET}::test_too_many_clients",
            f"{SOCKET}::test_a_request_that_is_too_long",
        ),
    ),
    Entry(
        "S14",
        "A command of a Procfile is given to one shell, once; nothing else is given to any.",
        (
            f"{LISTING}::test_s14_nothing_is_read_by_a_shell",
            f"{PARTS}::test_s14_calls_that_are_not_made",
            f"{DETACHED}::test_expansion",
        ),
    ),
    Entry(
        "S15",
        "tmux is told a hash and a name of plain letters; nothing else of a project goes through it.",
        (
            f"{TMUX}::test_what_is_said_for_one_window",
            f"{TMUX}::test_no_word_ends_a_command",
            f"{TMUX}::test_names_are_harmless",
            f"{DETACHED}::test_words_arrive_in_a_window",
        ),
    ),
    Entry(
        "S16",
        "Names that a shell, tmux or a path could misread are refused; words and values may be anything.",
        (
            f"{LISTING}::test_s14_nothing_is_read_by_a_shell",
            f"{MUST_HOLD}::test_keys_that_are_refused",
            f"{MUST_HOLD}::test_more_keys_that_are_refused",
            f"{MUST_HOLD}::test_each_name_is_hit_exactly",
        ),
    ),
    Entry(
        "S17",
        "Nothing that you name is taken for an option of tmux or tailscale.",
        (f"{TMUX}::test_names_are_harmless", f"{TAILSCALE}::test_words_of_the_program"),
    ),
    Entry(
        "S18",
        "Listing names, commands, logs, errors and other people's records moves no terminal.",
        (
            f"{LISTING}::test_s18_records_of_any_text",
            f"{LISTING}::test_s18_a_holder_of_any_text",
            f"{LISTING}::test_s18_files_of_any_text",
            f"{LISTING}::test_s18_what_prints_a_file",
            f"{LISTING}::test_s18_output_of_any_bytes",
            f"{LISTING}::test_s18_the_picker",
            "tests/test_escapes.py::test_nothing_forbidden_passes",
        ),
    ),
    Entry(
        "S19",
        "JSON is printed in ASCII.",
        (f"{LISTING}::test_s19_json_is_ascii", "tests/test_printer.py::test_json_is_lossless"),
    ),
    Entry(
        "S20",
        "An env file has a written grammar, executes nothing, is for services only; check lists a risky one.",
        (
            "tests/test_dotenv.py::test_the_grammar_is_that_of_python_dotenv",
            "tests/test_dotenv.py::test_the_same_as_python_dotenv",
            "tests/test_dotenv.py::test_what_sets_nothing_is_a_warning_without_the_value",
            "tests/test_environment.py::test_values_round_trip_through_python_dotenv",
            f"{SECURITY}::test_s33_an_env_file_is_for_services_alone",
            f"{SECURITY}::test_s20_s12_what_check_lists",
            "tests/test_load.py::test_what_waits_is_not_read_by_itself",
            "tests/test_fuzz_parsers.py::test_env_file",
        ),
    ),
    Entry(
        "S21",
        "Units for systemd say what they are given, whatever is in it; values are in private files.",
        (
            "tests/e2e/test_export_systemd.py::test_any_words_and_variables",
            "tests/e2e/test_export_systemd.py::test_nothing_to_complain_about",
            "tests/test_export_units.py::test_strange_names",
            "tests/test_export_units.py::test_values_in_commands_are_private",
        ),
    ),
    Entry(
        "S22",
        "So does a configuration of supervisord.",
        (f"{TRIP}::test_p36_processes", "tests/e2e/test_export_supervisord.py::test_runs"),
    ),
    Entry(
        "S23",
        "So do the scripts for runit.",
        (f"{TRIP}::test_p36_processes", "tests/e2e/test_export_runit.py::test_runs"),
    ),
    Entry("S24", "So does a property list for launchd.", (f"{TRIP}::test_p36_processes",)),
    Entry(
        "S25",
        "So do the other formats; what one cannot say is refused.",
        (
            f"{TRIP}::test_p36_documents",
            f"{TRIP}::test_p36_processes",
            "tests/test_export_processes.py::test_refused",
            "tests/test_export_documents.py::test_not_utf8",
        ),
    ),
    Entry(
        "S26",
        "An export writes and removes files of its own, below its folder, and follows no link there.",
        (
            f"{PARTS}::test_s26_an_export_follows_no_link",
            f"{TARGET}::test_a_link_is_replaced_and_not_followed",
            f"{TARGET}::test_a_manifest_that_was_tampered_with",
            f"{TARGET}::test_never_what_is_not_ours",
            f"{TARGET}::test_never_what_somebody_changed",
            "tests/e2e/test_export_command.py::test_dry_run_ends_as_the_export_would",
        ),
    ),
)
