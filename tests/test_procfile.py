"""The Procfile's grammar: what is an entry, what is a warning, what is an error."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devport.encoding import decode, encode
from devport.errors import DevportError
from devport.project.procfile import Entry, parse


def names(data):
    return [entry.name for entry in parse(data, "Procfile")[0]]


@pytest.mark.parametrize(
    ("line", "name", "command"),
    [
        (b"web: echo hi", "web", "echo hi"),
        (b"web:echo hi", "web", "echo hi"),
        (b"web:\techo hi \t", "web", "echo hi"),
        (b"web: a: b", "web", "a: b"),
        (b"web::x", "web", ":x"),
        (b"web: echo # kept", "web", "echo # kept"),
        (b"web: echo \\", "web", "echo \\"),
        (b"a_1-B: x", "a_1-B", "x"),
        (b"_web: x", "_web", "x"),
        (b"9: x", "9", "x"),
        (b"web: echo 'a  b'", "web", "echo 'a  b'"),
        (b"web: a\rb", "web", "a\rb"),
        (b"web: a\x0bb\x0cc\x1cd", "web", "a\x0bb\x0cc\x1cd"),
        ("web: a\x85b\u2028c".encode(), "web", "a\x85b\u2028c"),
        (b"web: \xa0x", "web", "\udca0x"),
        (b"a" * 63 + b": x", "a" * 63, "x"),
    ],
)
def test_an_entry_is_a_name_a_colon_and_a_command(line, name, command):
    """From column 0 a name, a colon and something; the command is kept to the last byte but outer blanks."""
    assert parse(line, "Procfile") == ((Entry(name, command, 1),), ())


@pytest.mark.parametrize(
    "data",
    [b"a: 1\nb: 2", b"a: 1\nb: 2\n", b"a: 1\r\nb: 2\r\n", b"a: 1\r\nb: 2\r", b"\xef\xbb\xbfa: 1\nb: 2\n"],
)
def test_line_ends_and_bom_do_not_matter(data):
    """LF, CRLF, a missing final newline and a byte order mark all read the same."""
    assert parse(data, "Procfile") == ((Entry("a", "1", 1), Entry("b", "2", 2)), ())


def test_comments_and_blank_lines_are_silent():
    """Comments, indented or not, and blank lines are neither entries nor warnings, but lines count."""
    data = b"# one: x\n\n  \t \n\t # two: y\n#\r\n\r\nweb: x\n"

    assert parse(data, "Procfile") == ((Entry("web", "x", 7),), ())


def test_file_order_is_kept():
    """Entries come in the order of the file."""
    assert names(b"z: 1\na: 2\nm: 3\n") == ["z", "a", "m"]


def test_bytes_that_are_not_utf8_survive():
    """A command goes to the shell with the bytes that it has in the file."""
    entries, _ = parse(b"web: printf '\xff\xe9'", "Procfile")

    assert encode(entries[0].command) == b"printf '\xff\xe9'"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"web:", " (no command after web:): web:"),
        (b"web:  \t", " (no command after web:): web:  \\t"),
        (b" web: x", " (starts with a blank):  web: x"),
        (b"\tweb: x", " (starts with a blank): \\tweb: x"),
        (b"web : x", " (a blank before the colon): web : x"),
        (b"web.1: x", " (names are made of A-Z a-z 0-9 _ -): web.1: x"),
        (b"a b: x", " (names are made of A-Z a-z 0-9 _ -): a b: x"),
        ("wéb: x".encode(), " (names are made of A-Z a-z 0-9 _ -): wéb: x"),
        (b"-web: x", " (a name cannot start with -): -web: x"),
        (b": x", " (no name before the colon): : x"),
        (b"web: a\0b", " (it holds a NUL byte): web: a\\x00b"),
        (b"garbage", ": garbage"),
        (b"---", ": ---"),
        (b"a" * 64 + b": x", " (a name has at most 63 characters): " + "a" * 57 + "..."),
        (b"\xff\x1b[2J", ": \\udcff\\x1b[2J"),
        (b"x" * 80, ": " + "x" * 57 + "..."),
    ],
)
def test_what_is_no_entry_is_a_warning(line, reason):
    """A line that is nothing is said, with file, line and reason, cut and without control characters."""
    entries, warnings = parse(b"ok: x\n" + line, "Procfile")

    assert [entry.name for entry in entries] == ["ok"]
    assert warnings == (f"Procfile:2: ignored, not 'NAME: COMMAND'{reason}",)


def test_a_duplicate_name_is_an_error():
    """Two entries of one name are refused, with both lines."""
    with pytest.raises(DevportError) as caught:
        parse(b"a: 1\nweb: 1\n\nb: 3\nweb: 2\n", "sub/Procfile")

    assert caught.value.message == "cannot read sub/Procfile: line 5: duplicate name web (first on line 2)"
    assert caught.value.status == 1


@pytest.mark.parametrize("data", [b"", b"\n\n", b"# only\n", b"\xef\xbb\xbf"])
def test_no_entries_is_an_error(data):
    """A file without entries is refused, with the grammar."""
    with pytest.raises(DevportError) as caught:
        parse(data, "Procfile")

    assert caught.value.message == "cannot read Procfile: no entries, a line is NAME: COMMAND"
    assert caught.value.status == 1


def test_no_entries_shows_the_first_warning():
    """Where lines were passed over, the first says why there is no entry."""
    with pytest.raises(DevportError, match=r"no entries; Procfile:1: ignored, .* \(no command after web:\)"):
        parse(b"web:\nx\n", "Procfile")


LINES = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"web: x", b" a: b", b"b:", b"#"])))


@given(st.one_of(st.binary(max_size=300), LINES.map(b"\n".join)))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes(data):
    """Only DevportError comes out, with the file's name in it, and every line is accounted for."""
    try:
        entries, warnings = parse(data, "Some.file")
    except DevportError as error:
        assert "Some.file" in error.message  # noqa: PT017 - either outcome is right
        return

    assert all(warning.startswith("Some.file:") and warning.isprintable() for warning in warnings)
    assert len({entry.name for entry in entries}) == len(entries)
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for entry in entries:
        line = decode(lines[entry.line - 1])
        assert line.startswith(f"{entry.name}:")
        assert entry.command in line


@given(st.binary(min_size=1).filter(lambda b: b"\n" not in b and b"\0" not in b and b.strip(b" \t\r")))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_command_round_trips(command):
    """Any command without LF and NUL comes back byte for byte, outer blanks and a final CR aside."""
    entries, warnings = parse(b"web: " + command, "Procfile")

    assert encode(entries[0].command) == command.removesuffix(b"\r").strip(b" \t")
    assert warnings == ()
