"""One start of one tool on one set of entries: its folder, its environment, its output, and its end.

Nothing of a trial outlives it: the folder (HOME, DEVPORT_HOME, TMPDIR, sockets) is removed and every process
that carries the trial's token is killed. What a workload measures on top is the workload's affair.
"""

import fcntl
import os
import pty
import re
import secrets
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Iterator
from typing import Self

from bench import tree
from bench.runners import Entries, Runner

READ = 1 << 20
COMPLAINT = re.compile(rb"[^\n]*\b(?:cannot|error|failed|exited|in use)\b[^\n]*", re.IGNORECASE)
LAST_LINE = re.compile(rb"[^\n]+\Z")


class FailedError(Exception):
    """The tool cannot do this, or did not in time; the text is the reason shown in the table."""


def environment(folder: str, token: str) -> dict[str, str]:
    """A small environment that is the same for every tool and lets nothing out of the folder."""
    own = dict.fromkeys(("HOME", "DEVPORT_HOME", "TMPDIR", "TMUX_TMPDIR", "XDG_RUNTIME_DIR"), folder)
    return {
        **own,
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "SHELL": "/bin/sh",
        "TERM": "xterm-256color",
        tree.TOKEN: token,
    }


class Trial:
    """A started tool whose output we read; a context manager, because its end must come."""

    def __init__(self, runner: Runner, entries: Entries, *, seconds: float) -> None:
        self.runner = runner
        self.entries = entries
        self.seconds = seconds
        self.token = tree.RUN + secrets.token_hex(8)

    def __enter__(self) -> Self:
        """Start the tool, in a session of its own; the clock starts just before."""
        self.folder = tempfile.mkdtemp(prefix="dpb-")
        argv = self.runner.argv(self.folder, self.entries)
        self.output, theirs = terminal() if self.runner.terminal else os.pipe()
        with open(f"{self.folder}/stderr", "wb") as errors:
            self.started = time.monotonic()
            self.deadline = self.started + self.seconds
            self.process = subprocess.Popen(
                argv,
                stdin=theirs if self.runner.terminal else subprocess.DEVNULL,
                stdout=theirs,
                stderr=errors,
                cwd=self.folder,
                env=environment(self.folder, self.token),
                start_new_session=True,
            )
        os.close(theirs)
        self.exit = os.pidfd_open(self.process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what is left, reap our child, remove the folder."""
        tree.kill(self.token)
        self.process.wait()
        os.close(self.output)
        os.close(self.exit)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """What the tool runs in; for its further commands."""
        return environment(self.folder, self.token)

    def chunks(self) -> Iterator[bytes]:
        """The output as it comes, to its end or until the time is up; last_words tells which."""
        while (left := self.deadline - time.monotonic()) > 0:
            if not select.select([self.output], [], [], left)[0]:
                return
            chunk = self.read()
            if not chunk:
                return
            yield chunk

    def read(self) -> bytes:
        """What is there to read; nothing at the end. A pty says its end with an error."""
        try:
            return os.read(self.output, READ)
        except OSError:
            return b""

    def drain(self, seconds: float) -> bool:
        """Read and forget for so long, or until the tool exits: whether it did."""
        end = time.monotonic() + seconds
        watched = [self.output, self.exit]
        while (left := end - time.monotonic()) > 0:
            ready = select.select(watched, [], [], left)[0]
            if self.exit in ready:
                return True
            if self.output in ready and not self.read():
                watched = [self.exit]
        return False

    def interrupt(self) -> None:
        """Ask the tool, and it alone, to end."""
        self.process.send_signal(signal.SIGINT)

    def usage(self) -> tree.Usage:
        """What the manager has cost so far."""
        return tree.usage(self.token)

    def last_words(self, output: bytes = b"") -> str:
        """Why the output ended too early, in the tool's own words if it had any."""
        if time.monotonic() >= self.deadline:
            return f"not done within {self.seconds:.0f} s"
        self.drain(1)
        with open(f"{self.folder}/stderr", "rb") as errors:
            found = COMPLAINT.search(output) or LAST_LINE.search(errors.read().strip())
        complaint = f": {found[0].decode(errors='replace')[:120]}" if found else ""
        return f"ended early, status {self.process.poll()}{complaint}"


def terminal() -> tuple[int, int]:
    """A pseudo-terminal of ordinary size: our end and theirs."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    return ours, theirs
