"""The security checklist, S27 to S40: Tailscale and processes; canaries and round trips of the drill."""

from promises.entry import Entry

SECURITY = "tests/e2e/test_security.py"
SECRETS = "tests/e2e/test_security_secrets.py"
PARTS = "tests/integration/test_security_parts.py"
TAILSCALE = "tests/test_tailscale.py"
TAILNET = "tests/e2e/test_tailnet.py"
MUST_HOLD = "tests/e2e/test_background_must_hold.py"
PREDECESSOR = "tests/e2e/test_predecessor.py"
INVENTORY = "tests/test_inventory.py"
TRIP = "tests/test_export_round_trip.py"

CATALOGUE = (
    Entry(
        "S27",
        "The API key is in a private file or the environment, and goes to no service, program or record.",
        (
            f"{TAILSCALE}::test_key_that_others_may_read",
            f"{TAILSCALE}::test_services_get_no_key",
            f"{TAILSCALE}::test_program_gets_no_key",
            f"{TAILNET}::test_key_appears_nowhere",
            f"{PREDECESSOR}::test_g74_the_api_key_goes_nowhere",
        ),
    ),
    Entry(
        "S28",
        "It is sent to one host over verified TLS; time and answer are bounded.",
        (
            f"{TAILSCALE}::test_certificates_are_verified",
            f"{TAILSCALE}::test_redirects_are_not_followed",
            f"{TAILSCALE}::test_slow_answers",
            f"{TAILSCALE}::test_bad_answers",
            f"{TAILSCALE}::test_bad_bases",
        ),
    ),
    Entry(
        "S29",
        "Without a key you are told what to do by hand; nothing ever asks for one.",
        (f"{TAILSCALE}::test_no_key", f"{MUST_HOLD}::test_nothing_prompts"),
    ),
    Entry(
        "S30",
        "A name on the tailnet that somebody else has defined is not touched.",
        (
            f"{TAILSCALE}::test_name_of_somebody_else",
            f"{TAILSCALE}::test_definition_without_owner",
            f"{TAILSCALE}::test_served_by_another_devport",
            f"{TAILSCALE}::test_definition_of_somebody_else",
        ),
    ),
    Entry(
        "S31",
        "What is exposed is recorded before, and forgotten only after it was withdrawn.",
        (
            f"{TAILSCALE}::test_recorded_before_it_is_made",
            f"{TAILSCALE}::test_failed_down",
            f"{TAILNET}::test_rm_keeps_what_is_exposed",
        ),
    ),
    Entry(
        "S32",
        "Only a running service is exposed, and only if you say so; if nothing answers, you are told.",
        (
            f"{TAILNET}::test_nothing_listens_yet",
            f"{TAILNET}::test_stranger_listens",
            f"{TAILNET}::test_tailup_refuses",
        ),
    ),
    Entry(
        "S33",
        "No PATH, LD_PRELOAD or PYTHONPATH of a project's env file changes what devport or a --manager runs.",
        (
            f"{SECURITY}::test_s33_an_env_file_is_for_services_alone",
            f"{SECURITY}::test_s33_an_env_file_is_not_for_the_manager",
            f"{SECURITY}::test_s33_no_manager_reads_an_env_file_by_itself",
            f"{TAILSCALE}::test_find_needs_an_absolute_folder",
            f"{TAILSCALE}::test_status_is_not_trusted",
            f"{TAILSCALE}::test_endless_program",
        ),
    ),
    Entry(
        "S34",
        "No process is signalled by its number alone, and never init, everybody or devport itself.",
        (
            f"{INVENTORY}::test_pids_that_are_never_signalled",
            f"{INVENTORY}::test_signal_reaches_the_holder_only",
            f"{PREDECESSOR}::test_g28_a_pid_without_its_start_is_nobody",
            f"{SECURITY}::test_s03_a_lock_of_another_user_is_nobodys",
            f"{SECURITY}::test_s34_the_same_service_of_another_home",
            f"{PARTS}::test_s34_what_the_portable_way_takes_for_an_orphan",
        ),
    ),
    Entry(
        "S35",
        "Other users' environments are not read, not by root either, but in its own services' trees.",
        (
            f"{PARTS}::test_s35_whose_environment_is_read",
            f"{PARTS}::test_s35_whose_environment_a_listener_is_known_by",
        ),
    ),
    Entry(
        "S36",
        "Watching a folder that links to itself or upwards ends; what it links to elsewhere is watched too.",
        ("tests/integration/test_watch_files.py::test_links",),
    ),
    Entry(
        "S37",
        "A file can neither be executed while it is read, nor grow or nest without bounds.",
        (
            f"{PARTS}::test_s37_nothing_is_too_deep",
            f"{PARTS}::test_s37_aliases_are_bounded",
            f"{PARTS}::test_s14_calls_that_are_not_made",
            "tests/test_config.py::test_a_bomb_of_aliases_is_refused",
            "tests/test_fuzz_parsers.py::test_devport_yaml_of_a_billion_laughs",
            "tests/test_fuzz_parsers.py::test_devport_yaml_as_deep_as_it_goes",
            "tests/e2e/test_fuzz_command.py::test_hostile_documents_are_refused",
        ),
    ),
    Entry(
        "S38",
        "Nothing is looked up or sent over a network but for the tailnet and the probes you declare.",
        (f"{SECRETS}::test_s38_no_network",),
    ),
    Entry(
        "S39",
        "Nothing in your folder is imported, and a file of somebody else's is no project unless you name it.",
        (
            f"{SECURITY}::test_s39_nothing_is_imported_from_the_folder",
            f"{SECURITY}::test_s39_what_others_have_put_into_an_open_folder",
            f"{SECURITY}::test_s39_a_strangers_file_is_told_of_and_can_be_named",
            f"{SECURITY}::test_s39_whose_files_a_user_reads",
        ),
    ),
    Entry(
        "S40",
        "If a supervisor crashes, its memory is written to no disk; services keep the limit of your shell.",
        (f"{SECRETS}::test_s40_no_core_dumps",),
    ),
    Entry(
        "P35",
        "A secret given in each possible way is found in the private record, and nowhere else.",
        (f"{SECRETS}::test_p35_secrets_are_nowhere",),
    ),
    Entry(
        "P36",
        "Any words and values come back from an export as the same bytes.",
        (f"{TRIP}::test_p36_documents", f"{TRIP}::test_p36_processes"),
    ),
)
