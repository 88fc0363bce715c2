"""The mprocs.yaml of an export, run by mprocs in a terminal: words, environment, folders, ports."""

import shutil

import pytest
from support import told
from support.running import need

from devport.export import mprocs
from devport.export.target import Target
from devport.model import Dependency

READABLE = {name: value for name, value in told.HOSTILE.items() if name != "LATIN"}
"""What YAML can say: bytes that are no UTF-8 it cannot."""


@pytest.fixture
def plan(tmp_path):
    """The services of told.py that have something to say about mprocs."""
    plan = told.plan(str(tmp_path))
    units = []
    for unit in plan.units:
        argv = (*unit.argv[:3], *READABLE.values(), "--", "-n") if unit.name == "web.1" else unit.argv
        environment = {name: value for name, value in unit.environment.items() if name != "LATIN"}
        units.append(unit._replace(argv=argv, environment=environment))
    return plan._replace(units=tuple(units))


def test_runs(devport, plan, tmp_path):
    """Each service gets its words, environment, folder and ports byte for byte; what is off is off."""
    need("mprocs")
    Target(plan.root, plan.app, "mprocs").write(mprocs.render(plan))

    running = devport.spawn(
        [shutil.which("mprocs"), "--config", f"{plan.root}/mprocs.yaml"], terminal=(100, 30), cwd=tmp_path
    )
    for name in ("web.1", "text", "task", "group"):
        told.check(told.read(tmp_path, name), plan.unit(name))

    assert not (tmp_path / "off.json").exists()
    running.type(b"Q")  # kills them all, and ends
    assert running.finish() == 0


def test_waits_for_what_ends_at_once(devport, tmp_path):
    """What comes after a task that has ended before anybody looked starts all the same."""
    need("mprocs")
    plan = told.plan(str(tmp_path), odd=False)
    web, task = (plan.unit(name) for name in ("group", "task"))
    after = (Dependency("task", "succeeded"),)
    web = web._replace(service=web.service._replace(policy=web.service.policy._replace(after=after)))
    task = task._replace(argv=("/bin/true",))
    plan = plan._replace(units=(web, task))
    Target(plan.root, plan.app, "mprocs").write(mprocs.render(plan))

    running = devport.spawn(
        [shutil.which("mprocs"), "--config", f"{plan.root}/mprocs.yaml"], terminal=(100, 30), cwd=tmp_path
    )
    told.check(told.read(tmp_path, "group"), web)
    running.type(b"Q")
    assert running.finish() == 0
