"""What keeps a service from being spawned is its fault, and ends no loop."""

import pytest
from support.engine import engine, make_job, run_until, start

from devport.engine.lifecycle import State
from devport.errors import DevportError


@pytest.fixture
def loop():
    """A loop of the test's own."""
    with engine() as made:
        yield made


def test_port_that_cannot_be_looked_at(loop):
    """A check that fails itself is a reason not to start, and the others run on."""

    def check():
        raise DevportError("cannot use port 80: Too many open files")

    web, other = make_job(loop, ("true",), on="never"), make_job(loop, ("sleep", "1000"), name="other")
    web.check = check
    start(loop, other)
    start(loop, web)
    run_until(loop, lambda: web.lifecycle.state is State.FAILED and other.lifecycle.state is State.READY)

    assert web.lifecycle.fault == "cannot use port 80: Too many open files"
