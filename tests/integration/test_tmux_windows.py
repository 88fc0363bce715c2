"""Windows in a real tmux, on servers of the test's own."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from support import procs
from support.procs import eventually
from support.tmux import Servers

from devport.errors import DevportError
from devport.tmux import Tmux, Window

SLEEP = ("sleep", "600")

HOSTILE = """
set -g destroy-unattached on
set -s exit-unattached on
set -g remain-on-exit on
set -g default-shell /bin/false
set -g default-command "echo pwned"
set -g base-index 1
set -g pane-base-index 1
set -g renumber-windows on
setw -g automatic-rename on
setw -g allow-rename on
set-environment -g PATH /nonexistent
"""

HOOKS = """
set-hook -g after-new-window "rename-window hooked"
set-hook -g after-new-session "rename-window hooked"
set-hook -g window-renamed "select-window -t :1"
"""

TELL = """
import json, os, sys
told = {
    "argv": sys.argv[2:], "environ": dict(os.environ), "cwd": os.getcwd(), "terminal": os.isatty(0),
    "open": sorted(map(int, os.listdir("/proc/self/fd"))), "parent": os.getppid(),
}
with open(sys.argv[1] + ".draft", "w") as file:
    json.dump(told, file)
os.rename(sys.argv[1] + ".draft", sys.argv[1])
os.execvp("sleep", ["sleep", "600"])
"""


@pytest.fixture
def servers(tag, tmp_path):
    """Servers that nobody else uses."""
    made = Servers(tmp_path / "home")
    yield made
    made.tear_down()


@pytest.fixture
def tmux(servers):
    """The module under test, on those servers."""
    return Tmux(servers.environ)


def teller(path, *words):
    """What a supervisor would be: it tells in the file `path` what it was given."""
    return (sys.executable, "-I", "-S", "-c", TELL, str(path), *words)


def told(path):
    """What the teller wrote."""

    def check():
        assert path.exists()
        return json.loads(path.read_text())

    return eventually(check)


def test_windows_are_opened_in_order(servers, tmux):
    """Each window has the name asked for and its own id, and there is no other in a fresh session."""
    windows = tmux.open_windows([("web", SLEEP), ("a.b", SLEEP), ("web", SLEEP)])

    socket = f"{servers.folder}/tmux-{os.getuid()}/default"
    assert servers.windows("#{session_name} #{window_id} #{window_name} #{pane_start_command}") == [
        f"devport {window.id} {name} sleep 600"
        for window, name in zip(windows, ["web", "a_b", "web"], strict=True)
    ]
    assert {window.socket for window in windows} == {socket}
    assert {window.server for window in windows} == {
        servers.tmux("display-message", "-p", "#{pid}/#{start_time}")
    }


def test_a_session_that_is_there_is_used(servers, tmux):
    """The second call adds to the session; what the user sees and has there stays as it is."""
    servers.tmux("new-session", "-d", "-s", "devport", "-n", "mine", *SLEEP)
    servers.tmux("new-session", "-d", "-s", "devport-old", "-n", "devport", *SLEEP)
    tmux.open_windows([("web", SLEEP)])
    tmux.open_windows([("api", SLEEP)])

    assert servers.windows("#{session_name} #{window_name} #{window_active}") == [
        "devport mine 1",
        "devport web 0",
        "devport api 0",
        "devport-old devport 1",
    ]


def test_what_goes_through_tmux_arrives(tmux, tmp_path):
    """Words that would end a command, be expanded or be read as options arrive as they are."""
    words = [
        ";",
        "a;",
        "b\\;",
        "#(touch PWNED)",
        "#{pid}",
        "$HOME",
        "~",
        "-t",
        "{",
        "%1",
        "'\"",
        "",
        "ü 漢\udcff\n",
    ]
    tmux.open_windows([("web", teller(tmp_path / "told", *words)), ("next", SLEEP)])

    assert told(tmp_path / "told")["argv"] == words
    assert not (tmp_path / "PWNED").exists()


def test_the_users_configuration_decides_nothing(servers, tmux, tmp_path):
    """Shell, default command, options, PATH and numbering: windows are made, kept and named as asked."""
    servers.configure(HOSTILE)
    windows = tmux.open_windows(
        [("web", teller(tmp_path / "told")), ("api", SLEEP), ("db", ("sh", "-c", "exit 3"))]
    )

    assert told(tmp_path / "told")["environ"]["PATH"] == servers.environ["PATH"]
    assert servers.windows() == ["web", "api", "db"]
    for window in windows:
        shown = servers.tmux("show-options", "-w", "-t", window.id)
        assert "automatic-rename off" in shown
        assert "allow-rename off" in shown
        assert servers.tmux("show-options", "-p", "-t", window.id) == "remain-on-exit failed"
    eventually(lambda: _dead(servers, windows[2]))
    assert servers.tmux("show-options", "-g", "destroy-unattached") == "destroy-unattached on"


def _dead(servers, window):
    assert servers.tmux("display-message", "-p", "-t", window.id, "#{pane_dead}") == "1"


@pytest.mark.parametrize("conf", [HOOKS, HOSTILE + HOOKS, "set-hook -g after-new-window 'run-shell true'\n"])
def test_hooks_of_the_user(servers, tmux, conf):
    """A hook that renames new windows, or that takes its time, costs a window neither options nor id."""
    servers.configure(conf)
    windows = tmux.open_windows([("web", SLEEP), ("api", SLEEP), ("db", SLEEP)])

    assert len({window.id for window in windows}) == 3
    for window in windows:
        assert servers.tmux("show-options", "-p", "-t", window.id).startswith("remain-on-exit")
        assert "allow-rename off" in servers.tmux("show-options", "-w", "-t", window.id)
    assert len(servers.windows()) == 3


def test_a_window_stays_only_when_its_command_failed(servers, tmux):
    """After a clean end it goes by itself; after a failure its last output can be read, at once or later."""
    clean, failed, killed, _ = tmux.open_windows(
        [
            ("clean", ("sh", "-c", "exit 0")),
            ("failed", ("sh", "-c", "echo last words; exit 3")),
            ("killed", ("sh", "-c", "kill -9 $$")),
            ("other", SLEEP),
        ]
    )

    def check():
        assert sorted(servers.windows()) == ["failed", "killed", "other"]
        assert "last words" in servers.tmux("capture-pane", "-p", "-S", "-", "-t", failed.id)

    eventually(check)
    assert [tmux.exists(window) for window in (clean, failed, killed)] == [False, True, True]


def test_a_window_of_a_shortlived_command_is_not_lost(servers, tmux):
    """Options are set before the command can end, so not even the whole server goes with it."""
    windows = tmux.open_windows([(f"w{n}", ("sh", "-c", "exit 1")) for n in range(30)])

    assert len(servers.windows()) == 30
    assert all(map(tmux.exists, windows))


def test_fifty_windows_are_one_call(servers):
    """What `start -d` of a big project needs, with paths as long as they usually are."""
    calls = []

    def run(argv, environ):
        from devport.tmux.client import call  # noqa: PLC0415

        calls.append(argv)
        return call(argv, environ)

    words = ("/home/somebody/.venv/bin/python3", "-P", "-m", "devport", "supervise", "0123456789", "2f" * 25)
    servers.tmux("new-session", "-d", "-s", "devport", *SLEEP)
    windows = Tmux(servers.environ, run).open_windows([(f"service{n}", words) for n in range(50)])

    assert len({window.id for window in windows}) == 50
    assert len(calls) == 2  # one of them asks for the version


def test_more_windows_than_a_message_holds(servers, tmux):
    """Nothing is "command too long", and the order is kept."""
    names = [f"service-{n:03}" for n in range(120)]
    windows = tmux.open_windows([(name, (*SLEEP, "0" * 300)) for name in names])

    assert servers.windows("#{window_id} #{window_name}") == [
        f"{window.id} {name}" for window, name in zip(windows, names, strict=True)
    ]


OPEN = """
import os, sys
from devport.tmux import Tmux
sys.stdin.read()
print(*(window.id for window in Tmux(os.environ).open_windows([(sys.argv[1], ("sleep", "600"))] * 3)))
"""


def test_first_starts_at_the_same_moment(servers):
    """Ten processes, no session and no server yet: every window of each is there, and no other."""
    popens = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, f"w{n}"],
            env=servers.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(10)
    ]
    for popen in popens:
        popen.stdin.close()
    found = []
    for popen in popens:
        with popen:
            found += popen.stdout.read().split()
        assert popen.returncode == 0

    assert len({*found}) == 30
    assert sorted(servers.windows()) == sorted(f"w{n}" for n in range(10) for _ in range(3))


@pytest.mark.parametrize("how", ["kill-server", "kill-session"])
def test_opening_after_the_end_of_the_server(servers, tmux, how):
    """A server that was killed a moment ago is in nobody's way, however often."""
    for round_ in range(8):
        (window,) = tmux.open_windows([(f"w{round_}", SLEEP)])
        assert servers.windows() == [f"w{round_}"]
        servers.call(how)
        assert not tmux.exists(window)


def test_a_server_without_a_session(servers, tmux):
    """One that outlives its last session (`exit-empty off`), or has not ended yet, gets a new one."""
    servers.tmux("start-server", ";", "set", "-s", "exit-empty", "off")
    for round_ in range(2):
        tmux.open_windows([(f"w{round_}", SLEEP)])
        assert servers.windows() == [f"w{round_}"]
        servers.tmux("kill-session", "-t", "=devport")


def test_a_server_keeps_nothing_of_ours(servers, tmp_path):
    """Neither a descriptor, nor the terminal and process group, nor the folder of who started it."""
    lock, pipe = tmp_path / "lock", tmp_path / "told"
    program = f"""
import fcntl, os
from devport.tmux import Tmux
kept = os.open({str(lock)!r}, os.O_CREAT | os.O_RDWR)
os.set_inheritable(kept, True)
fcntl.flock(kept, fcntl.LOCK_EX)
Tmux(os.environ).open_windows([("web", {teller(pipe)!r})])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=servers.environ,
        cwd=tmp_path,
        timeout=30,
        capture_output=True,
        check=True,
    )

    assert done.stderr == b""
    subprocess.run(["flock", "-n", lock, "true"], check=True)
    seen = told(pipe)
    server = int(servers.tmux("display-message", "-p", "#{pid}"))
    assert seen["parent"] == server
    assert seen["open"] == [0, 1, 2, 3]  # 3 is the listing itself
    assert os.readlink(f"/proc/{server}/cwd") == str(servers.home)
    assert procs.process(server).session == server


def test_the_environment_of_a_new_server(servers, tmp_path):
    """It is the caller's, without what says that the caller sits in tmux or belongs to a service."""
    told_at = tmp_path / "told"
    environ = {**servers.environ, "TMUX": "/nowhere,1,0", "TMUX_PANE": "%9", "DEVPORT_HASH": "x", "MINE": "1"}
    Tmux(environ).open_windows([("web", teller(told_at))])

    seen = told(told_at)["environ"]
    assert seen["MINE"] == "1"
    assert "DEVPORT_HASH" not in seen
    assert seen["TMUX"].startswith(f"{servers.folder}/tmux-{os.getuid()}/default,")


def test_closing(servers, tmux):
    """Only the very windows are closed, and a window the user has split stays."""
    web, assets, split, again = tmux.open_windows(
        [(name, SLEEP) for name in ("web", "web-assets", "w", "web")]
    )
    servers.tmux("split-window", "-d", "-t", split.id, *SLEEP)
    tmux.close(web, split, Window("@77", web.socket, web.server), again)
    tmux.close(web)

    assert servers.windows() == ["web-assets", "w"]
    assert [tmux.exists(window) for window in (web, assets, split, again)] == [False, True, True, False]


def test_a_later_server_is_another_one(servers, tmux):
    """Its windows have the same ids again, and are neither found nor closed."""
    (window,) = tmux.open_windows([("web", SLEEP)])
    servers.tmux("kill-server")
    (later,) = tmux.open_windows([("mine", SLEEP)])
    stale = window._replace(server="1/1")
    tmux.close(stale, window._replace(server=""))

    assert later.id == window.id
    assert tmux.exists(later)
    assert not tmux.exists(stale)
    assert servers.windows() == ["mine"]


def test_without_any_server(servers, tmux):
    """Asking and closing start none, and are no errors."""
    window = Window("@0", f"{servers.folder}/none", "1/1")
    tmux.close(window)

    assert not tmux.exists(window)
    assert list(servers.folder.iterdir()) == []


def test_a_private_server(servers):
    """DEVPORT_TMUX names one, which leaves the user's alone."""
    private = Tmux({**servers.environ, "DEVPORT_TMUX": "mine"})
    (window,) = private.open_windows([("web", SLEEP)])

    assert window.socket.endswith("/mine")
    assert servers.windows(name="mine") == ["web"]
    assert servers.windows() == []
    assert private.exists(window)


def test_the_server_we_are_in_is_not_asked(servers, tmp_path):
    """Called from a pane of another server, windows go to the usual one."""
    program = (
        "import os; from devport.tmux import Tmux; Tmux(os.environ).open_windows([('web', ('sleep', '600'))])"
    )
    servers.tmux(
        "new-session", "-d", "-s", "work", "-n", "shell", sys.executable, "-c", program, name="other"
    )

    def check():
        assert servers.windows() == ["web"]

    eventually(check)


def test_a_folder_for_sockets_with_an_umlaut(servers):
    """The path of the socket comes back as it is, in any locale."""
    folder = servers.folder / "ünï"
    folder.mkdir()
    tmux = Tmux({**servers.environ, "TMUX_TMPDIR": str(folder), "LC_ALL": "C"})
    (window,) = tmux.open_windows([("web", SLEEP)])
    try:
        assert window.socket == f"{folder}/tmux-{os.getuid()}/default"
        assert tmux.exists(window)
    finally:
        tmux.close(window)


def test_a_socket_that_cannot_be(servers):
    """What tmux says is passed on, with a way out."""
    blocked = servers.folder / f"tmux-{os.getuid()}"
    blocked.write_text("")

    with pytest.raises(DevportError, match=r"^cannot open windows in tmux: .*; --no-tmux") as caught:
        Tmux(servers.environ).open_windows([("web", SLEEP)])
    assert "\n" not in caught.value.message


def test_an_unreadable_configuration(servers, tmux):
    """Errors in the user's tmux.conf are tmux's to show: the windows are there."""
    servers.configure("set -g nonsense on\nbind\n{\n")
    tmux.open_windows([("web", SLEEP), ("api", SLEEP)])

    assert servers.windows() == ["web", "api"]


def test_a_closed_window_hangs_up(servers, tmux, tmp_path):
    """What runs in a window that is closed gets HUP: the supervisor's cue to stop."""
    note = tmp_path / "hup"
    trap = f"trap {shlex.quote(f'echo hup > {note}; exit')} HUP"
    script = f"{trap}; echo ready; while :; do sleep 600 & wait; done"
    (window,) = tmux.open_windows([("web", ("sh", "-c", script))])

    def ready():
        assert "ready" in servers.tmux("capture-pane", "-p", "-t", window.id)

    def hung_up():
        assert note.exists()

    eventually(ready)
    tmux.close(window)
    eventually(hung_up)
