"""forker.py KIND [stubborn] [exit=N] [word...]: a grandchild in this group, another group or session.

KIND: group, pgid (a group of its own), setsid, double (a daemon by double fork), bare (as double, with an
empty environment). Prints "ready" once the grandchild is, and its pid; then stays, or exits with N.
Further words only mark the command line.
"""

import os
import signal
import sys

kind, words = sys.argv[1], sys.argv[2:]
STAY = """
import os, signal, sys
if "stubborn" in sys.argv:
    for number in (1, 2, 3, 15):
        signal.signal(number, signal.SIG_IGN)
for number in (10, 12):
    signal.signal(number, signal.SIG_IGN)
write = int(sys.argv[1])
os.write(write, b"%d" % os.getpid())
os.close(write)
while True:
    signal.pause()
"""


def grandchild():
    """Become it."""
    environment = {} if kind == "bare" else dict(os.environ)
    os.set_inheritable(write, True)
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", STAY, str(write), *words], environment)


for ignored in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(ignored, signal.SIG_IGN)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    if kind == "pgid":
        os.setpgid(0, 0)
    elif kind != "group":
        os.setsid()
    if kind in {"double", "bare"} and os.fork():
        os._exit(0)
    os.close(read)
    grandchild()
os.close(write)
number = int(os.read(read, 20))
os.close(read)
if kind in {"double", "bare"}:
    os.waitpid(pid, 0)
print("ready", number, flush=True)
for word in words:
    if word.startswith("exit="):
        sys.exit(int(word[5:]))
while True:
    signal.pause()
