"""Env files: python-dotenv's grammar, an environment that is passed in, and warnings without values."""

from io import StringIO

import dotenv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devport.encoding import encode
from devport.project.dotenv import parse


def values(text, environ=None):
    found, warnings = parse(text if isinstance(text, bytes) else text.encode(), ".env", environ or {})
    assert warnings == []
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("A = 1 ", "1"),
        ("export A=1", "1"),
        ("A=", ""),
        ("A=b c", "b c"),
        ("A=b # c", "b"),
        ("A=b#c", "b#c"),
        ('A="b # c"', "b # c"),
        ("A='b\\'c'", "b'c"),
        ('A="a\\nb"', "a\nb"),
        ('A="a\nb"', "a\nb"),
        ("A=it's", "it's"),
        ('A={"k": "v"}', '{"k": "v"}'),
        ("A=$HOME $(x) `y`", "$HOME $(x) `y`"),
        ("A=1\nA=2", "2"),
        ("'A'=1", "1"),
        ("# c\n\nA=1\n", "1"),
    ],
)
def test_the_grammar_is_that_of_python_dotenv(text, value):
    """Blanks, quotes, comments, escapes: as in python-dotenv."""
    assert values(text) == {"A": value}


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfA=1\nB=2", b"A=1\r\nB=2\r\n", b"A=1\rB=2\r", b"A=1\nB=2\n"])
def test_line_ends_and_bom_do_not_matter(text):
    """LF, CRLF, CR and a byte order mark all read the same."""
    assert values(text) == {"A": "1", "B": "2"}


def test_bytes_that_are_not_utf8_survive():
    """A value keeps its bytes."""
    assert encode(values(b"A=\xff\xe9")["A"]) == b"\xff\xe9"


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("A=${B}", {"B": "env"}, "env"),
        ("B=file\nA=${B}", {"B": "env"}, "file"),
        ("A=${B}\nB=late", {}, ""),
        ("A=${B:-default}", {}, "default"),
        ("A=${B:-default}", {"B": ""}, ""),
        ("A='${B}'", {"B": "env"}, "env"),
        ("A=${A}:x", {"A": "env"}, "env:x"),
        ("A=1\nA=${A}2", {"A": "env"}, "12"),
        ("A=$B", {"B": "env"}, "$B"),
    ],
)
def test_interpolation_sees_the_file_and_then_the_environment(text, environ, value):
    """`${NAME}` is an earlier value of the file, else the environment that was passed in."""
    assert values(text, environ)["A"] == value


def test_the_environment_of_the_process_is_not_seen(monkeypatch):
    """os.environ never leaks in."""
    monkeypatch.setenv("SECRET_OF_THIS_PROCESS", "x")

    assert values("A=${SECRET_OF_THIS_PROCESS}") == {"A": ""}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("A", "A has no value (A= sets an empty one)"),
        ("export A", "A has no value (A= sets an empty one)"),
        ("A='hunter2", "not NAME=VALUE"),
        ("'A'hunter2", "not NAME=VALUE"),
        ("=hunter2", "not NAME=VALUE"),
        ("'A B'=hunter2", "'A B' cannot be the name of a variable"),
        ("'A=B'=hunter2", "'A=B' cannot be the name of a variable"),
        ("'A\x1bB\0'=hunter2", "'A\\x1bB\\x00' cannot be the name of a variable"),
        ("A\0=hunter2", "'A\\x00' cannot be the name of a variable"),
        ("A=hunter2\0", "the value of A holds a NUL byte"),
    ],
)
def test_what_sets_nothing_is_a_warning_without_the_value(line, why):
    """File, line and reason are said, the value never; the lines around it count."""
    found, warnings = parse(f"X=1\n\n\n{line}\nY=2\n".encode(), "sub/.env", {})

    assert found == {"X": "1", "Y": "2"}
    assert warnings == [f"sub/.env:4: ignored, {why}"]
    assert "hunter2" not in str(warnings)


@given(
    st.one_of(st.binary(max_size=200), st.text("AB= '\"\\\n\r\t#${}:-ex\x00é", max_size=60).map(str.encode))
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes(data):
    """Anything gives values that an environment can hold, and warnings that name the file."""
    found, warnings = parse(data, "Some.env", {"A": "x"})

    for name, value in found.items():
        assert name
        assert not set(name) & set("=\0\n ")
        assert "\0" not in value
        encode(name + value)
    assert all(warning.startswith("Some.env:") and warning.isprintable() for warning in warnings)


@given(st.text("AB= '\"\\\n#${}:-ex", max_size=60))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_same_as_python_dotenv(text):
    """What python-dotenv makes of a file without peculiar names is what comes out."""
    theirs = dotenv.dotenv_values(stream=StringIO(text), interpolate=True)
    expected = {name: value for name, value in theirs.items() if value is not None and name.isalpha()}

    # A name that is first set and then mentioned without a value is None for python-dotenv, kept here.
    ours = {name: value for name, value in parse(text.encode(), "x", {})[0].items() if name in expected}

    assert ours.keys() == expected.keys()
    if "${" not in text:
        assert {name: ours[name] for name in expected} == expected
