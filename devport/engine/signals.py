"""Signals as data: handlers record, the loop acts.

`signal.set_wakeup_fd` makes the select return (since PEP 475 it would sleep on through a signal); the
set of numbers, not the bytes in the pipe, is the truth, because a full pipe loses bytes.
"""

import os
import signal
from collections.abc import Callable

HEARD = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
    signal.SIGCONT,
    signal.SIGWINCH,
    signal.SIGCHLD,
)


ENDS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
"""Who sends one of these wants a run to end."""
AGAIN, AT_ONCE = 2, 3
"""How many such wishes kill what is left, and how many wait for nobody."""
BOUNCE = 0.1
"""Seconds in which the same signal again is the same wish."""


class Debounce:
    """Tells a second wish to end from the first one that arrives twice, as a switch is debounced: pure.

    It does where every process of a tree is signalled (and a guardian hands its own on), or where a shell
    and the kernel both report a hangup. The window begins with the signal that counted, and is not
    prolonged: a key held down counts again.
    """

    def __init__(self) -> None:
        self._counted: tuple[int, float] | None = None  # the signal, and when

    def counts(self, number: int, now: float) -> bool:
        """Whether signal `number` is a wish of its own; `now` in seconds, from any fixed origin."""
        if self._counted is not None:
            last, at = self._counted
            if number == last and now - at < BOUNCE:
                return False
        self._counted = number, now
        return True

    def obeyed(self, now: float) -> None:
        """What counted last has been done: what came while nobody listened is measured from now on."""
        if self._counted is not None:
            self._counted = self._counted[0], now


class Signals:
    """Catches HEARD from construction to `close`; `descriptor` is readable while any are pending."""

    def __init__(self) -> None:
        self._pending: set[int] = set()
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before: dict[int, Callable[..., object] | int | None] = {}
        for number in HEARD:
            # nohup's promise: who was started deaf to HUP stays deaf to it.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)

    def _note(self, number: int, _frame: object) -> None:
        self._pending.add(number)

    def take(self) -> set[int]:
        """The signals received since the last call."""
        try:
            os.read(self.descriptor, 4096)
        except BlockingIOError:
            pass
        pending, self._pending = self._pending, set()
        return pending

    def close(self) -> None:
        """Put everything back as it was."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self.descriptor)
        os.close(self._write)
