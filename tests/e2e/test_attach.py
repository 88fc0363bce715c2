"""`devport attach` at a real terminal, on a private tmux server; stand-ins hold the services' locks."""

import os
import shlex
import shutil
import subprocess
import sys
from typing import NamedTuple

import pytest
from support.procs import eventually
from support.running import DEVPORT
from support.tmux import Servers

from devport.registry.locks import held
from devport.registry.record import Record
from devport.registry.store import Store
from devport.tmux import Tmux, Window

SIZE = (200, 30)

STAND_IN = """
import sys
from devport.context import Context
from devport.registry.locks import Lock, this_process
path, mode, name, port = sys.argv[1:]
lock = Lock.acquire(path, this_process(Context({}, "/somewhere", "/"), mode, name, int(port)))
print(f"this is {name}", flush=True)
for line in sys.stdin:
    print("you said", line.strip().upper(), flush=True)
    if line == "fail\\n":
        sys.exit(3)
sys.stdin.close()
import time
time.sleep(600)
"""


class Started(NamedTuple):
    """A service: its record, and the window of its stand-in."""

    record: Record
    window: Window | None


class Desk:
    """A user's machine: a project with entries web and api, a tmux server, services as a test wants them."""

    def __init__(self, devport, servers):
        self.devport, self.servers = devport, servers
        self.store = Store(str(devport.state))
        devport.procfile(web="sleep 600", api="sleep 600")
        devport.environ.update({name: servers.environ[name] for name in ("TMUX_TMPDIR", "HOME")})
        self.count = 0
        self.beside = []

    def start(self, name, *, mode="background", window=True, running=True, env=("A=1",)):
        """A service called `name`, with or without a window."""
        self.count += 1
        hash_ = f"{self.count:x}" * 10
        argv = (
            sys.executable,
            "-c",
            STAND_IN,
            self.store.lock_path(hash_),
            mode,
            name,
            f"{19000 + self.count}",
        )
        opened = None
        self.store.prepare()
        if running and window:
            (opened,) = Tmux(self.servers.environ).open_windows([(name, argv)])
        elif running:
            # Beside this test, as a daemon is beside everything.
            self.beside.append(self.devport.spawn(argv))
        record = Record(
            hash_,
            hash_[:3],
            name=name,
            entry=name,
            project=str(self.devport.project),
            cwd="/",
            port=19000 + self.count,
            cmd=("serve", name),
            env=env,
            run=opened.as_run() if opened else {},
        )
        self.store.write([record])
        if running:
            eventually(lambda: self._holds(hash_))
        return Started(record, opened)

    def _holds(self, hash_):
        holder = held(self.store.lock_path(hash_))
        assert holder is not None
        assert holder.pid, "it has not written who it is yet"

    def attach(self, *words, **options):
        """`devport attach WORDS` at a terminal."""
        return self.devport.spawn([DEVPORT, "attach", *words], **{"terminal": SIZE, **options})

    def called(self, *words, **options):
        """The ended `devport attach WORDS`: status, and what it printed, without a terminal."""
        done = self.devport.call("attach", *words, **options)
        return done.status, done.output.decode(), done.errors.decode()

    def leave(self):
        """Detach every client."""
        for name in ("default", "other"):
            for client in self.servers.call("list-clients", "-F", "#{client_name}", name=name).stdout.split():
                self.servers.tmux("detach-client", "-t", client, name=name)

    def shown(self, *, name="default"):
        """What the only client of a server looks at: session and window."""
        return self.servers.call(
            "list-clients", "-F", "#{session_name} #{window_name}", name=name
        ).stdout.strip()


@pytest.fixture
def desk(devport, tmp_path):
    """A desk that is cleared in the end."""
    servers = Servers(tmp_path / "home")
    made = Desk(devport, servers)
    yield made
    for one in made.beside:
        one.popen.kill()
    servers.tear_down()


def test_attach_to_a_window(desk):
    """Its output is shown, keys reach it, and leaving it leaves it running; the status is tmux's."""
    desk.start("api")
    desk.start("web")
    running = desk.attach("web")
    running.expect(rb"this is web")
    running.type(b"hello\r")
    running.expect(rb"you said HELLO")
    assert desk.shown() == "devport web"
    desk.leave()

    assert running.finish() == 0
    assert desk.servers.windows() == ["api", "web"]


@pytest.mark.parametrize("word", ["web", "web.1", "111", "19001"])
def test_targets(desk, word):
    """A name, an instance, a hash, a port: what the other verbs take."""
    desk.start("web")
    running = desk.attach(word)
    running.expect(rb"this is web")
    desk.leave()

    assert running.finish() == 0


def test_switching_inside_the_server(desk):
    """From a pane of the same server no second tmux is started: the client looks at the window."""
    desk.start("api")
    desk.start("web")
    desk.servers.tmux("new-session", "-d", "-s", "work", "-n", "shell", "sh", "-i")
    user = desk.devport.spawn(["tmux", "attach-session", "-t", "=work"], terminal=SIZE)
    eventually(lambda: _same("work shell", desk.shown()))
    command = shlex.join(["env", f"DEVPORT_HOME={desk.devport.state}", DEVPORT, "attach", "222"])
    desk.servers.tmux("send-keys", "-t", "=work:shell", command, "Enter")

    eventually(lambda: _same("devport web", desk.shown()))
    desk.leave()
    assert user.finish() == 0


def _same(expected, found):
    assert expected == found


def patient(desk):
    """PATH with a tmux that attaches once ../read is there: it drops what a terminal has not read yet."""
    folder = desk.devport.folder / "patient"
    folder.mkdir()
    wait = f"until test -e '{desk.devport.folder}/read'; do sleep 0.02; done"
    script = f'#!/bin/sh\ncase "$*" in *attach-session*) {wait};; esac\nexec {shutil.which("tmux")} "$@"\n'
    (folder / "tmux").write_text(script)
    (folder / "tmux").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_attaching_inside_another_server(desk):
    """A tmux within a tmux: it works, and the user is told about the prefix."""
    desk.start("web")
    running = desk.attach("web", env={**patient(desk), "TMUX": "/tmp/tmux-0/another,1,0", "TMUX_PANE": "%0"})
    running.expect(rb"devport: this is a tmux inside another: press the prefix twice to reach it")
    (desk.devport.folder / "read").touch()
    running.expect(rb"this is web")
    desk.leave()

    assert running.finish() == 0


def test_without_a_terminal(desk):
    """There is nothing to show it on: an error that says what works."""
    desk.start("web")

    assert desk.called("web") == (
        1,
        "",
        "devport: cannot attach to web: this is no terminal; devport logs -f 111 follows it\n",
    )


def test_no_such_service(desk):
    """Status 3, with what there is."""
    desk.start("web")

    assert desk.called("nope") == (
        3,
        "",
        "devport: cannot find service nope: nothing has that name, key, hash or port; there is web\n",
    )


@pytest.mark.parametrize(("env", "hint"), [(("A=1",), "devport restart 111"), ((), "devport start -d web")])
def test_not_running(desk, env, hint):
    """It says how to start it: again, or in the background for the first time."""
    desk.start("web", running=False, env=env)

    assert desk.called("web") == (
        1,
        "",
        f"devport: cannot attach to web: it is not running; {hint} starts it\n",
    )


def test_failed_without_a_terminal(desk):
    """What helps is said: there is nothing to follow, and no window is promised that cannot be shown."""
    web = desk.start("web")
    desk.start("api")
    desk.servers.tmux("send-keys", "-t", web.window.id, "fail", "Enter")
    eventually(lambda: _same(None, held(desk.store.lock_path(web.record.hash))))
    desk.store.update(web.record.hash, lambda old: old._replace(state="failed", error="it said FAIL"))
    with open(desk.store.log_path(web.record.hash), "w") as log:
        log.write("you said FAIL")

    assert desk.called("web") == (
        1,
        "",
        (
            "devport: cannot attach to web: it has failed: it said FAIL;"
            " devport logs 111 shows its output, devport restart 111 starts it\n"
        ),
    )


def test_last_output_of_a_failed_service(desk):
    """The window that a failure has left is shown, with the hint how to start again."""
    web = desk.start("web")
    desk.start("api")
    desk.servers.tmux("send-keys", "-t", web.window.id, "fail", "Enter")
    eventually(lambda: _same(None, held(desk.store.lock_path(web.record.hash))))
    running = desk.attach("web", env=patient(desk))
    running.expect(
        rb"devport: web: it is not running: this is what it printed last; devport restart 111 starts it"
    )
    (desk.devport.folder / "read").touch()
    running.expect(rb"you said FAIL")
    desk.leave()

    assert running.finish() == 0


def test_in_another_terminal(desk):
    """A foreground service has its window somewhere else: where is said."""
    desk.start("web", mode="foreground", window=False)
    status, out, err = desk.called("web")

    assert (status, out) == (1, "")
    assert err.startswith("devport: cannot attach to web: it runs in another terminal: pid ")
    assert " in /somewhere (foreground)" in err
    assert err.endswith("; devport logs -f 111 follows it\n")


def test_a_service_without_a_window(desk):
    """Its log is followed."""
    web = desk.start("web", window=False)
    with open(desk.store.log_path(web.record.hash), "w") as log:
        log.write("from the log\n")
    running = desk.attach("web")
    running.expect(rb"devport: web has no window: this is its log, Ctrl-C leaves it")
    running.expect(rb"from the log")
    running.type(b"\x03")

    assert running.finish() in {0, 130, -2}


def test_a_window_that_is_gone(desk):
    """Said, and what helps; a window of a later server with the same id is not shown instead."""
    web = desk.start("web", window=False)
    record = web.record._replace(
        run={"window": "@0", "tmux": f"{desk.servers.folder}/tmux-{os.getuid()}/default", "server": "1/1"}
    )
    desk.store.write([record])
    desk.servers.tmux("new-session", "-d", "-s", "mine", "sleep", "600")
    status, _, err = desk.called("web")

    assert status == 1
    assert err == (
        "devport: cannot attach to web: its window @0 is gone (tmux server"
        f" {desk.servers.folder}/tmux-{os.getuid()}/default); devport restart 111 opens another\n"
    )


def test_no_target_and_no_terminal(desk):
    """Nothing prompts: a usage error that lists what runs in the background."""
    desk.start("web")
    desk.start("api")
    desk.start("old", running=False)
    status, out, err = desk.called()

    assert (status, out) == (2, "")
    assert err.splitlines()[0] == "devport: cannot attach: no TARGET given (running: api, web)"


def test_no_target_and_nothing_runs(desk):
    """There is nothing to choose from."""
    assert desk.called()[2].splitlines()[0] == "devport: cannot attach: no TARGET given (none is running)"
    running = desk.attach()

    running.expect(rb"devport: cannot attach: no service is running in the background")
    assert running.finish() == 1


def _without_fzf(desk):
    """The PATH of a machine that has no fzf."""
    folder = desk.devport.folder / "bin"
    folder.mkdir()
    for name in ("tmux", "sh"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (folder / name).symlink_to(found)
    return {"PATH": str(folder)}


def test_choosing_by_number(desk):
    """A numbered list, asked again until the answer is one of its numbers; what is wrong is said."""
    desk.start("web")
    desk.start("api")
    running = desk.attach(env=_without_fzf(desk))
    running.expect(rb"NAME +PORT +FOLDER +COMMAND")
    running.expect(rb"1  api +19002 .*serve api")
    running.expect(rb"2  web +19001 .*serve web")
    for wrong in (b"3", b"0", b"web!", b"-1"):
        running.expect(rb"attach to \(1-2\): ")
        running.type(wrong + b"\r")
        running.expect(rb"no such number: " + wrong + rb"; 1 to 2, or a name")
    running.expect(rb"attach to \(1-2\): ")
    running.type(b"2\r")
    running.expect(rb"this is web")
    desk.leave()

    assert running.finish() == 0


def test_choosing_by_name(desk):
    """A name will do, as it stands in the list."""
    desk.start("web")
    desk.start("api")
    running = desk.attach(env=_without_fzf(desk))
    running.expect(rb"attach to \(1-2\): ")
    running.type(b"web\r")
    running.expect(rb"this is web")
    desk.leave()

    assert running.finish() == 0


@pytest.mark.parametrize(("key", "statuses"), [(b"\r", {130}), (b"\x04", {130}), (b"\x03", {130, -2})])
def test_choosing_nothing(desk, key, statuses):
    """Enter, the end of input and Ctrl-C end it, with the status of an interrupt."""
    desk.start("web")
    running = desk.attach(env=_without_fzf(desk))
    running.expect(rb"attach to \(1-1\): ")
    running.type(key)

    assert running.finish() in statuses
    assert b"Traceback" not in running.output


def _fzf(desk, text):
    """A stand-in for fzf on the PATH."""
    folder = desk.devport.folder / "fzf"
    folder.mkdir()
    (folder / "fzf").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "fzf").chmod(0o755)
    return {"PATH": f"{folder}:{desk.devport.environ['PATH']}"}


def test_choosing_with_fzf(desk):
    """It gets a line for each service, numbers hidden; its choice is shown."""
    desk.start("web")
    desk.start("api")
    seen = desk.devport.folder / "seen"
    environ = _fzf(desk, f'echo "$@" > {seen}; tee -a {seen} | grep " web "')
    running = desk.attach(env=environ)
    running.expect(rb"this is web")
    desk.leave()

    assert running.finish() == 0
    options, title, *lines = seen.read_text().splitlines()
    assert "--with-nth=2.." in options
    assert title.split() == ["0", "NAME", "PORT", "FOLDER", "COMMAND"]
    assert [line.split()[:3] for line in lines] == [["1", "api", "19002"], ["2", "web", "19001"]]


@pytest.mark.parametrize("status", [1, 130])
def test_nothing_chosen_in_fzf(desk, status):
    """Esc there is the end here."""
    desk.start("web")

    assert desk.attach(env=_fzf(desk, f"exit {status}")).finish() == 130


def test_an_fzf_that_fails(desk):
    """Then the list is shown after all."""
    desk.start("web")
    running = desk.attach(env=_fzf(desk, "echo unknown option >&2; exit 2"))
    running.expect(rb"attach to \(1-1\): ")
    running.type(b"1\r")
    running.expect(rb"this is web")
    desk.leave()

    assert running.finish() == 0


def test_a_tmux_that_is_not_there(desk):
    """The window cannot be shown without it."""
    desk.start("web")
    running = desk.attach("web", env={"PATH": str(desk.devport.folder)})
    running.expect(rb"devport: cannot run tmux: it is not installed")

    assert running.finish() == 1
