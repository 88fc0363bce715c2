"""Each format writes for the two fixed projects what is in tests/golden/export, byte for byte."""

import re
import signal

import pytest
from support import export_projects

from devport.export import formats
from devport.export.plan import Plan
from devport.model import Dependency, RestartPolicy, StopPolicy

CASES = [pytest.param(*case, id=case[0]) for case in export_projects.cases()]


@pytest.mark.parametrize(("path", "format_", "plan"), CASES)
def test_golden(path, format_, plan):
    """The files are as they were read once; `python -m tests.support.export_projects` makes them anew."""
    assert export_projects.rendered(format_, plan) == export_projects.golden(path)


@pytest.mark.parametrize(("path", "format_", "plan"), CASES)
def test_pure(path, format_, plan):
    """The same plan gives the same files, and none of them is one that all may read if it has a value."""
    first = export_projects.rendered(format_, plan)

    assert export_projects.rendered(format_, plan) == first
    readable = [
        line.partition(" ")[2]
        for line in first[export_projects.LISTING].decode().splitlines()
        if line.startswith(("0644 ", "0755 "))
    ]
    assert [name for name in readable if b"s3cr3t" in first[name] or b"here's 100" in first[name]] == []


def test_no_golden_is_left():
    """Every golden folder is that of a case."""
    folders = {
        file.relative_to(export_projects.GOLDEN).as_posix()
        for file in export_projects.GOLDEN.glob("*/*")
        if file.is_dir()
    }

    assert folders == {path for path, _, _ in export_projects.cases()}


@pytest.mark.parametrize("name", formats.OWN)
def test_what_is_not_exported_is_named(name):
    """Who waits for something that is not exported starts without it, and a comment says so."""
    one = export_projects.unit("web", ("run",), cwd="/srv", after=(Dependency("absent", "ready"),))
    files = formats.find(name).render(Plan("shop", "/srv", (one,)))
    text = "".join(file.content for file in files)

    assert re.search("[nN]ot carried over: .*after|absent, which it waits for", text)


@pytest.mark.parametrize(
    "name", ["systemd", "supervisord", "runit", "launchd", "upstart", "process-compose", "mprocs"]
)
def test_logs_are_named_for_the_project(name):
    """Two projects with a `web` do not write to one file in a folder that they share."""
    one = export_projects.unit("web", ("run",), cwd="/srv")
    files = formats.find(name).render(Plan("shop", "/srv", (one,), log="/var/log"))
    text = "".join(file.content for file in files)

    assert re.search(r"(/var/log/|file: )shop[-.]web(\.log)?", text)


@pytest.mark.parametrize("name", ["tmux", "procfile"])
def test_who_only_starts_says_so(name):
    """Who starts services and does no more for them says that `restart` and `stop` are lost."""
    stop = StopPolicy(signal.SIGINT, 12.0, ("down",))
    one = export_projects.unit("web", ("run",), cwd="/srv", stop=stop, restart=RestartPolicy("always", 3))
    [text, *_] = [file.content for file in formats.find(name).render(Plan("shop", "/srv", (one,)))]

    assert "ot carried over: stop.exec, stop.signal, stop.timeout, restart\n" in text
