"""Which process a number means: pids are used again, and who goes by the number alone hits a stranger.

A process is known by its pid and its birth, and is signalled through a descriptor of that very process
(pidfd_open(2)) where the system has one; elsewhere its birth is looked at right before the signal.
"""

import os
import signal
import time

from devport import kernel

_STARTED = 19  # of /proc/PID/stat behind the name: when it was started, in ticks since boot (proc(5))


def process_start(pid: int) -> str | None:
    """What tells process `pid` from a later one with the same number; None where there is none."""
    if not kernel.LINUX:
        import psutil  # noqa: PLC0415 - Linux can do without

        try:
            return repr(psutil.Process(pid).create_time())
        except (psutil.Error, ValueError, OverflowError):
            return None
    try:
        return f"{_boot()}/{_ticks(pid)}"
    except OSError:
        return None


def seconds_since(started: str) -> float | None:
    """How long ago a process was born whose `process_start` was `started`, by a clock that nobody sets.

    None for one of another boot, and where the system's answer hangs on the clock that people set.
    """
    boot, _, ticks = started.partition("/")
    try:
        if not kernel.LINUX or boot != _boot():
            return None
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def age_rank(pid: int) -> float:
    """A number that is the greater the later `pid` was started; 0 where that is not known."""
    if kernel.LINUX:
        try:
            return _ticks(pid)
        except (OSError, IndexError):
            return 0
    import psutil  # noqa: PLC0415

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, ValueError, OverflowError):
        return 0


def deliver(pid: int, started: str, number: int) -> bool:
    """Send signal `number` to the process `pid` that was born at `started`; False if it is another by now.

    ProcessLookupError if there is none, PermissionError if it is not ours to signal.
    """
    if not (kernel.LINUX and hasattr(os, "pidfd_open")):
        if process_start(pid) != started:
            return False
        os.kill(pid, number)
        return True
    descriptor = os.pidfd_open(pid)
    try:
        # From here on the descriptor is that process, and no later one with its number.
        if process_start(pid) != started:
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    finally:
        os.close(descriptor)


def _ticks(pid: int) -> int:
    # The second field is the program's name and may hold blanks and parentheses.
    return int(_slurp(f"/proc/{pid}/stat").rpartition(b")")[2].split()[_STARTED])


def _boot() -> str:
    return _slurp("/proc/sys/kernel/random/boot_id").decode("ascii").strip()


def _slurp(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
