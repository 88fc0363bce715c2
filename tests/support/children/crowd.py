"""crowd.py COUNT NAME WORD...: COUNT processes call NAME(number, WORD...) at once; a line of JSON each."""

import fcntl
import json
import os
import random
import signal
import sys
import time
import traceback

from devport.context import Context
from devport.errors import DevportError
from devport.model import Project, Service
from devport.registry.locks import Holder, Lock, held, this_process
from devport.registry.register import register
from devport.registry.store import Store

HASH = "a" * 10


def registers(number, home, names, root):
    """The ports of the services `names` of a project: of this process's own, or of `root` for all."""
    folder = f"/{root or f'checkout{number}'}"
    services = tuple(
        Service(name, name, ("run",), folder, position=place) for place, name in enumerate(names.split(","))
    )
    project = Project(folder, f"{folder}/Procfile", services)
    done = register(Context({}, "/", home), Store(home), project, services, is_free=lambda port: True)
    return [done.records[one.name].port for one in services]


def increments(_number, home, times):
    """Count in the record, as often as that; how often."""
    store = Store(home)
    for _ in range(int(times)):
        store.update(
            HASH, lambda record: record._replace(extra={**record.extra, "count": record.extra["count"] + 1})
        )
    return int(times)


def increments_and_beats(number, home, times, beats):
    """Process 0 is the heartbeat, every 10 ms for `beats` times; the others count."""
    if number:
        return increments(number, home, times)
    store = Store(home)
    for beat in range(int(beats)):
        store.update(
            HASH, lambda record, beat=beat: record._replace(last_up=f"2024-01-01T00:00:{beat % 60:02}Z")
        )
        time.sleep(0.01)
    return 0


def writes_and_reads(number, home, seconds):
    """Process 0 writes numbers and times; the others read. Reads, unreadable ones, and the oldest seen (s).

    Half of the writes take another length, so that one that is written in place would show its rest.
    """
    store, until = Store(home), time.monotonic() + float(seconds)
    if number == 0:
        count = 0
        while time.monotonic() < until:
            count += 1
            stamp = {"at": time.monotonic(), "count": count, "pad": "x" * (count % 2 * 20000)}
            store.update(HASH, lambda record, stamp=stamp: record._replace(extra=stamp))
        return [count, 0, 0]
    reads = bad = 0
    oldest = last = 0.0
    while time.monotonic() < until:
        snapshot, now = store.records(), time.monotonic()
        reads += 1
        if snapshot.unreadable or HASH not in snapshot.records:
            bad += 1
            continue
        extra = snapshot.records[HASH].extra
        bad += extra["count"] < last or snapshot.records[HASH].port != 19000  # time goes backward
        last = extra["count"]
        oldest = max(oldest, now - extra["at"])
    return [reads, bad, oldest]


def takes(number, path, times):
    """Take the lock, look whether we are alone (by a lock that is never removed), perhaps remove it, let go.

    How often somebody else was there too, and how often the lock could not be had.
    """
    me = this_process(Context({}, "/", "/"), "run", str(number))
    dice = random.Random(number)
    crowded = missed = 0
    alone = os.open(f"{path}.alone", os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(int(times)):
        lock = Lock.acquire(path, me, timeout=30)
        if isinstance(lock, Holder):
            missed += 1
            continue
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            crowded += 1
        else:
            time.sleep(0)  # whoever should not be here has a chance to come
            fcntl.flock(alone, fcntl.LOCK_UN)
            if dice.random() < 0.5:
                os.unlink(path)  # as `rm` does at its end, while it still has it
        lock.release()
    return [crowded, missed]


def looks_and_takes(number, path, times):
    """Process 0 takes the lock that nobody has; the others look at it. How often it was refused."""
    if number:
        until = time.monotonic() + 60
        while os.path.exists(f"{path}.go") and time.monotonic() < until:
            for _ in range(200):
                held(path)
        return 0
    me, refused = this_process(Context({}, "/", "/"), "run", "web"), 0
    for _ in range(int(times)):
        time.sleep(0.0005)  # the lookers are to be in the midst of it
        lock = Lock.acquire(path, me)
        if isinstance(lock, Holder):
            refused += 1
        else:
            lock.release()
    os.unlink(f"{path}.go")
    return refused


def looks(_number, path, times):
    """Look at a lock that nobody has; how often somebody seemed to have it."""
    return sum(held(path) is not None for _ in range(int(times)))


def main(count, name, *words):
    """Fork, wait until all are there, let them go, wait for their ends."""
    begin, go = os.pipe()
    pids = []
    for number in range(int(count)):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(450)
                os.close(go)
                os.read(begin, 1)  # its end, for all at once
                answer = globals()[name](number, *words)
                os.write(1, (json.dumps(answer) + "\n").encode())
                status = 0
            except DevportError as error:
                os.write(2, f"process {number}: {error.message}\n".encode())
            except Exception:  # noqa: BLE001 - whatever it is, the test is to see it
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(status)
        pids.append(pid)
    os.close(go)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    sys.exit(any(statuses))


main(*sys.argv[1:])
