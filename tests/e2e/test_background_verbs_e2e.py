"""ls, stop, restart, rm, signal, logs, wait and down on services that really run, front and back."""

import json
import os
import signal
import time

import pytest
from support import procs
from support.running import DEVPORT, child, python


class Verbs:
    """What the verbs say in the project of `devport`."""

    def __init__(self, devport):
        self.devport = devport

    def __call__(self, *words, status=0):
        """The lines that `devport WORDS` prints, after it ended with `status`."""
        done = self.devport.call(*words)
        assert done.status == status, done.shown()
        return done.output.decode().splitlines()

    def error(self, *words, status=1):
        """What `devport WORDS` prints on stderr, after it ended with `status`."""
        done = self.devport.call(*words)
        assert done.status == status, done.shown()
        return done.errors.decode()

    def ls(self, *options):
        """The services by name."""
        return {one["name"]: one for one in json.loads("\n".join(self("ls", *options)))}

    def pid(self, name):
        """The pid of a running service."""

        def check():
            pid = self.ls()[name]["pid"]
            assert pid, f"{name} has no pid"
            return pid

        return procs.eventually(check)

    def background(self):
        """Start the project's entries, without windows."""
        self("start", "-d", "--no-tmux")


@pytest.fixture
def verbs(devport):
    """The verbs; in the end everything of the project is stopped."""
    made = Verbs(devport)
    yield made
    devport.call("down")


def listens(port):
    """Whether something does on `port`."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(f":{port:04X} 00000000:0000 0A" in line for line in table)


# in the foreground


def test_foreground_services_one_by_one(devport, verbs):
    """Stop, restart and signal one service from another terminal; the run and its other services go on."""
    devport.procfile(web=child("signals"), api=child("signals"))
    run = devport.start()
    run.ready("web", "api")
    before = verbs.ls()

    assert {one["status"] for one in before.values()} == {"running"}
    assert verbs("stop", "api") == ["api stopped"]
    assert verbs("stop", "api") == ["api is not running"]
    # A run that is busy costs `ls` its details.
    procs.eventually(lambda: need_status(verbs.ls()["api"], "stopped"))
    procs.eventually(lambda: need_names(verbs.ls("--active"), "web"))
    assert verbs("restart", "api", "web") == ["api started", "web restarted"]
    after = verbs.ls()
    assert after["web"]["pid"] != before["web"]["pid"]
    assert after["web"]["supervisor"] == before["web"]["supervisor"]
    assert [one["port"] for one in after.values()] == [one["port"] for one in before.values()]
    verbs("wait")
    assert verbs("signal", "-s", "USR1", "web") == ["web got SIGUSR1"]
    run.expect(rb"web +\| got SIGUSR1")
    assert "got SIGUSR1" in verbs("logs", "web")
    assert verbs("down") == ["api stopped", "web stopped"]
    assert run.finish() == 143


def test_rm_leaves_a_terminal_alone(devport, verbs):
    """What somebody sits in front of is removed with --force only, and then its whole run ends."""
    devport.procfile(web=child("signals"), api=child("signals"))
    run = devport.start()
    run.ready("web", "api")

    assert verbs.error("rm", "web").startswith("devport: cannot remove web: it runs in a terminal (pid ")
    assert len(verbs("rm", "--force", "web")) == 1
    assert run.finish() == 143
    assert list(verbs.ls()) == ["api"]


def test_devport_run_is_stopped_and_waited_for(devport, verbs):
    """A command in somebody's terminal is a service too, though one without a control socket."""
    devport.procfile(web=child("signals"))
    run = devport.run("web")

    assert verbs("wait", "web") == ["web is running"]
    run.expect(rb"ready")
    assert "it goes to a terminal" in verbs.error("logs", "web")
    assert verbs("stop", "web") == ["web stopped"]
    run.finish()


def test_logs_follow_a_foreground_run(devport, verbs):
    """Prefixed as there, from another terminal, until that run ends."""
    devport.procfile(web=child("signals"), api=child("signals"))
    run = devport.start()
    run.ready("web", "api")
    follower = devport.spawn([DEVPORT, "logs", "-f"])
    follower.expect_all(rb"^[\d:]{8} api +\| ready", rb"^[\d:]{8} web +\| ready")

    verbs("signal", "-s", "USR2", "api")
    follower.expect(rb"^[\d:]{8} api +\| got SIGUSR2$")
    verbs("down")

    assert follower.finish() == 0
    run.finish()


# in the background


def test_stop_waits_until_the_port_is_free(devport, verbs):
    """When `stop` returns, neither the service nor its port nor its supervisor is there any more."""
    devport.procfile(web=child("listener"))
    verbs.background()
    port = verbs.ls()["web"]["port"]
    procs.eventually(lambda: need_listener(port))
    found = verbs.ls()["web"]

    assert verbs("stop", "web") == ["web stopped"]
    assert not listens(port)
    assert not procs.is_alive(found["pid"])
    procs.eventually(lambda: need_end(found["supervisor"]))  # it has its lock no more, and has just to exit
    assert verbs("stop", str(port)) == ["web is not running"]
    assert verbs.ls()["web"]["port"] == port


def test_stop_of_many_takes_as_long_as_the_slowest(devport, verbs):
    """All are told before one is waited for."""
    devport.write(
        "devport.yaml",
        json.dumps(
            {
                "processes": {
                    f"web{n}": {"exec": child("stubborn"), "stop-timeout": 3, "no-port": True}
                    for n in range(4)
                }
            }
        ),
    )
    verbs.background()
    for name in verbs.ls():
        procs.eventually(lambda name=name: need_line(verbs("logs", name), "ready"))
    began = time.monotonic()

    verbs("stop", "web0", "web1", "web2", "web3")

    assert 3 <= time.monotonic() - began < 4 * 3


def need_line(lines, line):
    assert line in lines, lines


def need_listener(port):
    assert listens(port)


def need_end(pid):
    assert not procs.is_alive(pid)


def need_names(found, *names):
    assert sorted(found) == sorted(names)


def test_killed_supervisor(devport, verbs):
    """The service dies with it, `ls` says so at once, and `restart` brings it back on the same port."""
    devport.procfile(web=child("signals"))
    verbs.background()
    before = verbs.ls()["web"]

    os.kill(before["supervisor"], signal.SIGKILL)
    procs.eventually(lambda: need_status(verbs.ls()["web"], "stopped"))
    procs.eventually(lambda: need_end(before["pid"]))

    assert verbs("stop", "web") == ["web is not running"]
    assert verbs("restart", "web") == ["web started"]
    assert verbs.ls()["web"]["port"] == before["port"]


def need_status(service, status):
    assert service["status"] == status, service


def test_supervisor_that_hangs(devport, verbs):
    """It costs `ls` a quarter of a second, not its answer; whoever is told to stop obeys later."""
    devport.procfile(web=child("signals"))
    verbs.background()
    found = verbs.ls()["web"]
    os.kill(found["supervisor"], signal.SIGSTOP)
    began = time.monotonic()

    hung = verbs.ls()["web"]

    assert time.monotonic() - began < 5
    assert (hung["status"], hung["pid"], hung["uptime"]) == ("running", found["pid"], None)
    os.kill(found["supervisor"], signal.SIGCONT)
    assert verbs("stop", "web") == ["web stopped"]


def test_stop_during_backoff(devport, verbs):
    """It does not wait for the next try."""
    entry = {"exec": "exit 3", "restart": {"delay": 30}}
    devport.write("devport.yaml", json.dumps({"processes": {"web": entry}}))
    devport.call("start", "-d", "--no-tmux")
    procs.eventually(lambda: need_state(verbs.ls()["web"], "backoff"))
    began = time.monotonic()

    assert verbs("stop", "web") == ["web stopped"]
    assert time.monotonic() - began < 15
    assert "exited with status 3" in "\n".join(verbs("logs", "web"))


def need_state(service, state):
    assert service["state"] == state, service


def test_many_stop_at_once(devport, verbs):
    """Every one of them succeeds: it is so in the end."""
    devport.procfile(web=child("signals"))
    verbs.background()
    started = [devport.spawn([DEVPORT, "stop", "web"]) for _ in range(8)]

    assert {one.finish() for one in started} == {0}
    assert verbs.ls()["web"]["status"] == "stopped"


def test_restart_keeps_environment_and_port(devport, verbs):
    """From a shell with hardly any environment: the service gets what it was registered with."""
    code = (
        "import os, select; print('ready', sorted(os.environ.items()), flush=True); select.select([], [], [])"
    )
    devport.procfile(web=python(code))
    devport.environ["SECRET"] = "s3cr3t"
    verbs.background()
    procs.eventually(lambda: need_count(verbs("logs", "web"), 1))
    few = {
        "PATH": os.environ["PATH"],
        "DEVPORT_HOME": devport.environ["DEVPORT_HOME"],
        procs.TAG: devport.tag,
    }
    devport.environ = few

    verbs("restart", "web")
    procs.eventually(lambda: need_count(verbs("logs", "web"), 2))
    verbs("stop", "web")
    verbs("restart", "web")
    procs.eventually(lambda: need_count(verbs("logs", "web"), 3))

    lines = {line for line in verbs("logs", "web") if line.startswith("ready")}
    assert len(lines) == 1
    assert "s3cr3t" in lines.pop()
    assert "s3cr3t" not in "".join(verbs("ls") + verbs("which", "web"))


def need_count(lines, count):
    assert sum(line.startswith("ready") for line in lines) == count, lines


def test_hangup_restarts_in_place(devport, verbs):
    """The default signal: another process, the same supervisor."""
    devport.procfile(web=child("signals"))
    verbs.background()
    before = verbs.ls()["web"]

    assert verbs("signal", "web") == ["web restarts"]

    def check():
        after = verbs.ls()["web"]
        assert after["pid"] not in (None, before["pid"])
        assert after["supervisor"] == before["supervisor"]

    procs.eventually(check)


def test_rm_leaves_nothing_behind(devport, verbs):
    """Neither process nor file; the port goes to the next one."""
    devport.procfile(web=child("signals"))
    verbs.background()
    before = verbs.ls()["web"]

    assert verbs("rm", "web") == [f"web removed, port {before['port']} is free"]
    assert not procs.is_alive(before["pid"])
    left = [name for _, _, names in os.walk(devport.state) for name in names]
    assert [name for name in left if before["hash"] in name] == []
    assert verbs.ls() == {}
    verbs.background()
    assert verbs.ls()["web"]["port"] == before["port"]


def test_rm_and_start_in_turn(devport, verbs):
    """A removed service is as if it had never been, however often; there is never a second one."""
    devport.procfile(web=child("signals"))
    for _ in range(5):
        verbs.background()
        procs.eventually(lambda: need_one(devport))  # between two programs it has no words
        verbs("rm", "web")
    procs.gone(devport.tag, 10)


def need_one(devport):
    assert len([one for one in procs.tree(devport.tag) if "signals.py" in one.command]) == 1


def test_wait_for_what_fails_for_good(devport, verbs):
    """Not the whole time: at once, with the reason."""
    entry = {"exec": "sleep 0.2; exit 7", "restart": {"on": "never"}, "no-port": True}
    devport.write("devport.yaml", json.dumps({"processes": {"web": entry}}))
    devport.call("start", "-d", "--no-tmux")

    def check():
        assert verbs.ls()["web"]["state"] in {"failed", "exited"}

    procs.eventually(check)
    began = time.monotonic()

    assert verbs.error("wait", "web") == "devport: cannot wait for web: it failed: exited with status 7\n"
    assert time.monotonic() - began < 15  # and not two minutes


def test_wait_and_start_at_the_same_time(devport, verbs):
    """`devport start & devport wait`: even before anything is registered."""
    devport.procfile(web=child("signals"), api=child("signals"))
    waiting = devport.spawn([DEVPORT, "wait", "web", "api"])
    run = devport.start()

    assert waiting.finish() == 0
    assert waiting.output == b"web is ready\napi is ready\n"
    run.stop()


def test_wait_for_the_whole_project(devport, verbs):
    """Without a target: until something runs, and then all that does."""
    devport.procfile(web=child("signals"), api=child("signals"))
    waiting = devport.spawn([DEVPORT, "wait"])
    run = devport.start()

    assert waiting.finish() == 0
    assert sorted(waiting.output.splitlines()) == [b"api is ready", b"web is ready"]
    run.stop()


def test_wait_says_what_for(devport):
    """At a terminal one line tells that nothing runs yet; it goes when something does."""
    devport.procfile(web=child("signals"))
    waiting = devport.spawn([DEVPORT, "wait"], terminal=(100, 24))
    waiting.expect(rb"\r\d s  this project: nothing of it has begun to run yet\x1b\[K")
    run = devport.start()

    assert waiting.finish() == 0
    assert waiting.output.endswith(b"\r\x1b[Kweb is ready\r\n")
    run.stop()


def test_logs_follow_through_a_restart(devport, verbs):
    """One view of all its lives, until Ctrl-C, which ends the view only."""
    devport.procfile(web=child("signals"))
    verbs.background()
    follower = devport.spawn([DEVPORT, "logs", "-f", "web"])
    follower.expect(rb"^ready (\d+)$")

    verbs("restart", "web")
    follower.expect(rb"^got SIGTERM$")
    follower.expect(rb"^ready (\d+)$")
    verbs("stop", "web")
    verbs("restart", "web")
    follower.expect(rb"^ready (\d+)$")
    follower.send(signal.SIGINT)

    assert follower.finish() in (130, -signal.SIGINT)
    assert b"\r" not in follower.output
    assert verbs.ls()["web"]["status"] == "running"


def test_logs_into_a_closed_pipe(devport, verbs):
    """`logs -f | head` ends though the service says nothing more."""
    devport.procfile(web=child("signals"))
    verbs.background()
    reading, writing = devport.pipe()
    follower = devport.spawn([DEVPORT, "logs", "-f", "web"], stdout=writing)
    devport.close(writing)
    os.read(reading, 1)
    devport.close(reading)

    assert follower.finish() == 141


def test_logs_of_a_chatty_service(devport, verbs):
    """A megabyte a second is followed without a loss."""
    count = 60000
    code = f"import select; [print('line', n) for n in range({count})]; print('end', flush=True);"
    code += " select.select([], [], [])"
    devport.procfile(web=python(code))
    verbs.background()
    follower = devport.spawn([DEVPORT, "logs", "-f", "-n", "1000000", "web"])
    follower.expect(rb"^end$")
    follower.send(signal.SIGINT)
    follower.finish()

    lines = [line for line in follower.output.splitlines() if line.startswith(b"line ")]
    assert lines == [b"line %d" % n for n in range(count)]


def test_down_stops_this_project_only(devport, verbs):
    """In the back and in front; the other checkout goes on."""
    other = devport.folder / "other"
    other.mkdir()
    devport.procfile(web=child("signals"), api=child("signals"))
    devport.procfile(other, web=child("signals"))
    verbs("start", "-d", "--no-tmux", "web")
    run = devport.start("api")
    run.ready("api")
    there = devport.call("start", "-d", "--no-tmux", cwd=other)
    assert there.status == 0

    assert verbs("down") == ["api stopped", "web stopped"]
    assert run.finish() == 143
    [left] = json.loads("\n".join(verbs("ls", "--active")))
    assert left["project"] == str(other)
    assert devport.call("down", cwd=other).output == b"web stopped\n"
    assert devport.call("down", cwd=other).errors == b"devport: nothing of this project is running\n"


def test_down_of_what_was_stopped_before(devport, verbs):
    """It is not said to be stopped once more when the run around it ends."""
    devport.procfile(web=child("signals"), api=child("signals"))
    run = devport.start()
    run.ready("api")
    verbs("stop", "web")

    assert verbs("down") == ["api stopped", "web was not running"]
    assert run.finish() == 143


def test_wait_for_a_project_whose_work_is_done(devport, verbs):
    """What has completed is settled, with a target and without one (status 0)."""
    devport.procfile(web="exit 0", api=child("signals"))
    verbs.background()
    procs.eventually(lambda: need_state(verbs.ls()["web"], "exited"))

    assert sorted(verbs("wait")) == ["api is ready", "web has completed"]
    assert verbs("wait", "web") == ["web has completed"]
    verbs("stop", "api")
    assert verbs("wait", "-t", "30") == ["web has completed"]


def test_restart_without_tmux(devport, verbs):
    """Where tmux is missing, the hint of `restart` is an option that it has."""
    devport.procfile(web=child("signals"))
    verbs.background()
    verbs("stop", "web")
    path = devport.state / "services" / f"{verbs.ls()['web']['hash']}.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "run": {"window": "@3"}}))
    nowhere = {"PATH": str(devport.folder)}

    said = devport.call("restart", "web", env=nowhere)
    assert b"cannot run tmux" in said.errors
    assert b"; --no-tmux runs services without windows" in said.errors
    done = devport.call("restart", "--no-tmux", "web", env=nowhere)
    assert done.output == b"web started\n", done.shown()


def test_ls_of_a_real_terminal(devport, verbs):
    """The table has uptime, CPU and memory of what runs, and fits the window."""
    devport.procfile(web=child("signals"))
    verbs.background()
    verbs("wait")

    def check():
        shown = devport.call("ls", terminal=(100, 24), env={"NO_COLOR": "1"})
        title, web = shown.output.decode().replace("\r", "").splitlines()[:2]
        words = web.split()
        assert len(words) > 8, web

        assert title.split()[-1] == "COMMAND"
        assert words[2] == "running"
        assert words[5] == "0"
        assert words[6].endswith("%")
        assert words[7].endswith("M")
        assert len(web) <= 100

    procs.eventually(check)  # a supervisor that does not answer at once has no uptime
