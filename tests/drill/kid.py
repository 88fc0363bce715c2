"""kid.py FOLDER NAME TRAIT...: a service of a walk, which keeps its own books of its lives and its output.

It notes in FOLDER/NAME.journal (O_APPEND, a line at a time) when it is born, how many of its numbered
lines it has written in full, and its end. FOLDER/NAME.life is locked for as long as it or a process of
its lives: who finds it locked at its birth notes the overlap of two lives.

Traits: every=SECONDS (a line so often), flood=LINES, pad=BYTES, crash=SECONDS:STATUS, kill=SECONDS (SIGSEGV),
last=LINES (before each end), deaf (to TERM, INT, HUP), daemon=KIND (setsid, double, group; deaf, holds the
output), closes=SECONDS (its output), binds=SECONDS (listens on PORT from then on), stops=SECONDS (SIGSTOP),
notify=SECONDS (READY=1), prompt (half a line), junk (bytes that are no text), forks (many short children).

A numbered line is <NAME:RUN:NUMBER:PAD:CHECKSUM>, the checksum of all before it: see drill/books.py.
"""

import fcntl
import os
import select
import signal
import socket
import sys
import time
import zlib

KEEP = []  # what must not be closed
JUNK = bytes(number for number in range(256) if number != ord("\n"))


class Kid:
    """One life: NAME, and RUN, which no other life has."""

    def __init__(self, folder, name, traits):
        self.name, self.traits = name, traits
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self.journal = os.open(f"{folder}/{name}.journal", flags, 0o600)
        self.life = os.open(f"{folder}/{name}.life", os.O_RDWR | os.O_CREAT, 0o600)
        self.run = f"{os.getpid()}-{time.monotonic_ns():x}"
        self.number = 0
        self.closed = False
        self.asked = None  # the status to end with, once it has finished its sentence
        self.bell, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        try:
            fcntl.flock(self.life, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.note("overlap", os.pread(self.life, 200, 0).decode())
        os.ftruncate(self.life, 0)
        os.pwrite(self.life, self.run.encode(), 0)
        with open("/proc/self/stat", "rb") as file:
            started = file.read().rpartition(b")")[2].split()[19].decode()
        self.note("birth", f"{started} {os.getppid()}")

    def note(self, what, value=""):
        """One line of the journal: WHAT RUN PID TIME VALUE."""
        line = f"{what} {self.run} {os.getpid()} {time.monotonic():.4f} {value}\n"
        os.write(self.journal, line.encode())

    def say(self, count=1):
        """Write `count` numbered lines, each with its checksum; then note that they are written."""
        pad = "x" * int(self.traits.get("pad", 0))
        text = bytearray()
        for number in range(self.number + 1, self.number + count + 1):
            body = f"{self.name}:{self.run}:{number}:{pad}".encode()
            text += b"<%s:%08x>\n" % (body, zlib.crc32(body))
        left = memoryview(text)
        try:
            while left:
                left = left[os.write(1, left) :]
        except OSError:
            return  # nobody is there to take it
        if self.closed:
            return
        self.number += count
        self.note("wrote", self.number)

    def end(self, status):
        """The last words, and the end."""
        self.say(int(self.traits.get("last", 1)))
        self.note("death", status)
        os._exit(status)

    def daemon(self, kind):
        """A process that outlives its parent if it can."""
        if os.fork():
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if kind != "group":
            os.setsid()
        if kind == "double" and os.fork():
            os._exit(0)
        self.note("daemon", kind)
        while True:
            time.sleep(1000)

    def bind(self):
        """Listen on PORT; taken, it is noted and the end."""
        one = socket.socket(socket.AF_INET)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", int(os.environ["PORT"])))
            one.listen(50)
        except OSError as error:
            self.note("nobind", error.errno)
            self.end(9)
        KEEP.append(one)

    def close(self):
        """Give up the output, and live on."""
        self.closed = True
        for descriptor in (0, 1, 2):
            os.close(descriptor)
            os.open(os.devnull, os.O_RDWR)

    def tell(self):
        """READY=1."""
        where = os.environ.get("NOTIFY_SOCKET", "")
        if where:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
                one.sendto(b"READY=1", "\0" + where[1:] if where.startswith("@") else where)

    def crash(self, value):
        """Exit by itself."""
        self.end(int(value))

    def ask(self, status):
        """Somebody asks for the end: it comes when what is being written is written."""
        self.asked = status

    def wait(self, seconds):
        """Sleep; a signal ends it."""
        if self.asked is None and select.select([self.bell], [], [], seconds)[0]:
            os.read(self.bell, 100)
        if self.asked is not None:
            self.end(self.asked)

    def plans(self):
        """What is to be done when: (seconds from the birth, what)."""
        found = []
        for trait, value in self.traits.items():
            seconds, _, rest = value.partition(":")
            do = {
                "crash": lambda rest=rest: self.crash(rest),
                "kill": lambda: os.kill(os.getpid(), signal.SIGSEGV),
                "closes": self.close,
                "binds": self.bind,
                "stops": lambda: os.kill(os.getpid(), signal.SIGSTOP),
                "notify": self.tell,
            }.get(trait)
            if do:
                found.append((float(seconds), do))
        return sorted(found, key=lambda plan: plan[0])

    def live(self):
        """All of it."""
        traits = self.traits
        if "daemon" in traits:
            self.daemon(traits["daemon"])
        if "forks" in traits:
            for _ in range(30):
                if os.fork() == 0:
                    os.setsid()
                    os._exit(0)
        if "prompt" in traits:
            os.write(1, b"prompt %s> " % self.run.encode())
            self.note("said", "prompt")
        if "junk" in traits:
            run = self.run.encode()
            os.write(1, b"junk %s %s junk %s\x1b[31m\x1b]0;title\n" % (run, JUNK, run))
            self.note("said", "junk")
        for _ in range(int(traits.get("flood", 0)) // 50):
            self.say(50)
            self.wait(0)
        began, plans = time.monotonic(), self.plans()
        pause = float(traits.get("every", 0))
        while True:
            now = time.monotonic() - began
            while plans and plans[0][0] <= now:
                plans.pop(0)[1]()
            if pause:
                self.say()
            waits = [one[0] - now for one in plans[:1]] + [pause] * bool(pause)
            self.wait(max(0.001, min(waits, default=1000)))


def main():
    """Live as the words say."""
    folder, name, *words = sys.argv[1:]
    traits = dict(word.partition("=")[::2] for word in words)
    if "deaf" in traits:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    kid = Kid(folder, name, traits)
    if "deaf" not in traits:
        signal.signal(signal.SIGTERM, lambda *_: kid.ask(0))
        signal.signal(signal.SIGINT, lambda *_: kid.ask(130))
    try:
        kid.live()
    except OSError as error:
        kid.note("trouble", error.errno)
        raise


main()
