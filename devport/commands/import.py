"""Turn the file of another manager into a devport.yaml.

usage: devport import [options] [--] FILE

FILE is a process-compose.yaml, a mprocs.yaml or the compose.yaml of docker,
of which the commands are taken; - is standard input. The devport.yaml is
printed, and on stderr a line for each thing that it does not say. It belongs
in the folder of FILE.

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
from devport.encoding import decode, encode, printable
from devport.errors import DevportError, ExitStatus, UsageError
from devport.imports.files import convert
from devport.project import files
from devport.project.load import STDIN
from devport.registry.files import FILE_MODE, flush, write_all


def run(context: Context, argv: Sequence[str]) -> int:
    """Print or write what the file that `argv` names comes to."""
    arguments = parse(__doc__, argv)
    [name] = arguments.words
    output = arguments.text("--output")
    if output is None and arguments.flag("--force"):
        raise arguments.wrong("option --force goes with -o")
    if output is not None:
        _want_another(context.stdin if name == STDIN else context.path(name), context.path(output))
    system = "macos" if sys.platform == "darwin" else "linux"
    result = convert(*_read(context, name), system)
    if output is None:
        context.show(result.text)
    else:
        _write(context.path(output), result.text, force=arguments.flag("--force"))
    for line in result.said:
        context.say(f"devport: {line}")
    return ExitStatus.OK


def _want_another(source: str | int, output: str) -> None:
    """UsageError where `output` is what is imported (a path, or a descriptor): it would be lost."""
    try:
        read = os.stat(encode(source) if isinstance(source, str) else source)
        written = os.stat(encode(output))
    except OSError:
        return  # one of them is not there: two files, or an error of reading
    if stat.S_ISREG(read.st_mode) and os.path.samestat(read, written):
        raise UsageError(f"cannot write {printable(output)}: that is the file that is imported")


def _read(context: Context, name: str) -> tuple[bytes, str]:
    """What is imported, and what it is called."""
    if name == STDIN:
        return files.read_descriptor(context.stdin, "standard input"), "standard input"
    path = context.path(name)
    return files.read(path, printable(path)), name


def _write(path: str, text: str, *, force: bool) -> None:
    """All of `text` or nothing, for its owner alone: it may hold secrets."""
    name = encode(path)
    try:
        if not force:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        elif os.path.exists(name) and not os.path.isfile(name):
            _put(name, text, os.O_WRONLY)  # a pipe, a terminal
            return
        try:
            _replace(encode(files.real(path)), text)  # a link that is replaced goes on leading there
        except BaseException:
            if not force:
                os.unlink(name)
            raise
    except FileExistsError as error:
        raise DevportError(
            f"cannot write {printable(path)}: it is there already (--force replaces it)"
        ) from error
    except OSError as error:
        raise DevportError(f"cannot write {printable(path)}: {error.strerror}") from error


def _replace(path: bytes, text: str) -> None:
    """The file `path` holds `text`: written beside it and renamed, so that a full disk costs nothing."""
    draft = path + b".devport-%d" % os.getpid()
    try:
        _put(draft, text, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
        flush(decode(draft))
        os.replace(draft, path)
    except BaseException:
        if os.path.lexists(draft):
            os.unlink(draft)
        raise


def _put(path: bytes, text: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOCTTY, FILE_MODE)
    try:
        write_all(descriptor, encode(text))
    finally:
        os.close(descriptor)
