"""What is said to tmux, word for word, and what its answers mean.

Pure. A window is made under a name of its own, gets its options by that name, and only then the name
that people see: all in one call, which the server executes before it looks at anything else. No word
of it is anybody's text, but for the words to execute, which tmux hands on as they are, and a name made
of letters, digits, `_` and `-`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from devport.encoding import encode, printable
from devport.errors import DevportError
from devport.tmux.client import WITHOUT

SESSION = "devport"
LARGEST = 16_000
"""Bytes of one call: a message to the server holds 16 KiB, more is "command too long"."""
LONGEST_NAME = 40

SERVER = "#{pid}/#{start_time}"
OPENED = re.compile(r"(@\d+) (%\d+)(?: (\d+/\d*) (/.*))?", re.ASCII)
PANE = re.compile(r"%\d+", re.ASCII)
RUN = re.compile(r"(@\d+) (/[^\0]*) (\d+/\d*)?", re.ASCII | re.DOTALL)

NO_SESSION = (
    "can't find session",
    "no server running",
    "error connecting",
    "failed to connect",
    "no sessions",
    "no current target",  # a server that has none at all: `exit-empty off`, or its last one has just gone
)
DYING = ("no server running", "server exited", "lost server", "failed to connect")


class Window(NamedTuple):
    """A window: `id` (`@3`) on the server that listens at `socket`.

    `server` is that server's pid and start: a later one at the same socket counts its windows anew.
    `pane` (`%5`) is the one that we made in it, empty where a record does not tell.
    """

    id: str
    socket: str
    server: str = ""
    pane: str = ""

    def as_run(self) -> dict[str, object]:
        """What a record's `run` says of it."""
        return {"window": self.id, "tmux": self.socket, "server": self.server, "pane": self.pane}


def window_of(run: Mapping[str, object]) -> Window | None:
    """The window that a record's `run` tells of; None for a service without one."""
    texts = [run.get(name, "") for name in ("window", "tmux", "server")]
    if all(isinstance(text, str) for text in texts) and (found := RUN.fullmatch(" ".join(map(str, texts)))):
        pane = run.get("pane")
        known = isinstance(pane, str) and PANE.fullmatch(pane) is not None
        return Window(found[1], found[2], found[3] or "", str(pane) if known else "")
    return None


def opened(out: str) -> list[Window]:
    """The windows that a call says it has made; the first of them tells the server."""
    found = [match for line in out.splitlines() if (match := OPENED.fullmatch(line))]
    if not found or found[0][3] is None:
        return []
    return [Window(match[1], found[0][4], found[0][3], match[2]) for match in found]


def name_of(text: str) -> str:
    """`text` as a window's name: never an option, a target or a format."""
    return re.sub(r"[^A-Za-z0-9_-]|^-", "_", text)[:LONGEST_NAME] or "_"


def options(target: str, name: str, remain: str) -> list[tuple[str, ...]]:
    """The commands that make a window, wherever the user's configuration comes from, what ours are."""
    return [
        ("set", "-pt", target, "remain-on-exit", remain),
        ("set", "-wt", target, "allow-rename", "off"),
        ("renamew", "-t", target, name),  # ends automatic-rename as well
    ]


def close(window: Window) -> tuple[str, ...]:
    """The command that closes `window`, if it is still that very one and holds our own pane only."""
    # The one pane that is left may be the user's, who has split the window.
    found, ours = f"{SERVER} #{{window_id}} #{{window_panes}}", f"{window.server} {window.id} 1"
    if window.pane:
        found, ours = f"{found} #{{pane_id}}", f"{ours} {window.pane}"
    really = f"#{{==:{found},{ours}}}"
    return ("if-shell", "-F", "-t", window.id, really, f"kill-window -t {window.id}")


def ask(window: Window) -> tuple[str, ...]:
    """The command that prints `window.server`, a blank and `window.id` where it exists."""
    return ("display-message", "-p", "-t", window.id, f"{SERVER} #{{window_id}}")


def chain(commands: Iterable[Sequence[str]]) -> list[str]:
    """The words of one call that executes `commands` until one fails."""
    words: list[str] = []
    for command in commands:
        words += [*([";"] if words else []), *map(_escape, command)]
    return words


def _escape(word: str) -> str:
    # A `;` that ends a word would end the command.
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def size(words: Iterable[str]) -> int:
    """How much of a message `words` take."""
    return sum(len(encode(word)) + 1 for word in words)


class Opening:
    """Windows for `wanted`, each a name and the words to execute: which call is to be made next.

    `remain` says when a window stays after its command, `token` makes names that nobody else gives.
    """

    def __init__(self, wanted: Sequence[tuple[str, Sequence[str]]], remain: str, token: str) -> None:
        self.wanted = [(name_of(name), tuple(argv)) for name, argv in wanted]
        # A single word would be handed to a shell, and to whichever the user's configuration says.
        assert all(len(argv) > 1 for _, argv in self.wanted)
        self.trouble = ""
        self._remain, self._token = remain, token
        self._session = True  # whether there is one, as far as we know

    def call(self, start: int) -> tuple[list[str], int]:
        """The words that open windows from the one numbered `start` on, and how many of them."""
        words = chain(self._commands(start, first=True))
        end = start + 1
        while end < len(self.wanted):
            more = [";", *chain(self._commands(end, first=False))]
            if size(words) + size(more) > LARGEST:
                break
            words += more
            end += 1
        return words, end - start

    def _commands(self, number: int, *, first: bool) -> list[tuple[str, ...]]:
        name, argv = self.wanted[number]
        token = f"{self._token}-{number}"
        made = "#{window_id} #D" + (f" {SERVER} #{{socket_path}}" if first else "")
        # In the short forms that there are: fifty windows are to fit into one message.
        where = ("neww", "-t", f"={SESSION}:")
        if first and not self._session:
            where = ("new", "-s", SESSION)
        return [
            (*where, "-n", token, "-dPF", made, *argv),
            *(_lasting() if first else ()),
            *options(f"={SESSION}:={token}", name, self._remain),
        ]

    def succeeded(self) -> None:
        """A window was made, so there is a session."""
        self._session = True

    def failed(self, said: str) -> None:
        """Nothing was made, and tmux said why: the next call is made accordingly, or DevportError."""
        self.trouble = printable(said) or "tmux does not say why"
        if self._session and said.startswith(NO_SESSION):
            self._session = False
        elif not self._session and said.startswith("duplicate session"):
            self._session = True  # somebody else made it meanwhile
        elif not said.startswith(DYING):
            raise self.hopeless()

    def hopeless(self) -> DevportError:
        """The error with what tmux said last."""
        return DevportError(f"cannot open windows in tmux: {self.trouble}; {WITHOUT}")


def _lasting() -> list[tuple[str, ...]]:
    """The commands that keep session and server when nobody looks at them."""
    return [
        ("set", "-s", "exit-unattached", "off"),
        ("set", "-t", f"={SESSION}:", "destroy-unattached", "off"),
    ]
