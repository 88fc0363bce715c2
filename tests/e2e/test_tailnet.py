"""Services on the tailnet, from the command line: start, tailup, taildown, ls and rm, with stand-ins."""

import json
import os
import shlex
import socket
import sys

import pytest
from support.procs import eventually
from support.running import child
from support.tailscale import KEY, SUFFIX, Server, Standin

BARE = {"PATH": "/nonexistent"}  # an environment without tailscale
LISTENER = child("listener").removeprefix("exec ")


class Machine:
    """A project, a tailnet, and what is asked of them; every service ends with the test."""

    def __init__(self, devport, standin, server):
        self.devport, self.standin, self.server = devport, standin, server
        devport.environ.update(
            PATH=f"{standin.bin}:{os.environ['PATH']}",
            TAILSCALE_API_KEY=KEY,
            DEVPORT_TAILSCALE_API=server.base,
        )

    def call(self, *words, **options):
        """`devport WORDS`; its status, its stdout and its stderr."""
        done = self.devport.call(*words, **options)
        return done.status, done.output.decode(), done.errors.decode()

    def start(self, key, *words, command=LISTENER, **options):
        """A service in the background; what is printed about it, and stderr."""
        argv = ("start", "--no-tmux", "--key", key, *words, "--", *shlex.split(command))
        status, out, err = self.call(*argv, **options)
        assert status == 0, err
        return json.loads(out), err

    def row(self, key):
        """What `ls` has of a service; None for one that is not there."""
        rows = {one["key"]: one for one in json.loads(self.call("ls")[1])}
        return rows.get(key)

    def listens(self, key):
        """Wait until the service answers on its port."""
        port = self.row(key)["port"]

        def check():
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) == 0

        eventually(check)

    @property
    def serves(self):
        """The calls that changed what is served."""
        return [words for words in self.standin.words if words[0] == "serve" and words[1] != "status"]


@pytest.fixture
def machine(devport, tmp_path):
    """With a key, a program and an API that do what they should."""
    server = Server()
    made = Machine(devport, Standin(tmp_path / "tailscale"), server)
    yield made
    made.standin.behave("serve clear", {})
    made.call("rm", *(one["hash"] for one in json.loads(made.call("ls")[1])), "--force")
    server.close()


def test_start(machine):
    """`start --tailnet` prints the address that the service now has."""
    row, err = machine.start("web", "--tailnet")
    name = f"svc:{row['hashid']}"

    assert (row["tailnet"], row["url"]) == (True, f"https://{row['hashid']}.{SUFFIX}")
    assert row["status"] == "running"
    assert machine.serves == [["serve", "--service", name, f"http://localhost:{row['port']}"]]
    assert [one[0] for one in machine.server.approved] == [name]
    assert "warning" not in err
    assert f"let it answer {row['hashid']}.{SUFFIX}" in err


def test_start_without_tailnet(machine):
    """Nothing is exposed unless asked for, and nobody is asked."""
    row, _ = machine.start("web")

    assert (row["tailnet"], row["url"]) == (False, None)
    assert (machine.standin.calls, machine.server.requests) == ([], [])


def test_start_of_a_file(machine):
    """Entries with `tailnet: true`; a second start finds them running and asks nobody."""
    entries = {
        "web": {"exec": LISTENER, "tailnet": True},
        "worker": {"exec": "sleep 1000", "no-port": True},
    }
    machine.devport.write("devport.yaml", json.dumps({"processes": entries}))
    status, out, _ = machine.call("start", "-d", "--no-tmux")
    rows = {one["name"]: one for one in json.loads(out)}
    count = len(machine.standin.calls)
    again, _, err = machine.call("start", "-d", "--no-tmux")

    assert (status, again) == (0, 0)
    assert rows["web"]["url"] == f"https://{rows['web']['hashid']}.{SUFFIX}"
    assert rows["worker"]["url"] is None
    assert len(machine.standin.calls) == count
    assert "web, worker run already" in err


@pytest.mark.parametrize("fault", ["program", "status", "serve", "key", "api"])
def test_start_goes_on(machine, fault):
    """Whatever fails, the service runs, the status is 0, and a warning says why (G78)."""
    options = {}
    if fault == "program":
        options["env"] = BARE
    elif fault in {"status", "serve"}:
        machine.standin.behave(fault, {"status": 1, "err": "is tailscaled running?"})
    elif fault == "key":
        options["env"] = {"TAILSCALE_API_KEY": None}
    else:
        machine.server.answer("GET", status=500)
    row, err = machine.start("web", "--tailnet", **options)

    assert (row["status"], row["tailnet"]) == ("running", True)
    assert (row["url"] is None) == (fault in {"program", "status", "serve"})
    assert "devport: warning: cannot " in err
    assert "devport tailup web" in err


def test_restart_keeps_the_exposure(machine):
    """A heartbeat, a stop and a restart leave the record's word alone (G25)."""
    machine.start("web", "--tailnet")
    url = machine.row("web")["url"]
    assert machine.call("stop", "web")[0] == 0
    assert machine.call("restart", "web")[0] == 0

    assert (machine.row("web")["tailnet"], machine.row("web")["url"]) == (True, url)


def test_up_and_down(machine):
    """`tailup` says where, `taildown` that it is gone; each may be said twice."""
    machine.start("web")
    machine.listens("web")
    hashid = machine.row("web")["hashid"]
    url = f"https://{hashid}.{SUFFIX}"

    for _ in range(2):
        status, out, err = machine.call("tailup", "web")
        assert (status, out) == (0, f"web is at {url}\n"), err
        assert "warning" not in err
        assert machine.row("web")["url"] == url
    assert machine.call("taildown", "web") == (0, "web is no longer on the tailnet\n", "")
    assert machine.call("taildown", "web") == (0, "web is not on the tailnet\n", "")
    assert machine.row("web")["status"] == "running"
    assert (machine.row("web")["tailnet"], machine.row("web")["url"]) == (False, None)
    assert machine.serves[2:] == [["serve", "clear", f"svc:{hashid}"]]


def test_json(machine):
    """Both verbs, several targets: an array with a result or an error for each."""
    machine.start("web")
    machine.start("worker", "--no-port", command="sleep 1000")
    status, out, _ = machine.call("tailup", "web", "worker", "--json")
    up = {one["key"]: one for one in json.loads(out)}
    down = json.loads(machine.call("taildown", "--json", "web", "worker")[1])

    assert status == 1
    assert up["web"]["result"] == f"is at https://{up['web']['hashid']}.{SUFFIX}"
    assert up["worker"]["error"].endswith(": it has no port")
    assert [one["result"] for one in down] == ["is no longer on the tailnet", "is not on the tailnet"]


def test_tailup_refuses(machine):
    """What does not run, has no port, or is not known (G79)."""
    machine.start("web")
    machine.start("worker", "--no-port", command="sleep 1000")
    machine.call("stop", "web")
    stopped, without, unknown = (machine.call("tailup", word) for word in ("web", "worker", "nope"))
    machine.devport.procfile(entry="sleep 1000")
    never = machine.call("tailup", "entry")

    assert (stopped[0], without[0], unknown[0], never[0]) == (1, 1, 3, 1)
    assert stopped[2].endswith(": it is not running\n")
    assert without[2].endswith(": it has no port\n")
    assert never[2] == "devport: cannot expose entry: it is not running\n"
    assert machine.standin.calls == []
    assert machine.call("tailup")[0] == 2


def test_nothing_listens_yet(machine):
    """A service that does not answer is exposed with a warning."""
    machine.start("web", command="sleep 1000")
    status, _, err = machine.call("tailup", "web")

    assert status == 0
    assert f"nothing listens on its port {machine.row('web')['port']} yet" in err


def test_stranger_listens(machine):
    """A program that took the port of a running service is named before it is shown to anybody."""
    row, _ = machine.start("web", command="sleep 1000")
    stranger = machine.devport.spawn(shlex.split(LISTENER), env={"PORT": str(row["port"])})
    machine.listens("web")
    err = machine.call("tailup", "web")[2]
    stranger.stop()

    assert f"its port {row['port']} is answered by " in err
    assert f"(pid {stranger.pid}, user " in err


def test_foreground(machine):
    """A service in a terminal can be exposed as well, on the port that it has this time."""
    machine.devport.procfile(web=child("listener"))
    base = machine.devport.ports.last
    running = machine.devport.start("-p", str(base))
    running.expect(rb"ready \d+")
    status, out, _ = machine.call("tailup", "web")
    running.stop()

    assert status == 0
    assert out.startswith("web is at https://")
    assert machine.serves[0][3] == f"http://localhost:{base}"


def test_rm_withdraws(machine):
    """Exposure and definition go with the service."""
    row, _ = machine.start("web", "--tailnet")
    status, _, err = machine.call("rm", "web")

    assert (status, err) == (0, "")
    assert machine.serves[-1] == ["serve", "clear", f"svc:{row['hashid']}"]
    assert (machine.standin.served, machine.server.services, machine.row("web")) == ({}, {}, None)


def test_rm_keeps_what_is_exposed(machine):
    """While it cannot be withdrawn the record stays (G76); rm works once it can."""
    machine.start("web", "--tailnet")
    machine.standin.behave("serve clear", {"status": 1, "err": "no daemon"})
    status, _, err = machine.call("rm", "web")
    kept = machine.row("web")
    machine.standin.behave("serve clear", {})

    assert status == 1
    assert "it cannot be withdrawn from the tailnet: tailscale serve: no daemon" in err
    assert (kept["tailnet"], kept["url"] is not None) == (True, True)
    assert machine.call("rm", "web")[0] == 0


def test_rm_of_a_wish_without_tailscale(machine):
    """A service that never was exposed can be removed where there is no tailscale."""
    machine.start("web", "--tailnet", env=BARE)
    status, _, err = machine.call("rm", "web", env=BARE)

    assert (status, machine.row("web")) == (0, None), err


def test_forget(machine):
    """The way out where tailscale is gone for good."""
    machine.start("web", "--tailnet")
    refused = machine.call("rm", "web", env=BARE)
    forgotten = machine.call("taildown", "--forget", "web", env=BARE)

    assert refused[0] == 1
    assert "devport taildown --forget" in refused[2]
    assert forgotten[0] == 0
    assert machine.call("rm", "web", env=BARE)[0] == 0


def test_key_appears_nowhere(machine, tmp_path):
    """Not in a record, a log, an argument, a message, nor in the environment of service and program."""
    machine.server.answer("POST", status=500, body=json.dumps({"message": KEY}).encode())
    printing = "import os; print(dict(os.environ), flush=True); import select; select.select([], [], [])"
    _, err = machine.start("web", "--tailnet", command=shlex.join([sys.executable, "-c", printing]))
    said = [err, *machine.call("tailup", "web"), *machine.call("ls"), *machine.call("which", "web")]

    def printed():
        assert "PATH" in machine.call("logs", "web")[1]

    eventually(printed)
    said += [*machine.call("logs", "web"), *machine.call("rm", "nope"), *machine.call("taildown", "web")]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert KEY not in "".join(map(str, said))
    assert any(path.suffix == ".log" for path in files)
    assert any(path.suffix == ".json" and path.parent.name == "services" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
