"""Entries that no shell runs: variables in all of their commands; and paths that begin with a variable."""

import json
import os
import signal

import pytest
from support import background
from support.running import python

machine, plain = background.machine, background.plain

NO_SHELL = """
processes:
  db:
    exec: {serve}
    shell: false
    environment: {{MARK: $HOME/none}}
    ready: {{exec: test -n $PORT -a -e up-$PORT, period: 0.1}}
    live: {{exec: test -e up-$PORT, period: 0.1}}
    stop: {{exec: rm up-$PORT}}
tasks:
  done:
    exec: touch ran
    shell: false
    status: test -n $HOME
    after: db
"""
SERVE = (
    "import os, time; name = 'up-' + os.environ['PORT']; open(name, 'w').close();"
    " print('serving', flush=True)\nwhile os.path.exists(name): time.sleep(0.02)"
)


@pytest.fixture
def project(devport):
    """A service with commands of all kinds, and a task that has nothing to do."""
    serve = python(SERVE).removeprefix("exec ")
    devport.write("devport.yaml", NO_SHELL.format(serve=json.dumps(serve)))
    return devport


def test_in_the_foreground(project):
    """ready, live, stop and status see the service's variables as exec does."""
    run = project.start("db", "done")
    run.expect(rb"db is ready")
    run.expect(rb"skipped")
    run.send(signal.SIGINT)

    assert run.finish() == 130
    assert b"killing" not in run.output
    assert not (project.project / "ran").exists()


def test_in_the_background(plain, project):
    """The same from the record, which keeps the variables: PORT may be another next time."""
    plain.detach("db")
    plain.do("wait", "db", "-t", "20")
    hash_ = plain.row("db")["hash"]

    assert plain.record(hash_)["policy"]["ready"]["command"][:3] == ["test", "-n", "$PORT"]
    plain.do("stop", "db")
    assert plain.record(hash_)["run"]["status"] == 0


SOCKET = "processes: {api: {exec: exec sleep 1000, listen: [{name: a, kind: unix_stream, path: '%s'}]}}\n"


@pytest.mark.parametrize("path", ["$NOWHERE/admin.sock", "${NOWHERE}/admin.sock"])
def test_path_without_its_beginning(plain, devport, path):
    """A variable that is not set is an error, and no socket in the root folder, in both frames."""
    devport.write("devport.yaml", SOCKET % path)
    said = f"devport: cannot listen on {path} for api: NOWHERE is not set\n"
    run = devport.start()

    assert run.finish() == 1
    assert run.errors.decode() == said
    assert plain.call("start", "-d", *plain.flags).errors.decode() == said


def test_start_of_a_task_that_fails_at_once(plain, devport):
    """It is a start that failed, as that of a service is."""
    devport.write("devport.yaml", "tasks: {bad: exit 3, good: 'true'}\n")
    # Python runs this first. On a busy machine the end is not there within the usual moment.
    devport.write("python/sitecustomize.py", "from devport import background\nbackground.AT_ONCE = 10\n")
    path = os.pathsep.join(filter(None, (f"{devport.project}/python", os.environ.get("PYTHONPATH"))))
    done = plain.call("start", "-d", *plain.flags, "bad", env={"PYTHONPATH": path})

    assert done.status == 1
    assert done.errors.decode() == "devport: cannot start bad: exited with status 3\n"
    assert plain.call("start", "-d", *plain.flags, "good").status == 0


def test_rm_in_order(plain, devport):
    """What is removed with others is stopped after those that need it."""
    stay = "trap 'echo $PS >> order; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    services = {name: {"exec": stay} for name in ("db", "api", "web")}
    services["api"]["after"], services["web"]["after"] = ["db"], ["api"]
    devport.write("devport.yaml", json.dumps({"processes": services}))
    plain.detach()
    plain.do("wait", "-t", "20")
    for name in services:
        plain.logged(plain.row(name)["hash"], rb"up")
    plain.do("rm", "db", "api", "web")

    assert (devport.project / "order").read_text().split() == ["web", "api", "db"]
