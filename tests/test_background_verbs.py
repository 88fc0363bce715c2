"""The verbs for services wherever they run: what each makes of its words, and what it prints."""

import json
import os
import pty
import subprocess
import sys
import termios
from typing import NamedTuple

import pytest

import devport
from devport.cli import main
from devport.commands import logs
from devport.commands.listing import command, duration
from devport.context import Context
from devport.encoding import decode
from devport.registry.holder import this_process
from devport.registry.identity import hash_of_entry
from devport.registry.locks import Lock
from devport.registry.record import Record, from_json, to_json
from devport.registry.store import Store

VERBS = ("stop", "restart", "rm", "which", "signal", "logs", "wait")
CANARY = "s3cr3t-c4n4ry"
NOPE = "devport: cannot find service nope: nothing has that name, key, hash or port"


class Result(NamedTuple):
    """What one command line ended with, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path):
    """A project's folder."""
    path = tmp_path / "shop"
    path.mkdir()
    (path / "Procfile").write_text("web: npm run dev\nworker: rake\n")
    return path


@pytest.fixture
def state(tmp_path):
    """The state folder."""
    return str(tmp_path / "state")


@pytest.fixture
def store(state):
    """The store in it."""
    made = Store(state)
    made.prepare()
    return made


@pytest.fixture
def call(tmp_path, folder, state):
    """Call main() in the project's folder; keywords are the environment."""

    def call_main(*argv, cwd=None, stdout=None, **environ):
        with (
            open(os.devnull, "rb") as input_,
            open(tmp_path / "out", "w+b") as out,
            open(tmp_path / "err", "w+b") as err,
        ):
            descriptor = out.fileno() if stdout is None else stdout
            environ = {"HOME": str(tmp_path), **environ}
            context = Context(environ, str(cwd or folder), state, input_.fileno(), descriptor, err.fileno())
            status = main(list(argv), context)
            out.seek(0)
            err.seek(0)
            return Result(status, decode(out.read()), decode(err.read()))

    return call_main


@pytest.fixture
def service(store, folder):
    """Store the record of an entry of the project, or (with `entry=""`) of a command."""

    def make(name="web", **overrides):
        values = {
            "name": name,
            "entry": name,
            "project": str(folder),
            "cwd": str(folder),
            "cmd": ("/bin/sh", "-c", "npm run dev"),
            "env": (f"SECRET={CANARY}",),
            "port": 19000,
            **overrides,
        }
        hash_ = hash_of_entry(str(values["project"]), name)
        record = Record(hash_, hash_[:4], **values)
        store.write([record])
        return record

    return make


@pytest.fixture
def running(store, tmp_path):
    """Hold the lock of a record as a background supervisor without a control socket."""
    locks = []

    def hold(record, mode="background"):
        context = Context({}, str(tmp_path), "")
        lock = Lock.acquire(store.lock_path(record.hash), this_process(context, mode, record.label))
        assert isinstance(lock, Lock)
        locks.append(lock)

    yield hold
    for lock in locks:
        lock.release()


# targets


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_target(call, service, verb):
    """Status 3, the candidates in the message, and nothing done to the other targets."""
    service("web")

    assert call(verb, "web", "nope") == Result(3, "", f"{NOPE}; there is web\n")


@pytest.mark.parametrize("verb", VERBS)
def test_nearly_right_target(call, service, verb):
    """The nearest name is offered instead of all."""
    service("web")

    assert call(verb, "wbe").err == f"{NOPE.replace('nope', 'wbe')} (did you mean web?)\n"


def test_many_candidates(call, service, tmp_path):
    """Ten of this project and a number; what others have is for `ls`."""
    for number in range(12):
        service(f"web{number:02}")
    service("api", project=str(tmp_path / "other"))

    result = call("stop", "nope")

    assert result.err.endswith(
        "there is web00, "
        + ", ".join(f"web{number:02}" for number in range(1, 10))
        + " and 2 more; devport ls lists the others\n"
    )


def test_no_candidates(call, service, tmp_path):
    """Where this project has none, `ls` says what there is."""
    service("api", project=str(tmp_path / "other"))

    assert call("stop", "nope").err.endswith("; devport ls lists what there is\n")


@pytest.mark.parametrize("verb", ["stop", "restart", "rm", "which", "signal"])
def test_verbs_that_need_a_target(call, verb):
    """Nothing is meant where nothing is said: status 2 and the usage."""
    result = call(verb)

    assert result.status == 2
    assert result.err.startswith(f"devport: cannot {verb}: no TARGET given\nusage: devport {verb} ")


@pytest.mark.parametrize("target", ["web", "web.1", "shop-web", "HASHID", "HASH", "19007"])
def test_every_way_to_name_a_service(call, service, target):
    """Entry, instance, key, hashid, hash, port."""
    web = service("web", key="shop-web", port=19007)
    word = {"HASHID": web.hashid, "HASH": web.hash}.get(target, target)

    assert json.loads(call("which", word).out)["hash"] == web.hash


def test_one_service_named_twice(call, service):
    """It is stopped once."""
    web = service("web")

    assert call("stop", "web", web.hash) == Result(0, "web is not running\n", "")


def test_entry_that_was_never_started(call):
    """It has no record and does not run: already so for `stop`, unknown to `rm`."""
    assert call("stop", "web", "worker.2") == Result(0, "web is not running\nworker.2 is not running\n", "")
    assert call("rm", "web").status == 3
    assert call("restart", "web").err.startswith(
        "devport: cannot restart web: it never ran in the background"
    )
    assert call("stop", "--root", "..", "web").status == 3


def test_services_of_the_same_name(call, service, tmp_path, folder):
    """Two checkouts of one project: lines and prefixes tell them apart."""
    other = str(tmp_path / "other")
    web, twin = service("web"), service("web", project=other, port=19001)

    result = call("stop", "web", twin.hash)

    assert result.out == f"web in {folder} is not running\nweb in {other} is not running\n"
    assert call("stop", web.hash, cwd=tmp_path).out == "web is not running\n"


@pytest.mark.parametrize("verb", ["logs", "wait", "down"])
def test_no_target_and_no_project(call, service, tmp_path, verb):
    """All of this project, where there is none: status 3 and a way out."""
    service("web")
    (tmp_path / "elsewhere").mkdir()
    result = call(verb, cwd=tmp_path / "elsewhere")

    assert result.status == 3
    assert result.err.startswith("devport: cannot find a project: ")


@pytest.mark.parametrize("verb", ["ls", "which", "stop"])
def test_named_project_must_be_there(call, verb):
    """--root that leads nowhere is an error, not no project."""
    result = call(verb, "--root", "/nonexistent", *(["web"] if verb != "ls" else []))

    assert result == Result(2, "", "devport: cannot use --root /nonexistent: No such file or directory\n")


@pytest.mark.parametrize("option", [("-f", "shop/Procfile"), ("--root", "shop"), ("--file=shop/Procfile",)])
def test_project_of_another_folder(call, service, tmp_path, option):
    """-f and --root say whose entries the targets are, in front of the verb and behind it."""
    web = service("web")

    for argv in ([*option, "which", "web"], ["which", *option, "web"]):
        assert json.loads(call(*argv, cwd=tmp_path).out)["hash"] == web.hash


# ls


def test_ls_without_services(call, state):
    """An empty array, and no folder is made for it."""
    assert call("ls") == Result(0, "[]\n", "")
    assert not os.path.exists(state)


def test_ls_is_a_json_array_for_programs(call, service, running):
    """Every service, this project's first, in the seed's fields; no environment."""
    service("api", project="/a/first", port=19001)
    running(service("web"))
    service("worker", port=None)

    result = call("ls")
    found = json.loads(result.out)

    assert [one["name"] for one in found] == ["web", "worker", "api"]
    assert [one["status"] for one in found] == ["running", "stopped", "stopped"]
    assert [one["port"] for one in found] == [19000, None, 19001]
    assert list(found[0])[:4] == ["hash", "hashid", "key", "status"]
    assert CANARY not in result.out
    assert result.err == ""


def test_ls_selects(call, service, running, tmp_path):
    """--active: what runs; --here: this project."""
    running(service("web"))
    service("worker")
    running(service("api", project="/other"))

    def names(*options):
        return [one["name"] for one in json.loads(call("ls", *options).out)]

    assert names("--active") == ["web", "api"]
    assert names("-a", "--here") == ["web"]
    assert names("--here", "--json") == ["web", "worker"]
    assert call("ls", "--here", cwd="/").status == 3


def test_ls_shows_damaged_records(call, service, store):
    """As corrupt, with a warning and the port that can still be read; the status stays 0."""
    web = service("web", port=19003)
    with open(store.path(web.hash), "r+b") as file:
        file.truncate(150)

    result = call("ls")
    [found] = json.loads(result.out)

    assert (found["hash"], found["status"], found["port"]) == (web.hash, "corrupt", 19003)
    assert found["error"] == f"cannot read record {store.path(web.hash)}: line 9: it is not valid JSON"
    assert result.err == f"devport: warning: {found['error']}\n"
    assert result.status == 0


def test_damaged_record_can_be_removed(call, service, store):
    """By its hash or its port."""
    web = service("web", port=19003)
    with open(store.path(web.hash), "r+b") as file:
        file.truncate(150)

    assert call("which", "19003").status == 0
    assert call("restart", "19003").status == 1
    assert call("rm", web.hash[:5]).out == f"{web.hash} removed, port 19003 is free\n"
    assert call("ls") == Result(0, "[]\n", "")


def test_ls_shows_a_newer_devports_record(call, service, store):
    """Not understood, not touched, not hidden."""
    web = service("web")
    with open(store.path(web.hash), "r+b") as file:
        text = file.read().replace(b'"schema": 1', b'"schema": 9')
        file.seek(0)
        file.write(text)

    result = call("ls")

    assert json.loads(result.out)[0]["status"] == "corrupt"
    assert "a newer version of devport wrote it" in result.err


def test_ls_on_a_terminal(call, service, running, tmp_path):
    """An aligned table as wide as the window, coloured unless NO_COLOR says otherwise."""
    running(service("web", cmd=("/bin/sh", "-c", "npm run dev -- --a-very-long-option")))
    service("worker", port=19001, state="failed", cmd=("rake", "\x1b]0;pwned\x07"))
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    try:
        assert call("ls", stdout=terminal, NO_COLOR="1") == Result(0, "", "")
        title, web, worker = decode(os.read(screen, 65536)).splitlines()
        assert call("ls", stdout=terminal, TERM="xterm").status == 0
        coloured = decode(os.read(screen, 65536))
        assert call("ls", "--json", stdout=terminal).status == 0
        assert json.loads(os.read(screen, 65536))[0]["name"] == "web"
        assert (
            call("rm", "worker").status == call("ls", "--active", "--here", cwd=tmp_path / "shop").status == 0
        )
    finally:
        os.close(screen)
        os.close(terminal)

    columns = ["NAME", "PROJECT", "STATUS", "PORT", "UPTIME", "RESTARTS", "CPU", "MEMORY", "COMMAND"]
    assert title.split() == columns
    assert web.split()[:4] == ["web", "~/shop", "running", "19000"]
    assert web.endswith("…")
    assert worker.split()[:4] == ["worker", "~/shop", "failed", "19001"]
    assert max(map(len, (title, web, worker))) <= 80
    assert "\x1b[32mrunning\x1b[0m" in coloured
    assert "\x1b[31mfailed\x1b[0m" in coloured
    assert "\x1b]" not in coloured


def test_ls_in_a_narrow_window_keeps_the_reason(call, service):
    """Of all columns, why something does not run is what was asked for."""
    service("web", state="failed", cmd=("npm", "run"), error="ready: connection refused")
    for width in (80, 60):
        screen, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (24, width))
        assert call("ls", stdout=terminal, NO_COLOR="1").status == 0
        title, web = decode(os.read(screen, 65536)).splitlines()
        os.close(screen)
        os.close(terminal)

        assert "failed: ready: connection refused" in web
        assert max(len(title), len(web)) <= width


def test_ls_on_a_terminal_without_services(call):
    """A sentence instead of an empty table."""
    screen, terminal = pty.openpty()
    try:
        assert call("ls", stdout=terminal) == Result(0, "", "devport: no services\n")
        assert call("ls", "--active", stdout=terminal) == Result(0, "", "devport: no services run\n")
    finally:
        os.close(screen)
        os.close(terminal)


def test_ls_loads_nothing_for_what_is_stopped(service, state, folder):
    """No psutil, no sockets, no colours: stopped services cost their record each."""
    service("web")
    program = "import sys; from devport.cli import main; main(['ls']); print(*sys.modules, file=sys.stderr)"
    path = os.pathsep.join([os.path.dirname(os.path.dirname(devport.__file__)), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": path, "DEVPORT_HOME": state, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    heavy = {"psutil", "socket", "subprocess", "threading", "colorama", "yaml", "dotenv", "devport.remote"}
    assert json.loads(done.stdout)[0]["name"] == "web"
    assert not heavy & {*done.stderr.split()}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h 00m"), (90061, "1d 01h")],
)
def test_duration(seconds, text):
    """Two units at most."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [(("/bin/sh", "-c", "a b"), "a b"), (("bash", "-c", "x"), "x"), (("npm", "run"), "npm run"), ((), "")],
)
def test_command(words, text):
    """A shell's script is what was written into the file."""
    assert command(words) == text


# which


def test_which(call, service):
    """One is an object, several are an array; no environment."""
    web, worker = service("web"), service("worker")

    one, two = call("which", "web"), call("which", "web", "worker")

    assert json.loads(one.out)["hash"] == web.hash
    assert json.loads(one.out)["restart"]["on"] == "on_failure"
    assert [found["hash"] for found in json.loads(two.out)] == [web.hash, worker.hash]
    assert CANARY not in one.out + two.out


# stop, restart, rm, signal, down


def test_json_of_what_was_done(call, service, running):
    """An array, an object a target; an error is on stderr as well."""
    web = service("web")
    running(service("worker"), mode="run")

    result = call("rm", "--json", "web", "worker")

    assert [(one["name"], one["result"]) for one in json.loads(result.out)] == [
        ("web", "removed, port 19000 is free"),
        ("worker", None),
    ]
    assert json.loads(result.out)[1]["error"].startswith("cannot remove worker: it runs in a terminal")
    assert result.err == f"devport: {json.loads(result.out)[1]['error']}\n"
    assert result.status == 1
    assert json.loads(result.out)[0]["hash"] == web.hash


@pytest.mark.parametrize("text", ["FOO", "0", "65", "999", "SIG_IGN", "", "-1", "HUP TERM"])
def test_signals_that_are_none(call, service, text):
    """Status 2, before anything is looked up."""
    result = call("signal", "-s", text, "nope")

    assert result.status == 2
    assert result.err.startswith(
        f'devport: cannot signal: --signal wants a signal such as USR1 or 10, not "{text}"'
    )


@pytest.mark.parametrize("text", ["USR1", "usr1", "SIGUSR1", "10"])
def test_signals_by_name_and_number(call, service, text):
    """All of them are one signal."""
    service("web")

    assert call("signal", "-s", text, "web") == Result(
        1, "", "devport: cannot signal web: it is not running\n"
    )


def test_down_with_nothing_to_stop(call, service):
    """Already so: status 0."""
    service("web")

    assert call("down") == Result(0, "", "devport: nothing of this project is running\n")
    assert call("down", "--json").out == "[]\n"


# wait


def test_wait_for_a_project_that_has_run(call, service):
    """What ended well is settled, what failed for good is named; neither is missing without a target."""
    service("web", state="exited")
    service("worker", state="stopped")
    service("gone", state="failed", error="exited with status 3")  # an entry that the file has no more

    assert call("wait", "--timeout", "0.01") == Result(0, "web has completed\n", "")
    service("worker", state="failed", error="exited with status 3")
    assert call("wait", "--timeout", "0.01") == Result(
        1, "web has completed\n", "devport: cannot wait for worker: it failed: exited with status 3\n"
    )


def test_wait_for_a_project_that_does_not_run(call, service):
    """It really times out."""
    service("web")

    assert call("wait", "--timeout", "0.01") == Result(
        124, "", "devport: cannot wait: nothing of this project has begun to run in 0.01 s\n"
    )
    assert call("wait", "-t", "0", "web").err == (
        "devport: cannot wait for web: it is not ready in time: it does not run\n"
    )


# logs


def write_log(store, record, text):
    with open(store.log_path(record.hash), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def test_logs_of_one_service(call, service, store):
    """The last lines, plain for a pipe."""
    web = service("web")
    write_log(store, web, "".join(f"\x1b[32mline {n}\x1b[0m\r\n" for n in range(200)))

    assert call("logs", "-n", "2", "web") == Result(0, "line 198\nline 199\n", "")
    assert call("logs", "web").out.count("\n") == logs.LINES
    assert call("logs", "-n0", "web").out == ""


def test_logs_of_the_project(call, service, store):
    """Each service's lines behind its name; one that never printed shows nothing."""
    write_log(store, service("web"), "hello\n")
    write_log(store, service("worker"), "hi\n")
    service("silent")
    write_log(store, service("other", project="/other"), "no\n")

    assert call("logs") == Result(0, "web    | hello\nworker | hi\n", "")


def test_logs_as_json(call, service, store):
    """An object a line."""
    write_log(store, service("web"), "a\nb")

    assert [json.loads(line)["line"] for line in call("logs", "--json", "web").out.splitlines()] == ["a", "b"]


def test_logs_coloured_for_a_pipe(call, service, store):
    """On demand the prefixes are; what the services print is plain all the same."""
    write_log(store, service("web"), "\x1b[1ma\x1b[0m\n")
    write_log(store, service("worker"), "b\n")

    assert call("logs", "--color", "always").out == "\x1b[36mweb    | \x1b[0ma\n\x1b[33mworker | \x1b[0mb\n"


@pytest.mark.parametrize("text", ["x", "-1", "1.5", ""])
def test_lines_that_are_no_number(call, text):
    """Status 2."""
    assert call("logs", f"--lines={text}").err.startswith(
        f'devport: cannot logs: --lines wants a number, not "{text}"\nusage: '
    )


def test_logs_follows_in_front_of_nothing_else(call):
    """-f is --follow behind the verb; in front of it, it would be `start`'s, and is refused."""
    assert call("-f", "Procfile", "logs", "web").err.startswith(
        "devport: cannot logs: -f means another option in front of logs: write the long one\n"
    )


# port and env of services elsewhere


def test_port_of_a_service_elsewhere(call, service, tmp_path):
    """By key, hash or port from anywhere; entries of this project come first."""
    web = service("web", key="shop", port=19007, ports={"admin": 19008, "http": 19007})

    assert call("port", "shop", cwd="/") == Result(0, "19007\n", "")
    assert call("port", f"{web.hash}:admin", cwd="/") == Result(0, "19008\n", "")
    assert call("port", "nope", cwd="/").err.startswith("devport: cannot find a project: ")
    assert call("port", "nope").status == 3


def test_env_of_a_service_elsewhere(call, service):
    """What it was registered with, its port included; one that never ran in the background has none."""
    service("web", key="shop", port=19007)
    service("api", key="other", env=())

    shown = json.loads(call("env", "--json", "shop", cwd="/").out)

    assert (shown["SECRET"], shown["PORT"]) == (CANARY, "19007")
    assert call("env", "other", cwd="/").err == (
        "devport: cannot tell the environment of api: it never ran in the background\n"
    )


def test_records_are_not_changed_by_looking(call, service, store):
    """`ls`, `which`, `logs` and a stop of what does not run write nothing."""
    web = service("web")
    with open(store.path(web.hash), "rb") as file:
        before = file.read()

    for argv in (["ls"], ["which", "web"], ["logs"], ["stop", "web"], ["down"]):
        call(*argv)

    with open(store.path(web.hash), "rb") as file:
        assert file.read() == before == to_json(from_json(before, store.path(web.hash)))
    assert os.listdir(store.locks) == []
