"""The installed `devport` as a test runs it: in a project of its own, with handshakes, signals and an end."""

import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time

from support import procs

DEVPORT = str(pathlib.Path(sys.executable).parent / "devport")
CHILDREN = pathlib.Path(__file__).parent / "children"
PATIENCE = float(os.environ.get("DEVPORT_TEST_PATIENCE", "20"))
"""Seconds for what takes milliseconds: the machine may be busy. Less where a test is expected to fail."""
LATE = 3.0
"""Seconds that an end may take longer than its grace says, on a busy machine."""
LEAVING = 4.0
"""Seconds that what has been told to end may still be there when a test is over, on a busy machine."""


def child(name, *words):
    """The shell command that becomes the small program `children/NAME.py`."""
    return shlex.join(["exec", sys.executable, "-I", "-S", str(CHILDREN / f"{name}.py"), *map(str, words)])


def python(code, *words):
    """The shell command that becomes Python running `code` (which must fit on one line of a Procfile)."""
    return shlex.join(["exec", sys.executable, "-I", "-S", "-c", code, *map(str, words)])


def need(program):
    """Skip the test where `program` is not installed."""
    import pytest  # noqa: PLC0415 - this module is of use without it

    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def need_package(module, package):
    """The module of a Python package that only tests want; skips where it is missing, but fails in CI."""
    import importlib  # noqa: PLC0415

    import pytest  # noqa: PLC0415

    try:
        return importlib.import_module(module)
    except ImportError:
        why = f"the package {package} is not installed"
        if os.environ.get("CI"):
            pytest.fail(f"in CI, {why}", pytrace=False)
        pytest.skip(why, allow_module_level=True)


class Running:
    """A started program: what it printed so far, its keyboard if it has a terminal, and its end."""

    def __init__(self, popen, tag, out=None, err=None, keyboard=None):
        self.popen, self.tag, self.keyboard = popen, tag, keyboard
        self.modes = None  # of its terminal, as they were before it could change them
        self.out, self.err = out, err
        self.buffer, self.errors = bytearray(), b""
        self.seen = 0  # how much of `output` has been matched by `expect`
        self.count = 0  # bytes read from stdout in all
        self.keep = None  # if set, only so many of the last bytes stay in `output`
        self.chunk, self.pause = 1 << 20, 0.0  # a slow reader: bytes at once, and seconds between
        self.ended = None  # when its end was noticed

    @property
    def output(self):
        """All that was read from stdout."""
        return bytes(self.buffer)

    @property
    def pid(self):
        """The process that the caller started: devport's guardian."""
        return self.popen.pid

    @property
    def supervisor(self):
        """The process that does the work: the guardian's child."""

        def check():
            found = [pid for pid in procs.children(self.pid) if procs.is_alive(pid)]
            assert len(found) == 1, f"the guardian has {len(found)} children"
            return found[0]

        return procs.eventually(check)

    def services(self, count):
        """The processes that the supervisor has started, once they are `count`."""
        supervisor = self.supervisor

        def check():
            found = procs.children(supervisor)
            assert len(found) == count, f"{len(found)} of {count}"
            return found

        return procs.eventually(check, PATIENCE)

    def read(self, timeout):
        """Take what there is to read, waiting at most `timeout` seconds for some."""
        streams = [fd for fd in (self.out, self.err) if fd is not None]
        for fd in select.select(streams, [], [], timeout)[0]:
            try:
                data = os.read(fd, self.chunk)
            except BlockingIOError:
                continue
            except OSError:  # EIO: the last process has closed the terminal
                data = b""
            if fd == self.out:
                self._took(data)
            elif data:
                self.errors += data
            else:
                self.err = self._closed(self.err)

    def _took(self, data):
        if not data:
            self.out = self._closed(self.out)
            return
        self.count += len(data)
        self.buffer += data
        if self.keep is not None and len(self.buffer) > self.keep:
            cut = len(self.buffer) - self.keep
            del self.buffer[:cut]
            self.seen = max(0, self.seen - cut)
        if self.pause:
            select.select([], [], [], self.pause)

    @staticmethod
    def _closed(fd):
        os.close(fd)

    def expect(self, pattern, timeout=PATIENCE):
        """The next match of `pattern` (a bytes regex, `.` matches all but LF) in what is printed."""
        deadline = time.monotonic() + timeout
        while (match := re.compile(pattern, re.MULTILINE).search(self.buffer, self.seen)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or self.out is None:
                why = "output ended" if self.out is None else f"{timeout} s passed"
                raise AssertionError(f"{why} without {pattern!r} in:\n{self.shown()}")
            self.read(min(left, 0.5))
        self.seen = match.end()
        return match

    def expect_all(self, *patterns, timeout=PATIENCE):
        """A match of each of `patterns` from here on, in whatever order they come."""
        begin, matches = self.seen, []
        for pattern in patterns:
            self.seen = begin
            matches.append(self.expect(pattern, timeout))
        self.seen = max(match.end() for match in matches)
        return matches

    def ready(self, *names):
        """Wait until each of these services has printed a line that begins with "ready"."""
        return self.expect_all(*(name.encode() + rb" *\|[^|]*\bready\b" for name in names))

    def expect_error(self, pattern, timeout=PATIENCE):
        """A match of `pattern` in what is printed on stderr."""
        deadline = time.monotonic() + timeout
        while (match := re.search(pattern, self.errors)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or self.err is None:
                raise AssertionError(f"no {pattern!r} on stderr:\n{self.shown()}")
            self.read(min(left, 0.5))
        return match

    def finish(self, timeout=PATIENCE):
        """Wait for the end, reading all the while; the status, -n where signal n killed it."""
        deadline = time.monotonic() + timeout
        while self.popen.poll() is None:
            if time.monotonic() > deadline:
                left = "\n".join(map(str, procs.tree(self.tag)))
                raise AssertionError(f"still running after {timeout} s:\n{left}\n{self.shown()}")
            self.read(0.005)
        self.ended = time.monotonic()
        while (self.out is not None or self.err is not None) and time.monotonic() < self.ended + 5:
            before = self.count, len(self.errors), self.out, self.err
            self.read(0.3)
            if (self.count, len(self.errors), self.out, self.err) == before:
                break
        return self.popen.returncode

    def send(self, number):
        """Send a signal to the process that was started."""
        self.popen.send_signal(number)

    def send_group(self, number):
        """Send a signal to its whole process group, as a terminal or a shell's `kill %1` does."""
        os.killpg(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=PATIENCE):
        """Signal, and wait: the status and how many seconds it took."""
        began = time.monotonic()
        self.send(number)
        status = self.finish(timeout)
        return status, self.ended - began

    def type(self, data):
        """Type at its terminal."""
        os.write(self.keyboard, data)

    def resize(self, columns, rows):
        """Give its terminal another size."""
        termios.tcsetwinsize(self.keyboard, (rows, columns))

    def stall(self):
        """From now on nobody reads its stdout; returns the descriptor that would."""
        self.out, unread = None, self.out
        return unread

    def shown(self):
        """For messages of failed tests."""
        return f"--- stdout\n{self.output[-3000:].decode(errors='replace')}\n--- stderr\n" + (
            self.errors[-3000:].decode(errors="replace")
        )

    def payload(self, name):
        """All bytes of the lines of service `name`, joined, prefixes taken off."""
        return b"".join(line + b"\n" for line in self.lines(name))

    def lines(self, name):
        """The lines of service `name`, prefixes taken off."""
        found = re.findall(rb"^\d\d:\d\d:\d\d " + name.encode() + rb" *\| (.*)$", self.output, re.MULTILINE)
        return [line.removesuffix(b"\r") for line in found]

    def everything(self):
        """Both streams, for messages that may stand on either."""
        return self.output + self.errors


class Devport:
    """Starts `devport` in a temporary project with a home, a state folder and ports of its own."""

    def __init__(self, folder, tag):
        self.tag, self.folder = tag, folder
        self.home, self.state, self.tmp = folder / "home", folder / "state", folder / "tmp"
        self.project = folder / "project"
        for one in (self.home, self.tmp, self.project):
            one.mkdir(parents=True, exist_ok=True)
        self.ports = procs.Ports()
        self.running = []
        self.descriptors = []
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "DEVPORT_HOME": str(self.state),
            "DEVPORT_PORT_RANGE": str(self.ports),
            "TMPDIR": str(self.tmp),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            procs.TAG: tag,
        }
        if "PYTHONPATH" in os.environ:  # another copy of devport under the same tests
            self.environ["PYTHONPATH"] = os.environ["PYTHONPATH"]

    def claim(self, count):
        """Use a range of `count` ports instead of the usual 50."""
        self.ports.release()
        self.ports = procs.Ports(count)
        self.environ["DEVPORT_PORT_RANGE"] = str(self.ports)

    def write(self, name, text, folder=None):
        """A file of the project."""
        path = (folder or self.project) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def procfile(self, folder=None, /, **entries):
        """Write the Procfile; a name's underscores become hyphens."""
        text = "".join(f"{name.replace('_', '-')}: {command}\n" for name, command in entries.items())
        return self.write("Procfile", text, folder)

    # starting

    def start(self, *words, **options):
        """`devport start WORDS` in the project."""
        return self.spawn([DEVPORT, "start", *words], **options)

    def run(self, *words, **options):
        """`devport run WORDS` in the project."""
        return self.spawn([DEVPORT, "run", *words], **options)

    def call(self, *words, timeout=PATIENCE, **options):
        """`devport WORDS` until it ends; the Running, with its status as `.status`."""
        running = self.spawn([DEVPORT, *words], **options)
        running.status = running.finish(timeout)
        return running

    def spawn(self, argv, *, cwd=None, env=(), stdin=None, stdout=None, setup=(), terminal=None):
        """Start any program of this test.

        `stdout`: a descriptor instead of a pipe that is read. `terminal` (columns, rows): a pty that is
        its controlling terminal and all its streams. `setup`: peculiarities, as children/setup.py has them.
        """
        environ = {**self.environ, **dict(env)}
        environ = {name: value for name, value in environ.items() if value is not None}
        if terminal is not None:
            return self._at_terminal(_prepared(argv, ("terminal", *setup)), terminal, cwd, environ)
        out = err = None
        if stdout is None:
            out, stdout = self.pipe()
        err, errors = self.pipe()
        popen = subprocess.Popen(
            _prepared(argv, setup),
            cwd=cwd or self.project,
            env=environ,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=errors,
            start_new_session=True,
        )
        os.close(errors)
        self.descriptors.remove(errors)
        if out is not None:
            os.close(stdout)
            self.descriptors.remove(stdout)
        return self._remember(Running(popen, self.tag, self._lend(out), self._lend(err)))

    def _at_terminal(self, argv, size, cwd, environ):
        keyboard, screen = pty.openpty()
        termios.tcsetwinsize(screen, (size[1], size[0]))
        modes = termios.tcgetattr(screen)
        popen = subprocess.Popen(
            argv,
            cwd=cwd or self.project,
            env=environ,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )
        os.close(screen)
        self.descriptors.append(keyboard)
        running = self._remember(Running(popen, self.tag, os.dup(keyboard), keyboard=keyboard))
        running.modes = modes
        return running

    def pipe(self):
        """A pipe that is closed when the test ends: what is read, what is written."""
        ends = os.pipe()
        self.descriptors += ends
        return ends

    def socketpair(self):
        """The same with a socket."""
        ends = [one.detach() for one in socket.socketpair()]
        self.descriptors += ends
        return ends

    def close(self, fd):
        """Close a descriptor of `pipe`, `socketpair` or `open` early."""
        self.descriptors.remove(fd)
        os.close(fd)

    def _lend(self, fd):
        """Hand a descriptor over to a Running, which closes it at its end."""
        if fd is not None:
            self.descriptors.remove(fd)
        return fd

    def _remember(self, running):
        self.running.append(running)
        return running

    # the end

    def tear_down(self):
        """Kill whatever is left; AssertionError naming it, because a test ends what it starts."""
        left = []
        try:
            procs.gone(self.tag, LEAVING)
        except AssertionError:
            left = procs.tree(self.tag)
            procs.kill_all(self.tag)
        for one in self.running:
            one.popen.kill()
            one.popen.wait()
            for fd in (one.out, one.err):
                if fd is not None:
                    os.close(fd)
        for fd in self.descriptors:
            os.close(fd)
        self.ports.release()
        assert left == [], "left running"


def _prepared(argv, setup):
    """`argv`, executed by a process with the peculiarities of `setup`."""
    if not setup:
        return argv
    return [sys.executable, "-I", "-S", str(CHILDREN / "setup.py"), *setup, "--", *argv]
