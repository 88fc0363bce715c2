"""`devport start -d` and `devport start -- COMMAND`: what is started, printed and refused."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from support import background, procs
from support.background import argv, python, shell, variables
from support.running import child

from devport.background import PATIENCE

machine, windowed, plain = background.machine, background.windowed, background.plain

SEED = ("hash", "hashid", "key", "status", "port", "no_port", "tailnet", "url", "cwd", "cmd", "last_up")
STAY = "exec sleep 1000"


# the entries of a project


def test_every_entry_runs(machine):
    """Each has a supervisor, a port of the pool and, with tmux, a window of its own; the array tells."""
    machine.devport.procfile(web=child("listener"), api=child("listener"), clock=child("signals"))
    rows = machine.detach()

    assert list(rows) == ["web", "api", "clock"]
    assert {row["status"] for row in rows.values()} == {"running"}
    for name in ("supervisor", "pid", "port", "hash", "hashid"):
        assert len({row[name] for row in rows.values()}) == 3
    assert all(row["port"] in machine.devport.ports for row in rows.values())
    for row in rows.values():
        machine.logged(row["hash"], rb"ready")
        assert set(SEED) <= set(row)
        assert row["project"] == str(machine.project)
    if machine.windows:
        assert machine.opened() == ["web", "api", "clock"]
        assert machine.tmux("list-sessions", "-F", "#{session_name}") == "devport"
    else:
        assert {row["window"] for row in rows.values()} == {None}


def test_is_idempotent(machine):
    """What runs already is reported and left alone; the rest is started; status 0."""
    machine.devport.procfile(web=STAY, api=STAY)
    first = machine.detach("web")
    done = machine.call("start", "-d", *machine.flags)
    rows = {row["name"]: row for row in json.loads(done.output)}

    assert done.status == 0
    assert rows["web"]["pid"] == first["web"]["pid"]
    assert rows["web"]["supervisor"] == first["web"]["supervisor"]
    assert rows["api"]["status"] == "running"
    said = done.errors.decode().splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"devport: web is already running: pid {first['web']['supervisor']} in ")
    if machine.windows:
        assert machine.opened() == ["web", "api"]


def test_instances(plain):
    """-c web=2 starts two, the second as web.2, each with its own port."""
    plain.devport.procfile(web=child("listener"))
    rows = plain.detach("-c", "web=2")

    assert sorted(rows) == ["web", "web.2"]
    assert len({row["port"] for row in rows.values()}) == 2
    assert plain.do("stop", "web.2") == "web.2 stopped\n"
    assert plain.row("web")["status"] == "running"


def test_one_failure_does_not_stop_the_others(machine):
    """An entry that cannot run is named, with the reason, the others run; status 1."""
    text = (
        "- {name: one, exec: sleep 1000}\n- {name: bad, exec: ./missing}\n- {name: two, exec: sleep 1000}\n"
    )
    machine.devport.write("devport.yaml", text)
    done = machine.call("start", "-d", *machine.flags)
    rows = {row["name"]: row for row in json.loads(done.output)}

    assert done.status == 1
    assert re.fullmatch(
        r"devport: cannot start bad: cannot run .*missing: No such file or directory\n", done.errors.decode()
    )
    assert (rows["one"]["state"], rows["two"]["state"]) == ("ready", "ready")
    assert rows["bad"]["state"] in {"backoff", "failed"}
    assert "cannot run" in rows["bad"]["error"]


def test_port_of_a_stranger(plain):
    """A reserved port that somebody else has: that entry does not start, its owner is named."""
    plain.devport.procfile(web=child("listener"), api=child("listener"))
    ports = plain.json("port", "web", "api", "--json")
    with socket.create_server(("127.0.0.1", ports["web"])):
        done = plain.call("start", "-d", *plain.flags)
        rows = {row["name"]: row for row in json.loads(done.output)}

        assert done.status == 1
        said = done.errors.decode()
        assert said.startswith("devport: cannot start web: ")
        assert f"{ports['web']}" in said
        assert f"pid {os.getpid()}" in said
        assert rows["api"]["state"] == "ready"
        assert rows["web"]["state"] in {"backoff", "failed"}
    plain.logged(rows["web"]["hash"], rb"ready", timeout=30)


def test_reassign(plain):
    """--reassign moves a service whose port is taken, for good."""
    plain.devport.procfile(web=child("listener"))
    port = plain.json("port", "web", "--json")["web"]
    with socket.create_server(("127.0.0.1", port)):
        row = plain.detach("--reassign", "web")["web"]
        assert row["port"] != port
        plain.logged(row["hash"], rb"ready")
        plain.do("stop", "web")
    assert plain.detach()["web"]["port"] == row["port"]


def test_base_for_this_time(plain):
    """-p BASE counts from there this time; the reserved port stays, and is used the next time."""
    plain.devport.procfile(web=child("listener"))
    reserved = plain.json("port", "web", "--json")["web"]
    base = plain.devport.ports.last
    row = plain.detach("-p", str(base))["web"]
    plain.logged(row["hash"], f"ready {base}".encode())
    assert row["port"] == base
    plain.do("restart", "web")
    plain.logged(row["hash"], f"ready {base}".encode(), 2)
    plain.do("stop", "web")

    assert plain.detach()["web"]["port"] == reserved
    plain.logged(row["hash"], f"ready {reserved}".encode())


def test_ports_of_the_others(plain):
    """Every service of a project sees the others' ports; `devport env` and `port` tell the same truth."""
    plain.devport.procfile(web="echo [$PORT $API_PORT]; exec sleep 1000", api=STAY)
    rows = plain.detach()
    web, api = rows["web"]["port"], rows["api"]["port"]

    plain.logged(rows["web"]["hash"], f"\\[{web} {api}\\]".encode())
    assert plain.json("env", "web", "--json")["API_PORT"] == str(api)
    assert plain.json("port", "web", "api", "--json") == {"web": web, "api": api}
    hashid = rows["web"]["hashid"]
    assert plain.do("port", hashid, cwd="/") == f"{web}\n"
    assert plain.json("env", hashid, "--json", cwd="/")["API_PORT"] == str(api)


def test_table_on_a_terminal(plain):
    """A person gets a table, and JSON with --json."""
    plain.devport.procfile(web=STAY)
    running = plain.devport.start("-d", *plain.flags, terminal=(120, 30))
    assert running.finish() == 0
    assert re.search(rb"NAME +PROJECT +STATUS +PORT", re.sub(rb"\x1b\[[0-9;]*m", b"", running.output))
    assert re.search(rb"web .*(running|ready)", re.sub(rb"\x1b\[[0-9;]*m", b"", running.output))
    running = plain.devport.start("-d", "--json", *plain.flags, terminal=(120, 30))
    assert running.finish() == 0

    text = running.output.decode().replace("\r\n", "\n")
    assert json.loads(text[text.index("[\n") :])[0]["name"] == "web"


def test_list_form(plain, tmp_path):
    """The seed's batch file: texts and mappings, keys, no-port, env files with `~`, later ones win."""
    (plain.devport.home / "one.env").write_text("FOO=one\nBAR=one\n")
    plain.devport.write(".env.local", "BAR=two\n")
    text = """\
- sleep 1001
- key: api-server
  exec: /bin/sh -c 'echo "[$FOO $BAR $1]"; exec sleep 1000' sh $FOO
  no-port: true
  env: [~/one.env, .env.local]
- key: vite
  exec: /bin/sh -c 'echo "[$VITE_PORT]"; exec sleep 1000'
  port-env: VITE_PORT
"""
    file = plain.devport.write("services.yaml", text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    rows = plain.json("start", "-f", str(file), "-d", *plain.flags, cwd=elsewhere)

    assert [row["key"] for row in rows] == [None, "api-server", "vite"]
    assert [row["cmd"][0] for row in rows] == ["sleep", "/bin/sh", "/bin/sh"]
    plain.logged(rows[1]["hash"], rb"\[one two one\]")
    plain.logged(rows[2]["hash"], f"\\[{rows[2]['port']}\\]".encode())
    assert (rows[1]["port"], rows[1]["no_port"]) == (None, True)
    assert {row["cwd"] for row in rows} == {str(plain.project)}


@pytest.mark.parametrize(
    "option", ["--quiet=web", "--no-prefix", "--no-timestamp", "--keep-going", "--pty", "--no-pty"]
)
def test_options_of_the_foreground(plain, option):
    """What only a run in this terminal has does not go with -d: status 2, nothing started."""
    plain.devport.procfile(web=STAY)
    said = plain.refused("start", "-d", *plain.flags, option, status=2)

    assert f": option {option.partition('=')[0]} does not go with -d\n" in said
    assert plain.left() == []


@pytest.mark.parametrize(
    "words",
    [("--key", "k"), ("--cwd", "/"), ("--no-port",), ("--restart", "never"), ("--tailnet",), ("--no-tmux",)],
)
def test_options_of_a_command(plain, words):
    """What only a COMMAND has is refused without one."""
    plain.devport.procfile(web=STAY)

    assert f"option {words[0]} goes with" in plain.refused("start", *words, status=2)


def test_what_runs_in_the_foreground(machine):
    """An entry that runs in another terminal is reported, not started a second time."""
    machine.devport.procfile(web=child("listener"), api=child("listener"))
    running = machine.devport.start("web")
    running.expect(rb"\| ready")
    done = machine.call("start", "-d", *machine.flags)
    rows = {row["name"]: row for row in json.loads(done.output)}

    assert done.status == 0
    assert b"web is already running: pid " in done.errors
    assert (rows["web"]["mode"], rows["api"]["mode"]) == ("foreground", "background")
    assert running.stop()[0] == 143
    said = machine.call("start", "api")
    assert said.status != 0
    assert b"api" in said.errors
    assert b"running" in said.errors


def test_two_starts_at_once(machine):
    """Two of the same project at the same moment: one supervisor for each entry, both succeed (G30)."""
    machine.devport.procfile(web=child("listener"), api=child("listener"))
    both = [machine.devport.start("-d", *machine.flags) for _ in range(4)]
    assert [running.finish() for running in both] == [0] * 4
    rows = [{row["name"]: row["pid"] for row in json.loads(running.output)} for running in both]

    now = {name: row["pid"] for name, row in machine.ls().items()}
    assert rows == [now] * 4
    if machine.windows:
        assert sorted(machine.opened()) == ["api", "web"]

    def check():
        assert len([one for one in machine.left() if background.SUPERVISOR in one.command]) == 2

    procs.eventually(check)


# one command


def test_prints_its_record(machine):
    """The seed's fields, of a service that runs; no environment."""
    machine.environ["SECRET"] = "hunter2"
    text = machine.do("start", *machine.flags, "--key", "web", "--", *argv("listener"))
    row = json.loads(text)

    assert set(SEED) <= set(row)
    assert (row["key"], row["status"], row["no_port"], row["tailnet"]) == ("web", "running", False, False)
    assert row["cwd"] == str(machine.project)
    assert row["cmd"] == argv("listener")
    assert row["port"] in machine.devport.ports
    assert row["hash"].startswith(row["hashid"])
    assert "hunter2" not in text
    machine.logged(row["hash"], f"ready {row['port']}".encode())


def test_unnamed(machine):
    """Without --key it is known by folder and words: the same again is the same, anything else another."""
    row = machine.start(None, argv("signals", "a"))
    again = machine.start(None, argv("signals", "a"))
    other = machine.start(None, argv("signals", "b"))
    elsewhere = machine.start(None, argv("signals", "a"), "--cwd", "/")

    assert row["key"] is None
    assert again["supervisor"] == row["supervisor"]
    assert len({one["hash"] for one in (row, other, elsewhere)}) == 3
    assert machine.do("stop", row["hashid"], str(other["port"])).count("stopped") == 2


def test_link_to_the_folder(plain, tmp_path):
    """A link to the folder is the same folder: one identity (G65)."""
    (tmp_path / "link").symlink_to(plain.project)
    row = plain.start(None, argv("signals"))
    again = plain.start(None, argv("signals"), cwd=tmp_path / "link", env={"PWD": str(tmp_path / "link")})
    third = plain.start(None, argv("signals"), "--cwd", str(tmp_path / "link"), cwd="/")

    assert {again["hash"], third["hash"]} == {row["hash"]}


def test_all_options(plain):
    """Key, port-env, env files, cwd, restart policy and grace are in the record, and the service has them."""
    folder = plain.project / "sub dir"
    folder.mkdir()
    plain.devport.write("a.env", "FOO=a\nBAR=a b\n")
    plain.devport.write("b.env", "FOO=b $BAR\n")
    code = "import os, sys; print(*map(os.environ.get, sys.argv[2:]), sys.argv[1], os.getcwd(), sep='|')"
    command = python(
        f"{code}; sys.stdout.flush(); input()",
        "$VITE_PORT",
        "VITE_PORT",
        "PORT",
        "FOO",
        "BAR",
    )
    words = ("--port-env", "VITE_PORT", "--env", "a.env", "--env", "b.env", "--cwd", str(folder))
    row = plain.start("all", command, *words, "--restart", "always", "-t", "1.5")
    record = plain.record(row["hash"])

    text = f"{row['port']}|None|b $BAR|a b|{row['port']}|{folder}\r\n"
    plain.logged(row["hash"], re.escape(text).encode())
    assert (record["port_env"], record["cwd"]) == ("VITE_PORT", str(folder))
    assert record["restart"]["on"] == "always"
    assert record["stop"]["grace"] == 1.5
    assert row["cwd"] == str(folder)


def test_tailnet_is_noted(plain):
    """--tailnet: the service starts, whatever there is of Tailscale, and the record says so."""
    empty = plain.devport.write("bin/none", "").parent
    row = plain.start("web", argv("listener"), "--tailnet", env={"PATH": str(empty)})

    assert row["tailnet"] is True
    assert row["status"] == "running"
    plain.rewrite(row["hash"], tailnet=False)


def test_no_port(plain):
    """--no-port: no PORT, none reserved; a port asked for later is a real one (G54)."""
    row = plain.start("web", variables("PORT"), "--no-port", env={"PORT": "1"})
    plain.logged(row["hash"], rb"\[\]")
    assert (row["port"], row["no_port"]) == (None, True)
    plain.do("stop", "web")
    row = plain.start("web", variables("PORT"))

    assert (row["port"] in plain.devport.ports, row["no_port"]) == (True, False)
    plain.logged(row["hash"], f"\\[{row['port']}\\]".encode())


def test_expansion(plain):
    """$NAME and ${NAME} of the service's environment, missing ones empty; what is a shell's stays (G16)."""
    words = [
        "$PORT",
        "${FOO}x",
        "$MISSING",
        "$1",
        "$@",
        "$#",
        "$$",
        "$0",
        "a;b",
        "",
        "#{pid}",
        "-x",
        "%d",
        "\\;",
        ";",
    ]
    row = plain.start(
        "web", python("import sys; print(sys.argv[1:], flush=True); input()", *words), env={"FOO": "f"}
    )
    wanted = [str(row["port"]), "fx", "", *words[3:]]

    plain.logged(row["hash"], re.escape(repr(wanted)).encode())


def test_words_arrive_in_a_window(windowed):
    """What tmux would take for its own arrives as it was written (G41, G42, F88, F89)."""
    folder = windowed.project / "#(touch PWNED)"
    folder.mkdir()
    words = [
        ";",
        "a;",
        "\\;",
        "set-option -g @pwned yes",
        "#(touch PWNED)",
        "#{pid}",
        "ünï",
        "",
        "'",
        '"',
        "$(id)",
    ]
    code = "import os, sys; print(ascii(sys.argv[1:]), os.getcwd(), flush=True); input()"
    row = windowed.start("web", python(code, *words), cwd=folder)

    windowed.logged(row["hash"], re.escape(f"{words!a} {folder}").encode())
    assert list(windowed.project.rglob("PWNED")) == []
    assert list(windowed.devport.home.rglob("PWNED")) == []
    assert "pwned" not in windowed.tmux("show-options", "-g")


def test_large_commands_and_environments(windowed):
    """Nothing of it goes through tmux: 100 KB in a word and 1 MB of environment (F90)."""
    env = {f"BIG{n}": "x" * 100_000 for n in range(10)}
    code = "import os, sys; print('sum', len(sys.argv[1]), len(str(os.environ)), flush=True); input()"
    row = windowed.start("web", python(code, "y" * 100_000), env=env)

    found = windowed.logged(row["hash"], rb"sum 100000 (\d+)")
    assert int(found[1]) > 1_000_000


def test_environment_is_the_callers(windowed):
    """Not the tmux server's, and nobody else's; a secret stands in no command line (G43, G44, F91)."""
    one = windowed.start("one", variables("FOO", "SECRET"), env={"FOO": "one", "SECRET": "hunter2"})
    two = windowed.start("two", variables("FOO", "SECRET"), env={"FOO": "two"})

    windowed.logged(one["hash"], rb"\[one\|hunter2\]")
    windowed.logged(two["hash"], rb"\[two\|\]")
    for pid in procs.everybody():
        if (found := procs.process(pid)) and pid != os.getpid():
            assert "hunter2" not in found.command
    assert "hunter2" not in windowed.tmux("show-environment", "-t", "devport")
    assert "FOO" not in windowed.tmux("show-environment", "-t", "devport")
    assert "hunter2" not in windowed.tmux("list-panes", "-a", "-F", "#{pane_start_command}")


def test_variables_meant_for_devport(machine):
    """Those of tmux, systemd and an outer devport do not reach the service; the user's own do."""
    env = {
        **dict.fromkeys(
            ("TMUX", "TMUX_PANE", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC"), "1"
        ),
        "PS": "outer",
        "PORT": "1",
        "MINE": "yes",
    }
    if machine.windows:
        env |= {"TMUX": "/nonexistent/socket,1,0", "TMUX_PANE": "%99"}
    row = machine.start(
        "web", shell('env >"$1"; echo ready; exec sleep 1000', machine.project / "out"), env=env
    )
    machine.logged(row["hash"], rb"ready")
    seen = dict(line.split("=", 1) for line in (machine.project / "out").read_text().splitlines())

    assert (
        set(seen) & {"TMUX", "TMUX_PANE", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC"}
        == set()
    )
    assert (seen["PS"], seen["PORT"], seen["MINE"]) == ("web", str(row["port"]), "yes")
    assert seen["DEVPORT_HOME"] == machine.environ["DEVPORT_HOME"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/no/such/program"], "cannot run /no/such/program: No such file or directory"),
        (["no-such-program"], "cannot run no-such-program: No such file or directory"),
        (["/etc/passwd"], "cannot run /etc/passwd: Permission denied"),
        (["/"], "cannot run /: Permission denied"),
    ],
)
def test_cannot_run(plain, command, reason):
    """A command that cannot be executed is a failure with the reason, not a service (G49, F98)."""
    done = plain.call("start", *plain.flags, "--key", "web", "--", *command)

    assert done.status == 1
    assert done.errors.decode() == f"devport: cannot start web: {reason}\n"
    assert json.loads(done.output)["error"] == reason
    assert plain.do("rm", "web").startswith("web removed")


def test_short_command(machine):
    """A command that ends at once is told as ended, soon, with status 0."""
    began = time.monotonic()
    row = machine.start("once", ["true"])

    assert time.monotonic() - began < PATIENCE - 2  # it is not waited for
    assert row["hash"]
    assert row["error"] is None
    machine.reached(row["hash"], "exited")


def test_folder_is_gone(machine):
    """A folder that was deleted is an error, never another folder (G53)."""
    folder = machine.project / "sub"
    folder.mkdir()
    row = machine.start("web", argv("signals"), "--cwd", "sub")
    machine.do("stop", "web")
    folder.rmdir()
    said = machine.refused("restart", "web", status=1)

    assert f"cannot change to {folder}: No such file or directory" in said
    assert machine.record(row["hash"])["cwd"] == str(folder)
    machine.do("stop", "web")
    folder.mkdir()
    assert machine.do("restart", "web") == "web started\n"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--",), 2),
        (("word", "--", "true"), 2),
        (("-d", "--", "true"), 2),
        (("--restart", "sometimes", "--", "true"), 2),
        (("-f", "devport.yaml", "--", "true"), 2),
        (("--quiet", "web", "--", "true"), 2),
        (("--keep-going", "--", "true"), 2),
        (("-c", "web=2", "--", "true"), 2),
        (("--port", "5000", "--", "true"), 2),
        (("--nonsense", "--", "true"), 2),
        (("--timeout", "-1", "--", "true"), 2),
        (("--cwd", "/no/such/folder", "--", "true"), None),
        (("--env", "missing.env", "--", "true"), None),
        (("--port-env", "NOT-A-NAME", "--", "true"), 2),
        (("--port-env", "A=B", "--", "true"), 2),
        (("--port-env", "", "--", "true"), 2),
    ],
)
def test_misuse(plain, words, status):
    """What makes no sense is refused at once, and nothing is registered."""
    done = plain.call("start", *plain.flags, *words)

    assert done.status in ({1, 2} if status is None else {status}), done.shown()
    assert done.errors.startswith(b"devport: ")
    assert plain.ls() == {}
    assert plain.left() == []


# a key


def test_another_command_while_it_runs(plain):
    """A key is one service: another command or folder under it is refused while it runs, both shown (G50)."""
    row = plain.start("web", argv("signals", "first"))
    said = plain.refused("start", *plain.flags, "--key", "web", "--", *argv("signals", "second"))
    elsewhere = plain.refused(
        "start", *plain.flags, "--key", "web", "--cwd", "/", "--", *argv("signals", "first")
    )

    assert "first" in said
    assert "second" in said
    assert str(row["supervisor"]) in said
    assert str(plain.project) in elsewhere
    assert plain.record(row["hash"])["cmd"] == argv("signals", "first")
    assert plain.row("web")["supervisor"] == row["supervisor"]


def test_another_command_takes_the_key_over(plain):
    """While it is stopped the new one gets key and port, and devport says so."""
    row = plain.start("web", argv("listener"))
    plain.do("stop", "web")
    done = plain.call("start", *plain.flags, "--key", "web", "--cwd", "/", "--", *argv("listener", "new"))
    again = json.loads(done.output)

    assert done.status == 0
    assert b"key web goes from web in" in done.errors
    assert (again["hash"], again["port"], again["cwd"]) == (row["hash"], row["port"], "/")


def test_options_change_while_it_is_stopped(plain):
    """The same command with other options: the record is what was said last."""
    plain.start("web", argv("signals"), "--restart", "never", "--port-env", "A", "-t", "9")
    plain.do("stop", "web")
    row = plain.start("web", argv("signals"))
    record = plain.record(row["hash"])

    assert (record["port_env"], record["restart"]["on"], record["stop"]["grace"]) == (
        "PORT",
        "on_failure",
        5.0,
    )


def test_options_change_while_it_runs(plain):
    """It runs on as it is, and what counts only later is said."""
    row = plain.start("web", argv("signals"))
    before = plain.record(row["hash"])
    options = (
        "--no-port",
        "--restart",
        "always",
        "--port-env",
        "A",
        "--env",
        plain.devport.write("a.env", "B=1"),
    )
    done = plain.call("start", *plain.flags, "--key", "web", *map(str, options), "--", *argv("signals"))
    after = plain.record(row["hash"])

    assert done.status == 0
    assert done.errors.decode().splitlines()[0] == (
        "devport: web runs as it was started; --no-port, --port-env, --restart, --env will count after"
        " devport stop web and the next start"
    )
    assert {**after, "last_up": None} == {**before, "last_up": None}
    same = plain.call("start", *plain.flags, "--key", "web", "--", *argv("signals"), env={"OTHER": "shell"})
    assert b"will count" not in same.errors


@pytest.mark.parametrize("environ", ["new", "old"])
def test_environment_of_a_second_start(plain, environ):
    """A start registers the environment of now; one that finds it running changes nothing."""
    row = plain.start("web", variables("FOO"), env={"FOO": "first"})
    plain.logged(row["hash"], rb"\[first\]")
    if environ == "new":
        plain.do("stop", "web")
    plain.start("web", variables("FOO"), env={"FOO": "second"})
    if environ == "new":
        plain.logged(row["hash"], rb"\[second\]")
    else:
        plain.do("restart", "web", env={"FOO": "third"})
        plain.logged(row["hash"], rb"\[first\]", 2)
        assert b"second" not in plain.log(row["hash"])


# tmux


@pytest.mark.parametrize(
    ("tmux", "said"),
    [
        (None, "cannot run tmux: it is not installed"),
        ("#!/bin/sh\necho tmux 2.9a\n", "cannot use tmux 2.9a: it is older than 3.0"),
        ("#!/bin/sh\necho nothing works >&2; exit 1\n", "cannot open windows in tmux: nothing works"),
        ("#!/no/such/interpreter\n", "cannot run tmux: "),
    ],
    ids=["missing", "old", "broken", "no interpreter"],
)
def test_unusable_tmux(windowed, tmux, said):
    """A sentence that says why and what to do, status 1; with --no-tmux it works (F93)."""
    folder = windowed.devport.write("bin/env", "").parent
    for program in ("sleep", "sh"):
        (folder / program).symlink_to(shutil.which(program))
    if tmux is not None:
        windowed.devport.write("bin/tmux", tmux).chmod(0o700)
    env = {"PATH": str(folder)}
    done = windowed.call("start", "--key", "web", "--", "sleep", "1000", env=env)

    assert done.status == 1
    assert f"devport: {said}" in done.errors.decode()
    assert "--no-tmux" in done.errors.decode()
    assert windowed.row("web")["status"] == "stopped"
    row = windowed.json("start", "--no-tmux", "--key", "web", "--", "sleep", "1000", env=env)
    assert row["status"] == "running"
    assert windowed.do("restart", "web", env=env) == "web restarted\n"


def test_from_inside_another_tmux(windowed):
    """Called in a pane of another server, windows are opened on the usual one all the same (F93)."""
    del windowed.environ["DEVPORT_TMUX"]  # with a server that is named tmux does not look at TMUX
    subprocess.run(
        ["tmux", "-L", "other", "new-session", "-d", "-s", "devport", "-n", "theirs", "sleep", "1000"],
        env=windowed.environ,
        check=True,
    )
    socket_path = next(windowed.sockets.glob("*/other"))
    windowed.start("web", argv("signals"), env={"TMUX": f"{socket_path},1,0", "TMUX_PANE": "%0"})

    assert windowed.opened() == ["web"]
    theirs = subprocess.run(
        ["tmux", "-L", "other", "list-windows", "-a", "-F", "#{window_name}"],
        env=windowed.environ,
        check=True,
        capture_output=True,
        text=True,
    )
    assert theirs.stdout == "theirs\n"


def test_sessions_of_a_similar_name(windowed):
    """`devport-old`, or a window called `devport-ui`, are not taken for the session (G39)."""
    windowed.tmux("new-session", "-d", "-s", "devport-old", "-n", "devport-ui", "sleep", "1000")
    windowed.start("web", argv("signals"))

    assert sorted(windowed.opened("#{session_name}:#{window_name}")) == [
        "devport-old:devport-ui",
        "devport:web",
    ]


def test_window_and_daemon_side_by_side(windowed):
    """What was started without tmux stays without at a restart; what had a window gets one."""
    windowed.json("start", "--no-tmux", "--key", "daemon", "--", *argv("signals"))
    windowed.start("web", argv("signals"))
    windowed.do("stop", "daemon", "web")
    windowed.do("restart", "daemon", "web")

    assert windowed.opened() == ["web"]
    assert {row["status"] for row in windowed.ls().values()} == {"running"}


# where the state is


@pytest.mark.parametrize("home", ["state folder", "ünï", "a;b", "#(touch PWNED)", "'\"$(id)", "new\nline"])
def test_state_folder_of_any_name(machine, home):
    """Blanks, quotes, umlauts and what tmux would expand in the path of the state folder do no harm (F97)."""
    machine.state = pathlib.Path(f"{machine.devport.folder}/{home}")
    machine.environ["DEVPORT_HOME"] = str(machine.state)
    row = machine.start("web", argv("signals"))
    machine.logged(row["hash"], rb"ready")

    assert machine.do("restart", "web") == "web restarted\n"
    assert machine.do("stop", "web") == "web stopped\n"
    assert list(machine.devport.folder.rglob("PWNED")) == []


def test_relative_state_folder(plain):
    """DEVPORT_HOME relative to the caller's folder is the same folder for the supervisor."""
    plain.environ["DEVPORT_HOME"] = "here"
    plain.state = plain.project / "here"
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")

    assert plain.do("stop", "web") == "web stopped\n"


def test_unusable_state_folder(plain):
    """A state folder that cannot be written is one line, and nothing runs (F97)."""
    plain.environ["DEVPORT_HOME"] = "/proc/nothing"
    said = plain.refused("start", *plain.flags, "--key", "web", "--", "sleep", "1000")

    assert said.count("\n") == 1
    assert "/proc/nothing" in said
    assert plain.left() == []


def test_caller_with_peculiarities(plain):
    """Closed streams, blocked and ignored signals of the caller do not reach the service (F09)."""
    blocked = f"block={signal.SIGTERM:d},{signal.SIGCHLD:d},{signal.SIGHUP:d}"
    ignored = f"ignore={signal.SIGTERM:d},{signal.SIGINT:d},{signal.SIGHUP:d},{signal.SIGCHLD:d}"
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls -C /proc/self/fd; echo ready; exec sleep 1000"
    words = ["start", *plain.flags, "--key", "web", "--", *shell(script)]
    for count, setup in enumerate(([blocked, ignored], ["closed=0", "closed=2", "fd=9"]), 1):
        done = plain.call(*words, setup=setup)
        assert done.status == 0, done.shown()
        row = json.loads(done.output)
        plain.logged(row["hash"], rb"ready", count)
        log = plain.log(row["hash"])
        assert {procs.settable(mask) for mask in re.findall(rb"Sig(?:Blk|Ign):\s*([0-9a-f]+)", log)} == {0}
        assert len(re.findall(rb"^0 +1 +2 +3\r$", log, re.MULTILINE)) == count
        os.kill(row["supervisor"], signal.SIGTERM)
        plain.ended(row["hash"])


def test_started_by_a_service(windowed):
    """A service may start others: those in windows are not its children and survive it."""
    inner = shell("echo inner ready; exec sleep 1000")
    words = [sys.executable, "-P", "-m", "devport", "start", "--key", "inner", "--", *inner]
    outer = windowed.start("outer", shell('"$@" >/dev/null; echo inner is up; exec sleep 1000', *words))
    windowed.logged(outer["hash"], rb"inner is up")
    windowed.do("stop", "outer")

    row = windowed.row("inner")
    assert row["status"] == "running"
    windowed.logged(row["hash"], rb"inner ready")
    assert (row["name"], windowed.record(row["hash"])["port_env"]) == ("inner", "PORT")


def test_old_window_on_a_hanging_server(windowed):
    """An earlier window is on a tmux server that does not answer: a start elsewhere succeeds."""
    old = windowed.start("web", argv("signals"))
    windowed.tmux("new-window", "-d", "-t", "devport", "sleep", "1000")
    server = int(windowed.tmux("display-message", "-p", "#{pid}"))
    windowed.do("stop", "web")
    windowed.environ["DEVPORT_TMUX"] = "another"
    os.kill(server, signal.SIGSTOP)
    try:
        row = windowed.start("web", argv("signals"))
    finally:
        os.kill(server, signal.SIGCONT)

    assert (row["status"], row["port"]) == ("running", old["port"])
    assert windowed.opened() == ["web"]


def writes(state):
    """Whether somebody is about to write one of the records, and so holds its lock."""
    for path in (state / "services").glob("*.json"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def suspend(pid):
    """SIGSTOP, and wait until that has been heard: a system call that is under way comes to its end."""
    procs.send(pid, signal.SIGSTOP)

    def check():
        assert (found := procs.process(pid)) is None or found.state in "TZX"

    procs.eventually(check)


def test_suspended_launcher(plain):
    """A `start -d` that is suspended on the way costs the next one a limited time, however many entries."""
    plain.devport.procfile(**dict.fromkeys("abcd", STAY))
    first = plain.devport.start("-d", *plain.flags)
    locks = plain.state / "locks"

    def check():
        assert locks.exists()
        assert set(os.listdir(locks)) - {"register.lock"}

    procs.eventually(check)
    suspend(first.pid)
    while writes(plain.state):  # one that is suspended in this very moment does keep others from writing
        first.send(signal.SIGCONT)
        suspend(first.pid)
    began = time.monotonic()
    second = plain.call("start", "-d", *plain.flags, timeout=60)
    seconds = time.monotonic() - began
    first.send(signal.SIGCONT)

    assert second.status == 0, second.shown()
    assert seconds < 3 * PATIENCE  # and not for each of them
    assert first.finish() == 0

    def none_twice():
        assert len([one for one in plain.left() if background.SUPERVISOR in one.command]) == 4

    procs.eventually(none_twice)  # one that found its service running may be about to end
