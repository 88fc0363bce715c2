"""Writes to the file argv[1] what it was told: words, environment, folder, ids; then waits.

With TOLD_CHILD it has a child that waits as well; with TOLD_STATUS it ends with that status instead.
"""

import json
import os
import signal
import sys


def main():
    child = 0
    if "TOLD_CHILD" in os.environ:
        child = os.fork()
        if not child:
            signal.pause()
    facts = {
        "argv": [os.fsencode(word).decode("latin-1") for word in sys.argv[2:]],
        "env": {k.decode("latin-1"): v.decode("latin-1") for k, v in os.environb.items()},
        "cwd": os.getcwdb().decode("latin-1"),
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "child": child,
    }
    temporary = f"{sys.argv[1]}.{os.getpid()}"
    with open(temporary, "w") as file:
        json.dump(facts, file)
    os.replace(temporary, sys.argv[1])
    print("told", flush=True)
    if "TOLD_STATUS" in os.environ:
        sys.exit(int(os.environ["TOLD_STATUS"]))
    signal.pause()


main()
