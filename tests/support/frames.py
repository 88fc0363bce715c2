"""One project, run in a window or under supervisors of the background: what a test says once for both frames.

Services tell a test what they do through files of the project (`mark`, `marks`): that costs no command and is
the same in both frames.
"""

import json
import os
import pathlib
import signal

import pytest
from support import background, procs
from support.procs import eventually
from support.running import PATIENCE, python

FRAMES = ("foreground", "background")
SAY = (
    "import os, signal, socket, sys, time\n"
    "post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "def say(text): post.sendto(text.encode(), os.environ['NOTIFY_SOCKET'])\n"
    "def mark(name, text): open(name, 'a').write(f'{text}\\n')\n"
)
"""What the services of `told` have at hand."""


def told(code):
    """The command of a Python that has `say` and `mark`, and the modules that those need."""
    return python(SAY + code)


def mark(name, text="$$"):
    """The words of a shell that add the line `text` to the file `name`, in one write."""
    return f"echo {text} >> {name}"


class Frame:
    """A project whose services run in `kind` of frame; `machine` has the commands and the records."""

    def __init__(self, kind, machine):
        self.kind, self.machine, self.devport = kind, machine, machine.devport
        self.run = None

    @property
    def is_foreground(self):
        """Whether all services share one supervisor."""
        return self.kind == "foreground"

    # the project

    def write(self, processes, **others):
        """devport.yaml of these processes; `others` (tasks, groups) stand beside them."""
        self.devport.write("devport.yaml", json.dumps({"processes": processes, **others}))

    def marks(self, name):
        """The lines of the file `name` of the project."""
        try:
            return (self.devport.project / name).read_text().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def marked(self, name, count, timeout=PATIENCE):
        """The lines of `name` once there are at least `count`."""

        def check():
            found = self.marks(name)
            assert len(found) >= count, f"{name}: {found}\n{self.text()[-3000:]}"
            return found

        return eventually(check, timeout)

    # commands

    def up(self, *names, env=()):
        """Start: in a window it stays, in the background it returns; what starts is to be waited for."""
        if self.is_foreground:
            self.run = self.devport.start(*names, env=env)
            return None
        return self.machine.call("start", "-d", "--no-tmux", *names, env=env)

    def do(self, *words, **options):
        """What `devport WORDS`, typed elsewhere, prints."""
        return self.machine.do(*words, **options)

    def down(self):
        """`devport down`, and the end of the run in the window."""
        self.machine.call("down", timeout=60)
        if self.run is not None:
            self.run.finish()
        self.machine.nothing_left()

    # what is to be seen

    def row(self, name):
        """What `ls` says of `name`; AssertionError where it is not there."""
        rows = self.machine.ls()
        assert name in rows, rows.keys()
        return rows[name]

    def reached(self, name, state, timeout=PATIENCE):
        """The row of `name` once it is in `state`."""

        def check():
            row = self.row(name)
            assert row["state"] == state, f"{row}\n{self.text()[-3000:]}"
            return row

        return eventually(check, timeout)

    def text(self):
        """All that was printed so far, devport's own words among it."""
        if self.is_foreground:
            if self.run is None:
                return ""
            if self.run.out is not None:
                self.run.read(0)
            return self.run.everything().decode(errors="replace")
        logs = sorted((self.devport.state / "logs").glob("*.log"))
        return "".join(pathlib.Path(one).read_text(errors="replace") for one in logs)

    def said(self, words, count=1, timeout=PATIENCE):
        """`words` were printed at least `count` times."""

        def check():
            assert (text := self.text()).count(words) >= count, text[-3000:]

        eventually(check, timeout)

    def supervisor(self, name):
        """The pid of the devport that looks after `name`."""
        return self.run.supervisor if self.is_foreground else self.machine.supervisor(self.row(name)["hash"])

    def close(self):
        """Whatever is left of the run in the window ends."""
        if self.run is None or self.run.popen.poll() is not None:
            return
        procs.send(self.run.pid, signal.SIGCONT)
        self.run.send(signal.SIGTERM)
        procs.elapse(procs.APART)
        self.run.send(signal.SIGTERM)
        self.run.finish()


def open_descriptors(pid):
    """How many descriptors `pid` has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def _frame(devport, kind):
    yield from _with(background._machine(devport, windows=False), kind)


def _with(machines, kind):
    machine = next(machines)
    frame = Frame(kind, machine)
    try:
        yield frame
    finally:
        try:
            frame.close()
        finally:
            next(machines, None)


@pytest.fixture(params=FRAMES)
def frame(devport, request):
    """A project, once in the foreground and once in the background."""
    yield from _frame(devport, request.param)


@pytest.fixture
def window(devport):
    """A project in the foreground."""
    yield from _frame(devport, "foreground")


@pytest.fixture
def back(devport):
    """A project in the background."""
    yield from _frame(devport, "background")
