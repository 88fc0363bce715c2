"""What control clients may ask, what is kept of the output, and when a request that waits is answered."""

import json
import pathlib
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import exited, lifecycle, spawn_failed, unhealthy

from devport.engine import client, control
from devport.engine.backlog import LIMIT, Backlog
from devport.engine.job import Job, Transition
from devport.engine.lifecycle import DOWN, READY, RESTART, SPAWNED, TIMEOUT, UP, Event, Kind, State
from devport.engine.process import Command, Stdio
from devport.engine.request import _EVERYWHERE, VERBS, Request, identify, load, parse
from devport.engine.status import Statuses
from devport.engine.waiter import GOALS, Waiter, verdict
from devport.errors import DevportError
from devport.registry.holder import UNKNOWN, Holder, from_line, process_start, to_line

# requests


def refused(fields):
    """What is said of these fields."""
    with pytest.raises(DevportError) as caught:
        parse(fields)
    return caught.value.message


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_for_all_services(verb):
    """A verb alone means all services; only signal and hello need more."""
    needed = {"signal": {"number": 1}, "hello": {"hash": "0123456789"}}
    fields = {"id": 7, "do": verb, **needed.get(verb, {})}

    request = parse(fields)

    assert (request.id, request.do, request.services) == (7, verb, None)


def test_every_field():
    """Each field arrives."""
    assert parse({"id": "a", "do": "signal", "services": ["web"], "number": 15}) == Request(
        "a", "signal", ("web",), number=15
    )
    assert parse({"do": "logs", "lines": 0, "follow": True}) == Request(None, "logs", lines=0, follow=True)
    assert parse({"do": "wait", "state": "stopped"}) == Request(None, "wait", state="stopped")


def test_null_is_absence():
    """A field that is null is as good as one that is not there."""
    assert parse({"id": None, "do": "logs", "services": None, "lines": None}) == Request(None, "logs")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, f"cannot understand the request: its do is none of {', '.join(VERBS)}"),
        ({"do": 1}, f"cannot understand the request: its do is none of {', '.join(VERBS)}"),
        ({"do": "stopp"}, "cannot do that: no such verb: stopp (did you mean stop?)"),
        ({"do": "\x1b[2J"}, "cannot do that: no such verb: \\x1b[2J"),
        ({"do": "stop", "service": ["a"]}, "cannot stop: no such field: service (did you mean services?)"),
        ({"do": "stop", "lines": 1}, "cannot stop: no such field: lines"),
        ({"do": "stop", "services": "web"}, "cannot stop: services is not a list of names"),
        ({"do": "stop", "services": [1]}, "cannot stop: services is not a list of names"),
        ({"do": "stop", "services": {"web": 1}}, "cannot stop: services is not a list of names"),
        ({"do": "signal"}, "cannot signal: number is missing"),
        ({"do": "signal", "number": None}, "cannot signal: number is missing"),
        ({"do": "signal", "number": 0}, "cannot signal: number is not a signal's number"),
        ({"do": "signal", "number": 10**30}, "cannot signal: number is not a signal's number"),
        ({"do": "signal", "number": True}, "cannot signal: number is not a signal's number"),
        ({"do": "signal", "number": "TERM"}, "cannot signal: number is not a signal's number"),
        ({"do": "logs", "lines": -1}, "cannot show logs: lines is not a number of lines"),
        ({"do": "logs", "lines": 1.5}, "cannot show logs: lines is not a number of lines"),
        ({"do": "logs", "follow": 1}, "cannot show logs: follow is not true or false"),
        ({"do": "wait", "state": "up"}, "cannot wait: state is not ready or stopped"),
        ({"do": "wait", "state": ["ready"]}, "cannot wait: state is not ready or stopped"),
    ],
)
def test_what_makes_no_sense(fields, message):
    """Each mistake is named, with the nearest right word."""
    assert refused(fields) == message


def test_a_long_word_is_cut():
    """An error costs no more than a line, whatever was sent."""
    assert len(refused({"do": "s" * 60000})) < 200


@pytest.mark.parametrize("id_", [True, 1.5, [], {}])
def test_ids_that_cannot_be_given_back(id_):
    """An id is a string or an integer."""
    with pytest.raises(DevportError, match="its id is neither a string nor an integer"):
        identify({"id": id_})


@pytest.mark.parametrize(
    "line",
    [b"{", b"\xff", b"[" * 60000, b'{"id": ' + b"9" * 5000 + b"}", b"nope", b'"text"', b"[]", b"1", b"null"],
)
def test_lines_that_are_no_object(line):
    """Anything but an object is refused, however deep, long or mangled."""
    with pytest.raises(DevportError, match="cannot understand the request: it is not "):
        load(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["id", "do", "services", "number", "lines", "follow", "state", "Do"]
NEAR = st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from([*VERBS, *GOALS]), max_size=8)


@given(NEAR | st.dictionaries(st.text(), JSON))
def test_any_object_is_a_request_or_an_error(fields):
    """Whatever is in the object, the answer is a request of known types, or one line."""
    message = ""
    try:
        request = parse(load(json.dumps(fields).encode()))
    except DevportError as error:
        request, message = Request(None, "status"), error.message

    assert not message or (message.startswith("cannot ") and message.isprintable())
    assert request.do in VERBS
    assert request.services is None or all(isinstance(one, str) for one in request.services)
    assert type(request.number) is int
    assert request.follow in {True, False}


# the backlog


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 25), st.integers(0, 900))
def test_backlog_holds_the_last_bytes(chunks, limit, position):
    """It is a suffix of all that was printed: at least the limit, at most twice as much."""
    backlog, everything = Backlog(limit), b"".join(chunks)
    for chunk in chunks:
        backlog.add(chunk)

    held = backlog.since(0)

    assert backlog.total == len(everything)
    assert everything.endswith(held)
    assert min(limit, len(everything)) <= len(held) <= 2 * limit
    assert backlog.since(position) == held[max(0, position - len(everything) + len(held)) :]


@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\n", b"x\n\n", b"long line\n"]), max_size=40),
    st.integers(1, 30),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(1, 40),
)
def test_backlog_tail_is_whole_lines(chunks, limit, lines, most):
    """The tail begins with a whole line where it can, and has no more lines than were asked for."""
    backlog, everything = Backlog(limit), b"".join(chunks)
    for chunk in chunks:
        backlog.add(chunk)

    tail = backlog.tail(lines, most)

    assert everything.endswith(tail)
    assert len(tail) <= min(limit, most or limit)
    assert lines is None or len(tail.splitlines()) <= lines
    before = everything[: len(everything) - len(tail)]
    assert not tail or not before or before.endswith(b"\n") or b"\n" not in tail[:-1]
    if lines is not None and len(everything) <= min(limit, most or limit):
        assert tail == b"".join(everything.splitlines(keepends=True)[-lines:] if lines else [])


def test_backlog_of_a_flood():
    """A chunk larger than the limit costs no more than the limit."""
    backlog = Backlog()
    backlog.add(b"old\n")
    backlog.add(b"x" * (1 << 20))

    assert len(backlog.since(0)) == LIMIT
    assert backlog.total == (1 << 20) + 4


# waiting


class FakeJob:
    """A job as far as a Waiter looks at it."""

    def __init__(self, name="web", **overrides):
        self.name, self.lifecycle = name, lifecycle(**overrides)

    def take(self, event, now=0.0, waiter=None):
        """Handle `event`, and tell `waiter`."""
        before = self.lifecycle.state
        self.lifecycle.handle(event, now)
        if waiter is not None:
            waiter.observe(Transition(self, before, event))

    def run(self, *events):
        """Handle `events`."""
        for event in events:
            self.take(event)
        return self


def waiting(job, verb, *events):
    """A Waiter for the wish of `verb`, after that wish and `events`."""
    wish = Event({"start": Kind.UP, "stop": Kind.DOWN, "restart": Kind.RESTART}[verb])
    waiter = Waiter(verb, [job], wish)
    for event in (wish, *events):
        now = job.lifecycle.deadline if event is TIMEOUT else 0.0
        job.take(event, now, waiter)
    return waiter


@pytest.mark.parametrize(
    ("verb", "before", "events", "failure"),
    [
        ("start", (), (SPAWNED,), ""),
        ("start", (UP, SPAWNED), (), ""),
        ("start", (), (spawn_failed(),), "it failed: cannot run nope: No such file or directory"),
        ("start", (), (DOWN, exited(-15)), "it was stopped"),
        ("start", (UP, SPAWNED, exited(1)), (SPAWNED,), ""),
        ("restart", (UP, SPAWNED), (exited(-15), SPAWNED), ""),
        ("restart", (), (SPAWNED,), ""),
        ("restart", (UP, SPAWNED), (DOWN, exited(-15)), "it was stopped"),
        ("restart", (UP, SPAWNED), (TIMEOUT, TIMEOUT), "it failed: still running after SIGKILL"),
        ("stop", (), (), ""),
        ("stop", (UP, SPAWNED), (exited(-15),), ""),
        ("stop", (UP, SPAWNED, exited(1)), (), ""),
        ("stop", (UP, SPAWNED), (UP, exited(-15)), "it was started again"),
        ("stop", (UP, SPAWNED), (TIMEOUT, TIMEOUT), "still running after SIGKILL"),
        ("stop", (UP, SPAWNED), (TIMEOUT, exited(-9)), ""),
    ],
)
def test_wishes_are_answered(verb, before, events, failure):
    """A wish is answered when its effect is there, or when it cannot be, with the reason."""
    job = FakeJob(on="on_failure" if exited(1) in before else "never").run(*before)

    waiter = waiting(job, verb, *events)

    assert waiter.done
    assert waiter.failures == ([f"cannot {verb} web: {failure}"] if failure else [])


def test_a_crash_before_it_is_ready_fails_the_start():
    """A service that is tried again and again has not been started."""
    job = FakeJob(probed=True)

    waiter = waiting(job, "start", SPAWNED, exited(3))

    assert job.lifecycle.state is State.BACKOFF
    assert waiter.failures == ["cannot start web: it failed: exited with status 3; it is tried again"]


def test_an_end_before_it_is_ready_fails_the_start():
    """So has one that ended well before it was ready."""
    waiter = waiting(FakeJob(probed=True), "start", SPAWNED, exited(0))

    assert waiter.failures == ["cannot start web: it exited with status 0"]


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_wish_for_one_that_waits_for_others(verb):
    """It is done with that; who asked for the service to be ready goes on waiting."""
    job = FakeJob(blocked=True).run(UP)
    patient = Waiter("ready", [job])

    waiter = waiting(job, verb)

    assert (waiter.done, waiter.failures) == (True, [])
    assert job.lifecycle.state is State.WAITING
    assert not patient.done


def test_only_what_comes_of_the_wish_counts():
    """A job that becomes ready just before its restart has not been restarted."""
    job = FakeJob().run(UP)
    wish = Event(Kind.RESTART)
    waiter = Waiter("restart", [job], wish)

    job.take(SPAWNED, waiter=waiter)
    assert job.lifecycle.state is State.READY
    assert not waiter.done

    job.take(RESTART, waiter=waiter)  # somebody else's
    job.take(exited(-15), waiter=waiter)
    job.take(SPAWNED, waiter=waiter)
    assert not waiter.done

    for event in (wish, exited(-15), SPAWNED):
        job.take(event, waiter=waiter)
    assert waiter.done
    assert waiter.failures == []


@pytest.mark.parametrize(
    ("goal", "before", "done", "failure"),
    [
        ("ready", (UP, SPAWNED), True, ""),
        ("ready", (UP,), False, ""),
        ("ready", (UP, SPAWNED, exited(1)), False, ""),
        ("ready", (), True, "it is stopped"),
        ("ready", (UP, SPAWNED, exited(0)), True, "it exited with status 0"),
        ("ready", (UP, SPAWNED, unhealthy(), exited(1)), False, ""),
        ("stopped", (), True, ""),
        ("stopped", (UP, SPAWNED), False, ""),
        ("stopped", (UP, SPAWNED, exited(0)), True, ""),
        ("stopped", (UP, SPAWNED, exited(1)), False, ""),
    ],
)
def test_waiting_without_a_wish(goal, before, done, failure):
    """What is so already is answered at once, and so is what cannot be."""
    waiter = Waiter(goal, [FakeJob().run(*before)])

    assert waiter.done is done
    assert waiter.failures == ([f"cannot wait for web: {failure}"] if failure else [])


def test_waiting_for_several():
    """The answer waits for the last, and tells of each that failed."""
    web, db = FakeJob("web", on="never").run(UP), FakeJob("db", on="never").run(UP)
    waiter = Waiter("ready", [web, db])
    other = FakeJob("other").run(UP)

    other.take(SPAWNED, waiter=waiter)
    web.take(spawn_failed(reason="no"), waiter=waiter)
    assert not waiter.done
    db.take(SPAWNED, waiter=waiter)

    assert waiter.done
    assert waiter.failures == ["cannot wait for web: it failed: no"]


def test_giving_up():
    """At the very end whoever still waits is told so."""
    waiter = Waiter("stopped", [FakeJob("web").run(UP, SPAWNED), FakeJob("db").run(UP)])

    waiter.give_up("devport is ending")

    assert waiter.done
    assert waiter.failures == [
        "cannot wait for web: devport is ending",
        "cannot wait for db: devport is ending",
    ]


@pytest.mark.parametrize("seed", range(50))
def test_no_wish_is_left_without_an_answer(seed):
    """Whatever happens on the way, a service at rest has answered everything but "ready again"."""
    dice = random.Random(seed)
    job = FakeJob(on=dice.choice(["never", "on_failure"]), probed=dice.random() < 0.5, max=2)
    events = [UP, DOWN, RESTART, SPAWNED, READY, exited(0), exited(1), exited(1, leftovers=True), TIMEOUT]
    waiters = []
    for _ in range(40):
        if dice.random() < 0.3:
            verb, kind = dice.choice([("start", Kind.UP), ("stop", Kind.DOWN), ("restart", Kind.RESTART)])
            event = Event(kind)
            waiters.append(Waiter(verb, [job], event))
        else:
            event = dice.choice(events)
        before = job.lifecycle.state
        job.lifecycle.handle(event, job.lifecycle.deadline or 0.0)
        for waiter in waiters:
            waiter.observe(Transition(job, before, event))
        if job.lifecycle.state in {State.STOPPED, State.EXITED, State.FAILED, State.READY}:
            goals = {waiter.goal for waiter in waiters if not waiter.done}
            assert goals <= ({"stop"} if job.lifecycle.state is State.READY else set())


def test_the_verdict_is_open_while_it_may_still_be():
    """While a service is on its way nothing is decided."""
    job = FakeJob(probed=True).run(UP, SPAWNED)

    assert [verdict(goal, job.lifecycle, State.STARTING) for goal in ("start", "restart", "ready")] == [
        None,
        None,
        None,
    ]


# the holder


def test_a_holder_tells_its_socket():
    """The socket's path is in the lock file; an older devport's lock has none."""
    me = Holder(1, process_start(1), socket="/run/me.sock")

    assert from_line(to_line(me)) == me
    fields = json.loads(to_line(me))
    del fields["socket"]
    assert from_line(json.dumps(fields).encode()).socket == ""
    assert from_line(json.dumps({**fields, "socket": 5}).encode()) == UNKNOWN


# the page

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "control.md").read_text()


def test_the_page_has_every_word():
    """Each verb, field and state of the protocol stands in docs/control.md."""
    words = {
        *VERBS,
        *_EVERYWHERE,
        *set().union(*VERBS.values()),
        *map(str, State),
        *(one.value for one in Kind),
    }
    job = Job("web", command=Command((), {}, "/", ""), stdio=Stdio(), lifecycle=lifecycle(), stream=None)
    statuses = Statuses([job], lambda _job: {}, lambda: 0.0, lambda: 0.0)
    words |= {*statuses.of(job), *statuses.event(Transition(job, State.STOPPED, UP))}

    assert {word for word in words if f"`{word}`" not in PAGE and f'"{word}"' not in PAGE} == set()


def test_the_page_has_the_bounds():
    """The numbers of the page are those of the code."""
    bounds = (client.LINE, client.FULL, LIMIT, client.BOUND, control.LOGS)

    assert bounds == (64 << 10, 64 << 10, 64 << 10, 1 << 20, 256 << 10)
    assert (control.OWED, control.CLIENTS, control.FLUSH) == (16, 1024, 0.5)
    for line in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        assert [json.loads(one) for one in line.splitlines()]
