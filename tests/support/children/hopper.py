"""hopper.py MS: leaves for a new session and a new pid every MS milliseconds, for ever."""

import os
import select
import sys

pause = float(sys.argv[1]) / 1000
if os.fork():
    print("ready", flush=True)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            select.select([], [], [])
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
    select.select([], [], [], pause)
