"""What has to hold after every step of a walk; each check raises Fault."""

import json
import re
import time

from support import procs

from devport.errors import DevportError
from devport.registry.locks import held
from drill.world import Fault, lives_on

SETTLED = 8.0
"""Seconds in which what a kill -9 leaves behind is gone, on a busy machine."""
SUPERVISE = re.compile(r"devport supervise ([0-9a-f]{10}) ")
AT_REST = {"", "stopped", "exited", "failed"}


def settled(check, timeout=SETTLED):
    """`check` holds within `timeout` seconds; its last Fault if not."""
    procs.eventually(check, timeout)


def everything(world, patience=SETTLED):
    """All checks, the quick ones first; each is to hold within `patience` seconds, or twice as many."""
    settled(lambda: tree(world), patience)
    settled(lambda: records(world), patience)
    listed(world)
    settled(lambda: lives(world), 2 * patience)


def demand(holds, said):
    """Fault with `said` where something does not hold."""
    if not holds:
        raise Fault(said)


# processes


def tree(world):
    """One supervisor a service, which holds its lock; nobody without a supervisor; no zombie."""
    there = {one.pid: one for one in procs.tree(world.tag)}
    state = str(world.devport.state).encode().hex()
    for pid in procs.everybody():  # a supervisor in a window has tmux's environment
        if pid not in there and (one := procs.process(pid)) and state in one.command and procs.alive(one):
            there[pid] = one
    supervisors = {}
    for one in there.values():
        if not one.command.startswith("tmux") and (match := SUPERVISE.search(f"{one.command} ")):
            supervisors.setdefault(match[1], []).append(one)
    for hash_, found in supervisors.items():
        demand(len(found) == 1, f"{len(found)} supervisors of {hash_}: {found}")
        holder = held(world.store.lock_path(hash_))
        demand(
            holder is not None and holder.pid == found[0].pid,
            f"the lock of {hash_} is held by {holder}, not by its supervisor {found[0]}",
        )
        world.excuses.saw(hash_, found[0].pid)
    own = {one.popen.pid for one in world.devport.running if one.popen.poll() is None}
    working = {one.pid for found in supervisors.values() for one in found}
    if world.foreground and world.foreground.supervisor:
        working.add(world.foreground.supervisor)
    for one in there.values():
        demand(_belongs(one, there, own, working), f"an orphan: {one}")
    for pid in [*working, *own]:
        dead = [one for one in procs.zombies(pid) if not _is_needed(one)]
        demand(not dead, f"zombies of {pid}: {dead}")


def _is_needed(zombie):
    """Whether a dead leader is kept because others of its group live: its pid is the group's number."""
    return any(procs.alive(one) and one.group == zombie.pid for one in map(procs.process, procs.everybody()))


def _belongs(one, there, own, working):
    """Whether a process is part of what is to be there."""
    if one.command.startswith("tmux"):
        return True
    if one.command.startswith("devport -c"):  # the shell above a supervisor, for as long as there is one
        return any(pid in working for pid in procs.children(one.pid))
    seen = set()
    while one is not None and one.pid not in seen:
        seen.add(one.pid)
        if one.pid in own or one.pid in working:
            return True
        one = there.get(one.parent) or procs.process(one.parent)
        if one is not None and one.command.startswith("tmux"):
            return False  # in a window, and no supervisor
    return False


# records


def records(world):
    """Every record can be read but for those that were damaged on purpose; no port is given twice."""
    snapshot = world.store.records()
    world.excuses.wrote(world.excuses.garbled.keys() - snapshot.unreadable.keys())
    bad = snapshot.unreadable.keys() - world.excuses.garbled.keys()
    demand(not bad, f"unreadable records: {[snapshot.unreadable[one] for one in bad]}")
    ports = {}
    kept = {one.hash: one.port for one in snapshot.records.values() if one.port}
    for hash_, port in kept.items():
        demand(port not in ports, f"port {port} is given to {hash_} and to {ports.get(port)}")
        ports[port] = hash_
    for hash_, damaged in snapshot.unreadable.items():
        for port in damaged.ports:
            demand(ports.get(port, hash_) == hash_, f"port {port} of the damaged {hash_} was given away")
    for one in snapshot.records.values():
        demand(
            held(world.store.lock_path(one.hash)) is not None
            or one.state in AT_REST
            or world.excuses.unwritten(one, world.journals.lives.values()),
            f"nobody runs {one.label}, and its record says {one.state}",
        )


def listed(world):
    """`devport ls` answers, and what it says is so."""
    before = world.store.records()  # a run that begins may register more
    answer = world.call("ls", "--json")
    demand(answer.status == 0, f"ls fails: {answer}")
    rows = {row["hash"]: row for row in json.loads(answer.out or b"[]")}
    snapshot = world.store.records()
    for hash_ in before.unreadable.keys() & snapshot.unreadable.keys():
        demand(rows[hash_]["status"] == "corrupt", f"a damaged record is shown as {rows[hash_]}")
        demand(hash_.encode() in answer.err, f"a damaged record is not warned of: {answer}")
    for hash_ in before.records.keys() & snapshot.records.keys():
        demand(hash_ in rows, f"{hash_} is not listed: {answer}")
    for hash_, row in rows.items():
        try:
            holder = held(world.store.lock_path(hash_))
        except DevportError:
            continue
        # A supervisor stays for as long as a change of a file may start its service again.
        if (
            row["status"] == "stopped"
            and holder is not None
            and row["state"] not in ("failed", "exited", "stopped")
        ):
            path = world.store.lock_path(hash_)
            settled(lambda row=row, path=path: demand(held(path) is None, f"it runs: {row}"), 3)


# lives and lines


def lives(world):
    """No two lives at once, every birth told of, every line that was written is there, once and whole."""
    world.journals.update()
    world.logs.update()
    sources = [*world.logs.sources, *(run.source for run in world.fronts)]
    for source in sources:
        demand(not source.faults, f"output: {source.faults}")
    for name, note in world.journals.faults:
        demand(False, f"{name}: {note}")
    seen, said, begun = {}, set(), set()
    for source in sources:
        begun |= source.begun
        said |= source.said
        for run, numbers in list(source.seen.items()):
            seen.setdefault(run, set()).update(numbers)
    excuses = world.excuses
    for life in list(world.journals.lives.values()):
        run = excuses.of_front(life)
        if life.alive or excuses.removed(life) or (run and run.stalled):
            continue
        _complete(excuses, life, seen.get(life.run, set()))
        for what, at in life.said.items():
            demand(
                (what, life.run) in said or excuses.killed(life) or excuses.lost(life, at),
                f"the {what} of {life.name} ({life.run}, {at:.2f}) is lost",
            )
        demand(
            life.pid in begun or excuses.killed(life) or excuses.lost(life, life.birth),
            f"the start of {life.name} (pid {life.pid}, run {life.run}) was never told of",
        )


def _complete(excuses, life, numbers):
    missing = [number for number in range(1, life.lines + 1) if number not in numbers]
    if not missing:
        return
    if excuses.killed(life):  # its last words may be lost, and nothing in front of them
        missing = [number for number in missing if number < max(numbers, default=life.lines + 1)]
    times = life.times()
    missing = [one for one in missing if not excuses.lost(life, times[one])]
    demand(
        not missing,
        f"{len(missing)} of {life.lines} lines of {life.name} "
        f"({life.run}, {life.birth:.2f} to {life.last:.2f})"
        f" are lost: {missing[:9]}, seen to {max(numbers, default=0)}; now {time.monotonic():.2f}",
    )


def gone(world, name):
    """Behind a stop that was answered: nobody of its tree lives, its lock is free."""
    demand(not lives_on(world.notes / f"{name}.life"), f"{name} was stopped, and lives: {world.kids(name)}")
    holder = world.holder(name)
    demand(holder is None or holder.mode == "foreground", f"{name} was stopped, and {holder} runs it")
