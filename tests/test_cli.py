"""argv -> verb -> exit status: dispatch, options on either side of the verb, and what is not imported."""

import os
import subprocess
import sys
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devport import background, cli, foreground, passthrough
from devport.cli import OVERVIEW, VALUED, VERBS, main
from devport.commands import logs, start, wait
from devport.commands.usage import Usage
from devport.context import Context
from devport.encoding import decode
from devport.errors import DevportError, ExitStatus
from devport.inventory import readiness

PARSING = [verb for verb in VERBS if verb != "help"]


class Result(NamedTuple):
    """What one command line ended with, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def call(tmp_path):
    """Call main() in a folder with a Procfile, with files as streams."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Procfile").write_text("web: echo web\nworker: echo worker\nclock: echo clock\n")
    (folder / "other.yaml").write_text("processes: {web: echo web, worker: echo worker, clock: echo clock}\n")
    for name in ("a.env", "b.env"):
        (folder / name).write_text("")

    def call_main(*argv: str, **environ: str) -> Result:
        with (
            open(os.devnull, "rb") as stdin,
            open(tmp_path / "out", "w+b") as out,
            open(tmp_path / "err", "w+b") as err,
        ):
            streams = (stdin.fileno(), out.fileno(), err.fileno())
            context = Context(
                {"HOME": str(tmp_path), **environ}, str(folder), str(tmp_path / "state"), *streams
            )
            status = main(list(argv), context)
            out.seek(0)
            err.seek(0)
            return Result(status, decode(out.read()), decode(err.read()))

    return call_main


@pytest.fixture(autouse=True)
def runs(monkeypatch):
    """What reaches the frames: nothing here is ever really run, whatever a bug makes of an argv."""
    calls = []

    def record(name):
        def fake(context, *arguments):
            calls.append((name, *arguments))
            return 0

        return fake

    monkeypatch.setattr(foreground, "start", record("start"))
    monkeypatch.setattr(
        background,
        "launch",
        lambda _context, records, **_: tuple(background.Outcome(one, None, fresh=True) for one in records),
    )
    monkeypatch.setattr(wait, "wait_until", lambda *_: False)  # nothing begins meanwhile
    monkeypatch.setattr(readiness, "wait_until", lambda *_: False)
    monkeypatch.setattr(readiness.Waiting, "_left", 0.0)
    monkeypatch.setattr(logs, "wait_until", lambda *_: True)
    for name in ("run", "run_command"):
        monkeypatch.setattr(passthrough, name, record(name))
    return calls


def usage(verb: str) -> Usage:
    return cli._usage(verb)


@pytest.mark.parametrize("argv", [("--help",), ("-h",), ("help",), ("-f", "x", "--help"), ("--json", "-h")])
def test_overview_goes_to_stdout(call, argv):
    """Asked for help, devport shows every verb on stdout and succeeds."""
    assert call(*argv) == Result(0, OVERVIEW, "")


def test_overview_has_every_verb_in_one_line():
    """The overview is made of the one table of verbs."""
    for verb, summary in VERBS.items():
        assert [line for line in OVERVIEW.splitlines() if line.split() == [verb, *summary.split()]]


def test_no_verb_is_a_usage_error(call):
    """Nothing asked for: the overview, on stderr, status 2."""
    assert call() == Result(ExitStatus.USAGE, "", f"devport: no command given\n{OVERVIEW}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--versoin",), "unknown option --versoin (did you mean --version?)"),
        (("--vers",), "unknown option --vers (did you mean --version?)"),
        (("--zzz",), "unknown option --zzz"),
        (("--keep-gonig",), "unknown option --keep-gonig (did you mean --keep-going?)"),
        (("--port=3",), "no command given"),
        (("-p", "3"), "no command given"),
        (("-f", "start"), "no command given"),
        (("-f",), "no command given"),
    ],
)
def test_options_alone(call, argv, message):
    """Options without a verb: what is missing or mistyped, and the usage in one line."""
    expected = f"devport: {message}\nusage: devport COMMAND [options] [ARG...]\n"

    assert call(*argv) == Result(2, "", expected)


@pytest.mark.parametrize(
    "argv", [("--version",), ("-V",), ("-v",), ("version",), ("-f", "x", "--version"), ("--version", "start")]
)
def test_version(call, argv):
    """Every way to ask for the version prints the same line."""
    assert call(*argv) == Result(0, "devport 0.1.0\n", "")


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("strat", "unknown command strat (did you mean start?)"),
        ("status", "unknown command status (did you mean ls?)"),
        ("kill", "unknown command kill (did you mean stop?)"),
        ("qqq", "unknown command qqq"),
        ("", "the command is empty"),
        ("-", "unknown command -"),
        ("cli", "unknown command cli"),
        ("usage", "unknown command usage"),
        ("../cli", "unknown command ../cli"),
        ("a\nb", "unknown command a\\nb"),
    ],
)
@pytest.mark.parametrize("before", [(), ("help",), ("--help",)])
def test_unknown_verb(call, before, verb, message):
    """An unknown verb is named, with the nearest known one, and the usage in one line; status 2."""
    expected = f"devport: {message}\nusage: devport COMMAND [options] [ARG...]\n"

    assert call(*before, verb) == Result(2, "", expected)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(call, verb):
    """However it is asked for, the help of a verb is its whole usage text, on stdout."""
    expected = Result(0, usage(verb).text, "")

    assert call("help", verb) == expected
    assert call(verb, "--help") == expected
    assert call(verb, "-h") == expected
    assert call("--help", verb) == expected
    assert call("-h", verb, "--bogus") == expected


@pytest.mark.parametrize("verb", VERBS)
def test_usage_texts_are_well_formed(verb):
    """Each text names its verb, fits 80 columns, offers --help, and its prose starts no line with a dash."""
    text = usage(verb)
    declared = {option.spellings[0] for option in text.options.values()}
    dashed = {line.split()[0].rstrip(",") for line in text.text.splitlines() if line.strip().startswith("-")}

    assert text.verb == verb
    assert max(map(len, text.text.splitlines())) <= 80
    assert declared == dashed
    assert "--help" in text.options


def test_table_of_values_is_what_the_usages_say():
    """Which options take a value, written down once more for start-up's sake, is what `start` says."""
    options = usage("start").options.items()

    assert {spelling for spelling, option in options if option.argument} == VALUED


@pytest.mark.parametrize("verb", PARSING)
def test_options_in_front_of_a_verb_mean_what_they_mean_behind_it(call, verb):
    """An option of `start` that is a flag of another verb (`logs -f`) is refused in front of that verb."""
    for spelling, option in usage(verb).options.items():
        if spelling in VALUED and not option.argument:
            message = f"devport: cannot {verb}: {spelling} means another option in front of {verb}"

            assert call(spelling, "value", verb).err.startswith(f"{message}: write the long one\n")
            assert call(f"{spelling}value", verb).status == ExitStatus.USAGE


VALUES = {
    "--file": "other.yaml",
    "--root": ".",
    "--env": "a.env,b.env",
    "--except": "web",
    "--concurrency": "worker=2",
    "--formation": "worker=2",
    "--port": "6000",
    "--reassign": "worker",
    "--quiet": "worker",
    "--timestamp": "%S",
    "--color": "never",
    "--timeout": "2.5",
    "--mode": "all",
}


# Of `start`, what goes with a command, with -d or with another program only; tested with those.
BACKGROUND = {"--detach", "--no-tmux", "--wait", "--manager", *start.COMMAND_ONLY}


def spelled(verb: str) -> list[tuple[str, ...]]:
    """Every spelling of every option of a verb, with a value that fits."""
    ways: list[tuple[str, ...]] = []
    for spelling, option in usage(verb).options.items():
        if option.name == "--help" or option.name in BACKGROUND:
            continue
        if not option.argument:
            ways.append((spelling,))
            continue
        value = VALUES[option.name]
        ways.append((spelling, value))
        ways.append((f"{spelling}={value}",) if spelling.startswith("--") else (f"{spelling}{value}",))
    return ways


@pytest.mark.parametrize("option", spelled("start"), ids=" ".join)
def test_options_of_start_on_either_side_of_the_verb(call, runs, option):
    """Before the verb, after it, after the name: the same run."""
    for argv in ([*option, "start", "worker"], ["start", *option, "worker"], ["start", "worker", *option]):
        assert call(*argv) == Result(0, "", "")

    assert [name for name, *_ in runs] == ["start"] * 3
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("option", spelled("run"), ids=" ".join)
def test_options_of_run_before_the_word(call, runs, option):
    """Before the verb or after it; behind the first word they are the command's."""
    for argv in (
        [*option, "run", "worker", "x"],
        ["run", *option, "worker", "x"],
        ["run", *option, "--", "worker", "x"],
    ):
        assert call(*argv) == Result(0, "", "")
    assert call("run", "worker", *option) == Result(0, "", "")

    assert runs[0] == runs[1] == runs[2]
    assert [run[3] for run in runs] == [("x",)] * 3 + [option]


@pytest.mark.parametrize("option", spelled("check"), ids=" ".join)
def test_options_of_check_on_either_side(call, option):
    """`check` takes its options anywhere, too."""
    result = call("check", *option)

    assert result.status == 0
    assert call(*option, "check") == result


@pytest.mark.parametrize("verb", PARSING)
@pytest.mark.parametrize(
    ("option", "reason"), [("--bogus", "unknown option --bogus"), ("-Z", "unknown option -Z")]
)
def test_unknown_option_of_a_verb(call, verb, option, reason):
    """An option the verb does not have, before or after it: one line and the verb's usage lines."""
    expected = Result(2, "", f"devport: cannot {verb}: {reason}\n{usage(verb).block}\n")

    assert call(verb, option) == expected
    assert call(option, verb) == expected


@pytest.mark.parametrize(
    "spelling", sorted(spelling for spelling, option in usage("start").options.items() if option.argument)
)
def test_missing_value(call, spelling):
    """An option at the end of the line without its value says which."""
    assert (
        call("start", spelling).err.splitlines()[0]
        == f"devport: cannot start: option {spelling} needs a value"
    )
    assert call("start", spelling, "--json").status == 2


def test_later_value_wins_across_the_verb(call, runs):
    """What stands before the verb comes first, so the later one wins."""
    call("-t", "1", "start", "-t", "2")

    assert runs[0][3].grace == 2.0


def test_value_called_like_a_verb(call, runs):
    """The value of an option is no verb: `-q env start` starts."""
    assert call("-q", "env", "start").err == (
        "devport: cannot use --quiet: no entry is called env (there is web, worker, clock)\n"
    )
    assert call("-q", "worker", "start", "web").status == 0


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (DevportError("cannot read x: why"), 1, "devport: cannot read x: why\n"),
        (DevportError("two\nlines\x1b[31m", 3), 3, "devport: two\\nlines\\x1b[31m\n"),
        (BrokenPipeError(), 141, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_the_one_printer_of_errors(call, monkeypatch, error, status, shown):
    """An error is one line and its status; a reader that left and Ctrl-C end without a word."""

    def fail(*_):
        raise error

    monkeypatch.setattr(foreground, "start", fail)

    assert call("start") == Result(status, "", shown)


def test_status_of_a_verb_is_devports(call, monkeypatch):
    """What the run ends with passes through."""
    monkeypatch.setattr(foreground, "start", lambda *_: 77)

    assert call("start").status == 77


WORDS = st.one_of(
    st.sampled_from(
        [*VERBS, *VALUED, "--", "-", "", "--json", "--pty", "--no-pty", "-h", "--all", "web", "worker"]
    ),
    st.sampled_from(
        ["web=2", "all=1", "0", "5", "-1", "nan", "other.yaml", "Procfile", "a.env", "..", "web:x", "web.2"]
    ),
    # No NUL: the system cannot pass one.
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.binary(max_size=6).filter(lambda data: b"\0" not in data).map(decode),
    st.builds(
        "{}={}".format, st.sampled_from(sorted(VALUED)), st.text(max_size=4).filter(lambda t: "\0" not in t)
    ),
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(verb=st.sampled_from([*PARSING, None]), words=st.lists(WORDS, max_size=6))
def test_any_argv_has_a_status(call, runs, verb, words):
    """Whatever the words are, devport ends with a status and at most lines of text."""
    result = call(*([verb] if verb else []), *words)

    assert 0 <= result.status <= 255
    assert result.err == "" or result.err.startswith(("devport: ", "Valid "))


HEAVY = ("docopt", "psutil", "yaml", "dotenv", "colorama", "watchfiles", "pathspec")
SLOW = ("dataclasses", "pathlib", "logging", "argparse", "subprocess", "socket", "inspect", "json")


def loaded(*argv: str) -> set[str]:
    """The modules that a fresh interpreter has after main(argv), without what its site files bring."""
    program = (
        "import sys; from devport.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    )
    # -S: an editable install's finder loads pathlib for itself.
    path = os.pathsep.join([os.path.dirname(os.path.dirname(cli.__file__)), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *argv],
        env={"PYTHONPATH": path, "HOME": "/nonexistent", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("argv", [("--version",), ("--help",), ("strat",), ()])
def test_answers_load_next_to_nothing(argv):
    """Asked for a version or an overview, devport loads none of its packages and no verb."""
    modules = loaded(*argv)

    assert not modules & {*HEAVY, *SLOW}
    assert not {
        name for name in modules if name.startswith(("devport.engine", "devport.project", "devport.registry"))
    }
    assert "devport.commands.start" not in modules


@pytest.mark.parametrize("verb", ["version", "check", "start", "run"])
def test_verbs_load_only_what_they_need(verb):
    """A verb with a mistyped option has loaded no package, no slow module of the library, no other verb."""
    modules = loaded(verb, "--bogus")

    assert not modules & {*HEAVY, *SLOW} - {"json"}
    assert not {f"devport.commands.{other}" for other in PARSING if other != verb} & modules
