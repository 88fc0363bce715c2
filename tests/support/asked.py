"""A supervisor asked over its control socket, as any client may: who does not answer there is not well.

`devport ls` gives up on a silent supervisor in a quarter of a second, and goes by its lock: it tells nothing.
"""

import time

from support.procs import eventually
from support.running import PATIENCE

from devport.registry.locks import held
from devport.remote import Remote


def holder(devport, name):
    """Who runs the service called `name`, once it listens."""
    holders = (held(str(lock)) for lock in (devport.state / "locks").glob("*.lock"))
    [found] = [one for one in holders if one is not None and one.name == name]
    answer(found)
    return found


def answer(supervisor):
    """Seconds until a client that has just come has its answer; DevportError where it gets none."""
    before = time.monotonic()
    with Remote.connect(supervisor, PATIENCE) as remote:
        assert remote.request("status")["ok"] is True
    return time.monotonic() - before


def reached(supervisor, name, *states):
    """Wait until the service called `name` is in one of `states`, as `supervisor` says."""
    with Remote.connect(supervisor, PATIENCE) as remote:

        def check():
            [row] = remote.request("status", services=[name])["services"]
            assert row["state"] in states, row

        eventually(check, PATIENCE)
