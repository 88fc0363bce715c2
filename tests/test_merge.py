"""Several devport.yaml: the later wins, key by key, and each refusal names its own file."""

import pytest

from devport.errors import DevportError, UsageError
from devport.model import Dependency, Probe
from devport.project.config import Source, parse


def config(*texts):
    """The files a.yaml, b.yaml... as one."""
    first, *more = [
        Source(text.encode(), f"{letter}.yaml") for letter, text in zip("abc", texts, strict=False)
    ]
    return parse(first.data, first.name, "/srv/app", "/home/me", more=more)


def only(*texts):
    (service,) = config(*texts).services
    return service


def failure(*texts):
    with pytest.raises(UsageError) as caught:
        config(*texts)
    return caught.value.message


def test_the_later_file_wins_by_key():
    """What a later file does not say stays; lists are replaced."""
    service = only(
        "processes: {web: {exec: a, cwd: x, env: [one, two], environment: {A: 1, B: 2}, pty: true}}",
        "processes: {web: {cwd: y, env: [three], environment: {B: 3, C: 4}}}",
        "processes: {web: {cwd: z}}",
    )

    assert (service.command[2], service.cwd, service.pty) == ("a", "/srv/app/z", True)
    assert service.env_files == ("/srv/app/three",)
    assert service.environment == {"A": "1", "B": "3", "C": "4"}


def test_services_are_added():
    """In the order in which they first appear, each with the file it comes from."""
    found = config("processes: {a: x, b: x}", "processes:\n  b: {cwd: y}\n  c: z\ntasks: {t: x}").services

    assert [(one.name, one.source) for one in found] == [
        ("a", "a.yaml:1"),
        ("b", "a.yaml:1"),
        ("c", "b.yaml:3"),
        ("t", "b.yaml:4"),
    ]


def test_top_level_keys():
    """They are merged alike."""
    found = config(
        "strict-ports: true\nport-range: 1-2\nenv: a\nprocess: {start: false}\nprocesses: {a: x, b: x}\n"
        "groups: {g: [a], h: [b]}",
        "port_range: 3-4\nenv: [b, c]\ngroups: {g: [b]}",
    )

    assert (found.strict_ports, found.port_range) == (True, (3, 4))
    assert found.env_files == ("/srv/app/b", "/srv/app/c")
    assert found.groups == {"g": ("b",), "h": ("b",)}
    assert found.services[0].enable == "false"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("{no-port: true, exec: x}", "{no_port: false}", "x"),
        ("x", "{no-port: false}", "x"),
        ("{exec: x}", "y", "y"),
        ("x", "y", "y"),
        ("x", "", "x"),
        ("", "y", "y"),
    ],
)
def test_spellings(first, second, words):
    """A command alone is its `exec`, nothing says nothing, and - and _ are the same."""
    service = only(f"processes: {{web: {first}}}", f"processes: {{web: {second}}}")

    assert (service.command[2], service.no_port) == (words, False)


def test_names_are_as_they_are_written():
    """`a-b` and `a_b` are two variables, and two services."""
    found = config(
        "processes: {a-b: {exec: x, environment: {A-B: 1}}}",
        "processes: {a_b: y, a-b: {environment: {A_B: 2}}}",
    ).services

    assert [one.name for one in found] == ["a-b", "a_b"]
    assert found[0].environment == {"A-B": "1", "A_B": "2"}


def test_null_wins():
    """`max: null` is something to say."""
    service = only(
        "processes: {web: {exec: x, restart: {max: 3}}}", "processes: {web: {restart: {max: null}}}"
    )

    assert service.restart.max is None


def test_a_probe_is_of_one_kind():
    """A later probe of another kind takes the place of the first; times alone only change the times."""
    first = "processes: {web: {exec: x, ready: {exec: a, period: 3}}}"

    assert only(first, "processes: {web: {ready: {tcp: 80}}}").policy.ready == Probe("tcp", port=80, period=3)
    assert only(first, "processes: {web: {ready: {period: 4}}}").policy.ready.period == 4
    assert only(first, "processes: {web: {ready: {exec: b}}}").policy.ready.command[2] == "b"


def test_dependencies_across_files():
    """`after` of one file may name what another declares."""
    found = config("processes: {api: x}", "processes: {api: {after: [db]}, db: x}").services

    assert found[0].policy.after == (Dependency("db"),)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("processes: {a: x}", "processes:\n  a:\n    pyt: true"), "b.yaml: line 3: a: unknown key pyt"),
        (("processes:\n  a: {pyt: true}", "processes: {a: x}"), "a.yaml: line 2: a: unknown key pyt"),
        (("processes: {a: x}", "x: [1,"), "b.yaml: line 2: did not find expected"),
        (("processes: {a: x}", "x: 1\nx: 2"), "b.yaml: line 2: duplicate key x (first on line 1)"),
        (("processes: {a: x}", "\n- x"), "b.yaml: line 2: a list cannot be merged with other files"),
        (("- x", "processes: {a: x}"), "a.yaml: line 1: a list cannot be merged with other files"),
        (("processes: {a: x}", "hello"), "b.yaml: line 1: expected a list of commands, or a mapping"),
        (("processes: {a: x}", "\nprocesses: [b]"), "b.yaml: line 2: processes: expected a mapping"),
        (
            ("processes: {a: x}", "processes: {a: {no-port: true, no_port: true}}"),
            "b.yaml: line 1: a: duplicate key no_port",
        ),
        (
            ("processes: {a: {exec: x, after: b}}", "processes:\n  b: {exec: x, after: a}"),
            "a.yaml: line 1: a: after: a -> b -> a wait for each other",
        ),
        (
            ("processes: {a: {exec: x, key: k}}", "processes: {b: {exec: x, key: k}}"),
            "b.yaml: line 1: b: key: k",
        ),
    ],
)
def test_mistakes_name_their_file(texts, message):
    """The file and the line of what is wrong."""
    assert failure(*texts).startswith(f"cannot read {message}")


def test_nothing_in_any_of_them():
    """All files are named where none declares a service."""
    with pytest.raises(DevportError) as caught:
        config("", "processes:")

    assert caught.value.message.startswith("cannot read a.yaml, b.yaml: no services; ")


def test_an_empty_file_changes_nothing():
    """Neither first nor last."""
    assert only("", "processes: {a: x}", "# nothing").name == "a"
