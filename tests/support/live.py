"""What the supervisor of a service says of it, however long it takes.

`devport ls` gives up on a silent one in a quarter of a second, which a busy machine makes of a lively one,
and goes by the record: of a run in the foreground that has neither pid nor state. Nor does it tell all.
"""

from support.procs import eventually
from support.running import PATIENCE

from devport.errors import DevportError
from devport.registry.locks import held
from devport.remote import Remote


def row(devport, name):
    """The status of the service called `name`, once somebody runs it and answers."""
    return eventually(lambda: _row(devport, name), PATIENCE)


def reached(devport, name, state):
    """The same, once it is in `state`."""

    def check():
        found = _row(devport, name)
        assert found["state"] == state, found
        return found

    return eventually(check, PATIENCE)


def watched(devport, name="web", how="file"):
    """Wait until its files are looked at, `how` among the words for it: what was before is no change."""

    def check():
        found = _row(devport, name)
        assert how in found.get("watching", ""), found

    eventually(check, PATIENCE)


def _row(devport, name):
    holders = (held(str(lock)) for lock in (devport.state / "locks").glob("*.lock"))
    found = [one for one in holders if one is not None and one.name == name]
    assert found, f"nobody runs {name}"
    try:
        with Remote.connect(found[0], PATIENCE) as remote:
            [status] = remote.request("status", services=[name])["services"]
    except DevportError as error:  # it does not listen yet, say
        raise AssertionError(error) from error
    return status
