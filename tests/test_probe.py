"""Probes without a process: what follows from which answers, when is asked again, and whose answer counts."""

import signal
import time
from itertools import pairwise, product

import pytest
from support.builders import lifecycle

from devport.engine.job import Job, Transition
from devport.engine.lifecycle import DOWN, GONE, READY, RESTART, SPAWNED, TIMEOUT, UP, Event, Kind, State
from devport.engine.process import Command, Stdio
from devport.model import Probe
from devport.sources.course import AUTOMATIC, EAGER, FIRST, FIRST_RUN, SHORTEST, Course
from devport.sources.limited import find
from devport.sources.lines import LONGEST, Lines, last_line
from devport.sources.probe import LATE, Prober

TCP = Probe("tcp")


def unready(reason):
    return Event(Kind.UNREADY, reason=reason)


def told(course, answers):
    """What the lifecycle is told after each of `answers`: + is well, anything else a reason."""
    return [course.take("" if answer == "+" else answer) for answer in answers]


# what follows


def test_ready_at_once():
    """One success is enough unless more are asked for; further ones say nothing."""
    assert told(Course(TCP, "ready"), "+++") == [READY, None, None]


def test_each_new_reason_is_told():
    """Before it is ready, a reason is told when it changes."""
    course = Course(TCP, "ready")

    assert told(course, "aab+") == [unready("a"), None, unready("b"), READY]


def test_successes_have_to_be_in_a_row():
    """A failure begins the count anew."""
    course = Course(TCP._replace(success_threshold=3), "ready")

    assert told(course, "++a+++") == [None, None, unready("a"), None, None, READY]


def test_failures_have_to_be_in_a_row():
    """A success begins the count anew; then it is told, and told again when it has recovered."""
    course = Course(TCP._replace(failure_threshold=2, success_threshold=2), "ready")

    assert told(course, "++a+aab++") == [
        None,
        READY,
        None,
        None,
        None,
        unready("a"),
        unready("b"),
        None,
        READY,
    ]


def test_alive_until_it_fails_often_enough():
    """Liveness begins well, and ends with the verdict."""
    course = Course(TCP._replace(failure_threshold=2), "live")

    assert told(course, "+a+ab") == [None, None, None, None, Event(Kind.UNHEALTHY, reason="live probe: b")]
    assert course.wait(0) is None


@pytest.mark.parametrize(("successes", "failures"), list(product([1, 2, 3], repeat=2)))
def test_every_order_of_answers(successes, failures):
    """For all sequences of eight: told ready (not ready) exactly when the last so many say so."""
    probe = TCP._replace(success_threshold=successes, failure_threshold=failures)
    for answers in product("+a", repeat=8):
        course, good, heard = Course(probe, "ready"), False, False
        for at in range(8):
            before, event = good, told(course, answers[at])[0]
            last = answers[: at + 1]
            if not good and last[-successes:] == ("+",) * successes:
                good = True
            elif good and last[-failures:] == ("a",) * failures:
                good = False
            assert course.good is good
            assert (event == READY) is (good and not before)
            assert (event == unready("a")) is (not good and answers[at] == "a" and not heard)
            heard = not good and (heard or answers[at] == "a")


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_every_order_of_answers_of_the_living(failures):
    """For all sequences of eight: ended exactly at the first run of so many failures."""
    for answers in product("+a", repeat=8):
        events = told(Course(TCP._replace(failure_threshold=failures), "live"), answers)
        place = "".join(answers).find("a" * failures)
        end = 8 if place < 0 else place + failures
        assert [at for at, event in enumerate(events[:end]) if event is not None] == [end - 1] * (place >= 0)


# when


def waits(course, count, took=0.0, answer="a"):
    """The pauses after each of `count` answers."""
    found = []
    for _ in range(count):
        course.take("" if answer == "+" else answer)
        found.append(course.wait(took))
    return found


def test_looks_often_at_the_beginning():
    """The pauses double, up to a second, or to the period where that is shorter."""
    pauses = waits(Course(TCP, "ready"), 20)
    assert pauses[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert max(pauses) == pauses[-1] == EAGER
    assert all(a <= b for a, b in pairwise(pauses))
    assert waits(Course(TCP._replace(period=0.3), "ready"), 20)[-1] == 0.3
    assert waits(Course(TCP._replace(period=0.001), "ready"), 3) == [0.001] * 3


def test_commands_begin_more_slowly():
    """A command costs more than a connection."""
    assert waits(Course(Probe("exec", ("true",)), "ready"), 2) == [FIRST_RUN, 2 * FIRST_RUN]


def test_automatic():
    """The check of devport's own looks every 100 ms at the least, and no more once it was answered."""
    course = Course(TCP._replace(automatic=True), "ready")
    assert waits(course, 9)[-1] == AUTOMATIC
    assert waits(course, 1, answer="+") == [None]


@pytest.mark.parametrize("aim", ["ready", "live"])
def test_period(aim):
    """Once ready: from one beginning to the next, and with a pause where it takes longer than that."""
    course = Course(TCP, aim)
    course.take("")
    assert course.wait(0.5) == 9.5
    assert course.wait(10) == course.wait(11) == SHORTEST
    course.take("a")
    assert course.wait(1) == 9.0


def test_period_after_it_was_ready_once():
    """What was ready before and is not is looked at every period, not as at the beginning."""
    course = Course(TCP._replace(failure_threshold=1), "ready")

    assert told(course, "+a") == [READY, unready("a")]
    assert course.wait(0) == 10.0


# whose answer


class FakeLoop:
    """A clock that is moved by hand, with the timers and events of Loop."""

    def __init__(self):
        self.time, self.timers, self.sent = 100.0, {}, []

    def now(self):
        """As of the Loop."""
        return self.time

    def at(self, when, callback):
        """As of the Loop."""
        self.timers[callback] = when

    def cancel(self, callback):
        """As of the Loop."""
        self.timers.pop(callback, None)

    def send(self, job, event):
        """As of the Loop, but kept."""
        self.sent.append(event)

    def pass_(self, seconds):
        """Let time pass at once, as for a process that was stopped; then call what is due, in order."""
        self.time += seconds
        for callback in [callback for callback, when in self.timers.items() if when <= self.time]:
            if self.timers.pop(callback, None) is not None:
                callback()

    def run(self, seconds):
        """Let time pass as it should, from one timer to the next."""
        end = self.time + seconds
        while due := [when for when in self.timers.values() if when <= end]:
            self.pass_(max(0.0, min(due) - self.time))
        self.time = end


class Fake:
    """A prober of a job without a process, whose questions the test answers."""

    def __init__(self, probe=TCP, aim="ready", **overrides):
        self.loop = FakeLoop()
        self.job = Job(
            "web",
            command=Command(("true",), {}, "/", "token"),
            stdio=Stdio(),
            lifecycle=lifecycle(probed=True, **overrides),
            stream=self,
        )
        self.prober = Prober(self.loop, self.job, probe._replace(foreign=True), 8080, aim=aim)
        self.asked = []  # the open questions and those that were taken back
        self.prober._make = lambda done: Question(self, done)

    def feed(self, chunk):
        """As a Stream."""

    def tell(self, *events):
        """Let the lifecycle and then the prober know."""
        for event in events:
            before = self.job.lifecycle.state
            self.job.lifecycle.handle(event, self.loop.time)
            for observer in self.job.observers:
                observer(Transition(self.job, before, event))

    def answer(self, failure=""):
        """Answer the last question, and hand on what follows."""
        self.asked[-1].answer(failure)
        sent, self.loop.sent = self.loop.sent, []
        self.tell(*sent)
        return sent


class Question:
    """One question of a Fake."""

    def __init__(self, fake, done):
        self.fake, self.done, self.cancelled = fake, done, False
        self.open = False

    def start(self):
        """Ask."""
        self.fake.asked.append(self)
        self.open = True

    def cancel(self):
        """Never mind."""
        self.cancelled, self.open = True, False

    def answer(self, failure):
        """What the prober is told."""
        assert self.open
        self.open = False
        self.done(failure)


class Slow(Question):
    """One that is over only some time after it was taken back, like a command."""

    def cancel(self):
        """Never mind."""
        self.cancelled = True


@pytest.fixture
def fake():
    """A prober of a job that has just begun."""
    fake = Fake()
    fake.tell(UP, SPAWNED)
    return fake


def test_asks_at_once_and_again(fake):
    """The first question comes with the spawn, the next after the pause, one at a time."""
    assert len(fake.asked) == 1
    fake.loop.run(0.9)
    assert len(fake.asked) == 1
    assert fake.answer("refused") == [unready("refused")]
    assert fake.job.lifecycle.unready == "refused"
    fake.loop.run(FIRST)
    assert len(fake.asked) == 2
    assert fake.answer() == [READY]
    assert fake.job.lifecycle.state is State.READY
    fake.loop.run(9.9)
    assert len(fake.asked) == 2
    fake.loop.run(0.2)
    assert len(fake.asked) == 3


def test_initial_delay():
    """Nothing is asked before it, and nothing at all if the life is over by then."""
    fake = Fake(TCP._replace(initial_delay=2))
    fake.tell(UP, SPAWNED)
    fake.loop.run(1.9)
    assert fake.asked == []
    fake.tell(RESTART, GONE)
    fake.loop.run(10)
    assert fake.asked == []
    fake.tell(SPAWNED)
    fake.loop.run(2.1)
    assert len(fake.asked) == 1


def test_not_before_it_is_spawned():
    """A life begins with the process."""
    fake = Fake()
    fake.tell(UP)
    fake.loop.run(10)
    assert fake.asked == []


@pytest.mark.parametrize("end", [DOWN, RESTART, Event(Kind.EXITED, 1), Event(Kind.UNHEALTHY, reason="x")])
def test_end_of_a_life(fake, end):
    """The question is taken back, and nothing is left that could happen."""
    fake.tell(end)

    assert fake.asked[0].cancelled
    assert fake.loop.timers == {}
    assert fake.loop.sent == []


def test_answer_of_an_earlier_life_does_not_count(fake):
    """An answer that comes late is dropped, and the next life is asked when the old question is over."""
    fake.prober._probe = TCP._replace(kind="exec")  # its questions take time to take back
    fake.asked[0].__class__ = Slow
    fake.tell(RESTART, GONE, SPAWNED)
    assert len(fake.asked) == 1

    fake.asked[0].answer("")

    assert fake.loop.sent == []
    assert len(fake.asked) == 2
    assert fake.answer("refused") == [unready("refused")]


def test_late_answer_of_a_life_without_a_next(fake):
    """Taken back at the end, and over afterwards: nobody is told, nothing is asked."""
    fake.prober._probe = TCP._replace(kind="exec")
    fake.asked[0].__class__ = Slow
    fake.tell(DOWN, GONE)

    fake.asked[0].answer("")

    assert fake.loop.sent == []
    assert fake.loop.timers == {}


def test_counts_of_an_earlier_life_do_not_count():
    """Successes and failures are of one life."""
    fake = Fake(TCP._replace(success_threshold=2))
    fake.tell(UP, SPAWNED)
    fake.answer()
    fake.tell(RESTART, GONE, SPAWNED)
    assert fake.answer() == []
    fake.loop.run(1)
    assert fake.answer() == [READY]


def test_suspended_while_it_waited(fake):
    """A deadline that was noticed late says nothing about the service: it is asked again soon."""
    fake.loop.pass_(1.0 + LATE + 0.1)
    assert fake.answer("no answer within 1 s") == []

    fake.loop.run(SHORTEST)

    assert len(fake.asked) == 2
    fake.loop.pass_(1.0)
    assert fake.answer("no answer within 1 s") == [unready("no answer within 1 s")]


def test_success_counts_however_late(fake):
    """What has answered has answered."""
    fake.loop.pass_(60)
    assert fake.answer() == [READY]


def test_suspended_between_questions(fake):
    """The periods that passed meanwhile are not made up for."""
    fake.answer()
    fake.loop.pass_(100)
    assert len(fake.asked) == 2
    fake.loop.run(0)
    assert len(fake.asked) == 2


def test_liveness_begins_when_ready():
    """Nothing is asked before; then after a period, and through times in which it is not ready."""
    fake = Fake(TCP._replace(failure_threshold=1), aim="live")
    fake.tell(UP, SPAWNED)
    fake.loop.run(30)
    assert fake.asked == []
    fake.tell(READY)
    fake.loop.run(9)
    assert fake.asked == []
    fake.tell(unready("busy"))
    fake.loop.run(2)
    assert len(fake.asked) == 1
    assert fake.answer("dead") == [Event(Kind.UNHEALTHY, reason="live probe: dead")]
    assert fake.job.lifecycle.state is State.STOPPING
    assert fake.loop.timers == {}


def test_initial_delay_of_liveness():
    """It is counted from ready."""
    fake = Fake(TCP._replace(initial_delay=2), aim="live")
    fake.tell(UP, SPAWNED, READY)
    fake.loop.run(2.1)
    assert len(fake.asked) == 1


def test_failing_is_a_fact():
    """How often it failed while it still counts as ready is there to be seen, and goes away."""
    fake = Fake(TCP._replace(period=1))
    fake.tell(UP, SPAWNED)
    fake.answer()
    fake.loop.run(1)
    fake.answer("refused")
    assert fake.job.facts == {"ready-failing": "refused (1 of 3)"}
    fake.loop.run(1)
    fake.answer()
    assert fake.job.facts == {}


def test_external():
    """What its command brought up is asked about although there is no process; its failure is the end."""
    fake = Fake(TCP._replace(failure_threshold=1), external=True)
    fake.tell(UP, SPAWNED)
    fake.answer("refused")
    fake.tell(Event(Kind.EXITED, 0))
    fake.loop.run(1)
    assert fake.answer() == [READY]
    fake.loop.run(10)
    assert fake.answer("refused") == [unready("refused")]
    assert fake.job.lifecycle.state is State.STOPPING
    assert fake.loop.timers == {}


def test_close(fake):
    """Nothing remains, and nothing begins any more."""
    fake.prober.close()
    assert fake.asked[0].cancelled
    assert fake.loop.timers == {}
    fake.tell(RESTART, GONE, SPAWNED)
    assert len(fake.asked) == 1


def test_start_timeout_is_the_lifecycles():
    """A service that is never ready is ended at its deadline with the reason, and its probe with it."""
    fake = Fake(start_timeout=3)
    fake.tell(UP, SPAWNED)
    fake.answer("refused")
    fake.loop.run(3)
    fake.tell(TIMEOUT)
    assert fake.job.lifecycle.fault == "not ready after 3 s: refused"
    assert fake.asked[-1].cancelled


@pytest.mark.parametrize(
    ("probe", "port", "aim", "message"),
    [
        (TCP, None, "ready", "web has no port"),
        (Probe("notify"), 80, "ready", "no notify here"),
        (Probe("log", pattern="x"), 80, "live", "no log here"),
        (Probe("log", pattern="(x"), None, "ready", r"\(x is no regular expression: .+"),
        (
            TCP._replace(host="example.com"),
            80,
            "ready",
            "example.com is not an address of this machine alone",
        ),
    ],
)
def test_probes_that_cannot_be(probe, port, aim, message):
    """They are refused with the reason before anything begins."""
    job = Fake().job
    with pytest.raises(ValueError, match=message):
        Prober(FakeLoop(), job, probe, port, aim=aim)


def test_line_begun_by_an_earlier_life():
    """What it left unfinished is not the beginning of a line of the next."""
    fake = Fake(Probe("log", pattern="Listening"))
    fake.tell(UP, SPAWNED)
    fake.job.feed(b"Listen")
    fake.tell(RESTART, GONE, SPAWNED)
    fake.loop.sent.clear()

    fake.job.feed(b"ing\n")
    assert fake.loop.sent == []
    fake.job.feed(b"Listening\n")
    assert fake.loop.sent == [READY]


# lines


@pytest.mark.parametrize("cut", range(24))
def test_lines_in_pieces(cut):
    """However the output is cut, each line is seen once, without colours and as text."""
    lines, text = Lines("^öl \\w+$", find), "\x1b[32mno\n öl\nöl \x1b[1mheizt\r\nx".encode()
    found = [lines.take(text[:cut]), lines.take(text[cut:])]
    assert found.count(True) == 1
    assert not lines.has_rest()


def test_unfinished_line():
    """It is looked at when asked for, bounded, and forgotten with the life."""
    lines = Lines("ready>", find)
    assert not lines.take(b"ready> ")
    assert lines.has_rest()
    lines.clear()
    assert not lines.has_rest()
    for _ in range(10):
        lines.take(b"x" * LONGEST)
    assert len(lines._rest) == LONGEST
    assert not lines.take(b"ready>\n")


NESTED = r"(a+)+$"
"""Doubles its time with each `a` of a line that ends otherwise."""


def test_f75_pattern_that_takes_for_ever():
    """Each line costs a fraction of a second at most, and what is behind it is found."""
    lines = Lines(NESTED, find)
    began = time.process_time()

    assert not lines.take(b"a" * 60 + b"!\n")
    assert time.process_time() - began < 0.5
    assert lines.take(b"a" * 60 + b"!\naaa\n")
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_f75_pattern_that_always_takes_for_ever():
    """After some such lines it is given up, until the next life; a signal mask does not matter."""
    lines = Lines(NESTED, find)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGVTALRM})
    try:
        for _ in range(2):
            assert not lines.take(b"a" * 60 + b"!\n")
        with pytest.raises(TimeoutError):
            lines.take(b"a" * 60 + b"!\n")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    lines.clear()
    assert lines.take(b"a" * 60 + b"!\naaa\n")


def test_f75_pattern_is_given_up_with_the_reason():
    """The service is told to be not ready and why, and its output is not listened to any more."""
    fake = Fake(Probe("log", pattern=NESTED))
    fake.tell(UP, SPAWNED)
    fake.loop.sent.clear()
    for _ in range(5):
        fake.job.feed(b"a" * 60 + b"!\n")

    assert fake.loop.sent == [unready(f"looking for {NESTED} in its output takes too long")]
    assert fake.job.taps == []


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n\n", "two"),
        (b"\x1b[31mred\x1b[0m\r\n", "red"),
        (b"a\x07b\xff", "a\\x07b\\udcff"),
        (b"x" * 1000, "x" * 200),
    ],
)
def test_last_line(output, line):
    """The last line with anything in it, fit for a message."""
    assert last_line(output) == line
