"""The ten traps of honcho and foreman (honcho-foreman.md, section 0): devport steps into none."""

import re
import signal
import time

import pytest
from support import procs
from support.running import child

GRACE = 1.0
T = ("-t", str(GRACE))
LATE = 8.0
"""Seconds that what is told to end may take longer, on a busy machine; who is not, stays for ever."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_1_all_children_ignore_term(devport, number):
    """A stop escalates although no child stops first; honcho hangs for ever."""
    devport.procfile(a=child("stubborn"), b=child("stubborn"))
    running = devport.start(*T)
    running.ready("a", "b")

    status, seconds = running.stop(number)

    assert status == 128 + number
    assert seconds < GRACE + LATE
    assert procs.tree(devport.tag) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_2_unterminated_line_freezes_nothing(devport, number):
    """One unterminated line keeps neither the others' output nor a signal; foreman freezes."""
    devport.procfile(ask="printf 'prompt: '; exec sleep 1000", other="while :; do echo tick; sleep 0.1; done")
    running = devport.start(*T)
    running.expect(rb"ask +\| prompt: ")
    for _ in range(5):
        running.expect(rb"other +\| tick")

    status, seconds = running.stop(number)

    assert status == 128 + number
    assert seconds < GRACE + LATE


def test_3_port_option_beats_env_file(devport):
    """-p BASE wins over a PORT in .env and in the environment; honcho's .env wins."""
    base = devport.ports.first
    devport.write(".env", f"PORT={base + 7}\n")
    devport.procfile(web="echo port=$PORT")

    running = devport.call("start", "-p", str(base + 20), env={"PORT": str(base + 9)})
    assert running.status == 0
    assert running.lines("web") == [b"port=%d" % (base + 20)]

    running = devport.call("start", env={"PORT": str(base + 9)})
    assert running.lines("web") == [b"port=%d" % (base + 7)]

    (devport.project / ".env").unlink()
    running = devport.call("start", env={"PORT": str(base + 9)})
    assert running.lines("web") == [b"port=%d" % (base + 9)]


@pytest.mark.parametrize("base", [False, True], ids=["pool", "base"])
def test_4_ports_do_not_depend_on_the_selection(devport, base):
    """An entry has one port, whoever else runs and in whatever order they are named."""
    devport.claim(400)
    devport.procfile(a="echo port=$PORT", b="echo port=$PORT", c="echo port=$PORT")
    options = ["--keep-going", *(["-p", str(devport.ports.first)] if base else [])]
    seen = {}
    for words in (["b"], [], ["c", "a"], ["b", "a"], ["--except", "a"], ["-c", "b=2"], ["-m", "c=1"]):
        running = devport.call("start", *options, *words)
        assert running.status == 0
        for name in "abc":
            for line in running.lines(name):
                seen.setdefault(name, set()).add(int(line[5:]))

    assert {name: len(ports) for name, ports in seen.items()} == {"a": 1, "b": 1, "c": 1}
    if base:
        first = devport.ports.first
        assert seen == {"a": {first}, "b": {first + 100}, "c": {first + 200}}


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["-c", "web=x"],
        ["-c", "nosuch=2"],
        ["-c", "web=0"],
        ["-m", "all=0"],
        ["-m", "web=-1"],
        ["-m", "web"],
        ["--bogus"],
        ["--tiemout", "3"],
        ["-t", "soon"],
        ["-p", "web"],
        ["-p", "99999"],
    ],
    ids=" ".join,
)
def test_5_mistakes_end_at_once(devport, words):
    """An unknown name or option and a bad formation are errors, status 2, nothing started; foreman hangs."""
    devport.procfile(web="touch started; exec sleep 1000")
    began = time.monotonic()
    running = devport.call("start", *words)

    assert running.status == 2
    assert running.ended - began < 1 + LATE
    assert running.errors.startswith(b"devport: ")
    assert b"Traceback" not in running.errors
    assert not (devport.project / "started").exists()


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL, signal.SIGABRT],
)
def test_6_grandchildren_behind_a_shell(devport, number):
    """Grandchildren behind a shell go with it, whatever signal ends devport."""
    devport.procfile(
        web="sleep 1000 & sleep 1000 & echo ready; wait; true", other="sh -c 'sleep 1000; true'; true"
    )
    running = devport.start(*T)
    running.ready("web")

    assert running.stop(number)[0] != 0
    procs.gone(devport.tag, GRACE + LATE)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_6_user_signals_are_forwarded(devport, number):
    """USR1 and USR2 reach every service and end nothing."""
    devport.procfile(web=child("signals"), other=child("signals"))
    running = devport.start()
    running.ready("web", "other")
    running.send(number)
    name = signal.Signals(number).name.encode()
    running.expect_all(rb"web +\| got " + name, rb"other +\| got " + name)

    assert running.stop()[0] == 143


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP])
def test_7_killed_is_no_success(devport, number):
    """A child killed by signal n: 128 + n; foreman says 0, honcho 256 - n."""
    devport.procfile(web=f"kill -{number:d} $$", other="exec sleep 1000")

    assert devport.start().finish() == 128 + number


def test_8_the_shell_alone_expands(devport):
    """$NAME is the shell's: no textual substitution, and a value of .env is never executed."""
    devport.write(".env", "EVIL='$(touch pwned)'\nALSO='; touch pwned'\nBACK='`touch pwned`'\n")
    devport.procfile(web='echo "[$PORTAL]" \'[$PORT]\' "[$EVIL]" "[$ALSO]" "[$BACK]" [$$]')
    running = devport.call("start")

    assert running.status == 0
    [line] = running.lines("web")
    assert re.sub(rb"\[\d+\]$", b"[pid]", line) == (
        b"[] [$PORT] [$(touch pwned)] [; touch pwned] [`touch pwned`] [pid]"
    )
    assert not (devport.project / "pwned").exists()


def test_9_env_file_keeps_its_values(devport):
    """Blanks, JSON, # and apostrophes in .env arrive as written; none is a traceback."""
    devport.write(
        ".env",
        'BLANKS=b c  d\nJSON=\'{"a": [1, "x y"]}\'\nHASH=a#b\nQUOTED="it\'s"\nEMPTY=\nexport EXPORTED=yes\n'
        "# comment\n\nSPACED = around\n",
    )
    names = ["BLANKS", "JSON", "HASH", "QUOTED", "EMPTY", "EXPORTED", "SPACED"]
    devport.procfile(web="; ".join(f"printf '%s\\n' \"{name}=[${name}]\"" for name in names))
    running = devport.call("start")

    assert running.status == 0
    assert running.lines("web") == [
        b"BLANKS=[b c  d]",
        b'JSON=[{"a": [1, "x y"]}]',
        b"HASH=[a#b]",
        b"QUOTED=[it's]",
        b"EMPTY=[]",
        b"EXPORTED=[yes]",
        b"SPACED=[around]",
    ]


@pytest.mark.parametrize("verb", ["start", "check", "port", "env"])
@pytest.mark.parametrize(
    "text",
    [
        "NAME=it's\n",
        "no equal sign\n",
        "='x'\n",
        'OPEN="never closed\n',
        "A=\0\n",
        "X\xff\xfe=\xff\n",
        "A B=c\n",
    ],
)
def test_9_broken_env_file_is_no_traceback(devport, verb, text):
    """A line of .env that is none is a warning with its number, or a value; every verb goes on."""
    devport.write(".env", text.encode("latin-1") + b"GOOD=yes\n")
    devport.procfile(web="echo ran $GOOD")
    running = devport.call(verb, *(["web"] if verb in {"port", "env"} else []))

    assert b"Traceback" not in running.errors
    assert running.status == 0
    if verb == "start":
        assert b"ran" in running.output


def test_10_instances_have_ports_of_their_own(devport):
    """Export is not part of this; but two instances never get one port, not even with a PORT in .env."""
    devport.claim(200)
    devport.write(".env", f"PORT={devport.ports.first}\n")
    devport.procfile(web="echo port=$PORT")
    running = devport.call("start", "-c", "web=3", "--keep-going")

    assert running.status == 0
    ports = re.findall(rb"port=(\d+)", running.output)
    assert sorted(ports) == [b"%d" % (devport.ports.first + n) for n in range(3)]
