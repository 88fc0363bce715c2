"""signals.py [keep]: prints "ready", then the name of each signal; INT, TERM, QUIT end it unless "keep"."""

import os
import signal
import sys

ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGQUIT}
NUMBERS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
NUMBERS |= {signal.SIGWINCH, signal.SIGCONT}
signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
for number in NUMBERS:
    signal.signal(number, lambda *_: None)
print("ready", os.getpid(), flush=True)
while True:
    number = signal.sigwait(NUMBERS)
    print("got", signal.Signals(number).name, flush=True)
    if number in ENDS and "keep" not in sys.argv:
        sys.exit(0)
