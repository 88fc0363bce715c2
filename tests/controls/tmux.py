"""Controls of windows, and of starts."""

from controls.control import Control

UNIT = "tests/test_tmux.py::"
WINDOWS = "tests/integration/test_tmux_windows.py::"
DRILL = "tests/e2e/test_drill_tmux.py::"
START = "tests/e2e/test_start_detached.py::"

CONTROLS = (
    Control(
        "any-session-of-that-beginning",
        "F86",
        "devport/tmux/words.py",
        'where = ("neww", "-t", f"={SESSION}:")',
        'where = ("neww", "-t", f"{SESSION}:")',
        (f"{START}test_sessions_of_a_similar_name",),
    ),
    Control(
        "window-of-any-server",
        "F86",
        "devport/tmux/words.py",
        'really = f"#{{==:{found},{ours}}}"',
        'really = "1"',
        (f"{WINDOWS}test_a_later_server_is_another_one", f"{WINDOWS}test_closing"),
        quick=True,
    ),
    Control(
        "options-by-a-name-of-the-users",
        "F86 P34",
        "devport/tmux/words.py",
        'token = f"{self._token}-{number}"',
        "token = name",
        (
            f"{UNIT}test_what_is_said_for_one_window",
            f"{DRILL}test_p34_words_through_tmux",
        ),
    ),
    Control(
        "window-of-that-number-exists",
        "F86",
        "devport/tmux/server.py",
        'return id_ == window.id and window.server in {"", server}',
        "return bool(id_)",
        (f"{UNIT}test_whether_a_window_exists",),
    ),
    Control(
        "names-as-they-are",
        "F87 P34",
        "devport/tmux/words.py",
        'return re.sub(r"[^A-Za-z0-9_-]|^-", "_", text)[:LONGEST_NAME] or "_"',
        "return text",
        (f"{UNIT}test_names_are_harmless", f"{UNIT}test_names"),
        quick=True,
    ),
    Control(
        "semicolon-ends-a-command",
        "F88 P34",
        "devport/tmux/words.py",
        'return f"{word[:-1]}\\\\;" if word.endswith(";") else word',
        "return word",
        (f"{UNIT}test_no_word_ends_a_command", f"{DRILL}test_p34_words_through_tmux"),
        quick=True,
    ),
    Control(
        "folder-goes-through-tmux",
        "F89",
        "devport/tmux/words.py",
        '(*where, "-n", token, "-dPF", made, *argv),',
        '(*where, "-n", token, "-c", __import__("os").environ.get("PWD", "/"), "-dPF", made, *argv),',
        (f"{UNIT}test_what_is_said_for_one_window",),
    ),
    Control(
        "messages-of-any-length",
        "F90",
        "devport/tmux/words.py",
        "LARGEST = 16_000",
        "LARGEST = 64_000",
        (f"{WINDOWS}test_more_windows_than_a_message_holds",),
    ),
    Control(
        "environment-of-the-server",
        "F91",
        "devport/supervisor.py",
        'made = dict(variable.split("=", 1) for variable in record.env if "=" in variable)',
        "made = dict(os.environ)",
        (f"{START}test_environment_is_the_callers",),
    ),
    Control(
        "environment-through-tmux",
        "F91",
        "devport/background.py",
        'return (*python, "supervise", hash_, encode(context.state_dir).hex())',
        'return ("env", f"SECRET={context.environ.get(\'SECRET\', \'\')}", *python, "supervise", hash_, '
        "encode(context.state_dir).hex())",
        (f"{START}test_environment_is_the_callers",),
    ),
    Control(
        "windows-as-tmux-conf-has-them",
        "F92",
        "devport/tmux/words.py",
        '("set", "-t", f"={SESSION}:", "destroy-unattached", "off"),',
        "",
        (f"{WINDOWS}test_the_users_configuration_decides_nothing",),
    ),
    Control(
        "names-as-programs-have-them",
        "F92",
        "devport/tmux/words.py",
        '("set", "-wt", target, "allow-rename", "off"),',
        "",
        (f"{UNIT}test_what_is_said_for_one_window",),
    ),
    Control(
        "server-we-are-in",
        "F93",
        "devport/tmux/server.py",
        "if name not in INTERNAL}",
        "if True}",
        (f"{WINDOWS}test_the_server_we_are_in_is_not_asked", f"{START}test_from_inside_another_tmux"),
    ),
    Control(
        "private-server-is-not-asked-for",
        "F93",
        "devport/tmux/server.py",
        'return ("-L", name)',
        "return ()",
        (f"{UNIT}test_the_server_that_is_meant",),
        quick=True,
    ),
    Control(
        "tmux-of-any-age",
        "F93",
        "devport/tmux/server.py",
        "if version < OLDEST:",
        "if False:",
        (f"{UNIT}test_a_tmux_that_is_too_old",),
    ),
    Control(
        "split-window-is-closed",
        "F94",
        "devport/tmux/words.py",
        'f"{SERVER} #{{window_id}} #{{window_panes}}", f"{window.server} {window.id} 1"',
        'f"{SERVER} #{{window_id}}", f"{window.server} {window.id}"',
        (f"{WINDOWS}test_closing",),
    ),
    Control(
        "tmux-may-take-its-time",
        "F95",
        "devport/tmux/client.py",
        "client.communicate(timeout=DEADLINE)",
        "client.communicate(timeout=10)",
        (f"{UNIT}test_a_tmux_that_hangs",),
    ),
    Control(
        "loaded-when-it-is-needed",
        "F96",
        "devport/claim.py",
        "from devport.registry.owner import check_free\n",
        "def check_free(*args, **more):\n"
        "    from devport.registry.owner import check_free as real\n"
        "    return real(*args, **more)\n",
        ("tests/e2e/test_faults_windows.py::test_f96_environment_is_removed_under_a_run",),
    ),
    Control(
        "started-is-success",
        "F98",
        "devport/background.py",
        "    wait_until(lambda: _decided(store, pending), PATIENCE)\n",
        "",
        (f"{START}test_cannot_run",),
    ),
)
