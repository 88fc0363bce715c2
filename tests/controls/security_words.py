"""Controls of security: shells, terminals, what a folder may do, exports, Tailscale and signals."""

from controls.control import Control

SECURITY = "tests/e2e/test_security.py"
SECRETS = "tests/e2e/test_security_secrets.py"
LISTING = "tests/e2e/test_security_listing.py"
PARTS = "tests/integration/test_security_parts.py"
TAILSCALE = "tests/test_tailscale.py"

CONTROLS = (
    # shells and tmux
    Control(
        "words-without-quotes",
        "S14 S16",
        "devport/passthrough.py",
        "{shlex.join(extra)}",
        "{' '.join(extra)}",
        (f"{LISTING}::test_s14_nothing_is_read_by_a_shell[run]",),
        quick=True,
    ),
    Control(
        "status-without-quotes",
        "S14 S16",
        "devport/sources/assembly.py",
        "shlex.join(skip)",
        "' '.join(skip)",
        (f"{LISTING}::test_s14_nothing_is_read_by_a_shell[status]",),
    ),
    Control(
        "semicolons-end-commands",
        "S15",
        "devport/tmux/words.py",
        'return f"{word[:-1]}\\\\;" if word.endswith(";") else word',
        "return word",
        ("tests/test_tmux.py::test_no_word_ends_a_command",),
    ),
    Control(
        "names-for-tmux-as-they-are",
        "S15 S16 S17",
        "devport/tmux/words.py",
        'return re.sub(r"[^A-Za-z0-9_-]|^-", "_", text)[:LONGEST_NAME] or "_"',
        "return text",
        ("tests/test_tmux.py::test_names_are_harmless",),
    ),
    # the terminal
    Control(
        "messages-as-they-are",
        "S18",
        "devport/encoding.py",
        "    if text.isprintable():",
        "    if True:",
        (f"{LISTING}::test_s18_files_of_any_text",),
    ),
    Control(
        "records-as-they-are",
        "S18",
        "devport/encoding.py",
        "    if text.isprintable():",
        "    if True:",
        (f"{LISTING}::test_s18_records_of_any_text",),
    ),
    Control(
        "a-picker-as-it-is",
        "S18",
        "devport/table.py",
        "texts = [[printable(cell.text) for cell in line] for line in lines]",
        "texts = [[cell.text for cell in line] for line in lines]",
        (f"{LISTING}::test_s18_the_picker",),
    ),
    Control(
        "output-as-it-is",
        "S18",
        "devport/engine/printer.py",
        "lines = escapes.only_colours(lines)",
        "pass",
        (f"{LISTING}::test_s18_output_of_any_bytes",),
    ),
    Control(
        "json-of-any-letters",
        "S19",
        "devport/commands/listing.py",
        "json.dumps(fields(one))",
        "json.dumps(fields(one), ensure_ascii=False)",
        (f"{LISTING}::test_s19_json_is_ascii",),
    ),
    # folders that are not trusted
    Control(
        "env-files-are-for-devport",
        "S20 S33",
        "devport/project/load.py",
        "    env, warnings = given or _default_env(context, found.root, declared)",
        "    env, warnings = given or _default_env(context, found.root, declared)\n"
        "    context.environ.update(env)",
        (f"{SECURITY}::test_s33_an_env_file_is_for_services_alone",),
    ),
    Control(
        "the-folder-comes-first",
        "S39",
        "devport/entry.py",
        "    gc.disable()\n    _import_nothing_from_here()\n",
        "    gc.disable()\n",
        (f"{SECURITY}::test_s39_nothing_is_imported_from_the_folder[module]",),
        quick=True,
    ),
    Control(
        "strangers-procfiles-are-run",
        "S39",
        "devport/project/files.py",
        "return bool(folder.st_mode & shared) or folder.st_uid not in {0, user}",
        "return False",
        (f"{SECURITY}::test_s39_what_others_have_put_into_an_open_folder[tmp]",),
    ),
    Control(
        "aliases-without-end",
        "S37",
        "devport/project/yaml_nodes.py",
        "if self.repeated > MOST_REPEATED:",
        "if False:",
        (f"{PARTS}::test_s37_aliases_are_bounded",),
    ),
    Control(
        "devport-calls-home",
        "S38",
        "devport/cli.py",
        '    streams = context or Context({}, "/", "")\n',
        '    streams = context or Context({}, "/", "")\n'
        '    __import__("socket").getaddrinfo("localhost", 1)\n',
        (f"{SECRETS}::test_s38_no_network",),
    ),
    Control(
        "a-supervisor-calls-home",
        "S38",
        "devport/supervisor.py",
        "    store = Store(context.state_dir, context.wall)\n    try:\n",
        "    store = Store(context.state_dir, context.wall)\n"
        '    __import__("socket").getaddrinfo("localhost", 1)\n    try:\n',
        (f"{SECRETS}::test_s38_no_network",),
    ),
    # export
    Control(
        "export-follows-links",
        "S26",
        "devport/export/target.py",
        "if os.path.islink(encode(os.path.join(self.location, folder))):",
        "if False:",
        (f"{PARTS}::test_s26_an_export_follows_no_link",),
    ),
    Control(
        "a-manifest-is-believed",
        "S26",
        "devport/export/target.py",
        "in files.items() if is_below(path)}",
        "in files.items() if path}",
        ("tests/test_export_target.py::test_a_manifest_that_was_tampered_with",),
    ),
    Control(
        "single-percents",
        "S22 P36",
        "devport/export/supervisord.py",
        'return text.replace("%", "%%")',
        "return text",
        ("tests/test_export_round_trip.py::test_p36_processes[supervisord]",),
    ),
    Control(
        "quotes-in-scripts-are-lost",
        "S23 S25 P36",
        "devport/export/sh.py",
        "shlex.quote(part) for part",
        """shlex.quote(part.replace("'", "")) for part""",
        ("tests/test_export_round_trip.py::test_p36_processes[runit]",),
    ),
    Control(
        "variables-of-the-shell-are-exported",
        "S23 S25 P36",
        "devport/export/sh.py",
        "_VARIABLE.fullmatch(name) and name not in own]",
        "_VARIABLE.fullmatch(name)]",
        ("tests/test_export_round_trip.py::test_p36_processes[runit]",),
    ),
    Control(
        "xml-holds-everything",
        "S24 P36",
        "devport/export/launchd.py",
        '_NO_XML = re.compile("[\\0-\\x08\\x0b-\\x1f\\ud800-\\udfff\\ufffe\\uffff]+")',
        '_NO_XML = re.compile("(?!)")',
        ("tests/test_export_round_trip.py::test_p36_processes[launchd]",),
    ),
    Control(
        "single-dollars",
        "S25 P36",
        "devport/export/compose.py",
        'return text.replace("$", "$$")',
        "return text",
        ("tests/test_export_round_trip.py::test_p36_documents[compose]",),
    ),
    # tailscale, processes
    Control(
        "any-certificate-will-do",
        "S28",
        "devport/tailscale/api.py",
        "ssl.create_default_context()",
        "ssl._create_unverified_context()",
        (f"{TAILSCALE}::test_certificates_are_verified",),
    ),
    Control(
        "tailscale-of-the-folder",
        "S33",
        "devport/tailscale/program.py",
        'if one.startswith("/")]',
        "if one]",
        (f"{TAILSCALE}::test_find_needs_an_absolute_folder",),
    ),
    Control(
        "any-pid-is-signalled",
        "S34",
        "devport/inventory/reach.py",
        "if holder.pid < FIRST_USER_PID or holder.pid == os.getpid():",
        "if holder.pid in {1, os.getpid()}:",
        ("tests/test_inventory.py::test_pids_that_are_never_signalled",),
    ),
    Control(
        "a-pid-is-enough",
        "S34",
        "devport/kernel/birth.py",
        "        # From here on the descriptor is that process, and no later one with its number.\n"
        "        if process_start(pid) != started:",
        "        if False:",
        ("tests/test_inventory.py::test_signal_reaches_the_holder_only",),
    ),
)
