"""Fixtures of all rings; each test of real processes gets a tag, and must leave nothing that carries it."""

import os
import signal
import uuid

import pytest
from support import procs
from support.running import Devport

REAL = {"e2e", "integration"}

# Under nohup, or behind a shell's `&`, these are ignored, and everything the tests start would inherit that.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


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
    harness = Devport(tmp_path, tag)
    yield harness
    harness.tear_down()
