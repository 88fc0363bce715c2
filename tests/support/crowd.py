"""Many processes that do one thing at the same moment, at the cost of a fork each.

A process of its own imports what is needed once and forks: the tests' own process has threads, and must not.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PROGRAM = HERE / "children" / "crowd.py"


def crowd(count, name, *words, timeout=500):
    """What `name` (a function of children/crowd.py) returned in each of `count` processes, in any order.

    Each is called with its number and `words`. AssertionError where one failed.
    """
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(count), name, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-500:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == count, done.stderr[-3000:]
    return answers
