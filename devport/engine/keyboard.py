"""The keyboard of a background service's window: keys go to the service, two of them to devport.

Ctrl-C ends the service and its supervisor, Ctrl-Z restarts it, unless the service is interactive and is
given those as well. Knows the window by its descriptor only.
"""

import os
import termios
from typing import Any

from devport.engine.job import Job
from devport.engine.lifecycle import DOWN, RESTART
from devport.engine.loop import Loop

HABIT = 1.0
"""Seconds that a window stays behind a Ctrl-C."""
AHEAD = 64 << 10
"""Bytes typed ahead that are kept while the service does not read."""
_SOON, _SELDOM = 0.02, 30.0  # seconds until what was typed ahead is offered again
_CTRL_C, _CTRL_Z = 0x03, 0x1A


class Keyboard:
    """What is typed at `descriptor`, a terminal (None: there is none), for `job`."""

    def __init__(self, loop: Loop, job: Job, descriptor: int | None, *, interactive: bool) -> None:
        self._loop, self._job, self._descriptor, self._interactive = loop, job, descriptor, interactive
        self._modes: list[Any] | None = None
        self._typed = bytearray()
        self._dropped, self._clogged = 0, False  # bytes beyond what is kept, and whether that is said
        self._lost_at = 0.0  # when the last of them came, by the loop's time
        self._pause = _SOON
        self.stay_until = 0.0  # by the loop's time

    def open(self) -> None:
        """Take every key as it is typed."""
        if self._descriptor is None:
            return
        self._modes = termios.tcgetattr(self._descriptor)
        raw = [*self._modes[:6], list(self._modes[6])]
        raw[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON)
        raw[1] &= ~termios.OPOST
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        termios.tcsetattr(self._descriptor, termios.TCSANOW, raw)
        self._loop.watch(self._descriptor, self._read)

    def close(self) -> None:
        """Give the terminal back its modes."""
        if self._descriptor is not None and self._modes is not None:
            try:
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._modes)
            except termios.error:
                pass  # the window is gone

    def _read(self) -> None:
        assert self._descriptor is not None
        try:
            keys = os.read(self._descriptor, 4096)
        except OSError:
            keys = b""
        if not keys:
            self._loop.unwatch(self._descriptor)
            self._loop.send(self._job, DOWN)
            return
        if not self._interactive:
            if _CTRL_C in keys:
                self._stay_a_little()
                self._loop.send(self._job, DOWN)
            elif _CTRL_Z in keys:
                self._loop.send(self._job, RESTART)
            keys = keys.translate(None, bytes((_CTRL_C, _CTRL_Z)))
        self._keep(keys)
        self._hand_over()

    def _keep(self, keys: bytes) -> None:
        lost = len(keys) - (AHEAD - len(self._typed))
        self._clogged = self._clogged and bool(self._typed)
        self._typed += keys[: AHEAD - len(self._typed)]
        if lost > 0:
            self._dropped += lost
            self._lost_at = self._loop.now()
            if not self._clogged:  # said once, when a paste is over, until the service has read all
                self._clogged = True
                self._loop.at(self._loop.now() + HABIT, self._say_dropped)

    def _say_dropped(self) -> None:
        if (over := self._lost_at + HABIT) > self._loop.now():  # more of it has come since
            self._loop.at(over, self._say_dropped)
            return
        self._job.say(f"does not read its input: {self._dropped} bytes typed ahead were dropped")
        self._dropped = 0

    def _stay_a_little(self) -> None:
        """Keep the window for a moment behind the last Ctrl-C.

        With the window tmux shows its client the next one, and a second Ctrl-C, which is a habit, would
        stop the service in that.
        """
        self.stay_until = self._loop.now() + HABIT
        self._loop.at(self.stay_until, lambda: None)

    def _hand_over(self) -> None:
        """As much of what was typed as the service's terminal takes now; the rest later."""
        process = self._job.process
        if process is None or process.output is None:
            self._typed.clear()
            return
        try:
            del self._typed[: os.write(process.output, self._typed)]
        except BlockingIOError:
            pass
        except OSError:
            self._typed.clear()
        if self._typed:
            self._loop.at(self._loop.now() + self._pause, self._again)

    def _again(self) -> None:
        """Offer the rest: the longer nothing is taken, the more rarely."""
        before = len(self._typed)
        self._pause = min(self._pause * 2, _SELDOM)
        self._hand_over()
        if len(self._typed) < before:
            self._pause = _SOON
