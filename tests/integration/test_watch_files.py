"""A service is restarted when its files change: real files, real processes, the loop in this process."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
from support import engine
from support.engine import make_job, run_for, run_until, start

import devport.sources.watch as under_test
from devport.engine.lifecycle import DOWN, RESTART, Kind, State
from devport.model import Watch
from devport.sources.lookout import Lookout, rust_notify
from devport.sources.watch import Watcher

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

LOCKED = {"max": 0}
SERVICE = ("sleep", "1000")
QUIET = 0.6
"""Seconds after which whatever was to happen has happened: a batch, twice, and a spawn."""


class Scene:
    """A job whose files are watched, and what became of it."""

    def __init__(self, loop, folder, argv=SERVICE, *, paths=("src",), policy=None, files=None, **watch):
        self.loop, self.folder = loop, folder
        for path, text in (files or {}).items():
            self.write(path, text)
        watch.setdefault("root", str(folder))
        self.job = make_job(loop, argv, **(policy or {}))
        listed = tuple(str(folder / path) for path in paths)
        self.watcher = Watcher(loop, self.job, Watch(listed, **watch))
        start(loop, self.job)

    def settle(self, state=State.READY):
        """Until it is watched and in `state`."""
        run_until(self.loop, lambda: "watching" in self.job.facts and self.job.lifecycle.state is state)
        return self

    def write(self, path, text="x"):
        """Write a file, with all of its folders.

        In one step: one that is seen when it is empty, where we are kept from going on, changes twice.
        """
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size <= len(text):
            with file.open("r+b", buffering=0) as there:
                there.write(text.encode())
        else:
            draft = self.folder.with_name(f"{self.folder.name}.draft")
            draft.write_text(text)
            draft.rename(file)

    def spawned(self, times):
        """Until it was spawned `times` times and runs, and then never again."""
        run_until(self.loop, lambda: self.job.spawns >= times)
        run_for(self.loop, QUIET)
        assert self.job.spawns == times, self.loop.said

    def said(self, part):
        """How many lines for people hold `part`."""
        return sum(part in line for line in self.loop.said)


@pytest.fixture
def scene(tmp_path):
    """Makes Scenes in a folder with `src/a.py`; all are closed, and nothing is left of them."""
    before, running = descriptors(), threads()
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("one")
    with engine.engine() as loop:
        made = []

        def make(*args, **kwargs):
            made.append(Scene(loop, tmp_path, *args, **kwargs))
            return made[-1]

        yield make
        for one in made:
            one.watcher.close()
        run_until(loop, lambda: threads() <= running)  # less: one of an earlier test was on its way out
    assert descriptors() <= before


def descriptors():
    """What this process has open of what a watcher opens."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{number}")
            if target.startswith(("anon_inode:", "pipe:")):
                found.add((number, target))
    return found


def threads():
    """How many threads this process has."""
    return len(os.listdir("/proc/self/task"))


def test_change_restarts(scene):
    """A80, A81: a changed file below a listed folder restarts, and the line says which."""
    one = scene().settle()
    first = one.job.process.pid
    one.write("src/a.py", "two")
    one.spawned(2)

    assert one.job.process.pid != first
    assert one.loop.said == ["web restarts: src/a.py changed"]
    assert one.job.lifecycle.budget.failures == 0


@pytest.mark.parametrize("path", ["src/new.py", "src/deep/er/new.py"])
def test_new_file(scene, path):
    """Also one in folders that were not there: it is found however fast it was."""
    one = scene().settle()
    one.write(path)
    one.spawned(2)

    assert one.loop.said == [f"web restarts: {path} changed"]
    one.write(path, "more")  # the new folders are watched as well
    one.spawned(3)


def test_deleted_and_renamed(scene):
    """Both count, files and folders."""
    one = scene(files={"src/sub/b.py": "x"}).settle()
    os.rename(one.folder / "src/a.py", one.folder / "src/c.py")
    one.spawned(2)
    assert one.loop.said == ["web restarts: src/a.py and 1 more changed"]
    os.unlink(one.folder / "src/c.py")
    one.spawned(3)
    os.rename(one.folder / "src/sub", one.folder / "elsewhere")
    one.spawned(4)
    assert one.loop.said[-1] == "web restarts: src/sub/b.py changed"


def test_save_by_rename(scene):
    """An editor writes a new file and renames it over the old one: one restart, and the next save is seen."""
    one = scene(paths=["src/a.py"]).settle()
    for times in (2, 3):
        one.write("src/.a.py.new", f"{times}")
        os.rename(one.folder / "src/.a.py.new", one.folder / "src/a.py")
        one.spawned(times)

    assert one.said("src/a.py changed") == 2


@pytest.mark.parametrize(
    ("path", "watch"),
    [
        ("src/a.log", {"ignore": ("*.log",)}),  # A82
        ("src/target/x.py", {"ignore": ("target",)}),
        ("src/.hidden", {}),  # A83
        ("src/.cache/x.py", {}),
        ("src/a.txt", {"extensions": ("py",)}),  # A84
        ("src/__pycache__/a.py", {}),
        ("src/a.py~", {}),
        ("other.py", {}),
    ],
)
def test_what_does_not_count(scene, path, watch):
    """Ignored, hidden, of another extension, made by tools, beside what is listed."""
    one = scene(**watch).settle()
    one.write(path)
    run_for(one.loop, QUIET)
    assert one.job.spawns == 1

    one.write("src/a.py", "two")
    one.spawned(2)
    assert one.loop.said == ["web restarts: src/a.py changed"]


def test_metadata_does_not_count(scene):
    """Permissions, and reading."""
    one = scene().settle()
    (one.folder / "src/a.py").chmod(0o600)
    (one.folder / "src/a.py").read_text()
    run_for(one.loop, QUIET)

    assert one.job.spawns == 1


def test_gitignore(scene):
    """The project's own is heeded, also when it changes; a listed path counts all the same."""
    files = {".git/HEAD": "", ".gitignore": "gen\n*.env\n"}
    one = scene(paths=["src", "x.env"], files=files).settle()
    one.write("src/gen/a.py")
    run_for(one.loop, QUIET)
    assert one.job.spawns == 1
    one.write("x.env")
    one.spawned(2)

    one.write(".gitignore", "*.tmp\n")
    run_for(one.loop, QUIET)
    assert one.job.spawns == 2
    one.write("src/b.tmp")
    run_for(one.loop, QUIET)
    assert one.job.spawns == 2
    one.write("src/gen/a.py", "two")
    one.spawned(3)


def test_several_paths(scene):
    """A85: folders and files, hidden when they are listed themselves."""
    one = scene(paths=["src", "lib", ".env"], files={"lib/b.py": "x", ".env": "x"}).settle()
    for times, path in enumerate(("lib/b.py", ".env", "src/a.py"), 2):
        one.write(path, "changed")
        one.spawned(times)


def test_no_paths(scene):
    """A86: nothing is watched, no thread runs."""
    before = threads()
    one = scene(paths=[])

    assert not one.watcher.active
    assert threads() <= before


@pytest.mark.parametrize("ending", [("true",), ("false",)])
def test_ended_runs_again(scene, ending):
    """A87: a oneshot that has ended, well or not, runs again when its files change."""
    one = scene(ending, policy={"on": "never"}).settle(State.EXITED)
    one.write("src/a.py", "two")
    one.spawned(2)

    one.settle(State.EXITED)


def test_given_up_is_revived(scene):
    """A service that was given up starts with the next change."""
    one = scene(("false",), policy={"on": "on_failure", **LOCKED}).settle(State.FAILED)
    one.write("src/a.py", "two")
    one.spawned(2)


def test_backoff_is_cut_short(scene):
    """F85: a change while it waits for its next try is that try, at once; and the only one."""
    one = scene(("false",), policy={"on": "on_failure", "delay": 1000.0, "max_delay": 1000.0})
    one.settle(State.BACKOFF)
    one.write("src/a.py", "two")
    one.spawned(2)


def test_quick_writes(scene):
    """A88: ten writes in a row are one or two restarts."""
    one = scene().settle()
    for number in range(10):
        one.write("src/a.py", f"{number}")
        run_for(one.loop, 0.01)
    run_for(one.loop, QUIET)

    assert 2 <= one.job.spawns <= 3


def test_checkout(scene):
    """Two thousand files in fifty folders, as git writes them: one restart."""
    one = scene().settle()
    for number in range(2000):
        one.write(f"src/{number % 50}/{number}.py", "new")
    one.spawned(2)

    assert one.loop.said == ["web restarts: src/0/0.py and 1999 more changed"]
    shutil.rmtree(one.folder / "src")
    one.spawned(3)


@pytest.mark.parametrize("path", ["later", "not/yet/there", "later.txt"])
def test_missing_path(scene, path):
    """A path that does not exist is waited for, gone when it goes, and found when it comes back."""
    one = scene(paths=[path]).settle()
    file = path if path.endswith(".txt") else f"{path}/a.py"
    for times in (2, 4):
        one.write(file)
        one.spawned(times)
        assert one.loop.said[-1] == f"web restarts: {file} changed"
        if times == 2:
            top = one.folder / path.split("/", maxsplit=1)[0]
            shutil.rmtree(top) if top.is_dir() else top.unlink()
            one.spawned(3)


def test_links(scene, tmp_path):
    """A cycle does no harm; a folder that is linked to is watched."""
    os.symlink("..", tmp_path / "src/up")
    os.symlink("self", tmp_path / "src/self")
    os.symlink("../lib", tmp_path / "src/lib")
    one = scene(files={"lib/b.py": "x", "beside.py": "x"}).settle()
    assert one.job.facts["watching"] == "2 files"
    one.write("lib/b.py", "two")
    one.spawned(2)

    assert one.loop.said == ["web restarts: src/lib/b.py changed"]


def test_name_that_is_not_text(scene):
    """The library gives up over it; the change is found all the same, and so is the next one."""
    one = scene().settle()
    (one.folder / "src" / os.fsdecode(b"\xff.py")).write_text("x")
    one.spawned(2)
    one.write("src/a.py", "two")
    one.spawned(3)

    assert one.said("not watched") == one.said("polling") == 0


STUBBORN = "trap 'until [ -e \"$0\" ]; do sleep 0.02; done; exit' TERM; echo up; while :; do sleep 0.05; done"


def test_changes_while_it_stops(scene, tmp_path):
    """F85: what changes while it is being stopped for a restart is part of that restart."""
    one = scene(("sh", "-c", STUBBORN, str(tmp_path / "go")), policy={"grace": 60.0}).settle()
    run_until(one.loop, lambda: b"up" in one.job.backlog.tail())  # its trap is set

    def wishes():
        return sum(event.kind is Kind.RESTART for *_, event in one.loop.transitions)

    one.write("src/a.py", "two")
    run_until(one.loop, lambda: one.job.lifecycle.state is State.STOPPING)
    one.write("src/a.py", "three")
    run_until(one.loop, lambda: wishes() == 2)
    assert one.job.lifecycle.state is State.STOPPING
    one.write("go")
    one.spawned(2)

    assert len(one.loop.said) == 1


def test_stop_during_a_batch(scene):
    """What the user stops stays stopped, whatever changes."""
    one = scene().settle()
    one.write("src/a.py", "two")
    one.loop.send(one.job, DOWN)
    one.loop._settle()  # before the loop can hear of the change
    one.spawned(1)
    one.write("src/a.py", "three")
    run_for(one.loop, QUIET)

    assert one.job.lifecycle.state is State.STOPPED
    assert one.loop.said == []


def test_own_doing(scene):
    """F84: who writes into its own tree is restarted thrice; after a restart by hand, thrice more."""
    script = 'echo "$$" >src/data.db; sleep 1000'
    one = scene(("sh", "-c", f'cd "$0" && {script}', "."), policy={})
    one.job.command = one.job.command._replace(cwd=str(one.folder))
    one.settle()
    one.write("src/a.py", "one and a half")
    run_until(one.loop, lambda: one.said("pauses watching src/data.db"))
    one.spawned(one.job.spawns)
    assert 2 <= one.said("restarts: src/data.db") <= one.job.spawns - 1 <= 4

    one.write("src/a.py", "two")  # others still count
    spawns = one.job.spawns
    one.spawned(spawns + 1)
    one.loop.send(one.job, RESTART)
    run_until(one.loop, lambda: one.said("pauses watching src/data.db") == 2)


def broken(error):
    """A library whose RustNotify cannot be had."""

    def make(*_args):
        raise error

    return lambda: make


LIMIT = OSError('OS file watch limit reached. about ["/x"] (Error { kind: MaxFilesWatch, paths: ["/x"] })')
FULL = RuntimeError("Error creating recommended watcher: Too many open files (os error 24)")


@pytest.mark.parametrize(("error", "name"), [(LIMIT, "max_user_watches"), (FULL, "max_user_instances")])
def test_limit_of_inotify(scene, monkeypatch, error, name):
    """Then it polls, and says so."""
    monkeypatch.setattr(under_test, "rust_notify", broken(error))
    one = scene().settle()
    assert one.loop.said == [
        f"web watches its files by polling, once a second: the limit fs.inotify.{name} is reached"
    ]
    assert one.job.facts["watching"].endswith("by polling")
    one.write("src/a.py", "two")
    one.spawned(2)
    one.write("src/sub/b.py", "two")
    one.spawned(3)


def test_no_watching_at_all(scene, monkeypatch):
    """The service runs on, unwatched."""
    monkeypatch.setattr(under_test, "rust_notify", broken(ValueError("broken")))
    monkeypatch.setattr(Lookout, "_poll", broken(ValueError("broken, too"))())
    one = scene()
    run_until(one.loop, lambda: not one.watcher.active)
    one.settle()

    assert one.loop.said[-1] == "web runs on with its files not watched: broken, too"
    assert one.job.facts["watching"] == "nothing"


def test_dies_while_watching(scene, monkeypatch):
    """What changes until it polls is not lost."""

    class Dying:
        """Ends over the first change."""

        def __init__(self, *args):
            self.inner = rust_notify()(*args)
            self.close = self.inner.close

        def watch(self, *args):
            if isinstance(changes := self.inner.watch(*args), set):
                raise RuntimeError("error in underlying watcher")  # noqa: TRY004
            return changes

    monkeypatch.setattr(under_test, "rust_notify", lambda: Dying)
    one = scene().settle()
    one.write("src/a.py", "two")
    one.spawned(2)

    assert one.loop.said == [
        "web watches its files by polling, once a second: error in underlying watcher",
        "web restarts: src/a.py changed",
    ]


def test_close(scene):
    """Nothing is noticed any more; twice is once. That nothing is left is every test's last word."""
    one = scene().settle()
    one.watcher.close()
    one.watcher.close()
    one.write("src/a.py", "two")
    run_for(one.loop, QUIET)

    assert one.job.spawns == 1


def test_threads_hear_no_signals(scene):
    """All signals are the main thread's, whose calls they interrupt."""
    before = set(os.listdir("/proc/self/task"))
    scene().settle()
    new = set(os.listdir("/proc/self/task")) - before
    all_but_two = {signal.SIGKILL, signal.SIGSTOP}

    assert new
    for thread in new:
        status = Path(f"/proc/self/task/{thread}/status").read_text(encoding="ascii")
        blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
        assert [n for n in signal.valid_signals() - all_but_two if not blocked >> (n - 1) & 1] == []


def test_children_inherit_nothing(scene):
    """A service that is spawned while files are watched has the three descriptors and no blocked signal."""
    one = scene().settle()
    one.write("src/a.py", "two")
    one.spawned(2)
    pid = one.job.process.pid

    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        assert "SigBlk:\t0000000000000000" in status.read()
