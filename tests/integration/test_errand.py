"""Commands beside the services: their ends, their deadlines, and that they leave nothing."""

import time

import pytest
from support import procs
from support.engine import descriptors, engine, make_job, python, run_until, start

from devport.engine.process import Command
from devport.sources.errand import KEPT, Errand


@pytest.fixture
def loop():
    """A loop of the test's own."""
    with engine() as made:
        yield made


def command(*argv):
    """A Command of these words."""
    return Command(argv, {}, "/", "errand-test", {"PATH": "/usr/bin:/bin"})


def result(loop, *argv, timeout=20.0):
    """What `done` is told of an errand."""
    told = []
    Errand(loop, command(*argv), timeout, lambda *args: told.append(args))
    run_until(loop, lambda: told)
    return told[0]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", (0, b"")),
        ("echo no; exit 3", (3, b"no\n")),
        ("kill -9 $$", (-9, b"")),
        ("printf out; printf err >&2", (0, b"outerr")),
    ],
)
def test_ends(loop, script, expected):
    """Its status, and what it printed to either."""
    assert result(loop, "sh", "-c", script) == expected


def test_cannot_be_executed(loop):
    """A program that is not there ends with the shell's status for that."""
    assert result(loop, "/no/such/program") == (127, b"")


def test_keeps_the_last_of_its_output(loop):
    """However much there is."""
    status, output = result(loop, "sh", "-c", "yes | head -c 300000; echo end")

    assert status == 0
    assert len(output) == KEPT
    assert output.endswith(b"end\n")


def test_too_late(loop, tmp_path):
    """What takes too long is killed, with what it has started."""
    before, told = descriptors(), []
    words = ("sh", "-c", f"sleep 1001 & echo $!; touch {tmp_path}/said; wait")
    Errand(loop, command(*words), 1000, lambda *args: told.append(args))
    run_until(loop, (tmp_path / "said").exists)
    loop._clock = lambda: time.monotonic() + 1000  # as late as it may become, whatever it took to say that
    run_until(loop, lambda: told)
    ((status, output),) = told

    assert status is None
    assert not procs.is_alive(int(output))
    assert descriptors() <= before


@pytest.mark.parametrize("how", ["", "setsid "])
def test_leaves_nothing(loop, how):
    """Its leftovers are killed when it ends, and only then is it over."""
    status, output = result(loop, "sh", "-c", f"{how}sleep 1002 >/dev/null 2>&1 & echo $!")

    assert status == 0
    assert not procs.is_alive(int(output))


def test_cancelled(loop):
    """Cancelled, it ends as if it had been too late."""
    told = []
    errand = Errand(loop, command("sleep", "1003"), 100, lambda *args: told.append(args))
    errand.cancel()
    run_until(loop, lambda: told)

    assert told == [(None, b"")]


def test_does_not_touch_the_services(loop):
    """Neither the service nor a daemon of its, which devport has adopted, is the errand's."""
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "  os.setsid()\n"
        "  if os.fork() == 0: print(os.getpid(), flush=True); time.sleep(1000)\n"
        "  os._exit(0)\n"
        "time.sleep(1000)\n"
    )
    job = make_job(loop, python(code), name="web")
    printed = bytearray()
    job.taps.append(printed.extend)
    start(loop, job)
    run_until(loop, lambda: printed.endswith(b"\n") and int(printed) in loop.reaper.adopted())
    told = []
    Errand(loop, job.command._replace(argv=("sh", "-c", "true")), 10, lambda *args: told.append(args))
    run_until(loop, lambda: told)

    assert told[0][0] == 0
    assert job.process is not None
    assert procs.is_alive(job.process.pid)
    assert procs.is_alive(int(printed))
