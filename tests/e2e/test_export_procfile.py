"""The Procfile and the env file of an export, run by honcho and foreman: words, environment, ports."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from support import export_projects, told
from support.procs import eventually, idle

from devport.export import procfile
from devport.export.target import Target

MANAGERS = ["honcho", "foreman", "overmind", "hivemind", "goreman"]
IN_CI = {"honcho", "foreman"}
"""Those that CI installs: there they are not to be missing."""


def program(manager):
    """Where `manager` is; None where it is not installed."""
    beside = os.path.join(os.path.dirname(sys.executable), manager)
    return beside if os.path.exists(beside) else shutil.which(manager)


@pytest.fixture(params=MANAGERS)
def manager(request):
    """Each program that runs Procfiles and is here."""
    found = program(request.param)
    if found is None:
        why = f"{request.param} is not installed"
        (pytest.fail if os.environ.get("CI") and request.param in IN_CI else pytest.skip)(why)
    return found


@pytest.fixture
def start(tag):
    """Run a manager in a folder."""
    started = []

    def run(manager, folder):
        environ = {**os.environ, "LC_ALL": "C.UTF-8", "N": "mine", "PORT": "7000"}
        environ["OVERMIND_SOCKET"] = os.path.join(os.path.dirname(folder), "o.sock")
        log = open(os.path.join(os.path.dirname(folder), "log"), "wb")  # noqa: SIM115 - closed below
        with log:
            popen = subprocess.Popen(
                [manager, "start"], cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        started.append((popen, folder, log.name))
        return popen

    yield run
    for one, folder, log in started:
        if one.args[0].endswith("honcho"):
            eventually(lambda folder=folder, log=log: _told_of(folder, log), 20)
            idle(tag, 0.15)
        one.send_signal(signal.SIGTERM)
        one.wait(20)


def _told_of(folder, log):
    """Wait for the starts: a signal breaks honcho 2.0 before or while it tells of one."""
    with open(os.path.join(folder, "Procfile"), "rb") as procfile, open(log, "rb") as said:
        entries = [line for line in procfile if line.strip() and not line.startswith(b"#")]
        assert said.read().count(b" started (pid=") == len(entries)


def test_runs(start, manager, tmp_path):
    """Each entry gets its words, environment, folder and ports byte for byte."""
    plan = told.plan(str(tmp_path))
    units = tuple(unit for unit in plan.units if unit.name in {"web.1", "text", "group"})
    shared = {"SHARED": "postgres://u:p@host:5432/a?b=c", "BLANK": "a  b", "NOTHING": "", "EQUAL": "a=b,c"}
    units = tuple(unit._replace(environment={**shared, **unit.environment}) for unit in units)
    os.makedirs(f"{plan.root}/sub dir")
    alone = {**shared, "WHO": "group"}  # and without a child: foreman leaves grandchildren behind
    units = (*units[:2], units[2]._replace(cwd=f"{plan.root}/sub dir", environment=alone))
    plan = plan._replace(units=units)
    Target(plan.root, plan.app, "procfile").write(procfile.render(plan))

    start(manager, plan.root)

    for unit in units:
        found = told.read(tmp_path, unit.name)
        told.check(found, unit)
        assert found["env"]["N"] == "mine"  # nothing of the line's own is in the environment


def test_a_service_without_a_port(start, manager, tmp_path):
    """The PORT that these programs give to everybody is not there for a service that has none."""
    plan = told.plan(str(tmp_path), odd=False)
    group = plan.unit("group")._replace(environment={"WHO": "group"})
    Target(plan.root, plan.app, "procfile").write(procfile.render(plan._replace(units=(group,))))
    start(manager, plan.root)

    assert "PORT" not in told.read(tmp_path, "group")["env"]


@pytest.mark.parametrize("status", [0, 3])
def test_a_task(start, manager, tmp_path, status):
    """A task that has succeeded does not end the others; one that fails does, with its status."""
    plan = told.plan(str(tmp_path), odd=False)
    task = plan.unit("task")
    task = task._replace(environment={**task.environment, "TOLD_STATUS": str(status)})
    later = f"while ! [ -e '{tmp_path}/task.json' ]; do sleep 0.1; done; sleep 1; : >'{tmp_path}/later'"
    web = plan.unit("group")._replace(argv=("/bin/sh", "-c", f"{later}; exec sleep 1000"))
    Target(plan.root, plan.app, "procfile").write(procfile.render(plan._replace(units=(task, web))))
    popen = start(manager, plan.root)
    if status:
        assert popen.wait(20) == 3
        return

    def goes_on():
        assert (tmp_path / "later").exists()

    eventually(goes_on, 20)
    assert popen.poll() is None


def test_what_a_procfile_cannot_say():
    """A comment names it; without `restart:` nothing is lost, because nobody asked for it."""
    plan = export_projects.processes()
    text = procfile.render(plan)[0].content
    assert "# web: not carried over: after, ready, live\n" in text
    assert "# db: not carried over: stop.signal, stop.timeout\n" in text
    assert "# api: not carried over: after, ready, watchdog, restart\n" in text

    api = plan.unit("api")
    api = api._replace(service=api.service._replace(restart=None))
    said = procfile.render(plan._replace(units=(api,)))[0].content.splitlines()[0]
    assert said == "# api: not carried over: after, ready, watchdog"
