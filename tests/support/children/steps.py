"""steps.py FOLDER ACT MOST: does ACT in a copy of FOLDER again and again, killed before its n-th system call.

FOLDER has `state` and `project`. A line of JSON for each n, at most MOST of them spread over all that there
are: n, and what state the folder is in (`states`, below). Each time the act is then done once more, unharmed.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import sys

from devport.cli import main as devport
from devport.registry.store import Store

FILES = ("open", "write", "read", "close", "fsync", "lseek", "ftruncate", "fchmod", "fstat")
NAMES = ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "chmod", "stat", "lstat", "listdir")
WORDS = {"register": ["port", "web"], "damaged": ["port", "web"], "rm": ["rm", "web"]}


def act(name):
    """Do it: devport's status."""
    if name == "save":
        store = Store(os.environ["DEVPORT_HOME"])
        store.update_all(
            {hash_: lambda old: old._replace(description="new") for hash_ in sorted(store.records().records)}
        )
        return 0
    return devport(WORDS[name])


class Counted:
    """System calls are counted, and before the `left`-th there is an end."""

    def __init__(self, left):
        self.left, self.count = left, 0
        for module, names in ((os, FILES + NAMES), (fcntl, ("flock",))):
            for name in names:
                setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, call):
        def step(*arguments, **options):
            if self.count == self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1
            return call(*arguments, **options)

        return step


def fork(work):
    """The status of a child that does `work`, and what that wrote to the descriptor it got."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = work(write)
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as answer:
        said = answer.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def states():
    """What the state folder holds: name, port and description of each record; damaged files."""
    snapshot = Store(os.environ["DEVPORT_HOME"]).records()
    folder = pathlib.Path(os.environ["DEVPORT_HOME"]) / "services"
    names = os.listdir(folder) if folder.exists() else []
    return {
        "records": {one.name: [one.port, one.description] for one in snapshot.records.values()},
        "unreadable": [list(torn.ports) for torn in snapshot.unreadable.values()],
        "kept": sum(".corrupt-" in name for name in names),
        "drafts": sum(".tmp-" in name for name in names),
    }


def fresh(folder):
    """The state folder as it was."""
    home = pathlib.Path(folder) / "copy"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(pathlib.Path(folder) / "state", home)


def main(folder, name, most):
    """Count the calls, then die before each of them."""
    os.environ["DEVPORT_HOME"] = os.path.join(folder, "copy")
    os.chdir(os.path.join(folder, "project"))
    out = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    fresh(folder)
    with contextlib.suppress(SystemExit):
        act(name)  # from now on every module is there

    def whole(write):
        counted = Counted(-1)
        status = act(name)
        os.write(write, str(counted.count).encode())
        return status

    fresh(folder)
    status, said = fork(whole)
    assert status == 0, said
    total = int(said)

    def killed(_write, left=0):
        Counted(left)
        return act(name)

    points = sorted({number * total // int(most) for number in range(min(int(most), total))})
    if int(most) >= total:
        points = range(total)
    for left in points:
        fresh(folder)
        died, _ = fork(lambda write, left=left: killed(write, left))
        found = {"at": left, "of": total, "died": died, "then": states()}
        again, _ = fork(lambda _write: act(name))
        found |= {"again": again, "finally": states()}
        os.write(out, (json.dumps(found) + "\n").encode())


main(*sys.argv[1:])
