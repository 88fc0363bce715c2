"""The export to runit, run by a real runsvdir: states, words, environment, restarts, stops, dependencies."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest
from support import procs, told

from devport.export import runit
from devport.export.target import Target
from devport.model import Dependency, Probe, RestartPolicy

pytestmark = pytest.mark.skipif(
    # CI installs it: there it is not to be missing.
    not os.environ.get("CI") and not all(map(shutil.which, ("runsvdir", "sv", "chpst", "svlogd"))),
    reason="runit is not installed",
)


class Runsvdir:
    """A private runsvdir on an export, and what `sv` says."""

    def __init__(self, folder, plan):
        self.folder = folder / "service"
        Target(str(self.folder), plan.app, "runit").write(runit.render(plan))
        self.process = subprocess.Popen(
            ["runsvdir", "-P", str(self.folder)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.names = [unit.name for unit in plan.units]
        procs.eventually(self._is_up)

    def _is_up(self):
        fifos = [pathlib.Path(self.folder, f"demo-{name}", "supervise/ok") for name in self.names]
        assert all(fifo.exists() for fifo in fifos)

    def sv(self, verb, name):
        """What `sv VERB` prints."""
        found = subprocess.run(
            ["sv", verb, str(self.folder / f"demo-{name}")], capture_output=True, text=True, check=False
        )
        return found.stdout

    def state(self, name):
        """`run`, `down`, `finish`; `again` where it is down but for the second before runsv starts it."""
        said = self.sv("status", name).split("; run: log:")[0]
        return "again" if "want up" in said else said.partition(":")[0]

    def is_state(self, name, wanted, timeout=20):
        """It comes to be in the state `wanted`."""

        def check():
            assert self.state(name) == wanted

        procs.eventually(check, timeout)

    def close(self):
        """Stop it with all that it runs."""
        for name in self.names:
            self.sv("down", name)
        for name in self.names:
            self.is_state(name, "down")
        self.process.send_signal(signal.SIGHUP)  # and every runsv gets a TERM
        self.process.wait(10)


@pytest.fixture
def start(tmp_path):
    """Start a runsvdir on a plan."""
    started = []

    def run(plan):
        started.append(Runsvdir(tmp_path, plan))
        return started[-1]

    yield run
    for one in started:
        one.close()


def test_runs(start, tmp_path):
    """Each service gets its words, environment and folder byte for byte; tasks and what is off wait."""
    plan = told.plan(str(tmp_path), log=str(tmp_path / "it's a log"))
    server = start(plan)

    for name in ("web.1", "text", "group"):
        told.check(told.read(tmp_path, name), plan.unit(name))
    assert server.state("task") == "down"
    assert server.state("off") == "down"
    server.sv("once", "task")
    told.check(told.read(tmp_path, "task"), plan.unit("task"))

    def check():
        log = tmp_path / "it's a log/demo-web.1/current"
        assert log.read_text().endswith(" told\n")

    procs.eventually(check)


def test_comes_back_and_stops(start, tmp_path):
    """What is killed is started again, with its group; a stop ends all of the group and leaves it so."""
    server = start(told.plan(str(tmp_path)))
    first = told.read(tmp_path, "group")
    assert first["group"] == first["pid"]
    (tmp_path / "group.json").unlink()
    os.kill(first["pid"], signal.SIGKILL)
    second = told.read(tmp_path, "group")

    assert second["pid"] != first["pid"]
    assert not procs.is_alive(first["child"])
    server.sv("down", "group")
    server.is_state("group", "down")
    assert not procs.is_alive(second["pid"])
    assert not procs.is_alive(second["child"])


def test_group_that_does_not_listen(start, tmp_path):
    """The stop signal is the service's own; SIGKILL comes after the grace, to all of the group."""
    plan = told.plan(str(tmp_path))
    text = f"trap '' INT; sleep 1000 & trap 'echo >{tmp_path}/int' INT; echo $! >{tmp_path}/child; wait; wait"
    one = plan.units[0]
    stubborn = one._replace(
        name="stubborn",
        argv=("/bin/sh", "-c", text),
        environment={},
        service=one.service._replace(stop=one.service.stop._replace(signal=signal.SIGINT.value, grace=3.0)),
    )
    server = start(plan._replace(units=(stubborn,)))

    def written():
        return int((tmp_path / "child").read_text() or "0") if (tmp_path / "child").exists() else 0

    def check():
        assert written()

    procs.eventually(check)
    server.sv("down", "stubborn")
    server.is_state("stubborn", "down")
    assert (tmp_path / "int").exists()
    assert not procs.is_alive(written())


def test_policies(start, tmp_path):
    """Never is never; a success ends it; failures do until there were too many."""
    plan = told.plan(str(tmp_path))

    def one(name, status, restart):
        text = f"echo >>{tmp_path}/{name}; exit {status}"
        return plan.units[0]._replace(
            name=name, argv=("/bin/sh", "-c", text), environment={}, restart=restart
        )

    units = (
        one("never", 1, RestartPolicy()),
        one("success", 3, RestartPolicy("on_failure", success=frozenset({0, 3}))),
        one("failure", 1, RestartPolicy("on_failure", 2)),
        one("always", 0, RestartPolicy("always", 1)),
    )
    server = start(plan._replace(units=units))
    for name, times in (("never", 1), ("success", 1), ("failure", 3), ("always", 2)):

        def check(name=name, times=times):
            assert (tmp_path / name).exists()
            assert (tmp_path / name).read_text() == "\n" * times

        procs.eventually(check, 20)
        server.is_state(name, "down")
        assert (tmp_path / name).read_text() == "\n" * times, name


def test_dependencies(start, tmp_path):
    """What waits for a task waits for its status, what waits for a service for its check."""
    plan = told.plan(str(tmp_path))

    def one(name, text, **policy):
        unit = plan.units[0]
        service = unit.service._replace(policy=unit.service.policy._replace(**policy))
        argv = ("/bin/sh", "-c", text)
        return unit._replace(name=name, argv=argv, environment={}, service=service)

    sleep = "exec sleep 1000"
    ready = Probe("exec", ("test", "-e", f"{tmp_path}/ready"))
    units = (
        one("good", f"echo good >>{tmp_path}/order", task=True),
        one("bad", "exit 3", task=True),
        one("db", f"touch {tmp_path}/ready; echo db >>{tmp_path}/order; {sleep}", ready=ready),
        one(
            "web",
            f"echo web >>{tmp_path}/order; touch {tmp_path}/web; {sleep}",
            after=(Dependency("good", "succeeded"), Dependency("bad", "completed"), Dependency("db")),
        ),
        one("never", f"touch {tmp_path}/never", after=(Dependency("bad", "succeeded"),)),
    )
    server = start(plan._replace(units=units))

    def check():
        assert (tmp_path / "web").exists()

    procs.eventually(check, 20)
    assert sorted((tmp_path / "order").read_text().split()) == ["db", "good", "web"]
    assert (tmp_path / "order").read_text().endswith("web\n")
    server.is_state("never", "down")
    assert not (tmp_path / "never").exists()


def test_stop_of_what_is_ending(start, tmp_path):
    """A second stop does not keep ./finish from ending what is left of the group."""
    plan = told.plan(str(tmp_path))
    child = f"trap '' TERM; echo $$ >{tmp_path}/child; while :; do sleep 0.1; done"
    one = plan.units[0]
    slow = one._replace(
        name="slow",
        argv=("/bin/sh", "-c", f'sh -c "{child.replace("$", chr(92) + "$")}" & exec sleep 1000'),
        environment={},
        service=one.service._replace(stop=one.service.stop._replace(grace=5.0)),
    )
    server = start(plan._replace(units=(slow,)))

    def check():
        assert (tmp_path / "child").exists()
        assert (tmp_path / "child").read_text()

    procs.eventually(check)
    server.sv("down", "slow")
    server.is_state("slow", "finish")
    server.sv("down", "slow")
    server.is_state("slow", "down")

    assert not procs.is_alive(int((tmp_path / "child").read_text()))
