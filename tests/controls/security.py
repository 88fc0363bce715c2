"""Controls of security: files, secrets and sockets."""

from controls.control import Control

SECURITY = "tests/e2e/test_security.py"
SECRETS = "tests/e2e/test_security_secrets.py"
PARTS = "tests/integration/test_security_parts.py"
SOCKET = "tests/integration/test_control_socket.py"
STORE = "tests/integration/test_store.py"
LOCKS = "tests/integration/test_locks.py"
TAILSCALE = "tests/test_tailscale.py"
FILES = "devport/registry/files.py"
UNIX = "devport/engine/unix.py"
PROCESS = "devport/engine/process.py"

CONTROLS = (
    # files
    Control(
        "files-for-everybody",
        "S01 S02",
        FILES,
        "FILE_MODE = 0o600",
        "FILE_MODE = 0o644",
        (f"{STORE}::test_files_are_0600_and_folders_0700_under_any_umask",),
        quick=True,
    ),
    Control(
        "the-umask-decides",
        "S02",
        FILES,
        "os.chmod(path, FOLDER_MODE)  # whatever the umask took away",
        "pass",
        (f"{STORE}::test_files_are_0600_and_folders_0700_under_any_umask",),
    ),
    Control(
        "open-folders-stay-open",
        "S01",
        FILES,
        "if stat.S_IMODE(status.st_mode) & OTHERS:",
        "if False:",
        (f"{STORE}::test_folders_that_were_open_are_closed",),
    ),
    Control(
        "links-are-followed",
        "S03",
        FILES,
        "SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK",
        "SAFE = os.O_CLOEXEC | os.O_NONBLOCK",
        (f"{SECURITY}::test_s03_a_log_or_socket_that_is_a_link_is_not_followed",),
    ),
    Control(
        "linked-locks-are-taken",
        "S03",
        FILES,
        "SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK",
        "SAFE = os.O_CLOEXEC | os.O_NONBLOCK",
        (f"{LOCKS}::test_a_lock_file_is_private_and_its_own",),
    ),
    Control(
        "second-names-are-no-matter",
        "S03",
        "devport/registry/locks.py",
        "if os.fstat(descriptor).st_nlink > 1:",
        "if False:",
        (f"{SECURITY}::test_s03_a_lock_with_another_name_is_refused",),
    ),
    Control(
        "linked-folders-are-used",
        "S03 S04",
        FILES,
        "            if not linked:",
        "            if False:",
        (f"{PARTS}::test_s04_a_folder_for_sockets_that_is_a_link",),
    ),
    Control(
        "linked-folders-of-the-state-are-used",
        "S03",
        FILES,
        "            if not linked:",
        "            if False:",
        (f"{SECURITY}::test_s03_a_folder_that_is_a_link_is_refused",),
    ),
    Control(
        "a-strangers-link-is-followed",
        "S03",
        FILES,
        "if status.st_uid not in {0, os.geteuid()}:",
        "if False:",
        (f"{PARTS}::test_s03_a_state_folder_behind_a_strangers_link",),
    ),
    Control(
        "a-strangers-lock-is-believed",
        "S03 S34",
        FILES,
        '    if status.st_uid != os.geteuid():\n        raise OSError(errno.EPERM, "it belongs',
        '    if False:\n        raise OSError(errno.EPERM, "it belongs',
        (f"{SECURITY}::test_s03_a_lock_of_another_user_is_nobodys",),
    ),
    Control(
        "sudo-makes-folders",
        "S06",
        FILES,
        'if "SUDO_UID" in os.environ:',
        "if False:",
        (f"{SECURITY}::test_s06_sudo_leaves_nothing_in_the_users_home",),
    ),
    # secrets
    Control(
        "a-secret-in-the-arguments",
        "S07 P35",
        "devport/background.py",
        'python = (sys.executable, "-E", "-P", "-m", "devport")',
        'python = (sys.executable, "-X", str(context.environ.get("FROM_ENV")), "-P", "-m", "devport")',
        (f"{SECRETS}::test_p35_secrets_are_nowhere",),
    ),
    Control(
        "the-key-is-handed-on",
        "S07 S27 P35",
        "devport/project/environment.py",
        '        "TAILSCALE_API_KEY",\n',
        "",
        (f"{SECRETS}::test_p35_secrets_are_nowhere",),
    ),
    Control(
        "a-record-in-the-log",
        "S07 P35",
        "devport/supervisor.py",
        'self._say(f"{self.job.name} {said.text}")',
        'self._say(f"{self.job.name} {said.text} {self.record.env}")',
        (f"{SECRETS}::test_p35_secrets_are_nowhere",),
    ),
    Control(
        "values-in-warnings",
        "S08 S20",
        "devport/project/dotenv.py",
        'return "not NAME=VALUE"',
        'return f"not NAME=VALUE: {binding.original.string}"',
        (f"{SECRETS}::test_s08_warnings_and_refusals_hold_no_values",),
    ),
    Control(
        "supervisors-dump-core",
        "S40",
        PROCESS,
        "self.core = no_cores()",
        "self.core = resource.getrlimit(resource.RLIMIT_CORE)",
        (f"{SECRETS}::test_s40_no_core_dumps",),
        quick=True,
    ),
    Control(
        "guardians-dump-core",
        "S40",
        "devport/engine/guard.py",
        "    no_cores()\n",
        "",
        (f"{SECRETS}::test_s40_no_core_dumps[start]",),
    ),
    Control(
        "services-dump-no-core",
        "S40",
        PROCESS,
        "resource.setrlimit(resource.RLIMIT_CORE, self.core)",
        "pass",
        (f"{SECRETS}::test_s40_no_core_dumps[start]",),
    ),
    Control(
        "a-key-file-for-everybody",
        "S27",
        "devport/tailscale/api.py",
        "if os.fstat(descriptor).st_mode & files.OTHERS:",
        "if False:",
        (f"{TAILSCALE}::test_key_that_others_may_read",),
    ),
    # sockets
    Control(
        "sockets-for-everybody",
        "S10",
        UNIX,
        "_PRIVATE = 0o177",
        "_PRIVATE = 0",
        (f"{SOCKET}::test_modes",),
    ),
    Control(
        "everybody-may-steer",
        "S10",
        UNIX,
        "if peer(connection) != os.geteuid():",
        "if False:",
        (f"{SOCKET}::test_another_user_is_refused",),
    ),
    Control(
        "everybody-may-notify",
        "S10",
        "devport/sources/mailbox.py",
        "if not flags & _socket.MSG_TRUNC and _is_trusted(ancillary):",
        "if not flags & _socket.MSG_TRUNC:",
        ("tests/integration/test_notify.py::test_somebody_else",),
    ),
    Control(
        "open-state",
        "S01 S10",
        FILES,
        "FOLDER_MODE = 0o700",
        "FOLDER_MODE = 0o755",
        (f"{SECURITY}::test_s10_another_user_reaches_nothing",),
    ),
    Control(
        "live-sockets-are-stolen",
        "S11",
        UNIX,
        "    if is_alive(path):",
        "    if False:",
        (f"{SOCKET}::test_a_live_socket_is_not_stolen",),
    ),
    Control(
        "passed-descriptors-stay",
        "S13",
        "devport/sources/mailbox.py",
        "for descriptor in _passed(ancillary):",
        "for descriptor in ():",
        ("tests/integration/test_notify.py::test_passed_descriptors_are_closed",),
    ),
    Control(
        "everybody-is-served",
        "S12",
        "devport/project/listen.py",
        'host = "127.0.0.1" if host',
        'host = "0.0.0.0" if host',
        ("tests/test_config_keys.py::test_addresses",),
    ),
)
