"""One call of the program tmux: started so that nothing of ours stays in a server, and ended in time.

Knows no tmux command.
"""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from devport.encoding import decode, encode
from devport.errors import DevportError

DEADLINE = 5.0
"""Seconds that tmux may take for one call."""
WITHOUT = "--no-tmux runs services without windows"


class Answer(NamedTuple):
    """What a call ended with, and what it printed."""

    status: int
    out: str = ""
    err: str = ""


Environ = Mapping[str, str]
Run = Callable[[Sequence[str], Environ], Answer]


def call(argv: Sequence[str], environ: Environ) -> Answer:
    """Run `argv` and hear what it says; DevportError when it is not there or does not answer in time.

    A server that this starts keeps nothing of ours: no descriptor, no terminal, no process group (which
    Ctrl-C would reach), no folder.
    """
    import subprocess  # noqa: PLC0415 - only who needs tmux pays for it

    home = encode(environ.get("HOME", ""))
    try:
        client = subprocess.Popen(
            [encode(word) for word in argv],
            env=as_bytes(environ),
            cwd=home if os.path.isdir(home) else b"/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise unusable(error) from error
    with client:
        try:
            out, err = client.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired as error:
            os.killpg(client.pid, signal.SIGKILL)
            raise DevportError(f"cannot use tmux: no answer within {DEADLINE:g} s; {WITHOUT}") from error
    return Answer(client.returncode, decode(out), decode(err).strip())


def as_bytes(environ: Environ) -> dict[bytes, bytes]:
    """`environ` as an exec takes it, whatever the locale is."""
    return {encode(name): encode(value) for name, value in environ.items()}


def unusable(error: OSError) -> DevportError:
    """The error for a tmux that cannot be executed."""
    why = "it is not installed" if isinstance(error, FileNotFoundError) else error.strerror
    return DevportError(f"cannot run tmux: {why}; {WITHOUT}")
