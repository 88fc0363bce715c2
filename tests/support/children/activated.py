"""sd_listen_fds(3) again: prints what it was passed; `accept` serves connections on all of them as well.

A first line for itself, then one for a child of its own. Each connection is told the pid that serves it.
"""

import os
import selectors
import signal
import socket
import stat
import sys

START = 3


def listen_fds():
    """The number of sockets that are for this process."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    return int(os.environ["LISTEN_FDS"])


def describe(descriptor):
    """Family, kind, blocking or not, inherited on exec or not, listening or not."""
    one = socket.socket(fileno=os.dup(descriptor))
    with one:
        return ",".join(
            (
                one.family.name,
                one.type.name,
                "blocking" if os.get_blocking(descriptor) else "nonblocking",
                "listening" if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) else "-",
            )
        )


def serve(count):
    """Answer until SIGTERM: who is still in the queue then is left to the next life."""
    waiting = selectors.DefaultSelector()
    end, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGTERM, lambda *_: None)  # not between accept and answer
    waiting.register(end, selectors.EVENT_READ)
    for descriptor in range(START, START + count):
        os.set_blocking(descriptor, False)  # as asyncio does, and it is the next life's too
        waiting.register(socket.socket(fileno=descriptor), selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj == end:
                return
            try:
                if key.fileobj.type == socket.SOCK_STREAM:
                    connection, _ = key.fileobj.accept()
                    with connection:
                        connection.sendall(b"%d\n" % os.getpid())
                else:
                    said = key.fileobj.recv(100)
                    print("got", said.decode(), flush=True)
            except BlockingIOError:
                pass


count = listen_fds()
print(count, os.environ.get("LISTEN_FDNAMES"), *(describe(n) for n in range(START, START + count)))
sys.stdout.flush()
if (child := os.fork()) == 0:
    print("child", listen_fds(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
sockets = [n for n in range(START, 64) if os.path.exists(f"/proc/self/fd/{n}")]
print("open", *(n for n in sockets if stat.S_ISSOCK(os.fstat(n).st_mode)), flush=True)
if "accept" in sys.argv:
    serve(count)
