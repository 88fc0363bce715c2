"""A loop's time that only the test lets pass: what the machine takes meanwhile is no part of it."""

import time

from support.engine import PATIENCE

STEP = 0.05
"""Seconds that pass at once: a longer jump is what devport takes for having been suspended itself."""


class Clock:
    """The time of `loop`, standing still from now on; `release` has it go by itself again."""

    def __init__(self, loop):
        self.loop, self.seconds = loop, loop.now()
        loop._clock = lambda: self.seconds

    def until(self, predicate):
        """Let the loop run, at this very moment of its time, until `predicate()`."""
        end = time.monotonic() + PATIENCE
        while not predicate():
            assert time.monotonic() < end, f"not within {PATIENCE} s"
            self.loop.turn(0.01)

    def go_on(self, seconds):
        """Let `seconds` pass, and the loop do whatever is due in them."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(end, self.seconds + STEP)
            self.loop.turn(0)

    def jump(self, seconds):
        """Let `seconds` pass unseen, as while devport is suspended."""
        self.seconds += seconds
        self.loop.turn(0)

    def release(self):
        """Time passes as ever, from where it stands."""
        ahead = self.seconds - time.monotonic()
        self.loop._clock = lambda: time.monotonic() + ahead
