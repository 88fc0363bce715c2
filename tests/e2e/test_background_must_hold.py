"""What must hold of background services (issue 3), in the large: many at once, disks, modes, names.

`kill -9` of supervisors, guardians and tmux: test_supervisor.py. Refused options: test_start_detached.py.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from support import background, procs
from support.background import SUPERVISOR, argv, python, shell, variables
from support.drill import trials
from support.procs import eventually
from support.running import DEVPORT, child

machine, windowed, plain = background.machine, background.windowed, background.plain

STAY = ["sleep", "1000"]
NAMES = ["1", "0", "web", "web-assets", "a.b"]
REFUSED = ["ünï", "-x", "a b", "^", "a;b"]
ALSO_REFUSED = [
    "",
    ".a",
    "_",
    "a/b",
    "../a",
    "a\n",
    "@1",
    "%1",
    "{last}",
    "$x",
    "=x",
    "a:b",
    "!",
    "#{x}",
    "a" * 64,
]


KID = pathlib.Path(__file__).parents[1] / "drill" / "kid.py"


def kid(machine, key):
    """The words of a service that listens on its port, and notes whom of its other lives it meets."""
    return [sys.executable, "-I", "-S", str(KID), str(machine.project), key, "binds=0"]


def met(machine):
    """The lives of `kid`s that met another one of theirs, or somebody on their port."""
    lines = [line for path in machine.project.glob("*.journal") for line in path.read_text().splitlines()]
    assert any(line.startswith("birth ") for line in lines)
    return [line for line in lines if line.startswith(("overlap ", "nobind "))]


def supervisors(machine):
    """The living supervisors of this test; their guardians are not among them."""
    return [one for one in machine.left() if SUPERVISOR in one.command]


# many at once


def test_thirty_starts_of_one(machine):
    """Of 30 at the same moment one starts it: all succeed, with the same answer, and one service is there."""
    words = ("start", *machine.flags, "--key", "same", "--", "sleep", "100")
    running = [machine.devport.spawn([DEVPORT, *words]) for _ in range(30)]
    statuses = [one.finish(60) for one in running]
    rows = [json.loads(one.output) for one in running]

    assert statuses == [0] * 30, [one.errors for one in running if one.popen.returncode]
    for name in ("hash", "pid", "port", "supervisor", "window"):
        assert len({row[name] for row in rows}) == 1, name

    def check():
        assert len(supervisors(machine)) == 1
        assert len([one for one in machine.left() if one.command == "sleep 100"]) == 1
        if machine.windows:
            assert machine.opened("#{window_id} #{pane_dead}") == [f"{rows[0]['window']} 0"]

    eventually(check)
    assert machine.do("stop", "same") == "same stopped\n"
    if machine.windows:
        machine.closed("same")


def test_fifty_starts_of_different_ones(machine):
    """50 keys at the same moment: 50 ports, hashids, supervisors and windows, none lost (F59, G40)."""
    machine.devport.claim(60)
    keys = [f"k{number}" for number in range(50)]
    running = [
        machine.devport.spawn([DEVPORT, "start", *machine.flags, "--key", key, "--", *STAY]) for key in keys
    ]
    statuses = [one.finish(60) for one in running]
    rows = [json.loads(one.output) for one in running]

    assert statuses == [0] * 50, [one.errors for one in running if one.popen.returncode]
    assert [row["key"] for row in rows] == keys
    assert {row["status"] for row in rows} == {"running"}
    for name in ("port", "hashid", "hash", "supervisor", "pid"):
        assert len({row[name] for row in rows}) == 50, name
    assert {row["port"] for row in rows} == set(
        range(machine.devport.ports.first, machine.devport.ports.first + 50)
    )
    if machine.windows:
        assert sorted(machine.opened()) == sorted(keys)
        assert sorted(machine.opened("#{window_id}")) == sorted(row["window"] for row in rows)
        assert machine.tmux("list-sessions", "-F", "#{session_name}") == "devport"
    assert machine.do("stop", *keys, timeout=60).count(" stopped\n") == 50
    machine.nothing_left()


def test_fifty_entries(machine):
    """`start -d` of 50 entries is quick, and so is its end."""
    machine.devport.claim(60)
    machine.devport.procfile(**{f"s{number}": "exec sleep 1000" for number in range(50)})
    began = time.monotonic()
    rows = machine.detach(timeout=60)
    seconds = time.monotonic() - began

    assert {row["state"] for row in rows.values()} == {"ready"}
    assert seconds < 30  # below 3 s on a quiet machine, which `make bench` measures
    began = time.monotonic()
    assert machine.do("down", timeout=60).count(" stopped\n") == 50
    assert time.monotonic() - began < 30
    machine.nothing_left()


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_random_interleavings(plain, tally):
    """Whatever four users do to four services at once: never two lives of one, no port twice (F60)."""
    seed = random.randrange(10**6)
    steps = trials(8, 40)
    keys = [f"k{number}" for number in range(4)]
    troubles = []

    def work(number):
        dice = random.Random(seed * 10 + number)
        for _ in range(steps):
            key = dice.choice(keys)
            verb = dice.choice(["start", "start", "stop", "restart", "rm", "signal", "ls", "kill"])
            words = {"start": ("start", "--no-tmux", "--key", key, "--", *kid(plain, key))}.get(
                verb, (verb, key)
            )
            if verb == "kill":
                found = [one for one in supervisors(plain) if plain.environ[procs.TAG]]
                if found:
                    procs.send(dice.choice(found).pid, signal.SIGKILL)
                continue
            done = subprocess.run(
                [DEVPORT, *(("ls",) if verb == "ls" else words)],
                env=plain.environ,
                cwd=plain.project,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=60,
            )
            if done.returncode not in (0, 1, 3) or b"Traceback" in done.stderr:
                troubles.append((words, done.returncode, done.stderr))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [], seed

    def check():
        rows = plain.ls()
        running = {row["supervisor"]: row for row in rows.values() if row["status"] == "running"}
        found = [one.pid for one in supervisors(plain)]
        assert sorted(found) == sorted(running), seed
        ports = [row["port"] for row in rows.values()]
        assert len(set(ports)) == len(ports), seed
        for row in running.values():
            assert row["state"] == "ready", (seed, row)
            assert len(procs.children(row["supervisor"])) == 1, seed

    eventually(check, 30)
    left = sorted(plain.ls())
    if left:
        plain.do("stop", *left)
        plain.do("rm", *left)
    plain.nothing_left()
    assert met(plain) == [], seed
    # What a killed command was just writing is removed by a later one, in a minute.
    assert [name for name in os.listdir(plain.state / "services") if ".tmp-" not in name] == []
    tally(4 * steps)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_remove_and_start(plain, tally):
    """`rm` and `start` in turn, and at once: never two lives, and no record comes back (F54, G27)."""
    command = kid(plain, "web")
    rounds = trials(6, 40)
    for number in range(rounds):
        row = plain.start("web", command)
        removing = plain.devport.spawn([DEVPORT, "rm", "web"])
        if number % 2:
            removing.finish()
        starting = plain.devport.spawn([DEVPORT, "start", "--no-tmux", "--key", "web", "--", *command])
        assert removing.finish() in (0, 1)
        assert starting.finish() in (0, 1), starting.shown()
        eventually(lambda: _one_at_most(plain))  # who has given the lock back may need a moment to end
        assert row["port"] in plain.devport.ports
        if plain.ls():
            plain.do("rm", "web")
        plain.nothing_left()
        assert os.listdir(plain.state / "services") == []
        plain.devport.running.clear()
    assert met(plain) == []
    tally(rounds)


def _one_at_most(machine):
    assert len(supervisors(machine)) <= 1


# the same environment


@pytest.mark.parametrize("way", ["running", "stopped", "killed"])
def test_environment_of_a_restart(machine, way):
    """`restart` from an empty environment: the service's is the same, byte for byte (G51, G52)."""
    odd = {
        "MULTI": "a\nb\n",
        "EMPTY": "",
        "BYTES": "\udcff\udcfe",
        "UMLAUT": "ünï",
        "A.B-C": "odd name",
        "DOLLAR": "$HOME ${HOME} `id` \\ ' \"",
        "BASH_FUNC_f%%": "() { :; }",
    }
    odd["VITE"] = "x"
    hash_ = machine.start("web", argv("listener"), "--port-env", "PORT", env=odd)["hash"]
    machine.logged(hash_, rb"ready")
    before = _environ(machine.service(hash_))
    assert b"BYTES=\xff\xfe" in before.split(b"\0")
    if way == "stopped":
        machine.do("stop", "web")
    elif way == "killed":
        os.kill(machine.supervisor(hash_), signal.SIGKILL)
        machine.ended(hash_)
        machine.nothing_left()
    kept = ("DEVPORT_HOME", "TMUX_TMPDIR", "DEVPORT_TMUX", procs.TAG)
    empty = dict.fromkeys([*machine.environ, *odd]) | {name: machine.environ[name] for name in kept}
    empty["PATH"] = os.defpath if machine.windows and way != "running" else None
    said = machine.do("restart", "web", env=empty, cwd="/")
    machine.logged(hash_, rb"ready", 2)

    assert said == ("web restarted\n" if way == "running" else "web started\n")
    assert _environ(machine.service(hash_)) == before


def _environ(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()


def test_environment_of_entries(plain):
    """The same for an entry of a file, with env files that are gone by then."""
    plain.devport.write(".env", "FROM_FILE=yes\n")
    plain.devport.procfile(web=child("listener"))
    hash_ = plain.detach()["web"]["hash"]
    plain.logged(hash_, rb"ready")
    before = _environ(plain.service(hash_))
    plain.do("stop", "web")
    (plain.project / ".env").unlink()
    (plain.project / "Procfile").unlink()
    plain.do("restart", hash_, env=dict.fromkeys(plain.environ) | {"DEVPORT_HOME": str(plain.state)}, cwd="/")
    plain.logged(hash_, rb"ready", 2)

    assert b"FROM_FILE=yes" in before.split(b"\0")
    assert _environ(plain.service(hash_)) == before


# names


def test_each_name_is_hit_exactly(machine):
    """Numbers, prefixes of each other, a dot: every verb means one of them (F86, G38, G45)."""
    rows = {key: machine.start(key, argv("signals")) for key in NAMES}
    for row in rows.values():
        machine.logged(row["hash"], rb"ready")
    for key in NAMES:
        assert machine.json("which", key)["key"] == key
        assert machine.do("signal", "-s", "USR1", key) == f"{key} got SIGUSR1\n"
        machine.logged(rows[key]["hash"], rb"got SIGUSR1")
    for key, row in rows.items():
        assert len(re.findall(rb"got SIGUSR1", machine.log(row["hash"]))) == 1, key
    left = dict(rows)
    for key in NAMES:
        assert machine.do("restart", key) == f"{key} restarted\n"
        assert machine.do("stop", key) == f"{key} stopped\n"
        del left[key]
        now = machine.ls("--active")
        assert {name: row["pid"] for name, row in now.items()} == {
            name: row["pid"] for name, row in left.items()
        }
        if machine.windows:
            machine.closed(re.sub(r"[.]", "_", key))
            assert sorted(machine.opened("#{window_id}")) == sorted(row["window"] for row in left.values())


def test_names_of_entries(plain):
    """The same for entries of a file."""
    entries = [name for name in NAMES if name != "a.b"]
    plain.devport.write(
        "devport.yaml", "processes:\n" + "".join(f"  '{name}': exec sleep 1000\n" for name in entries)
    )
    rows = plain.detach()
    assert sorted(rows) == sorted(entries)
    for name in entries:
        assert plain.json("which", name)["hash"] == rows[name]["hash"]
        assert plain.do("stop", name) == f"{name} stopped\n"
        del rows[name]
        assert {one["pid"] for one in plain.ls("--active").values()} == {one["pid"] for one in rows.values()}


@pytest.mark.parametrize("key", REFUSED)
def test_keys_that_are_refused(plain, key):
    """At the door: status 2, one sentence, nothing registered; as a target it is no service, status 3."""
    said = plain.refused("start", "--no-tmux", f"--key={key}", "--", "true", status=2)
    assert said.startswith("devport: cannot use the key")
    plain.devport.write("devport.yaml", json.dumps([{"exec": "true", "key": key}]))
    assert plain.call("start", "-d", "--no-tmux").status == 2
    plain.start("web", STAY)
    assert plain.call("stop", "--", key).status == 3

    assert list(plain.ls()) == ["web"]
    assert plain.row("web")["status"] == "running"


def test_more_keys_that_are_refused(plain):
    """Whatever tmux, a shell, a path or a host name would take for something else."""
    for key in ALSO_REFUSED:
        said = plain.refused("start", "--no-tmux", f"--key={key}", "--", "true", status=2)
        assert said.startswith("devport: cannot use the key" if key else "devport: ")

    assert plain.ls() == {}


# disks


def test_record_too_large_for_the_disk(machine):
    """A record that cannot be written is said, and the old one stays as it was, nothing beside it."""
    row = machine.start("web", argv("signals"))
    machine.do("stop", "web")
    path = machine.state / "services" / f"{row['hash']}.json"
    before = path.read_bytes()
    words = ("start", *machine.flags, "--key", "web", "--restart", "never", "--", *argv("signals"))
    done = machine.call(*words, setup=["fsize=500"])

    assert done.status == 1
    assert done.errors.decode() == "devport: cannot write record of web: File too large\n"
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert machine.left() == []
    new = machine.call("start", *machine.flags, "--key", "new", "--", "true", setup=["fsize=500"])
    assert new.status == 1
    assert b"cannot write record of new: File too large" in new.errors
    assert os.listdir(path.parent) == [path.name]
    assert machine.start("web", argv("signals"))["port"] == row["port"]


@pytest.fixture
def tiny(plain):
    """A machine whose state folder is a disk of 256 KB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    plain.state.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(plain.state)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("cannot mount a small disk here")
    yield plain
    plain.kill()
    subprocess.run(["umount", "-l", str(plain.state)], check=True)


def _fill(state):
    """The disk is full to the last byte; returns what fills it."""
    path = state / "ballast"
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return path


def test_disk_full_under_a_running_service(tiny):
    """The service goes on, restarts and stops; with room again that is noted; nothing is lost (F53)."""
    row = tiny.start("web", argv("signals"))
    tiny.logged(row["hash"], rb"ready")
    tiny.reached(row["hash"], "ready")
    ballast = _fill(tiny.state)
    path = tiny.state / "services" / f"{row['hash']}.json"
    before = json.loads(path.read_bytes())
    os.kill(row["supervisor"], signal.SIGHUP)

    def check():
        assert tiny.row("web")["restarts"] == 1

    eventually(check)
    assert tiny.row("web")["status"] == "running"
    after = json.loads(path.read_bytes())
    assert (after["port"], after["env"], after["cmd"]) == (before["port"], before["env"], before["cmd"])
    assert [name for name in os.listdir(path.parent) if "tmp" in name] == []
    refused = tiny.call("start", "--no-tmux", "--key", "new", "--", "true")
    assert refused.status == 1
    assert b"No space left on device" in refused.errors
    ballast.unlink()
    os.kill(row["supervisor"], signal.SIGHUP)

    def noted():
        assert tiny.record(row["hash"])["run"]["restarts"] == 2

    eventually(noted)
    tiny.logged(row["hash"], rb"ready", 2)
    ballast = _fill(tiny.state)
    assert tiny.do("stop", "web") == "web stopped\n"
    tiny.nothing_left()
    assert tiny.row("web")["status"] == "stopped"
    assert json.loads(path.read_bytes())["port"] == row["port"]
    ballast.unlink()
    assert tiny.start("web", argv("signals"))["port"] == row["port"]


def test_f53_disk_full_under_a_run(tiny):
    """The same of a run in a terminal; what cannot be started is one line; with room it starts as ever."""
    script = "echo $$ >>runs; echo ready; exec sleep 1000"
    processes = {"web": {"exec": script, "restart": {"delay": 0.02}}}
    tiny.devport.write("devport.yaml", json.dumps({"processes": processes}))
    running = tiny.devport.start()
    running.ready("web")
    [path] = (tiny.state / "services").iterdir()
    tiny.rewrite(path.stem, last_up="2020-01-01T00:00:00Z")  # so that there is something to write at its end
    ballast = _fill(tiny.state)
    before = json.loads(path.read_bytes())
    procs.send(int((tiny.project / "runs").read_text()), signal.SIGKILL)
    running.ready("web")

    def check():
        assert tiny.row("web")["restarts"] == 1

    eventually(check)  # `ls` waits a quarter of a second for who tells that
    assert running.stop()[0] == 143
    assert re.findall(rb"cannot write record of .*", running.errors) == [
        b"cannot write record of web: No space left on device"
    ]
    assert json.loads(path.read_bytes()) == before
    processes["new"] = {"exec": "touch started"}
    tiny.devport.write("devport.yaml", json.dumps({"processes": processes}))
    refused = tiny.refused("start")
    assert refused.startswith("devport: cannot ")
    assert refused.endswith("No space left on device\n")
    assert refused.count("\n") == 1
    assert not (tiny.project / "started").exists()
    assert os.listdir(path.parent) == [path.name]
    ballast.unlink()
    running = tiny.devport.start("web")
    running.ready("web")
    assert tiny.row("web")["port"] == before["port"]
    assert running.stop()[0] == 143


def test_disk_full_of_output(tiny):
    """More output than the disk holds: the service goes on, it is said once, and logged again with room."""
    script = (
        "echo ready; while ! test -e flow; do sleep 0.05; done\n"
        'head -c 2000000 /dev/zero | tr "\\0" x; echo; echo the flood is over\n'
        "while ! test -e room; do sleep 0.05; done; echo room again; exec sleep 1000"
    )
    row = tiny.start("web", shell(script))
    tiny.do("stop", "web")
    (tiny.state / "ballast").write_bytes(b"x" * (64 << 10))
    # As in a window: there it says what it cannot log.
    words = [sys.executable, "-P", "-m", "devport", "supervise", row["hash"], os.fsencode(tiny.state).hex()]
    running = tiny.devport.spawn(words)
    running.expect(rb"ready")
    tiny.reached(row["hash"], "ready")
    (tiny.project / "flow").touch()
    running.expect(rb"the flood is over")

    assert tiny.row("web")["status"] == "running"
    assert b"the flood is over" not in tiny.log(row["hash"])
    (tiny.state / "ballast").unlink()
    (tiny.project / "room").touch()
    running.expect(rb"room again")
    tiny.logged(row["hash"], rb"room again\s")
    assert tiny.do("stop", "web") == "web stopped\n"
    running.finish()
    notice = f"cannot write {tiny.state}/logs/{row['hash']}.log: No space left on device"
    assert re.findall(rb"cannot write .*", running.output.replace(b"\r", b"")) == [notice.encode()]
    assert tiny.record(row["hash"])["port"] == row["port"]


# modes


@pytest.mark.parametrize("umask", ["0000", "0077", "0777"])
def test_modes(machine, umask):
    """Files and sockets are 0600, folders 0700, whatever the umask (G71)."""
    words = ("--key", "web", "--", *argv("signals"))
    done = machine.call("start", *machine.flags, *words, setup=[f"umask={umask}"])
    assert done.status == 0, done.shown()
    row = json.loads(done.output)
    machine.logged(row["hash"], rb"ready")
    machine.do("restart", "web")
    modes = {}
    for folder, folders, files in os.walk(machine.state):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            modes[os.path.relpath(path, machine.state)] = stat.S_IMODE(os.lstat(path).st_mode)

    hash_ = row["hash"]
    assert {
        name: mode for name, mode in modes.items() if os.path.isdir(machine.state / name)
    } == dict.fromkeys(("services", "locks", "run", "logs"), 0o700)
    wanted = {f"services/{hash_}.json", f"locks/{hash_}.lock", "locks/register.lock", f"run/{hash_}.sock"}
    assert wanted | {f"logs/{hash_}.log"} <= set(modes)
    assert {mode for name, mode in modes.items() if not os.path.isdir(machine.state / name)} == {0o600}
    assert stat.S_IMODE(os.stat(machine.state).st_mode) == 0o700


def test_rm_leaves_nothing(machine):
    """Port, lock, log, socket and window of a removed service are gone, those of others stay."""
    row, other = (machine.start(key, argv("listener")) for key in ("web", "other"))
    machine.logged(row["hash"], rb"ready")
    machine.logged(other["hash"], rb"ready")
    (machine.state / "logs" / f"{row['hash']}.log.1").write_bytes(b"old\n")
    assert machine.do("rm", "web") == f"web removed, port {row['port']} is free\n"

    found = [name for _, _, files in os.walk(machine.state) for name in files]
    assert [name for name in found if row["hash"] in name] == []
    assert procs.is_free(row["port"])
    assert list(machine.ls()) == ["other"]
    if machine.windows:
        machine.closed("web")
        assert machine.opened() == ["other"]
    assert machine.start("third", argv("listener"))["port"] == row["port"]


# side by side


def test_two_checkouts(machine):
    """Two of one project run beside each other, each with its own port; every verb means the one it is in."""
    folders = [machine.project / name for name in ("one", "two")]
    rows = []
    for folder in folders:
        machine.devport.procfile(folder, web=child("listener"), api=child("listener"))
        rows.append(machine.detach(cwd=folder))
    ports = [row["port"] for checkout in rows for row in checkout.values()]
    assert len(set(ports)) == 4
    assert machine.json("port", "web", "api", "--json", cwd=folders[1]) == {
        "web": rows[1]["web"]["port"],
        "api": rows[1]["api"]["port"],
    }
    assert machine.do("stop", "web", cwd=folders[0]) == "web stopped\n"
    assert machine.json("which", "web", cwd=folders[0])["status"] == "stopped"
    assert machine.json("which", "web", cwd=folders[1])["pid"] == rows[1]["web"]["pid"]
    assert machine.do("down", cwd=folders[1]).count("stopped") == 2
    assert machine.json("which", "api", cwd=folders[0])["pid"] == rows[0]["api"]["pid"]
    assert "cannot find service web" in machine.refused("stop", "web", status=3, cwd="/")

    if machine.windows:
        machine.tmux("display-message", "-p", "-t", rows[0]["api"]["window"], "x")

        def check():
            assert machine.opened("#{window_id}") == [rows[0]["api"]["window"]]

        eventually(check)


# speed


def test_list_of_a_thousand(plain):
    """`ls` with 1000 records is quick (below 100 ms on a quiet machine, which `make bench` measures)."""
    hash_ = plain.start("web", variables())["hash"]
    record = plain.record(hash_)
    for number in range(1000):
        other = f"{number:010x}"
        changed = {**record, "hash": other, "hashid": other, "key": f"k{number}", "port": 40000 + number}
        path = plain.state / "services" / f"{other}.json"
        path.write_text(json.dumps({**changed, "run": {}, "state": "stopped"}))
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        rows = plain.json("ls")
        seconds.append(time.monotonic() - began)

    assert len(rows) == 1001
    assert min(seconds) < 1.5
    assert len(plain.json("ls", "--active")) == 1


def test_stop_is_quick(machine):
    """A stop is seen soon after the service's death, and a short command returns at once."""
    seconds = {"start": [], "stop": []}
    for number in range(3):
        began = time.monotonic()
        machine.start(f"k{number}", STAY)
        seconds["start"].append(time.monotonic() - began)
        began = time.monotonic()
        machine.do("stop", f"k{number}")
        seconds["stop"].append(time.monotonic() - began)

    # 0.3 and 0.1 s on a quiet machine; nothing is waited for by the second.
    assert min(seconds["start"]) < 3
    assert min(seconds["stop"]) < 1


DYING = """
import os, signal, time
def end(*_):
    with open(os.environ['NOTE'], 'w') as file:
        file.write(str(time.monotonic()))
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print('ready', flush=True)
while True: signal.pause()
"""


def test_a_death_is_seen_at_once(plain, tmp_path):
    """`stop` has returned, and its process ended, soon after the service's death: 100 ms, if not busy."""
    note = tmp_path / "note"
    late = []
    for _ in range(5):
        hash_ = plain.start("web", python(DYING), env={"NOTE": str(note)})["hash"]
        plain.logged(hash_, rb"ready", len(late) + 1)
        plain.do("stop", "web")
        late.append(time.monotonic() - float(note.read_text()))

    assert min(late) < 0.4, late


def test_end_in_backoff_is_quick(plain):
    """Some 100 ms from the signal until the service is nobody's, and not the second of the backoff."""
    seconds = []
    for _ in range(5):
        # 0 where it has crashed a moment too late for a start that failed
        hash_ = json.loads(plain.call("start", "--no-tmux", "--key", "web", "--", "false").output)["hash"]
        plain.reached(hash_, "backoff")
        supervisor = plain.supervisor(hash_)
        began = time.monotonic()
        os.kill(supervisor, signal.SIGTERM)
        plain.ended(hash_)
        seconds.append(time.monotonic() - began)

    assert min(seconds) < 0.5, seconds


# what a script sees


def test_statuses(plain):
    """0 done or already so, 1 failed, 2 usage, 3 no such service, with candidates; others are still done."""
    plain.start("web", STAY)
    plain.start("api", STAY)
    assert plain.do("stop", "web") == "web stopped\n"
    assert plain.do("stop", "web") == "web is not running\n"
    assert plain.do("stop", "web", "api") == "web is not running\napi stopped\n"
    said = plain.refused("stop", "wbe", status=3)
    assert said.startswith("devport: cannot find service wbe")
    assert "web" in said
    for verb in ("stop", "restart", "rm", "which", "signal"):
        assert plain.call(verb).status == 2
        assert plain.call(verb, "nonsense").status == 3
        assert plain.call(verb, "web", "nonsense").status == 3
    assert plain.call("signal", "web").status == 1
    assert plain.call("signal", "-s", "NOPE", "web").status == 2
    assert plain.do("which", "web")


def test_nothing_prompts(plain):
    """Without a terminal no command asks anything, whatever it is given to read."""
    plain.start("web", STAY)
    for words in (
        ("ls",),
        ("which", "web"),
        ("logs", "web"),
        ("attach",),
        ("attach", "web"),
        ("stop", "web"),
        ("rm", "web"),
    ):
        read, write = plain.devport.pipe()
        if words == ("attach", "web"):
            continue  # follows the log
        done = plain.call(*words, stdin=read)
        assert done.status in (0, 1, 2)
        plain.devport.close(write)


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_lookers_hinder_nobody(plain, tally):
    """While three `ls` look all the time, no start is told that the service runs already (F55, G31)."""
    plain.start("web", STAY)
    plain.do("stop", "web")
    stop, looked = threading.Event(), []

    def look():
        while not stop.is_set():
            done = subprocess.run(
                [DEVPORT, "ls"], env=plain.environ, cwd=plain.project, capture_output=True, check=False
            )
            looked.append((done.returncode, done.stderr))

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(trials(8, 100)):
            done = plain.call("start", "--no-tmux", "--key", "web", "--", *STAY)
            assert (done.status, done.errors) == (0, b"")
            assert plain.do("stop", "web") == "web stopped\n"
            plain.devport.running.clear()
    finally:
        stop.set()
        for looker in lookers:
            looker.join()
    assert set(looked) == {(0, b"")}
    tally(trials(8, 100))


# another tool's records


def seeds_record(hash_, **fields):
    """A record as hayeah/devport writes it."""
    made = {
        "hash": hash_,
        "hashid": hash_[:3],
        "key": "",
        "port": 0,
        "no_port": False,
        "tailnet": False,
        "cwd": "",
        "cmd": [],
        "env": [],
        "last_up": "2026-01-02T03:04:05.123456789+01:00",
        "state": "",
        "error": "",
    }
    return json.dumps({**made, **fields}, indent=2)


def test_records_of_the_seeds_tool(machine):
    """A machine that has them keeps every port, and every verb works on them."""
    from devport.registry.identity import hash_of_command, hash_of_key  # noqa: PLC0415

    folder = machine.state / "services"
    folder.mkdir(parents=True)
    (machine.state / "locks").mkdir()
    command = argv("listener")
    env = [f"{name}={value}" for name, value in machine.environ.items()]
    cwd = str(machine.project)
    first = machine.devport.ports.first
    keyed, bare, portless, torn = (
        hash_of_key("web"),
        hash_of_command(cwd, command),
        hash_of_key("job"),
        "0123456789",
    )
    common = {"cwd": cwd, "cmd": command, "env": env}
    (folder / f"{keyed}.json").write_text(seeds_record(keyed, key="web", port=first + 7, **common))
    (folder / f"{bare}.json").write_text(seeds_record(bare, port=first + 3, state="running", **common))
    text = seeds_record(portless, key="job", no_port=True, last_up="0001-01-01T00:00:00Z", **common)
    (folder / f"{portless}.json").write_text(text)
    (folder / f"{torn}.json").write_text(seeds_record(torn, key="torn", port=first, **common)[:-40])

    done = machine.call("ls")
    rows = {row["hash"]: row for row in json.loads(done.output)}
    assert torn.encode() in done.errors
    assert {hash_: (row["status"], row["port"]) for hash_, row in rows.items()} == {
        keyed: ("stopped", first + 7),
        bare: ("stopped", first + 3),
        portless: ("stopped", None),
        torn: ("corrupt", first),
    }
    assert machine.json("which", "web")["hash"] == keyed
    assert machine.json("which", bare[:3])["port"] == first + 3
    assert machine.do("stop", "web") == "web is not running\n"
    assert machine.do("restart", "web") == "web started\n"
    machine.logged(keyed, f"ready {first + 7}".encode())
    assert machine.start("web", command)["port"] == first + 7
    assert machine.start(None, command)["port"] == first + 3
    machine.logged(bare, f"ready {first + 3}".encode())
    assert machine.start("new", command)["port"] == first + 1
    assert machine.do("stop", "web", bare).count("stopped") == 2
    ours = machine.record(keyed)
    assert {name: type(ours[name]).__name__ for name in json.loads(text)} == {
        **{name: type(value).__name__ for name, value in json.loads(text).items()},
    }
    assert machine.do("rm", "web") == f"web removed, port {first + 7} is free\n"
    assert (folder / f"{torn}.json").exists()
