"""Controls of security: what strangers have put somewhere, what is said of values, whose processes."""

from controls.control import Control

SECURITY = "tests/e2e/test_security.py"
SECRETS = "tests/e2e/test_security_secrets.py"
LISTING = "tests/e2e/test_security_listing.py"
PARTS = "tests/integration/test_security_parts.py"
PORTABLE = "devport/kernel/portable.py"

CONTROLS = (
    # what others have put somewhere
    Control(
        "only-tmp-is-open",
        "S39",
        "devport/project/files.py",
        "_OPEN = stat.S_IWGRP | stat.S_IWOTH",
        "_OPEN = stat.S_IWOTH",
        (
            f"{SECURITY}::test_s39_what_others_have_put_into_an_open_folder[group]",
            f"{SECURITY}::test_s39_what_others_have_put_into_an_open_folder[sticky group]",
        ),
        quick=True,
    ),
    Control(
        "a-strangers-folder-is-a-project",
        "S39",
        "devport/project/files.py",
        "return bool(folder.st_mode & shared) or folder.st_uid not in {0, user}",
        "return bool(folder.st_mode & shared)",
        (f"{SECURITY}::test_s39_whose_files_a_user_reads",),
        quick=True,
    ),
    Control(
        "roots-container-is-a-strangers",
        "S39",
        "devport/project/files.py",
        "    if not user and folder.st_uid == owner:",
        "    if False:",
        (f"{SECURITY}::test_s39_what_others_have_put_into_an_open_folder[container]",),
        quick=True,
    ),
    Control(
        "a-strangers-env-file-is-read",
        "S39 S33",
        "devport/project/load.py",
        '    if files.is_strangers(path):\n        return {}, (f"',
        '    if False:\n        return {}, (f"',
        (f"{SECURITY}::test_s39_what_others_have_put_into_an_open_folder[world]",),
        quick=True,
    ),
    Control(
        "a-fifo-is-waited-for",
        "S20",
        "devport/project/load.py",
        "if not files.is_regular(path) and not files.is_dangling(path):\n        # Nobody",
        "if files.is_folder(path):\n        # Nobody",
        ("tests/test_load.py::test_what_waits_is_not_read_by_itself[device]",),
        quick=True,
    ),
    Control(
        "check-is-silent",
        "S12 S20",
        "devport/commands/check.py",
        "warnings=(*project.warnings, *found)",
        "warnings=(*project.warnings, *_missing_folders(project))",
        (f"{SECURITY}::test_s20_s12_what_check_lists",),
        quick=True,
    ),
    # what is said and shown
    Control(
        "a-programs-name-is-a-value",
        "S08 P35",
        "devport/engine/job.py",
        "printable(self.command.shown or error.filename)",
        "printable(error.filename)",
        (f"{SECRETS}::test_s08_a_word_is_named_as_it_was_written[run]",),
        quick=True,
    ),
    Control(
        "a-probes-program-is-a-value",
        "S08",
        "devport/sources/probe.py",
        "name = self._command.shown or str(refusal.filename)",
        "name = str(refusal.filename)",
        (f"{SECRETS}::test_s08_a_word_is_named_as_it_was_written[start]",),
    ),
    Control(
        "a-file-is-printed-as-it-is",
        "S18",
        "devport/context.py",
        "        if is_tty(self.stdout):\n            text =",
        "        if False:\n            text =",
        (f"{LISTING}::test_s18_what_prints_a_file[env]",),
        quick=True,
    ),
    Control(
        "a-manager-is-steered",
        "S33",
        "devport/export/procfile.py",
        " and not _STEERS.fullmatch(name)",
        "",
        (f"{SECURITY}::test_s33_an_env_file_is_not_for_the_manager[overmind]",),
        quick=True,
    ),
    Control(
        "a-manager-reads-env-files",
        "S33",
        "devport/commands/managed.py",
        '        {"PC_DISABLE_DOTENV": "1"},\n',
        "",
        (f"{SECURITY}::test_s33_no_manager_reads_an_env_file_by_itself[process-compose]",),
        quick=True,
    ),
    # processes, where orphans do not become ours
    Control(
        "a-hash-is-a-run",
        "F15 S34",
        PORTABLE,
        "return marks.get(MARK) in leaders.values() and marks.get(RUN) == WORD",
        "return marks.get(MARK) in leaders.values()",
        (f"{PARTS}::test_s34_what_the_portable_way_takes_for_an_orphan",),
        quick=True,
    ),
    Control(
        "a-strangers-service-is-an-orphan",
        "F15 S34",
        PORTABLE,
        "return marks.get(MARK) in leaders.values() and marks.get(RUN) == WORD",
        "return marks.get(MARK) in leaders.values()",
        (f"{SECURITY}::test_s34_the_same_service_of_another_home",),
        also=(
            ("devport/kernel/__init__.py", 'LINUX = sys.platform.startswith("linux")', "LINUX = False"),
            (PORTABLE, "process.ppid() in adopters and _is_member", "_is_member"),
        ),
    ),
    Control(
        "whoever-has-a-parent-is-an-orphan",
        "F15 S34",
        PORTABLE,
        "process.ppid() in adopters and _is_member",
        "_is_member",
        (f"{PARTS}::test_s34_what_the_portable_way_takes_for_an_orphan",),
        quick=True,
    ),
    Control(
        "every-environment-is-read",
        "S35",
        PORTABLE,
        "if process.uids().effective != os.geteuid() or process.pid in leaders:",
        "if process.pid in leaders:",
        (f"{PARTS}::test_s35_whose_environment_is_read",),
        quick=True,
    ),
    Control(
        "every-listeners-environment-is-read",
        "S35",
        "devport/tailscale/listener.py",
        "own = process.uids().effective == os.geteuid()",
        "own = True",
        (f"{PARTS}::test_s35_whose_environment_a_listener_is_known_by",),
        quick=True,
    ),
)
