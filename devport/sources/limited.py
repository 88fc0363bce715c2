"""Looking for a regular expression in bounded time: one that nests repetitions may take years for a line.

Python's matcher looks for signals while it works (MAYBE_CHECK_SIGNALS in CPython's Modules/_sre/sre_lib.h),
so a timer of this process's own processor time can end it; what others do with the machine does not count.
Only in the main thread, which is the one that hears signals.
"""

import re
import signal
from collections.abc import Iterable

LIMIT = 0.03
"""Seconds of processor time for one line."""
_NUMBER = signal.SIGVTALRM


class _Late(Exception):  # noqa: N818 - it never leaves this module
    pass


def find(pattern: re.Pattern[str], lines: Iterable[str]) -> tuple[bool, int]:
    """Whether `pattern` is in one of `lines`, and of how many that could not be said within LIMIT."""
    armed, late = False, 0

    def ring(_number: int, _frame: object) -> None:
        if armed:  # else it came too late to matter
            raise _Late

    before = signal.signal(_NUMBER, ring)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {_NUMBER})
    try:
        for line in lines:
            try:
                armed = True
                signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
                found = pattern.search(line) is not None
                armed = False
            except _Late:
                armed = False
                late += 1
            else:
                if found:
                    return True, late
        return False, late
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(_NUMBER, signal.SIG_DFL if before is None else before)
