"""Fixtures of all rings; each test of real processes gets a tag, and must leave nothing that carries it."""

import os
import signal
import uuid

import pytest
from support import drill, procs
from support.running import Devport

REAL = {"e2e", "integration"}

# Under nohup, or behind a shell's `&`, these are ignored, and everything the tests start would inherit that.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser):
    """`--drill`: the long columns, for `make drill`."""
    parser.addoption("--drill", action="store_true", help="run everything as often as the drill does")
    parser.addoption("--seed", type=int, help="the seed of a random walk that is to be repeated")


def pytest_configure(config):
    """Said by the environment, so that workers and what they import know it too."""
    if config.getoption("--drill"):
        os.environ[drill.LONG] = "1"


def pytest_collection_modifyitems(config, items):
    """A test that is for the drill alone is left out, not skipped: a skip names a missing program."""
    if drill.is_long():
        return
    left = [item for item in items if item.get_closest_marker("drill_only")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not item.get_closest_marker("drill_only")]


@pytest.fixture
def tally(request):
    """Tell how many times the test has done a thing without a failure; the last call counts."""
    counts = []
    yield counts.append
    if counts and not getattr(request.node, "has_failed", False):
        drill.tell(request.node.nodeid, counts[-1])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Leave with the test whether it failed, for `tally`."""
    report = (yield).get_result()
    if call.when == "call" and report.failed:
        item.has_failed = True


@pytest.fixture(autouse=True)
def tag(request, monkeypatch):
    """A word in the environment of everything that the test starts; afterwards nothing that has it lives."""
    if REAL.isdisjoint(request.path.parts):
        yield ""
        return
    word = uuid.uuid4().hex
    monkeypatch.setenv(procs.TAG, word)
    yield word
    left = []
    try:
        procs.gone(word, 2)
    except AssertionError:
        left = procs.tree(word)
        procs.kill_all(word)
    assert left == [], "left running"
    assert procs.zombies(os.getpid()) == [], "not waited for"


@pytest.fixture
def devport(tag, tmp_path):
    """The installed devport in a project of its own."""
    assert tag, "what starts processes is in tests/e2e or tests/integration"
    harness = Devport(tmp_path, tag)
    yield harness
    harness.tear_down()
