"""Starting supervisors: what is said and kept where some cannot be begun; nothing is really started."""

import errno
import threading

import pytest

from devport import background, tmux
from devport.context import Context
from devport.errors import DevportError
from devport.registry.holder import this_process
from devport.registry.locks import Lock
from devport.registry.record import Record
from devport.registry.store import Store
from devport.tmux import Window, window_of

WINDOW = Window("@3", "/nowhere/tmux", "1/1")


@pytest.fixture
def context(tmp_path):
    """A machine without programs."""
    return Context({"PATH": "/nowhere"}, str(tmp_path), str(tmp_path / "state"))


@pytest.fixture
def store(context):
    """The store in its state folder."""
    made = Store(context.state_dir)
    made.prepare()
    return made


@pytest.fixture
def records(store):
    """Two services that have failed, one with its window still open."""
    made = [
        Record(f"{n:010x}", f"{n:010x}", name=name, cmd=("true",), env=("A=1",), state="failed", error="gone")
        for n, name in enumerate(("web", "api"))
    ]
    made[0] = made[0]._replace(run=WINDOW.as_run())
    store.write(made)
    return made


@pytest.fixture
def closed(monkeypatch):
    """The windows that were closed."""
    windows = []
    monkeypatch.setattr(tmux.Tmux, "close", lambda _self, *given: windows.extend(given))
    return windows


def test_no_more_processes(context, store, records, closed, monkeypatch):
    """Those that there are go on and are waited for; what was never begun says why."""
    threads = []

    def daemon(_context, hash_):
        if threads:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        ready = threading.Timer(
            0.1, lambda: store.update(hash_, lambda old: old._replace(state="ready", error=""))
        )
        threads.append(ready)
        ready.start()

    monkeypatch.setattr(background, "_daemon", daemon)
    web, api = background.launch(context, records, windows=False)
    threads[0].join()

    assert (web.record.state, web.error) == ("ready", "")
    assert api.error == "cannot start a process: Resource temporarily unavailable"
    assert closed == [WINDOW]


def test_unusable_tmux_changes_nothing(context, store, records):
    """Where no window can be opened at all, what is known of the last life is still known."""
    with pytest.raises(DevportError, match="cannot run tmux"):
        background.launch(context, records)

    assert [store.record(one.hash) for one in records] == records
    assert window_of(store.record(records[0].hash).run) == WINDOW


def test_what_ends_meanwhile(context, store, records, monkeypatch):
    """It ran when it was looked at, so it was not started, and is not said to run."""
    lock = Lock.acquire(store.lock_path(records[1].hash), this_process(context, "background"))
    monkeypatch.setattr(background, "_take_turns", lambda *_: lock.release() or [])
    monkeypatch.setattr(background, "_daemon", lambda *_: pytest.fail("it was started"))
    [outcome] = background.launch(context, records[1:], windows=False)

    assert (outcome.fresh, outcome.holder, outcome.error) == (False, None, "gone")
    store.update(records[1].hash, lambda old: old._replace(state="stopped", error=""))
    lock = Lock.acquire(store.lock_path(records[1].hash), this_process(context, "background"))
    monkeypatch.setattr(background, "_take_turns", lambda *_: lock.release() or [])
    [outcome] = background.launch(context, records[1:], windows=False)
    assert outcome.error == "it has just ended; start it again"
