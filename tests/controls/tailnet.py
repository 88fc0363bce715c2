"""Controls of the tailnet: who is asked for what, whose names are left alone, what is recorded when."""

from controls.control import Control

UNIT = "tests/test_tailscale.py"
TAILNET = "tests/e2e/test_tailnet.py"
EXPOSURE = "devport/tailscale/exposure.py"
TAILUP = "devport/commands/tailup.py"
NOTE = "        exposed = self._note(record, url)\n"
SERVE = "            program.serve(name, port)\n"
DOUBT = "(why := doubt(one.port, one.record.hash, one.holder.pid))"

CONTROLS = (
    Control(
        "answers-of-the-api-are-shown-whole",
        "S09",
        "devport/tailscale/api.py",
        'text.replace(self._key, "...")',
        "text",
        (f"{UNIT}::test_key_appears_nowhere",),
    ),
    Control(
        "services-by-the-names-of-users",
        "S17",
        EXPOSURE,
        'return f"svc:{record.hashid}"',
        "return record.label",
        (f"{UNIT}::test_words_of_the_program",),
    ),
    Control(
        "without-a-key-not-a-word",
        "S29",
        EXPOSURE,
        'self._by_hand(record, "there is no TAILSCALE_API_KEY")',
        "pass",
        (f"{UNIT}::test_no_key",),
    ),
    Control(
        "a-key-is-asked-for",
        "S29",
        EXPOSURE,
        "            if api is None:\n",
        '            if api is None:\n                input("TAILSCALE_API_KEY: ")\n',
        (f"{UNIT}::test_no_key",),
    ),
    # somebody else's
    Control(
        "any-definition-is-used",
        "S30",
        EXPOSURE,
        "elif said.split()[:1] != [mark(record, device)]:",
        "elif False:",
        (f"{UNIT}::test_name_of_somebody_else",),
    ),
    Control(
        "any-definition-is-deleted",
        "S30",
        EXPOSURE,
        "if device.id and said.split()[:1] == [mark(record, device)]:",
        "if device.id:",
        (f"{UNIT}::test_definition_of_somebody_else",),
    ),
    Control(
        "what-another-user-serves-is-taken",
        "S30",
        EXPOSURE,
        'if target and not re.search(rf":{port}(\\D|$)", target):',
        "if False:",
        (f"{UNIT}::test_name_served_here_already",),
    ),
    # what is recorded when
    Control(
        "recorded-when-it-is-exposed",
        "S31",
        EXPOSURE,
        NOTE + "        try:\n" + SERVE,
        "        try:\n" + SERVE + "    " + NOTE,
        (f"{UNIT}::test_recorded_before_it_is_made",),
    ),
    Control(
        "forgotten-when-it-may-be-exposed",
        "S31",
        EXPOSURE,
        'if program.target(name) != "":  # it is there',
        "if False:  # it is there",
        (f"{UNIT}::test_failed_down", f"{TAILNET}::test_rm_keeps_what_is_exposed"),
    ),
    # who is exposed
    Control(
        "who-listens-is-not-asked",
        "S32",
        TAILUP,
        DOUBT,
        '(why := "")',
        (f"{TAILNET}::test_nothing_listens_yet", f"{TAILNET}::test_stranger_listens"),
    ),
    Control(
        "whoever-listens-will-do",
        "S32",
        "devport/tailscale/listener.py",
        "if any(pid and _belongs(pid, hash_, supervisor) for pid in listening):",
        "if listening:",
        (f"{TAILNET}::test_stranger_listens",),
    ),
    Control(
        "what-does-not-run-is-exposed",
        "S32",
        TAILUP,
        "if one.status is not Status.RUNNING or one.holder is None:",
        "if False:",
        (f"{TAILNET}::test_tailup_refuses",),
        also=((TAILUP, DOUBT, '(why := "")'),),
    ),
)
