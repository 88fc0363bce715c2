"""Security (S01 to S40): what an untrusted folder may do, what others may, and links."""

import copy
import json
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest
from support import background, procs
from support.background import argv, variables
from support.running import DEVPORT

from devport.project import files

windowed, plain = background.windowed, background.plain

NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

# what an untrusted folder may do

PROGRAMS = (
    "tmux",
    "sh",
    "ps",
    "git",
    "tailscale",
    "sleep",
    "fzf",
    "python",
    "python3",
    "lsof",
    "ss",
    "kill",
    "env",
)


def test_s33_an_env_file_is_for_services_alone(windowed):
    """PATH, LD_PRELOAD, PYTHON*, TMUX* and DEVPORT_* of a `.env` change nothing about devport itself."""
    machine = windowed
    evil, mark = machine.project / "evil", machine.project / "pwned"
    for name in PROGRAMS:
        path = machine.devport.write(f"evil/{name}", f"#!/bin/sh\necho {name} >>{mark}\nexit 1\n")
        path.chmod(0o755)
    machine.devport.write("evil/sitecustomize.py", f"open({str(mark)!r}, 'a').write('python')\n")
    with socket.create_server(("127.0.0.1", 0)) as api:
        smuggled = {
            "PATH": "./evil:" + str(evil),
            "LD_PRELOAD": f"{evil}/evil.so",
            "LD_AUDIT": f"{evil}/evil.so",
            "PYTHONPATH": str(evil),
            "PYTHONHOME": str(evil),
            "PYTHONSTARTUP": f"{evil}/sitecustomize.py",
            "HOME": str(evil),
            "SHELL": f"{evil}/sh",
            "TMUX_TMPDIR": str(evil),
            "TMPDIR": str(evil),
            "TMUX": f"{evil}/tmux,1,0",
            "DEVPORT_TMUX": "evil",
            "DEVPORT_HOME": str(evil / "state"),
            "XDG_DATA_HOME": str(evil),
            "XDG_RUNTIME_DIR": str(evil),
            "DEVPORT_PORT_RANGE": "1-5",
            "DEVPORT_TAILSCALE_API": f"http://127.0.0.1:{api.getsockname()[1]}",
            "SUDO_UID": "1",
            "BASH_ENV": "x",
        }
        machine.devport.write(".env", "".join(f"{name}={value}\n" for name, value in smuggled.items()))
        machine.environ["TAILSCALE_API_KEY"] = "tskey"
        machine.devport.procfile(web=shlex.join(["exec", *variables("PATH", "DEVPORT_HOME")]))
        for words in (
            ["check"],
            ["ls"],
            ["port", "web"],
            ["env", "web"],
            ["schema"],
            ["logs"],
            ["export", "tmux"],
        ):
            machine.call(*words)
        row = machine.detach()["web"]
        machine.logged(row["hash"], rb"\[\./evil:")
        pids = [machine.supervisor(row["hash"]), machine.guardian(row["hash"])]
        told = b"\0".join(pathlib.Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
        for words in (
            ["which", "web"],
            ["wait", "web"],
            ["restart", "web"],
            ["signal", "USR1", "web"],
            ["tailup", "web"],
        ):
            machine.call(*words)
        machine.do("stop", "web")
        machine.call("attach", "web")
        machine.do("rm", "web")
        api.setblocking(False)
        with pytest.raises(BlockingIOError):
            api.accept()

    assert not mark.exists(), mark.read_text()
    assert str(evil).encode() not in told
    assert row["port"] in machine.devport.ports
    assert sorted(path.name for path in evil.iterdir()) == sorted([*PROGRAMS, "sitecustomize.py"])


@pytest.mark.parametrize("manager", ["overmind", "hivemind", "honcho"])
def test_s33_an_env_file_is_not_for_the_manager(devport, manager):
    """`start --manager`: its services get all of a `.env`, and itself nothing of it that steers a program."""
    names = ("PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "PYTHONPATH", "TMUX_TMPDIR", "HOME", "BASH_ENV")
    out, lines = devport.folder / "out", devport.folder / "lines"
    copy_it = f'for word; do case $word in */Procfile) /bin/cp "$word" {lines};; esac; done'
    script = f"#!/bin/sh\n/usr/bin/env >{out}\n{copy_it}\n"
    folder = devport.folder / "bin"
    folder.mkdir()
    devport.write(manager, script, folder).chmod(0o755)
    devport.environ["PATH"] = f"{folder}:{devport.environ['PATH']}"
    devport.write(".env", "".join(f"{name}=/evil\n" for name in (*names, "OVERMIND_SHELL", "MINE")))
    devport.procfile(web="/usr/bin/env")
    done = devport.call("start", "--manager", manager)
    [line] = [line for line in lines.read_text().splitlines() if line.startswith("web:")]
    given = {line.partition("=")[0] for line in out.read_text().splitlines() if "/evil" in line}

    assert done.status == 0, done.shown()
    assert given <= {"MINE"}
    told = subprocess.run(
        ["/bin/sh", "-c", line.removeprefix("web: ")],
        capture_output=True,
        text=True,
        check=True,
        env={"MINE": "/evil"},
    )

    assert {f"{name}=/evil" for name in names} <= {*told.stdout.splitlines()}


OWN_ENV_FILES = {
    "process-compose": "PC_DISABLE_DOTENV",
    "overmind": "OVERMIND_SKIP_ENV",
    "hivemind": "HIVEMIND_SKIP_ENV",
}


@pytest.mark.parametrize("manager", OWN_ENV_FILES)
def test_s33_no_manager_reads_an_env_file_by_itself(devport, manager):
    """Those that would read the project's `.env` themselves are told not to."""
    folder = devport.folder / "bin"
    folder.mkdir()
    devport.write(manager, "#!/bin/sh\nenv\n", folder).chmod(0o755)
    devport.environ["PATH"] = f"{folder}:{devport.environ['PATH']}"
    devport.write(".env", "LD_PRELOAD=/evil\n")
    devport.procfile(web="true")
    said = devport.call("start", "--manager", manager).output.decode()

    assert f"{OWN_ENV_FILES[manager]}=1" in said.splitlines()
    assert "/evil" not in said


SHADOWS = (
    *(
        "json",
        "socket",
        "select",
        "signal",
        "subprocess",
        "datetime",
        "typing",
        "resource",
        "termios",
        "fcntl",
    ),
    *(
        "docopt",
        "yaml",
        "psutil",
        "dotenv",
        "colorama",
        "tempfile",
        "shlex",
        "shutil",
        "pathspec",
        "selectors",
    ),
)


@pytest.mark.parametrize("how", ["command", "module", "path"])
def test_s39_nothing_is_imported_from_the_folder(plain, how):
    """A json.py or docopt.py in it is no business of devport's, however it is called."""
    mark = plain.project / "pwned"
    for name in SHADOWS:
        plain.devport.write(f"{name}.py", f"open({str(mark)!r}, 'a').write('{name} ')\n")
    plain.devport.write("devport.yaml", f"processes: {{web: {{exec: {shlex.join(argv('signals'))}}}}}\n")
    plain.devport.write(".env", "A=1\n")
    command = [sys.executable, "-m", "devport"] if how == "module" else [DEVPORT]
    env = {"PYTHONPATH": ":"} if how == "path" else {}
    verbs = [["check"], ["ls"], ["start", "-d", "--no-tmux"], ["logs", "web"], ["stop", "web"]]
    for words in verbs:
        running = plain.devport.spawn([*command, *words], env=env)
        assert running.finish() == 0, running.shown()

    assert not mark.exists(), mark.read_text()


ROOT = os.geteuid()
OTHERS = {
    "tmp": (0o1777, ROOT, 0, True),
    "world": (0o777, ROOT, 0, True),
    "group": (0o775, ROOT, 0, True),
    "sticky group": (0o1775, ROOT, 0, True),
    "moved in": (0o755, ROOT, 0, False),
    "container": (0o755, NOBODY, NOBODY, False),
    "container, umask 002": (0o775, NOBODY, NOBODY, False),
    "his group's": (0o775, NOBODY, 100, True),
    "his, for all": (0o777, NOBODY, NOBODY, True),
    "somebody third's": (0o755, 1234, 1234, True),
}
"""Mode, owner and group of the folder; whether root reads nobody's files there no more."""


@root_only
@pytest.mark.parametrize("folder", OTHERS)
def test_s39_what_others_have_put_into_an_open_folder(devport, folder):
    """A Procfile, devport.yaml or .env of another user is passed over, and told of, unless it is named."""
    mode, owner, group, refused = OTHERS[folder]
    shared, deep = open_folder(devport, mode, owner, group)
    devport.write("Procfile", "web: echo above\n", devport.folder)
    above = devport.call("run", "web", cwd=deep)
    os.chown(shared / "Procfile", os.geteuid(), -1)
    own = devport.call("run", "env", cwd=deep)

    assert (above.status, own.status) == (0, 0)
    assert (b"Procfile is not read: it belongs to another user" in above.errors) == refused
    assert above.output == (b"above\n" if refused else b"evil\n")
    assert (b".env is not read: it belongs to another user" in own.errors) == refused
    assert (b"EVIL=" in own.output) != refused


def open_folder(devport, mode, owner, group):
    """A folder with files of nobody's, and one far below it that is ours."""
    shared = devport.folder / "shared"
    deep = shared / "mine" / "deep"
    deep.mkdir(parents=True)
    shared.chmod(mode)
    os.chown(shared, owner, group)
    for name, text in {"Procfile": "web: echo evil\n", ".env": "PROCFILE=Procfile\nEVIL=1\n"}.items():
        os.chown(devport.write(name, text, shared), NOBODY, NOBODY)
    return shared, deep


@root_only
def test_s39_a_strangers_file_is_told_of_and_can_be_named(devport):
    """There is no project then; -f is the user's own word."""
    shared, deep = open_folder(devport, 0o1777, os.geteuid(), -1)
    os.chown(devport.write("devport.yaml", "- x\n", shared), NOBODY, NOBODY)
    done = devport.call("start", cwd=deep)
    listed = devport.call("ls", cwd=deep)
    named = devport.call("check", "-f", str(shared / "Procfile"), cwd=deep)
    wanted = devport.call("check", cwd=deep, env={"PROCFILE": "Procfile"})

    assert (done.status, listed.status, named.status, wanted.status) == (1, 0, 0, 1)
    assert b"Procfile is not read: it belongs to another user" in done.errors
    assert b"Procfile is not read: it belongs to another user" in wanted.errors


def test_s20_s12_what_check_lists(devport):
    """Only there: what steers services in a `.env` that others can read, and sockets for other machines."""
    listen = [{"name": f"n{number}", "address": host} for number, host in enumerate(("0.0.0.0", "::", "::1"))]
    yaml = json.dumps({"processes": {"web": {"exec": "true", "listen": listen}}})
    with tempfile.TemporaryDirectory(prefix="devport-", dir="/tmp") as name:  # pytest's is closed
        folder = pathlib.Path(name)
        devport.write("devport.yaml", yaml, folder)
        devport.write(".env", "PATH=/bin:/usr/bin\nLD_PRELOAD=\nOTHER=secret\n", folder).chmod(0o644)
        closed = devport.call("check", "--json", cwd=folder)
        folder.chmod(0o755)
        found = devport.call("check", cwd=folder)
        (folder / ".env").chmod(0o600)
        private = devport.call("check", cwd=folder)
        env = devport.call("env", "web", cwd=folder)
    said = [line.removeprefix("devport: warning: ") for line in found.errors.decode().splitlines()[1:]]

    assert (found.status, closed.status, private.status, env.status) == (0, 0, 0, 0)
    assert [line.partition(":")[0] for line in said[:3]] == [
        ".env can be read by every user of this machine (chmod 600 changes that)",
        "PATH is set by an env file",
        "LD_PRELOAD is set by an env file",
    ]
    assert [line.partition("web: ")[2][:7] for line in said[3:]] == ["0.0.0.0", "[::]:${"]
    assert json.loads(closed.output)["warnings"] == said[1:]
    assert private.errors.decode().count("warning") == len(said) - 1
    assert env.errors == b""


# other users


def as_nobody(act, folder):
    """What `act` returns for another user who sits in `folder`: its text, or the name of its error."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(write, str(act()).encode())
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(write, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as said:
        text = said.read()
    os.waitpid(pid, 0)
    return text


@root_only
def test_s39_whose_files_a_user_reads(tmp_path):
    """His own and root's; of others' only what his or root's folder holds, if nobody else writes there."""
    cases = {
        (0o755, 1234, 1234): True,
        (0o755, 1234, NOBODY): False,
        (0o1777, 0, 0): False,
        (0o1777, 0, 1234): True,
        (0o755, 0, 1234): False,
        (0o755, NOBODY, 1234): False,
        (0o775, NOBODY, 1234): True,
    }
    seen = {}
    for number, (mode, folder, owner) in enumerate(cases):
        path = tmp_path / str(number)
        path.mkdir()
        path.chmod(mode)
        (path / "Procfile").touch()
        os.chown(path, folder, folder)
        os.chown(path / "Procfile", owner, owner)
        seen[mode, folder, owner] = as_nobody(lambda: files.is_strangers("./Procfile"), path) == "True"

    assert seen == cases


@root_only
@pytest.mark.parametrize("umask", ["0000", "0777"])
def test_s10_another_user_reaches_nothing(plain, umask):
    """He can list nothing, read no record and no log, take no lock and connect to no socket."""
    row = json.loads(
        plain.call(
            *("start", "--no-tmux", "--key", "web", "--", *argv("signals")), setup=[f"umask={umask}"]
        ).output
    )
    plain.logged(row["hash"], rb"ready")
    hash_, pid = row["hash"], plain.supervisor(row["hash"])

    def connect():
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(f"run/{hash_}.sock")

    acts = {
        "list": lambda: os.listdir("."),
        "make": lambda: os.mkdir("more"),
        "record": lambda: os.open(f"services/{hash_}.json", os.O_RDONLY),
        "log": lambda: os.open(f"logs/{hash_}.log", os.O_RDONLY),
        "lock": lambda: os.open(f"locks/{hash_}.lock", os.O_RDWR),
        "connect": connect,
        "signal": lambda: os.kill(pid, 0),
    }
    closed = {name: as_nobody(act, plain.state) for name, act in acts.items()}
    plain.state.chmod(0o755)
    opened = {name: as_nobody(act, plain.state) for name, act in acts.items() if name != "list"}

    assert closed == dict.fromkeys(acts, "PermissionError")
    assert set(opened.values()) == {"PermissionError"}
    assert plain.row("web")["status"] == "running"


@root_only
def test_s03_a_lock_of_another_user_is_nobodys(plain):
    """What he says in it of a supervisor is not believed, and nobody is signalled."""
    row = plain.start("web", argv("signals"))
    plain.do("stop", "web")
    path = plain.state / "locks" / f"{row['hash']}.lock"
    os.chown(path, NOBODY, NOBODY)
    said = plain.refused("start", "--no-tmux", "--key", "web", "--", *argv("signals"))

    assert "belongs to another user" in said
    assert "belongs to another user" in plain.call("stop", "web").errors.decode() + plain.do("ls")


@root_only
def test_s06_sudo_leaves_nothing_in_the_users_home(devport):
    """Where sudo has kept HOME, devport refuses instead of making folders that their owner cannot use."""
    os.chown(devport.home, NOBODY, NOBODY)
    devport.procfile(web="true")
    done = devport.call("start", env={"DEVPORT_HOME": None, "SUDO_UID": str(NOBODY)})

    assert done.status == 1
    assert b"belongs to the user who called sudo" in done.errors
    assert list(devport.home.iterdir()) == []
    assert devport.call("start", env={"DEVPORT_HOME": None}).status == 0  # a container's root


def test_s34_the_same_service_of_another_home(plain):
    """Two state folders know it by one hash: who stops it in his ends neither the other's nor its daemon."""
    theirs = copy.copy(plain)
    theirs.state = plain.devport.folder / "theirs"
    home = {"DEVPORT_HOME": str(theirs.state)}
    hash_ = theirs.start("web", argv("forker", "double", "obedient"), env=home)["hash"]
    daemon = int(theirs.logged(hash_, rb"ready (\d+)")[1])
    [leader] = {*procs.children(theirs.supervisor(hash_))} - {daemon}
    mine = plain.start("web", argv("signals"))
    plain.logged(mine["hash"], rb"ready")
    plain.do("stop", "web")

    assert mine["hash"] == hash_
    assert procs.is_alive(leader)
    assert procs.is_alive(daemon)
    theirs.do("stop", "web", env=home)
    assert not procs.is_alive(daemon)


# links


@pytest.mark.parametrize("folder", ["services", "locks", "run", "logs"])
def test_s03_a_folder_that_is_a_link_is_refused(plain, folder):
    """In the state folder nothing is followed out of it."""
    plain.start("web", argv("signals"))
    plain.do("stop", "web")
    away = plain.devport.folder / "away"
    shutil.move(plain.state / folder, away)
    (plain.state / folder).symlink_to(away)
    before = sorted(os.listdir(away))
    said = plain.refused("start", "--no-tmux", "--key", "web", "--", *argv("signals"))

    assert f"cannot use {plain.state / folder}: it is a symbolic link" in said
    assert sorted(os.listdir(away)) == before


@pytest.mark.parametrize("what", ["locks/{}.lock", "locks/register.lock", "locks/{}.launch"])
@pytest.mark.parametrize("how", ["symbolic link", "second name"])
def test_s03_a_lock_with_another_name_is_refused(plain, what, how):
    """Neither a symbolic nor a hard link to a file of ours makes us write into it."""
    row = plain.start("web", argv("signals"))
    plain.do("stop", "web")
    target = plain.devport.write("precious", "precious\n")
    path = plain.state / what.format(row["hash"])
    path.unlink(missing_ok=True)
    path.symlink_to(target) if how == "symbolic link" else path.hardlink_to(target)
    said = plain.refused("start", "--no-tmux", "--key", "web", "--port-env", "P", "--", *argv("signals"))

    assert how in said
    assert target.read_text() == "precious\n"


@pytest.mark.parametrize("what", ["logs/{}.log", "run/{}.sock"])
def test_s03_a_log_or_socket_that_is_a_link_is_not_followed(plain, what):
    """The service runs; what the link leads to stays as it is."""
    row = plain.start("web", argv("signals"))
    plain.do("stop", "web")
    target = plain.devport.write("precious", "precious\n")
    path = plain.state / what.format(row["hash"])
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    plain.do("restart", "--no-tmux", "web")

    assert plain.row("web")["status"] == "running"
    assert target.read_text() == "precious\n"
    assert path.is_symlink()
