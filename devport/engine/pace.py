"""Which moments are worth a mark: each of the first of a burst, and then so many a second. Pure."""

RATE = 20.0
"""Marks a second while output comes without a pause."""
BURST = 20.0
"""Marks that may follow one another at once, after a second of quiet."""


class Pace:
    """A bucket of marks; times are seconds of any clock, even of one that is set back."""

    def __init__(self) -> None:
        self._left, self._last = BURST, 0.0

    def due(self, now: float) -> bool:
        """Whether what comes `now` is marked; the first is, and what comes when the clock was set back."""
        passed, self._last = now - self._last, now
        if passed < 0:
            return True
        self._left = min(BURST, self._left + passed * RATE)
        if self._left < 1:
            return False
        self._left -= 1
        return True
