"""setup.py WHAT... -- COMMAND...: executes COMMAND as a caller with peculiarities would.

terminal (stdin becomes the controlling terminal), block=N,N (signals), ignore=N,N, nofile=N or
nofile=N:HARD, fsize=N, nproc=N, core=N:HARD, uid=N, fd=N (left open and inheritable), nonblock (stdout),
umask=OCTAL, closed=N, cgroup=FOLDER.
"""

import fcntl
import os
import resource
import signal
import sys
import termios

place = sys.argv.index("--")
for word in sys.argv[1:place]:
    what, _, value = word.partition("=")
    match what:
        case "terminal":
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        case "block":
            signal.pthread_sigmask(signal.SIG_BLOCK, map(int, value.split(",")))
        case "ignore":
            for number in value.split(","):
                signal.signal(int(number), signal.SIG_IGN)
        case "nofile" | "fsize" | "nproc" | "core":
            soft, _, hard = value.partition(":")
            limits = (int(soft), int(hard or soft))
            resource.setrlimit(getattr(resource, f"RLIMIT_{what.upper()}"), limits)
        case "cgroup":
            with open(f"{value}/cgroup.procs", "w") as procs:
                procs.write(str(os.getpid()))
        case "uid":
            os.setgroups([])
            os.setgid(int(value))
            os.setuid(int(value))
        case "fd":
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, int(value))
            os.close(null)
        case "nonblock":
            os.set_blocking(1, False)
        case "umask":
            os.umask(int(value, 8))
        case "closed":
            os.close(int(value))
        case _:
            sys.exit(f"what is {word}?")
if "ignore" not in " ".join(sys.argv[1:place]) or "13" not in " ".join(sys.argv[1:place]):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python's own
os.execvp(sys.argv[place + 1], sys.argv[place + 1 :])
