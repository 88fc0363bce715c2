"""Where output goes: a bounded queue in front of a descriptor that never blocks the loop.

Owns the one rule about descriptors devport did not open: their flags are shared with everybody who
inherited them, so O_NONBLOCK is never set on them. A pipe or a terminal is opened once more instead
(`/proc/self/fd/N`), which gives a description of devport's own; a socket (Node gives its children
sockets for stdout) is told not to wait with each send; what is left (another user's terminal, other
systems' pipes) gets only small writes, each after poll said there is room for it; a regular file
never blocks. Knows nothing of lines, services or prefixes.
"""

import errno
import fcntl
import os
import re
import select
import stat
import sys
from collections import deque
from collections.abc import Callable

from devport.kernel.descriptors import path_of

PIPE_BYTES = 1 << 20
"""Capacity asked for devport's own stdout pipe. Measured: 1 MiB doubles the throughput of 64 KiB."""
FULL = 64 << 10
"""Bytes in the queue from which nothing more is read from the services."""
SMALL = 512
"""POSIX: a pipe that poll(2) calls writable takes PIPE_BUF bytes (512 at the least) without blocking."""
_RUN = re.compile(rb"[\n\r\t]|[^\n\r\t]{1,128}")
"""What a terminal that poll calls writable takes without blocking: Linux asks for room anew before each
character that it translates (LF to CR LF, tabs), and gives its last 256 bytes of room to what comes first."""
_IOV = 64
MSG_DONTWAIT = 0x80 if sys.platform == "darwin" else 0x40

Buffer = bytes | bytearray | memoryview


class Sink:
    """Bytes for one descriptor.

    `closed`: the reader has gone, or was given up; everything from now on is dropped. `trouble`: the errno
    of a failed write (a full disk) that may pass, 0 while all is well; `dropped` counts the bytes lost
    to it or given up. `written` grows with each byte handed over, so a stalled reader shows as no growth.
    """

    def __init__(self, descriptor: int) -> None:
        self.queue: deque[memoryview] = deque()
        self.pending = self.written = self.dropped = self.trouble = 0
        self.closed = False
        self._close: Callable[[], None] = lambda: None  # devport's own description, if it has one
        self._send: Callable[[], int]
        self.fd = self._open(descriptor)

    def _open(self, descriptor: int) -> int:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            self._send = self._send_now
        elif stat.S_ISSOCK(mode):
            import _socket  # noqa: PLC0415 - the C half of `socket`, which costs a tenth as much

            self._socket = _socket.socket(fileno=os.dup(descriptor))
            self._send, self._close = self._send_socket, self._socket.close
        elif (own := self._open_again(descriptor)) is not None:
            self._send, self._close = self._send_now, lambda: os.close(own)
            if stat.S_ISFIFO(mode):
                self._widen(own)
            return own
        else:
            self._send = self._send_run if stat.S_ISCHR(mode) else self._send_small
        return descriptor

    @staticmethod
    def _open_again(descriptor: int) -> int | None:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        path = path_of(descriptor)
        try:
            return None if path is None else os.open(path, flags)
        except OSError:
            return None

    @staticmethod
    def _widen(pipe: int) -> None:
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
            try:
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            except OSError:
                pass  # a user's pipes have a budget (pipe(7)); it works all the same, only slower

    @property
    def stalled(self) -> bool:
        """Whether something was not taken, or has not been yet."""
        return bool(self.dropped or self.pending)

    @property
    def full(self) -> bool:
        """Whether the services' output should wait where it is."""
        return self.pending >= FULL

    def write(self, *buffers: Buffer) -> None:
        """Queue `buffers` and hand over as much as the reader takes now; never blocks."""
        if self.closed:
            return
        for buffer in buffers:
            if buffer:
                self.queue.append(memoryview(buffer))
                self.pending += len(buffer)
        self.flush()

    def flush(self) -> None:
        """Hand over as much as the reader takes now."""
        while self.queue and not self.closed:
            try:
                sent = self._send()
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
                return
            self.trouble = 0
            self._consume(sent)

    def _first(self) -> list[memoryview]:
        return [self.queue[i] for i in range(min(len(self.queue), _IOV))]

    def _send_now(self) -> int:
        return os.writev(self.fd, self._first())

    def _send_socket(self) -> int:
        return self._socket.sendmsg(self._first(), [], MSG_DONTWAIT)

    def _send_small(self) -> int:
        self._poll()
        return os.write(self.fd, self.queue[0][:SMALL])

    def _send_run(self) -> int:
        self._poll()
        run = _RUN.match(self.queue[0])
        assert run is not None  # nothing empty is queued
        return os.write(self.fd, run[0])

    def _poll(self) -> None:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError

    def _consume(self, sent: int) -> None:
        self.written += sent
        self.pending -= sent
        while sent:
            first = self.queue[0]
            if sent < len(first):
                self.queue[0] = first[sent:]
                return
            sent -= len(first)
            self.queue.popleft()

    def _failed(self, error: OSError) -> None:
        """EPIPE, EIO and the like: the reader has gone. A full disk may be emptied again."""
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            self.trouble = error.errno
            self.dropped += self.pending
        else:
            self.closed = True
        self.drop()

    def drop(self) -> int:
        """Forget what is queued; returns how many bytes that were."""
        lost = self.pending
        self.queue.clear()
        self.pending = 0
        return lost

    def give_up(self) -> None:
        """The reader takes nothing any more: forget what is queued and whatever comes."""
        self.dropped += self.drop()
        self.closed = True

    def close(self) -> None:
        """Give back devport's own description; the inherited descriptor stays as it was."""
        self._close()
        self._close = lambda: None
        self.closed = True
