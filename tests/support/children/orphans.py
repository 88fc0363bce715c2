"""orphans.py COUNT: makes COUNT orphans that live up to half a second, prints "ready", and stays."""

import os
import select
import sys

for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            select.select([], [], [], number % 50 / 100)
        os._exit(0)
    os.waitpid(pid, 0)
print("ready", flush=True)
select.select([], [], [])
