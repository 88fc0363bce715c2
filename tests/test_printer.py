"""What a person sees of the services' lines: prefixes, colours, unfinished lines, time stamps, JSON."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import view

from devport.encoding import encode
from devport.engine.escapes import leaves_colour
from devport.engine.printer import HELD, PARTIAL_AFTER, Printer

RESET = b"\x1b[0m"
WEB, DB, SYSTEM = b"web    | ", b"db     | ", b"system | "
PREFIXES = {"web": WEB, "db": DB}
NOON = 1_700_000_000.25

BYTES = st.text(alphabet="ab\n\n\r\0\xff\xc3 \t", max_size=30).map(lambda text: text.encode("latin-1"))


class Paper:
    """A sink that takes everything and remembers it."""

    def __init__(self):
        self.out = b""
        self.writes = 0

    def write(self, *buffers):
        """Take `buffers`."""
        self.writes += 1
        self.out += b"".join(buffers)


class Desk:
    """A Printer on paper, two streams, and clocks that stand still unless told."""

    def __init__(self, *, terminal=False, wall=NOON, quiet=(), **overrides):
        self.paper, self.clock, self.wall = Paper(), 100.0, wall
        self.printer = Printer(
            self.paper,
            view(**overrides),
            list(PREFIXES),
            terminal=terminal,
            now=lambda: self.clock,
            wall=lambda: self.wall,
        )
        self.streams = {
            name: self.printer.stream(name, position, quiet=name in quiet)
            for position, name in enumerate(PREFIXES)
        }
        self.web, self.db = self.streams.values()

    @property
    def out(self):
        """All that was printed."""
        return self.paper.out

    def later(self, seconds=PARTIAL_AFTER):
        """Time passes."""
        self.clock += seconds
        while (stream := self.printer.due()) is not None:
            stream.show()

    def objects(self):
        """What was printed as JSON, one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Naive:
    """The same for plain text, one line and one byte string at a time: slow, and plain to see."""

    def __init__(self):
        self.out, self.open, self.clock = b"", None, 100.0
        self.held = dict.fromkeys(PREFIXES, b"")
        self.due = {}

    def _begin(self, name):
        if self.open != name:
            self.out += (b"\n" if self.open else b"") + PREFIXES.get(name, SYSTEM)

    def _line(self, name, line):
        self._begin(name)
        self.out += line
        self.open = None

    def feed(self, name, chunk):
        """Print `chunk`, a line at a time."""
        for piece in re.findall(rb"[^\n]*\n|[^\n]+", chunk):
            held, self.held[name] = self.held[name] + piece, b""
            if piece.endswith(b"\n"):
                self.due.pop(name, None)
                self._line(name, held)
            elif self.open == name:
                self.out += held
            else:
                self.held[name] = held
                self.due.setdefault(name, self.clock + PARTIAL_AFTER)

    def later(self, seconds):
        """Time passes."""
        self.clock += seconds
        for name in [name for name, due in self.due.items() if due <= self.clock]:
            del self.due[name]
            self._begin(name)
            self.out += self.held[name]
            self.held[name], self.open = b"", name

    def say(self, text):
        """A line of devport's own."""
        self._line("system", text + b"\n")

    def end(self, name):
        """The service ended."""
        if self.held[name]:
            self.feed(name, b"\n")
        elif self.open == name:
            self.out += b"\n"
            self.open = None


# whole lines


def test_one_line():
    """A line has its service's name in front, as wide as the longest."""
    desk = Desk()
    desk.web.feed(b"hello\n")

    assert desk.out == WEB + b"hello\n"


def test_width_of_the_longest_name():
    """The column is as wide as the longest name, and never narrower than devport's own."""
    paper = Paper()
    printer = Printer(paper, view(), ["a", "a-long-name"])
    printer.stream("a", 0).feed(b"x\n")
    printer.say("y")

    assert paper.out == b"a           | x\nsystem      | y\n"


def test_a_service_called_system():
    """What a service of that name says cannot pass for devport's own words."""
    paper = Paper()
    printer = Printer(paper, view(), ["system"])
    printer.stream("system", 0).feed(b"x\n")
    printer.say("y")

    assert paper.out == b"system  | x\ndevport | y\n"


def test_no_services():
    """A printer without services can still say something."""
    paper = Paper()
    Printer(paper, view(), []).say("nothing to do")

    assert paper.out == b"system | nothing to do\n"


def test_one_write_for_a_chunk():
    """A chunk of many lines is one write: prefixes are put in per chunk, not per line."""
    desk = Desk()
    desk.web.feed(b"line\n" * 10_000)

    assert desk.out == (WEB + b"line\n") * 10_000
    assert desk.paper.writes == 1


@pytest.mark.parametrize(
    "chunk",
    [
        b"\n",
        b"\n\n\n",
        b"\r\n",
        b"50%\r100%\n",
        b"a\0b\n",
        b"\xff\xfe\xc3\n",
        b"\xe2\x82\n",
        b"a\x0bb\x0cc\x85d\n",
        "x\u2028y\n".encode(),
        b"tab\there\n",
        b"web    | looks like a prefix\n",
    ],
)
def test_bytes_pass_untouched(chunk):
    """Lines end at LF only; CR, NUL and what is not UTF-8 stay as they are."""
    desk = Desk()
    desk.web.feed(chunk)

    lines = chunk[:-1].split(b"\n")
    assert desk.out == b"".join(WEB + line + b"\n" for line in lines)


@given(st.lists(BYTES, max_size=12))
def test_any_chunking_is_the_same(chunks):
    """However the bytes are cut into chunks, the lines come out as one by one."""
    desk = Desk()
    for chunk in chunks:
        desk.web.feed(chunk)
    desk.web.end()

    data = b"".join(chunks)
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    assert desk.out == b"".join(WEB + line + b"\n" for line in lines)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["web", "db"]), BYTES)
    | st.tuples(st.just("later"), st.sampled_from([0.0, 0.125, 0.25, 5.0]))
    | st.tuples(st.just("say"), st.sampled_from([b"note"]))
    | st.tuples(st.just("end"), st.sampled_from(["web", "db"])),
    max_size=25,
)


@given(OPERATIONS)
def test_as_the_naive_one(operations):
    """Two services, time, notices and ends in any order: the same bytes as the naive printer's."""
    desk, naive = Desk(), Naive()
    for what, value in operations:
        if what == "later":
            desk.later(value)
            naive.later(value)
        elif what == "say":
            desk.printer.say(value.decode())
            naive.say(value)
        elif what == "end":
            desk.streams[value].end()
            naive.end(value)
        else:
            desk.streams[what].feed(value)
            naive.feed(what, value)

        assert desk.out == naive.out


@given(OPERATIONS)
def test_nothing_is_lost_or_glued(operations):
    """Every printed line belongs to one service, and none loses a byte or the order of its bytes."""
    desk, fed = Desk(), dict.fromkeys(PREFIXES, b"")
    for what, value in operations:
        if what == "later":
            desk.later(value)
        elif what in fed:
            desk.streams[what].feed(value)
            fed[what] += value
    for stream in desk.streams.values():
        stream.end()

    printed = dict.fromkeys(PREFIXES, b"")
    for line in desk.out.split(b"\n")[:-1]:
        name, _, text = line.partition(b"| ")
        assert b"|" not in text
        printed[name.decode().strip()] += text
    assert desk.out[-1:] in {b"", b"\n"}
    assert printed == {name: data.replace(b"\n", b"") for name, data in fed.items()}


# unfinished lines


def test_unfinished_line_is_held_back():
    """The beginning of a line waits for its end, for 0.2 s."""
    desk = Desk()
    desk.web.feed(b"login: ")
    assert desk.out == b""
    assert desk.printer.deadline == 100.2
    desk.later(0.19)
    assert desk.out == b""
    desk.later(0.01)

    assert desk.out == WEB + b"login: "
    assert desk.printer.deadline is None


def test_unfinished_line_is_finished_unseen():
    """A line that ends in time is printed whole, and nothing is due any more."""
    desk = Desk()
    desk.web.feed(b"half")
    desk.web.feed(b" whole\n")

    assert desk.out == WEB + b"half whole\n"
    assert desk.printer.deadline is None


def test_deadline_is_the_beginnings():
    """More of the same unfinished line does not put its showing off."""
    desk = Desk()
    desk.web.feed(b"a")
    desk.later(0.15)
    desk.web.feed(b"b")
    desk.later(0.05)

    assert desk.out == WEB + b"ab"


def test_oldest_first():
    """Of two unfinished lines the older is due first, and each in its own time."""
    desk = Desk()
    desk.web.feed(b"w")
    desk.later(0.125)
    desk.db.feed(b"d")
    assert desk.printer.deadline == 100.2
    desk.later(0.125)
    assert desk.out == WEB + b"w"
    assert desk.printer.deadline == pytest.approx(100.325)
    desk.later(0.125)

    assert desk.out == WEB + b"w\n" + DB + b"d"


def test_shown_line_is_continued():
    """What was shown is continued at once, without a second prefix, when nothing came between."""
    desk = Desk()
    desk.web.feed(b"50%")
    desk.later()
    desk.web.feed(b"\r100%")
    assert desk.out == WEB + b"50%\r100%"
    desk.web.feed(b" done\nnext\n")

    assert desk.out == WEB + b"50%\r100% done\n" + WEB + b"next\n"


def test_shown_line_is_never_glued_to_anothers():
    """Another service's line begins a line of its own, and so does the rest of the broken one."""
    desk = Desk()
    desk.web.feed(b"log")
    desk.later()
    desk.db.feed(b"ready\n")
    desk.web.feed(b"in:\n")

    assert desk.out == WEB + b"log\n" + DB + b"ready\n" + WEB + b"in:\n"


def test_notice_breaks_a_shown_line():
    """So does what devport itself says."""
    desk = Desk()
    desk.web.feed(b"log")
    desk.later()
    desk.printer.say("db started")

    assert desk.out == WEB + b"log\n" + SYSTEM + b"db started\n"


def test_empty_rest():
    """A line that was shown and then ended by LF alone is not printed twice."""
    desk = Desk()
    desk.web.feed(b"x")
    desk.later()
    desk.web.feed(b"\n")

    assert desk.out == WEB + b"x\n"


def test_end_prints_the_last_line():
    """The last line is printed though no LF came, exactly once."""
    desk = Desk()
    desk.web.feed(b"a\nlast")
    desk.web.end()
    desk.web.end()
    desk.later(10)

    assert desk.out == WEB + b"a\n" + WEB + b"last\n"


def test_end_of_a_shown_line():
    """A last line that was shown already is only ended."""
    desk = Desk()
    desk.web.feed(b"last")
    desk.later()
    desk.web.end()
    desk.web.end()

    assert desk.out == WEB + b"last\n"


def test_end_of_a_broken_line():
    """One that was shown and broken is over; nothing more is printed of it."""
    desk = Desk()
    desk.web.feed(b"last")
    desk.later()
    desk.db.feed(b"x\n")
    desk.web.end()

    assert desk.out == WEB + b"last\n" + DB + b"x\n"


def test_next_life_begins_a_line():
    """A restarted service's first line is not glued to the last one of the life before."""
    desk = Desk()
    desk.web.feed(b"last")
    desk.web.end()
    desk.web.feed(b"first\n")

    assert desk.out == WEB + b"last\n" + WEB + b"first\n"


# long lines


def test_long_line_is_passed_on():
    """A line longer than HELD is passed on as it comes, byte for byte, with one prefix."""
    desk = Desk()
    chunk = bytes(set(range(256)) - set(b"\n\x1b")) * 300
    held = []
    for _ in range(20):
        desk.web.feed(chunk)
        held.append(len(desk.web._held))
    desk.web.feed(b"\n")

    assert desk.out == WEB + chunk * 20 + b"\n"
    assert max(held) <= HELD
    assert held[-1] == 0


def test_long_line_that_is_broken():
    """A long line gives way to another service's line, and goes on behind a prefix of its own."""
    desk = Desk()
    desk.web.feed(b"x" * (HELD + 1))
    desk.db.feed(b"hello\n")
    desk.web.feed(b"y\n")

    assert desk.out == WEB + b"x" * (HELD + 1) + b"\n" + DB + b"hello\n" + WEB + b"y\n"


@pytest.mark.parametrize("length", [HELD - 1, HELD, HELD + 1])
def test_lines_of_about_held(length):
    """Around the limit no byte is lost either."""
    desk = Desk()
    desk.web.feed(b"x" * length)
    assert bool(desk.out) == (length > HELD)
    desk.web.feed(b"\n")

    assert desk.out == WEB + b"x" * length + b"\n"


# colours


def test_prefix_colours():
    """With colour each service's prefix has its own, and the text none of it."""
    desk = Desk(colour=True)
    desk.web.feed(b"a\nb\n")
    desk.db.feed(b"c\n")
    desk.printer.say("d")

    web, db = b"\x1b[36m" + WEB + RESET, b"\x1b[33m" + DB + RESET
    assert desk.out == web + b"a\n" + web + b"b\n" + db + b"c\n" + SYSTEM + b"d\n"


def test_colours_go_round():
    """There are twelve colours; the thirteenth service has the first's."""
    printer = Printer(Paper(), view(colour=True), ["web"])
    before = [printer.stream("web", position)._before for position in range(13)]

    assert len(set(before)) == 12
    assert before[12] == before[0]


def test_no_colour_of_devports_own():
    """Without colour devport adds none; the services' own pass."""
    desk = Desk(colour=False)
    desk.web.feed(b"\x1b[31mred\x1b[0m\n")

    assert desk.out == WEB + b"\x1b[31mred\x1b[0m\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_no_service_colours_the_next_prefix(terminal):
    """A reset goes to the end of a line that leaves its colour behind."""
    desk = Desk(terminal=terminal)
    desk.web.feed(b"\x1b[31mred\nplain\n")

    assert desk.out == WEB + b"\x1b[31mred" + RESET + b"\n" + WEB + b"plain\n"


def test_reset_of_a_shown_line():
    """A shown line that is coloured is reset when another one breaks it."""
    desk = Desk()
    desk.web.feed(b"\x1b[31mred")
    desk.later()
    desk.db.feed(b"x\n")

    assert desk.out == WEB + b"\x1b[31mred" + RESET + b"\n" + DB + b"x\n"


def test_reset_of_a_shown_line_that_ends():
    """It is reset as well when its own LF comes in a chunk without any colour."""
    desk = Desk()
    desk.web.feed(b"\x1b[31mred")
    desk.later()
    desk.web.feed(b" still\nplain\n")

    assert desk.out == WEB + b"\x1b[31mred still" + RESET + b"\n" + WEB + b"plain\n"


def test_reset_of_a_shown_line_at_the_end():
    """And when the service ends."""
    desk = Desk()
    desk.web.feed(b"\x1b[31mred")
    desk.later()
    desk.web.end()

    assert desk.out == WEB + b"\x1b[31mred" + RESET + b"\n"


def test_no_reset_without_colour():
    """The rest of a line that was broken, and reset then, is not reset again."""
    desk = Desk()
    desk.web.feed(b"\x1b[31mred")
    desk.later()
    desk.db.feed(b"x\n")
    desk.web.feed(b"plain\n")

    assert desk.out.endswith(DB + b"x\n" + WEB + b"plain\n")


COLOURED = st.lists(
    st.tuples(
        st.sampled_from(["web", "db", "later", "end"]),
        st.lists(
            st.sampled_from([b"\x1b[31m", b"\x1b[0m", b"\x1b[1;4m", b"\x1b[m", b"text", b"\n", b"\n"]),
            max_size=6,
        ).map(b"".join),
    ),
    max_size=25,
)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
@given(operations=COLOURED)
def test_no_line_leaves_colour(terminal, colour, operations):
    """Whatever colours come in whatever chunks, no line but an unfinished one leaves any behind."""
    desk = Desk(terminal=terminal, colour=colour)
    for what, chunk in operations:
        if what == "later":
            desk.later()
        elif what == "end":
            desk.web.end()
        else:
            desk.streams[what].feed(chunk)

    assert [line for line in desk.out.split(b"\n")[:-1] if leaves_colour(line)] == []


# a terminal


def test_terminal_is_not_commandeered():
    """On a terminal, what moves the cursor or sets the title is taken out; elsewhere it passes."""
    chunk = b"\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m\n"
    terminal, file = Desk(terminal=True), Desk()
    terminal.web.feed(chunk)
    file.web.feed(chunk)

    assert terminal.out == WEB + b"\x1b[31mred\x1b[0m\n"
    assert file.out == WEB + chunk


def test_split_sequence_of_a_shown_line():
    """A sequence that a shown line breaks in the middle of is held back until it is whole."""
    desk = Desk(terminal=True)
    desk.web.feed(b"a\x1b[2")
    desk.later()
    assert desk.out == WEB + b"a"
    desk.web.feed(b"Jb")
    desk.web.feed(b"\x1b[3")
    desk.web.feed(b"1mc")

    assert desk.out == WEB + b"ab\x1b[31mc"


def test_beginning_of_a_sequence_alone():
    """Where there is nothing but the beginning of a sequence, nothing is shown of the line yet."""
    desk = Desk(terminal=True)
    desk.web.feed(b"\x1b[3")
    desk.later()
    assert desk.out == b""
    desk.web.feed(b"1mred\n")

    assert desk.out == WEB + b"\x1b[31mred" + RESET + b"\n"


def test_title_without_end_is_bounded():
    """A title that never ends holds the line back only so far."""
    desk = Desk(terminal=True)
    desk.web.feed(b"a\x1b]0;" + b"t" * 10_000)
    desk.later()
    desk.web.feed(b"t\n")

    assert desk.out.startswith(WEB + b"a")
    assert b"\x1b]" not in desk.out


# what is not shown


def test_quiet():
    """A quiet service's lines are not shown, finished or not; what devport says of it is."""
    desk = Desk(quiet={"web"})
    desk.web.feed(b"a\nb")
    desk.later()
    desk.web.end()
    desk.printer.say("web exited with status 0", "web", event="exited")

    assert desk.out == SYSTEM + b"web exited with status 0\n"


def test_no_prefix():
    """Without prefixes the bytes pass as they are, unfinished lines apart from others' all the same."""
    desk = Desk(prefix=False, timestamp="%S", colour=True)
    desk.web.feed(b"a\n\nb")
    desk.later()
    desk.db.feed(b"c\n")
    desk.web.end()
    desk.printer.say("d")

    assert desk.out == b"a\n\nb\nc\nd\n"
    assert desk.printer.prefix_columns == 0


def test_notices_are_printable():
    """What devport says holds no control characters, whatever names and commands hold."""
    desk = Desk()
    desk.printer.say("cannot run \x1b[2J\n\udcff: é")

    assert desk.out == SYSTEM + "cannot run \\x1b[2J\\n\\udcff: é\n".encode()


# time stamps


def test_timestamp():
    """The time stands in front of the name, inside its colour."""
    desk = Desk(timestamp="%H:%M:%S", colour=True)
    desk.web.feed(b"x\n")

    stamp = time.strftime("%H:%M:%S", time.localtime(NOON)).encode()
    assert desk.out == b"\x1b[36m" + stamp + b" " + WEB + RESET + b"x\n"


def test_timestamp_goes_with_the_time():
    """Each second has its own, and within a second it is made once."""
    desk = Desk(timestamp="%S")
    first = desk.printer.stamp()
    desk.wall += 0.5
    assert desk.printer.stamp() is first
    desk.web.feed(b"a\n")
    desk.wall += 0.5
    desk.web.feed(b"b\n")

    assert desk.out == b"20 " + WEB + b"a\n21 " + WEB + b"b\n"


def test_timestamp_when_the_clock_is_put_back():
    """A clock that is put back is believed."""
    desk = Desk(timestamp="%S")
    desk.web.feed(b"a\n")
    desk.wall -= 10
    desk.web.feed(b"b\n")

    assert desk.out == b"20 " + WEB + b"a\n10 " + WEB + b"b\n"


def test_timestamp_with_microseconds():
    """%f is the fraction of the second, made anew for each chunk."""
    desk = Desk(timestamp="%S.%f")
    desk.web.feed(b"a\n")
    desk.wall += 0.5
    desk.web.feed(b"b\n")

    assert desk.out == b"20.250000 " + WEB + b"a\n20.750000 " + WEB + b"b\n"


def test_timestamp_of_a_shown_line():
    """A line that was shown keeps the time at which it was."""
    desk = Desk(timestamp="%S")
    desk.web.feed(b"a")
    desk.later()
    desk.wall += 7
    desk.web.feed(b"b\n")

    assert desk.out == b"20 " + WEB + b"ab\n"


@pytest.mark.parametrize("overrides", [{}, {"timestamp": "%H:%M:%S"}, {"timestamp": "%d %b", "colour": True}])
def test_prefix_columns(overrides):
    """The prefix is as wide as it says, colours not counted."""
    desk = Desk(**overrides)
    desk.web.feed(b"\n")

    assert desk.printer.prefix_columns == len(re.sub(rb"\x1b\[[0-9]+m", b"", desk.out)) - 1


# JSON


def test_json_lines():
    """With --json each line is an object: time in UTC, service, line."""
    desk = Desk(json=True, colour=True, timestamp="%S")
    desk.web.feed(b"a\n\nb\n")

    assert desk.objects() == [
        {"time": "2023-11-14T22:13:20.250Z", "service": "web", "line": line} for line in ("a", "", "b")
    ]
    assert desk.printer.prefix_columns == 0


def test_json_events():
    """What devport says is an object with the event's fields."""
    desk = Desk(json=True)
    desk.printer.say("web started (pid 1)", "web", event="started", pid=1)
    desk.printer.say("SIGINT received, stopping", event="stopping")

    time_ = "2023-11-14T22:13:20.250Z"
    assert desk.objects() == [
        {"time": time_, "service": "web", "message": "web started (pid 1)", "event": "started", "pid": 1},
        {"time": time_, "message": "SIGINT received, stopping", "event": "stopping"},
    ]


def test_json_partial():
    """An unfinished line that is shown is marked, and so is one that the service's end cut off."""
    desk = Desk(json=True)
    desk.web.feed(b"log")
    desk.later()
    desk.web.feed(b"in\nlast")
    desk.web.end()

    assert [(one["line"], one.get("partial", False)) for one in desk.objects()] == [
        ("log", True),
        ("in", False),
        ("last", True),
    ]


@given(st.lists(st.binary(max_size=20), max_size=8), st.booleans())
def test_json_is_lossless(chunks, waits):
    """Any bytes make valid JSON, one object a line, and can be had back from it."""
    desk = Desk(json=True)
    for chunk in chunks:
        desk.web.feed(chunk)
        if waits:
            desk.later()
    desk.web.end()

    back = b"".join(encode(one["line"]) + b"\n" * ("partial" not in one) for one in desk.objects())
    assert back == b"".join(chunks)


def test_json_on_a_terminal():
    """On a terminal the last unfinished line is not lost either, nor kept for the next life."""
    desk = Desk(json=True, terminal=True)
    desk.web.feed(b"a\x1b[3")
    desk.web.end()
    desk.web.feed(b"b\n")

    assert [one["line"] for one in desk.objects()] == ["a\x1b[3", "b"]


def test_json_quiet():
    """A quiet service's lines are no objects, its events are."""
    desk = Desk(json=True, quiet={"web"})
    desk.web.feed(b"a\nb")
    desk.web.end()
    desk.printer.say("web exited", "web", event="exited")

    assert [one["event"] for one in desk.objects()] == ["exited"]
