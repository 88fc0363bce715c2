"""`devport logs` of several services that really run: one view, by time, of back and front."""

import json
import re
import shlex
import signal

import pytest
from support import background, procs
from support.background import python, shell
from support.running import DEVPORT

plain = background.plain


@pytest.fixture
def verbs(plain):
    """A machine whose project has nothing running in the end."""
    yield plain
    plain.call("down")


CODE = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [10]); print('ready', flush=True);"
CODE += " [print('turn', n, flush=True) for n in range(99) if signal.sigwait([10])]"
TURNS = f"exec {shlex.join(python(CODE))}"
"""An entry that prints a line for each SIGUSR1."""


def said(text):
    """(name, line) of each line that a service printed in its turn."""
    return re.findall(r"(?m)^\d\d:\d\d:\d\d (\w+) +\| (turn \d+)$", text)


def taking_turns(verbs, names):
    """Let the services print, one after the other, as soon as can be; what `said` should find."""
    wanted = []
    for name in names:
        wanted.append((name, f"turn {[one for one, _ in wanted].count(name)}"))
        verbs.do("signal", "-s", "USR1", name)
        procs.eventually(lambda name=name, line=wanted[-1][1]: heard(verbs, name, line))
    return wanted


def heard(verbs, name, line):
    """It has printed that."""
    assert line in verbs.do("logs", name).splitlines()


def test_services_in_the_background(verbs):
    """They are merged line by line, all of the project or those named, `-n` of each."""
    verbs.devport.procfile(web=TURNS, api=TURNS)
    rows = verbs.detach()
    for row in rows.values():
        verbs.logged(row["hash"], rb"ready")
    wanted = taking_turns(verbs, ["web", "api", "web", "api"])

    assert said(verbs.do("logs")) == wanted
    assert said(verbs.do("logs", "api", "web")) == wanted
    assert said(verbs.do("logs", "-n", "1")) == wanted[-2:]
    assert len(verbs.do("logs", "-n", "1").splitlines()) == 2
    assert "|" not in verbs.do("logs", "-n", "2", "web")
    objects = list(map(json.loads, verbs.do("logs", "--json").splitlines()))
    assert [one["time"] for one in objects] == sorted(one["time"] for one in objects)
    assert [(one["service"], one["line"]) for one in objects if one["line"].startswith("turn")] == wanted


def test_back_and_front(verbs):
    """A service in another terminal is merged with those in the background, and both are followed."""
    verbs.devport.procfile(web=TURNS, api=TURNS)
    verbs.logged(verbs.detach("web")["web"]["hash"], rb"ready")
    run = verbs.devport.start("api")
    run.ready("api")
    wanted = taking_turns(verbs, ["web", "api", "web"])

    assert said(verbs.do("logs")) == wanted
    follower = verbs.devport.spawn([DEVPORT, "logs", "-f"])
    follower.expect_all(rb"web +\| turn 1$", rb"api +\| turn 0$")
    for name, line in (("api", "turn 1"), ("web", "turn 2")):
        verbs.do("signal", "-s", "USR1", name)
        follower.expect(rf"{name} +\| {line}$".encode())
        wanted.append((name, line))
    follower.send(signal.SIGINT)
    follower.finish()

    assert said(follower.output.decode()) == wanted
    run.stop()


def test_floods_are_followed_whole(verbs):
    """With `-f`, each line of each service comes once, in its order, whenever the following began."""
    count = 20000
    code = (
        f"import signal; [print('line', n) for n in range({count})]; print('end', flush=True); signal.pause()"
    )
    for name in ("web", "api"):
        verbs.start(name, python(code))
    follower = verbs.devport.spawn([DEVPORT, "logs", "-f", "-n", "1000000", "web", "api"])
    follower.expect_all(rb"web +\| end$", rb"api +\| end$")
    follower.send(signal.SIGINT)
    follower.finish()

    for name in ("web", "api"):
        lines = [line for line in follower.lines(name) if line.startswith(b"line ")]
        assert lines == [b"line %d" % number for number in range(count)]


def test_removed_with_the_service(verbs):
    """`rm` leaves no times behind."""
    row = verbs.start("web", shell("echo hello; exec sleep 1000"))
    verbs.logged(row["hash"], rb"hello")
    beside = verbs.state / "logs" / f"{row['hash']}.log.times"
    assert re.fullmatch(rb"(\d+ \d+\.\d{6}\n)+", beside.read_bytes())
    verbs.do("rm", "web")

    assert not beside.exists()
