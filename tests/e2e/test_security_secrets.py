"""Security: secrets in no argument, message or log (S07 to S09, S27, S40, P35), and no network (S38)."""

import contextlib
import json
import os
import pathlib
import resource
import shlex
import shutil
import stat
import threading

import pytest
from controls import control
from support import background, procs, running
from support.background import argv
from support.running import DEVPORT

machine, plain = background.machine, background.plain


class Watcher:
    """Remembers every command line that there is while it looks, each 20 ms."""

    def __init__(self):
        self.seen = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):  # noqa: D105
        self._thread.start()
        return self

    def __exit__(self, *_):  # noqa: D105
        self._over.set()
        self._thread.join()

    def _look(self):
        while not self._over.wait(0.02):
            for pid in procs.everybody():
                with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                    self.seen.add(file.read())


def canaries(machine):
    """A secret for each way into an environment, written where it belongs: by the name of the way."""
    word = machine.tag[:12]
    secrets = {way: f"{way}-canary-{word}" for way in ("env", "file", "dotenv", "yaml", "key")}
    machine.environ["FROM_ENV"] = secrets["env"]
    machine.environ["TAILSCALE_API_KEY"] = secrets["key"]
    machine.devport.write(".env", f"FROM_DOTENV={secrets['dotenv']}\n").chmod(0o600)
    machine.devport.write("web.env", f"FROM_FILE={secrets['file']}\n").chmod(0o600)
    shared = {"env": ["web.env"], "environment": {"FROM_YAML": secrets["yaml"]}}
    entries = {
        "web": {"exec": shlex.join(argv("signals"))},
        "bad": {"exec": "exit 3", "restart": "never"},
        "none": {"exec": "./nothing", "shell": False},
        "value": {"exec": "$FROM_DOTENV x", "shell": False},
    }
    text = json.dumps({"processes": {name: {**one, **shared} for name, one in entries.items()}})
    machine.devport.write("devport.yaml", text).chmod(0o600)
    return secrets


def everything_said(machine):
    """What the commands print, whether they succeed or not, and what is shown in the windows."""
    verbs = [
        *(
            ["check"],
            ["start", "-d", *machine.flags],
            ["ls"],
            ["which", "--json", "web"],
            ["logs"],
            ["attach"],
        ),
        *(
            ["wait", "-t", "1"],
            ["restart", "web"],
            ["start"],
            ["run", "web"],
            ["tailup", "web"],
            ["stop", "x"],
        ),
    ]
    said = b"".join(machine.call(*words).everything() for words in verbs)
    if machine.windows:
        said += "\n".join(
            machine.tmux("capture-pane", "-pJ", "-S", "-", "-t", pane)
            for pane in machine.tmux("list-panes", "-a", "-F", "#{pane_id}").split()
        ).encode()
        sessions = machine.tmux("list-sessions", "-F", "#{session_id}").split()
        said += machine.tmux("show-environment", "-g").encode()
        said += "\n".join(machine.tmux("show-environment", "-t", one) for one in sessions).encode()
    return said


def readable(folder):
    """Files below `folder` that others may read, and those that are the user's own, by path."""
    found = {}
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                found[path] = pathlib.Path(path).read_bytes()
    return found


@pytest.mark.drill
def test_p35_secrets_are_nowhere(machine, tally):
    """S07: not printed, in no argument, in no log, in no lock, not in tmux; the key not even in a record."""
    if machine.windows:  # the user's own, which knew the variables before
        machine.tmux("new-session", "-d", "-s", "mine", "-x", "80", "-y", "24")
    secrets = canaries(machine)
    with Watcher() as watcher:
        said = everything_said(machine)
        said += machine.call("down").everything()
    machine.nothing_left()  # nobody writes to what is read now
    state = readable(machine.state)
    records = {path for path in state if os.path.basename(os.path.dirname(path)) == "services"}

    assert {stat.S_IMODE(os.stat(path).st_mode) for path in state} == {0o600}
    assert any(secrets["yaml"].encode() in state[path] for path in records), "it is no test of anything"
    assert any(b"supervise" in line for line in watcher.seen)
    hits = []
    for way, secret in secrets.items():
        word = secret.encode()
        hits += [f"{way}: printed"] if word in said else []
        hits += [f"{way}: {line}" for line in watcher.seen if word in line]
        hits += [
            f"{way}: {path}"
            for path in state
            if word in state[path] and (way == "key" or path not in records)
        ]
        hits += [f"{way}: {path}" for path, text in readable(machine.devport.tmp).items() if word in text]
    assert hits == []
    tally(len(secrets))


def test_s08_warnings_and_refusals_hold_no_values(plain):
    """A line of an env file that cannot be read is named by its number, an `environment:` by its place."""
    plain.devport.write(".env", 'A=1\nAPI_KEY="hunter2\nB hunter2\nC\n')
    plain.devport.write("devport.yaml", "processes:\n  web: {exec: 'true', environment: [[hunter2]]}\n")
    said = b"".join(
        plain.call(*words).everything() for words in (["check"], ["start"], ["ls"], ["env", "web"])
    )
    plain.devport.write("devport.yaml", "processes:\n  web: {exec: 'true'}\n")
    said += b"".join(
        plain.call(*words).everything() for words in (["check"], ["start"], ["start", "-d", "--no-tmux"])
    )

    assert b".env:2: ignored" in said
    assert b"devport.yaml: line 2: web: environment" in said
    assert b"hunter2" not in said


@pytest.mark.parametrize("how", ["start", "run", "background"])
def test_s08_a_word_is_named_as_it_was_written(plain, how):
    """A program that cannot be run, of a service or of a probe, by its variable and not by its value."""
    plain.devport.write(".env", "TOKEN=hunter2secret\n")
    probed = {"exec": shlex.join(argv("signals")), "ready": {"exec": "$TOKEN y", "timeout": 1}}
    never = {"shell": False, "restart": "never"}
    entries = {"web": {"exec": "$TOKEN x", **never}, "api": {**probed, **never}}
    plain.devport.write("devport.yaml", json.dumps({"processes": entries}))
    said = b""
    if how == "run":
        said += plain.call("run", "web").everything()
    else:
        more = ("-d", "--no-tmux", "--wait") if how == "background" else ()
        said += (
            plain.call("start", *more, "web").everything() + plain.call("start", *more, "api").everything()
        )
        said += b"".join(plain.call(*words).everything() for words in (["ls"], ["ls", "--json"], ["logs"]))

    assert b"cannot run $TOKEN: No such file or directory" in said
    assert how == "run" or said.count(b"cannot run $TOKEN") > 1
    assert b"hunter2" not in said


@pytest.mark.parametrize("how", ["start", "run", "background"])
def test_s40_no_core_dumps(plain, how):
    """The supervisor's memory holds environments; the services have the limit of whoever started them."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if 0 <= hard < 2048:
        pytest.skip("a limit for core files (ulimit -c) is missing")
    wanted = (1024, 2048)
    setup = ["core=1024:2048"]
    if how == "background":
        done = plain.call("start", "--no-tmux", "--key", "web", "--", *argv("signals"), setup=setup)
        hash_ = json.loads(done.output)["hash"]
        found = [plain.supervisor(hash_)], plain.service(hash_)
    else:
        plain.devport.procfile(web=f"exec {shlex.join(argv('signals'))}")
        running = plain.devport.spawn(
            [DEVPORT, *(["start"] if how == "start" else ["run", "web"])], setup=setup
        )
        running.expect(rb"ready")
        found = [running.pid, running.supervisor], running.services(1)[0]
    limits = [resource.prlimit(pid, resource.RLIMIT_CORE) for pid in found[0]]
    theirs = resource.prlimit(found[1], resource.RLIMIT_CORE)
    if how != "background":
        running.stop()

    assert {soft for soft, _ in limits} == {0}
    assert theirs == wanted


# the network


HOOK = """
import os, sys
def hook(event, args):
    asks = event.startswith(("socket.get", "urllib")) and event != "socket.gethostname"
    calls = event in {{"socket.connect", "socket.sendto", "socket.sendmsg"}} and isinstance(args[1], tuple)
    if asks or calls:
        open({called!r}, "a").write(f"{{sys.argv}} {{event}} {{args}}\\n")
def note():
    open({heard!r}, "a").write(f"{{os.getpid()}}\\n")
sys.addaudithook(hook)
os.register_at_fork(after_in_child=note)
note()
"""


@pytest.fixture
def overheard(plain, tmp_path, monkeypatch):
    """Where every devport of this test notes whom it calls ("called"), and that it is heard ("heard").

    The hook is in a copy of the package itself: supervisors take nothing from PYTHONPATH.
    """
    first = control.text_of("devport/__init__.py").splitlines()[0]
    hook = HOOK.format(called=str(tmp_path / "called"), heard=str(tmp_path / "heard"))
    python = control.environment(tmp_path / "venv", ("devport/__init__.py", first, hook + first))
    monkeypatch.setattr(running, "DEVPORT", str(python.with_name("devport")))
    monkeypatch.setitem(plain.environ, "PYTHONSAFEPATH", "1")
    yield python
    shutil.rmtree(tmp_path / "venv")  # pytest keeps the folders of three runs


def test_s38_no_network(plain, overheard, tmp_path):
    """To list, check, start, restart, stop and run, no command and no supervisor calls anybody."""
    plain.devport.procfile(web=shlex.join(["exec", *argv("signals")]))
    supervisors = []
    for words in (
        ["check"],
        ["ls"],
        ["start", "-d", "--no-tmux"],
        ["ls"],
        ["restart", "web"],
        ["logs", "web"],
    ):
        plain.do(*words)
        if words[0] in ("start", "restart"):
            supervisors.append(plain.supervisor(plain.row("web")["hash"]))
    plain.do("stop", "web")
    run = plain.devport.start()
    run.ready("web")
    supervisors.append(run.supervisor)
    assert run.stop()[0] == 143
    called = tmp_path / "called"
    heard = set(map(int, (tmp_path / "heard").read_text().split()))

    assert set(supervisors) <= heard, "a supervisor is not overheard"
    assert not called.exists(), called.read_text()
    lookup = "import devport, socket; socket.getaddrinfo('localhost', 1)"
    assert plain.devport.spawn([overheard, "-E", "-P", "-c", lookup]).finish() == 0
    assert called.exists(), "the hook does not hear anything"
