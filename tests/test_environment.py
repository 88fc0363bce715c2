"""The environment of a service: layers, ports, expansion, and the dotenv form."""

from io import StringIO

import dotenv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devport.encoding import encode
from devport.model import PortRequest, Service
from devport.project import environment
from devport.project.dotenv import parse
from devport.project.environment import INTERNAL, expand, to_dotenv

WEB = Service("web", "web", ("x",), "/")


def build(service=WEB, ports=None, *, project_ports=None, base=None, project=None, own=None, env_wins=False):
    base = base or {}
    found = {
        **environment.common(base, project or {}, project_ports or {}, env_wins),
        **environment.own(service, "b7d2f1a8c3", ports or {}, own or {}, base if env_wins else {}),
    }
    assert found.pop("PS") == service.name
    assert found.pop("DEVPORT_HASH") == "b7d2f1a8c3"
    return found


LAYERS = {"base": {"A": "base"}, "project": {"A": "project"}, "own": {"A": "own"}}


@pytest.mark.parametrize(
    ("given_layers", "env_wins", "value"),
    [
        (["base"], False, "base"),
        (["base", "project"], False, "project"),
        (["base", "project", "own"], False, "own"),
        (["project", "own"], True, "own"),
        (["base", "project", "own"], True, "base"),
    ],
)
def test_later_layers_win(given_layers, env_wins, value):
    """Our own environment < the project's env files < the entry's; --env-wins puts our own last."""
    layers = {name: LAYERS[name] for name in given_layers}

    assert build(**layers, env_wins=env_wins) == {"A": value}


@pytest.mark.parametrize("env_wins", [False, True])
def test_the_entry_beats_all_files_and_the_environment(env_wins):
    """`environment:` of the entry is the last word but for PORT and friends."""
    service = WEB._replace(environment={"A": "entry", "PORT": "1", "PS": "x"})

    assert build(service, {"": 19000}, env_wins=env_wins, **LAYERS) == {"A": "entry", "PORT": "19000"}


def test_nothing_meant_for_devport_is_handed_down():
    """Descriptors, sockets and panes of whoever started devport are dropped; what the user set stays."""
    base = dict.fromkeys(INTERNAL, "1") | {"DEVPORT_HOME": "/x", "LISTEN": "1", "TMUX_TMPDIR": "/t"}

    assert build(base=base) == {"DEVPORT_HOME": "/x", "LISTEN": "1", "TMUX_TMPDIR": "/t"}


def test_env_files_may_set_what_is_not_inherited():
    """Only the inherited value is somebody else's."""
    assert build(base={"TMUX": "a"}, project={"TMUX": "b"}) == {"TMUX": "b"}


def test_an_inherited_port_is_not_passed_on():
    """PORT in our own environment is a wish to devport, not the port of a service that has none."""
    assert build(base={"PORT": "3000"}) == {}
    assert build(base={"PORT": "3000"}, env_wins=True, project={"A": "1"}) == {"A": "1"}
    assert build(WEB._replace(port_env="VITE_PORT"), {"": 19000}, base={"PORT": "3000"}) == {
        "VITE_PORT": "19000"
    }


def test_the_port_has_the_name_the_service_wants():
    """`port-env` renames PORT."""
    assert build(ports={"": 19000}) == {"PORT": "19000"}
    assert build(WEB._replace(port_env="VITE_PORT"), {"": 19000}) == {"VITE_PORT": "19000"}


def test_named_ports():
    """Each declared port is PORT_<NAME>, and the first declared is PORT, whatever order they come in."""
    service = WEB._replace(ports=(PortRequest("http", 8080), PortRequest("dev-tools.x")))

    assert build(service, {"dev-tools.x": 19001, "http": 8080}) == {
        "PORT": "8080",
        "PORT_HTTP": "8080",
        "PORT_DEV_TOOLS_X": "19001",
    }


def test_the_ports_of_the_others():
    """Each service of the project that has a port is <SERVICE>_PORT, its first one."""
    others = {"web": {"": 19000}, "my-api.v2": {"http": 8080, "admin": 8081}, "worker": {}}

    assert build(ports={"": 19000}, project_ports=others, base={"WEB_PORT": "1"}) == {
        "PORT": "19000",
        "WEB_PORT": "19000",
        "MY_API_V2_PORT": "8080",
    }


def test_a_port_that_a_file_sets_on_purpose():
    """DB_PORT of an env file or of `environment` beats the port of the entry called db."""
    db = {"db": {"": 19000}}

    assert build(project_ports=db, project={"DB_PORT": "5432"})["DB_PORT"] == "5432"
    assert build(WEB._replace(environment={"DB_PORT": "1"}), project_ports=db)["DB_PORT"] == "1"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$A", "1"),
        ("${A}", "1"),
        ("$A/$B", "1/2 2"),
        ("$AB", ""),
        ("${A}B", "1B"),
        ("$NOPE", ""),
        ("x${NOPE}y", "xy"),
        ("$1 $@ $$ $* $? $- $", "$1 $@ $$ $* $? $- $"),
        ("$$A", "$$A"),
        ("$$$A", "$$1"),
        ("${1} ${} ${A-x} ${A:-x} ${A", "${1} ${} ${A-x} ${A:-x} ${A"),
        ("$(A) `$A`", "$(A) `1`"),
        ("$É", "$É"),
        ("$C", "$A"),
        ("\\$A", "\\1"),
    ],
)
def test_expansion(word, expected):
    """$NAME and ${NAME} are replaced once, missing ones are empty, everything else stays."""
    assert expand((word, "x"), {"A": "1", "B": "2 2", "C": "$A"}) == (expected, "x")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("", "A=\n"),
        ("19000", "A=19000\n"),
        ("http://localhost:19000/x?", "A='http://localhost:19000/x?'\n"),
        ("a b", "A='a b'\n"),
        ("a#b", "A='a#b'\n"),
        ("it's", "A='it\\'s'\n"),
        ("\\d", "A='\\d'\n"),
        ("\\", "A='\\\\'\n"),
        ("a\nb", "A='a\nb'\n"),
        ("a\r\nb", 'A="a\\r\\nb"\n'),
        ("${X}", "A='${:-$}{X}'\n"),
    ],
)
def test_the_dotenv_form(value, line):
    """Plain where it can be, single quotes where it must, double ones for a carriage return."""
    assert to_dotenv({"A": value}) == line


def test_names_that_no_env_file_can_hold_are_left_out():
    """An empty name, or one with a quote and a blank, cannot be written."""
    assert to_dotenv({"": "1", "a' b": "2", "'a": "3", "x\n": "4", "OK": "5"}) == "OK=5\n"


def read_back(text):
    return dict(dotenv.dotenv_values(stream=StringIO(text), interpolate=True))


NASTY = st.text("ab \\'\"\n\r\t$#{}:-=`é\u2028\x85\x0b\x1b\udcff", max_size=12)
NAMES = st.text("AB_z9.%-é #'=", min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(["A", "B_2", "export", "x.y", "BASH_FUNC_x%%"]), NASTY | st.text()))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_values_round_trip_through_python_dotenv(values):
    """What python-dotenv reads back, interpolation included, is what went in; our own reader agrees."""
    values = {name: value.replace("\0", "") for name, value in values.items()}
    text = to_dotenv(values)

    assert read_back(text) == values
    try:
        data = encode(text)
    except UnicodeEncodeError:
        return  # half a surrogate pair: no environment can hold it
    assert parse(data, ".env", {"X": "other"}) == (values, [])


@given(st.dictionaries(NAMES, st.just("v'")))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_name_is_right_or_left_out(values):
    """No name, however odd, makes another name or value of it."""
    found = read_back(to_dotenv(values))

    assert found.items() <= values.items()
