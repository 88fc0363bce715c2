"""The machine of a walk: its folders, its devport, its foreground runs, and what is done to them."""

import contextlib
import fcntl
import os
import re
import resource
import signal
import sys
import threading
import time

from support import background, procs
from support.running import DEVPORT, Devport

from devport.errors import DevportError
from devport.registry.locks import held
from devport.registry.store import Store
from drill.books import Journals, Logs, Source
from drill.deadlines import deadline
from drill.excuses import Excuses, Kill, Span

KID = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kid.py")
PATIENT = 40.0
"""Seconds in which a run in the foreground ends."""
MOMENT = 2.0


class Fault(AssertionError):  # noqa: N818 - of devport's, not of the walk's
    """Something that must hold does not."""


class Answer:
    """An ended command."""

    def __init__(self, words, running, status, seconds):
        self.words, self.status, self.seconds = words, status, seconds
        self.out, self.err = running.output, running.errors

    def __str__(self):  # noqa: D105
        text = (self.out[-600:] + b" / " + self.err[-900:]).decode(errors="replace").replace("\n", "\\n")
        return f"devport {' '.join(self.words)}: status {self.status} after {self.seconds:.1f} s: {text}"


class Foreground:
    """A run in the foreground, and whoever reads it, in a thread of its own: `stall` and `go_on`."""

    def __init__(self, world, words, terminal):
        self.words = words
        if terminal:
            self.running = world.devport.spawn([DEVPORT, *words], terminal=(120, 30))
        else:
            self.running = world.devport.spawn([DEVPORT, *words])
        self.source = Source(f"foreground run {self.running.pid}", mixed=True, terminal=terminal)
        self.supervisors = set()  # the pids that have been its supervisor: one
        self.stalls = []  # Spans in which nobody read it
        self.reading = threading.Event()
        self.reading.set()
        self.out, self.running.out = self.running.out, None
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.errors = threading.Thread(target=self._read_errors, daemon=True)
        self.errors.start()

    def _read(self):
        while True:
            self.reading.wait()
            try:
                data = os.read(self.out, 65536)
            except OSError:
                data = b""
            if not data:
                return
            self.running.buffer += data
            self.source.feed(data.replace(b"\r\n", b"\n"))

    def _read_errors(self):
        if self.running.err is None:
            return
        while data := os.read(self.running.err, 65536):
            self.running.errors += data

    @property
    def supervisor(self):
        """The pid of the process that does the work, None where there is none."""
        found = [pid for pid in procs.children(self.running.pid) if procs.is_alive(pid)]
        self.supervisors.update(found)
        return found[0] if found else None

    @property
    def stalled(self):
        """Whether nobody reads it at present."""
        return bool(self.stalls) and self.stalls[-1].end is None

    @property
    def dropped(self):
        """Whether it says itself that output was dropped. On a terminal there is nobody to say it to."""
        return self.running.keyboard is not None or b"of output dropped" in self.running.errors

    @property
    def ended(self):
        """Its status, None while it runs."""
        return self.running.popen.poll()

    def close(self):
        """After its end: what it printed has been read."""
        self.reading.set()
        self.thread.join(10)
        self.errors.join(10)
        os.close(self.out)


class World:
    """All that a walk works on. `names`: the services that there may be; `project`: those of the file."""

    def __init__(self, folder, tag, *, windows):
        self.devport = Devport(folder, tag)
        self.machine = background.Machine(self.devport, windows=windows)
        self.tag, self.windows = tag, windows
        self.store = Store(str(self.devport.state))
        self.notes = folder / "journals"
        self.notes.mkdir()
        self.journals = Journals(self.notes)
        self.logs = Logs(self.devport.state / "logs")
        self.foreground = None
        self.fronts = []  # all foreground runs there were
        self.said = []  # every answer
        self.excuses = Excuses(self.fronts)
        self.ballast = self.devport.state / "ballast"

    # commands

    def begin(self, words, **options):
        """Start a command."""
        running = self.devport.spawn([DEVPORT, *words], **options)
        running.began, running.seconds = time.monotonic(), deadline(self, words)
        return words, running

    def end(self, begun):
        """Its Answer; Fault for one that does not come in time, or is a traceback."""
        words, running = begun
        try:  # of two that began together, the second may have ended while the first was waited for
            status = running.finish(max(MOMENT, running.began + running.seconds - time.monotonic()))
        except AssertionError as error:
            said = f"devport {' '.join(words)}: no answer within {running.seconds:g} s\n{error}"
            raise Fault(said) from None
        answer = Answer(words, running, status, time.monotonic() - running.began)
        self.devport.running.remove(running)
        for name in ("out", "err"):
            if (fd := getattr(running, name)) is not None:
                os.close(fd)
        self.said.append(answer)
        for data in (answer.out, answer.err):
            if b"Traceback" in data:
                raise Fault(f"a traceback: {answer}\n{data.decode(errors='replace')}")
        return answer

    def call(self, *words, **options):
        """Both."""
        return self.end(self.begin(words, **options))

    # who is who

    def hashes(self):
        """The hash of each name there is a record of."""
        return {one.label: one.hash for one in self.store.records().records.values()}

    def hash(self, name):
        """The hash of `name`, None where there is no record that can be read."""
        return self.hashes().get(name)

    def holder(self, name):
        """Who runs it."""
        hash_ = self.hash(name)
        try:
            return held(self.store.lock_path(hash_)) if hash_ else None
        except DevportError:
            return None

    def supervisor(self, name):
        """The pid of the background supervisor of `name`, None where there is none."""
        holder = self.holder(name)
        if holder is None or holder.mode != "background" or not holder.pid:
            return None
        return holder.pid

    def kids(self, name):
        """The living processes of service `name`."""
        # Not the devport that is told to start it: the words are on its command line as well.
        words = " ".join(kid(self, name, ""))
        return [one for one in procs.tree(self.tag) if f"{one.command} ".startswith(words)]

    # foreground

    def run(self, words, *, terminal=False):
        """Begin a run in the foreground, if none is there."""
        if self.foreground is None:
            self.foreground = Foreground(self, words, terminal)
            self.fronts.append(self.foreground)

    def ended_run(self, deadline=PATIENT):
        """Wait for the end of the foreground run: its Answer."""
        run = self.foreground
        if run is None:
            return None

        def check():
            assert run.ended is not None

        try:
            procs.eventually(check, deadline)
        except AssertionError:
            raise Fault(f"the run {run.words} does not end\n{run.running.shown()}") from None
        run.close()
        self.foreground = None
        if b"Traceback" in run.running.everything():
            raise Fault(f"a traceback of the foreground run:\n{run.running.shown()}")
        return run

    def stall(self):
        """Nobody reads the foreground run from now on."""
        if self.foreground and not self.foreground.stalled:
            self.foreground.stalls.append(Span())
            self.foreground.reading.clear()

    def go_on(self):
        """Somebody reads again."""
        if self.foreground and self.foreground.stalled:
            self.foreground.stalls[-1].close()
            self.foreground.reading.set()

    # faults

    def kill(self, pid, name=None, number=signal.SIGKILL):
        """Kill a supervisor: what it had not read yet is lost."""
        if pid is not None:
            self.excuses.kills.append(Kill(time.monotonic(), name, pid))
            if name and (hash_ := self.hash(name)):
                self.excuses.saw(hash_, pid)
            procs.send(pid, number)

    def limit(self, pid, what, soft):
        """Another soft limit for a process that runs; None: as much as it may have."""
        with contextlib.suppress(OSError, ValueError):
            number = getattr(resource, f"RLIMIT_{what}")
            hard = resource.prlimit(pid, number)[1]
            resource.prlimit(pid, number, (hard if soft is None else soft, hard))

    def fill(self):
        """No room in the state folder, if that is a disk of its own."""
        self.lacking()
        with self.ballast.open("ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), b"\0" * 65536)
        with self.ballast.open("ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), b"\0" * 16)

    def empty(self):
        """Room again."""
        self.ballast.unlink(missing_ok=True)
        for span in self.excuses.spans:
            span.close()

    def lacking(self, pid=None):
        """From now on a supervisor, or (None) all, have too little: until the Span is closed."""
        for hash_ in self.hashes().values():
            with contextlib.suppress(DevportError):
                if (holder := held(self.store.lock_path(hash_))) and holder.mode == "background":
                    self.excuses.saw(hash_, holder.pid)
        span = Span(pid)
        self.excuses.spans.append(span)
        return span

    def said_in_windows(self):
        """What all windows show, but for the services' own lines."""
        if not self.windows:
            return ""
        panes = self.machine.opened("#{pane_id}")
        shown = [
            self.machine.tmux("capture-pane", "-p", "-S", "-200", "-t", one, status=None) for one in panes
        ]
        lines = [line for text in shown for line in text.splitlines()]
        return "\n".join(line for line in lines if not re.search("<.*>|xxxx|^$|^:.*>$", line))

    def close(self):
        """Nothing is left, whatever has happened."""
        if self.foreground:
            self.foreground.reading.set()
        self.empty()
        self.logs.close()
        procs.kill_all(self.tag)
        if self.foreground:
            self.foreground.running.popen.wait(10)
            self.foreground.close()
        with contextlib.suppress(AssertionError):
            self.machine.tear_down()
        with contextlib.suppress(AssertionError):
            self.devport.tear_down()


def lives_on(path):
    """Whether anybody of a service's tree holds its life file at `path`."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def kid(world, name, *traits):
    """The words of a service."""
    return [sys.executable, "-I", "-S", KID, str(world.notes), name, *traits]
