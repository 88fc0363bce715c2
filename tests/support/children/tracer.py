"""tracer.py PID: traces PID and never looks: killed, it stays a zombie that its parent is not told about.

As near as a test gets to a process that the kernel will not let die.
"""

import ctypes
import os
import select
import sys

PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), 0, 0):
    print("cannot trace:", os.strerror(ctypes.get_errno()), flush=True)
    sys.exit(1)
print("tracing", flush=True)
select.select([], [], [])
