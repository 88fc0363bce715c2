"""The usage text as a grammar, and the typed values that a command line gives."""

import pytest

from devport.commands.arguments import LONGEST_WAIT, Arguments, parse, port_number
from devport.commands.usage import Answer, Misuse, Usage, leading_options, suggestion
from devport.errors import DevportError, ExitStatus

PAINT = """Paint a wall.

usage: devport paint [options] [--] WALL...

What:
  -c COLOUR, --color COLOUR, --colour COLOUR
                        which colour
  -e FILES, --env FILES  a list
  -t SECONDS, --timeout SECONDS
                        how long
  -p BASE, --port BASE   a port
  -x, --extra   a flag
  -y, --yes  another
  --no-extra  the opposite
  -h, --help  this text
"""

ONE_OR_OTHER = """Do.

usage: devport do [options] [--] NAME [ARG...]
       devport do [options] [--] COMMAND [ARG...]

  -e FILES, --env FILES  a list
  --json  a flag
  -h, --help  this text
"""

NOTHING = "usage: devport nothing [options]\n\n  --json  a flag\n"


def paint(*argv: str) -> Arguments:
    return parse(PAINT, argv)


def misuse(usage: str, *argv: str) -> str:
    """The message for a command line that does not fit, without `cannot VERB: `."""
    with pytest.raises(Misuse) as caught:
        parse(usage, argv)
    message = caught.value.message

    assert message.startswith("cannot ")
    assert "\n" not in message
    return message.partition(": ")[2]


def test_line_of_an_option_gives_all_its_spellings_one_name():
    """An option is called by the last of its long spellings, whatever was typed."""
    for spelling in ("-cred", "--color=red", "--colour=red"):
        assert paint(spelling, "north").text("--colour") == "red"


@pytest.mark.parametrize(
    "argv",
    [("-t", "3"), ("-t3",), ("--timeout", "3"), ("--timeout=3",), ("-xt3",), ("-xt", "3"), ("-x", "-t", "3")],
)
@pytest.mark.parametrize("place", ["before", "after"])
def test_every_way_to_write_a_value(argv, place):
    """A value is attached, separate, behind `=`, or at the end of a cluster; before or after the words."""
    arguments = paint(*argv, "north") if place == "before" else paint("north", *argv)

    assert arguments.seconds("--timeout", 5.0) == 3.0
    assert arguments.words == ("north",)


def test_flags_cluster():
    """Short flags may share one dash, and a repeated one is the same flag."""
    arguments = paint("-xyx", "north")

    assert arguments.flag("--extra")
    assert arguments.flag("--yes")
    assert not arguments.flag("--no-extra")


@pytest.mark.parametrize("value", ["", "-5", "-", "a=b", "--x", "with blank", "line\nline", "-inf", "é"])
def test_any_value_arrives_unchanged(value):
    """Behind `=` a value may be anything, docopt's numbers and dashes included."""
    assert paint(f"--colour={value}", "north").text("--colour") == value


@pytest.mark.parametrize("value", ["", "-5", "-", "-inf", "x"])
def test_separate_value_may_start_with_one_dash(value):
    """The word after an option is its value: `-f -` is standard input."""
    assert paint("-c", value, "north").text("--colour") == value


def test_later_value_wins():
    """An option given twice has the later value, as everywhere."""
    assert paint("-p", "1", "--port=2", "north").port("--port") == 2


def test_lists_add_up():
    """Options that take a list add up, in the order given."""
    arguments = paint("-e", "a, b", "north", "--env=c", "-eb")

    assert arguments.names("--env") == ("a", "b", "c")
    assert arguments.texts("--env") == ("a, b", "c", "b")


def test_lists_add_up_with_two_usage_lines():
    """Two usage lines do not double a value (docopt alone says a, b, b here)."""
    assert parse(ONE_OR_OTHER, ("-e", "a", "-e", "b", "web", "x")).texts("--env") == ("a", "b")


def test_list_drops_blanks_and_empty_items():
    """Blanks around names do not count, nor do empty names."""
    assert paint("-e", " a ,, b , ", "north").names("--env") == ("a", "b")
    assert paint("-e", "", "north").names("--env") == ()


def test_double_dash_ends_the_options():
    """What follows `--` are words, a second `--` included."""
    assert paint("-x", "--", "-y", "--", "--bogus").words == ("-y", "--", "--bogus")


def test_options_first_leaves_the_rest_alone():
    """With options_first, what follows the first word is not read."""
    arguments = parse(
        ONE_OR_OTHER, ("-e", "x", "web", "--flag", "--", "-e", "y", "--help"), options_first=True
    )

    assert arguments.words == ("web", "--flag", "--", "-e", "y", "--help")
    assert arguments.names("--env") == ("x",)


def test_options_first_drops_one_double_dash():
    """A `--` directly before the command is not part of it; a second one is."""
    assert parse(ONE_OR_OTHER, ("--", "--json", "x"), options_first=True).words == ("--json", "x")
    assert parse(ONE_OR_OTHER, ("--", "--", "x"), options_first=True).words == ("--", "x")


def test_many_words_take_no_time():
    """The words of a command are not matched one by one (docopt needs a minute for these)."""
    words = tuple(map(str, range(100_000)))

    assert parse(ONE_OR_OTHER, words, options_first=True).words == words


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("--bogus",), "unknown option --bogus"),
        (("--bogus=1",), "unknown option --bogus"),
        (("-z",), "unknown option -z"),
        (("-xz",), "unknown option -z"),
        (("-x-",), "unknown option --"),
        (("--colr", "red"), "unknown option --colr (did you mean --color?)"),
        (("--time", "3"), "unknown option --time (did you mean --timeout?)"),
        (("--TIMEOUT", "3"), "unknown option --TIMEOUT"),
        (("-t",), "option -t needs a value"),
        (("--timeout",), "option --timeout needs a value"),
        (("-t", "--extra"), "option -t needs a value"),
        (("-t", "--", "north"), "option -t needs a value"),
        (("-xt",), "option -t needs a value"),
        (("--extra=1",), "option --extra takes no value"),
        (("--extra=",), "option --extra takes no value"),
        ((), "no WALL given"),
        (("--",), "no WALL given"),
        (("-x",), "no WALL given"),
    ],
)
def test_what_does_not_fit_is_named(argv, reason):
    """One line says what is wrong with the command line, and what may have been meant."""
    assert misuse(PAINT, *argv) == reason


def test_one_word_too_many():
    """The word that is too many is named."""
    assert misuse(NOTHING, "--json", "stray", "more") == "unexpected word stray"


def test_missing_word_of_several_usages():
    """With several usage lines, each says what may stand there."""
    assert misuse(ONE_OR_OTHER) == "no NAME or COMMAND given"


def test_misuse_shows_the_usage_lines_and_only_them():
    """Below the message stand the usage lines, not the whole text."""
    with pytest.raises(Misuse) as caught:
        parse(ONE_OR_OTHER, ())

    assert caught.value.status == ExitStatus.USAGE
    assert caught.value.usage == (
        "usage: devport do [options] [--] NAME [ARG...]",
        "       devport do [options] [--] COMMAND [ARG...]",
    )


@pytest.mark.parametrize("argv", [("-h",), ("--help",), ("north", "--help"), ("-xh",), ("-p", "1", "-h")])
def test_help_wins(argv):
    """--help among the options answers with the whole text, whatever else is missing."""
    with pytest.raises(Answer) as caught:
        paint(*argv)

    assert caught.value.text == PAINT


def test_without_docstrings_there_is_an_error_and_no_crash():
    """`python -OO` takes the usage texts away; that is said."""
    with pytest.raises(DevportError, match="without docstrings"):
        Usage(None)


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0.0), ("5", 5.0), ("0.25", 0.25), (".5", 0.5), ("3.", 3.0), ("1000000", 1e6)]
)
def test_seconds(text, number):
    """Seconds are plain decimal numbers."""
    assert paint("-t", text, "north").seconds("--timeout", 5.0) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "x", "nan", "inf", "1e3", "1_0", " 5", "5s", "\u0665", "1000001", "9" * 5000, "5\n"]
)
def test_no_seconds(text):
    """Anything else is a usage error, also what Python's float() takes."""
    with pytest.raises(Misuse) as caught:
        paint(f"--timeout={text}", "north").seconds("--timeout", 5.0)

    assert caught.value.message == f'cannot paint: --timeout wants seconds, 0 to {LONGEST_WAIT}, not "{text}"'


def test_values_that_were_not_given_have_their_defaults():
    """Without the option: the default, None, nothing."""
    arguments = paint("north")

    assert arguments.seconds("--timeout", 5.0) == 5.0
    assert arguments.port("--port") is None
    assert arguments.text("--colour") is None
    assert arguments.names("--env") == ()
    assert arguments.choice("--colour", ("red", "blue")) is None
    assert arguments.either("--extra", "--no-extra") is None


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("5000", 5000), ("65535", 65535), ("080", 80)])
def test_port_numbers(text, number):
    """A port is a decimal number from 1 to 65535."""
    assert port_number(text) == number
    assert paint("-p", text, "north").port("--port") == number


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "-1", "+1", "1.0", "x", "1_0", "\u0665", "99999999", "80\n"]
)
def test_no_port_numbers(text):
    """Anything else is refused with the value that was given."""
    assert port_number(text) is None
    with pytest.raises(Misuse) as caught:
        paint(f"--port={text}", "north").port("--port")

    assert caught.value.message == f'cannot paint: --port wants a port, 1 to 65535, not "{text}"'


def test_choice():
    """One of several words, and nothing else."""
    arguments = paint("-c", "green", "north")

    assert arguments.choice("--colour", ("red", "green")) == "green"
    with pytest.raises(Misuse, match='--colour wants red, blue or pink, not "green"'):
        arguments.choice("--colour", ("red", "blue", "pink"))


def test_opposite_options():
    """Of two opposite options, one decides; both are a usage error."""
    assert paint("--extra", "north").either("--extra", "--no-extra") is True
    assert paint("--no-extra", "north").either("--extra", "--no-extra") is False
    with pytest.raises(Misuse, match="--extra and --no-extra contradict each other"):
        paint("--no-extra", "north", "-x").either("--extra", "--no-extra")


@pytest.mark.parametrize(
    ("spelling", "meant"),
    [
        ("--ti", " (did you mean --timeout?)"),
        ("--colours", " (did you mean --colour?)"),
        ("--qqq", ""),
        ("-t", ""),
        ("--", ""),
    ],
)
def test_suggestions(spelling, meant):
    """An abbreviation means the one option it begins, else the nearest is offered; a letter is no hint."""
    assert suggestion(spelling, Usage(PAINT).options) == meant


@pytest.mark.parametrize(
    ("argv", "options", "place"),
    [
        ([], [], 0),
        (["start"], [], 0),
        (["-f", "x", "start"], ["-f"], 2),
        (["-fx", "start"], ["-fx"], 1),
        (["--file", "x", "start"], ["--file"], 2),
        (["--file=x", "start"], ["--file=x"], 1),
        (["--json", "start"], ["--json"], 1),
        (["-xf", "x", "start"], ["-xf"], 2),
        (["--", "start"], [], 1),
        (["-f"], ["-f"], 1),
        (["-f", "start"], ["-f"], 2),
        (["--"], ["--"], 1),
        (["-", "x"], [], 0),
    ],
)
def test_first_word_is_found_behind_options(argv, options, place):
    """The first word is the one that is neither an option nor the value of one."""
    assert leading_options(argv, {"-f", "--file"}) == (options, place)
