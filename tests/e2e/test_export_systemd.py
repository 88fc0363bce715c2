"""The export to systemd, booted: what the units say is what a real systemd makes of them."""

import itertools
import json
import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import procs
from support.box import PATIENCE, USER, booted, write
from support.export_projects import PROJECTS, VALUES, unit
from support.procs import eventually
from support.running import CHILDREN, need

from devport.encoding import encode
from devport.export import systemd
from devport.export.plan import Plan
from devport.model import Dependency, Listen, Probe, RestartPolicy, StopPolicy, Watchdog

PROGRAM = (sys.executable, "-I", "-S", str(CHILDREN / "unit.py"))
ODD = {"odd.name": "x y", "LATIN": "\udcff\udcfe $HOME", "ESCAPE": "\x1b[1m\x01"}
HELD = {"HOME", "LANG", "LOGNAME", "USER", "SHELL", "PATH", "INVOCATION_ID", "SYSTEMD_EXEC_PID", "PWD"} | {
    "SHLVL",
    "_",
    "LC_CTYPE",
    "OLDPWD",
}
"""What systemd, or a shell in between, gives as well."""


def plan(folder, *units, **given):
    """The project `boxed` for the system."""
    return Plan(
        **{"app": "boxed", "root": str(folder), "units": units, "options": frozenset({"system"}), **given}
    )


def service(folder, name, way, *words, **given):
    """A Unit that goes a way of children/unit.py, writing to `folder`/`name`."""
    return unit(name, (*PROGRAM, way, str(folder / name), *words), **{"cwd": str(folder), **given})


def told(folder, name):
    """What the service `name` wrote about itself, once it has."""

    def check():
        assert (folder / name).exists()

    eventually(check, PATIENCE)
    return json.loads((folder / name).read_text())


def bytes_of(text):
    """`text` as children/unit.py writes it."""
    return encode(text).decode("latin-1")


@pytest.fixture
def folder(tmp_path):
    """Where units and services write."""
    made = tmp_path / "box"
    made.mkdir()
    return made


@pytest.fixture
def ports():
    """Ports of the test's own."""
    made = procs.Ports()
    yield made
    made.release()


def test_words_and_variables(folder):
    """Words, environment and folder arrive byte for byte, however the program is called."""
    cwd = folder / 'it\'s 100%n  "a" b\\c $HOME é'
    cwd.mkdir()
    (cwd / "do $it").symlink_to("/usr/bin/env")
    (cwd / "it's").symlink_to("/usr/bin/env")
    (cwd / "a=b").symlink_to("/usr/bin/env")
    words = (*VALUES.values(), "\udcff\udcfe", "\x1b[1m\x01", ";", "-", "@x", "%%", "$$", "${HOME}", "$1", "")
    plain = (*(word for word in words if "\udcff" not in word), "€")
    programs = {
        "absolute": (),
        "path": ("./do $it",),
        "quote": (f"{cwd}/it's",),
        "name": ("env",),
        "assignment": ("a=b",),
    }
    units = [
        unit(
            name.replace("_", "."),
            (*first, *PROGRAM, "stay", str(folder / name), *given),
            cwd=str(cwd),
            environment={**VALUES, **more, "PATH": f"{cwd}:/usr/bin:/bin"},
        )
        for first_name, first in programs.items()
        for name, given, more in ((first_name, plain, {}), (f"{first_name}_odd", words, ODD))
    ]

    with booted(plan(folder, *units), folder) as box:
        box.target("start")
        for one in units:
            found = told(folder, one.name.replace(".", "_"))
            given = words if one.name.endswith("odd") else plain
            assert found["argv"] == [bytes_of(word) for word in given]
            assert {k: v for k, v in found["environment"].items() if k not in HELD - {"PATH"}} == {
                name: bytes_of(value) for name, value in one.environment.items()
            }
            assert found["cwd"] == str(cwd)
            # The bus can tell of all units, also of those with strange bytes.
            assert box.show(one.name, "ActiveState") == "active"
        for one in units:
            text = (folder / "units" / f"boxed-{one.name}.env").stat()
            assert text.st_mode & 0o777 == 0o600


TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",))
    | st.sampled_from("\"'\\$%`;\n\t {}#=@!-")
)
CASES = st.lists(
    st.tuples(
        st.lists(TEXTS | st.sampled_from([*VALUES.values(), "\udc80"]), max_size=6),
        st.dictionaries(st.from_regex("X[A-Z0-9_]{1,5}", fullmatch=True), TEXTS, max_size=4),
    ),
    min_size=30,
    max_size=30,
)


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(CASES)
def test_any_words_and_variables(tmp_path_factory, cases):
    """Random words and values, thirty a boot, arrive byte for byte."""
    folder = tmp_path_factory.mktemp("box")
    units = [
        service(
            folder, f"u{number}", "dump", *words, environment=environment, task=True, restart=RestartPolicy()
        )
        for number, (words, environment) in enumerate(cases)
    ]

    with booted(plan(folder, *units), folder) as box:
        box.target("start")
        for (words, environment), one in zip(cases, units, strict=True):
            found = told(folder, one.name)
            assert found["argv"] == [bytes_of(word) for word in words]
            assert {k: v for k, v in found["environment"].items() if k.startswith("X")} == {
                name: bytes_of(value) for name, value in environment.items()
            }


def test_target(folder):
    """The target starts all and its stop ends all, whole groups; what is killed comes back, or not."""
    script = f"sleep 601 & sleep 601 & exec {PROGRAM[0]} {PROGRAM[3]} stay {folder}/group"
    always = RestartPolicy("always", delay=0.0)
    units = (
        service(folder, "web", "stay", restart=RestartPolicy("on_failure", delay=0.0)),
        service(folder, "web.2", "stay", restart=always),
        service(folder, "never", "stay", restart=RestartPolicy()),
        service(folder, "twice", "stay", restart=RestartPolicy("always", max=1, delay=0.0)),
        unit("group", ("/bin/sh", "-c", script), cwd=str(folder)),
        service(folder, "polite", "leave", stop=StopPolicy(command=("touch", f"{folder}/polite.asked"))),
        unit(
            "outside",
            ("touch", f"{folder}/up"),
            cwd=str(folder),
            external=True,
            stop=StopPolicy(command=("touch", f"{folder}/down")),
        ),
    )
    names = [one.name for one in units]

    with booted(plan(folder, *units, log=str(folder)), folder) as box:
        box.target("start")
        assert box.states(*names) == ["active"] * len(names)
        assert (folder / "up").exists()
        assert not (folder / "down").exists()
        for name in ("web", "web.2", "never", "twice", "group"):
            told(folder, name)

        # killed: even by what systemd takes for a good end
        for number in (signal.SIGKILL, signal.SIGTERM):
            for name in ("web", "web.2"):
                (folder / name).unlink()
                before = box.show(name, "MainPID")
                box.kill(number, before)
                assert told(folder, name)["pid"] != int(before)
        box.kill(signal.SIGKILL, box.show("never", "MainPID"))
        box.eventually(["never"], ["failed"])
        for state in ("active", "failed"):
            (folder / "twice").unlink()
            before = box.show("twice", "MainPID")
            box.kill(signal.SIGKILL, before)
            if state == "active":
                assert told(folder, "twice")["pid"] != int(before)
            box.eventually(["twice"], [state])

        box.target("stop")
        box.eventually(names, ["failed" if name in ("never", "twice") else "inactive" for name in names])
        assert (folder / "down").exists()
        assert (folder / "polite.left").exists()
        assert "sleep 601" not in box.run("ps", "ax")[0]
        (folder / "up").unlink()
        box.target("start")  # once more: all of it is run again
        assert (folder / "up").exists()
    assert (folder / "boxed-web.log").exists()


def test_order(folder, ports):
    """Who waits starts after what it waits for: READY=1, a port, a command's success, a task's end."""
    order = folder / "order"

    def step(name, *after, **given):
        return unit(name, (*PROGRAM, "order", str(order), name), cwd=str(folder), after=after, **given)

    def task(name, *after, **given):
        return step(name, *after, task=True, restart=RestartPolicy(), **given)

    def seen():
        return order.read_text().split() if order.exists() else []

    def steps(*wanted):
        assert {*wanted} <= {*seen()}

    units = (
        step("web", Dependency("api", "ready"), Dependency("migrate", "succeeded")),
        task("migrate", Dependency("db", "ready"), Dependency("port", "ready")),
        task("skipped", skip=("true",)),
        task("run", skip=("false",)),
        step("late", Dependency("skipped", "succeeded"), Dependency("run", "succeeded")),
        unit("bad", ("false",), cwd=str(folder), task=True, restart=RestartPolicy()),
        step("never", Dependency("bad", "succeeded")),
        step("anyway", Dependency("bad", "completed")),
        service(folder, "api", "notify", ready=Probe("notify", timeout=60.0), watchdog=Watchdog(60_000_000)),
        service(folder, "db", "stay", ready=Probe("exec", ("test", "-e", f"{folder}/db.ok"))),
        service(
            folder, "port", "open", str(ports.first), ready=Probe("tcp", port=ports.first, automatic=True)
        ),
    )

    with booted(plan(folder, *units), folder) as box:
        box.target("start", "--no-block")
        eventually(lambda: steps("run", "late", "anyway"), PATIENCE)
        assert seen().index("run") < seen().index("late")
        box.eventually(["api", "db", "port"], ["activating"] * 3)
        assert {"skipped", "never", "web", "migrate"}.isdisjoint(seen())
        (folder / "db.ok").touch()
        box.eventually(["db"], ["active"])
        assert "migrate" not in seen()
        (folder / "port.go").touch()
        eventually(lambda: steps("migrate"), PATIENCE)
        assert "web" not in seen()
        assert box.states("api") == ["activating"]
        (folder / "api.go").touch()
        eventually(lambda: steps("web"), PATIENCE)
        box.eventually(["api", "migrate", "bad", "never"], ["active", "active", "failed", "inactive"])


def test_sockets(folder, ports):
    """A connection starts a lazy service, which finds its sockets; who needs it needs the sockets only."""
    path = folder / "a b%n.sock"
    listens = (
        Listen("http", "tcp", f"127.0.0.1:{ports.first}"),
        Listen("admin", "unix_stream", str(path), mode=0o660),
    )
    units = (
        service(folder, "docs", "serve", listen=listens, lazy=True),
        service(
            folder, "eager", "serve", listen=(Listen("six", "tcp", f"[::]:{ports.first + 1}", backlog=7),)
        ),
        service(folder, "user", "stay", after=(Dependency("docs", "ready"),)),
    )

    with booted(plan(folder, *units), folder) as box:
        box.target("start")
        assert box.states("docs", "eager", "user") == ["inactive", "active", "active"]
        with socket.create_connection(("127.0.0.1", ports.first), 20) as client:
            first = client.makefile().readline().split()
        assert first == ["http", box.show("docs", "MainPID")]
        box.kill(signal.SIGKILL, first[1])
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(path))
            assert client.makefile().readline().split()[0] == "admin"
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(ConnectionRefusedError):  # it is for IPv6 only
            socket.create_connection(("127.0.0.1", ports.first + 1))
        with socket.create_connection(("::1", ports.first + 1), 20) as client:
            assert client.makefile().readline().split() == ["six", box.show("eager", "MainPID")]
        box.target("stop")
        box.eventually(["docs", "eager", "user"], ["inactive"] * 3)
        assert not path.exists()
        box.systemctl("start", box.unit("eager"))  # alone: it finds its sockets all the same
        with socket.create_connection(("::1", ports.first + 1), 20) as client:
            assert client.makefile().readline().split()[0] == "six"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports.first))


def test_lazy_service_that_ends(folder, ports):
    """A lazy service that ends well is down until the next connection, as it is under devport."""
    listens = (Listen("http", "tcp", f"127.0.0.1:{ports.first}"),)
    always = RestartPolicy("always", delay=0.0)
    docs = service(folder, "docs", "serve-one", listen=listens, lazy=True, restart=always)

    with booted(plan(folder, docs), folder) as box:
        box.target("start")
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", ports.first), 20) as client:
                assert client.makefile().readline().split()[0] == "http"
            box.eventually(["docs"], ["inactive"])
        assert box.show("docs", "NRestarts") == "0"


def test_watchdog(folder):
    """Who is silent for longer than it said is ended, and started again."""
    hung = service(
        folder,
        "hung",
        "notify",
        ready=Probe("notify"),
        watchdog=Watchdog(200_000),
        restart=RestartPolicy("on_failure", delay=0.0),
    )
    (folder / "hung.go").touch()

    def started_again():
        assert int(box.show("hung", "NRestarts")) > 1

    with booted(plan(folder, hung), folder) as box:
        box.target("start")
        eventually(started_again, PATIENCE)


@pytest.fixture
def open_folder():
    """A folder that others may enter, which they may not where pytest's are."""
    with tempfile.TemporaryDirectory(prefix="devport-box-", dir="/tmp") as name:
        path = pathlib.Path(name)
        path.chmod(0o777)
        yield path


def test_user(open_folder):
    """Services of the system run as the user, whose are their sockets, and cannot change the system."""
    script = f"(id -un; id -u; echo $HOME; touch /etc/x || echo no) >{open_folder}/$PS 2>&1; exec sleep 600"
    path = open_folder / "web.sock"
    web = unit("web", ("/bin/sh", "-c", script), cwd="/", listen=(Listen("x", "unix_stream", str(path)),))

    def told_all():
        assert (open_folder / "web").exists()
        assert (open_folder / "web").read_text().splitlines()[-1:] == ["no"]

    with booted(plan(open_folder, web, user="daemon"), open_folder) as box:
        box.target("start")
        eventually(told_all, PATIENCE)
        daemon = pwd.getpwnam("daemon")
        assert (open_folder / "web").read_text().splitlines()[:3] == [
            "daemon",
            str(daemon.pw_uid),
            daemon.pw_dir,
        ]
        assert path.stat().st_uid == daemon.pw_uid
        assert path.stat().st_mode & 0o777 == 0o600


def test_units_of_a_user(open_folder):
    """The units that are not for the system, in the systemd of a user: all that the others can do as well."""
    path = open_folder / "docs.sock"
    script = 'cd "$1" && shift; printf "%s\\0" "$@" >words; id -un >user; env -0 >vars; echo $$ >pid; '
    script += "exec sleep 600"
    values = {name: value for name, value in VALUES.items() if value}
    web = unit(
        "web",
        ("/bin/sh", "-c", script, "sh", str(open_folder), *VALUES.values()),
        cwd="/",
        environment=values,
        restart=RestartPolicy("always", delay=0.0),
    )
    ready = f"while ! [ -e {open_folder}/go ]; do sleep 0.1; done; systemd-notify --ready; exec sleep 600"
    api = unit("api", ("/bin/sh", "-c", ready), cwd="/", ready=Probe("notify"))
    docs = unit(
        "docs",
        ("/bin/sh", "-c", f"echo up >{open_folder}/docs; exec sleep 600"),
        cwd="/",
        listen=(Listen("x", "unix_stream", str(path)),),
        lazy=True,
    )
    last = unit("last", ("sleep", "600"), cwd="/", after=(Dependency("api", "ready"),))
    units = (web, api, docs, last)

    def written():
        assert (open_folder / "pid").exists()
        pid = (open_folder / "pid").read_text()
        assert pid
        return pid

    with booted(plan(open_folder, *units, options=frozenset()), open_folder) as box:
        box.target("start", "--no-block")
        pid = eventually(written, PATIENCE)
        box.eventually(("web", "api", "last"), ("active", "activating", "inactive"))
        (open_folder / "go").touch()
        box.eventually(("web", "api", "docs", "last"), ("active", "active", "inactive", "active"))
        assert (open_folder / "user").read_text() == f"{USER}\n"
        assert (open_folder / "words").read_bytes() == b"".join(
            encode(one) + b"\0" for one in VALUES.values()
        )
        found = dict(line.split(b"=", 1) for line in (open_folder / "vars").read_bytes().split(b"\0") if line)
        wanted = {encode(name): encode(value) for name, value in values.items()}
        assert {name: found.get(name) for name in wanted} == wanted

        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            box.eventually(("docs",), ("active",))
        (open_folder / "pid").unlink()
        box.kill(9, box.show("web", "MainPID"))
        assert eventually(written, PATIENCE) != pid
        box.eventually(("web",), ("active",))

        box.target("stop")
        box.eventually(("web", "api", "docs", "last"), ("inactive",) * 4)
        assert not path.exists()


def test_nothing_to_complain_about(folder):
    """No line of the fixed projects is unknown to systemd: `systemd-analyze verify` says nothing of any."""
    need("systemd-analyze")
    for number, (project, options) in enumerate(itertools.product(PROJECTS.values(), ((), ("system",)))):
        units = folder / str(number)
        units.mkdir()
        files = systemd.render(project(options=frozenset(options)))
        write(units, files)
        paths = [str(units / file.path) for file in files if not file.path.endswith(".env")]
        done = subprocess.run(
            ["systemd-analyze", *([] if options else ["--user"]), "verify", "--man=no", *paths],
            env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = [
            line
            for line in done.stderr.splitlines()
            if "boxed" in line or "shop" in line or "hostile" in line
        ]

        assert [line for line in said if "is not executable" not in line] == []
