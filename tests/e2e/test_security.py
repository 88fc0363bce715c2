"""Security (S01 to S40): what an untrusted folder may do, what others may, and links."""

import json
import os
import pathlib
import shlex
import shutil
import socket
import sys

import pytest
from support import background
from support.background import argv, variables
from support.running import DEVPORT

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


@root_only
def test_s39_what_others_have_put_into_an_open_folder(devport):
    """A Procfile, devport.yaml or .env of another user in a folder like /tmp is passed over, and told of."""
    shared = devport.folder / "shared"
    deep = shared / "mine" / "deep"
    deep.mkdir(parents=True)
    shared.chmod(0o1777)
    for name in ("Procfile", "devport.yaml", ".env"):
        path = devport.write(
            name, {"Procfile": "web: echo evil\n", ".env": "PROCFILE=Procfile\n"}.get(name, "- x\n"), shared
        )
        os.chown(path, NOBODY, NOBODY)
    done = devport.call("start", cwd=deep)
    listed = devport.call("ls", cwd=deep)
    named = devport.call("check", "-f", str(shared / "Procfile"), cwd=deep)
    wanted = devport.call("check", cwd=deep, env={"PROCFILE": "Procfile"})
    os.chown(shared / "Procfile", os.geteuid(), -1)
    own = devport.call("run", "env", cwd=deep)

    assert (done.status, listed.status, named.status, own.status) == (1, 0, 0, 0)
    assert b"Procfile is not read: it belongs to another user" in done.errors
    assert b"Procfile is not read: it belongs to another user" in wanted.errors
    assert b".env is not read: it belongs to another user" in own.errors
    assert b"PROCFILE=" not in own.output


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
