"""The guardian: a process between the caller and the supervisor, so that nothing survives a kill -9.

`guarded` forks. The parent keeps the pid the caller knows, hands every signal on, and waits; the
child, in a session of its own, does the work. Whichever is killed, the other ends what is left: the
parent, a subreaper, inherits all that the child had, and the child notices the parent's end by a pipe.
(docs/decisions/003 has the other ways and what they miss.) The guardian decides nothing else.

`guarded_small` does the same for background supervisors, of which there are many: there the parent
becomes a shell of 0.2 MB that waits for the end of a pipe. It hands nothing on, because the child
stays in its process group and session and hears what the terminal sends.
"""

import os
import select
import signal
import time
from collections.abc import Callable

from devport import kernel
from devport.engine.group import shell_status
from devport.engine.lifecycle import KILL_PATIENCE
from devport.engine.limits import no_cores
from devport.engine.signals import AT_ONCE, ENDS, HEARD, Debounce
from devport.errors import DevportError
from devport.kernel import descendants, roster

_ROUNDS = 100
_FROM_KERNEL = 0x80  # si_code SI_KERNEL (sigaction(2)): typed at the terminal, not sent by a process
_TYPED = {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP}
_A_MOMENT = 0.5  # seconds that a service may take to stop when Ctrl-Z is typed
_HASTE = 0.1  # seconds for what dies of a SIGKILL, where nobody is waited for


def guarded(work: Callable[[int], int], *, share_terminal: bool = False) -> int:
    r"""Do `work` in a guarded child; returns its status, in the child as in the parent.

    `work` is given a descriptor that reads end-of-file when the guardian has died. With
    `share_terminal` what is typed at the terminal (Ctrl-C, Ctrl-\, Ctrl-Z) is not handed on: the
    service sits in the terminal's own process group and has it already.
    """
    deaf = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    # Before the fork: to a caller's SIGCHLD "ignored" the child's status would be lost.
    _hear_what_is_ignored_by_default()
    read, write = os.pipe()
    if not kernel.LINUX:
        roster.share()
    pid = _fork()
    if pid == 0:
        os.close(write)
        if share_terminal:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # saying something must not stop us
        else:
            os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return work(read)
    os.close(read)
    no_cores()
    descendants.become_subreaper()
    status, requests = _wait(pid, typed=not share_terminal, deaf=deaf)
    _sweep(KILL_PATIENCE if requests < AT_ONCE else _HASTE)
    os.close(write)
    # The signals stay blocked: one that comes now, too late for anything, must not change the status.
    return shell_status(status)


# The pipe's end without a word of an exit: the supervisor was killed. Its services are our children then
# (prctl(2): a subreaper stays one through an exec); where there is no such thing, the service's group is all
# there is to know. The pipe ends before they are ours, and a killed process is there until it is scheduled:
# hence up to 5 s of rounds. `read` fails for want of a newline in /proc's file, and reads; waiting for a
# `sleep` of its own makes the shell reap the others. Before its own end it lets go of the window: tmux 3.3
# runs utempter at a window's end of file, with SIGCHLD at its default for some milliseconds, and does not
# hear of an exit in them (strace: 1 window in 30 stayed after a stop).
_SMALL = r"""
trap '' HUP INT QUIT TERM USR1 USR2 TSTP TTIN TTOU
group=
while read -r word value <&3; do
  case $word in
    exit) ! [ -t 1 ] || { exec </dev/null >/dev/null 2>&1; sleep 0.05; }; exit "$value" ;;
    group) group=$value ;;
  esac
done
[ -z "$group" ] || kill -9 -- "-$group" 2>/dev/null
round=0
while [ $round -lt 100 ]; do
  round=$((round + 1)) children=
  read -r children 2>/dev/null </proc/$$/task/$$/children
  [ -n "$children" ] || break
  kill -9 $children 2>/dev/null
  sleep 0.05
done
exit 137
"""


class Guardian:
    """What a supervisor tells the shell above it; nothing where there is none."""

    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor

    def tell(self, word: str, value: int) -> None:
        """`exit STATUS`, once, or `group NUMBER` with each spawn."""
        if self.descriptor is None:
            return
        try:
            os.write(self.descriptor, b"%s %d\n" % (word.encode(), value))
        except OSError:
            pass  # it has been killed, which the lifeline says as well


def guarded_small(work: Callable[[int, Guardian], int]) -> int:
    """As `guarded`, for background supervisors; returns only in the child."""
    lifeline, held = os.pipe()
    read, write = os.pipe()
    pid = _fork()
    if pid:
        descendants.become_subreaper()
        held = os.dup(held)  # in case it is 3, which the script reads
        os.dup2(read, 3)
        os.set_inheritable(held, True)
        os.execv("/bin/sh", ["devport", "-c", _SMALL, "devport"])
    os.close(held)
    os.close(read)
    guardian = Guardian(write)
    try:
        status = work(lifeline, guardian)
    except DevportError as error:
        guardian.tell("exit", error.status)
        raise
    guardian.tell("exit", status)
    return status


def _fork() -> int:
    try:
        return os.fork()
    except OSError as error:  # the limit of processes, or of memory
        raise DevportError(f"cannot start a process: {error.strerror}") from error


def _hear_what_is_ignored_by_default() -> None:
    """Elsewhere than on Linux a blocked signal whose default is to be ignored never becomes pending."""
    for number in (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH):
        signal.signal(number, lambda *_: None)


def _wait(pid: int, *, typed: bool, deaf: bool) -> tuple[int, int]:
    """Hand signals on to `pid` until it ends, stop when it stops.

    Returns its exit code, or minus a signal, and how often it was asked to end.
    """
    requests, debounce = 0, Debounce()
    while True:
        number, at_terminal = _next_signal()
        if number == signal.SIGCHLD:
            changed, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if changed and not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status), requests
            if changed:
                os.kill(os.getpid(), signal.SIGSTOP)
                os.kill(pid, signal.SIGCONT)
        elif at_terminal and not typed:
            if number == signal.SIGTSTP:  # the service has it too; the shell waits to see us stop
                _await_stopped(pid)
                os.kill(os.getpid(), signal.SIGSTOP)
        elif not (number == signal.SIGHUP and deaf):
            requests += number in ENDS and debounce.counts(number, time.monotonic())
            os.kill(pid, number)


def _await_stopped(pid: int) -> None:
    """Wait until what is in our group and below `pid` has stopped, for a moment if it does not.

    The shell takes the terminal when we stop: who had not heard yet would take the first keys from it, and
    who leaves the screen as it found it (vim) would do so behind the prompt.
    """
    group, end = os.getpgrp(), time.monotonic() + _A_MOMENT

    def is_going_on(one: int) -> bool:
        known = descendants.stat(one)
        return known is not None and known.group == group and not descendants.is_stopped(one)

    while time.monotonic() < end and any(map(is_going_on, descendants.below(pid))):
        select.select([], [], [], _A_MOMENT / 100)


def _next_signal() -> tuple[int, bool]:
    """The next signal, and whether it was typed at the terminal."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS does not tell: take what can be typed as typed
        number = signal.sigwait(HEARD)
        return number, number in _TYPED
    info = signal.sigwaitinfo(HEARD)
    return info.si_signo, info.si_code == _FROM_KERNEL and info.si_signo in _TYPED


def wake() -> None:
    """In the child: continue the guardian, which stops when its child is stopped.

    `fg` continues the guardian, and it its child; whoever continues the child alone leaves it stopped, and
    it would never tell the end.
    """
    guardian = os.getppid()
    known = descendants.stat(guardian)
    if known is not None and known.state == "T":
        descendants.send(guardian, signal.SIGCONT)


def _sweep_by_roster() -> None:
    """The same where what a killed child leaves does not become ours."""
    if not (leaders := roster.leaders()):
        return
    for pid in leaders:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            pass  # gone by itself
    for _ in range(_ROUNDS):  # what forks while it is looked for is found the next time
        if not (left := descendants.orphans(leaders)):
            return
        for pid in left:
            descendants.send(pid, signal.SIGKILL)


def _sweep(patience: float) -> None:
    """End whatever the child left: nothing after an orderly end, everything after a kill -9.

    What has not died `patience` seconds after a SIGKILL is left to the kernel.
    """
    if not kernel.LINUX:
        _sweep_by_roster()
        return
    while left := list(descendants.below(os.getpid())):
        for pid in left:
            descendants.send(pid, signal.SIGKILL)
        if signal.sigtimedwait([signal.SIGCHLD], patience) is None:
            return  # the kernel will not let them die
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
