"""The outside world as one value, built once at the edge and handed down; tests build their own."""

import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from devport.encoding import decode, printable
from devport.errors import DevportError


class Context(NamedTuple):
    """Streams (file descriptors), environment, working directory, state folder and clocks.

    `now` is monotonic seconds, `wall` seconds since the epoch (for display only).
    """

    environ: Mapping[str, str]
    cwd: str
    state_dir: str
    stdin: int = 0
    stdout: int = 1
    stderr: int = 2
    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def say(self, message: str) -> None:
        """One line on stderr, with anything unprintable escaped; a closed or full stderr is not an error."""
        self.write(self.stderr, printable(message) + "\n")

    def is_one(self) -> bool:
        """Whether stdout and stderr are the same terminal, pipe or file: either both are read, or none."""
        try:
            return os.path.sameopenfile(self.stdout, self.stderr)
        except OSError:
            return False

    def write(self, descriptor: int, text: str) -> None:
        """All of `text`; a reader that has gone ends it quietly, as `cat` would end."""
        data = memoryview(text.encode("utf-8", "surrogateescape"))
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except OSError:
                return

    def show(self, text: str) -> None:
        """Write a file's worth of `text` to stdout: as it is; at a terminal with nothing that moves it."""
        if is_tty(self.stdout):
            text = "".join(one if one in "\n\t" else printable(one) for one in text)
        self.write(self.stdout, text)

    def path(self, name: str) -> str:
        """`name` as an absolute path, relative to the working directory, `~` expanded."""
        return os.path.normpath(os.path.join(self.cwd, self.expand_home(name)))

    def expand_home(self, name: str) -> str:
        """`name` with a leading `~` or `~/` replaced by this environment's HOME."""
        home = self.environ.get("HOME")
        if home and (name == "~" or name.startswith("~/")):
            return home + name[1:]
        return name


def state_dir(environ: Mapping[str, str]) -> str:
    """The folder of records, locks and logs.

    DEVPORT_HOME, else XDG_DATA_HOME/devport, else ~/.local/share/devport.
    Empty and (for XDG, by its specification) relative values count as unset. Empty where there is none:
    only who needs it must do something about it.
    """
    if own := environ.get("DEVPORT_HOME"):
        return os.path.abspath(own)
    if (data := environ.get("XDG_DATA_HOME", "")).startswith("/"):
        return os.path.join(data, "devport")
    if home := environ.get("HOME"):
        return os.path.join(home, ".local", "share", "devport")
    return ""


def from_process() -> Context:
    """The context of this very process."""
    environ = {decode(name): decode(value) for name, value in os.environb.items()}
    try:
        cwd = os.getcwd()
    except OSError as error:
        message = f"cannot find the working directory: {error.strerror} (was it deleted?)"
        raise DevportError(message) from error
    return Context(environ, cwd, state_dir(environ))


def wait_until(predicate: Callable[[], bool], timeout: float) -> bool:
    """Whether `predicate` comes true within `timeout` seconds: asked at once, then every 10 ms.

    The one place where a command waits for another process; the engine waits in its loop instead.
    """
    import select  # noqa: PLC0415 - few commands ever wait

    deadline = time.monotonic() + timeout
    is_late = False
    while not predicate():
        if is_late:
            return False
        # The last look comes after the deadline: who was suspended has not looked for all that time.
        is_late = time.monotonic() >= deadline
        select.select([], [], [], 0 if is_late else 0.01)
    return True


def is_tty(descriptor: int) -> bool:
    """Whether `descriptor` is a terminal; a closed one is not."""
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
