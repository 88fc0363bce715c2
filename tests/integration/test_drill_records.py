"""The fault drill for what is on the disk: many writers, kills and power cuts at each step, bad disks."""

import errno
import fcntl
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import pytest
from support import powerloss
from support.crowd import crowd
from support.drill import trials
from support.running import CHILDREN, DEVPORT

from devport.context import Context
from devport.engine.log import Log
from devport.errors import DevportError
from devport.model import Project, Service
from devport.registry import files
from devport.registry.locks import UNKNOWN, Lock, acquire_all, held, register_lock, this_process
from devport.registry.record import Record, to_json
from devport.registry.register import register
from devport.registry.store import Store

A = Record("a" * 10, "aaa", port=19000, name="web", project="/p", extra={"count": 0})
B = Record("b" * 10, "bbb", port=19001, name="api", project="/p")
STALE = 5.0
"""Seconds that a record which is written all the time may look old: 1 on a quiet machine."""
PORTS = "20000-20999"  # never bound: every one is declared free, or only looked at


@pytest.fixture
def memory():
    """A folder without a disk behind it, where flushing costs nothing: for what is done a thousand times."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="devport-drill-", dir=where) as folder:
        yield pathlib.Path(folder)


@pytest.fixture
def me():
    return this_process(Context({}, "/here", "/"), "run", "web")


# many at once


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p03_registrations_at_once(memory, tally):
    """Of 64 checkouts that register at one moment each has ports of its own (F65)."""
    rounds = trials(1, 10)
    for number in range(rounds):
        given = crowd(64, "registers", memory / str(number), "web,api", "")
        ports = [port for pair in given for port in pair]
        assert len(set(ports)) == 128
        snapshot = Store(str(memory / str(number))).records()
        assert sorted(snapshot.ports()) == sorted(ports)
        assert snapshot.unreadable == {}
    tally(rounds * 64)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p03_registrations_of_one_checkout(memory):
    """Of one checkout they all get the same ports, and one record for each service."""
    for number in range(trials(1, 20)):
        given = crowd(32, "registers", memory / str(number), "web,api", "shop")
        assert len({tuple(pair) for pair in given}) == 1
        assert len(Store(str(memory / str(number))).records().records) == 2


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p04_no_increment_is_lost(memory, tally):
    """Eight or twenty processes count in one record while a heartbeat writes it: the sum is exact (F52)."""
    processes, times = trials(8, 20), trials(100, 500)
    store = Store(str(memory))
    store.write([A])
    crowd(processes + 1, "increments_and_beats", store.root, times, trials(30, 500))

    assert store.record(A.hash).extra == {"count": processes * times}
    assert store.record(A.hash).last_up.startswith("2024-01-01T00:00:")
    assert os.listdir(store.services) == [f"{A.hash}.json"]
    tally(processes * times)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p05_readers_and_a_writer(memory, tally):
    """Eight readers of a record that is written all the time see a whole one, and no old one (F50)."""
    seconds = trials(1.0, 60.0)
    store = Store(str(memory))
    store.write([A._replace(extra={"count": 0, "at": 0.0})])
    store.update(A.hash, lambda old: old._replace(extra={"count": 0, "at": 1e9}))
    seen = crowd(9, "writes_and_reads", store.root, seconds)

    assert all(count > 0 for count, _, _ in seen)
    assert [bad for _, bad, _ in seen] == [0] * 9
    assert max(oldest for _, _, oldest in seen) < STALE
    tally(sum(count for count, _, _ in seen))


def test_f50_a_torn_record_keeps_its_port(memory):
    """Cut at any byte behind its port, a record still says it, and whoever registers next gets another."""
    whole = to_json(A)
    context = Context({"DEVPORT_PORT_RANGE": "19000-19002"}, "/q", "/")
    services = tuple(Service(name, name, ("true",), "/q") for name in ("web", "api"))
    others = Project("/q", "/q/Procfile", services)
    begin = whole.index(b"19000") + 6
    for length in range(begin, len(whole), trials(40, 3)):
        store = Store(str(memory / str(length)))
        store.write([A])
        pathlib.Path(store.path(A.hash)).write_bytes(whole[:length])
        assert store.records().ports() == {19000: A.hash}
        register(context, store, others, services, is_free=lambda port: True)
        given = store.records().ports()
        assert (given.keys(), given[19000]) == ({19000, 19001, 19002}, A.hash)


# killed at every step


@pytest.fixture
def project(memory):
    """A folder for children/steps.py: a project of two services, and a state folder that knows them."""
    (memory / "project").mkdir()
    (memory / "project" / "Procfile").write_text("web: true\napi: true\n")
    environ = {**os.environ, "DEVPORT_HOME": str(memory / "state"), "DEVPORT_PORT_RANGE": PORTS}
    environ = {name: value for name, value in environ.items() if not name.startswith("TMUX")}
    subprocess.run(
        [DEVPORT, "port", "web"], cwd=memory / "project", env=environ, check=True, capture_output=True
    )

    def steps(act):
        done = subprocess.run(
            [sys.executable, str(CHILDREN / "steps.py"), str(memory), act, str(trials(12, 100_000))],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert found
        assert {one["died"] for one in found} == {-9}
        return found

    return steps


def damage(memory):
    """Half of the record of `web` is gone; its port."""
    [path] = [path for path in (memory / "state" / "services").iterdir() if b'"web"' in path.read_bytes()]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return json.loads(data)["port"]


def ports_of(state):
    """The ports of the records in what children/steps.py saw, by name."""
    return {name: port for name, (port, _) in state["records"].items()}


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p06_killed_while_saving(project, tally):
    """Killed before any system call of a change to two records, each is the old or the new one (F51)."""
    found = project("save")
    for one in found:
        assert one["then"]["unreadable"] == [], one
        words = [word for _, word in one["then"]["records"].values()]
        assert set(words) <= {"", "new"}, one
        assert len(words) == 2, one
        assert one["again"] == 0, one
        assert {word for _, word in one["finally"]["records"].values()} == {"new"}, one
    tally(len(found))


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p06_killed_while_registering(project, memory, tally):
    """The same with the first registration: both ports are distinct, and the next one succeeds."""
    shutil.rmtree(memory / "state" / "services")
    found = project("register")
    for one in found:
        then, now = ports_of(one["then"]) if one["then"] else {}, ports_of(one["finally"])
        assert len(set(now.values())) == 2, one
        assert then.items() <= now.items(), one
        assert one["then"]["unreadable"] == [], one
        assert one["again"] == 0, one
    tally(len(found))


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p06_killed_while_a_damaged_record_is_replaced(project, memory, tally):
    """Its port stays with it at any moment, and the damaged file is there under one name or the other."""
    port = damage(memory)
    found = project("damaged")
    for one in found:
        then = one["then"]
        assert then["unreadable"] == [[port]] or ports_of(then)["web"] == port, one
        assert len(then["unreadable"]) + then["kept"] >= 1, one
        assert (one["again"], ports_of(one["finally"])["web"]) == (0, port), one
        assert one["finally"]["unreadable"] == [], one
        assert one["finally"]["kept"] >= 1, one
    tally(len(found))


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_p06_killed_while_removing(project, tally):
    """A removal that was killed has removed it or not, holds no lock, and is done by the next one."""
    found = project("rm")
    for one in found:
        assert one["then"]["unreadable"] == [], one
        assert set(one["then"]["records"]) in ({"web", "api"}, {"api"}), one
        assert one["again"] == (0 if "web" in one["then"]["records"] else 3), one
        assert set(one["finally"]["records"]) == {"api"}, one
        assert one["finally"]["drafts"] == 0, one
    tally(len(found))


# power cuts


def new(store):
    """A first record beside another."""
    store.write([B])


def change(store):
    """A change of one."""
    store.update(A.hash, lambda old: old._replace(state="new"))


def change_both(store):
    """A registration that changes one and adds one."""
    store.write([A._replace(state="new"), B])


def repair(store):
    """A new record in place of a damaged one."""
    store.write([A._replace(state="new")])


def removal(store):
    """A removal."""
    store.remove(A.hash)


WRITES = (new, change, change_both, repair, removal)


@pytest.mark.drill
@pytest.mark.timeout(600)
@pytest.mark.parametrize("write", WRITES)
def test_p26_power_cut(memory, write, monkeypatch, tally):
    """Whenever the power fails, whatever was not flushed: there is the old record or the new one (F51)."""
    store = Store(str(memory / "home"))
    store.write([A])
    torn = to_json(A)[:200]
    if write is repair:
        pathlib.Path(store.path(A.hash)).write_bytes(torn)
    disk = powerloss.Disk(store.services)
    with monkeypatch.context() as patch:
        disk.record(patch)
        write(store)
    count, dice = 0, random.Random(26)
    for moment in disk.moments:
        for files_ in powerloss.states(moment, dice):
            expect(write, rebuilt(memory / "after", files_), is_over=moment is disk.moments[-1], torn=torn)
            count += 1
    assert count > 3
    tally(count)


def rebuilt(folder, contents):
    """A store whose folder of records is this, by name."""
    store = Store(str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    store.prepare()
    for name, data in contents.items():
        pathlib.Path(store.services, name).write_bytes(data)
        os.chmod(f"{store.services}/{name}", 0o600)
    return store


def expect(write, store, *, is_over, torn):
    """What `store` holds after a cut during `write`, or after it if that `is_over`."""
    snapshot = store.records()
    first, second = snapshot.records.get(A.hash), snapshot.records.get(B.hash)
    changed = A._replace(state="new")
    if write is repair:
        everything = [path.read_bytes() for path in pathlib.Path(store.services).iterdir()]
        assert torn in everything
        assert snapshot.ports()[19000] == A.hash
        assert first == changed or not is_over
        return
    assert snapshot.unreadable == {}
    assert first in {new: (A,), removal: (A, None)}.get(write, (A, changed))
    assert second in ((None, B) if write in (new, change_both) else (None,))
    if is_over:
        assert first == {new: A, removal: None}.get(write, changed)
        assert (second == B) == (write in (new, change_both))


def test_f51_new_folders_are_on_the_disk(tmp_path, monkeypatch):
    """A folder that is made is flushed with its parent: a power cut does not take the first records along."""
    made, flushed = [], []
    mkdir, flush = os.mkdir, files.flush
    monkeypatch.setattr(os, "mkdir", lambda path, *mode: (made.append(path), mkdir(path, *mode)))
    monkeypatch.setattr(files, "flush", lambda path: (flushed.append(path), flush(path)))
    Store(str(tmp_path / "deep" / "home")).prepare()

    assert str(tmp_path / "deep") in made
    assert {os.path.dirname(path) for path in made} <= set(flushed)


# disks in trouble

FULL = """
import json, os, subprocess, sys
root, rounds = sys.argv[1], int(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", root], check=True)
from devport.engine.log import Log
from devport.errors import DevportError
from devport.registry.record import Record
from devport.registry.store import Store

def tried(work):
    try:
        work()
    except DevportError as error:
        return error.message
    return ""

def fill():
    with open(root + "/ballast", "ab", buffering=0) as file:
        for size in (4096, 256, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass

def beat(word):
    return tried(lambda: store.update("a" * 10, lambda old: old._replace(error=word * 100)))

store, said = Store(root), []
store.write([Record("a" * 10, "aaa", port=19000, error="x" * 100)])
troubles = []
log = Log(root + "/log", troubles.append)
for number in range(rounds):
    fill()
    before = store.record("a" * 10)
    one = {"beats": [beat(str(number % 10)) for _ in range(5)]}
    one["new"] = tried(lambda: store.write([Record("b" * 10, "bbb", port=19001)]))
    log.write(b"lost" * 2000)
    one["same"] = store.record("a" * 10) == before
    one["names"] = sorted(os.listdir(store.services))
    os.unlink(root + "/ballast")
    one["after"] = beat(str(number % 10))
    log.write(b"kept")
    with open(root + "/log", "rb") as file:
        one["kept"] = file.read().endswith(b"kept")
    os.truncate(root + "/log", 0)
    one["noted"] = store.record("a" * 10).error == str(number % 10) * 100
    said.append(one)
log.close()
subprocess.run(["mount", "-o", "remount,ro", root], check=True)
broken = {"beat": beat("r"), "new": tried(lambda: store.write([Record("b" * 10, "bbb", port=19001)])),
          "remove": tried(lambda: store.remove("a" * 10)), "names": sorted(os.listdir(store.services)),
          "read": store.record("a" * 10).port}
print(json.dumps({"rounds": said, "troubles": troubles, "readonly": broken}))
"""


def in_own_mounts(program, *words):
    """What `program` prints as JSON, run by root where mounts are its own and go with it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    for name in ("unshare", "mount"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare cannot make mounts of one's own here")
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.drill
def test_p25_full_and_read_only_disk(tmp_path, tally):
    """64 KiB, full: each write is one line, the old record stays, no litter; with room it goes on (F53)."""
    rounds = trials(2, 20)
    found = in_own_mounts(FULL, tmp_path, rounds)
    for one in found["rounds"]:
        assert set(one["beats"]) == {"cannot write record of aaa: No space left on device"}
        assert one["new"] == "cannot write record of bbb: No space left on device"
        assert (one["same"], one["after"], one["noted"], one["kept"]) == (True, "", True, True)
        assert one["names"] == ["aaaaaaaaaa.json"]
    assert len(found["troubles"]) == rounds
    assert found["readonly"] == {
        "beat": f"cannot write record {tmp_path}/services/aaaaaaaaaa.json: Read-only file system",
        "new": "cannot write record of bbb: Read-only file system",
        "remove": f"cannot write record {tmp_path}/services/aaaaaaaaaa.json: Read-only file system",
        "names": ["aaaaaaaaaa.json"],
        "read": 19000,
    }
    tally(rounds)


@pytest.mark.drill
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_p25_log_that_cannot_be_written(tmp_path, monkeypatch, number):
    """The log's trouble is told once, costs the bytes that came meanwhile, and is over when it is over."""
    told = []
    log = Log(str(tmp_path / "log"), told.append)
    write = os.write

    def fail(*_):
        raise OSError(number, os.strerror(number))

    for round_ in range(trials(1, 20)):
        log.write(b"before ")
        monkeypatch.setattr(os, "write", fail)
        for _ in range(3):
            log.write(b"lost ")
        monkeypatch.setattr(os, "write", write)
        log.write(b"after ")
        assert told == [f"cannot write {log.path}: {os.strerror(number)}"] * (round_ + 1)
    log.close()

    assert (tmp_path / "log").read_bytes() == b"before after " * trials(1, 20)


# locks


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_f54_lock_files_that_go_while_others_wait(memory, tally):
    """Eight processes take one lock and remove its file now and then: never are two inside."""
    rounds = trials(60, 3000)
    found = crowd(8, "takes", memory / "web.lock", rounds)

    assert found == [[0, 0]] * 8
    tally(8 * rounds)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_f55_lookers_never_make_a_start_fail(memory, tally):
    """While four look without a pause, nobody who takes a free lock is told that somebody has it."""
    rounds = trials(200, 10_000)
    path = memory / "web.lock"
    (memory / "web.lock.go").touch()
    Lock.acquire(str(path), this_process(Context({}, "/", "/"), "run")).release()

    assert crowd(5, "looks_and_takes", path, rounds) == [0] * 5
    assert crowd(4, "looks", path, rounds) == [0] * 4
    tally(rounds)


def test_f56_another_descriptor_of_the_file_is_closed(tmp_path, me):
    """A lock is not lost when its holder opens and closes the same file (as POSIX record locks are)."""
    path = str(tmp_path / "web.lock")
    lock = Lock.acquire(path, me)
    for _ in range(3):
        held(path)
        with open(path, "rb"):
            pass
    code = "import sys; from devport.registry.locks import held; print(held(sys.argv[1]).pid)"

    assert subprocess.check_output([sys.executable, "-c", code, path], text=True) == f"{os.getpid()}\n"
    lock.release()


def test_f57_the_taker_is_dead_and_the_lock_inherited(tmp_path):
    """A lock that somebody inherited from a dead process is held by somebody who cannot be named."""
    path = str(tmp_path / "web.lock")
    code = (
        "import os, sys\n"
        "from devport.context import Context\n"
        "from devport.registry.locks import Lock, this_process\n"
        "lock = Lock.acquire(sys.argv[1], this_process(Context({}, '/', '/'), 'run'))\n"
        "if os.fork():\n"
        "    os._exit(0)\n"
        "print(os.getppid(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=-1, stdout=-1) as taker:
        taker.stdout.readline()
        taker.wait()
        assert held(path) == UNKNOWN
        taker.stdin.close()
        taker.stdout.read()

    assert held(path) is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_f61_no_locks_on_this_file_system(tmp_path, me, monkeypatch, number):
    """Without locks nothing is believed to be alone: registering, looking and writing say so in one line."""
    store = Store(str(tmp_path / "home"))
    store.write([A])
    path = store.lock_path(A.hash)
    Lock.acquire(path, me).release()

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    context = Context({}, "/", store.root)
    where = r"its file system has no locks \(DEVPORT_HOME names another place\)"
    with pytest.raises(DevportError, match=where), register_lock(store, context):
        pass
    for act in (lambda: held(path), lambda: acquire_all({path: me})):
        with pytest.raises(DevportError, match=where):
            act()
    with pytest.raises(DevportError, match="cannot write record"):
        store.update(A.hash, lambda old: old._replace(state="new"))
    monkeypatch.undo()

    assert store.record(A.hash) == A
    assert held(path) is None


def test_f64_records_of_other_versions(tmp_path):
    """Fields that are not known are kept by every change; a newer record is neither changed nor replaced."""
    store = Store(str(tmp_path))
    store.write([A, B])
    later = {**json.loads(to_json(A)), "later": {"deep": [1, "ü", None]}}
    pathlib.Path(store.path(A.hash)).write_text(json.dumps(later))
    pathlib.Path(store.path(B.hash)).write_text(json.dumps({**json.loads(to_json(B)), "schema": 99}))
    newer = pathlib.Path(store.path(B.hash)).read_bytes()
    for word in ("one", "two"):
        store.update(A.hash, lambda old, word=word: old._replace(state=word))
    assert json.loads(pathlib.Path(store.path(A.hash)).read_bytes())["later"] == later["later"]

    with pytest.raises(DevportError, match="a newer version of devport wrote it"):
        store.update(B.hash, lambda old: old._replace(state="new"))
    assert pathlib.Path(store.path(B.hash)).read_bytes() == newer
    assert store.records().ports()[19001] == B.hash
