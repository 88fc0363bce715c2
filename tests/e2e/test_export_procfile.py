"""The Procfile and the env file of an export, run by honcho and foreman: words, environment, ports."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from support import told

from devport.export import procfile
from devport.export.target import Target

MANAGERS = ["honcho", "foreman", "overmind", "hivemind", "goreman"]


def program(manager):
    """Where `manager` is; None where it is not installed."""
    beside = os.path.join(os.path.dirname(sys.executable), manager)
    return beside if os.path.exists(beside) else shutil.which(manager)


@pytest.fixture(params=MANAGERS)
def manager(request):
    """Each program that runs Procfiles and is here."""
    found = program(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


@pytest.fixture
def start():
    """Run a manager in a folder."""
    started = []

    def run(manager, folder):
        environ = {**os.environ, "LC_ALL": "C.UTF-8", "N": "mine", "PORT": "7000"}
        environ["OVERMIND_SOCKET"] = os.path.join(os.path.dirname(folder), "o.sock")
        log = open(os.path.join(os.path.dirname(folder), "log"), "wb")  # noqa: SIM115 - closed below
        with log:
            started.append(
                subprocess.Popen(
                    [manager, "start"],
                    cwd=folder,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    yield run
    for one in started:
        one.send_signal(signal.SIGTERM)
        one.wait(20)


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
