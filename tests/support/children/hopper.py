"""hopper.py MS: leaves for a new session and a new pid every MS milliseconds, for ever.

Who looks for it in /proc misses it; it holds a lock on ./hopper.life, and ends when that file is gone.
"""

import fcntl
import os
import select
import sys

LIFE = "hopper.life"
pause = float(sys.argv[1]) / 1000
if os.fork():
    print("ready", flush=True)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            select.select([], [], [])
life = os.open(LIFE, os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(life, fcntl.LOCK_EX)  # held by whoever has this descriptor: each of its descendants
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
while os.path.exists(LIFE):
    if os.fork():
        os._exit(0)
    os.setsid()
    select.select([], [], [], pause)
