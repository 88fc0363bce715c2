"""Several devports at once, and one killed at any moment: nothing torn, nothing twice, nothing lost."""

import json
import os
import random
import signal
import subprocess
import sys

from devport.registry.ports import order
from devport.registry.record import Record
from devport.registry.store import Store

REGISTER = """
import json, sys
from devport.context import Context
from devport.model import Project, Service
from devport.registry.register import register
from devport.registry.store import Store
home, root, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
services = tuple(
    Service(name, name, ("run",), root, position=index, key=name if root.startswith("key") else None)
    for index, name in enumerate(names)
)
project = Project("/" + root, "/Procfile", services)
print("ready", flush=True)
sys.stdin.readline()
done = register(
    Context({}, "/", home), Store(home), project, services, is_free=lambda port: True
)
print(json.dumps({name: [record.port, record.hashid] for name, record in done.records.items()}))
"""

UPDATE = """
import sys
from devport.registry.store import Store
store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    store.update("a" * 10, lambda record: record._replace(extra={"count": record.extra["count"] + 1}))
"""


def spawn(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(children):
    """Lets all start at the same moment; their answers."""
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    answers = [child.communicate()[0] for child in children]

    assert [child.returncode for child in children] == [0] * len(children)
    return answers


def test_20_registrations_in_20_checkouts_give_20_ports(tmp_path):
    """Ports and hashids are all different, whoever comes first."""
    answers = go([spawn(REGISTER, tmp_path / "home", f"checkout{n}", "web") for n in range(20)])
    given = [json.loads(answer)["web"] for answer in answers]

    assert {port for port, _ in given} == set(order(range(19000, 20000), os.getuid())[:20])
    assert len({hashid for _, hashid in given}) == 20


def test_two_registrations_of_one_checkout_agree(tmp_path):
    """The same services, the same ports, one record each."""
    answers = go([spawn(REGISTER, tmp_path / "home", "p", "web,api") for _ in range(6)])

    assert len(set(answers)) == 1
    assert len(Store(str(tmp_path / "home")).records().records) == 2


def test_no_increment_is_lost_between_processes(tmp_path):
    """Read-modify-write under the record's lock, and a reader never sees a torn record meanwhile."""
    store = Store(str(tmp_path / "home"))
    store.write([Record("a" * 10, "aaa", port=19000, extra={"count": 0}, env=("x" * 9000,))])
    children = [spawn(UPDATE, store.root, 40) for _ in range(4)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    waiting, looks = list(children), 0
    while any(child.poll() is None for child in children):
        if waiting and looks % 5 == 0:  # one after the other: none is done before it has been looked at
            child = waiting.pop()
            child.stdin.write("\n")
            child.stdin.flush()
        snapshot = store.records()
        assert snapshot.unreadable == {}
        assert snapshot.records["a" * 10].port == 19000
        looks += 1
    for child in children:
        child.communicate()

    assert [child.returncode for child in children] == [0] * 4
    assert store.record("a" * 10).extra == {"count": 160}
    assert looks > 15


def test_registering_while_heartbeats_write_loses_neither(tmp_path):
    """The declaration changes, the counter goes on."""
    home = tmp_path / "home"
    go([spawn(REGISTER, home, "key", "a")])
    store = Store(str(home))
    ((hash_, _),) = store.records().records.items()
    store.update(hash_, lambda record: record._replace(extra={"count": 0}, cmd=("old",)))
    beats = spawn(UPDATE.replace('"a" * 10', f'"{hash_}"'), home, 60)
    go([beats, spawn(REGISTER, home, "key", "a")])
    record = store.record(hash_)

    assert (record.extra, record.cmd, record.port) == ({"count": 60}, ("run",), 19000)


def test_a_writer_killed_at_any_moment_leaves_old_or_new(tmp_path):
    """SIGKILL at random points of a registration: no torn record, the lock free, the next one succeeds."""
    home = tmp_path / "home"
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    names = ",".join(f"s{number}" for number in range(60))
    ports = {}
    for round_ in range(12):
        child = spawn(REGISTER, home, "p", names if round_ else "s0")
        child.stdout.readline()
        child.stdin.write("\n")
        child.stdin.flush()
        try:
            child.wait(dice.random() * 0.06)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        child.communicate()
        snapshot = Store(str(home)).records()

        assert snapshot.unreadable == {}
        for record in snapshot.records.values():
            assert ports.setdefault(record.name, record.port) == record.port
        assert len({record.port for record in snapshot.records.values()}) == len(snapshot.records)
    (answer,) = go([spawn(REGISTER, home, "p", names)])
    final = {name: port for name, (port, _) in json.loads(answer).items()}

    assert len(set(final.values())) == 60
    assert ports.items() <= final.items()


def test_a_kill_at_every_system_call_of_a_write_leaves_old_or_new(tmp_path):
    """The same, without luck: dies before the n-th step, for every n there is."""
    program = """
import os, signal, sys
steps = [int(sys.argv[2])]
def counted(call):
    def step(*arguments, **options):
        steps[0] -= 1
        if steps[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return step
from devport.registry.store import Store
for name in ("open", "write", "fsync", "replace", "close", "unlink", "link", "fchmod", "lseek", "read"):
    setattr(os, name, counted(getattr(os, name)))
Store(sys.argv[1]).update("a" * 10, lambda record: record._replace(state="new"))
Store(sys.argv[1]).write([Store(sys.argv[1]).record("a" * 10)._replace(hash="b" * 10, hashid="bbb")])
"""
    old = Record("a" * 10, "aaa", port=19000, state="old")
    states = set()
    for step in range(200):
        store = Store(str(tmp_path / str(step)))
        store.write([old])
        child = subprocess.run([sys.executable, "-c", program, store.root, str(step)], check=False)
        snapshot = store.records()

        assert snapshot.unreadable == {}
        states.add((snapshot.records["a" * 10].state, "b" * 10 in snapshot.records))
        assert snapshot.records["a" * 10].port == 19000
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
        assert store.update("a" * 10, lambda record: record._replace(error="x")).error == "x"
    else:
        raise AssertionError("it never came to an end")

    assert states == {("old", False), ("new", False), ("new", True)}
    assert not [name for name in os.listdir(store.services) if ".tmp-" in name]
