"""What is said to tmux, and what comes of its answers: decided without any tmux."""

import os
import re
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devport.context import Context
from devport.encoding import decode
from devport.errors import DevportError, ExitStatus
from devport.tmux import PartlyOpened, Tmux, Window, client, server, window_of, words
from devport.tmux.client import Answer, call

ARGV = ("python3", "-m", "devport", "supervise", "0123456789", "2f")
SOCKET = "/tmp/tmux-0/default"
SERVER = "77/1700000000"


def commands(argv):
    """The commands of a call, separated as tmux(1) separates the words that it is given."""
    found = [[]]
    for word in argv:
        if not word.endswith(";"):
            found[-1].append(word)
        elif word.endswith("\\;"):
            found[-1].append(word[:-2] + ";")
        else:
            found[-1] += [word[:-1]] * (word != ";")
            found.append([])
    return found


class Fake:
    """A tmux with a session or without; each of `faults` is how many windows a call makes, and its error."""

    def __init__(self, *faults, session=True, version="tmux 3.3a"):
        self.faults, self.session, self.version = list(faults), session, version
        self.calls, self.environs, self.windows = [], [], []

    def __call__(self, argv, environ):  # noqa: D102
        if argv[-1] == "-V":
            return Answer(0, self.version + "\n")
        assert sum(len(word.encode()) + 1 for word in argv) < 16_300, "command too long"
        self.calls.append(argv)
        self.environs.append(environ)
        limit, error = self.faults.pop(0) if self.faults else (1000, "")
        asked = [one for one in commands(argv) if one[:1] in (["tmux"], ["neww"], ["new"])]
        out = ""
        if not limit:
            return Answer(1, "", error)
        if ("new" in argv) == self.session:
            return Answer(
                1, "", "duplicate session: devport" if self.session else "can't find session: devport"
            )
        self.session = True
        for one in asked[:limit]:
            window = len(self.windows)
            self.windows.append(tuple(one[one.index("-dPF") + 2 :]))
            made = f"@{window} %{window}"
            out += f"{made} {SERVER} {SOCKET}\n" if one is asked[0] else f"{made}\n"
        return Answer(1 if error else 0, out, error)


def tmux(run, **environ):
    """The module under test, calling `run`."""
    return Tmux({"HOME": "/home/x", **environ}, run)


def opened(*numbers):
    """Windows as Fake numbers them."""
    return tuple(Window(f"@{number}", SOCKET, SERVER, f"%{number}") for number in numbers)


def test_all_windows_are_one_call():
    """However many, they are made with their options in one invocation, each with its own id."""
    fake = Fake()

    assert tmux(fake).open_windows([(f"w{n}", ARGV) for n in range(50)]) == opened(*range(50))
    assert len(fake.calls) == 1
    assert fake.windows == [ARGV] * 50


def test_what_is_said_for_one_window():
    """No folder, no environment; options and name by a target that only this window has."""
    fake = Fake()
    tmux(fake).open_windows([("web", ARGV)])

    first, *rest = commands(fake.calls[0])
    token = first[first.index("-n") + 1]
    assert first[:3] == ["tmux", "-u", "neww"]
    assert not {"-c", "-e"} & {*first[: first.index("python3")]}
    assert re.fullmatch(r"n[0-9a-f]{4}-0", token)
    assert rest == [
        ["set", "-s", "exit-unattached", "off"],
        ["set", "-t", "=devport:", "destroy-unattached", "off"],
        ["set", "-pt", f"=devport:={token}", "remain-on-exit", "failed"],
        ["set", "-wt", f"=devport:={token}", "allow-rename", "off"],
        ["renamew", "-t", f"=devport:={token}", "web"],
    ]


def test_the_session_is_made_with_its_first_window():
    """Where there is no session its first window is the first service's: none is left over."""
    fake = Fake(session=False)

    assert tmux(fake).open_windows([("web", ARGV), ("api", ARGV)]) == opened(0, 1)
    assert [one[0] for one in commands(fake.calls[1][2:]) if one[0].startswith("new")] == ["new", "neww"]
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    "faults",
    [
        [(0, "no server running on /tmp/tmux-0/default")],
        [(0, "error connecting to /tmp/tmux-0/default (No such file or directory)")],
        [
            (0, "can't find session: devport"),
            (0, "duplicate session: devport"),
            (0, "can't find session: devport"),
        ],
        [
            (0, "no server running on /x"),
            (0, "server exited unexpectedly"),
            (0, "server exited unexpectedly"),
        ],
        [(0, "no server running on /x"), (0, "lost server"), (0, "no server running on /x")],
        [(0, "server exited"), (0, "no server running on /x")],
        [(0, "no current target")],
        [(0, "no current target"), (0, "server exited unexpectedly"), (0, "no server running on /x")],
    ],
)
def test_races_are_tried_again(faults):
    """Somebody else makes the session, or a server is just ending: the next call, or the one after, works."""
    fake = Fake(*faults, session=False)

    assert tmux(fake).open_windows([("web", ARGV)]) == opened(0)


def test_trying_again_ends(monkeypatch):
    """A server that dies every time is an error in the end, with tmux's own words."""
    monkeypatch.setattr(server, "PATIENCE", 0.05)
    fake = Fake(*[(0, "no server running on /x"), *[(0, "server exited unexpectedly")] * 1000])

    with pytest.raises(
        DevportError, match=r"^cannot open windows in tmux: server exited unexpectedly; --no-tmux"
    ):
        tmux(fake).open_windows([("web", ARGV)])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("protocol version mismatch (client 8, server 7)", "protocol version mismatch (client 8, server 7)"),
        ("", "tmux does not say why"),
        ("two\nlines\x1b[31m", r"two\nlines\x1b[31m"),
    ],
)
def test_what_cannot_work_is_said_at_once(said, shown):
    """One call, one line."""
    fake = Fake((0, said))

    with pytest.raises(DevportError) as caught:
        tmux(fake).open_windows([("web", ARGV)])
    assert (
        caught.value.message
        == f"cannot open windows in tmux: {shown}; --no-tmux runs services without windows"
    )
    assert len(fake.calls) == 1


def test_permission_is_no_missing_server():
    """A socket that is somebody else's is looked at twice, then it is an error."""
    said = "error connecting to /tmp/tmux-0/default (Permission denied)"

    with pytest.raises(DevportError, match="Permission denied"):
        tmux(Fake((0, said), (0, said))).open_windows([("web", ARGV)])


def test_a_window_whose_options_failed_gets_them_by_its_id():
    """The others follow; nothing is made twice."""
    fake = Fake((1, "can't find window: =n12-0"), (1000, ""), (1000, ""), (1000, ""))
    fake_call = fake.__call__

    def run(argv, environ):
        return Answer(0) if "-S" in argv else fake_call(argv, environ)

    assert tmux(run).open_windows([("web", ARGV), ("api", ARGV)]) == opened(0, 1)


def test_what_was_opened_before_an_error_is_told():
    """Whoever gets the error knows which windows there are."""
    fake = Fake((2, "fork failed"), *[(0, "create window failed: fork failed")] * 9)

    with pytest.raises(PartlyOpened, match="fork failed") as caught:
        tmux(fake).open_windows([(f"w{n}", ARGV) for n in range(5)])
    assert caught.value.opened == opened(0, 1)


@given(st.lists(st.tuples(st.text(max_size=60), st.integers(0, 4000)), min_size=1, max_size=30))
def test_no_call_is_longer_than_a_message(wanted):
    """Whatever the words are, each call fits, and the order is kept."""
    fake = Fake()
    argvs = [("sleep", "x" * length + str(number)) for number, (_, length) in enumerate(wanted)]
    windows = tmux(fake).open_windows([(name, argv) for (name, _), argv in zip(wanted, argvs, strict=True)])

    assert windows == opened(*range(len(wanted)))
    assert fake.windows == argvs


argument = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6) | st.sampled_from(
    [";", ";;", "\\;", "a\\\\;", "-t", "{", "#{pid}"]
)


@given(st.lists(st.lists(argument, min_size=1), min_size=1))
def test_no_word_ends_a_command(wanted):
    """Words are executed as they are, those that end in a semicolon too."""
    assert commands(words.chain([["x", *one] for one in wanted])) == [["x", *one] for one in wanted]


@given(st.text())
def test_names_are_harmless(text):
    """A window's name is no option, no format and no target but a name, whatever the service is called."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,39}", words.name_of(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web", "web"),
        ("a.b", "a_b"),
        ("-x", "_x"),
        ("", "_"),
        ("ünï", "_n_"),
        ("w" * 63, "w" * 40),
        ("0", "0"),
    ],
)
def test_names(text, name):
    """A good name stays what it is."""
    assert words.name_of(text) == name


def test_one_word_alone_is_refused():
    """It would be handed to a shell."""
    with pytest.raises(AssertionError):
        tmux(Fake()).open_windows([("web", ("sh",))])


@pytest.mark.parametrize(
    ("said", "remain"),
    [
        ("tmux 3.0a", "on"),
        ("tmux 3.1", "on"),
        ("tmux 3.2", "failed"),
        ("tmux 3.10-rc2", "failed"),
        ("tmux next-3.8", "failed"),
        ("tmux openbsd-7.6", "failed"),
        ("tmux master", "failed"),
        ("", "failed"),
    ],
)
def test_versions(said, remain):
    """What the version at hand can do is used; one that says nothing clear is taken for a new one."""
    fake = Fake(version=said)
    tmux(fake).open_windows([("web", ARGV)])

    assert remain in fake.calls[0]


@pytest.mark.parametrize("said", ["tmux 2.9a", "tmux 1.8"])
def test_a_tmux_that_is_too_old(said):
    """It is named, with what is needed and the way without it."""
    with pytest.raises(DevportError) as caught:
        tmux(Fake(version=said)).open_windows([("web", ARGV)])
    assert (
        caught.value.message
        == f"cannot use {said}: it is older than 3.0; --no-tmux runs services without windows"
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("", []), ("mine", ["-L", "mine"]), ("a.b-c_1", ["-L", "a.b-c_1"])]
)
def test_the_server_that_is_meant(name, expected):
    """The user's own, or the private one that DEVPORT_TMUX names."""
    fake = Fake()
    tmux(fake, DEVPORT_TMUX=name).open_windows([("web", ARGV)])

    assert fake.calls[0][2 : fake.calls[0].index("neww")] == expected


@pytest.mark.parametrize("name", ["a/b", "-x", ".", "ü", "a b", "x" * 41, "a\nb"])
def test_names_no_server_can_have(name):
    """They are refused before anything is called."""
    with pytest.raises(DevportError, match=r"^cannot use DEVPORT_TMUX=") as caught:
        tmux(Fake(), DEVPORT_TMUX=name)
    assert caught.value.status == ExitStatus.USAGE


def test_the_environment_of_calls():
    """A caller in a pane is not sent to its server; a new server inherits nothing meant for devport."""
    fake = Fake()
    hidden = {
        "TMUX": "/x,1,0",
        "TMUX_PANE": "%1",
        "DEVPORT_HASH": "1",
        "NOTIFY_SOCKET": "/n",
        "LISTEN_FDS": "1",
    }
    tmux(fake, **hidden, TMUX_TMPDIR="/t", PATH="/bin").open_windows([("web", ARGV)])

    assert fake.environs == [{"HOME": "/home/x", "TMUX_TMPDIR": "/t", "PATH": "/bin"}]


def test_windows_in_records():
    """What a record keeps of a window is the window."""
    (window,) = opened(3)

    assert window.as_run() == {"window": "@3", "tmux": SOCKET, "server": SERVER, "pane": "%3"}
    assert window_of({**window.as_run(), "pid": 1}) == window
    assert window_of({"window": "@3", "tmux": SOCKET}) == Window("@3", SOCKET)


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"window": "@3"},
        {"window": 3, "tmux": SOCKET},
        {"window": "web", "tmux": SOCKET},
        {"window": "@3", "tmux": "default"},
        {"window": "@3 ; kill-server", "tmux": SOCKET},
        {"window": "@3", "tmux": SOCKET, "server": "#(touch x)"},
        {"window": "@3", "tmux": SOCKET, "server": None},
        {"window": "@٣", "tmux": SOCKET},
    ],
)
def test_no_window_in_a_record(run):
    """Anything else is no window: a record may have been written by anybody."""
    assert window_of(run) is None


@pytest.mark.parametrize(
    ("out", "found"),
    [
        ("@1 %4 5/6 /s\n@2 %5\n", [Window("@1", "/s", "5/6", "%4"), Window("@2", "/s", "5/6", "%5")]),
        ("a hook says\n@1 %1 5/ /a b\nmore\n", [Window("@1", "/a b", "5/", "%1")]),
        ("@1 %1\n@2 %2\n", []),
        ("", []),
    ],
)
def test_answers(out, found):
    """Only lines that tell of windows count, and only with the server they are on."""
    assert words.opened(out) == found


@pytest.mark.parametrize(
    ("variable", "inside"),
    [
        ("", False),
        (f"{SOCKET},77,0", True),
        (f"{SOCKET},78,0", False),
        ("/tmp/../tmp/tmux-0/default,77,3", True),
        ("/tmp/tmux-0/work,77,0", False),
        ("nonsense", False),
    ],
)
def test_inside(variable, inside):
    """TMUX says in whose pane we are; an old one, of a server that is gone, does not count."""
    mine = tmux(Fake(), TMUX=variable)

    assert mine.is_inside(opened(1)[0]) is inside
    assert mine.is_nested() is bool(variable)


@pytest.mark.parametrize(
    ("out", "there"),
    [
        (f"{SERVER} @1\n", True),
        (f"{SERVER} @0\n", False),
        (f"{SERVER} \n", False),
        ("78/1700000000 @1\n", False),
        ("", False),
    ],
)
def test_whether_a_window_exists(out, there):
    """It is there if that server says its id; without a target tmux answers about another."""
    assert tmux(lambda *_: Answer(0, out)).exists(opened(1)[0]) is there


def test_closing_says_which_server():
    """Each window on its own server, in one call a server, and none without knowing the server."""
    calls = []
    other = Window("@9", "/other", "1/2")
    tmux(lambda argv, _: calls.append(argv) or Answer(0)).close(*opened(1, 2), other, Window("@5", SOCKET))

    condition = "#{==:#{pid}/#{start_time} #{window_id} #{window_panes},1/2 @9 1}"
    assert [argv[:4] for argv in calls] == [["tmux", "-u", "-S", SOCKET], ["tmux", "-u", "-S", "/other"]]
    assert len(commands(calls[0])) == 2
    assert calls[1][4:] == ["if-shell", "-F", "-t", "@9", condition, "kill-window -t @9"]


def test_switching_keeps_the_callers_pane():
    """By TMUX_PANE tmux knows whose client is to be switched."""
    calls = []
    environ = {"TMUX": f"{SOCKET},77,0", "TMUX_PANE": "%4"}
    Tmux(environ, lambda argv, given: calls.append((argv, given)) or Answer(0)).switch(opened(1)[0])

    expected = [["tmux", "-S", SOCKET, "select-window", "-t", "@1"], ["switch-client", "-t", "@1"]]
    assert [(commands(argv), given) for argv, given in calls] == [(expected, environ)]


def test_switching_may_fail():
    """A client that is gone is an error with tmux's words."""
    with pytest.raises(DevportError, match=r"^cannot switch to window @1: no current client$"):
        tmux(lambda *_: Answer(1, "", "no current client")).switch(opened(1)[0])


@pytest.fixture
def pipe_signal():
    """What SIGPIPE does is put back."""
    before = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, before)


def test_attaching_becomes_tmux(pipe_signal):
    """In a pane of another server too, and without Python's ignored SIGPIPE."""
    seen = []

    def execute(file, argv, environ):
        seen.append((file, argv, environ, signal.getsignal(signal.SIGPIPE)))
        raise FileNotFoundError(2, "No such file or directory")

    mine = Tmux({"TMUX": "/x,1,0", "TERM": "xterm", "U": "\udcff"}, Fake(), execute)
    with pytest.raises(DevportError, match=r"^cannot run tmux: it is not installed"):
        mine.attach(opened(1)[0])

    argv = [b"tmux", b"-S", SOCKET.encode(), b"attach-session", b"-t", b"@1"]
    assert seen == [(b"tmux", argv, {b"TERM": b"xterm", b"U": b"\xff"}, signal.SIG_DFL)]


def test_of_a_context():
    """The environment is the context's, not the process's."""
    with pytest.raises(DevportError, match="DEVPORT_TMUX=a/b"):
        Tmux.of(Context({"DEVPORT_TMUX": "a/b"}, "/", "/"))


@pytest.fixture
def program(tmp_path):
    """Write a program called tmux; the environment in which it is found."""

    def write(text):
        path = tmp_path / "tmux"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    return write


def test_no_tmux(tmp_path):
    """A missing tmux is an error that says how to do without."""
    with pytest.raises(DevportError) as caught:
        Tmux({"PATH": str(tmp_path)}).open_windows([("web", ARGV)])
    assert (
        caught.value.message
        == "cannot run tmux: it is not installed; --no-tmux runs services without windows"
    )


def test_a_tmux_that_cannot_be_executed(program, tmp_path):
    """The system's reason is given."""
    environ = program("exit")
    (tmp_path / "tmux").write_text("#!/nonexistent\n")
    (tmp_path / "tmux").chmod(0o644)

    with pytest.raises(DevportError, match=r"^cannot run tmux: Permission denied; --no-tmux"):
        call(["tmux", "-V"], {**environ, "PATH": str(tmp_path)})


def test_a_tmux_that_hangs(program, monkeypatch):
    """After the deadline it is killed, with what it has started, even where that holds the pipe."""
    monkeypatch.setattr(client, "DEADLINE", 0.2)
    began = time.monotonic()

    with pytest.raises(DevportError, match=r"^cannot use tmux: no answer within 0\.2 s; --no-tmux"):
        call(["tmux"], program("sleep 600 & sleep 600"))
    assert time.monotonic() - began < 5


def test_how_tmux_is_started(program, tmp_path):
    """No descriptor of ours, no terminal, a session of its own, at home; bytes pass both ways."""
    environ = program(
        'echo "$1 $U"; pwd; ls /proc/self/fd; ps -o sid= -p $$; echo $$; echo " why " >&2; exit 7'
    )
    kept = os.dup(2)
    os.set_inheritable(kept, True)
    try:
        answer = call(["tmux", "ü\udcff"], {**environ, "U": "\udcfe"})
    finally:
        os.close(kept)

    said, folder, *descriptors, session, pid = answer.out.splitlines()
    assert (answer.status, answer.err, said, folder) == (7, "why", "ü\udcff \udcfe", str(tmp_path))
    assert descriptors == ["0", "1", "2", "3"]
    assert session.strip() == pid
    assert decode(b"\xff") == "\udcff"


def test_a_home_that_is_gone(program):
    """It is no reason to fail."""
    environ = program("pwd")

    assert call(["tmux"], {**environ, "HOME": "/nonexistent"}).out == "/\n"
    assert call(["tmux"], {"PATH": environ["PATH"]}).out == "/\n"
