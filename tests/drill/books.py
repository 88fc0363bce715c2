"""What the kids have noted of themselves, and what came out of devport: lives, and the lines of each."""

import os
import re
import zlib
from typing import NamedTuple

LINE = re.compile(rb"<([\w.]+):(\d+-[0-9a-f]+):(\d+):([0-9a-f]{8})>")
BEGUN = re.compile(rb"(?<![\w.])([\w.]+) started \(pid (\d+)")
TORN = re.compile(rb"<[\w.:-]*\r?\n\Z")
NOTE = re.compile(rb"(<[^\n>]*)\r?\n(?:devport: [^\n]*\n)+")
"""What devport says in a log begins on a line of its own, if need be in the midst of one of the service's."""


class Note(NamedTuple):
    """A line of a journal; `at` is monotonic seconds."""

    what: str
    run: str
    pid: int
    at: float
    value: str


class Life:
    """One life of a service, as it has noted it itself. `wrote`: (at, how many lines until then)."""

    def __init__(self, name, birth):
        self.name, self.run, self.pid, self.birth = name, birth.run, birth.pid, birth.at
        self.started = birth.value  # in ticks since the machine was booted: tells it from a reused pid
        self.wrote = []
        self.death = None
        self.last = birth.at

    def take(self, note):
        """A further note."""
        self.last = note.at
        if note.what == "wrote":
            self.wrote.append((note.at, int(note.value)))
        elif note.what == "death":
            self.death = note.at

    @property
    def alive(self):
        """Whether its process is there; a zombie is not."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return False
        return fields[19].decode() == self.started and fields[0] not in (b"Z", b"X")

    @property
    def lines(self):
        """How many lines it has written."""
        return self.wrote[-1][1] if self.wrote else 0


class Journals:
    """All lives, read on as they are written: by run, and what was noted that must not be."""

    def __init__(self, folder):
        self.folder = folder
        self.lives, self.faults = {}, []
        self._read = {}

    def update(self):
        """Read what is new."""
        for path in sorted(self.folder.glob("*.journal")):
            name = path.name.removesuffix(".journal")
            with path.open("rb") as file:
                file.seek(self._read.get(name, 0))
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[name] = self._read.get(name, 0) + len(whole)
            for line in whole.decode().splitlines():
                what, run, pid, at, *value = line.split(" ", 4)
                self._take(name, Note(what, run, int(pid), float(at), value[0] if value else ""))

    def _take(self, name, note):
        if note.what == "birth":
            self.lives[note.run] = Life(name, note)
        elif note.what in ("overlap", "nobind", "trouble"):
            self.faults.append((name, note))
        elif note.run in self.lives:
            self.lives[note.run].take(note)


class Source:
    """The numbered lines of one stream of bytes, in order: what is torn, twice or out of order is a fault."""

    def __init__(self, label):
        self.label, self.rest = label, b""
        self.seen = {}  # run: the numbers of its lines
        self.begun = set()  # pids whose start was told
        self.faults = []
        self._last = {}

    def feed(self, data):
        """The next bytes."""
        data = NOTE.sub(rb"\1", self.rest + data)
        cut = data.rfind(b"\n") + 1
        if torn := TORN.search(data, 0, cut):
            cut = torn.start()  # a note of devport's own is to come, or the rest behind it
        data, self.rest = data[:cut], data[cut:]
        self.begun.update(int(pid) for _, pid in BEGUN.findall(data))
        for name, run, number, checksum in LINE.findall(data):
            body = b"%s:%s:%s" % (name, run, number)
            if b"%08x" % zlib.crc32(body) != checksum:
                self.faults.append(f"{self.label}: a line was changed: {body!r}")
            self._line(run.decode(), int(number))

    def _line(self, run, number):
        if number <= self._last.get(run, 0):
            self.faults.append(f"{self.label}: line {number} of {run} came behind {self._last[run]}")
        self._last[run] = number
        self.seen.setdefault(run, set()).add(number)


class Logs:
    """The log files of all services, read on as they grow and are rotated."""

    def __init__(self, folder):
        self.folder = folder
        self.sources = []
        self._current, self._offsets = {}, {}

    def update(self):
        """Read what is new."""
        for path in sorted(self.folder.glob("*.log*"), reverse=True):  # the oldest first: .log.3 ... .log
            if not path.name.endswith(".times"):
                self._read(path, path.name.partition(".")[0])

    def _read(self, path, hash_):
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                place = (hash_, status.st_ino)
                if self._offsets.get(place, 0) > status.st_size:
                    self._offsets[place] = 0
                file.seek(self._offsets.get(place, 0))
                data = file.read()
        except FileNotFoundError:
            return
        self._offsets[place] = self._offsets.get(place, 0) + len(data)
        if hash_ not in self._current:
            self._current[hash_] = Source(f"log of {hash_}")
            self.sources.append(self._current[hash_])
        self._current[hash_].feed(data)

    def forget(self, hash_):
        """The service was removed: what is there from now on is a new log."""
        self._current.pop(hash_, None)
        for place in [place for place in self._offsets if place[0] == hash_]:
            del self._offsets[place]
