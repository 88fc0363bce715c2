"""size.py: prints its terminal's columns and rows, again whenever they change."""

import os
import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)
numbers = {signal.SIGWINCH}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
signal.signal(signal.SIGWINCH, lambda *_: None)
print("ready", flush=True)
while True:
    try:
        print("size", *os.get_terminal_size(1), flush=True)
    except OSError:
        print("no terminal", flush=True)
    signal.sigwait(numbers)
