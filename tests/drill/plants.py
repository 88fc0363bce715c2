"""Faults that are planted in a quiet world: the negative controls of what is checked after each step."""

import os
import signal
import time

from support import procs

from drill.world import kid


def plant_orphan(world):
    """A process of a service that nobody supervises any more."""
    words = kid(world, "a", "every=0.1", "deaf")
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.execve(words[0], words, world.devport.environ)
    os.wait()


def plant_line(world):
    """A line that was written and is in no log."""
    for one in world.kids("k1"):
        procs.send(one.pid, signal.SIGKILL)
    procs.elapse(0.5)
    world.journals.update()
    life = next(one for one in world.journals.lives.values() if one.name == "k1")
    with (world.notes / "k1.journal").open("a") as file:
        file.write(f"wrote {life.run} {life.pid} {time.monotonic():.4f} {life.lines + 40}\n")


def plant_second(world):
    """A second life of a service beside the first."""
    words = kid(world, "k1", "every=0.1", "crash=1:0")
    world.devport.running.append(running := world.devport.spawn(words))
    world.devport.running.remove(running)


def plant_port(world):
    """Two records with one port."""
    first, second = sorted(world.hashes().values())[:2]
    world.machine.rewrite(second, port=world.machine.record(first)["port"])


def plant_record(world):
    """A record that nobody has damaged on purpose."""
    path = world.store.path(min(world.hashes().values()))
    with open(path, "w") as file:
        file.write("{")


def plant_zombie(world):
    """A dead child that is not reaped: of a stopped supervisor."""
    pid = world.supervisor("k1")
    os.kill(pid, signal.SIGSTOP)
    for one in world.kids("k1"):
        procs.send(one.pid, signal.SIGKILL)


PLANTS = {
    "orphan": plant_orphan,
    "line": plant_line,
    "second": plant_second,
    "port": plant_port,
    "record": plant_record,
    "zombie": plant_zombie,
}
