"""Identity locks between real processes."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from devport.context import Context, wait_until
from devport.errors import DevportError
from devport.registry.locks import (
    UNKNOWN,
    Holder,
    Lock,
    acquire_all,
    discard,
    held,
    process_start,
    register_lock,
    this_process,
)
from devport.registry.store import Store

HOLD = """
import sys
from devport.context import Context
from devport.registry.locks import Lock, this_process
holder = this_process(Context({}, "/somewhere", "/"), "foreground", "web", 19000)
lock = Lock.acquire(sys.argv[1], holder)
print("held" if isinstance(lock, Lock) else "taken", flush=True)
EXTRA
sys.stdin.read()
"""


class Child:
    """A process that takes the lock at `path` and keeps it until its stdin ends."""

    def __init__(self, path, extra=""):
        command = [sys.executable, "-c", HOLD.replace("EXTRA", extra), path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline().strip()

    def __enter__(self):  # noqa: D105
        return self

    def __exit__(self, *_):  # noqa: D105
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "web.lock")


@pytest.fixture
def me():
    return this_process(Context({}, "/here", "/"), "run", "web")


def test_one_process_holds_it_and_the_other_learns_who(path, me):
    """Who, where, since when: enough to say it to the user."""
    with Child(path) as child:
        found = Lock.acquire(path, me, timeout=0.02)
        assert child.said == "held"
        assert isinstance(found, Holder)
        assert found == held(path)
        assert (found.pid, found.cwd, found.name, found.port) == (
            child.process.pid,
            "/somewhere",
            "web",
            19000,
        )
        assert str(found).startswith(f"pid {child.process.pid} in /somewhere (foreground")

    assert held(path) is None


def test_a_killed_holder_holds_nothing(path, me):
    """The kernel's lock is the fact; the text it left in the file is not believed."""
    with Child(path) as child:
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()

        assert held(path) is None
        lock = Lock.acquire(path, me)
        assert isinstance(lock, Lock)
        lock.release()


def test_no_child_of_the_holder_keeps_the_lock(path, me):
    """Close-on-exec: a daemon that a service left behind does not look like its supervisor."""
    extra = (
        "import subprocess\n"
        "d = subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL)\n"
        "print(d.pid, flush=True)"
    )
    with Child(path, extra) as child:
        daemon = int(child.process.stdout.readline())
        child.process.kill()
        child.process.wait()
        try:
            lock = Lock.acquire(path, me, timeout=0.02)
            assert isinstance(lock, Lock)
            lock.release()
        finally:
            os.kill(daemon, signal.SIGKILL)


def test_looking_creates_nothing_and_takes_nothing(path, me):
    """No file is `not held`; two lookers do not see each other."""
    assert held(path) is None
    assert not os.path.exists(path)

    lock = Lock.acquire(path, me)
    lock.release()
    assert [held(path), held(path)] == [None, None]
    with open(path, "rb") as looker:
        fcntl.flock(looker, fcntl.LOCK_SH)  # as one has it that is in the midst of looking
        assert held(path) is None


def test_released_twice_is_released_once(path, me):
    """The second time closes nobody else's descriptor."""
    lock = Lock.acquire(path, me)
    lock.release()
    other = os.open("/", os.O_RDONLY)
    lock.release()
    os.close(other)

    assert held(path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 100,
        "{",
        "[1]",
        '{"pid": 1}',
        '{"pid": "x", "started": "y"}',
        '{"pid": 1, "started": "wrong"}',
        '{"pid": 1, "started": null}',
        '{"pid": 99999999999999999999, "started": "x"}',
        '{"pid": -1, "started": "x"}',
        '{"pid": 1, "started": "x", "more": 1}',
        "[" * 5000,
    ],
)
def test_a_held_lock_with_any_text_is_held_by_somebody_unknown(path, me, text):
    """Never a wrong process, least of all one to be signalled."""
    lock = Lock.acquire(path, me)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)

    assert held(path) == UNKNOWN
    lock.release()


def test_a_shorter_holder_line_over_a_longer_one_is_whole(path, me):
    """What the last holder left does not show through."""
    Lock.acquire(path, me._replace(cwd="/" + "long" * 100)).release()
    lock = Lock.acquire(path, me)

    assert held(path) == me
    lock.release()


def test_a_lock_file_is_private_and_its_own(path, tmp_path, me):
    """0600 under any umask; a link or a second name is refused."""
    before = os.umask(0)
    try:
        Lock.acquire(path, me).release()
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o600

    os.symlink(path, tmp_path / "link")
    with pytest.raises(DevportError, match="symbolic link"):
        Lock.acquire(str(tmp_path / "link"), me)
    with pytest.raises(DevportError, match="symbolic link"):
        held(str(tmp_path / "link"))
    os.link(path, tmp_path / "second")
    with pytest.raises(DevportError, match="second name"):
        Lock.acquire(path, me)


def test_an_unlinked_lock_file_protects_nobody(path, me):
    """After a removal by hand a taker locks the file that is there now, and so does the next."""
    first = Lock.acquire(path, me)
    os.unlink(path)
    second = Lock.acquire(path, me)

    assert isinstance(second, Lock)
    assert os.fstat(second.fileno()).st_ino == os.stat(path).st_ino
    assert isinstance(Lock.acquire(path, me, timeout=0), Holder)
    first.release()
    assert held(path) == me
    second.release()


def test_a_lock_unlinked_between_open_and_flock_is_not_taken(path, me, monkeypatch):
    """The window that made two owners of one identity."""
    from devport.registry import files  # noqa: PLC0415

    open_own = files.open_own

    def remove_behind(*arguments):
        descriptor = open_own(*arguments)
        monkeypatch.undo()
        os.unlink(path)
        return descriptor

    monkeypatch.setattr(files, "open_own", remove_behind)
    lock = Lock.acquire(path, me)

    assert isinstance(lock, Lock)
    assert os.fstat(lock.fileno()).st_ino == os.stat(path).st_ino
    lock.release()


def test_discard_unlinks_only_what_nobody_holds(path, me):
    """`rm` tidies up without making two owners."""
    lock = Lock.acquire(path, me)
    assert not discard(path)
    lock.release()
    assert discard(path)
    assert discard(path)
    assert not os.path.exists(path)


def test_many_locks_are_one_wait(tmp_path, me):
    """Those that are free are taken, the others are waited for together."""
    paths = [str(tmp_path / f"{number:02}.lock") for number in range(40)]
    ours = [Lock.acquire(path, me) for path in paths[4:]]
    with Child(paths[1]), Child(paths[3]):
        before = time.monotonic()
        locks, holders = acquire_all(dict.fromkeys(paths, me), timeout=0.25)
        took = time.monotonic() - before
    for lock in (*locks.values(), *ours):
        lock.release()

    assert sorted(holders) == [paths[1], *paths[3:]]
    assert sorted(locks) == [paths[0], paths[2]]
    assert took < 5  # one after the other it would be 9.5 seconds


def test_when_one_lock_cannot_be_asked_for_none_stays_held(tmp_path, me):
    """All or an error, not some and an error."""
    good = str(tmp_path / "good.lock")
    with pytest.raises(DevportError, match="cannot lock"):
        acquire_all({good: me, str(tmp_path / "no" / "such.lock"): me})

    assert held(good) is None


def test_a_looker_never_makes_a_taker_fail(path, me):
    """Processes that look all the time; every attempt to take it succeeds within its second."""
    look = (
        "import sys\nfrom devport.registry.locks import held\nprint('ready', flush=True)\n"
        "while True: held(sys.argv[1])"
    )
    Lock.acquire(path, me).release()
    lookers = [subprocess.Popen([sys.executable, "-c", look, path], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for looker in lookers:
            assert looker.stdout.readline() == b"ready\n"
        for _ in range(200):
            lock = Lock.acquire(path, me)
            assert isinstance(lock, Lock)
            lock.release()
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()


def test_only_one_registers_at_a_time_and_the_holder_is_named(tmp_path):
    """After the deadline an error says who is in the way."""
    context = Context({}, "/here", str(tmp_path))
    store = Store(str(tmp_path))
    with (
        register_lock(store, context),
        pytest.raises(DevportError, match=rf"cannot register: pid {os.getpid()} in /here \(register"),
        register_lock(store, context, timeout=0.05),
    ):
        pass
    with register_lock(store, context):
        pass


def test_a_process_is_told_from_a_later_one_with_its_number():
    """Same process, same answer; none for one that is gone; names with parentheses do not confuse it."""
    with subprocess.Popen(["/bin/sh", "-c", "echo ready; read x"], stdin=-1, stdout=-1) as child:
        child.stdout.readline()
        first, second = process_start(child.pid), process_start(child.pid)

    assert first
    assert first == second
    assert process_start(child.pid) is None
    assert process_start(os.getpid()) != first


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a Linux prctl")
def test_a_program_name_with_parentheses_does_not_shift_the_fields():
    """`a) R 1 (b` is a legal process name."""
    program = (
        "import ctypes, os\nfrom devport.registry.locks import process_start\n"
        "before = process_start(os.getpid())\n"
        "ctypes.CDLL(None).prctl(15, b') R 1 (x 2', 0, 0, 0)\n"
        "print(before == process_start(os.getpid()))"
    )

    assert subprocess.check_output([sys.executable, "-c", program]) == b"True\n"


def test_wait_until_asks_at_least_once_and_gives_up_in_time():
    """The one waiting place of commands."""
    asked = []

    assert wait_until(lambda: bool(asked.append(1)) or len(asked) == 3, 5)
    assert not wait_until(lambda: False, 0)
    assert wait_until(lambda: True, 0)
    assert len(asked) == 3
