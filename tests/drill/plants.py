"""Faults that are planted in a quiet world: the negative controls of what is checked after each step."""

import os
import signal
import time
import zlib

from support import procs

from drill import checks
from drill.excuses import MARGIN
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
    # While it executes it has neither words nor an environment: nobody could know it.
    procs.eventually(lambda: checks.demand(world.kids("a"), "it does not begin"))


def plant_line(world):
    """A line that was written and is in no log."""
    life, _ = _dead(world)
    _wrote(world, life, 40)


def plant_second(world):
    """A second life of a service beside the first."""
    words = kid(world, "k1", "every=0.1", "crash=1:0")
    world.devport.running.append(running := world.devport.spawn(words))
    world.devport.running.remove(running)

    def noted():  # one of the two has found the other: that stays, when the second has ended
        world.journals.update()
        assert world.journals.faults

    procs.eventually(noted)


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
    _die_unseen(pid, world.kids("k1"))


def plant_state(world):
    """A record of one that was stopped says that it runs; what was done to another is no excuse."""
    hashes = world.hashes()
    world.fill()
    world.empty()
    world.kill(world.supervisor("k2"), "k2")
    world.excuses.garbled[hashes["k2"]] = "k2"
    procs.elapse(MARGIN + 1)  # k1 lives on for longer than a full disk excuses anything
    checks.everything(world)
    world.call("stop", "k1")
    world.machine.rewrite(hashes["k1"], state="running")


def plant_child(world):
    """A dead child that is not reaped, beside a service that lives: what was left to its supervisor."""
    words = kid(world, "k3", "every=0.1", "daemon=double")
    world.call("start", "--no-tmux", "--key", "k3", "--", *words)
    supervisor = world.supervisor("k3")

    def left():
        world.journals.update()
        found = [one for one in world.kids("k3") if one.parent == supervisor and one.pid != one.group]
        assert found
        return found

    [daemon] = procs.eventually(left)
    _die_unseen(supervisor, [daemon])


def plant_tail(world):
    """A line whose end was cut off on its way to the log."""
    life, log = _dead(world)
    line = _line(life, 1)
    with log.open("ab") as file:
        file.write(line[:-30] + b"\n")
    _wrote(world, life, 1)


def plant_swap(world):
    """Two lines, each with the end of the other."""
    life, log = _dead(world)
    first, second = _line(life, 1), _line(life, 2)
    with log.open("ab") as file:
        file.write(first[:-30] + second[-30:] + second[:-30] + first[-30:])
    _wrote(world, life, 2)


def _die_unseen(supervisor, those):
    """`those` die while `supervisor` is stopped; neither comes at once on a busy machine."""
    os.kill(supervisor, signal.SIGSTOP)
    procs.eventually(lambda: checks.demand(procs.process(supervisor).state == "T", "it goes on"))
    _kill(those)


def _kill(those):
    for one in those:
        procs.send(one.pid, signal.SIGKILL)
    procs.eventually(lambda: checks.demand(not any(procs.is_alive(one.pid) for one in those), "they live"))


def _dead(world):
    """A life of k1 that has just ended, and its log."""
    _kill(world.kids("k1"))
    procs.elapse(0.5)
    world.journals.update()
    life = next(one for one in world.journals.lives.values() if one.name == "k1")
    return life, world.devport.state / "logs" / f"{world.hash('k1')}.log"


def _line(life, more):
    body = b"k1:%s:%d:%s" % (life.run.encode(), life.lines + more, b"x" * 80)
    return b"<%s:%08x>\n" % (body, zlib.crc32(body))


def _wrote(world, life, more):
    with (world.notes / "k1.journal").open("a") as file:
        file.write(f"wrote {life.run} {life.pid} {time.monotonic():.4f} {life.lines + more}\n")


PLANTS = {
    "child": plant_child,
    "state": plant_state,
    "swap": plant_swap,
    "tail": plant_tail,
    "orphan": plant_orphan,
    "line": plant_line,
    "second": plant_second,
    "port": plant_port,
    "record": plant_record,
    "zombie": plant_zombie,
}
