"""Security, part by part: links on the way of what is written, what is parsed without end, calls not made."""

import ast
import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest
from support import procs

import devport
from devport.engine import unix
from devport.engine.request import load
from devport.errors import DevportError
from devport.export.plan import File
from devport.export.target import Target
from devport.kernel import descendants, portable, roster
from devport.project import config
from devport.registry.holder import UNKNOWN, from_line
from devport.registry.record import Record, to_json
from devport.registry.store import Store
from devport.tailscale import listener

HOUSE = pathlib.Path(devport.__file__).parent
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
RECORD = Record("a" * 10, "aaa", port=19000, name="web", project="/p")


def test_s03_a_state_folder_behind_a_link(tmp_path):
    """A link of one's own is one's own wish; what it leads to is made private as ever."""
    (tmp_path / "disk").mkdir(mode=0o755)
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    Store(str(tmp_path / "state")).write([RECORD])

    assert Store(str(tmp_path / "disk")).record(RECORD.hash) == RECORD
    assert stat.S_IMODE((tmp_path / "disk").stat().st_mode) == 0o700


@root_only
def test_s03_a_state_folder_behind_a_strangers_link(tmp_path):
    """A link of somebody else's is refused: he would say where our folders are made, or which are closed."""
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "state").symlink_to(tmp_path / "home")
    os.lchown(tmp_path / "state", 65534, 65534)
    store = Store(str(tmp_path / "state"))
    for act in (store.records, lambda: store.write([RECORD])):
        with pytest.raises(DevportError, match="it is a symbolic link of another user"):
            act()

    assert os.listdir(tmp_path / "home") == []
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o755


def test_s04_a_folder_for_sockets_that_is_a_link(tmp_path):
    """Not even one's own: in /tmp it would close a folder of this user's to everybody else."""
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "devport-0").symlink_to(tmp_path / "home")

    with pytest.raises(DevportError, match="it is a symbolic link"):
        unix.private_folder(str(tmp_path / "devport-0"))
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o755


def test_s26_an_export_follows_no_link(tmp_path):
    """A folder below the target that is a link leads out of it: nothing is written, read or removed there."""
    away, out = tmp_path / "away", tmp_path / "out"
    file = File("units/web.service", "new\n")
    Target(str(out), "shop", "systemd").write([file])
    (out / "units").rename(away)
    (out / "units").symlink_to(away)
    (away / "web.service").write_text("precious\n")
    target = Target(str(out), "shop", "systemd")

    for act in (
        lambda: target.write([file]),
        lambda: target.write([], prune=True),
        lambda: target.diff([file]),
    ):
        with pytest.raises(DevportError, match="units: it is a symbolic link"):
            act()
    assert (away / "web.service").read_text() == "precious\n"


# processes


TOKEN = "0123456789"
DAEMON = """
import os, signal, sys
uid, stays, word = sys.argv[1:]
if pid := os.fork():
    print(pid, flush=True)
    signal.pause() if int(stays) else os._exit(0)
os.setsid()
os.setuid(int(uid))
os.execv("/bin/sleep", ["sleep", "600"])
"""


@pytest.fixture
def daemon(tag):
    """A function that starts a process in a session of its own; its pid. All are killed at the end."""

    def start(*, uid=None, stays=False, run=roster.WORD):
        words = [str(os.geteuid() if uid is None else uid), str(int(stays)), tag]
        marks = {descendants.MARK: TOKEN, descendants.RUN: run, procs.TAG: tag}
        parent = subprocess.Popen(
            [sys.executable, "-IS", "-c", DAEMON, *words], env=marks, stdout=subprocess.PIPE
        )
        started.append(parent)
        pid = int(parent.stdout.readline())
        parent.stdout.close()
        pids.append(pid)
        if not stays:
            parent.wait()

        def check():
            assert procs.process(pid).command.startswith("sleep")

        procs.eventually(check)
        return pid

    started, pids = [], []
    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for parent in started:
        parent.kill()
        parent.wait()
    procs.gone(tag)


def test_s34_what_the_portable_way_takes_for_an_orphan(daemon):
    """What init has adopted and this run has started: not what another devport has, by the same hash."""
    ours, of_somebody, of_another = daemon(), daemon(stays=True), daemon(run="0" * 16)

    assert portable.orphans({2**22 + 1: TOKEN}) & {ours, of_somebody, of_another} == {ours}


@root_only
def test_s35_whose_environment_is_read(daemon, monkeypatch):
    """Root is shown every environment: the portable way reads none but of its own user's processes."""
    ours, strangers = daemon(), daemon(uid=65534)
    read = []
    real = portable.psutil.Process.environ
    monkeypatch.setattr(
        portable.psutil.Process, "environ", lambda self: read.append(self.uids().effective) or real(self)
    )

    assert portable.orphans({2**22 + 1: TOKEN}) & {ours, strangers} == {ours}
    assert set(read) == {os.geteuid()}


@root_only
@pytest.mark.parametrize("mine", [True, False])
def test_s35_whose_environment_a_listener_is_known_by(daemon, monkeypatch, mine):
    """Nor is a server of another user's known by its environment."""
    pid = daemon(uid=None if mine else 65534)
    read = []
    real = portable.psutil.Process.environ
    monkeypatch.setattr(portable.psutil.Process, "environ", lambda self: read.append(self.pid) or real(self))

    assert listener._belongs(pid, TOKEN, 2**22 + 1) == mine
    assert read == [pid] * mine


DEEP = 100_000


def test_s37_nothing_is_too_deep(tmp_path):
    """Records, lock files, requests and devport.yaml of endless depth are refused in a sentence."""
    nested = b"[" * DEEP + b"]" * DEEP
    store = Store(str(tmp_path / "state"))
    store.write([RECORD])
    text = to_json(RECORD).replace(b'"run": {}', b'"run": ' + nested)
    pathlib.Path(store.path(RECORD.hash)).write_bytes(text)

    assert list(store.records().unreadable) == [RECORD.hash]
    assert from_line(nested) == UNKNOWN
    for act in (
        lambda: load(nested),
        lambda: config.parse(b"processes: " + nested, "devport.yaml", "/p", None),
        lambda: config.parse(b"a: " * DEEP, "devport.yaml", "/p", None),
        lambda: config.parse(b"{" * DEEP, "devport.yaml", "/p", None),
    ):
        with pytest.raises(DevportError):
            act()


def test_s37_aliases_are_bounded():
    """A kilobyte whose aliases stand for a million values is refused before they are made."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]

    with pytest.raises(DevportError, match="aliases stand for more than"):
        config.parse("\n".join(levels).encode(), "devport.yaml", "/p", None)


FORBIDDEN = {"eval", "exec", "compile", "os.system", "os.popen", "pickle", "marshal", "shelve", "yaml.load"}
FORBIDDEN |= {"yaml.unsafe_load", "yaml.full_load", "subprocess.getoutput", "tempfile.mktemp"}


def _dotted(node):
    """`a.b` for what is called so."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_s14_calls_that_are_not_made():
    """Nothing is evaluated or unpickled, and no program is started through a shell, in all of devport."""
    found = []
    for path in HOUSE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found += [f"{path}:{node.lineno}"] if _dotted(node.func) in FORBIDDEN else []
                found += [
                    f"{path}:{node.lineno}"
                    for one in node.keywords
                    if one.arg == "shell" and "subp" in _dotted(node.func)
                ]
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                found += [f"{path}:{node.lineno}"] if names & FORBIDDEN else []

    assert found == []
