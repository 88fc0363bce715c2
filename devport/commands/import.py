"""Turn the file of another manager into a devport.yaml.

usage: devport import [options] [--] FILE

FILE is a process-compose.yaml, a mprocs.yaml or the compose.yaml of docker,
of which the commands are taken. The devport.yaml is printed, and on stderr a
line for each thing that it does not say. It belongs in the folder of FILE.

Options:
  -o FILE, --output FILE
                        write it there, and print nothing
  --force               replace what is there
  -h, --help            show this text

For example:
  devport import process-compose.yaml -o devport.yaml
"""

import os
import stat
import sys
from collections.abc import Sequence

from devport.commands.arguments import parse
from devport.context import Context
from devport.encoding import encode, printable
from devport.errors import DevportError, ExitStatus
from devport.imports.files import convert


def run(context: Context, argv: Sequence[str]) -> int:
    """Print or write what the file that `argv` names comes to."""
    arguments = parse(__doc__, argv)
    [name] = arguments.words
    output = arguments.text("--output")
    if output is None and arguments.flag("--force"):
        raise arguments.wrong("option --force goes with -o")
    system = "macos" if sys.platform == "darwin" else "linux"
    result = convert(_read(context.path(name)), name, system)
    if output is None:
        context.write(context.stdout, result.text)
    else:
        _write(context.path(output), result.text, force=arguments.flag("--force"))
    for line in result.said:
        context.say(f"devport: {line}")
    return ExitStatus.OK


def _read(path: str) -> bytes:
    try:
        with open(encode(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise DevportError(f"cannot read {printable(path)}: {error.strerror}") from error


def _write(path: str, text: str, *, force: bool) -> None:
    """All of `text`, for its owner alone: it may hold secrets."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(encode(path), flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)  # what is replaced may have been for everybody
            file.write(encode(text))
    except FileExistsError as error:
        raise DevportError(
            f"cannot write {printable(path)}: it is there already (--force replaces it)"
        ) from error
    except OSError as error:
        raise DevportError(f"cannot write {printable(path)}: {error.strerror}") from error
