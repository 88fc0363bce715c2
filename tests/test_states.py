"""What `ls` says of a state, the one line about what is waited for, and which tasks run again."""

import os
import pty
import termios

import pytest

from devport.commands.progress import Progress
from devport.commands.standing import without_done
from devport.commands.states import words
from devport.context import Context
from devport.inventory.order import levels, needed
from devport.inventory.rows import Row, Status, fields
from devport.model import Dependency, Policy, Service
from devport.registry.locks import Holder
from devport.registry.record import Record


def row(status=Status.RUNNING, *, live=None, state="", error="", run=None, **policy):
    """A row whose supervisor says `live`, or whose record says the rest."""
    record = Record("0" * 10, "000", name="web", state=state, error=error, run=run or {}, policy=policy)
    holder = Holder(7, "1", "now", "background") if status is Status.RUNNING else None
    return Row(record, status, holder, live or {})


@pytest.mark.parametrize(
    ("live", "policy", "expected"),
    [
        ({"state": "ready"}, {}, "running"),
        ({"state": "ready"}, {"ready": {"kind": "tcp"}}, "ready"),
        (
            {"state": "ready", "status_text": "4 clients"},
            {"ready": {"kind": "notify"}},
            "ready: 4 clients",
        ),
        ({"state": "waiting", "waiting_for": "db, migrate to succeed"}, {}, None),
        ({"state": "waiting", "waiting_for": "a connection"}, {}, "waiting for a connection"),
        (
            {"state": "starting", "not_ready": "connection refused"},
            {},
            "starting, not ready: connection refused",
        ),
        ({"state": "starting"}, {"external": True}, "starting (external)"),
        ({"state": "backoff", "retry_in": 3.2, "error": ""}, {}, "backoff 4 s"),
        ({"state": "backoff", "error": "exited with status 1"}, {}, "backoff: exited with status 1"),
        ({"state": "ready"}, {"task": True}, "running (task)"),
        ({"state": "stopping"}, {}, "stopping"),
    ],
)
def test_state_of_what_runs(live, policy, expected):
    """The state, what kind of thing it is, and why."""
    assert words(row(live=live, **policy)) == (expected or f"waiting for {live['waiting_for']}")


def test_state_of_what_does_not_run():
    """How it ended; and one line is enough for any reason."""
    ended = row(Status.STOPPED, state="exited", run={"status": 0}, task=True)
    failed = row(Status.STOPPED, state="failed", error="x" * 500)

    assert words(ended) == "exited 0 (task)"
    assert words(failed).startswith("failed: xxx")
    assert len(words(failed)) < 60
    assert words(row(Status.STOPPED)) == "stopped"


def test_reasons_for_programs():
    """Null or false where there is nothing to say."""
    quiet = fields(row(live={"state": "ready"}))
    told = fields(
        row(
            live={
                "state": "backoff",
                "retry_in": 1.5,
                "waiting_for": "",
                "not_ready": "no",
                "status": 3,
                "listening": True,
            },
            task=True,
            external=True,
        )
    )
    names = ("exit_status", "waiting_for", "not_ready", "retry_in", "status_text")

    assert [quiet[name] for name in names] == [None] * 5
    assert [quiet[name] for name in ("listening", "given_up", "task", "external")] == [False] * 4
    assert [told[name] for name in names] == [3, None, "no", 1.5, None]
    assert [told[name] for name in ("listening", "given_up", "task", "external")] == [True, False, True, True]
    killed = row(Status.STOPPED, state="failed", run={"status": -9})
    assert (fields(killed)["exit_status"], fields(killed)["given_up"]) == (137, True)


# progress


@pytest.fixture
def screen():
    """A terminal: what a context writes to, and what was written so far."""
    keyboard, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 40))
    os.set_blocking(keyboard, False)
    clock = [0.0]
    context = Context({"TERM": "xterm"}, "/", "", stdout=terminal, stderr=terminal, now=lambda: clock[0])
    yield context, clock, lambda: os.read(keyboard, 65536).decode()
    os.close(keyboard)
    os.close(terminal)


def test_progress_is_one_line_that_goes(screen):
    """Not before it takes a while, never wider than the window, and gone at the end."""
    context, clock, shown = screen
    with Progress(context) as progress:
        progress.show([("db", "connection refused")])
        clock[0] = 2.0
        progress.show([("db", "connection refused"), ("api", "it waits for db")])
        text = shown()
        progress.show([("db", "connection refused"), ("api", "it waits for db")])

    assert text.startswith("\r2 s  db: connection refused; api: it")
    assert len(text.removeprefix("\r").removesuffix("\x1b[K")) <= 39
    assert shown() == "\r\x1b[K"


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": ""}, {}])
def test_no_progress_where_no_line_can_be_erased(screen, environ):
    """A dumb terminal gets nothing."""
    assert Progress(screen[0]._replace(environ=environ)).show is None


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_no_progress_into_a_pipe(screen, stream, tmp_path):
    """Whichever of the two is no terminal."""
    with (tmp_path / "out").open("w") as file:
        assert Progress(screen[0]._replace(**{stream: file.fileno()})).show is None


# which tasks run again


def service(name, *after, task=False):
    """An entry that needs others."""
    policy = Policy(after=tuple(Dependency(one) for one in after), task=task)
    return Service(name, name, ("true",), "/", policy=policy)


GRAPH = (
    service("db"),
    service("create", "db", task=True),
    service("migrate", "create", task=True),
    service("web", "migrate"),
    service("seed", "web", task=True),
)


@pytest.mark.parametrize(
    ("runs", "wanted", "expected"),
    [
        ((), (), "db create migrate web seed"),
        (("web",), (), "db web seed"),
        (("db", "web"), ("migrate",), "db create migrate web seed"),
        (("db",), (), "db create migrate web seed"),
        (("web",), ("create",), "db create web seed"),
    ],
)
def test_tasks_run_for_what_does_not_run(runs, wanted, expected):
    """A task whose services run already is not run again, nor what only it needs, unless it is named."""
    found = without_done(GRAPH, {*wanted}, dict.fromkeys(runs))

    assert " ".join(one.name for one in found) == expected


# in which order services stop


def chain(*needs):
    """Rows of services 0, 1..., each with the numbers it needs."""
    records = [
        Record(
            f"{n:010x}",
            f"{n:010x}",
            name=str(n),
            policy={"after": [{"name": str(one), "hash": f"{one:010x}"} for one in wanted]},
        )
        for n, wanted in enumerate(needs)
    ]
    return [
        Row(one, Status.RUNNING, Holder(7 + n, "1", "now", "background")) for n, one in enumerate(records)
    ]


def stopped(rows, records=None, **options):
    known = {one.record.hash: one.record for one in records or rows}
    return [[one.label for one in level] for level in levels(rows, known, **options)]


def test_dependents_stop_first():
    """Level by level; what has nothing to do with each other, together."""
    rows = chain([], [0], [0], [1, 2], [])

    assert stopped(rows) == [["3", "4"], ["1", "2"], ["0"]]


def test_order_through_one_that_is_not_stopped():
    """It links the two others all the same."""
    rows = chain([], [0], [1])

    assert stopped([rows[0], rows[2]], rows) == [["2"], ["0"]]
    assert needed(rows[2].record, {one.record.hash: one.record for one in rows}) == {"0" * 10, f"{1:010x}"}


def test_circle_ends_as_well():
    """Two runs that need each other's services stop together."""
    assert stopped(chain([1], [0])) == [["0", "1"]]


def test_whole_run_is_one():
    """It keeps its own order; what needs one of its services stops before it."""
    rows = chain([], [0], [1])
    run = Holder(99, "1", "now", "foreground")
    rows = [one._replace(holder=run) if one.label in "01" else one for one in rows]

    assert stopped(rows, whole_runs=True) == [["2"], ["0", "1"]]
    assert stopped(rows) == [["2"], ["1"], ["0"]]
