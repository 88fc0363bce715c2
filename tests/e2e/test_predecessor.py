"""The 80 defects of hayeah/devport (reliability.md, section 3): none of them is inherited.

A test here is named after the defect. The others are held by another test, or cannot arise:

G02 G09 G12 one reaper, in the loop, which peeks before it reaps: no second waiter, no getpgid of a reaped pid
(test_faults.py, F06 and F08)
G03 test_supervisor.py: test_end_during_backoff, test_restart_during_backoff
G04 test_supervisor.py: test_no_signal_hides_an_end
G05 test_supervisor.py: test_tmux_goes_away
G06 test_supervisor.py: test_kill_9, test_kill_9_while_it_starts
G08 test_supervisor.py: test_leftovers_of_a_crash_are_ended_first
G10 test_supervisor.py: test_end_in_the_first_milliseconds, test_int_and_term_end_it[SIGQUIT]
G11 test_supervisor.py: test_failed_respawn_is_tried_again
G13 G14 nothing dials a port: without a probe a spawned service is ready, and every error is the lifecycle's
G17 test_supervisor.py: test_typing_reaches_the_service, test_debugger_prompt, test_window_size_follows
G19 test_supervisor.py: test_second_wish_to_end_kills_at_once
G20 nothing captures a pane: errors are the lifecycle's own words
G22 what `start` says of a failure names the program, never its words (test_g22 below)
G23 test_log.py: test_log_after_the_window_is_gone
G24 test_store.py (whole files, fsync, replace), test_registry_e2e.py: test_damaged_record
G26 one thread, one writer: Store.update under the record's lock (test_registry_concurrency.py)
G27 test_background_must_hold.py: test_remove_and_start
G29 no program is asked for a pid: the holder is named in its lock file, and believed with its start time
G30 test_background_must_hold.py: test_thirty_starts_of_one; test_start_detached.py: test_two_starts_at_once
G31 test_background_must_hold.py: test_lookers_hinder_nobody
G33 test_locks.py: the register lock has a deadline, and names who has it
G35 test_locks.py: looking creates nothing (test_g35 below for the whole command)
G36 test_record.py: a record about another hash than its file's name is damaged
G39 test_start_detached.py: test_sessions_of_a_similar_name
G40 test_background_must_hold.py: test_fifty_starts_of_different_ones[tmux]
G41 G42 test_start_detached.py: test_words_arrive_in_a_window; tmux is never given `-c` or `-e` (test_tmux.py)
G43 G44 test_start_detached.py: test_environment_is_the_callers, test_large_commands_and_environments
G45 test_background_must_hold.py: test_each_name_is_hit_exactly, test_keys_that_are_refused
G46 test_supervisor.py: test_hostile_configuration; test_start_detached.py: test_from_inside_another_tmux
G48 test_attach.py: fzf where it is installed, else a numbered prompt
G49 test_start_detached.py: test_cannot_run
G50 test_start_detached.py: test_another_command_while_it_runs, test_another_command_takes_the_key_over
G51 G52 test_background_must_hold.py: test_environment_of_a_restart
G53 test_start_detached.py: test_folder_is_gone
G54 test_start_detached.py: test_no_port
G59 G60 test_identity.py: the order of targets, a frozen hashid wins (here for the whole command)
G61 test_registry_e2e.py: test_taken_ports_are_passed_over; test_start_detached.py: test_port_of_a_stranger
G62 test_register.py: a reclaimed record goes; only when the pool is exhausted
G63 test_supervisor.py: test_record_tells_what_runs
G66 test_start_detached.py: test_list_form (relative paths are the file's, whoever calls)
G67 G68 test_config.py, test_load.py: words as a shell splits them; empty, unknown, doubled keys are errors
G69 python-dotenv replaces `${NAME}` only where it is written so (test_dotenv.py; test_start_detached.py:
test_all_options)
G70 these tests
G71 test_background_must_hold.py: test_modes
G72 test_start_detached.py: test_prints_its_record
G74 to G80 concern Tailscale: its own tests (G74: test_g74 below holds that no key is in a record)
"""

import json
import os
import pathlib
import re
import signal
import sys
import time

import pytest
from support import background, procs
from support.background import argv, python, shell, variables
from support.procs import eventually
from support.running import need

machine, windowed, plain = background.machine, background.windowed, background.plain


def test_g01_no_exit_is_missed(plain):
    """The exit of a service that ends at once is noticed every time, each time it is started again."""
    plain.call("start", "--no-tmux", "--key", "web", "--", "false")
    plain.do("stop", "web")
    hash_ = plain.row("web")["hash"]
    quick = {**plain.record(hash_)["restart"], "delay": 0.001, "max_delay": 0.001, "max": 60}
    plain.rewrite(hash_, restart=quick)
    plain.call("restart", "web")
    record = plain.reached(hash_, "failed", 60)

    assert record["error"] == "exited with status 1; given up after 60 restarts"
    plain.ended(hash_)
    assert plain.row("web")["status"] == "stopped"


def test_g07_grandchild_that_ignores_term(machine):
    """What is left when the leader has obeyed gets the grace, then SIGKILL; stop returns when it is gone."""
    row = machine.start("web", argv("forker", "group", "stubborn"), "-t", "0.5")
    daemon = int(machine.logged(row["hash"], rb"ready (\d+)\s")[1])
    machine.do("stop", "web")

    assert not procs.is_alive(daemon)


def test_g15_errors_are_cleared(plain):
    """An error of the last life is gone with the next, of a service without a port too."""
    gate, fault = plain.project / "gate", plain.project / "fault"
    script = 'test -e "$1" && exec sleep 1000; until test -e "$2"; do sleep 0.02; done; exit 3'
    row = plain.start("web", shell(script, gate, fault), *("--no-port", "--restart", "never"))
    fault.touch()  # earlier it would be a failed start
    plain.ended(row["hash"])
    assert plain.row("web")["error"] == "exited with status 3"
    gate.touch()
    row = plain.start("web", shell('test -e "$1" && exec sleep 1000; exit 3', gate), "--no-port")

    assert (row["error"], plain.row("web")["error"]) == (None, None)
    assert plain.reached(row["hash"], "ready")["error"] == ""


def test_g16_words_of_a_shell_stay(plain):
    """One-liners of awk and sh are what they were; a secret is expanded only where it was asked for."""
    row = plain.start(
        "web",
        [
            "/bin/sh",
            "-c",
            'echo "[$1] [$#] [$@]"; echo $$ | awk \'{print "pid", $1}\'; exec sleep 1000',
            "sh",
            "a",
            "b",
        ],
    )

    plain.logged(row["hash"], rb"\[a\] \[2\] \[a b\]\r\n")
    plain.logged(row["hash"], f"pid {row['pid']}\r\n".encode())


def test_g18_an_end_with_status_0(machine):
    """It is an end: not started again, `stopped` in `ls`, its state `exited`."""
    row = machine.start("web", ["true"])
    machine.ended(row["hash"])
    machine.reached(row["hash"], "exited")
    now = machine.row("web")

    assert (now["status"], now["state"], now["error"]) == ("stopped", "exited", None)


def test_g21_control_bytes_reach_nobody(plain):
    """A command or an error full of escape sequences does no harm to the terminal of whoever runs `ls`."""
    evil = "/no/\x1b]0;pwned\x07\x1b[2J\x9b31m\x90x\x9c\r/program"
    done = plain.call("start", "--no-tmux", "--key", "web", "--", evil)
    running = plain.devport.spawn([background.sys.executable, "-m", "devport", "ls"], terminal=(200, 30))
    assert running.finish() == 0

    assert done.status == 1
    for text in (done.errors, re.sub(rb"\x1b\[[0-9;]*m", b"", running.output)):
        assert re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]", text) is None, text
    assert json.loads(done.output)["cmd"] == [evil]


def test_g22_errors_do_not_show_words(plain):
    """Why a start failed names the program, not the words, in which a secret may have been expanded."""
    done = plain.call(
        "start", "--no-tmux", "--key", "web", "--", "./missing", "--token=$SECRET", env={"SECRET": "hunter2"}
    )

    assert done.status == 1
    assert b"hunter2" not in done.errors + done.output
    assert b"hunter2" not in plain.log(plain.row("web")["hash"])


def test_g25_heartbeat_reverts_nothing(plain):
    """A field that another process has changed meanwhile stays, whatever the supervisor notes afterwards."""
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")
    plain.reached(row["hash"], "ready")
    plain.rewrite(row["hash"], tailnet=True, description="mine", unknown={"kept": 1})
    plain.do("restart", "web")

    def check():
        record = plain.record(row["hash"])
        assert record["run"]["restarts"] == 1
        return record

    record = eventually(check)
    assert (record["tailnet"], record["description"], record["unknown"]) == (True, "mine", {"kept": 1})
    plain.rewrite(row["hash"], tailnet=False)


def test_g27_rm_waits(machine):
    """`rm` returns when the service is gone and its port free; its record does not come back."""
    row = machine.start("web", argv("listener"))
    machine.logged(row["hash"], rb"ready")
    machine.do("rm", "web")

    assert procs.is_free(row["port"])
    assert not procs.is_alive(row["pid"])
    machine.nothing_left()
    assert os.listdir(machine.state / "services") == []


def test_g28_nobody_else_is_signalled(plain):
    """Without lsof, fuser and ps, and while a stranger has the lock file open, `stop` hits the supervisor."""
    empty = plain.devport.write("bin/none", "").parent
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")
    lock = plain.state / "locks" / f"{row['hash']}.lock"
    reader = plain.devport.spawn(
        python("import sys, time; f = open(sys.argv[1]); print('open', flush=True); time.sleep(1000)", lock)
    )
    reader.expect(rb"open")
    assert plain.do("stop", "web", env={"PATH": str(empty)}) == "web stopped\n"

    assert reader.popen.poll() is None
    reader.stop(signal.SIGKILL)


def test_g28_a_pid_without_its_start_is_nobody(plain):
    """A lock file that names another process, or nonsense, never has that one signalled."""
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")
    victim = plain.devport.spawn(["sleep", "1000"])
    lock = plain.state / "locks" / f"{row['hash']}.lock"
    genuine = json.loads(lock.read_bytes())
    for text in (
        json.dumps({**genuine, "pid": victim.pid}),
        json.dumps({**genuine, "pid": 1}),
        "",
        "nonsense",
        "{}",
    ):
        with open(lock, "r+b") as file:
            file.truncate(0)
            file.write(text.encode() + b"\n")
        assert plain.row("web")["status"] == "running"
        plain.call("signal", "web")
        assert victim.popen.poll() is None
    with open(lock, "r+b") as file:
        file.truncate(0)
        file.write(json.dumps(genuine).encode() + b"\n")

    assert plain.do("stop", "web") == "web stopped\n"
    assert victim.popen.poll() is None
    victim.stop(signal.SIGKILL)


def test_g32_a_lock_without_a_name(plain):
    """A lock that is held and says nothing yet means that it runs: never a second life."""
    command = argv("signals")
    row = plain.start("web", command)
    plain.do("stop", "web")
    lock = plain.state / "locks" / f"{row['hash']}.lock"
    code = (
        "import fcntl, os, sys, time; fd = os.open(sys.argv[1], os.O_RDWR); os.ftruncate(fd, 0);"
        "fcntl.flock(fd, fcntl.LOCK_EX); print('held', flush=True); time.sleep(1000)"
    )
    holder = plain.devport.spawn(python(code, lock))
    holder.expect(rb"held")
    done = plain.call("start", "--no-tmux", "--key", "web", "--", *command)

    assert b"Traceback" not in done.errors
    assert b"already running" in done.errors
    assert plain.left() == [one for one in plain.left() if one.pid == holder.pid]
    holder.stop(signal.SIGKILL)
    assert plain.start("web", command)["status"] == "running"


def test_g34_ports_of_what_never_ran(plain):
    """A start that failed keeps the port for the next one of the same name, and `rm` frees it."""
    assert plain.call("start", "--no-tmux", "--key", "web", "--", "/no/such").status == 1
    port = plain.row("web")["port"]
    plain.do("stop", "web")
    row = plain.start("web", argv("listener"))

    assert row["port"] == port
    plain.do("rm", "web")
    assert plain.start("other", argv("listener"))["port"] == port


def test_g35_listing_creates_nothing(plain):
    """`ls`, `which` and `logs` on a machine without any state make no file and no folder."""
    plain.json("ls")
    assert plain.call("which", "web").status == 3
    assert not plain.state.exists()


def test_g35_listing_on_a_read_only_disk(plain):
    """What nobody may write to can be listed all the same."""
    row = plain.start("web", argv("signals"))
    plain.do("stop", "web")
    before = {path: path.stat().st_mtime_ns for path in sorted(plain.state.rglob("*"))}
    assert plain.row("web")["status"] == "stopped"
    plain.json("which", row["hashid"])
    plain.do("logs", "web")

    assert {path: path.stat().st_mtime_ns for path in sorted(plain.state.rglob("*"))} == before


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"DEVPORT_HOME": None, "XDG_DATA_HOME": "{home}/data"}, "data/devport"),
        ({"DEVPORT_HOME": None, "XDG_DATA_HOME": None}, ".local/share/devport"),
        ({"DEVPORT_HOME": None, "XDG_DATA_HOME": "relative"}, ".local/share/devport"),
    ],
)
def test_g37_where_the_state_is(plain, variables, folder):
    """DEVPORT_HOME, XDG_DATA_HOME, HOME, in this order; a folder that was open to others is made private."""
    home = plain.devport.home
    for name, value in variables.items():
        if value is None:
            plain.environ.pop(name, None)
        else:
            plain.environ[name] = value.format(home=home)
    plain.state = home / folder
    (plain.state / "services").mkdir(parents=True)
    (plain.state / "services").chmod(0o755)
    plain.state.chmod(0o755)
    row = plain.start("web", argv("signals"))
    plain.logged(row["hash"], rb"ready")

    assert plain.state.stat().st_mode & 0o777 == 0o700
    assert (plain.state / "services").stat().st_mode & 0o777 == 0o700
    assert plain.do("stop", "web") == "web stopped\n"


def test_g38_neighbours_windows(windowed):
    """A start, restart, stop or rm of `web` leaves the window of `web-admin`, `we` and `w` alone."""
    rows = {key: windowed.start(key, argv("signals")) for key in ("web-admin", "w", "we", "web")}
    windowed.do("restart", "web")
    windowed.do("stop", "web")
    windowed.start("web", argv("signals"))
    windowed.do("rm", "web")
    windowed.closed("web")
    now = windowed.ls()

    assert {key: row["pid"] for key, row in now.items()} == {key: rows[key]["pid"] for key in now}
    assert sorted(windowed.opened()) == ["w", "we", "web-admin"]


def test_g47_devport_is_rebuilt(plain):
    """A devport that was replaced since: stop and restart work, what runs goes on (F96)."""
    copy = plain.project / "copy"
    copy.mkdir()
    (copy / "devport").symlink_to(pathlib.Path(__import__("devport").__file__).parent)
    program = (
        "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from devport.cli import main; sys.exit(main())",
    )
    words = ("start", "--no-tmux", "--key", "web", "--", *argv("signals"))
    done = plain.devport.spawn([sys.executable, *program, str(copy), *words])
    assert done.finish() == 0, done.shown()
    (copy / "devport").unlink()
    hash_ = json.loads(done.output)["hash"]
    plain.logged(hash_, rb"ready")

    assert plain.do("restart", "web") == "web restarted\n"
    plain.logged(hash_, rb"ready", 2)
    assert plain.do("stop", "web") == "web stopped\n"


def test_g55_signal_restarts_in_place(machine):
    """`signal` without -s is HUP to the supervisor: another life; with -s the service's processes get it."""
    row = machine.start("web", argv("signals"))
    machine.logged(row["hash"], rb"ready")
    assert machine.do("signal", "web") == "web restarts\n"
    machine.logged(row["hash"], rb"ready", 2)
    for number in ("10", "USR2", "SIGWINCH"):
        machine.do("signal", "-s", number, "web")
    for name in (b"USR1", b"USR2", b"WINCH"):
        machine.logged(row["hash"], b"got SIG" + name)
    now = machine.row("web")

    assert (now["supervisor"], now["restarts"], now["error"]) == (row["supervisor"], 1, None)


def test_g56_restart_waits_as_long_as_it_takes(plain):
    """Grace and all: a restart of a stubborn service succeeds, in place."""
    row = plain.start("web", argv("stubborn"), "-t", "1.2")
    plain.logged(row["hash"], rb"ready")
    began = time.monotonic()
    assert plain.do("restart", "web") == "web restarted\n"

    assert time.monotonic() - began > 1.1
    plain.logged(row["hash"], rb"ready", 2)
    plain.do("stop", "web")


def test_g57_stop_returns_when_it_is_gone(machine):
    """Lock free, port free, processes gone: an immediate start is no conflict; ten times."""
    command = argv("listener")
    for _ in range(5):
        row = machine.start("web", command)
        assert machine.do("stop", "web") == "web stopped\n"
        assert procs.is_free(row["port"])
        assert not procs.is_alive(row["pid"])
        assert machine.holder(row["hash"]) is None
    assert b"cannot bind" not in machine.log(row["hash"])


def test_g58_run_of_what_runs_already(plain):
    """In the foreground that is an error, not a success: a service manager would believe it."""
    plain.devport.procfile(web="exec sleep 1000")
    row = plain.detach()["web"]
    done = plain.call("run", "web")

    assert done.status != 0
    assert f"pid {row['supervisor']}".encode() in done.errors


def test_g59_a_port_that_is_a_hash_prefix(plain):
    """A number that is one service's port and another's hash is ambiguous: nobody is removed."""
    row = plain.start("web", argv("signals"))
    other = f"{row['port']}abcdef"[:10]
    path = plain.state / "services" / f"{other}.json"
    record = {**plain.record(row["hash"]), "hash": other, "hashid": other[:5], "key": "other", "port": 1024}
    path.write_text(json.dumps({**record, "run": {}, "state": "stopped"}))
    said = plain.refused("rm", str(row["port"]), status=1)

    assert row["hash"] in said
    assert other in said
    assert path.exists()
    assert plain.row("web")["status"] == "running"


def test_g60_a_frozen_hashid(plain):
    """The hashid that was printed keeps meaning its service, whoever comes later with the same beginning."""
    row = plain.start("web", argv("signals"))
    other = row["hashid"] + "fffffff"
    record = {**plain.record(row["hash"]), "hash": other, "hashid": other[:4], "key": "other", "port": 1024}
    (plain.state / "services" / f"{other}.json").write_text(
        json.dumps({**record, "run": {}, "state": "stopped"})
    )

    assert plain.json("which", row["hashid"])["key"] == "web"
    assert plain.do("stop", row["hashid"]) == "web stopped\n"


def test_g64_status(plain):
    """`ls` and `which` tell the same: status is what the lock says, state what the service does."""
    row = plain.start("web", shell("read line; exit 3"))
    assert (row["status"], row["state"]) == ("running", "ready")
    for verb in (("ls",), ("which", "web")):
        told = plain.json(*verb)
        told = told[0] if isinstance(told, list) else told
        assert (told["status"], told["state"], told["error"]) == ("running", "ready", None)


def test_g65_aliases_of_a_folder(plain, tmp_path):
    """A project reached through a link is the same project: nothing is started twice."""
    plain.devport.procfile(web="exec sleep 1000")
    (tmp_path / "alias").symlink_to(plain.project)
    row = plain.detach()["web"]
    again = plain.detach(cwd=tmp_path / "alias", env={"PWD": str(tmp_path / "alias")})["web"]

    assert again["pid"] == row["pid"]


def test_g72_no_environment_is_printed(machine):
    """`start`, `ls`, `which`, `restart`, `stop` and `rm` show none of it."""
    machine.environ["SECRET"] = "hunter2"
    texts = [machine.do("start", *machine.flags, "--key", "web", "--", *argv("signals"))]
    texts += [machine.do(*words) for words in (("ls",), ("which", "web"), ("restart", "--json", "web"))]
    texts += [machine.do(*words) for words in (("stop", "--json", "web"), ("rm", "--json", "web"))]

    assert "hunter2" not in "".join(texts)


def test_g73_errors_hold_no_output(machine):
    """What a crashed service printed is in its log, not in its record's error."""
    row = machine.start("web", shell("echo hun''ter2; read x; exit 3"), "--restart", "never")
    machine.logged(row["hash"], rb"hunter2")
    if machine.windows:
        machine.type(row["window"], "Enter")
    else:
        os.kill(row["pid"], signal.SIGKILL)
    machine.ended(row["hash"])

    assert "hunter2" not in machine.do("ls")
    assert machine.row("web")["error"] in {"exited with status 3", "killed by signal 9"}


def test_g74_the_api_key_goes_nowhere(plain):
    """TAILSCALE_API_KEY is devport's: not the service's, not in the record, not in the log."""
    plain.environ["TAILSCALE_API_KEY"] = "tskey-hunter2"
    row = plain.start("web", variables("TAILSCALE_API_KEY"))
    plain.logged(row["hash"], rb"ready")

    assert b"hunter2" not in plain.log(row["hash"])
    assert "hunter2" not in json.dumps(plain.record(row["hash"]))


def test_restart_of_many(windowed):
    """Several at once, running and not: each in place or anew, none twice (F58)."""
    need("tmux")
    rows = {key: windowed.start(key, argv("listener")) for key in ("a", "b", "c")}
    windowed.do("stop", "b")
    assert sorted(windowed.do("restart", "a", "b", "c").splitlines()) == [
        "a restarted",
        "b started",
        "c restarted",
    ]
    now = windowed.ls()

    assert {key: row["port"] for key, row in now.items()} == {key: row["port"] for key, row in rows.items()}
    assert sorted(windowed.opened()) == ["a", "b", "c"]
