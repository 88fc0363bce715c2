"""orphans.py COUNT [FIFO]: makes COUNT orphans that live up to half a second, prints "ready", and stays.

With FIFO every second one ends at once, and the others live on when somebody opens it for writing.
"""

import os
import select
import sys

gate = sys.argv[2:]
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        if os.fork() == 0:
            if gate and number % 2:
                open(gate[0], "rb").close()
            if not gate or number % 2:
                select.select([], [], [], number % 50 / 100)
        os._exit(0)
    os.waitpid(pid, 0)
print("ready", flush=True)
select.select([], [], [])
