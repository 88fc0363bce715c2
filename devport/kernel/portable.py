"""The process tree as psutil tells it, for systems without /proc and without a subreaper (macOS).

The same questions as in `descendants`, with the same answers, at some 50 microseconds a process.
"""

import os
from collections.abc import Iterator, Mapping

import psutil

from devport.kernel.descendants import MARK, RUN, Stat
from devport.kernel.roster import WORD

_LETTERS = {psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X", psutil.STATUS_STOPPED: "T"}
_GONE = (psutil.Error, OSError, ValueError, OverflowError)


def stat(pid: int) -> Stat | None:
    """As `descendants.stat`; a state that is none of Z, X and T is S."""
    try:
        process = psutil.Process(pid)
        parent = process.ppid()
        state = _LETTERS.get(process.status(), "S")
        return Stat(state, parent, os.getpgid(pid), os.getsid(pid))
    except _GONE:
        return None


def children(pid: int) -> list[int]:
    """The children of `pid`, zombies included."""
    return [child.pid for child in _children(pid)]


def below(pid: int) -> Iterator[int]:
    """All living descendants of `pid`, parents before children."""
    for child in _children(pid, recursive=True):
        known = stat(child.pid)
        if known is not None and known.state not in "ZX":
            yield child.pid


def _children(pid: int, *, recursive: bool = False) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=recursive)
    except _GONE:
        return []


def mark(pid: int) -> str | None:
    """The mark that `pid` was started with; None where it has none, or this user may not know."""
    try:
        return psutil.Process(pid).environ().get(MARK)
    except _GONE:
        return None


def orphans(leaders: Mapping[int, str]) -> set[int]:
    """Living processes of this user that a tree of `leaders` (pid: token) has lost.

    They are of it, by the marks or by the leader's group or session, and their parent is init. Nobody else's
    environment is read: root is shown every one.
    """
    found: set[int] = set()
    adopters = _adopters() if leaders else set()
    for process in psutil.process_iter() if leaders else ():
        try:
            if process.uids().effective != os.geteuid() or process.pid in leaders:
                continue
            if process.ppid() in adopters and _is_member(process, leaders):
                found.add(process.pid)
        except _GONE:
            continue
    return found


def _adopters() -> set[int]:
    """Who may be the parent of a process that has lost its own: init, and where there are any, subreapers."""
    try:
        return {1, *(process.pid for process in psutil.Process().parents())}
    except _GONE:
        return {1}


def _is_member(process: psutil.Process, leaders: Mapping[int, str]) -> bool:
    if process.status() in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
        return False
    own = {os.getpgid(process.pid), os.getsid(process.pid)}
    if not own.isdisjoint(leaders):
        return True
    marks = process.environ()
    # The token is the service's, whoever runs it: in another DEVPORT_HOME somebody else does.
    return marks.get(MARK) in leaders.values() and marks.get(RUN) == WORD
