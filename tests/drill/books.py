"""What the kids have noted of themselves, and what came out of devport: lives, and the lines of each."""

import contextlib
import os
import re
import zlib
from typing import NamedTuple

RUN = rb"\d+-[0-9a-f]+"
LINE = re.compile(rb"<([\w.]+):(" + RUN + rb"):(\d+):(x*):([0-9a-f]{8})>")
"""A numbered line: the checksum is of all before it, the pad included, so no tail can be cut or swapped."""
BEGUN = re.compile(rb"(?<![\w.])([\w.]+) started \(pid (\d+)")
PROMPT = re.compile(rb"prompt (" + RUN + rb")> ")
JUNK = re.compile(rb"junk (" + RUN + rb") ([^\n]*?) junk \1")
JUNKED = bytes(number for number in range(256) if number != ord("\n"))
TEXT = bytes(range(32, 127))
"""What a terminal gets of it, whatever else is taken out."""
NOTE = re.compile(rb"(<[^\n>]*)\r?\n(?:devport: [^\n]*\n)+")
"""What devport says in a log begins on a line of its own, if need be in the midst of one of the service's."""
OPEN = re.compile(rb"<[\w.:-]*\r?\n(?:devport: [^\n]*\n)*\Z")
"""The rest of such a line, or more of what devport says, is to come."""
TORN = re.compile(rb"(<[\w.:-]*)(?:\x1b\[0m)?\r?$", re.MULTILINE)
"""In the foreground another service's line may break an unfinished one: it goes on behind its prefix."""
PREFIX = re.compile(rb"(?:\x1b\[\d+m)?(?:\d\d:\d\d:\d\d )?([\w.]+) *\| (?:\x1b\[0m)?")


class Note(NamedTuple):
    """A line of a journal; `at` is monotonic seconds."""

    what: str
    run: str
    pid: int
    at: float
    value: str


class Life:
    """One life of a service, as it has noted it itself.

    `wrote`: (at, how many lines until then); `said`: when it said what it says once; `supervisor`: who had
    started it, unless that was dead by then.
    """

    def __init__(self, name, birth):
        self.name, self.run, self.pid, self.birth = name, birth.run, birth.pid, birth.at
        # In ticks since the machine was booted: tells it from a reused pid.
        self.started, supervisor = birth.value.split()
        self.supervisor = int(supervisor)
        self.wrote = []
        self.said = {}
        self.death = None
        self.last = birth.at

    def take(self, note):
        """A further note."""
        self.last = note.at
        if note.what == "wrote":
            self.wrote.append((note.at, int(note.value)))
        elif note.what == "said":
            self.said[note.value] = note.at
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

    def times(self):
        """When each of its lines was written, at the latest."""
        found, before = {}, 0
        for at, upto in self.wrote:
            found.update(dict.fromkeys(range(before + 1, upto + 1), at))
            before = upto
        return found


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
    """What came out by one stream of bytes, in order: what is torn, twice or out of order is a fault.

    `mixed`: it is a run's, whose services' lines break each other. `terminal`: of control characters not
    all arrive.
    """

    def __init__(self, label, *, mixed=False, terminal=False):
        self.label, self.mixed, self.terminal, self.rest = label, mixed, terminal, b""
        self.seen = {}  # run: the numbers of its lines
        self.said = set()  # (what, run) of what is said once
        self.begun = set()  # pids whose start was told
        self.faults = []
        self._last = {}
        self._torn = []  # (prefix, the beginning of a line)

    def feed(self, data):
        """The next bytes."""
        data = self.rest + data
        cut = data.rfind(b"\n") + 1
        if not self.mixed and (half := OPEN.search(data, 0, cut)):
            cut = half.start()
        data, self.rest = data[:cut], data[cut:]
        self.begun.update(int(pid) for _, pid in BEGUN.findall(data))
        if not self.mixed:
            data = NOTE.sub(rb"\1", data)
        elif self._torn or TORN.search(data):
            data = b"\n".join(map(self._mend, data.split(b"\n")))
        for name, run, number, pad, checksum in LINE.findall(data):
            body = b"%s:%s:%s:%s" % (name, run, number, pad)
            if b"%08x" % zlib.crc32(body) != checksum:
                self.faults.append(f"{self.label}: a line was changed: {body!r}")
            self._line(run.decode(), int(number))
        for run in PROMPT.findall(data):
            self._once("prompt", run)
        for run, junk in JUNK.findall(data):
            if TEXT not in junk if self.terminal else junk != JUNKED:
                self.faults.append(f"{self.label}: the junk of {run.decode()} was changed: {junk!r}")
            self._once("junk", run)

    def _mend(self, line):
        """`line` with the beginning that came earlier; without one of which the rest is to come."""
        prefix = PREFIX.match(line)
        name, text = (prefix[1], line[prefix.end() :]) if prefix else (b"", line)
        for one in self._torn:
            # Without prefixes nobody says whose rest it is but the rest itself.
            if one[0] == name and (name or _is_whole(one[1] + text)):
                self._torn.remove(one)
                text = one[1] + text
                break
        if half := TORN.search(text):
            self._torn.append((name, half[1]))
            text = text[: half.start()]
        return text

    def _line(self, run, number):
        if number <= self._last.get(run, 0):
            self.faults.append(f"{self.label}: line {number} of {run} came behind {self._last[run]}")
        self._last[run] = number
        self.seen.setdefault(run, set()).add(number)

    def _once(self, what, run):
        if (what, run.decode()) in self.said:
            self.faults.append(f"{self.label}: the {what} of {run.decode()} came twice")
        self.said.add((what, run.decode()))


def _is_whole(line):
    match = LINE.match(line)
    return match is not None and b"%08x" % zlib.crc32(line[1 : match.start(5) - 1]) == match[5]


class Logs:
    """The log files of all services, read on as they grow, are rotated and removed.

    Each stays open: what was written to one before it was removed is read as well.
    """

    def __init__(self, folder):
        self.folder = folder
        self.sources = []
        self._current = {}
        self._open = {}  # (hash, inode): the descriptor, the older first

    def update(self):
        """Read what is new."""
        for path in sorted(self.folder.glob("*.log*"), reverse=True):  # the oldest first: .log.3 ... .log
            if not path.name.endswith(".times"):
                self._find(path, path.name.partition(".")[0])
        for place, descriptor in list(self._open.items()):
            status = os.fstat(descriptor)
            self._read(place[0], descriptor, status.st_size)
            if not status.st_nlink:
                os.close(self._open.pop(place))

    def _find(self, path, hash_):
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            place = (hash_, os.fstat(descriptor).st_ino)
            if place in self._open:
                os.close(descriptor)
            else:
                self._open[place] = descriptor

    def _read(self, hash_, descriptor, size):
        if os.lseek(descriptor, 0, os.SEEK_CUR) > size:  # it was emptied
            os.lseek(descriptor, 0, os.SEEK_SET)
        if hash_ not in self._current:
            self._current[hash_] = Source(f"log of {hash_}")
            self.sources.append(self._current[hash_])
        while data := os.read(descriptor, 1 << 20):
            self._current[hash_].feed(data)

    def close(self):
        """Nothing is read any more."""
        while self._open:
            os.close(self._open.popitem()[1])
