"""Private tmux servers for tests: sockets in a folder of their own, a configuration that the test writes."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest
from support import procs


class Servers:
    """Every server whose socket is in one temporary folder, and the environment that leads there."""

    def __init__(self, home):
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        # Not below pytest's own folder: the path of a socket has at most 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="devport-tmux-", dir="/tmp"))
        self.home = home
        self.home.mkdir(exist_ok=True)
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", procs.TAG)},
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TMUX_TMPDIR": str(self.folder),
        }

    def configure(self, text):
        """What the user's own tmux.conf says."""
        (self.home / ".tmux.conf").write_text(text)

    def tmux(self, *words, name="default", **options):
        """What tmux prints for `words`, typed by the user; AssertionError where it fails."""
        done = self.call(*words, name=name, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def call(self, *words, name="default", **options):
        """The ended `tmux WORDS`, whatever came of it."""
        return subprocess.run(
            ["tmux", "-u", "-L", name, *words],
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            **options,
        )

    def windows(self, form="#{window_name}", name="default"):
        """A line for each window of all sessions."""
        done = self.call("list-windows", "-a", "-F", form, name=name)
        return done.stdout.splitlines() if done.returncode == 0 else []

    def tear_down(self):
        """No server is left, whatever state the test has left them in. Never raises."""
        for socket in self.folder.glob("*/*"):
            try:
                self.call("kill-server", name=socket.name)
            except (OSError, subprocess.SubprocessError):
                pass
        for one in procs.tree(self.environ[procs.TAG]):
            if one.command.startswith("tmux"):
                procs.send(one.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Window:
    """The one window of a private server below a test's own folder, in which `command` runs.

    It has 100 columns and 30 rows. `devport` is the fixture: what it spawned is what the test leaves behind.
    """

    def __init__(self, devport, command):
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not installed")
        self._devport = devport
        self.tmux("new-session", "-d", "-s", "s", "-x", "100", "-y", "30", command)

    def tmux(self, *words):
        """What tmux prints for `words`, bytes; AssertionError where it fails."""
        done = self._devport.spawn(
            ["tmux", "-L", "test", "-f", "/dev/null", *words], env={"TMUX_TMPDIR": str(self._devport.tmp)}
        )
        assert done.finish() == 0
        return done.output

    def expect(self, text, count=1):
        """Wait until the screen shows `text` `count` times or more."""

        def shown():
            assert self.tmux("capture-pane", "-p", "-t", "s").count(text) >= count

        procs.eventually(shown)
