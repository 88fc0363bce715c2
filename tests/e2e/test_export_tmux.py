"""The script that the export to tmux writes, run on tmux servers of the test's own."""

import json
import shlex
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.box import write
from support.export_projects import VALUES, hostile, unit
from support.procs import eventually
from support.running import CHILDREN
from support.tmux import Servers

from devport.encoding import encode
from devport.errors import UsageError
from devport.export import tmux
from devport.export.plan import PROGRAM as RUNNABLE
from devport.export.plan import Plan

PROGRAM = (sys.executable, "-I", "-S", str(CHILDREN / "unit.py"))
HOSTILE = """
set -g destroy-unattached on
set -g remain-on-exit off
set -g default-shell /bin/false
set -g base-index 1
set -g pane-base-index 1
set -g renumber-windows on
setw -g automatic-rename on
setw -g allow-rename on
set-environment -g WEB_PORT 1
set-environment -g session outer
set-hook -g after-new-window "rename-window hooked"
set-hook -g after-new-session "rename-window hooked"
set-hook -g window-renamed "select-window -t :1"
"""
GIVEN = {"TMUX", "TMUX_PANE"}


@pytest.fixture
def servers(tmp_path):
    """Servers with an awkward configuration, and the user's own session `mine` on the usual one."""
    made = Servers(tmp_path / "home")
    made.configure(HOSTILE)
    keep = (";", "set", "-t", "=mine:", "destroy-unattached", "off")
    made.tmux("new-session", "-d", "-s", "mine", "-n", "shop", "sleep", "600", *keep)
    yield made
    made.tear_down()


@pytest.fixture
def folder(tmp_path):
    """A folder with what tmux, or a shell, would read something into."""
    made = tmp_path / "it's #{pid} #S 100%n $HOME  x;"
    made.mkdir()
    return made


def call(servers, script, *words):
    """The ended script."""
    return subprocess.run(
        ["sh", str(script), *words],
        env=servers.environ,
        cwd=script.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def run(servers, folder, plan, name=None):
    """Write the script of `plan` below `folder` and run it; it has nothing to say."""
    (file,) = tmux.render(plan)
    script = folder / (name or file.path)
    write(folder, [file._replace(path=script.name)])
    assert script.stat().st_mode & 0o777 == 0o700
    done = call(servers, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return script


def told(path):
    """What a service wrote about itself, once it has."""

    def check():
        assert path.exists()

    eventually(check, 20)
    return json.loads(path.read_text())


def names_in(servers, session):
    """The names of the windows of `session`, sorted."""
    return sorted(
        name.partition(":")[2]
        for name in servers.windows("#{session_name}:#{window_name}")
        if name.startswith(f"{session}:")
    )


def bytes_of(text):
    """`text` as children/unit.py writes it."""
    return encode(text).decode("latin-1")


def test_twice(servers, folder):
    """A window a service, byte for byte; the second run leaves what runs alone and starts what has ended."""
    odd = {"odd.name": "x y", "LATIN": "\udcff\udcfe", "SECOND": "a\n;", "session": "inner", "UID": "7"}
    words = (*VALUES.values(), "\udcff", "#{pid}", "#(id)", ";", "\\;", "a\\;", "-t", "")
    plan = Plan(
        "shop",
        str(folder),
        (
            unit("web", (*PROGRAM, "stay", f"{folder}/web", *words), cwd=str(folder), environment=VALUES),
            unit("web.2", (*PROGRAM, "stay", f"{folder}/web.2"), cwd=str(folder), environment=odd),
            unit("web_2", (*PROGRAM, "dump", f"{folder}/web_2"), cwd="/"),
            unit("gone", ("/no/such program;",), cwd=str(folder)),
        ),
    )
    script = run(servers, folder, plan, name="a script;")
    seen = {one.name: told(folder / one.name) for one in plan.units[:3]}
    for one in plan.units[:3]:
        found = seen[one.name]
        assert found["argv"] == [bytes_of(word) for word in one.argv[len(PROGRAM) + 2 :]]
        assert {name: found["environment"].get(bytes_of(name)) for name in one.environment} == {
            name: bytes_of(value) for name, value in one.environment.items()
        }
        assert GIVEN.isdisjoint(found["environment"])
        assert found["cwd"] == one.cwd

    def dead(count):
        found = [line for line in servers.windows("#{session_name} #{pane_dead}") if line == "shop 1"]
        assert len(found) == count

    eventually(lambda: dead(2))
    assert names_in(servers, "shop") == ["gone", "web", "web_2", "web_2"]
    panes = servers.windows("#{window_id} #{pane_pid} #{pane_dead}")
    (folder / "web_2").unlink()
    done = call(servers, script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told(folder / "web_2")  # it has been run again, in the window that it had
    eventually(lambda: dead(2))
    after = servers.windows("#{window_id} #{pane_pid} #{pane_dead}")
    assert [line.split()[0] for line in after] == [line.split()[0] for line in panes]
    assert [line for line in after if line.endswith("0")] == [line for line in panes if line.endswith("0")]

    # a window that the user has closed is opened again; one that the user renamed is known
    servers.tmux("rename-window", "-t", "=shop:=web", "mine")
    servers.tmux("kill-window", "-t", "=shop:=gone")
    assert call(servers, script).returncode == 0
    assert names_in(servers, "shop") == ["gone", "mine", "web_2", "web_2"]
    assert len(names_in(servers, "mine")) == 1


def test_hostile(servers, folder):
    """The hostile project opens its windows, whatever comes of its commands."""
    run(servers, folder, hostile())

    assert names_in(servers, "hostile-app") == ["Web_v2", "a-b_c_d", "task_x", "web_1"]


def test_foreign_session(servers, folder):
    """A session of the user's that has the name is left alone, and the script says so."""
    plan = Plan("mine", str(folder), (unit("web", ("sleep", "600"), cwd="/"),))
    (file,) = tmux.render(plan)
    write(folder, [file])
    before = servers.windows("#{session_id} #{window_id} #{pane_pid}")
    done = call(servers, folder / file.path)

    assert (done.returncode, done.stderr) == (
        1,
        "mine: there is a session of this name already that is not this script's\n",
    )
    assert servers.windows("#{session_id} #{window_id} #{pane_pid}") == before


def test_prefix(servers, folder):
    """A session whose name only begins alike is another one."""
    run(servers, folder, Plan("min", str(folder), (unit("web", ("sleep", "600"), cwd="/"),)))

    assert names_in(servers, "min") == ["web"]
    assert len(names_in(servers, "mine")) == 1


def test_piped(servers, folder):
    """A script that is in no file says that it has to be in one."""
    (file,) = tmux.render(Plan("shop", str(folder), (unit("web", ("sleep", "600"), cwd="/"),)))
    done = subprocess.run(
        ["sh"], input=encode(file.content), env=servers.environ, cwd=folder, capture_output=True, check=False
    )

    assert (done.returncode, done.stderr) == (
        2,
        b"shop: save this script to a file first: the windows execute it\n",
    )


def test_attach(servers, folder):
    """With --attach the script ends in the session: on the terminal, or in the server it is called in."""
    plan = Plan("shop", str(folder), (unit("web", ("sleep", "600"), cwd="/"),), options=frozenset({"attach"}))
    (file,) = tmux.render(plan)
    write(folder, [file])
    script = shlex.join(["sh", str(folder / file.path)])
    terminal = subprocess.Popen(
        ["script", "-qec", script, "/dev/null"],
        env=servers.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )

    def attached(*sessions):
        assert servers.tmux("list-clients", "-F", "#{session_name}").split() == [*sessions]

    try:
        eventually(lambda: attached("shop"))
        servers.tmux("switch-client", "-t", "=mine")
        eventually(lambda: attached("mine"))
        socket = servers.tmux("display-message", "-p", "#{socket_path},#{pid},0")
        inside = {**servers.environ, "TMUX": socket}
        subprocess.run(["sh", str(folder / file.path)], env=inside, check=True, timeout=20)
        eventually(lambda: attached("shop"))
        servers.tmux("detach-client", "-s", "=shop")
    finally:
        terminal.stdin.close()
        terminal.wait(20)
    assert terminal.returncode == 0


def test_supervised(servers, folder):
    """With --supervised the script starts the project with devport: its file, its counts, its instances."""
    bin_ = folder / "bin"
    bin_.mkdir()
    record = bin_ / "devport"
    record.write_text('#!/bin/sh\n{ pwd; for one; do printf "<%s>" "$one"; done; } >>"$OUT"\n')
    record.chmod(RUNNABLE)
    units = tuple(unit(name, ("true",), cwd="/") for name in ("web", "web.2", "db"))
    options = frozenset({"supervised", "attach"})
    origin = ("-f", f"{folder}/my devport.yaml", "-e", "/it's/.env")
    plan = Plan("shop", str(folder), units, options=options, origin=origin)
    (file,) = tmux.render(plan)
    write(folder, [file])
    environ = {**servers.environ, "OUT": str(folder / "out"), "PATH": f"{bin_}:{servers.environ['PATH']}"}
    subprocess.run(["sh", str(folder / file.path)], env=environ, check=True, timeout=20, cwd="/")

    assert (folder / "out").read_text() == (
        f"{folder}\n<start><-d><--root><{folder}>"
        f"<-f><{folder}/my devport.yaml><-e></it's/.env><-c><web=2><web><db>"
        f"{folder}\n<attach><web>"
    )


def test_supervised_again():
    """A project that was read from standard input cannot be read again."""
    plan = Plan("shop", "/", (unit("web", ("true",), cwd="/"),), options=frozenset({"supervised"}))
    with pytest.raises(UsageError, match="it is standard input"):
        tmux.render(plan._replace(origin=("-f", "-")))


TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",))
    | st.sampled_from("\"'\\$%`;\n\t {}#=@!-")
)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(
        st.tuples(
            st.lists(TEXTS | st.sampled_from([*VALUES.values(), "\udc80"]), max_size=6),
            st.dictionaries(st.from_regex("X[A-Z0-9_.]{1,5}", fullmatch=True), TEXTS, max_size=4),
        ),
        min_size=10,
        max_size=10,
    )
)
def test_any_words_and_variables(tmp_path_factory, cases):
    """Random words and values arrive byte for byte, ten a session."""
    folder = tmp_path_factory.mktemp("tmux")
    servers = Servers(folder / "home")
    units = tuple(
        unit(
            f"u{number}",
            (*PROGRAM, "dump", f"{folder}/u{number}", *words),
            cwd=str(folder),
            environment=environment,
        )
        for number, (words, environment) in enumerate(cases)
    )
    try:
        run(servers, folder, Plan("any", str(folder), units))
        for (words, environment), one in zip(cases, units, strict=True):
            found = told(folder / one.name)
            assert found["argv"] == [bytes_of(word) for word in words]
            assert {name: found["environment"].get(name) for name in environment} == {
                name: bytes_of(value) for name, value in environment.items()
            }
    finally:
        servers.tear_down()
