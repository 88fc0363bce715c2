"""Background services as a test has them: in windows of a private tmux server, or as daemons; and their end.

Nothing of the caller's machine is used: home, state folder, sockets of tmux and ports are the test's own.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from support import procs
from support.procs import eventually
from support.running import CHILDREN, need

from devport.registry.locks import held

SERVER = "devport-tests"
WINDOWS = ("tmux", "no-tmux")
SUPERVISOR = "devport supervise"
"""What the command line of every supervisor says; its guardian is a shell called devport."""
LATE = 10.0


def argv(name, *words):
    """The words that become the small program `children/NAME.py`."""
    return [sys.executable, "-I", "-S", str(CHILDREN / f"{name}.py"), *map(str, words)]


def python(code, *words):
    """The words that become Python running `code`."""
    return [sys.executable, "-I", "-S", "-c", code, *map(str, words)]


def shell(script, *words):
    """The words that become a shell with `script`."""
    return ["/bin/sh", "-c", script, "sh", *map(str, words)]


def variables(*names):
    """The words that print the values of these variables as `[A|B]`, then "ready", and stay.

    They are the process's own: `$NAME` in a word would be replaced by devport.
    """
    code = (
        "import os, signal, sys; values = [os.environ.get(name, '') for name in sys.argv[1:]];"
        "print('[' + '|'.join(values) + ']', 'ready', sep='\\n', flush=True); signal.pause()"
    )
    return python(code, *names)


class Machine:
    """A user's machine: `devport` in a project, records, supervisors, and (with `windows`) tmux."""

    def __init__(self, devport, *, windows=True):
        self.devport, self.tag, self.windows = devport, devport.tag, windows
        # Not below pytest's own folder: the path of a socket has at most 107 bytes.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="devport-bg-", dir="/tmp"))
        self.environ, self.project, self.state = devport.environ, devport.project, devport.state
        self.environ |= {"TMUX_TMPDIR": str(self.sockets), "DEVPORT_TMUX": SERVER}
        self.flags = () if windows else ("--no-tmux",)

    # commands

    def call(self, *words, **options):
        """The ended `devport WORDS`, whatever came of it."""
        return self.devport.call(*words, **options)

    def do(self, *words, status=0, **options):
        """What `devport WORDS` prints on stdout; AssertionError for another status than `status`."""
        done = self.call(*words, **options)
        assert done.status == status, f"devport {' '.join(words)}: status {done.status}\n{done.shown()}"
        return done.output.decode()

    def refused(self, *words, status=1, **options):
        """What `devport WORDS` says on stderr, ending with `status`."""
        done = self.call(*words, **options)
        assert done.status == status, f"devport {' '.join(words)}: status {done.status}\n{done.shown()}"
        return done.errors.decode()

    def json(self, *words, status=0, **options):
        """The same as JSON."""
        return json.loads(self.do(*words, status=status, **options))

    def start(self, key, command, *words, status=0, **options):
        """`devport start --key KEY WORDS -- COMMAND`: what it prints. No KEY: none is given."""
        named = () if key is None else ("--key", key)
        return self.json("start", *self.flags, *named, *words, "--", *command, status=status, **options)

    def detach(self, *words, status=0, **options):
        """`devport start -d WORDS` in the project: its rows, by name."""
        rows = self.json("start", "-d", *self.flags, *words, status=status, **options)
        return {row["name"]: row for row in rows}

    def ls(self, *words):
        """What `devport ls` says, by name."""
        return {row["name"]: row for row in self.json("ls", *words)}

    def row(self, name):
        """What `devport ls` says of one service."""
        return self.ls()[name]

    # what is on the disk

    def record(self, hash_):
        """The record file."""
        return json.loads((self.state / "services" / f"{hash_}.json").read_bytes())

    def rewrite(self, hash_, **fields):
        """Other values in the record of a service that does not run."""
        path = self.state / "services" / f"{hash_}.json"
        path.write_text(json.dumps({**self.record(hash_), **fields}))

    def log(self, hash_):
        """What the service has printed."""
        try:
            return (self.state / "logs" / f"{hash_}.log").read_bytes()
        except FileNotFoundError:
            return b""

    def logged(self, hash_, pattern, count=1, timeout=20.0):
        """The `count`-th match of `pattern` in the log, once it is there."""

        def check():
            found = list(re.finditer(pattern, self.log(hash_)))
            assert len(found) >= count, f"{len(found)} of {count} {pattern!r} in {self.log(hash_)[-2000:]!r}"
            return found[count - 1]

        return eventually(check, timeout)

    # processes

    def holder(self, hash_):
        """Who holds the lock, None for nobody."""
        return held(str(self.state / "locks" / f"{hash_}.lock"))

    def supervisor(self, hash_):
        """The pid of the supervisor."""

        def check():
            holder = self.holder(hash_)
            assert holder is not None, "nobody runs it"
            assert holder.pid, "it cannot be named"
            return holder.pid

        return eventually(check)

    def guardian(self, hash_):
        """The pid of the shell above the supervisor."""
        return procs.process(self.supervisor(hash_)).parent

    def service(self, hash_):
        """The pid of the service: the supervisor's only child."""
        supervisor = self.supervisor(hash_)

        def check():
            found = [pid for pid in procs.children(supervisor) if procs.is_alive(pid)]
            assert len(found) == 1, f"the supervisor has {len(found)} children"
            return found[0]

        return eventually(check)

    def ended(self, hash_, timeout=LATE):
        """Nobody holds the lock any more."""

        def check():
            assert self.holder(hash_) is None

        eventually(check, timeout)

    def reached(self, hash_, state, timeout=LATE):
        """The record once it says `state`."""

        def check():
            record = self.record(hash_)
            assert record["state"] == state
            return record

        return eventually(check, timeout)

    def left(self):
        """The living processes of this test but for the tmux servers and what the user has in panes."""
        found = self._processes()
        servers = {one.pid for one in found if one.command.startswith("tmux")}
        return [
            one
            for one in found
            if one.pid not in servers
            and not (one.parent in servers and "devport" not in one.command.partition("supervise")[0])
        ]

    def _processes(self):
        # By tag, and by the state folder on the command line: a tmux server's environment is its own.
        found = {one.pid: one for one in procs.tree(self.tag)}
        state = os.fsencode(self.state).hex()
        for pid in procs.everybody():
            if (one := procs.process(pid)) and state in one.command and procs.alive(one):
                found[pid] = one
        return list(found.values())

    def nothing_left(self, timeout=LATE):
        """No supervisor, no guardian and no service lives."""

        def check():
            assert self.left() == []

        eventually(check, timeout)

    # tmux

    def tmux(self, *words, status=0):
        """What `tmux WORDS`, typed by the user, prints."""
        done = subprocess.run(
            ["tmux", "-u", *self._server(), *words],
            env=self.environ,
            cwd=self.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert status is None or done.returncode == status, done.stderr
        return done.stdout.rstrip("\n")

    def _server(self):
        name = self.environ.get("DEVPORT_TMUX")
        return ("-L", name) if name else ()

    def opened(self, form="#{window_name}"):
        """A line for each window there is, `form` of it."""
        return self.tmux("list-windows", "-a", "-F", form, status=None).splitlines()

    def window(self, hash_):
        """The id of the service's window."""
        return self.record(hash_)["run"]["window"]

    def screen(self, window):
        """What the window shows."""
        return self.tmux("capture-pane", "-p", "-t", window)

    def shows(self, window, pattern):
        """A match of `pattern` in what the window shows, once it does."""

        def check():
            found = re.search(pattern, shown := self.screen(window))
            assert found, shown
            return found

        return eventually(check)

    def type(self, window, *keys):
        """Type `keys`, as tmux calls them, into the window."""
        self.tmux("send-keys", "-t", window, *keys)

    def closed(self, *names):
        """None of the windows called `names` is there any more."""

        def check():
            assert set(names).isdisjoint(self.opened())

        eventually(check)

    # the end

    def tear_down(self):
        """Every supervisor is stopped; AssertionError for what that leaves, and nothing lives after it."""
        for one in self._processes():
            if SUPERVISOR in one.command:
                procs.send(one.pid, signal.SIGCONT)
                procs.send(one.pid, signal.SIGTERM)
        left = []
        try:
            self.nothing_left(8)
        except AssertionError:
            left = self.left()
        self._kill_servers()
        self.kill()
        shutil.rmtree(self.sockets, ignore_errors=True)
        assert left == [], "left running"

    def _kill_servers(self):
        for socket in self.sockets.glob("*/*"):
            subprocess.run(
                ["tmux", "-S", str(socket), "kill-server"],
                env=self.environ,
                capture_output=True,
                check=False,
                timeout=20,
            )

    def kill(self):
        """SIGKILL to everything of this test, until nothing is left."""

        def check():
            found = self._processes()
            for one in found:
                procs.send(one.pid, signal.SIGKILL)
            assert found == []

        eventually(check, 20)


def _machine(devport, *, windows):
    if windows:
        need("tmux")
    made = Machine(devport, windows=windows)
    try:
        yield made
    finally:
        made.tear_down()


@pytest.fixture(params=WINDOWS)
def machine(devport, request):
    """A machine, once with windows and once without."""
    yield from _machine(devport, windows=request.param == "tmux")


@pytest.fixture
def windowed(devport):
    """A machine with tmux."""
    yield from _machine(devport, windows=True)


@pytest.fixture
def plain(devport):
    """A machine without windows, for what does not depend on them."""
    yield from _machine(devport, windows=False)
