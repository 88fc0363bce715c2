"""Records on a real disk: private, whole, never silently lost."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys

import pytest
from support import procs

from devport.errors import DevportError
from devport.registry import files
from devport.registry.record import Record, UnreadableError, to_json
from devport.registry.store import Store

A = Record("a" * 10, "aaa", port=19000, name="web", project="/p")
B = Record("b" * 10, "bbb", port=19001, name="api", project="/p")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "home"))


def names(store):
    return sorted(os.listdir(store.services))


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def put(store, record, data):
    with open(store.path(record.hash), "wb") as file:
        file.write(data)


def test_reading_creates_nothing(store):
    """Looking at a machine that never ran devport leaves it so."""
    assert store.records() == ({}, {})
    assert store.record(A.hash) is None
    assert store.update(A.hash, lambda record: record) is None
    assert not os.path.exists(store.root)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_files_are_0600_and_folders_0700_under_any_umask(store, umask):
    """Environments hold secrets."""
    before = os.umask(umask)
    try:
        store.write([A])
    finally:
        os.umask(before)

    assert mode(store.path(A.hash)) == 0o600
    assert {mode(f"{store.root}/{name}") for name in os.listdir(store.root)} == {0o700}
    assert mode(store.root) == 0o700


def test_folders_that_were_open_are_closed(store):
    """The predecessor left 0755 behind."""
    store.write([A])
    for path in (store.root, store.services, store.locks):
        os.chmod(path, 0o755)
    store.write([A])

    assert [mode(path) for path in (store.root, store.services, store.locks)] == [0o700] * 3


def test_a_folder_that_holds_other_things_is_not_closed_but_refused_when_anyone_may_write(tmp_path):
    """`DEVPORT_HOME=~` must not lock others out; a folder open to all is not trusted."""
    (tmp_path / "mine.txt").write_text("")
    os.chmod(tmp_path, 0o755)
    Store(str(tmp_path)).write([A])
    assert mode(tmp_path) == 0o755

    os.chmod(tmp_path, 0o777)
    with pytest.raises(DevportError, match="other users may write there"):
        Store(str(tmp_path)).write([A])


@root_only
def test_a_state_folder_of_another_user_is_refused(store):
    """Neither written (`sudo devport` would leave root's files) nor believed."""
    store.write([A])
    os.chown(store.root, 65534, 65534)
    for act in (store.records, lambda: store.write([B])):
        with pytest.raises(DevportError, match=r"it belongs to another user \(uid 65534\)"):
            act()


def test_what_is_written_is_read_back(store):
    """All of it, by hash."""
    store.write([A, B])

    assert store.records() == ({A.hash: A, B.hash: B}, {})
    assert names(store) == [f"{A.hash}.json", f"{B.hash}.json"]


def test_only_what_differs_is_written(store):
    """The same bytes again leave the very file there."""
    store.write([A, B])
    before = [os.stat(store.path(one.hash)).st_ino for one in (A, B)]
    store.write([A, B._replace(state="x")])
    after = [os.stat(store.path(one.hash)).st_ino for one in (A, B)]

    assert before[0] == after[0]
    assert before[1] != after[1]


def test_every_file_is_on_the_disk_before_it_takes_its_place(store, monkeypatch):
    """All flushed, then replaced, and the folder flushed once."""
    store.prepare()
    done = []
    flush, replace = files.flush, os.replace
    monkeypatch.setattr(files, "flush", lambda path: (done.append(("flush", path)), flush(path)))
    monkeypatch.setattr(os, "replace", lambda old, new: (done.append(("replace", old)), replace(old, new)))
    store.write([A, B])
    drafts = [f"{store.path(one.hash)}.tmp-{os.getpid()}" for one in (A, B)]

    assert done == [
        ("flush", drafts[0]),
        ("flush", drafts[1]),
        ("replace", drafts[0]),
        ("replace", drafts[1]),
        ("flush", store.services),
    ]


DAMAGES = {
    "empty": b"",
    "nul": b"\0" * 300,
    "garbage": b"\xff\xfe{]",
    "half": to_json(A)[:150],
    "another": to_json(B),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_a_warning_with_the_file_and_keeps_the_others(store, damage):
    """One bad file hides nothing else; ports that can be read stay reserved."""
    store.write([A, B])
    put(store, A, DAMAGES[damage])
    snapshot = store.records()

    assert snapshot.records == {B.hash: B}
    assert store.path(A.hash) in snapshot.warnings[A.hash]
    assert (19000 in snapshot.ports()) == (damage == "half")


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "fifo", "huge"])
def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(store, tmp_path, kind):
    """A symbolic link could lead to a file that somebody else writes; a FIFO would block for ever."""
    store.prepare()
    path = store.path(A.hash)
    target = tmp_path / f"{A.hash}.json"
    target.write_bytes(to_json(A))
    match kind:
        case "link":
            os.symlink(target, path)
        case "dangling":
            os.symlink(tmp_path / "nothing", path)
        case "folder":
            os.mkdir(path)
        case "fifo":
            os.mkfifo(path)
        case "huge":
            with open(path, "wb") as file:
                file.truncate(1 << 30)
    snapshot = store.records()
    assert list(snapshot.unreadable) == [A.hash]

    store.write([A])
    assert store.record(A.hash) == A
    assert target.read_bytes() == to_json(A)
    assert len([name for name in names(store) if ".corrupt-" in name]) == 1


@root_only
def test_a_record_of_another_user_is_not_believed(store):
    """It says what would be executed."""
    store.write([A])
    os.chown(store.path(A.hash), 65534, 65534)

    assert "belongs to another user" in store.records().warnings[A.hash]


def test_files_that_are_no_records_are_left_alone(store):
    """Only <10 hex digits>.json is a record."""
    store.write([A])
    for name in ("notes.txt", "ABCDEF0123.json", "x.json", f"{B.hash}.json.corrupt-1"):
        (open(f"{store.services}/{name}", "w")).close()

    assert list(store.records().records) == [A.hash]
    assert store.records().unreadable == {}


def test_a_damaged_file_is_kept_beside_its_successor(store):
    """Nothing that was there is ever lost, and no moment has neither of the two."""
    store.write([A])
    put(store, A, b"torn")
    store.write([A._replace(state="new")])
    (kept,) = [name for name in names(store) if ".corrupt-" in name]

    assert store.record(A.hash) == A._replace(state="new")
    with open(f"{store.services}/{kept}", "rb") as file:
        assert file.read() == b"torn"


def test_update_changes_what_is_there_by_then(store):
    """Read-modify-write: a stale copy in memory overwrites nothing."""
    store.write([A])
    Store(store.root).update(A.hash, lambda record: record._replace(tailnet=True))
    updated = store.update(A.hash, lambda record: record._replace(last_up="2024-01-01T00:00:00Z"))

    assert updated == A._replace(tailnet=True, last_up="2024-01-01T00:00:00Z")
    assert store.record(A.hash) == updated


def test_update_never_resurrects_a_removed_record(store):
    """A late heartbeat finds nothing, and writes nothing."""
    store.write([A])
    store.remove(A.hash)

    assert store.update(A.hash, lambda record: record._replace(state="x")) is None
    assert names(store) == []


def test_a_removal_in_the_middle_of_an_update_wins(store):
    """Also when it comes between the update's opening and its lock."""
    store.write([A])
    wait_for = files.is_at

    def remove_first(descriptor, path):
        files.is_at = wait_for
        os.unlink(path)
        return wait_for(descriptor, path)

    files.is_at = remove_first
    try:
        assert store.update(A.hash, lambda record: record._replace(state="x")) is None
    finally:
        files.is_at = wait_for
    assert names(store) == []


def test_updating_a_damaged_record_says_so(store):
    """It is not replaced by what the heartbeat remembers."""
    store.write([A])
    put(store, A, b"torn")
    with pytest.raises(UnreadableError):
        store.update(A.hash, lambda record: record)

    assert names(store) == [f"{A.hash}.json"]


def test_remove_takes_the_damaged_copies_along_and_nothing_else(store):
    """And removing what is not there is fine."""
    store.write([A, B])
    put(store, A, b"torn")
    store.write([A])
    store.remove(A.hash)
    store.remove(A.hash)

    assert names(store) == [f"{B.hash}.json"]


def test_a_damaged_record_can_be_removed(store):
    """`rm` is the way out, also of a link or garbage."""
    store.prepare()
    os.symlink("/nothing", store.path(A.hash))
    put(store, B, b"")
    store.remove(A.hash)
    store.remove(B.hash)

    assert names(store) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_failed_write_keeps_the_old_record_and_leaves_no_litter(store, monkeypatch, failing, number):
    """Full disk, read-only disk, quota, broken disk: the old file, one clear line."""
    store.write([A])

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(DevportError, match=f"cannot write record of web: {os.strerror(number)}"):
        store.write([A._replace(state="new")])
    with pytest.raises(DevportError, match=f"cannot write record of web: {os.strerror(number)}"):
        store.update(A.hash, lambda record: record._replace(state="new"))
    monkeypatch.undo()

    assert store.record(A.hash) == A
    assert names(store) == [f"{A.hash}.json"]


def test_a_real_limit_on_file_size_loses_nothing(store):
    """The kernel refuses in the middle of the write (RLIMIT_FSIZE): the old record stays."""
    store.write([A])
    program = (
        "import resource, sys\n"
        "from devport.registry.store import Store\n"
        "from devport.errors import DevportError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: Store(sys.argv[1]).update('a' * 10, lambda record: record._replace(error='x' * 5000))\n"
        "except DevportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, store.root], capture_output=True, text=True, check=False
    )

    assert done.stdout == "cannot write record of web: File too large\n"
    assert store.record(A.hash) == A
    assert names(store) == [f"{A.hash}.json"]


def test_running_out_of_descriptors_is_one_line(store):
    """EMFILE while reading is no damaged record."""
    store.write([A])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = os.open("/", os.O_RDONLY)
    os.close(opened)
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened, hard))
    try:
        with pytest.raises(DevportError, match="Too many open files"):
            store.records()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_our_own_exhaustion_does_not_make_a_record_look_damaged(store, monkeypatch, number):
    """Otherwise the next registration would put a good file aside."""
    store.write([A])

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "open_own", fail)
    with pytest.raises(DevportError, match=os.strerror(number)) as caught:
        store.records()

    assert not isinstance(caught.value, UnreadableError)


def test_drafts_of_dead_writers_go_after_a_minute(store):
    """Not those of the living, nor fresh ones."""
    store.write([A])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, alive = (f"{store.path(A.hash)}.tmp-{pid}" for pid in (gone.pid, os.getpid()))
    for path in (dead, alive):
        open(path, "w").close()
    store.sweep()
    assert os.path.exists(dead)

    for path in (dead, alive):
        os.utime(path, (1, 1))
    store.sweep()
    assert (os.path.exists(dead), os.path.exists(alive)) == (False, True)


def test_a_draft_left_by_an_earlier_process_of_our_number_is_no_obstacle(store):
    """Process numbers come round again."""
    store.prepare()
    open(f"{store.path(A.hash)}.tmp-{os.getpid()}", "w").close()
    store.write([A])

    assert names(store) == [f"{A.hash}.json"]


def test_a_writer_that_is_stopped_with_the_lock_is_waited_for_with_a_limit(store):
    """A SIGSTOPped writer holds the record's lock: one line after the timeout, no hang."""
    store.write([A])
    program = (
        "import os, signal, sys\n"
        "from devport.registry.store import Store\n"
        "def change(record):\n"
        "    print('ready', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    return record._replace(state='late')\n"
        "Store(sys.argv[1]).update('a' * 10, change)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, store.root], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"

        def is_stopped():
            assert procs.process(child.pid).state == "T"

        try:
            procs.eventually(is_stopped)  # a SIGCONT before that would be lost
            with pytest.raises(DevportError, match="another process keeps it locked"):
                store.update(A.hash, lambda record: record._replace(tailnet=True), timeout=0.05)
        finally:
            child.send_signal(signal.SIGCONT)
        assert child.wait() == 0
    store.update(A.hash, lambda record: record._replace(tailnet=True))

    assert store.record(A.hash) == A._replace(tailnet=True, state="late")
