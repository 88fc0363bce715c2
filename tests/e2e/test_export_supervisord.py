"""The export to supervisord, run by a real supervisord: states, words, environment, restarts, stops."""

import os
import signal
import subprocess
import sys
import xmlrpc.client

import pytest
from support import procs, told
from support.running import need_package

from devport.export import supervisord
from devport.export.target import Target

xmlrpc_of_supervisor = need_package("supervisor.xmlrpc", "supervisor")

CONF = """\
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}/logs

[unix_http_server]
file={folder}/s

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = {folder}/export/*.conf
"""


class Supervisord:
    """A private supervisord, and what it says."""

    def __init__(self, folder, plan):
        (folder / "logs").mkdir(exist_ok=True)
        Target(str(folder / "export"), plan.app, "supervisord").write(supervisord.render(plan))
        (folder / "supervisord.conf").write_text(CONF.format(folder=folder))
        with (folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "supervisord.conf")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._transport = xmlrpc_of_supervisor.SupervisorTransport(None, None, f"unix://{folder}/s")
        self.rpc = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=self._transport).supervisor

    def states(self):
        """The state of each program, by its name."""
        try:
            return {one["name"]: one["statename"] for one in self.rpc.getAllProcessInfo()}
        except OSError as error:
            raise AssertionError(f"supervisord does not answer: {error}") from error

    def close(self):
        """Stop it with all that it runs."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._transport.close()


@pytest.fixture
def start(tmp_path):
    """Start a supervisord on a plan."""
    started = []

    def run(plan):
        started.append(Supervisord(tmp_path, plan))
        return started[-1]

    yield run
    for one in started:
        one.close()


def test_runs(start, tmp_path):
    """Each program gets its words, environment and folder byte for byte; a task ends; off stays off."""
    plan = told.plan(str(tmp_path), log=str(tmp_path / "logs"))
    server = start(plan)

    for name in ("web.1", "text", "group", "task"):
        told.check(told.read(tmp_path, name), plan.unit(name))

    def check():
        assert server.states() == {
            "demo-web.1": "RUNNING",
            "demo-text": "RUNNING",
            "demo-group": "RUNNING",
            "demo-task": "EXITED",
            "demo-off": "STOPPED",
        }

    procs.eventually(check, 20)

    def logged():
        assert (tmp_path / "logs/demo-web.1.log").read_text() == "told\n"

    procs.eventually(logged)  # it is told first, and said then
    assert not (tmp_path / "off.json").exists()


def test_comes_back_and_stops(start, tmp_path):
    """What is killed is started again; a stop ends all of the group and leaves it so."""
    server = start(told.plan(str(tmp_path)))
    first = told.read(tmp_path, "group")

    def running():
        assert server.states()["demo-group"] == "RUNNING"

    procs.eventually(running, 20)
    (tmp_path / "group.json").unlink()
    os.killpg(first["group"], signal.SIGKILL)
    second = told.read(tmp_path, "group")

    assert second["pid"] != first["pid"]
    assert second["child"]
    procs.eventually(running, 20)
    server.rpc.stopProcess("demo:demo-group")
    assert server.states()["demo-group"] == "STOPPED"

    def ended():
        assert not procs.is_alive(second["pid"])
        assert not procs.is_alive(second["child"])

    procs.eventually(ended)
