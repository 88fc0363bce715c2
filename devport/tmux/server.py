"""tmux put to use: which server, which session, and what to do when it answers otherwise than expected.

Windows live in the session `devport` of the user's own server, so that `attach` can switch to them, or
of a private one that DEVPORT_TMUX names.
"""

import os
import re
import signal
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NoReturn

from devport.context import wait_until
from devport.encoding import encode, printable
from devport.errors import DevportError, UsageError
from devport.project.environment import INTERNAL
from devport.tmux import words
from devport.tmux.client import WITHOUT, Answer, Environ, Run, as_bytes, call, unusable
from devport.tmux.words import Opening, Window

if TYPE_CHECKING:
    from devport.context import Context

PATIENCE = 5.0
"""Seconds in which a server that is just ending, or being started by others as well, sorts itself out."""
OLDEST = (3, 0)
KNOWS_FAILED = (3, 2)
AT_ONCE = 50  # windows that one call closes

Execute = Callable[[bytes, list[bytes], dict[bytes, bytes]], object]


class PartlyOpened(DevportError):  # noqa: N818 - the cause is said by the base class
    """Some windows are open, the rest could not be: `opened` are the first of those asked for."""

    def __init__(self, message: str, opened: Iterable[Window]) -> None:
        super().__init__(message)
        self.opened = tuple(opened)


class Tmux:
    """tmux as the environment `environ` names it; `run` calls it, `execute` becomes it."""

    def __init__(self, environ: Environ, run: Run = call, execute: Execute = os.execvpe) -> None:
        self._caller = environ
        # Without TMUX: the usual server, not the one we may happen to be in. And a server that we start
        # is the user's, who has no use for what was meant for devport alone.
        self._environ = {name: value for name, value in environ.items() if name not in INTERNAL}
        self._run, self._execute = run, execute
        self._usual = _named(environ.get("DEVPORT_TMUX", ""))

    @classmethod
    def of(cls, context: "Context") -> "Tmux":
        """Tmux as the context's environment names it."""
        return cls(context.environ)

    def open_windows(self, wanted: Sequence[tuple[str, Sequence[str]]]) -> tuple[Window, ...]:
        """A window for each (name, words to execute) of `wanted`, in as few calls as can hold them.

        Each stays when what runs in it fails (before tmux 3.2: always). DevportError when tmux cannot
        be used, PartlyOpened when it fails on the way.
        """
        remain = "failed" if self._version() >= KNOWS_FAILED else "on"
        opening = Opening(wanted, remain, f"n{os.urandom(2).hex()}")
        windows: list[Window] = []
        try:
            if not wait_until(lambda: self._open(opening, windows), PATIENCE):
                raise opening.hopeless()
        except DevportError as error:
            if windows:
                raise PartlyOpened(error.message, windows) from error
            raise
        return tuple(windows)

    def _open(self, opening: Opening, windows: list[Window]) -> bool:
        """Whether all windows are there; False: try again."""
        while len(windows) < len(opening.wanted):
            asked, count = opening.call(len(windows))
            answer = self._ask(self._usual, *asked)
            made = words.opened(answer.out)[:count]
            if not made:
                opening.failed(answer.err)
                return False
            opening.succeeded()
            windows += made
            if answer.status:
                # The last one is there, but something came between it and its options: a hook of the
                # user's, or a server of another version than tmux itself.
                name, _ = opening.wanted[len(windows) - 1]
                for command in words.options(made[-1].id, name, "on"):
                    self._ask(("-S", made[-1].socket), *command)
        return True

    def _version(self) -> tuple[int, int]:
        said = self._ask((), "-V").out.strip()
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is None:  # `tmux master`
            return KNOWS_FAILED
        version = (int(found[1]), int(found[2]))
        if version < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise DevportError(f"cannot use {printable(said)}: it is older than {oldest}; {WITHOUT}")
        return version

    def close(self, *windows: Window) -> None:
        """None of `windows` is there any more, but for those that hold panes of the user's.

        A window is touched only while its server is the one that it was opened on.
        """
        for socket in dict.fromkeys(window.socket for window in windows):
            commands = [words.close(one) for one in windows if one.socket == socket and one.server]
            for start in range(0, len(commands), AT_ONCE):
                self._ask(("-S", socket), *words.chain(commands[start : start + AT_ONCE]))

    def exists(self, window: Window) -> bool:
        """Whether `window` is there, what ran in it still running or not."""
        # Asked about a target that does not exist, tmux answers about another one.
        said = self._ask(("-S", window.socket), *words.ask(window)).out
        server, _, id_ = said.rstrip("\n").partition(" ")
        return id_ == window.id and window.server in {"", server}

    def is_inside(self, window: Window) -> bool:
        """Whether the caller sits in a pane of the server that has `window`."""
        socket, _, pid = self._caller.get("TMUX", "").rpartition(",")[0].rpartition(",")
        if not socket or window.server.partition("/")[0] not in {"", pid}:
            return False
        return os.path.realpath(encode(socket)) == os.path.realpath(encode(window.socket))

    def is_nested(self) -> bool:
        """Whether the caller sits in a pane of any server."""
        return bool(self._caller.get("TMUX"))

    def switch(self, window: Window) -> None:
        """The client that shows the caller's pane shows `window` from now on."""
        commands = [("select-window", "-t", window.id), ("switch-client", "-t", window.id)]
        # With TMUX_PANE of the caller: by it tmux knows which client is meant.
        answer = self._run(["tmux", "-S", window.socket, *words.chain(commands)], self._caller)
        if answer.status:
            raise DevportError(f"cannot switch to window {window.id}: {printable(answer.err)}")

    def attach(self, window: Window) -> NoReturn:
        """Become a client that shows `window`, in a pane of another server too."""
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an exec would hand that on
        argv = ["tmux", "-S", window.socket, "attach-session", "-t", window.id]
        try:
            self._execute(b"tmux", [encode(word) for word in argv], as_bytes(self._environ))
        except OSError as error:
            raise unusable(error) from error
        raise AssertionError("an exec returned")

    def _ask(self, server: Sequence[str], *asked: str) -> Answer:
        # -u: else a socket's path comes back without its umlauts where the locale has none.
        return self._run(["tmux", "-u", *server, *asked], self._environ)


def _named(name: str) -> tuple[str, ...]:
    """The words that choose the server: a private one of that name, or the user's own."""
    if not name:
        return ()
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}", name):
        return ("-L", name)
    raise UsageError(
        f"cannot use DEVPORT_TMUX={printable(name)}: a name is letters, digits, '_', '.' and '-'"
    )
