"""A background service has the resource limits of the shell it was started from, whatever is above it."""

import json
import resource
import sys

import pytest
from support import background
from support.background import python
from support.running import DEVPORT

machine, plain = background.machine, background.plain

PRINT = (
    "import resource, signal; names = ('NOFILE', 'CORE', 'STACK', 'FSIZE');"
    "print(*(resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in names), flush=True);"
    "print('ready', flush=True); signal.pause()"
)
LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (123, 456));"
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0));"
    "resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, resource.RLIM_INFINITY));"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30)); os.execvp(sys.argv[1], sys.argv[1:])"
)
EXPECTED = rb"\(123, 456\) \(0, 0\) \(4194304, -1\) \(1073741824, 1073741824\)"


def limited(machine, *words):
    """What `devport WORDS` prints, called from a shell with limits of its own."""
    devport = machine.devport
    done = devport.spawn([sys.executable, "-c", LIMITED, DEVPORT, *words])
    assert done.finish() == 0, done.shown()
    return json.loads(done.output)


def test_limits_are_the_callers(machine):
    """At the start, and after a restart from a shell that has others."""
    machine.start("another", python("import signal; signal.pause()"))  # the tmux server is there already
    row = limited(machine, "start", *machine.flags, "--key", "web", "--", *python(PRINT))
    machine.logged(row["hash"], EXPECTED)
    machine.do("restart", "web")
    machine.logged(row["hash"], EXPECTED, 2)
    machine.do("stop", "web")
    machine.do("restart", "web")
    machine.logged(row["hash"], EXPECTED, 3)


def test_limits_that_cannot_be_had(plain):
    """A hard limit above the supervisor's, or one that nobody knows, keeps nothing from running."""
    row = plain.start("web", python(PRINT))
    plain.logged(row["hash"], rb"ready")
    plain.do("stop", "web")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    plain.rewrite(row["hash"], limits={"NOFILE": [50, 2**62], "CORE": [0, 0], "BOGUS": [1, 1]})
    plain.do("restart", "web")
    plain.logged(row["hash"], rb"\(50, \d+\) \(0, 0\)")

    found = plain.logged(row["hash"], rb"\(50, (\d+)\) \(0, 0\)")
    assert int(found[1]) <= max(hard, 2**30)


def test_record_without_limits(plain):
    """One of an earlier version leaves them as the supervisor has them."""
    row = plain.start("web", python(PRINT))
    plain.logged(row["hash"], rb"ready")
    plain.do("stop", "web")
    record = plain.record(row["hash"])
    del record["limits"]
    (plain.state / "services" / f"{row['hash']}.json").write_text(json.dumps(record))
    plain.do("restart", "web")
    first, second = (plain.logged(row["hash"], rb"(\(.*\))\r?\nready", n)[1] for n in (1, 2))

    assert first == second


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells another process's limits")
def test_supervisor_may_have_more(plain):
    """Whoever waits for the service has a connection to its supervisor: as many as can be."""
    row = limited(plain, "start", *plain.flags, "--key", "web", "--", *python(PRINT))
    plain.logged(row["hash"], EXPECTED)

    assert resource.prlimit(row["supervisor"], resource.RLIMIT_NOFILE) == (456, 456)
