"""What excuses a loss: each fault of a walk, for those whom it hit and for the time in which it did."""

import time
from typing import NamedTuple

MARGIN = 2.5
"""Seconds around a fault within which it excuses a loss."""
AT_ONCE = 1.0
"""Seconds within which a life notes its birth."""


class Kill(NamedTuple):
    """A supervisor, `pid`, was killed; `name` is what it ran, None for a run in the foreground."""

    at: float
    name: str | None
    pid: int


class Span:
    """A time in which the supervisor `pid` had too little, or (None) all in the background had no disk."""

    def __init__(self, pid=None):
        self.begin, self.end, self.pid = time.monotonic(), None, pid

    def close(self):
        """It is over."""
        if self.end is None:
            self.end = time.monotonic()

    def covers(self, at):
        """Whether `at` is in it, or near enough."""
        return self.begin - MARGIN <= at and (self.end is None or at <= self.end + MARGIN)


class Excuses:
    """All of them. `fronts`: the Foregrounds there were."""

    def __init__(self, fronts):
        self.fronts = fronts
        self.kills, self.spans = [], []
        self.removals = []  # (from, to, name): an `rm` that was obeyed
        self.garbled = {}  # hash: name, of records that nobody has written anew since
        self.holders = {}  # hash: (at, pid), when which supervisor was seen last

    def saw(self, hash_, pid):
        """Supervisor `pid` of `hash_` lives."""
        self.holders[hash_] = (time.monotonic(), pid)

    def of_front(self, life):
        """The foreground run that a life was part of."""
        return next((run for run in self.fronts if life.supervisor in run.supervisors), None)

    @property
    def is_full(self):
        """Whether somebody has too little at present."""
        return any(span.end is None for span in self.spans)

    # a life, and what it said

    def killed(self, life):
        """Whether its supervisor was killed, which costs its last words."""
        return any(
            one.pid == life.supervisor
            # It died before the life could ask who it was.
            or (one.name in (None, life.name) and 0 <= life.birth - one.at <= AT_ONCE)
            for one in self.kills
        )

    def removed(self, life):
        """Whether its log was removed before anybody could look: one that was known is read to its end."""
        return any(
            name == life.name and begin - AT_ONCE <= life.birth <= end for begin, end, name in self.removals
        )

    def lost(self, life, at):
        """Whether what it said at `at` may be lost: there was no room, or nobody took it."""
        run = self.of_front(life)
        if run is not None:
            return run.dropped and any(span.covers(at) for span in run.stalls)
        return any(span.covers(at) and span.pid in (None, life.supervisor) for span in self.spans)

    # a record

    def wrote(self, hashes=(), names=()):
        """Their records have been written anew, or had to be."""
        self.garbled = {
            hash_: name for hash_, name in self.garbled.items() if hash_ not in hashes and name not in names
        }

    def unwritten(self, record, lives):
        """Whether the last supervisor of a record had no chance to say that it has ended."""
        at, pid = self.holders.get(record.hash, (0.0, None))
        ours = [one for one in lives if one.name == record.label and self.of_front(one) is None]
        times = [one.at for one in self.kills if one.pid == pid]
        times += [
            (span.end or at) + MARGIN for span in self.spans if span.pid in (None, pid) and span.covers(at)
        ]
        later = [one.birth for one in ours if one.supervisor != pid]
        return any(all(birth <= upto + AT_ONCE for birth in later) for upto in times)
