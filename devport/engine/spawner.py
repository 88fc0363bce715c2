"""How a life of a service begins: fork, and exec with clean signals, limits, descriptors and perhaps a pty.

The only module that forks a service. Own fork and not `subprocess`: a subreaper must wait for processes
it did not start, which `Popen` cannot bear, and the child's side needs what Popen does not offer
(docs/decisions/003).
"""

import _signal  # type: ignore[import-not-found]  # the C half of `signal`: no enums made of masks
import errno
import fcntl
import os
import resource
import signal
import termios
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from devport import kernel
from devport.encoding import encode
from devport.engine.limits import Limits, adopt, no_cores
from devport.engine.process import Command, Process, Stdio
from devport.engine.signals import HEARD
from devport.kernel import descendants, roster

_CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
_STDERR = 2


class Image(NamedTuple):
    """A Command as execve(2) takes it."""

    argv: list[bytes]
    environment: dict[bytes, bytes]
    cwd: bytes
    umask: int | None
    descriptors: tuple[int, ...]
    limits: Limits


class Spawner:
    """Starts processes; knows what devport changed about itself that children must not inherit."""

    def __init__(self, pipe_bytes: int = 256 << 10) -> None:
        self.pipe_bytes = pipe_bytes
        self._common: tuple[Mapping[str, str], dict[bytes, bytes]] | None = None
        self.nofile = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.core = no_cores()
        self.null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._keep_inherited_descriptors()
        # Handlers are reset by exec; what is ignored (nohup's HUP, Python's own PIPE) would be inherited.
        self.ignored = [n for n in _CATCHABLE if signal.getsignal(n) == signal.SIG_IGN]

    @staticmethod
    def _keep_inherited_descriptors() -> None:
        """What devport's caller left open (a lock, a pipe) stays with devport and goes to no child."""
        for name in os.listdir("/dev/fd"):
            try:
                if int(name) > _STDERR:
                    os.set_inheritable(int(name), False)
            except OSError:
                pass  # the descriptor of the listing itself

    def raise_nofile(self) -> None:
        """As many descriptors as the system allows; children get the limit that devport itself got."""
        soft, hard = self.nofile
        if soft != hard:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            except (OSError, ValueError):
                pass  # macOS refuses "infinity" here; the soft limit then stays

    def spawn(self, command: Command, stdio: Stdio) -> Process:
        """Start `command`; whether it could be executed, the process's `report` will tell.

        Not waited for, so that hundreds start on all cores at once. Raises OSError where there can be
        no process at all.
        """
        argv = [encode(word) for word in command.argv]
        own = command.environment if kernel.LINUX else {**command.environment, descendants.RUN: roster.WORD}
        environment = {**self._shared(command.common), **_encoded(own)}
        image = Image(
            argv, environment, encode(command.cwd), command.umask, command.descriptors, command.limits
        )
        status_read, status_write = os.pipe()
        output: int | None = None
        try:
            output, write = self._output(stdio)
            pid = self._fork(image, stdio, write, status_write)
        except OSError:
            os.close(status_read)
            if output is not None:
                os.close(output)
            raise
        finally:
            os.close(status_write)
        os.set_blocking(status_read, False)
        if output is not None:
            os.set_blocking(output, False)
        return Process(pid, command.token, output, status_read, shared_group=stdio.inherit)

    def _shared(self, common: Mapping[str, str]) -> dict[bytes, bytes]:
        """`common` as bytes; made once for all that share it."""
        if self._common is None or self._common[0] is not common:
            self._common = (common, _encoded(common))
        return self._common[1]

    def _fork(self, image: "Image", stdio: Stdio, write: int | None, status: int) -> int:
        """Fork with every signal blocked, so that none runs a handler of ours in the child."""
        parent = os.getpid()
        mask = _signal.pthread_sigmask(signal.SIG_BLOCK, _CATCHABLE)
        try:
            pid = os.fork()
            if pid == 0:
                self._become(image, stdio, parent, write, status)
        finally:
            _signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if write is not None:
                os.close(write)
        return pid

    def _output(self, stdio: Stdio) -> tuple[int | None, int | None]:
        if stdio.inherit:
            return None, None
        if stdio.terminal is None:
            read, write = os.pipe()
            if hasattr(fcntl, "F_SETPIPE_SZ"):
                try:
                    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, self.pipe_bytes)
                except OSError:
                    pass  # over the user's budget (pipe(7)): 64 KiB will do
            return read, write
        return _open_pty(*stdio.terminal, interactive=stdio.interactive)

    def _become(self, image: "Image", stdio: Stdio, parent: int, output: int | None, status: int) -> NoReturn:
        """The child's side between fork and exec: system calls only, and `_exit` whatever happens."""
        path = image.argv[0]
        try:
            self._detach(stdio, parent, output)
            if image.descriptors:
                status = _pass_on(image.descriptors, status)
                image.environment[b"LISTEN_PID"] = b"%d" % os.getpid()  # nobody knew it before
            for number in (*HEARD, *self.ignored):
                # Handlers too, although exec resets them: a signal that came since the fork must not be
                # swallowed by one when the mask goes.
                _signal.signal(number, _signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_NOFILE, self.nofile)
            resource.setrlimit(resource.RLIMIT_CORE, self.core)
            if image.umask is not None:
                os.umask(image.umask)
            path = image.cwd
            os.chdir(path)
            path = image.argv[0]
            adopt(image.limits)
            _signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvpe(path, image.argv, image.environment)
        except OSError as error:
            os.write(status, b"%d\0%s" % (error.errno or errno.EINVAL, path))
        except BaseException:  # noqa: BLE001 - nothing may unwind into the parent's frames
            os.write(status, b"%d\0%s" % (errno.EINVAL, path))
        finally:
            os._exit(127)

    def _detach(self, stdio: Stdio, parent: int, output: int | None) -> None:
        if stdio.inherit:
            if stdio.group is not None:
                os.setpgid(0, stdio.group)  # the terminal's foreground group, which devport has left
        else:
            os.setsid()
        if not descendants.die_with(parent):
            os._exit(127)
        if output is not None:
            if stdio.terminal is not None and stdio.hangup:
                fcntl.ioctl(output, termios.TIOCSCTTY, 0)
            os.dup2(output if stdio.interactive else self.null, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)


def _pass_on(descriptors: tuple[int, ...], status: int) -> int:
    """`descriptors` at 3 and up, in their order, whatever was there; returns where `status` is now.

    First all of them out of the way: one may itself be at the number that another is to have.
    """
    free = _STDERR + 1 + len(descriptors)
    status = fcntl.fcntl(status, fcntl.F_DUPFD_CLOEXEC, free)
    for number, moved in enumerate([fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, free) for one in descriptors]):
        os.dup2(moved, _STDERR + 1 + number)
    return status


def _encoded(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {encode(name): encode(value) for name, value in environment.items()}


def _open_pty(columns: int, rows: int, *, interactive: bool) -> tuple[int, int]:
    """A new pty (master, slave) of that size; one nobody types into passes bytes as they are."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (rows, columns))
    if interactive:
        return master, slave
    modes = termios.tcgetattr(slave)
    modes[1] &= ~termios.OPOST  # else the terminal makes CR LF of each LF, and a real one does it again
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    return master, slave


def is_not_executable(number: int) -> bool:
    """Whether errno `number` of a failed exec means "found, but cannot be executed" (126, else 127)."""
    return number in {errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.EISDIR, errno.E2BIG}
