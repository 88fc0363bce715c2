"""listener.py [exit=N]: listens on $PORT, says "ready PORT"; with exit=N it exits and its child stays.

listener.py shared: it says "shared with PID" of its child, which listens too, in a session of its own.
"""

import os
import select
import signal
import socket
import sys

server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    server.bind(("127.0.0.1", int(os.environ["PORT"])))
except OSError as error:
    print("cannot bind:", error.strerror, flush=True)
    sys.exit(98)
server.listen()
if "shared" in sys.argv:
    other = os.fork()
    if other:
        print("shared with", other, flush=True)
    else:
        os.setsid()
    select.select([], [], [])
codes = [word[5:] for word in sys.argv[1:] if word.startswith("exit=")]
if codes:  # the end of a session's leader is a hangup for who stays
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
parent = codes and os.fork()
print("ready", os.environ["PORT"], flush=True) if not codes or parent else None
if parent:
    sys.exit(int(codes[0]))
select.select([], [], [])
