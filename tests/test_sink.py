"""A bounded queue in front of real descriptors: pipes, sockets, terminals, files, a full disk."""

import array
import errno
import fcntl
import os
import pty
import resource
import select
import signal
import socket
import termios
import tty
from contextlib import contextmanager

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from devport.engine import sink as module
from devport.engine.sink import FULL, PIPE_BYTES, SMALL, Sink

MEGABYTE = b"0123456789abcdef" * 65536
SMALL_PIPE = 4096
NO_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]  # each try may take as long as `in_time`


class Narrow(Sink):
    """A sink whose pipe stays as narrow as it is."""

    @staticmethod
    def _widen(pipe):
        pass


class Shared(Sink):
    """A sink that cannot open its descriptor once more: another user's terminal, another system."""

    @staticmethod
    def _open_again(descriptor):
        return None


def pipe():
    """A narrow pipe."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    return read, write


def terminal():
    """A pty that passes bytes as they are."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    return master, slave


def sockets():
    """A pair of stream sockets, as Node gives its children."""
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return ours.detach(), theirs.detach()


KINDS = {
    "pipe": (pipe, Narrow),
    "wide pipe": (os.pipe, Sink),
    "shared pipe": (pipe, Shared),
    "terminal": (terminal, Sink),
    "shared terminal": (terminal, Shared),
    "socket": (sockets, Sink),
}
PIPES = ["pipe", "wide pipe", "shared pipe", "socket"]  # terminals move bytes on in their own time


class Reader:
    """The other end: `took` counts what was read."""

    def __init__(self, descriptor):
        self.descriptor, self.took = descriptor, 0

    def take(self, most=1 << 20):
        """At most `most` bytes of what is there now."""
        data = os.read(self.descriptor, most) if waiting(self.descriptor) else b""
        self.took += len(data)
        return data

    def drain(self, sink):
        """All that is still to come; a terminal takes a moment to hand over what was written to it."""
        got = b""
        sink.flush()
        while sink.queue or self.took < sink.written:
            assert select.select([self.descriptor], [], [], 10)[0], "written, but not to be read"
            got += self.take()
            sink.flush()
        return got

    def close(self):
        """Leave."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


@contextmanager
def in_time(seconds=10):
    """A system call that blocks is interrupted, and the test fails; its own timeout is put back."""

    def interrupt(*_):
        raise AssertionError("blocked")

    handler = signal.signal(signal.SIGALRM, interrupt)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def opened(kind):
    """A sink of `kind`, its reader, and the descriptor it was given."""
    make, kind_of_sink = KINDS[kind]
    read, write = make()
    reader = Reader(read)
    sink = kind_of_sink(write)
    try:
        with in_time():
            yield sink, reader, write
    finally:
        sink.close()
        reader.close()
        os.close(write)


@pytest.fixture(params=KINDS)
def kind(request):
    """Each kind of descriptor that may block."""
    return request.param


def nonblocking(descriptor):
    """Whether the description behind `descriptor`, shared with whoever inherited it, is non-blocking."""
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK)


def waiting(descriptor):
    """How many bytes are there to read."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def descriptors():
    """The descriptors open now."""
    return set(os.listdir("/proc/self/fd"))


# what is common to all


def test_passes_bytes(kind):
    """What is written arrives, and is counted."""
    with opened(kind) as (sink, reader, _):
        sink.write(b"hello ", bytearray(b"wor"), memoryview(b"ld\n"), b"")

        assert reader.drain(sink) == b"hello world\n"
        assert (sink.written, sink.pending, sink.closed, sink.trouble) == (12, 0, False, 0)


def test_never_blocks(kind):
    """With nobody reading, write returns, and what did not fit waits in the queue."""
    with opened(kind) as (sink, reader, _):
        sink.write(MEGABYTE)
        sink.write(MEGABYTE)

        assert sink.full
        assert sink.written + sink.pending == 2 * len(MEGABYTE)
        assert reader.drain(sink) == MEGABYTE * 2
        assert not sink.full
        assert sink.pending == 0


def test_leaves_the_inherited_description_alone(kind):
    """The flags of the descriptor, shared with others, stay as they were, before and after use."""
    with opened(kind) as (sink, reader, write):
        assert not nonblocking(write)
        sink.write(MEGABYTE)
        assert not nonblocking(write)
        reader.drain(sink)
        sink.close()

        assert not nonblocking(write)
        os.write(write, b"still open")
        assert os.read(reader.descriptor, 99) == b"still open"


@pytest.mark.parametrize("name", PIPES)
def test_flush_without_room_changes_nothing(name):
    """A flush before the reader took anything hands over nothing and does not block."""
    with opened(name) as (sink, _reader, _):
        sink.write(MEGABYTE, MEGABYTE)
        before = sink.written, sink.pending
        sink.flush()

        assert (sink.written, sink.pending) == before


CHUNKS = st.lists(st.integers(0, 9000), max_size=12)
READS = st.lists(st.integers(0, 6000), min_size=12, max_size=12)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30, deadline=None, phases=NO_SHRINKING)
@given(chunks=CHUNKS, reads=READS)
def test_partial_writes_keep_order(name, chunks, reads):
    """With chunks of any size and a slow reader of any pace, the bytes arrive once and in order."""
    stream = MEGABYTE[: sum(chunks)]
    with opened(name) as (sink, reader, _):
        got, position = b"", 0
        for size, most in zip(chunks, reads, strict=False):
            sink.write(
                stream[position : position + size // 2], stream[position + size // 2 : position + size]
            )
            position += size
            if most:
                got += reader.take(most)
        got += reader.drain(sink)

        assert got == stream
        assert sink.written == len(stream)


def test_many_buffers_keep_order(kind):
    """More buffers than one system call takes keep their order."""
    lines = [b"%d\n" % number for number in range(20_000)]
    with opened(kind) as (sink, reader, _):
        sink.write(*lines)

        assert reader.drain(sink) == b"".join(lines)


def test_reader_that_left(kind):
    """A reader that has gone closes the sink: no exception, nothing kept, then or later."""
    with opened(kind) as (sink, reader, _):
        reader.close()
        sink.write(b"anybody?\n")

        assert sink.closed
        sink.write(b"no\n")
        assert (sink.pending, len(sink.queue), sink.trouble) == (0, 0, 0)


def test_reader_that_left_with_a_queue(kind):
    """So does one that left in the middle."""
    with opened(kind) as (sink, reader, _):
        sink.write(MEGABYTE, MEGABYTE)
        assert sink.queue
        reader.close()
        sink.flush()

        assert sink.closed
        assert (sink.pending, len(sink.queue)) == (0, 0)


def test_give_up(kind):
    """A reader that takes nothing is given up: what is queued is counted as dropped, the rest ignored."""
    with opened(kind) as (sink, _reader, _):
        sink.write(MEGABYTE, MEGABYTE)
        pending, written = sink.pending, sink.written
        assert pending
        sink.give_up()
        sink.write(b"more")

        assert (sink.closed, sink.dropped, sink.pending, sink.written) == (True, pending, 0, written)


@pytest.mark.parametrize("name", PIPES)
def test_full(name):
    """Full is FULL bytes in the queue, no less."""
    with opened(name) as (sink, _reader, _):
        sink.write(MEGABYTE, MEGABYTE)
        sink.drop()
        sink.write(b"x" * (FULL - 1))
        assert sink.pending == FULL - 1
        assert not sink.full
        sink.write(b"x")

        assert sink.full


def test_drop_tells_how_much(kind):
    """Dropping forgets the queue and says how much that was; the sink goes on."""
    with opened(kind) as (sink, reader, _):
        sink.write(MEGABYTE, MEGABYTE)
        pending, written = sink.pending, sink.written

        assert sink.drop() == pending
        assert reader.drain(sink) == (MEGABYTE * 2)[:written]
        sink.write(b"again")
        assert reader.drain(sink) == b"again"


def test_close_leaks_nothing(kind):
    """After close there are no more descriptors than before, also when it is called twice."""
    before = descriptors()
    with opened(kind) as (sink, _reader, _):
        sink.write(b"x")
        sink.close()
        sink.close()
        assert sink.closed

    assert descriptors() == before


# pipes


def test_pipe_is_widened():
    """Devport's own stdout pipe is made wide, which doubles the throughput."""
    with opened("wide pipe") as (_sink, _reader, write):
        assert fcntl.fcntl(write, fcntl.F_GETPIPE_SZ) == PIPE_BYTES


def test_pipe_that_cannot_be_widened(monkeypatch):
    """A user whose pipes have used up their budget gets output all the same."""

    def refuse(descriptor, command, *_):
        assert command == fcntl.F_SETPIPE_SZ
        raise PermissionError(errno.EPERM, "over budget")

    read, write = os.pipe()
    with monkeypatch.context() as patch:
        patch.setattr(module.fcntl, "fcntl", refuse)
        sink = Sink(write)
    sink.write(b"hello")

    assert os.read(read, 99) == b"hello"
    sink.close()
    os.close(read)
    os.close(write)


def test_shared_pipe_gets_small_writes(monkeypatch):
    """Where a description cannot be devport's own, no write is larger than any pipe with room takes."""
    sizes = []
    write_ = os.write

    def record(descriptor, data):
        sizes.append(len(data))
        return write_(descriptor, data)

    monkeypatch.setattr(module.os, "write", record)
    with opened("shared pipe") as (sink, reader, _):
        sink.write(MEGABYTE[:10_000])

        assert reader.drain(sink) == MEGABYTE[:10_000]
        assert max(sizes) == SMALL


def test_inherited_nonblocking_pipe():
    """A description that somebody else made non-blocking stays so, and works."""
    read, write = pipe()
    os.set_blocking(write, False)
    sink, reader = Narrow(write), Reader(read)
    sink.write(MEGABYTE)

    assert reader.drain(sink) == MEGABYTE
    assert nonblocking(write)
    sink.close()
    os.close(read)
    os.close(write)


# files


def test_file_gets_everything_at_once(tmp_path):
    """A regular file never blocks: nothing is queued."""
    with open(tmp_path / "out", "wb", buffering=0) as file:
        sink = Sink(file.fileno())
        sink.write(MEGABYTE, b"end")

        assert sink.pending == 0
        assert (tmp_path / "out").read_bytes() == MEGABYTE + b"end"


def test_file_shares_its_position(tmp_path):
    """What others write to the same description, before and after, stays."""
    path = tmp_path / "out"
    with open(path, "wb", buffering=0) as file:
        file.write(b"before\n")
        sink = Sink(file.fileno())
        sink.write(b"ours\n")
        sink.close()
        file.write(b"after\n")

    assert path.read_bytes() == b"before\nours\nafter\n"


def test_file_opened_for_appending(tmp_path):
    """A file opened for appending is appended to, whoever else appends to it."""
    path = tmp_path / "out"
    with open(path, "ab", buffering=0) as ours, open(path, "ab", buffering=0) as theirs:
        sink = Sink(ours.fileno())
        sink.write(b"a\n")
        theirs.write(b"b\n")
        sink.write(b"c\n")

    assert path.read_bytes() == b"a\nb\nc\n"


def test_file_that_must_not_grow_recovers(tmp_path):
    """What does not fit is dropped and counted; once there is room again, output goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(tmp_path / "out", "wb", buffering=0) as file:
        sink = Sink(file.fileno())
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            sink.write(b"0123456789", b"abcdef")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (sink.trouble, sink.dropped, sink.closed, sink.pending) == (errno.EFBIG, 6, False, 0)
        sink.write(b"more")

        assert (sink.trouble, sink.dropped) == (0, 6)
        assert (tmp_path / "out").read_bytes() == b"0123456789more"


# devices


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this machine has no /dev/full")
def test_full_disk():
    """A full disk is trouble, not the end: bytes are dropped and counted, and the sink stays open."""
    with open("/dev/full", "wb", buffering=0) as file:
        sink = Sink(file.fileno())
        sink.write(b"12345")
        sink.write(b"678")

        assert (sink.trouble, sink.dropped, sink.closed, sink.pending) == (errno.ENOSPC, 8, False, 0)
        sink.close()


def test_null():
    """/dev/null takes everything."""
    with open(os.devnull, "wb", buffering=0) as file:
        sink = Sink(file.fileno())
        sink.write(MEGABYTE)

        assert (sink.written, sink.pending) == (len(MEGABYTE), 0)
        sink.close()


LINES = st.lists(st.binary(max_size=300) | st.sampled_from([b"\n", b"\t" * 99, b"x\n" * 300]), min_size=9)


@pytest.mark.parametrize("kind_of_sink", [Sink, Shared])
@settings(max_examples=12, deadline=None, phases=NO_SHRINKING)
@given(lines=LINES, reads=READS)
def test_terminal_that_translates(kind_of_sink, lines, reads):
    """A terminal that makes CR LF of LF, filled to the brim, does not block either, and loses nothing."""
    master, slave = pty.openpty()
    sink, got = kind_of_sink(slave), b""
    stream = b"".join(lines * 12)
    with in_time():
        for line in lines * 12:
            sink.write(line)
        for most in reads * 3:
            if most and waiting(master):
                got += os.read(master, most)
            sink.flush()
        while len(got) < len(stream) + stream.count(b"\n"):
            sink.flush()
            assert select.select([master], [], [], 10)[0], "written, but not to be read"
            got += os.read(master, 65536)

    assert got == stream.replace(b"\n", b"\r\n")
    assert not sink.queue
    sink.close()
    os.close(master)
    os.close(slave)


def test_terminal_does_not_become_the_controlling_one():
    """Opening a terminal once more takes it from nobody."""
    with opened("terminal") as (sink, _reader, write):
        assert sink.fd != write
        assert os.ttyname(sink.fd) == os.ttyname(write)
        with pytest.raises(OSError, match="Inappropriate ioctl"):
            os.tcgetpgrp(sink.fd)
