"""Fixtures of all rings; each test of real processes gets a tag, and must leave nothing that carries it."""

import os
import signal
import uuid

import pytest
from hypothesis import HealthCheck, settings
from promises import entry
from support import drill, procs
from support.running import LEAVING, Devport

REAL = {"e2e", "integration"}

# How long an example takes is the machine's affair. (Where CI is set, hypothesis thinks so too.)
settings.register_profile(
    "devport", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("devport")

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


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(config, items):
    """The drill runs every test that holds a promise; what is for the drill alone is left out elsewhere.

    It is not skipped there: a skip names a missing program.
    """
    if drill.is_long():
        promised = {test for one in entry.every().values() for test in one.tests}
        for item in items:
            if item.nodeid.partition("[")[0] in promised:
                item.add_marker("drill")
        return
    left = [item for item in items if item.get_closest_marker("drill_only")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not item.get_closest_marker("drill_only")]


TALLY = pytest.StashKey[list[int]]()
FAILED = pytest.StashKey[bool]()


@pytest.fixture
def tally(request):
    """Tell how many times the test has done a thing; the last call counts. A test without it counts once."""
    return request.node.stash.setdefault(TALLY, []).append


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Count the test for docs/promises.md, once all of it is over."""
    report = (yield).get_result()
    if report.skipped:
        item.stash[TALLY] = [0]
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    if call.when == "teardown":
        counts = item.stash.get(TALLY, []) or [1]
        drill.tell(item.nodeid, counts[-1], failures=int(item.stash[FAILED]))


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
        procs.gone(word, LEAVING)
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
